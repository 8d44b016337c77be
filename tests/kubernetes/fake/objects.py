"""Manifests in the shapes the client's models demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.kubernetes.fake.kinds import VERSION


def pod(
    name: str, *, node: str = "", containers: Sequence[str] = ("main",), **metadata: Any
) -> dict[str, Any]:
    """A pod as a client would create it; keywords go into its metadata."""
    spec: dict[str, Any] = {
        "containers": [{"name": container, "image": "registry.example/tools:1"} for container in containers]
    }
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def running_pod(
    name: str,
    *,
    node: str = "node1",
    containers: Sequence[str] = ("main",),
    address: str = "127.0.0.1",
    **metadata: Any,
) -> dict[str, Any]:
    """A pod as the store shows it once it runs: create it through the store, where the status counts."""
    since = "2026-01-01T00:00:00Z"
    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": address,
        "startTime": since,
        "conditions": [
            {"type": type_, "status": "True", "lastTransitionTime": since} for type_ in conditions
        ],
        "containerStatuses": [
            {
                "name": container,
                "image": "registry.example/tools:1",
                "imageID": "registry.example/tools@sha256:0",
                "ready": True,
                "restartCount": 0,
                "started": True,
                "state": {"running": {"startedAt": since}},
            }
            for container in containers
        ],
    }
    return pod(name, node=node, containers=containers, **metadata) | {"status": status}


def node(
    name: str,
    *,
    address: str = "198.18.0.1",
    pod_range: str = "",
    ready: bool = True,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A node as its kubelet reports it: create it through the store."""
    since = "2026-01-01T00:00:00Z"
    own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    resources = {"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "20Gi"}
    state = ("True", "KubeletReady") if ready else ("Unknown", "NodeStatusUnknown")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": own | dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            **({"podCIDR": pod_range, "podCIDRs": [pod_range]} if pod_range else {}),
            **({"taints": [dict(taint) for taint in taints]} if taints else {}),
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": resources,
            "allocatable": resources,
            "conditions": [
                {
                    "type": "Ready",
                    "status": state[0],
                    "reason": state[1],
                    "message": "kubelet is posting ready status"
                    if ready
                    else "Kubelet stopped posting node status.",
                    "lastHeartbeatTime": since,
                    "lastTransitionTime": since,
                }
            ],
            "nodeInfo": {
                "machineID": "0" * 32,
                "systemUUID": "0" * 32,
                "bootID": "00000000-0000-0000-0000-000000000000",
                "kernelVersion": "6.18.0",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kubeletVersion": VERSION["gitVersion"],
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }
