"""Evidence on a real API and real packets: seen on both nodes, and believed only where it fits the mode."""

from __future__ import annotations

import json

from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root

pytestmark = needs_root

CALICO = CalicoSpec(group="crd", managed_by="manifest", mode=Mode.BGP)
PING = ("--calico-path=pod-to-pod", "--calico-probe=ping", "--calico-duration=0.1")


def test_both_nodes_tell_addresses_pools_routes_and_counters(make_world: MakeWorld):
    world = make_world(CALICO)
    run = world.run("--calico-mode=bgp,ipip,vxlan", *PING, "--calico-rounds=2")
    assert run.code == 0, run.output
    pools = {pool["mode"]: pool for pool in run.record["cluster"]["test_pools"]}
    addresses = {node["name"]: node["address"] for node in run.record["cluster"]["nodes"]}
    for mode, device, owner in (
        ("bgp", "eth0", "bird"),
        ("ipip", "tunl0", "bird"),
        ("vxlan", "vxlan.calico", "felix"),
    ):
        shown = run.cells["ping", "pod-to-pod", mode]["evidence"]
        for side, way in (("client", "forward"), ("server", "backward")):
            assert shown[side]["node_address"] == addresses[shown[side]["node"]].partition("/")[0]
            assert shown[side]["pool"]["name"] == pools[mode]["name"]
            assert shown[side]["pool"]["mode"] == mode
            assert (shown[way]["device"], shown[way]["owner"]) == (device, owner)
            assert shown["after"][way] == shown[way]
        assert shown["data_plane"] == "iptables"
        assert shown["path_mtu"] == 1450  # one VXLAN pool makes all pods smaller
        line = shown["line"]
        counts = [shown[key] for key in ("tunnel_packets", "tunnel_packets_server")]
        sent = run.cells["ping", "pod-to-pod", mode]["details"]["sent"]
        grown = [{each: c["after"] - c["before"] for each, c in both.items()} for both in counts]
        assert f"(pool {pools[mode]['name']} {pools[mode]['range']}) by {device}" in line
        if mode != "bgp":
            assert all(each[mode] >= sent for each in grown)
            assert shown["underlay"]["forward"]["mtu"] == 1500
            assert f"{device} +" in line
        else:  # beside two modes that use the tunnels all the time
            assert all(count < sent / 2 for each in grown for count in each.values())
            assert "while it sent at least" in line


def test_a_node_that_leaves_the_tunnel_while_it_is_measured(make_world: MakeWorld):
    world = make_world(CALICO)
    process = world.start("--calico-mode=bgp,ipip", *PING, "--calico-rounds=12")
    world.wait_for_line("round 1/")
    plane, far = world.plane, world.plane.topology.node("node2").address
    through = plane.run("node1", "ip", "-j", "route", "show", "dev", "tunl0").check().stdout
    blocks = [route["dst"] for route in json.loads(through) if route.get("gateway")]
    assert blocks
    for block in blocks:  # BIRD's own route has metric 1024 and stays
        plane.run("node1", "ip", "route", "add", block, "via", str(far), "dev", "eth0").check()
    run = world.finish(process)
    assert run.code == 1
    wrong, right = (run.cells["ping", "pod-to-pod", mode] for mode in ("ipip", "bgp"))
    assert (wrong["outcome"], wrong["samples"]) == ("wrong-path", [])
    assert "node1" in wrong["reason"]
    assert "eth0" in wrong["reason"]
    assert wrong["evidence"]["after"]["forward"]["device"] == "eth0"
    assert right["outcome"] == "ok", right["reason"]
    assert "wrong-path: ping pod-to-pod ipip" in run.output
