"""Why a pod is not ready, as `kubectl describe` would show it. Pure functions of a pod and its events."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.parsing import lookup, mappings, one_line

_EVENTS = 3
_LONGEST = 300

HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
"""Reasons a container waits for which no waiting helps."""


def is_ready(pod: Json) -> bool:
    """Whether all its containers run and it has an address."""
    ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in mappings(lookup(pod, "status", "conditions"))
    )
    return ready and bool(lookup(pod, "status", "podIP")) and not lookup(pod, "metadata", "deletionTimestamp")


def is_hopeless(pod: Json) -> bool:
    """Whether it will never be ready, so that waiting on is waste."""
    if lookup(pod, "status", "phase") in ("Failed", "Succeeded"):
        return True
    return any(reason in HOPELESS for reason, _ in _waiting(pod))


def why_not_ready(pod: Json, events: Sequence[Json]) -> str:
    """The reason in words: what the pod's status says, then what its latest warnings say."""
    said = [*_status(pod), *_warnings(events)]
    return "; ".join(dict.fromkeys(said)) or f"phase {_text(lookup(pod, 'status', 'phase')) or 'unknown'}"


def _status(pod: Json) -> list[str]:
    said = []
    if lookup(pod, "metadata", "deletionTimestamp"):
        said.append("it is being deleted")
    if lookup(pod, "status", "reason"):  # Evicted, NodeLost, OutOfcpu
        said.append(_said(lookup(pod, "status", "reason"), lookup(pod, "status", "message")))
    said += [
        _said(condition.get("reason"), condition.get("message"))
        for condition in mappings(lookup(pod, "status", "conditions"))
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
    ]
    said += [
        _said(reason, message)
        for reason, message in _waiting(pod)
        if reason not in ("ContainerCreating", "PodInitializing")
    ]
    for status in mappings(lookup(pod, "status", "containerStatuses")):
        for state in (lookup(status, "state", "terminated"), lookup(status, "lastState", "terminated")):
            if state:
                code = _text(lookup(state, "exitCode"))
                said.append(_said(f"{lookup(state, 'reason')} with status {code}", lookup(state, "message")))
    return said


def _waiting(pod: Json) -> list[tuple[str, object]]:
    states = (
        lookup(status, "state", "waiting") for status in mappings(lookup(pod, "status", "containerStatuses"))
    )
    return [(_text(lookup(state, "reason")), lookup(state, "message")) for state in states if state]


def _warnings(events: Sequence[Json]) -> list[str]:
    warnings = [event for event in events if event.get("type") == "Warning"]
    warnings.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [_said(event.get("reason"), event.get("message")) for event in warnings[-_EVENTS:]]


def _said(reason: object, message: object) -> str:
    words = [_text(reason), _text(message)]
    return ": ".join(word for word in words if word)


def _text(value: object) -> str:
    return one_line(value, _LONGEST)
