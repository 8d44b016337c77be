"""Where packets end with a host at one end: what explains the loss, and what is named besides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_calico_perf.diagnosis import filters, payload, trace
from pytest_calico_perf.diagnosis.looks import Looks
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.payload import Tcp, Transfer
from pytest_calico_perf.diagnosis.scene import Scene
from pytest_calico_perf.diagnosis.trace import Hop, Trace, Zone
from pytest_calico_perf.diagnosis.traffic import Traffic
from pytest_calico_perf.model import Encapsulation, EndpointKind, Mode
from tests.unit.diagnosis.scenes import NODES, Telling, looking, scene, seen

RULE = "table ip filter chain OUTPUT of node2 dropped 50 packets meanwhile: drop"
SYSCTL = "net/ipv4/ip_forward"


def to_host() -> Scene:
    """A pod asks the other node, whose answers ipip wraps."""
    found = scene(Mode.IPIP, Encapsulation.IPIP)
    host = Telling("node2", "node2", EndpointKind.HOST, NODES["node2"])
    server = replace(found.server, endpoint=host, host=host, pod=None, veth="")
    return replace(found, server=server, forward=Encapsulation.NONE)


def from_host() -> Scene:
    """A node asks the other's pod, wrapped in ipip both ways."""
    found = scene(Mode.IPIP, Encapsulation.IPIP)
    host = Telling("node1", "node1", EndpointKind.HOST, NODES["node1"])
    return replace(found, client=replace(found.client, endpoint=host, host=host, pod=None, veth=""))


def answers(answered: int, wrapped: int) -> Trace:
    """Of 50 pings that reached node2 and whose answers do not leave it."""
    counted = (
        (Zone.SOURCE, "were sent by pod a", 50),
        (Zone.TARGET_NODE, "reached node2", 50),
        (Zone.TARGET_NODE_BACK, "were answered by node2", answered),
        (Zone.TARGET_NODE_BACK, "answers left node2 by tunl0", wrapped),
        (Zone.TARGET_NODE_BACK, "answers left node2 by eth0", 0),
        (Zone.SOURCE_BACK, "came back to pod a as answers", 0),
    )
    return Trace(50, "echo requests", tuple(Hop(*each) for each in counted))


def examine(
    monkeypatch: pytest.MonkeyPatch, found: Scene, traced: Trace, notes: Notes, *rules: str
) -> list[str]:
    monkeypatch.setattr(trace, "follow", lambda *_, **__: traced)
    monkeypatch.setattr(filters, "dropping", lambda *_: rules)
    monkeypatch.setattr(
        payload, "transfer", lambda *_, **__: Transfer(Tcp.NO_CONNECTION, "TCP gets no connection")
    )
    Traffic(found, Looks(20), notes).look()
    return [finding.fault.key for finding in notes.findings]


@pytest.mark.parametrize("traced", [answers(0, 0), answers(50, 0)], ids=["not answered", "answers stay"])
def test_a_host_without_a_way_back_drops_nothing_besides(monkeypatch, traced):
    notes = Notes()
    notes.find("block-blackholed", "node2", "node2 throws packets away", at=At.SERVER_NODE_BACK)
    assert examine(monkeypatch, to_host(), traced, notes) == ["block-blackholed"]


@pytest.mark.parametrize("traced", [answers(0, 0), answers(50, 0)], ids=["not answered", "answers stay"])
def test_a_host_with_a_way_back_does(monkeypatch, traced):
    notes = Notes()
    assert examine(monkeypatch, to_host(), traced, notes, RULE) == ["policy-drops-everything"]
    assert notes.findings[0].broken.startswith("node2 drops every answer")
    assert RULE in notes.findings[0].facts


@pytest.mark.parametrize(
    ("forwards", "wrapped", "rules", "key"),
    [
        ("0", 50, (), "forwarding-off"),
        ("1", 50, (), "policy-drops-everything"),
        ("0", 0, (), "policy-drops-everything"),  # they never came as far as the tunnel
        ("0", 50, (RULE,), "policy-drops-everything"),
    ],
)
def test_a_tunnel_that_swallows_what_its_node_sends(monkeypatch, forwards, wrapped, rules, key):
    found = to_host()
    found = replace(found, server=looking(found.server, sysctls=seen({SYSCTL: forwards})))
    notes = Notes()
    assert examine(monkeypatch, found, answers(50, wrapped), notes, *rules) == [key]
    if key == "forwarding-off":
        assert notes.findings[0].broken == (
            "node2 does not forward: net.ipv4.ip_forward is 0, and packets through its tunl0 end there"
        )
        assert (
            "50 answers left node2 by tunl0, and 0 answers left node2 by eth0" in notes.findings[0].facts[1]
        )


def test_counters_of_a_host_are_its_nodes():
    def zones(found: Scene) -> list[Zone]:
        traced = trace.follow(found, Looks(20), found.client, lambda: 50, icmp=True, kind="echo requests")
        return [hop.zone for hop in traced.hops]

    of_pods = zones(scene())
    assert of_pods == sorted(of_pods)
    assert (of_pods[0], of_pods[-1], of_pods.count(Zone.TARGET)) == (Zone.SOURCE, Zone.SOURCE_BACK, 2)
    asked, asking = zones(to_host()), zones(from_host())
    assert Zone.TARGET not in asked
    assert asked == sorted(asked)
    assert asking == sorted(asking)
    assert (asking[0], asking[-1]) == (Zone.SOURCE_NODE, Zone.SOURCE_NODE_BACK)
