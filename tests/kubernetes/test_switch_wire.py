"""Switching through the real client: every API group, operator and manifest, hiccups, a run killed for good."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.detection import find_calico
from pytest_calico_perf.cluster.kubernetes.journal import ANNOTATION, Journal
from pytest_calico_perf.cluster.kubernetes.permissions import Role
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.switch import Switch, uid_of_cluster
from pytest_calico_perf.cluster.kubernetes.target import Target
from pytest_calico_perf.cluster.kubernetes.unfinished import recover, restore
from pytest_calico_perf.errors import ApiProblem, ClusterProblem
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi, Store, drop, reset, status, truncate
from tests.kubernetes.fake.faults import Action
from tests.kubernetes.granted import granted
from tests.kubernetes.transport import api_of, until
from tests.unit.kubernetes.switchable import CIDR, DEAD, POOL

V1 = ("crd.projectcalico.org", "v1", "ippools")
V3 = ("projectcalico.org", "v3", "ippools")
INSTALLATIONS = ("operator.tigera.io", "v1", "installations")
STATUSES = ("operator.tigera.io", "v1", "tigerastatuses")
DAEMON_SETS = ("apps", "v1", "daemonsets")
ROOT = Path(__file__).parents[2]

WORDS = {
    "None": ("Never", "Never"),
    "IPIP": ("Always", "Never"),
    "IPIPCrossSubnet": ("CrossSubnet", "Never"),
    "VXLAN": ("Never", "Always"),
    "VXLANCrossSubnet": ("Never", "CrossSubnet"),
}


class Calico:
    """A fake server with a pool, and the operator's controller where there is one."""

    def __init__(self, fake: FakeApi, api: str, *, by_operator: bool) -> None:
        self.fake = fake
        self.pools = V1 if api == "v1" else V3
        self.holder = (INSTALLATIONS, "default") if by_operator else (self.pools, POOL)
        if api in ("v1", "aggregated"):
            fake.register(*V1, "IPPool")
        if api == "aggregated":
            fake.register(*V3, "IPPool", storage=V1[::2])
        if api == "native":
            fake.register(*V3, "IPPool")
        spec = {
            "cidr": CIDR,
            "ipipMode": "Always",
            "vxlanMode": "Never",
            "natOutgoing": True,
            "blockSize": 26,
        }
        labels = {"app.kubernetes.io/managed-by": "tigera-operator"} if by_operator else {}
        self._create(
            self.pools, {"kind": "IPPool", "metadata": {"name": POOL, "labels": labels}, "spec": spec}
        )
        ready = {
            "observedGeneration": 1,
            "currentNumberScheduled": 2,
            "desiredNumberScheduled": 2,
            "numberReady": 2,
            "numberMisscheduled": 0,
        }
        containers = [{"name": "calico-node", "image": "quay.io/calico/node:v3.31.0"}]
        template = {"metadata": {"labels": {"k8s-app": "calico-node"}}, "spec": {"containers": containers}}
        selector = {"matchLabels": {"k8s-app": "calico-node"}}
        namespace = "calico-system" if by_operator else "kube-system"
        if by_operator:
            self._create(("", "v1", "namespaces"), {"kind": "Namespace", "metadata": {"name": namespace}})
        self._create(
            DAEMON_SETS,
            {
                "kind": "DaemonSet",
                "metadata": {"name": "calico-node"},
                "spec": {"selector": selector, "template": template},
                "status": ready,
            },
            namespace=namespace,
        )
        if by_operator:
            fake.register(*INSTALLATIONS, "Installation")
            fake.register(*STATUSES, "TigeraStatus")
            listed = [{"cidr": CIDR, "encapsulation": "IPIP", "blockSize": 26, "natOutgoing": "Enabled"}]
            network = {"bgp": "Enabled", "linuxDataplane": "Iptables", "ipPools": listed}
            self._create(
                INSTALLATIONS,
                {
                    "kind": "Installation",
                    "metadata": {"name": "default", "annotations": {"kept": "yes"}},
                    "spec": {"variant": "Calico", "calicoNetwork": network},
                },
            )
            self._create(STATUSES, {"kind": "TigeraStatus", "metadata": {"name": "calico"}, "status": {}})
            fake.store.subscribe(self._reconcile)

    @property
    def store(self) -> Store:
        return self.fake.store

    def _create(self, resource: tuple[str, str, str], thing: dict[str, Any], namespace: str = "") -> None:
        group, version, _ = resource
        thing["apiVersion"] = f"{group}/{version}" if group else version
        self.store.create(resource, thing, **({"namespace": namespace} if namespace else {}))

    def _reconcile(self, event: str, thing: Mapping[str, Any]) -> None:
        """What the operator does when its Installation changes."""
        if thing["kind"] == "Installation" and event == "MODIFIED":
            word = thing["spec"]["calicoNetwork"]["ipPools"][0].get("encapsulation", "IPIP")
            ipip, vxlan = WORDS[word]
            self.store.patch(self.pools, POOL, {"spec": {"ipipMode": ipip, "vxlanMode": vxlan}})

    @property
    def modes(self) -> tuple[str, str]:
        spec = self.store.get(self.pools, POOL)["spec"]
        return spec["ipipMode"], spec["vxlanMode"]

    @property
    def state(self) -> Any:
        """What is switched, as its owner sees it."""
        found = copy.deepcopy(dict(self.store.get(*self.holder)))
        metadata = found["metadata"]
        for name in ("resourceVersion", "generation", "managedFields"):
            metadata.pop(name, None)
        if not metadata.get("annotations"):
            metadata.pop("annotations", None)
        return found

    @property
    def noted(self) -> bool:
        return ANNOTATION in (self.store.get(*self.holder)["metadata"].get("annotations") or {})


