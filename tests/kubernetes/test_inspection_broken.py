"""What a diagnosis sees of Calico where things are broken, and what a killed one leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes.ours import OWNER, labels
from pytest_calico_perf.cluster.kubernetes.upkeep import clean_up
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.inspected import Case, inspector_of, without
from tests.kubernetes.plane import CalicoSpec, Plane
from tests.kubernetes.plane.trying import needs_root, until
from tests.kubernetes.transport import api_of
from tests.unit.kubernetes.objects import file
from tests.unit.kubernetes.switchable import DEAD

pytestmark = needs_root


@pytest.fixture
def case(fake: FakeApi, tmp_path: Path) -> Iterator[Case]:
    """A cluster to break, with raw CRDs."""
    with Plane(fake, calico=CalicoSpec(mode=Mode.BGP)) as plane:
        api = api_of(fake, tmp_path, patience=1.0)
        yield Case(fake, plane, inspector_of(api), {})
        api.close()


class TestBroken:
    BLOCKED = """\
table inet fault {
  chain out { type filter hook output priority 0; tcp dport 179 drop; }
  chain in { type filter hook input priority 0; tcp dport 179 drop; }
}
"""

    def test_bgp_is_blocked(self, case):
        case.plane.set_rules("node2", self.BLOCKED)
        case.plane.run("node1", "birdc", "-s", socket_of(case, "node1"), "restart", "all").check()
        until(lambda: not case.inspector.sessions("node2").value[0].established)
        look = case.inspector.sessions("node2")
        (session,) = look.value
        assert (session.peer, session.peer_node) == ("198.18.0.11", "node1")
        assert session.state in ("Active", "Connect", "Idle")  # it is the one that dials
        assert look.source == "birdcl show protocols in calico-node of node2"
        assert case.inspector.sessions("node1").value[0].state == "Passive"
        until(lambda: case.plane.agents.probe("node1") != "")
        daemons = case.inspector.daemons("node1")
        assert daemons.value == {"bird": True, "felix": True}
        assert daemons.source == "calico-node-node1: BIRD is not ready: BGP not established with 198.18.0.12"
        assert case.statuses == []

    def test_bird_is_gone(self, case):
        assert case.inspector.daemons("node1").value == {"bird": True, "felix": True}
        case.plane.stop_bird("node1")
        until(lambda: case.inspector.daemons("node1").value["bird"] is False)
        daemons = case.inspector.daemons("node1")
        assert daemons.value["felix"] is True
        assert "Unable to connect to server control socket" in daemons.source
        sessions = case.inspector.sessions("node1")
        assert sessions.value is None
        assert "a report without a session is also what is left when BIRD does not answer" in sessions.why_not
        case.plane.agents.probe("node1")
        case.fake.rbac.rules = without("pods/exec")
        assert case.inspector.daemons("node1").value == {"bird": False}

    def test_calico_node_does_not_run(self, case):
        case.plane.agents.stop_agent("node1", "CrashLoopBackOff", "back-off 5m0s restarting failed container")
        look = case.inspector.daemons("node1")
        assert look.value == {"bird": False, "felix": False}
        assert "calico-node-node1 does not run: CrashLoopBackOff: back-off 5m0s" in look.source

    def test_no_calico_node_is_there(self, case):
        case.fake.store.delete(("", "v1", "pods"), "calico-node-node1", namespace="kube-system")
        case.plane.wait_gone("kube-system", "calico-node-node1")
        look = case.inspector.daemons("node1")
        assert look.value == {"bird": False, "felix": False}
        assert look.source == "no pod of calico-node is on node1"

    def test_the_server_is_away(self, case):
        case.fake.stop()
        look = case.inspector.mesh()
        assert look.value is None
        assert look.why_not


def test_a_report_that_a_killed_run_left_is_cleaned_up(fake, tmp_path):
    with Plane(fake, calico=CalicoSpec(mode=Mode.BGP)) as plane:
        metadata = {"name": "calico-perf-bgp-1-bcdfgh", "labels": dict(labels("bcdfgh"))}
        metadata["annotations"] = {OWNER: DEAD}
        resource = plane.resources.of("caliconodestatuses")
        spec = {"node": "node1", "classes": ["BGP"], "updatePeriodSeconds": 1}
        fake.store.create(resource, {"metadata": metadata, "spec": spec})
        fake.store.create(resource, {"metadata": {"name": "theirs"}, "spec": spec})
        said: list[str] = []
        of = file(f"kubeconfig: {fake.kubeconfig(tmp_path / 'kubeconfig')}")
        assert clean_up(of, show_only=False, tell=said.append)
        assert any("calico-perf-bgp-1-bcdfgh" in line for line in said)
        assert [each["metadata"]["name"] for each in fake.store.list(resource)] == ["theirs"]


def socket_of(case: Case, node: str) -> str:
    return f"{case.plane.sandbox.scratch(node)}/bird.ctl"
