"""A real cluster as `cluster.base.Cluster` wants it: looked at, provisioned, handed out, left as it was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Self

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.cluster.inspection import Blind, Inspector
from pytest_calico_perf.cluster.kubernetes.api import api_of
from pytest_calico_perf.cluster.kubernetes.calico_node import CalicoNode
from pytest_calico_perf.cluster.kubernetes.hosts import HostEndpoints, open_hosts
from pytest_calico_perf.cluster.kubernetes.inspection import KubernetesInspector
from pytest_calico_perf.cluster.kubernetes.manifests import TOOLS, WEB
from pytest_calico_perf.cluster.kubernetes.ours import new_run_id, owner
from pytest_calico_perf.cluster.kubernetes.pools import (
    TUNNEL_DEVICE,
    await_condition,
    await_tunnels,
    make_pools,
    plan_pools,
)
from pytest_calico_perf.cluster.kubernetes.population import Population
from pytest_calico_perf.cluster.kubernetes.preflight import Preflight, look
from pytest_calico_perf.cluster.kubernetes.removal import Removal
from pytest_calico_perf.cluster.kubernetes.unfinished import warn
from pytest_calico_perf.cluster.kubernetes.workload import Workload
from pytest_calico_perf.cluster.routes import route_to
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ClusterProblem, NotRestored, ToolProblem, Unreachable
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode, Path, Provision
from pytest_calico_perf.parsing import blaming, json_objects, lookup, whole

_LIMIT = 15.0  # seconds for one command here
_ROUTES_DEADLINE = 30.0  # seconds; BIRD and Felix take one or two
_CLEANUP = "pytest --calico-cluster={name} --calico-cleanup"


class KubernetesCluster:
    """A cluster reached through the Kubernetes API, every mode in a pool of its own, side by side.

    Args:
        file: Which cluster, and how to go about it.
        modes: Modes to provide.
        paths: Paths that will be asked for; pods are made for these only.
        tell: Told in sentences what is found and done.
    """

    shared = True  # others send through its tunnels, too
    _provision = Provision.POOLS

    def __init__(
        self,
        file: KubernetesFile,
        modes: tuple[Mode, ...],
        *,
        paths: Collection[Path],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._file = file
        self._modes = modes
        self._paths = paths
        self._tell = tell
        self._api = api_of(file)
        self._run = new_run_id()
        self._workload = Workload(self._api, file, self._run, owner())
        self._known_ground: Preflight | None = None
        self._hosts: HostEndpoints | None = None
        self._population: Population | None = None
        self._pools: dict[Mode, str] = {}
        self._ranges: dict[Mode, IPv4Network] = {}
        self._made_pools: tuple[str, ...] = ()
        self._problems: dict[Mode, ClusterProblem] = {}
        self._inspector: KubernetesInspector | None = None
        self._kept = False

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def modes(self) -> tuple[Mode, ...]:
        return self._modes

    @property
    def serial(self) -> bool:
        return False

    def turn_to(self, mode: Mode) -> None:
        """Nothing to do: every mode is there."""

    # -- coming and going ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._look()
            self._workload.make_namespaces()
            self._hosts = open_hosts(self._api, self._file, self._workload, self._ground.pair)
            for lacking in self._hosts.notes:
                self._tell(lacking)
            client, server = self._ground.pair
            self._population = Population(
                self._api, self._workload, self._paths, client=client.name, server=server.name
            )
            self._provide()
        except BaseException:
            if self._known_ground is not None:
                self._tell("it did not come up; removing what was made")
                for problem in self._take_away():
                    self._tell(problem)
            self._api.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            problems = [] if self._kept else self._take_away()
        finally:
            self._api.close()
        if problems:
            raise NotRestored(
                "; ".join(problems),
                where=self.name,
                remedy=f"later: {_CLEANUP.format(name=self._file.source)}",
            )

    def _look(self) -> None:
        """Everything that is asked before anything is made."""
        if switched := warn(self._api):  # by a run that was killed: it would be measured as the user's own
            raise ClusterProblem("; ".join(switched), where=self.name)
        self._known_ground = look(self._api, self._file, self._modes, self._provision, paths=self._paths)
        for line in self._ground.lines():
            self._tell(line)

    def _take_away(self) -> list[str]:
        """Remove everything of this run, one step's failure not being another's; returns what stayed."""
        problems: list[str] = []
        for step in (self._remove, self._close_hosts, self._differences):
            try:
                problems += step()
            except ClusterProblem as problem:
                problems.append(str(problem))
        return problems

    def _remove(self) -> list[str]:
        calico = self._ground.survey.calico
        removal = Removal(
            self._api,
            calico.api if calico else None,
            namespace=self._file.namespace,
            deadline=self._file.timeouts.removal,
            tell=self._tell,
        )
        made = list(self._workload.made)
        if calico:
            made += [(calico.api.pools, name) for name in self._made_pools]
        if self._inspector:
            made += self._inspector.made
        return removal.remove(removal.leftovers(self._run, made))

    def _close_hosts(self) -> list[str]:
        if self._hosts:
            self._hosts.close()
        return []

    def _differences(self) -> list[str]:
        """What is not as it was before us, though we made or changed nothing of it ourselves."""
        return self._ground.differences(self._api, deadline=self._file.timeouts.pools)

    def keep(self) -> None:
        self._kept = True

    def how_to_enter(self) -> list[str]:
        lines = self._hosts.how_to_enter() if self._hosts else []
        if self._population:
            lines += [f"{pod.plan.name} ({pod.address}): {pod.enter()}" for pod in self._population.pods]
        return [*lines, f"take it down: {_CLEANUP.format(name=self._file.source)}"]

    # -- provisioning --------------------------------------------------------------------------

    @property
    def _ground(self) -> Preflight:
        if self._known_ground is None:
            raise ClusterProblem(
                "the cluster was not looked at", where=self.name, remedy="enter its context first"
            )
        return self._known_ground

    @property
    def _pods(self) -> Population:
        if self._population is None:
            raise ClusterProblem("no pod is there yet", where=self.name, remedy="enter its context first")
        return self._population

    @property
    def _possible(self) -> list[Mode]:
        return [mode for mode in self._modes if mode not in self._ground.unsupported]

    def _provide(self) -> None:
        """Every mode at once: its pool, its pods."""
        self._make_pools([mode for mode in self._possible if mode is not Mode.CURRENT])
        self._populate([mode for mode in self._possible if mode not in self._problems])

    def _make_pools(self, modes: list[Mode]) -> None:
        survey = self._ground.survey
        if not modes or survey.calico is None:
            return
        plans = plan_pools(
            modes,
            survey.calico,
            self._file,
            self._run,
            node_count=len(survey.nodes),
            taken=survey.taken,
            pair=self._ground.pair,
        )
        calico_node = CalicoNode(self._api)
        self._made_pools = tuple(plan.name for plan in plans)
        refused = make_pools(self._api, plans, survey.calico, self._file, run=self._run, owner=owner())
        self._problems.update(refused)
        for plan in plans:
            if plan.mode:
                self._ranges[plan.mode] = plan.range
                self._pools[plan.mode] = plan.name
        tunnels = {mode.tunnel for mode in modes if mode not in self._problems} - {Encapsulation.NONE}
        hosts = {node.name: self.host(node.name) for node in self._ground.pair}
        late = await_tunnels(self._api, tunnels, hosts, deadline=self._file.timeouts.pools)
        self._problems.update({mode: late[mode.tunnel] for mode in modes if mode.tunnel in late})
        # A new encapsulation makes Felix restart on every node (felix/daemon, encapsulation change).
        if not await_condition(lambda: not calico_node.complaint(), deadline=self._file.timeouts.pools):
            self._tell(f"{calico_node.complaint()} {self._file.timeouts.pools:g} s after the pools were made")

    def _populate(self, modes: list[Mode]) -> None:
        """The pods of some modes, and routes between them."""
        self._pods.settle(modes, self._pools, self._ranges)
        self._await_routes(mode for mode in modes if self._pods.has(mode, "client", "server"))

    def _await_routes(self, modes: Iterable[Mode]) -> None:
        """Wait until both nodes send packets where they should; what is late, the cells find out."""
        waiting = dict.fromkeys(modes, "")

        def settled() -> bool:
            for mode in list(waiting):
                waiting[mode] = self._astray(self.pair(Path.POD_TO_POD, mode))
                if not waiting[mode]:
                    del waiting[mode]
            return not waiting

        if not await_condition(settled, deadline=min(self._file.timeouts.pools, _ROUTES_DEADLINE)):
            for mode, astray in waiting.items():
                self._tell(f"mode {mode}: {astray}; it is measured all the same, and may prove unreachable")

    def _astray(self, pair: EndpointPair) -> str:
        """Which node has no route as the mode wants it, in words; empty when both have."""
        expected = self.expected_encapsulation(pair)
        wanted = None if expected is None else TUNNEL_DEVICE.get(expected, "")
        for here, there in ((pair.client, pair.server), (pair.server, pair.client)):
            try:
                route = route_to(self.host(here.node), there.own_address)
            except (Unreachable, ToolProblem) as problem:
                return f"{here.node} has {problem.what}"
            device = route.device if route.device in TUNNEL_DEVICE.values() else ""
            if wanted is not None and device != wanted:
                return f"{here.node} sends to {there.own_address} by {route}"
        return ""

    # -- what is handed out --------------------------------------------------------------------

    def host(self, node: str) -> Endpoint:
        """The host endpoint of a node.

        Raises:
            ClusterProblem: There is none.
        """
        if self._hosts is None:
            raise ClusterProblem("no host can be reached yet", where=self.name)
        return self._hosts.of(node)

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        client_host, server_host = (self.host(node.name) for node in self._ground.pair)
        if mode is None:
            return EndpointPair(path, mode, client_host, server_host)
        if mode in self._ground.unsupported:
            raise self._ground.unsupported[mode]
        if mode in self._problems:
            raise self._problems[mode]
        of_pods = path.client is EndpointKind.POD
        client = self._pods.endpoint(mode, "client") if of_pods else client_host
        if path.server is EndpointKind.HOST:
            return EndpointPair(path, mode, client, server_host)
        role = "neighbour" if path.same_node else "server"
        server = self._pods.endpoint(mode, role, through_service=path.via_service)
        return EndpointPair(path, mode, client, server)

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        same_node = pair.client.node == pair.server.node
        if pair.mode is None or pair.server.kind is EndpointKind.HOST or same_node:
            return Encapsulation.NONE
        mode: Mode | None = pair.mode
        if mode is Mode.CURRENT:
            if self._encrypted:
                return None  # WireGuard carries it, whatever the pool says
            mode = self._ground.survey.mode_at(IPv4Address(pair.server.own_address))
        if mode is None:
            return None
        return Encapsulation.NONE if mode.cross_subnet and self._ground.one_subnet else mode.tunnel

    @property
    def _encrypted(self) -> bool:
        """Whether Felix encrypts what the two nodes send each other."""
        calico, (client, server) = self._ground.survey.calico, self._ground.pair
        return calico is not None and calico.wireguard and client.encrypts and server.encrypts

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return TUNNEL_DEVICE

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        answer = self.host(node).run(["ip", "-s", "-j", "link", "show"], limit=_LIMIT).check()
        tunnels = {device: tunnel for tunnel, device in TUNNEL_DEVICE.items()}
        with blaming(node):
            return {
                tunnels[link["ifname"]]: whole(
                    lookup(link, "stats64", "tx", "packets"), "ip's packet counter"
                )
                for link in json_objects(answer.stdout, "ip")
                if link.get("ifname") in tunnels
            }

    def inspector(self) -> Inspector:
        if self._inspector is None:
            calico = self._ground.survey.calico
            if calico is None:
                return Blind("there is no Calico in this cluster, or nobody may see it")
            self._inspector = KubernetesInspector(self._api, calico.api, self._run, lambda: self._pods.pods)
        return self._inspector

    def facts(self) -> Mapping[str, Any]:
        facts = dict(self._ground.facts())
        mtus = self._pods.mtus
        return {
            **facts,
            "run": self._run,
            "provision": str(self._provision),
            "hosts": str(self._file.hosts),
            "images": {TOOLS: self._file.images.for_role(TOOLS), WEB: self._file.images.for_role(WEB)},
            "test_pools": [
                {"mode": str(mode), "name": self._pools[mode], "range": str(network)}
                for mode, network in self._ranges.items()
            ],
            "pod_mtu": {str(mode): mtu for mode, mtu in mtus.items()},
            "notes": [*facts.get("notes", ()), *_about_mtus(mtus)],
        }


def _about_mtus(mtus: Mapping[Mode, int]) -> list[str]:
    """What the pods' MTUs mean for a comparison, in a sentence."""
    if len(mtus) < 2:
        return []
    if len(set(mtus.values())) > 1:
        shown = ", ".join(f"{mode} {mtu}" for mode, mtu in mtus.items())
        return [f"the modes were compared at different pod MTUs: {shown}"]
    note = (
        f"the modes were compared at equal pod MTU ({next(iter(mtus.values()))}): Calico gives new pods the "
        "smallest MTU over all encapsulations in the cluster, so a mode that is alone may be faster than here"
    )
    return [note]
