"""Everything that is asked before anything is made: what the cluster is, what we may do, where we measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.nodes import NodeFacts, choose
from pytest_calico_perf.cluster.kubernetes.permissions import check, needed
from pytest_calico_perf.cluster.kubernetes.pools import TUNNEL_ANNOTATION, await_condition
from pytest_calico_perf.cluster.kubernetes.resource import NODES
from pytest_calico_perf.cluster.kubernetes.survey import Survey, survey, unsupported
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, Unsupported
from pytest_calico_perf.model import Mode, Provision
from pytest_calico_perf.parsing import lookup


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        survey: The page of facts.
        pair: The client's node and the server's.
        chosen: The sentence about how these came to be chosen.
        unsupported: Modes that cannot exist here, each with its reason.
    """

    survey: Survey
    pair: tuple[NodeFacts, NodeFacts]
    chosen: str
    unsupported: Mapping[Mode, Unsupported]

    @property
    def one_subnet(self) -> bool:
        """Whether Calico sees both nodes in one subnet, so that CrossSubnet does not encapsulate."""
        client, server = self.pair
        return client.reaches_directly(server) is True

    def lines(self) -> list[str]:
        """What a person wants to read before it starts."""
        lines = [*self.survey.lines(), self.chosen]
        lines += [f"mode {mode}: {reason}" for mode, reason in self.unsupported.items()]
        return lines

    def facts(self) -> dict[str, Any]:
        """The page, JSON-able."""
        facts = dict(self.survey.facts())
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
                    for tunnel, key in TUNNEL_ANNOTATION.items()
                    if key in annotations
                }
            return not _changed(before, after)

        try:
            if await_condition(same, deadline=deadline):
                return []
        except ApiProblem as problem:
            return [f"nobody could look whether the nodes are as before: {problem}"]
        return [
            f"tunnel addresses of {name} are not as before: {text}" for name, text in _changed(before, after)
        ]


def look(api: Api, file: KubernetesFile, modes: Sequence[Mode], provision: Provision) -> Preflight:
    """Look at the cluster and change nothing.

    Raises:
        ApiProblem: It cannot be reached, or we may not do what the run needs.
        ClusterProblem: There are no two nodes to measure between.
    """
    found = survey(api, file)
    check(api, needed(provision, file, modes, found))
    client, server, chosen = choose(found.nodes, file, modes)
    return Preflight(found, (client, server), chosen, unsupported(found, modes, client, server, provision))


def _changed(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str]]:
    return [
        (name, f"{dict(addresses) or 'none'} before, {dict(after[name]) or 'none'} now")
        for name, addresses in before.items()
        if name in after and dict(addresses) != dict(after[name])
    ]
