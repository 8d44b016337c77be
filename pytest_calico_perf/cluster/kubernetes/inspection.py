"""What a diagnosis sees of Calico in a real cluster, as far as is permitted: objects, reports, daemons.

Nothing is changed but for a CalicoNodeStatus of our own, which is taken away again. Which permission each
look takes is in `permissions.looking_deeper` and docs/rbac.yaml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from pytest_calico_perf.cluster.bird_protocols import SHOW_SESSIONS, read_sessions
from pytest_calico_perf.cluster.inspection import BlockState, Look, NodeState, PoolState, SessionState
from pytest_calico_perf.cluster.kubernetes import reading
from pytest_calico_perf.cluster.kubernetes.agents import BIRD, FELIX, Agents
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.calico import Backend, CalicoFacts
from pytest_calico_perf.cluster.kubernetes.detection import find_calico, read_pool
from pytest_calico_perf.cluster.kubernetes.node_status import NodeStatuses, described, sessions_of
from pytest_calico_perf.cluster.kubernetes.nodes import ADDRESS_ANNOTATION, TUNNEL_ANNOTATIONS
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.cluster.kubernetes.permissions import refusal, reporting_sessions
from pytest_calico_perf.cluster.kubernetes.policies import Target, of_calico, of_everywhere, of_kubernetes
from pytest_calico_perf.cluster.kubernetes.reading import (
    annotations_of,
    ipv4_address,
    ipv4_interface,
    ipv4_network,
    name_of,
    text,
    truth,
)
from pytest_calico_perf.cluster.kubernetes.resource import (
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    CalicoApi,
    Json,
    Resource,
)
from pytest_calico_perf.cluster.kubernetes.workload import RunningPod
from pytest_calico_perf.errors import ApiProblem, CalicoPerfError, ClusterProblem, ToolProblem
from pytest_calico_perf.model import Encapsulation
from pytest_calico_perf.parsing import lookup, one_line

T = TypeVar("T")

_AS_ANNOTATION = "projectcalico.org/ASNumber"
_MAC_ANNOTATION = "projectcalico.org/VXLANTunnelMACAddr"
_HOST = "host:"  # what the affinity of a block begins with where it belongs to a node
_LONGEST = 400
_FORBIDDEN, _NOT_FOUND = 403, 404
_BGP_CONFIGURATION = "BGPConfiguration default"


class KubernetesInspector:
    """Answers as `cluster.inspection.Inspector` wants them.

    Args:
        api: The cluster.
        calico: How Calico's objects are reached.
        run: Id of our run.
        pods: The pods of our run that are there now.
    """

    def __init__(
        self, api: Api, calico: CalicoApi, run: str, pods: Callable[[], Iterable[RunningPod]]
    ) -> None:
        self._api = api
        self._calico = calico
        self._pods = pods
        self._agents = Agents(api)
        self._statuses = NodeStatuses(api, calico, run, owner())

    @property
    def made(self) -> tuple[tuple[Resource, str], ...]:
        """Kind and name of what was made for a look and may still be there."""
        return self._statuses.made

    # -- Calico's objects ----------------------------------------------------------------------

    def nodes(self) -> Look[tuple[NodeState, ...]]:
        return _look(
            "annotations of the nodes",
            lambda: tuple(sorted(map(_node, self._api.list(NODES)), key=lambda node: node.name)),
        )

    def pools(self) -> Look[tuple[PoolState, ...]]:
        def read() -> tuple[PoolState, ...]:
            return tuple(
                PoolState(pool.name, str(pool.range), pool.mode, pool.disabled)
                for pool in map(read_pool, self._api.list(self._calico.pools))
                if pool.mode is not None and pool.range is not None
            )

        return _look(self._source("IPPools"), read)

    def blocks(self) -> Look[tuple[BlockState, ...]]:
        storage = "/".join(self._calico.storage)
        blocks = _look(
            f"IPAMBlocks of {storage}", lambda: tuple(_blocks(self._api.list(self._calico.blocks)))
        )
        if blocks.value is not None:
            return blocks
        affinities = _look(
            f"BlockAffinities of {storage}",
            lambda: tuple(_affinities(self._api.list(self._calico.affinities))),
        )
        return affinities if affinities.value is not None else blocks

    def mesh(self) -> Look[bool]:
        def read() -> tuple[bool, str]:
            found = self._api.find(self._calico.bgp_configurations, "default")
            said = lookup(found, "spec", "nodeToNodeMeshEnabled")
            meshed = said is None or truth(said)  # unset, or no object at all, is on
            return meshed, f"{_BGP_CONFIGURATION} (mesh {'on' if meshed else 'off'}); {self._peers()}"

        return _look_with_source(_BGP_CONFIGURATION, read)

    def route_writer(self, encapsulation: Encapsulation) -> Look[str]:
        source = "programClusterRoutes of FelixConfiguration and BGPConfiguration"

        def read() -> tuple[str, str]:
            facts = self._facts()
            if complaint := facts.about_routes(encapsulation):
                raise ToolProblem(complaint)
            [writer] = facts.route_owners[encapsulation]
            return str(writer), f"Calico {facts.version or '(unknown version)'}, {source}"

        return _look_with_source(source, read)

    def policies(self, node: str, address: str) -> Look[tuple[str, ...]]:
        source = "NetworkPolicies and GlobalNetworkPolicies"
        pod = next(
            (pod for pod in self._pods() if pod.plan.node == node and str(pod.address) == address), None
        )
        if pod is None:
            return Look(None, source, f"{address} on {node} is no pod of this run")
        return _look_with_source(source, lambda: self._policies_of(pod))

    # -- daemons and sessions ------------------------------------------------------------------

    def sessions(self, node: str) -> Look[tuple[SessionState, ...]]:
        """As calico-node reports them; where one is down, as BIRD itself tells it, which also says why."""
        reported = _look_with_source("CalicoNodeStatus", lambda: self._reported(node))
        if reported.value and all(session.established for session in reported.value):
            return self._named(reported)
        told = _look(
            f"birdcl show protocols in calico-node of {node}",
            lambda: read_sessions(self._agents.ask_bird(node, *SHOW_SESSIONS), {}),
        )
        if told.value is not None:
            return self._named(told)
        if reported.value:
            return self._named(reported)
        why = reported.why_not or "a report without a session is also what is left when BIRD does not answer"
        return Look(
            None,
            "CalicoNodeStatus and birdcl",
            f"CalicoNodeStatus: {why}; birdcl in calico-node: {told.why_not}",
        )

    def daemons(self, node: str) -> Look[Mapping[str, bool]]:
        source = "calico-node's pods"

        def read() -> tuple[Mapping[str, bool], str]:
            bird = self._facts().backend in (Backend.BIRD, Backend.UNKNOWN)
            known, said = self._agents.daemons_of(node, (BIRD, FELIX) if bird else (FELIX,))
            if not known:
                raise ToolProblem(said)
            return known, said

        return _look_with_source(source, read)

    # -- inside --------------------------------------------------------------------------------

    def _source(self, what: str) -> str:
        return f"{what} of {self._calico.group}/{self._calico.version}"

    def _facts(self) -> CalicoFacts:
        """Calico as it is now.

        Raises:
            ApiProblem: The API fails.
            ToolProblem: There is none, or its settings may not be seen.
        """
        look = reading.Look(self._api)
        facts = find_calico(look)
        if facts is None:
            raise ToolProblem("Calico's objects are not served any more")
        settings = (self._calico.felix_configurations, self._calico.bgp_configurations)
        if unseen := [each for each in look.unseen if each.startswith(tuple(map(str, settings)))]:
            raise ToolProblem("; ".join(unseen))
        return facts

    def _peers(self) -> str:
        """The BGPPeers, in words."""
        peers = _look("", lambda: [name_of(peer) for peer in self._api.list(self._calico.bgp_peers)])
        if peers.value is None:
            return f"BGPPeers: {peers.why_not}"
        return f"BGPPeers: {one_line(', '.join(peers.value), _LONGEST) or 'none'}"

    def _reported(self, node: str) -> tuple[tuple[SessionState, ...], str]:
        """By a report of our own, else by somebody else's."""
        refused = refusal(self._api, reporting_sessions(self._calico))
        report = None if refused else self._statuses.report(node)
        if refused:
            try:
                report = self._statuses.existing(node)
            except ApiProblem as problem:
                if problem.status != _FORBIDDEN:
                    raise
        if report is None:
            raise ToolProblem(refused)
        return sessions_of(report), described(report)

    def _named(self, look: Look[tuple[SessionState, ...]]) -> Look[tuple[SessionState, ...]]:
        """The same with the names of the nodes at the other ends, where nodes may be seen."""
        names = {node.address: node.name for node in self.nodes().value or () if node.address}
        sessions = tuple(replace(each, peer_node=names.get(each.peer, "")) for each in look.value or ())
        return replace(look, value=sessions)

    def _policies_of(self, pod: RunningPod) -> tuple[tuple[str, ...], str]:
        namespace = pod.plan.namespace
        live = self._api.get(PODS, pod.plan.name, namespace=namespace)
        home = _look("", lambda: self._api.get(NAMESPACES, namespace))
        target = Target.of(live, home.value)
        kinds: tuple[tuple[Resource, str, Callable[[Iterable[Json], Target], Iterator[str]]], ...] = (
            (NETWORK_POLICIES, namespace, of_kubernetes),
            (self._calico.network_policies, namespace, of_calico),
            (self._calico.global_network_policies, "", of_everywhere),
        )
        names: list[str] = []
        seen, unseen = [], []
        for resource, place, chosen in kinds:
            # A kind that is not served has no objects.
            try:
                found = self._api.list(resource, namespace=place)
            except ApiProblem as problem:
                if problem.status != _NOT_FOUND:
                    unseen.append(f"{resource}: {_why(problem)}")
                continue
            names += chosen(found, target)
            seen.append(str(resource))
        if unseen and not names:
            raise ToolProblem("; ".join(unseen))  # that none applies is not known
        source = ", ".join(seen) + "".join(f"; not seen: {each}" for each in unseen)
        return tuple(dict.fromkeys(names)), source


