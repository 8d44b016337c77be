"""Everything that is asked before anything is made: what the cluster is, what we may do, where we measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.nodes import TUNNEL_ANNOTATIONS, NodeFacts, choose
from pytest_calico_perf.cluster.kubernetes.permissions import check, needed
from pytest_calico_perf.cluster.kubernetes.pools import await_condition
from pytest_calico_perf.cluster.kubernetes.resource import NODES
from pytest_calico_perf.cluster.kubernetes.survey import Survey, survey, unsupported
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, Unsupported
from pytest_calico_perf.model import Mode, Path, Provision
from pytest_calico_perf.parsing import lookup

_LONGEST_PAUSE = 5.0  # seconds between two looks at all nodes, of which there may be thousands


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        survey: The page of facts.
        pair: The client's node and the server's.
        chosen: The sentence about how these came to be chosen.
        unsupported: Modes that cannot exist here, each with its reason.
        notes: What a reader of this run's figures should know, in sentences.
    """

    survey: Survey
    pair: tuple[NodeFacts, NodeFacts]
    chosen: str
    unsupported: Mapping[Mode, Unsupported]
    notes: tuple[str, ...] = ()

    @property
    def one_subnet(self) -> bool:
        """Whether Calico sees both nodes in one subnet, so that CrossSubnet does not encapsulate."""
        client, server = self.pair
        return client.reaches_directly(server) is True

    def lines(self) -> list[str]:
        """What a person wants to read before it starts."""
        lines = [*self.survey.lines(), *self.notes, self.chosen]
        lines += [f"mode {mode}: {reason}" for mode, reason in self.unsupported.items()]
        return lines

    def facts(self) -> dict[str, Any]:
        """The page, JSON-able."""
        facts = dict(self.survey.facts())
        facts["notes"] = [*facts["notes"], *self.notes]
        facts["pair"] = [node.name for node in self.pair]
        facts["pair_chosen"] = self.chosen
        facts["unsupported"] = {str(mode): str(reason) for mode, reason in self.unsupported.items()}
        return facts

    def differences(self, api: Api, *, deadline: float) -> list[str]:
        """What of the nodes is not as it was before us, once Calico has had time to take it back."""
        before = {node.name: dict(node.tunnel_addresses) for node in self.survey.nodes}
        after: dict[str, Mapping[str, str]] = {}

        def same() -> bool:
            after.clear()
            for node in api.list(NODES):
                annotations = lookup(node, "metadata", "annotations") or {}
                after[str(lookup(node, "metadata", "name"))] = {
                    str(tunnel): str(annotations[key])
                    for tunnel, key in TUNNEL_ANNOTATIONS.items()
                    if key in annotations
                }
            return not _changed(before, after)

        try:
            if await_condition(same, deadline=deadline, longest_pause=_LONGEST_PAUSE):
                return []
        except ApiProblem as problem:
            return [f"nobody could look whether the nodes are as before: {problem}"]
        return [
            f"tunnel addresses of {name} are not as before: {text}" for name, text in _changed(before, after)
        ]


def look(
    api: Api,
    file: KubernetesFile,
    modes: Sequence[Mode],
    provision: Provision,
    *,
    paths: Collection[Path] = (),
) -> Preflight:
    """Look at the cluster and change nothing.

    Args:
        api: The cluster.
        file: What is known of it.
        modes: What is to be compared.
        provision: How modes come to be.
        paths: Between what they are compared.

    Raises:
        ApiProblem: It cannot be reached, or we may not do what the run needs.
        ClusterProblem: There are no two nodes to measure between.
    """
    found = survey(api, file)
    check(api, needed(provision, file, modes, found))
    client, server, chosen = choose(found.nodes, file, modes)
    refused = unsupported(found, modes, client, server, provision)
    makes_pools = provision is Provision.POOLS and set(modes) - {Mode.CURRENT, *refused}
    through_services = makes_pools and any(path.via_service for path in paths)
    note = found.about_services(file.pools.range) if through_services else ""
    return Preflight(found, (client, server), chosen, refused, (note,) if note else ())


def _changed(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str]]:
    return [
        (name, f"{dict(addresses) or 'none'} before, {dict(after[name]) or 'none'} now")
        for name, addresses in before.items()
        if name in after and dict(addresses) != dict(after[name])
    ]
