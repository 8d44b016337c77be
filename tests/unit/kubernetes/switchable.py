"""A cluster in memory whose mode can be switched, interrupted at any of its steps."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_calico_perf.cluster.kubernetes.calico import CalicoFacts
from pytest_calico_perf.cluster.kubernetes.detection import find_calico
from pytest_calico_perf.cluster.kubernetes.journal import Entry, Journal
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.resource import (
    DAEMON_SETS,
    INSTALLATIONS,
    NAMESPACES,
    Json,
    Resource,
)
from pytest_calico_perf.cluster.kubernetes.switch import Switch
from pytest_calico_perf.cluster.kubernetes.target import Target
from pytest_calico_perf.errors import ApiProblem
from tests.unit.kubernetes.objects import RAW_API, InMemory, calico_node, named, pool

UID = "0a1b2c3d-0000-4000-8000-000000000001"
DEAD = re.sub(r"process \d+ started at \d+", "process 999999999 started at 1", owner())
ELSEWHERE = "somebody on another-machine, process 1 started at 1"
CIDR = "10.244.0.0/16"
POOL = "default-ipv4-ippool"


class Killed(BaseException):
    """SIGKILL: nothing of the run does anything any more."""


class Cluster(InMemory):
    """A cluster that can be patched; implements `switch.Patcher`.

    Every request and every writing of a journal is a step. `end_at` names the one at which `end` is raised,
    before it has an effect or, with `late`, after it.
    """

    def __init__(self) -> None:
        super().__init__((RAW_API.group, RAW_API.version))
        self.steps = 0
        self.end: type[BaseException] = KeyboardInterrupt
        self.end_at = 0
        self.late = False
        self.meanwhile: list[Callable[[], None]] = []  # done one by one, before the next patches arrive
        self.patches: list[tuple[str, Json]] = []
        self.down = False
        self.by_operator = False
        self.operator_works = True

    @contextmanager
    def step(self) -> Iterator[None]:
        self.steps += 1
        mine = self.steps
        if mine == self.end_at and not self.late:
            raise self.end
        yield
        if mine == self.end_at and self.late:
            raise self.end

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Json | None:
        with self.step():
            if self.down:
                raise ApiProblem("connection refused", where=self.server)
            return copy.deepcopy(super().find(resource, name, namespace=namespace))

    def patch(self, resource: Resource, name: str, patch: Json, *, namespace: str = "") -> Json:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        with self.step():
            if self.down:
                raise ApiProblem("connection refused", where=self.server)
            thing = self.raw(resource, name)
            version = patch["metadata"].get("resourceVersion")
            if version is not None and version != thing["metadata"]["resourceVersion"]:
                raise ApiProblem("the object has been modified", status=409)
            self.patches.append((name, copy.deepcopy(patch)))
            self.merge(thing, patch)
            spec = thing["spec"]
            if spec.get("ipipMode", "Never") != "Never" and spec.get("vxlanMode", "Never") != "Never":
                raise AssertionError("ipipMode and vxlanMode cannot both be enabled")
            return copy.deepcopy(thing)

    def raw(self, resource: Resource, name: str) -> Any:
        """The object itself, without a request."""
        found = InMemory.find(self, resource, name)
        assert found is not None
        return found

    def raw_namespaced(self, resource: Resource, name: str, namespace: str) -> Any:
        return InMemory.find(self, resource, name, namespace=namespace)

    def merge(self, thing: Any, patch: Json) -> None:
        """Merge patch (RFC 7386), and what the operator does upon it."""
        _merge(thing, {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": None}})
        thing["metadata"]["resourceVersion"] = str(self.steps + 1000)
        if thing in self.objects.get((INSTALLATIONS.group, INSTALLATIONS.version, INSTALLATIONS.plural), []):
            self.reconcile()

    def reconcile(self) -> None:
        """What the operator makes of the Installation."""
        if self.operator_works:
            listed = self.raw(INSTALLATIONS, "default")["spec"]["calicoNetwork"]["ipPools"]
            word = next(each for each in listed if each["cidr"] == CIDR).get("encapsulation", "IPIP")
            spec = self.raw(RAW_API.pools, POOL)["spec"]
            spec["ipipMode"] = {"IPIP": "Always", "IPIPCrossSubnet": "CrossSubnet"}.get(word, "Never")
            spec["vxlanMode"] = {"VXLAN": "Always", "VXLANCrossSubnet": "CrossSubnet"}.get(word, "Never")

    def somebody_writes(self, resource: Resource, name: str, patch: Json) -> None:
        self.merge(self.raw(resource, name), patch)

    @property
    def holder(self) -> tuple[Resource, str]:
        return (INSTALLATIONS, "default") if self.by_operator else (RAW_API.pools, POOL)

    @property
    def state(self) -> Any:
        """The object that is switched, but for its resource version."""
        thing = copy.deepcopy(self.raw(*self.holder))
        del thing["metadata"]["resourceVersion"]
        if not thing["metadata"].get("annotations", True):
            del thing["metadata"]["annotations"]
        return thing

    @property
    def note(self) -> str | None:
        annotations = self.raw(*self.holder)["metadata"].get("annotations") or {}
        return annotations.get("pytest-calico-perf/original")

    @property
    def modes(self) -> tuple[str, str]:
        spec = self.raw(RAW_API.pools, POOL)["spec"]
        return spec.get("ipipMode", "Never"), spec.get("vxlanMode", "Never")

    @property
    def facts(self) -> CalicoFacts:
        found = find_calico(Look(self))
        assert found is not None
        return found


class StepJournal(Journal):
    """A journal whose every write is a step of the cluster, too."""

    def __init__(self, path: Path, cluster: Cluster) -> None:
        super().__init__(path)
        self._cluster = cluster

    def _write(self, entry: Entry, *, new: bool) -> None:
        with self._cluster.step():
            super()._write(entry, new=new)

    def remove(self, run: str) -> None:
        with self._cluster.step():
            super().remove(run)


def manifest(**spec: Any) -> Cluster:
    """A cluster whose pool is its own master."""
    cluster = Cluster()
    cluster.add(NAMESPACES, named("kube-system"))
    cluster.raw(NAMESPACES, "kube-system")["metadata"]["uid"] = UID
    found: Any = pool(**{"ipipMode": "Always", **spec})
    found["spec"] = {key: value for key, value in found["spec"].items() if value is not None}
    found["metadata"] |= {"uid": "pool-uid-1", "resourceVersion": "7"}
    cluster.add(RAW_API.pools, found)
    calico: Any = calico_node("kube-system")
    calico["metadata"]["generation"] = 1
    calico["status"] = {"observedGeneration": 1, "desiredNumberScheduled": 3, "numberReady": 3}
    cluster.add(DAEMON_SETS, calico)
    return cluster


def operator(encapsulation: str | None = "IPIP") -> Cluster:
    """A cluster whose pool the operator keeps as its Installation says."""
    cluster = manifest(by="tigera-operator", ipipMode="Always")
    cluster.by_operator = True
    ours = {"cidr": CIDR, "blockSize": 26, **({"encapsulation": encapsulation} if encapsulation else {})}
    pools = [{"cidr": "2001:db8::/64", "encapsulation": "None"}, ours]
    spec = {"calicoNetwork": {"bgp": "Enabled", "ipPools": pools}, "variant": "Calico"}
    installation: Any = named("default", spec=spec)
    installation["metadata"] |= {
        "uid": "installation-uid-1",
        "resourceVersion": "8",
        "annotations": {"a": "b"},
    }
    cluster.add(INSTALLATIONS, installation)
    cluster.reconcile()
    return cluster


def environment(folder: Path) -> Mapping[str, str]:
    return {"XDG_STATE_HOME": str(folder)}


def journal(cluster: Cluster, folder: Path) -> StepJournal:
    return StepJournal(Journal.of_cluster(UID, environment(folder)).path, cluster)


def switch(cluster: Cluster, folder: Path, *, run: str = "bcdfgh", owner: str = DEAD, **more: Any) -> Switch:
    return Switch(
        cluster,
        Target.of(cluster.facts),
        journal(cluster, folder),
        **{"run": run, "owner": owner, "deadline": 0.0, **more},
    )


def _merge(target: Any, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            if key != "resourceVersion":
                target.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
