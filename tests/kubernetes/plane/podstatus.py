"""A pod's status, and events about it, as scheduler and kubelet write them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.kubernetes.fake.defaults import now

Json = dict[str, Any]

_TYPES = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def unscheduled(pod: Json, message: str) -> Json:
    """The scheduler found no node."""
    condition = _condition("PodScheduled", "False", "Unschedulable", message)
    return _old(pod) | {"phase": "Pending", "conditions": [condition]}


def scheduled(pod: Json) -> Json:
    """The scheduler found one."""
    return _old(pod) | {"phase": "Pending", "conditions": [_condition("PodScheduled", "True")]}


def waiting(
    pod: Json, host: str, reasons: Mapping[str, tuple[str, str]], ips: list[str] | None = None
) -> Json:
    """Containers that do not run yet, each for a reason; `ContainerCreating` where none is given."""
    names = [each["name"] for each in pod["spec"]["containers"]]
    unready = f"containers with unready status: [{' '.join(names)}]"
    conditions = [
        _condition("PodReadyToStartContainers", str(bool(ips))),
        _condition("Initialized", "True"),
        _condition("Ready", "False", "ContainersNotReady", unready),
        _condition("ContainersReady", "False", "ContainersNotReady", unready),
        _condition("PodScheduled", "True"),
    ]
    containers = []
    for each in pod["spec"]["containers"]:
        reason, message = reasons.get(each["name"], ("ContainerCreating", ""))
        state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        containers.append(_container(each, state, ready=False))
    return _placed(pod, host, ips) | {
        "phase": "Pending",
        "conditions": conditions,
        "containerStatuses": containers,
    }


def running(pod: Json, host: str, ips: list[str]) -> Json:
    """All containers run."""
    state = {"running": {"startedAt": now()}}
    return _placed(pod, host, ips) | {
        "phase": "Running",
        "conditions": [_condition(each, "True") for each in _TYPES],
        "containerStatuses": [_container(each, state, ready=True) for each in pod["spec"]["containers"]],
    }


def failed(pod: Json, reason: str, message: str) -> Json:
    """It ended before its time: evicted, or refused by its node."""
    old = _old(pod)
    status = old | {"phase": "Failed", "reason": reason, "message": message}
    conditions = [
        each
        for each in old.get("conditions") or []
        if each["type"] not in ("Ready", "ContainersReady", "DisruptionTarget")
    ]
    conditions += [_condition(each, "False", "PodFailed") for each in ("Ready", "ContainersReady")]
    if reason == "Evicted":
        conditions.append(_condition("DisruptionTarget", "True", "TerminationByKubelet", message))
    ended = {"exitCode": 137, "reason": "Error", "finishedAt": now()}
    containers = [
        each | {"ready": False, "started": False, "state": {"terminated": {"startedAt": now()} | ended}}
        for each in old.get("containerStatuses") or []
    ]
    return status | {"conditions": conditions, "containerStatuses": containers}


def unready(pod: Json) -> Json:
    """Nobody hears of it: what the node lifecycle controller says of pods on a silent node."""
    return _with_ready(pod, _condition("Ready", "False", "NodeNotReady", "Node is not ready"))


def ready_again(pod: Json) -> Json:
    """Its kubelet is heard of again."""
    return _with_ready(pod, _condition("Ready", "True"))


def event(about: Json, reason: str, message: str, *, kind: str, component: str, host: str = "") -> Json:
    """An event about an object; `kind` is Normal or Warning."""
    metadata = about["metadata"]
    source = {"component": component} | ({"host": host} if host else {})
    return {
        "metadata": {
            "generateName": f"{metadata['name'][:200]}.",
            "namespace": metadata.get("namespace") or "default",
        },
        "involvedObject": {
            "apiVersion": about.get("apiVersion", "v1"),
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "source": source,
        "reportingComponent": component,
        "reportingInstance": host,
    }


def _with_ready(pod: Json, ready: Json) -> Json:
    conditions = [ready if each["type"] == "Ready" else each for each in _old(pod).get("conditions") or []]
    return _old(pod) | {"conditions": conditions}


def _old(pod: Json) -> Json:
    return dict(pod.get("status") or {})


def _placed(pod: Json, host: str, ips: list[str] | None) -> Json:
    status = _old(pod) | {"hostIP": host, "hostIPs": [{"ip": host}]}
    status.setdefault("startTime", now())
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": each} for each in ips]}
    return status


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Json:
    condition = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now()}
    return condition | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def _container(spec: Json, state: Json, *, ready: bool) -> Json:
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": f"docker.io/library/{spec['image']}@sha256:{'0' * 64}" if ready else "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    } | ({"containerID": f"containerd://{'0' * 64}"} if ready else {})
