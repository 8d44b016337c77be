"""calico-node on one node: whether its daemons run, and what its BIRD says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.command import PodCommand
from pytest_calico_perf.cluster.kubernetes.detection import CALICO_NODE, CALICO_NODE_NAMESPACES
from pytest_calico_perf.cluster.kubernetes.pod_failure import is_ready, why_not_ready
from pytest_calico_perf.cluster.kubernetes.reading import name_of, text
from pytest_calico_perf.cluster.kubernetes.resource import EVENTS, PODS, Json
from pytest_calico_perf.errors import ApiProblem, ToolProblem
from pytest_calico_perf.parsing import lookup, mappings, one_line

BIRD, FELIX = "bird", "felix"

_LABELS = f"k8s-app={CALICO_NODE}"
_SOCKET = "/var/run/calico/bird.ctl"
_LIMIT = 10.0  # seconds; BIRD answers in milliseconds
_LONGEST = 200
_FORBIDDEN = 403
# node/pkg/health/health.go; the kubelet quotes it in an event with the reason Unhealthy.
_COMPLAINT = re.compile(r"calico/node is not ready: ([^\n]+)")
_FELIX_AWAY = re.compile(r"felix is not (?:ready|live)", re.IGNORECASE)
_BIRD_RUNS = re.compile(r"BGP not established with|graceful restart in progress")
_BIRD_AWAY = re.compile(r"bird(?:/confd)? is not live|unable to connect to BIRD", re.IGNORECASE)


class BirdAway(ToolProblem):
    """calico-node runs, and nobody answers at BIRD's socket in it."""


class Agents:
    """calico-node's pods.

    Args:
        api: The cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def pod_on(self, node: str) -> Json | None:
        """The one of a node; None where there is none.

        Raises:
            ApiProblem: It may not be looked for, or the API fails.
        """
        refused: ApiProblem | None = None
        for namespace in CALICO_NODE_NAMESPACES:
            try:
                found = self._api.list(
                    PODS, namespace=namespace, labels=_LABELS, fields=f"spec.nodeName={node}"
                )
            except ApiProblem as problem:
                if problem.status != _FORBIDDEN:
                    raise
                refused = refused or problem
                continue
            for pod in found:
                if not lookup(pod, "metadata", "deletionTimestamp"):
                    return pod
        if refused:
            raise refused
        return None

    def ask_bird(self, node: str, *question: str) -> str:
        """What BIRD on a node answers; it is asked in its restricted mode, in which it changes nothing.

        The command is run as it is, without a shell around it that the image may not have.

        Raises:
            BirdAway: It does not run.
            ToolProblem: There is no calico-node, or what answers is no BIRD.
            ApiProblem: It may not be asked, or the API fails.
        """
        pod = self.pod_on(node)
        if pod is None:
            raise ToolProblem("no pod of calico-node is there", where=node)
        namespace, name = (text(lookup(pod, "metadata", key)) for key in ("namespace", "name"))
        argv = ["birdcl", "-r", "-s", _SOCKET, *question]
        channel = self._api.exec(namespace, name, CALICO_NODE, argv, stdin=False)
        command = PodCommand(channel, argv, endpoint=f"calico-node of {node}", limit=_LIMIT)
        command.follow()
        answer = command.result()
        if not answer.stdout.startswith("BIRD "):
            said = answer.last_words
            problem = BirdAway if "control socket" in said else ToolProblem
            raise problem(f"birdcl says: {said}", where=answer.endpoint)
        return answer.stdout

    def daemons_of(self, node: str, wanted: Sequence[str]) -> tuple[dict[str, bool], str]:
        """Daemon -> whether it runs, of those wanted and known; and what shows it, in words.

        Raises:
            ApiProblem: calico-node's pod may not be looked for, or the API fails.
        """
        pod = self.pod_on(node)
        if pod is None:
            return dict.fromkeys(wanted, False), f"no pod of calico-node is on {node}"
        name = name_of(pod)
        if not _container_runs(pod):
            why = why_not_ready(pod, self._events(pod))
            return dict.fromkeys(wanted, False), f"{name} does not run: {one_line(why, _LONGEST)}"
        if is_ready(pod):
            known, said = dict.fromkeys(wanted, True), f"{name} is ready"
        else:
            known, said = judge(self._events(pod), wanted)
            said = f"{name}: {said or 'not ready, and no event says why'}"
        # Ready is up to three probes old, and says nothing of the moment.
        if BIRD in wanted:
            try:
                self.ask_bird(node, "show", "status")
            except BirdAway as away:
                return {**known, BIRD: False}, f"{said}; {away}"
            except (ApiProblem, ToolProblem):
                pass  # nobody to ask: the pod's own word must do
            else:
                known[BIRD] = True
        return known, said

    def _events(self, pod: Json) -> list[Json]:
        namespace = text(lookup(pod, "metadata", "namespace"))
        try:
            return self._api.list(EVENTS, namespace=namespace, fields=f"involvedObject.name={name_of(pod)}")
        except ApiProblem:
            return []  # the status alone must do


def judge(events: Sequence[Json], wanted: Sequence[str]) -> tuple[dict[str, bool], str]:
    """What calico-node's latest complaint says of its daemons, and the complaint; both empty without one.

    A BIRD that has no session runs all the same.
    """
    complaints = [
        (str(event.get("lastTimestamp") or event.get("eventTime") or ""), found[1])
        for event in mappings(list(events))
        if event.get("reason") == "Unhealthy"
        and (found := _COMPLAINT.search(str(event.get("message") or "")))
    ]
    if not complaints:
        return {}, ""
    said = one_line(max(complaints, key=lambda each: each[0])[1], _LONGEST)
    known: dict[str, bool] = {}
    if _FELIX_AWAY.search(said):
        known[FELIX] = False
    elif _BIRD_AWAY.search(said):
        known[BIRD] = False
    elif _BIRD_RUNS.search(said):
        known |= {BIRD: True, FELIX: True}  # probes stop at the first complaint, and Felix's is quicker
    return {daemon: known[daemon] for daemon in wanted if daemon in known}, said


def _container_runs(pod: Json) -> bool:
    statuses: list[Mapping[str, object]] = mappings(lookup(pod, "status", "containerStatuses"))
    return any(
        each.get("name") == CALICO_NODE and lookup(each, "state", "running") is not None for each in statuses
    )
