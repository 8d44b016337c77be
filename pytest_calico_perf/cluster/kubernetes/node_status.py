"""CalicoNodeStatus: calico-node reports its BGP sessions into an object that somebody made for it.

Source: projectcalico/calico, node/pkg/status: a new object is filled in at once, and then only when something
changed, so an old `lastUpdated` does not make it stale. One of ours is made for the question and taken away
after it: each costs its node some CPU.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from pytest_calico_perf.cluster.inspection import SessionState
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.gone import await_quietly
from pytest_calico_perf.cluster.kubernetes.ours import OWNER, labels, refuse_others
from pytest_calico_perf.cluster.kubernetes.reading import name_of, text, texts
from pytest_calico_perf.cluster.kubernetes.resource import CalicoApi, Json, Resource
from pytest_calico_perf.errors import ApiProblem, ToolProblem
from pytest_calico_perf.parsing import lookup, mappings

_BGP = "BGP"
_ESTABLISHED = "Established"
_PERIOD = 1  # seconds between two reports; it lives for a few
_PATIENCE = 8.0  # seconds in which calico-node must have filled it in


class NodeStatuses:
    """Those of a cluster. Safe to use from several threads: a diagnosis asks about both nodes at once.

    Args:
        api: The cluster.
        resource: The kind, in the group that serves it.
        run: Id of our run.
        owner: Who runs it, for whoever finds what we made.
    """

    def __init__(self, api: Api, calico: CalicoApi, run: str, owner: str) -> None:
        self._api = api
        self._resource = calico.node_statuses
        self._run = run
        self._owner = owner
        self._lock = threading.Lock()
        self._count = 0
        self._there: dict[str, None] = {}

    @property
    def made(self) -> tuple[tuple[Resource, str], ...]:
        """Kind and name of those of ours that may still be there."""
        with self._lock:
            return tuple((self._resource, name) for name in self._there)

    def report(self, node: str) -> Json:
        """Have calico-node report a node's sessions now.

        Raises:
            ApiProblem: An object for it may not be made, or the API fails.
            ToolProblem: calico-node did not fill it in.
        """
        name = self._next_name()
        refuse_others(self._api.find(self._resource, name), self._run, f"CalicoNodeStatus {name}")
        with self._lock:
            self._there[name] = None
        uid = ""
        try:
            made = self._api.apply(self._resource, self._body(name, node))
            uid = text(lookup(made, "metadata", "uid"))
            seen: list[Json] = [made]

            def filled() -> bool:
                seen[:] = [self._api.get(self._resource, name)]
                return bool(lookup(seen[0], "status", "lastUpdated"))

            if not await_quietly(filled, deadline=_PATIENCE):
                raise ToolProblem(
                    f"calico-node has not filled in a CalicoNodeStatus within {_PATIENCE:g} s", where=node
                )
            return seen[0]
        finally:
            # What does not go now, the end of the run removes, or says that it could not.
            with suppress(ApiProblem):
                self._api.delete(self._resource, name, uid=uid)
                with self._lock:
                    del self._there[name]

    def existing(self, node: str) -> Json | None:
        """A report on a node's sessions that somebody else has made and keeps; None without one.

        Raises:
            ApiProblem: They may not be looked at, or the API fails.
        """
        reports = [
            each
            for each in self._api.list(self._resource)
            if text(lookup(each, "spec", "node")) == node
            and _BGP in texts(lookup(each, "spec", "classes"))
            and lookup(each, "spec", "updatePeriodSeconds")
            and text(lookup(each, "status", "lastUpdated"))
        ]
        return max(reports, key=lambda each: text(lookup(each, "status", "lastUpdated")), default=None)

    def _next_name(self) -> str:
        with self._lock:
            self._count += 1
            return f"calico-perf-bgp-{self._count}-{self._run}"

    def _body(self, name: str, node: str) -> Json:
        metadata = {"name": name, "labels": dict(labels(self._run)), "annotations": {OWNER: self._owner}}
        return {
            "metadata": metadata,
            "spec": {"node": node, "classes": [_BGP], "updatePeriodSeconds": _PERIOD},
        }


def described(report: Json) -> str:
    """A report and its age, as the source of an answer."""
    return f"CalicoNodeStatus {name_of(report)} of {text(lookup(report, 'status', 'lastUpdated'))}"


def sessions_of(report: Json) -> tuple[SessionState, ...]:
    """The IPv4 sessions that a report shows.

    None is also what it shows where BIRD does not answer (populators/peers.go, ErrorSocketConnection).
    """
    return tuple(
        SessionState(
            peer=text(peer.get("peerIP")),
            peer_node="",
            established=peer.get("state") == _ESTABLISHED,
            # It has no word for a session that only listens (Passive), nor for one that is switched off.
            state=text(peer.get("state")) or "unknown",
        )
        for peer in mappings(lookup(report, "status", "bgp", "peersV4"))
        if text(peer.get("peerIP"))
    )
