"""What the plane's own tests do over and over: pods, pools, commands in pods."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import pytest

from pytest_calico_perf.model import Mode
from tests.kubernetes.plane.plane import Plane
from tests.kubernetes.plane.pools import spec_of
from tests.kubernetes.plane.resources import PODS

Json = dict[str, Any]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")

RANGES = {mode: IPv4Network(f"198.19.{number}.0/24") for number, mode in enumerate(Mode)}
V1_POOLS = ("crd.projectcalico.org", "v1", "ippools")
V3_POOLS = ("projectcalico.org", "v3", "ippools")


@dataclass(frozen=True)
class Said:
    """What a command in a pod left."""

    code: int
    out: str
    err: str


def make_pool(plane: Plane, mode: Mode, resource: tuple[str, str, str] = V1_POOLS, **spec: Any) -> str:
    """A pool of that mode with an own range, named after it; return its name."""
    body = {
        "metadata": {"name": str(mode)},
        "spec": spec_of(mode, RANGES[mode], 28, assignmentMode="Manual") | spec,
    }
    plane.fake.store.create(resource, body)
    plane.settle()
    return str(mode)


def make_pod(
    plane: Plane, name: str, node: str = "", pool: str = "", *, namespace: str = "default", **spec: Any
) -> Json:
    """A pod of two containers; its name is its label `app`."""
    annotations = {"cni.projectcalico.org/ipv4pools": json.dumps([pool])} if pool else {}
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}, "annotations": annotations}
    images = [{"name": each, "image": f"registry.example/{each}:1"} for each in ("tools", "web")]
    pinned = {"nodeName": node} if node else {}
    return plane.fake.store.create(
        PODS, {"metadata": metadata, "spec": {"containers": images} | pinned | spec}
    )


def run_pods(plane: Plane, *names_nodes_pools: Sequence[str]) -> list[str]:
    """Pods by (name, node, pool), all Ready; return their addresses."""
    for each in names_nodes_pools:
        make_pod(plane, *each)
    return [plane.wait_ready("default", name)["status"]["podIP"] for name, *_ in names_nodes_pools]


def say(
    plane: Plane, pod: str, *argv: str, container: str = "tools", namespace: str = "default", stdin: str = ""
) -> Said:
    """Run a command in a pod to its end, which comes within 20 s."""
    with plane.exec(namespace, pod, container, ["timeout", "20", *argv]) as process:
        out, err = process.communicate(stdin.encode())
    return Said(process.returncode, out.decode(), err.decode())


def reaches(plane: Plane, pod: str, address: str) -> bool:
    """Whether one echo comes back."""
    return say(plane, pod, "ping", "-n", "-c", "1", "-W", "1", address).code == 0


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for what comes at its own pace: BGP's routes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def events(plane: Plane, pod: str, namespace: str = "default") -> dict[str, str]:
    """Reason -> message of the last event of that reason about a pod."""
    found = plane.fake.store.list(
        ("", "v1", "events"), namespace=namespace, fields=f"involvedObject.name={pod}"
    )
    return {event["reason"]: event["message"] for event in found}