def _look(source: str, read: Callable[[], T]) -> Look[T]:
    """What `read` returns, or why it could not."""
    return _look_with_source(source, lambda: (read(), source))


def _look_with_source(source: str, read: Callable[[], tuple[T, str]]) -> Look[T]:
    """The same where only the answer tells its source."""
    try:
        return Look(*read())
    except (ClusterProblem, ToolProblem) as problem:
        return Look(None, source, _why(problem))


def _why(problem: CalicoPerfError) -> str:
    """A reason without a full stop."""
    what = problem.what
    if isinstance(problem, ApiProblem) and problem.status == _FORBIDDEN and problem.remedy:
        what = f"{what}; {problem.remedy}"
    return one_line(what, _LONGEST).rstrip(".")


def _node(found: Json) -> NodeState:
    name, annotations = name_of(found), annotations_of(found)
    interface = ipv4_interface(annotations.get(ADDRESS_ANNOTATION))
    number = annotations.get(_AS_ANNOTATION, "")
    tunnels = {
        kind: str(address)
        for kind, key in TUNNEL_ANNOTATIONS.items()
        if (address := ipv4_address(annotations.get(key)))
    }
    return NodeState(
        name=name,
        address=str(interface.ip) if interface else "",
        subnet=str(interface.network) if interface else "",
        as_number=_as_number(number),
        tunnels=tunnels,
        vxlan_mac=_vxlan_mac(name, annotations) if Encapsulation.VXLAN in tunnels else "",
    )


def _as_number(said: str) -> int | None:
    """`64512`, or `1.10` for 65546 (RFC 5396, asdot)."""
    parts = said.strip().split(".")
    if not 1 <= len(parts) <= 2 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    if max(map(len, parts)) > 10:
        return None
    high, low = (0, int(parts[0])) if len(parts) == 1 else map(int, parts)
    return (high << 16) + low


def _vxlan_mac(node: str, annotations: Mapping[str, str]) -> str:
    """As noted, else as Felix derives it from the name (vtepMACForHost in felix/calc/vxlan_resolver.go)."""
    noted = text(annotations.get(_MAC_ANNOTATION)).lower()
    if noted:
        return noted
    digest = hashlib.sha1(node.encode(), usedforsecurity=False).digest()
    return ":".join(f"{byte:02x}" for byte in (ord("f"), *digest[:5]))


def _blocks(found: Iterable[Json]) -> Iterator[BlockState]:
    for block in found:
        range_, affinity = (
            ipv4_network(lookup(block, "spec", "cidr")),
            text(lookup(block, "spec", "affinity")),
        )
        if range_ and affinity.startswith(_HOST) and not truth(lookup(block, "spec", "deleted")):
            yield BlockState(str(range_), affinity.removeprefix(_HOST))


def _affinities(found: Iterable[Json]) -> Iterator[BlockState]:
    """Those that count: BIRD announces a block once its affinity is confirmed."""
    for each in found:
        spec = lookup(each, "spec")
        range_ = ipv4_network(lookup(spec, "cidr"))
        if range_ and lookup(spec, "state") == "confirmed" and not truth(lookup(spec, "deleted")):
            yield BlockState(str(range_), text(lookup(spec, "node")))