KINDS = {
    f"{api}-{'operator' if by_operator else 'manifest'}": (api, by_operator)
    for api in ("v1", "aggregated", "native")
    for by_operator in (False, True)
}


@pytest.fixture(params=KINDS)
def calico(request, monkeypatch, tmp_path) -> Iterator[Calico]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    api, by_operator = KINDS[request.param]
    with FakeApi() as fake:
        yield Calico(fake, api, by_operator=by_operator)


@pytest.fixture
def manifest(monkeypatch, tmp_path) -> Iterator[Calico]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with FakeApi() as fake:
        yield Calico(fake, "v1", by_operator=False)


@contextmanager
def api_to(calico: Calico, folder: Path, **options: Any) -> Iterator[Api]:
    api = api_of(calico.fake, folder, **options)
    try:
        yield api
    finally:
        api.close()


def switch(api: Api, *, run: str = "bcdfgh", owner: str = DEAD) -> Switch:
    facts = find_calico(Look(api))
    assert facts is not None
    journal = Journal.of_cluster(uid_of_cluster(api))
    return Switch(api, Target.of(facts), journal, run=run, owner=owner, deadline=10.0)


def journals(folder: Path) -> list[Path]:
    return list((folder / "state").rglob("*.json"))


def test_modes_there_and_back(calico, tmp_path):
    before = calico.state
    with api_to(calico, tmp_path) as api:
        one = switch(api)
        for mode, word in (
            (Mode.BGP, "None"),
            (Mode.VXLAN, "VXLAN"),
            (Mode.IPIP_CROSS_SUBNET, "IPIPCrossSubnet"),
            (Mode.CURRENT, "IPIP"),
            (Mode.VXLAN_CROSS_SUBNET, "VXLANCrossSubnet"),
        ):
            one.to(mode)
            assert calico.modes == WORDS[word]
            assert calico.noted
            assert len(journals(tmp_path)) == 1
        one.restore()
    assert calico.state == before
    assert calico.modes == ("Always", "Never")
    assert not journals(tmp_path)


def test_a_run_killed_for_good_is_put_back_by_the_next(calico, tmp_path):
    before = calico.state
    child = start_child(calico, tmp_path)
    try:
        until(lambda: calico.modes == WORDS["VXLAN"], 30)
        with api_to(calico, tmp_path) as api:
            with pytest.raises(ClusterProblem, match="switched right now, by run childs"):
                recover(api, deadline=10.0)
            with pytest.raises(ClusterProblem, match="switched already, by run childs"):
                switch(api).to(Mode.BGP)
            child.kill()
            child.wait(10)
            [said] = recover(api, deadline=10.0)
    finally:
        child.kill()
        child.wait(10)
    assert "again, as before (left by run childs" in said
    assert calico.state == before
    assert calico.modes == ("Always", "Never")
    assert not journals(tmp_path)


def test_ctrl_c_puts_back(manifest, tmp_path):
    before = manifest.state
    child = start_child(manifest, tmp_path)
    try:
        until(lambda: manifest.modes == WORDS["VXLAN"], 30)
        child.send_signal(signal.SIGINT)
        child.wait(30)
    finally:
        child.kill()
        child.wait(10)
    assert manifest.state == before
    assert not journals(tmp_path)


def start_child(calico: Calico, folder: Path) -> subprocess.Popen[bytes]:
    config = calico.fake.kubeconfig(folder / "childs-kubeconfig")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kubernetes.switch_child", str(config), "vxlan"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )


HICCUPS = {
    "500": status(500),
    "429": status(429, retry_after=1),
    "dropped": drop(),
    # The server has done it, and nobody knows: repeated, it is refused with 409 and found done.
    "dropped after the fact": drop(done=True),
    "reset after the fact": reset(done=True),
    "truncated": truncate(),
}


@pytest.mark.parametrize("hiccup", HICCUPS.values(), ids=HICCUPS)
@pytest.mark.parametrize("skip", range(3), ids=["at the note", "at the switch", "at the way back"])
def test_hiccups_at_every_patch(manifest, tmp_path, hiccup: Action, skip: int):
    before = manifest.state
    fault = manifest.fake.faults.add(("PATCH", r"/ippools/"), hiccup, times=1, skip=skip)
    with api_to(manifest, tmp_path) as api:
        one = switch(api)
        one.to(Mode.VXLAN)
        assert manifest.modes == WORDS["VXLAN"]
        one.restore()
    assert fault.hits == 1
    assert manifest.state == before
    assert not journals(tmp_path)


def test_a_server_that_is_gone_for_the_way_back_leaves_the_notes_for_later(manifest, tmp_path):
    before = manifest.state
    with api_to(manifest, tmp_path, patience=0.5) as api:
        one = switch(api)
        one.to(Mode.VXLAN)
        manifest.fake.stop()
        with pytest.raises(
            ClusterProblem, match="not put back to ipipMode Always, vxlanMode Never"
        ) as caught:
            one.restore()
        assert "--calico-restore" in str(caught.value)
        [left] = journals(tmp_path)
        assert str(left) in str(caught.value)
        manifest.fake.start()
        assert restore(api, deadline=10.0)
    assert manifest.state == before
    assert not journals(tmp_path)


def test_a_refused_patch_names_itself_and_changes_nothing(calico, tmp_path):
    before = calico.state
    with api_to(calico, tmp_path) as api:
        one = switch(api)
        calico.fake.rbac.rules = granted(Role.LOOK, Role.WORKLOAD, Role.NAMESPACES)
        with pytest.raises(ApiProblem) as caught:
            one.to(Mode.BGP)
        assert caught.value.status == 403
        one.restore()
    assert calico.state == before
    assert not journals(tmp_path)


def test_what_docs_rbac_yaml_grants_is_enough(calico, tmp_path):
    before = calico.state
    calico.fake.rbac.rules = granted(Role.LOOK, Role.WORKLOAD, Role.NAMESPACES, Role.SWITCH)
    with api_to(calico, tmp_path) as api:
        one = switch(api)
        one.to(Mode.BGP)
        assert calico.modes == WORDS["None"]
        assert restore_of_a_dead_run(api)
    assert calico.state == before


def restore_of_a_dead_run(api: Api) -> list[str]:
    return restore(api, deadline=10.0)
