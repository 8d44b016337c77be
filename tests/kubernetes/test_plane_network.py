"""Pools change the network: in every mode real packets go as Calico would send them."""

from __future__ import annotations

import json
import re

import pytest

from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.model import Mode
from tests.kubernetes.plane import TUNNEL_ANNOTATION, CalicoSpec, Plane
from tests.kubernetes.plane.resources import DAEMON_SETS, NODES, PODS
from tests.kubernetes.plane.trying import (
    RANGES,
    V1_POOLS,
    make_pod,
    make_pool,
    needs_root,
    reaches,
    run_pods,
    say,
    until,
)

pytestmark = needs_root

MODES = [mode for mode in Mode if mode is not Mode.CURRENT]
PLAIN = r"IP {client} > {server}: ICMP echo request"
WIRE = {
    "none": PLAIN,
    "ipip": r"IP {node} > {peer}: IP {client} > {server}: ICMP echo request",
    "vxlan": r"IP {node}\.\d+ > {peer}\.4789: VXLAN, flags \[I\] \(0x08\), vni 4096 IP {client} > {server}: ICMP echo request",
}


def on_the_wire(plane: Plane, client: str, address: str) -> str:
    """What tcpdump sees leave node1 for one echo; a tunnel's inner packet on the same line."""
    argv = [
        "tcpdump",
        "-i",
        "node1",
        "-Q",
        "in",
        "-nn",
        "-l",
        "--immediate-mode",
        "-t",
        "not",
        "arp",
        "and",
        "not",
        "tcp",
    ]
    with plane.sandbox.start_command(FABRIC, argv, limit=20) as capture:
        capture.wait_for_output("listening on", deadline=10)
        until(lambda: reaches(plane, client, address))
        capture.wait_for_output("ICMP echo request", deadline=5)
        out = capture.finish(deadline=0.2).stdout
    return re.sub(r"\n\s+(?=\d|IP)", " ", out.replace("4096\nIP", "4096 IP"))


def wire(plane: Plane, kind: str, client: str, server: str) -> str:
    first, *_, last = plane.topology.nodes
    names = {"node": first.address, "peer": last.address, "client": client, "server": server}
    return WIRE[kind].format(**{name: re.escape(str(address)) for name, address in names.items()})


@pytest.mark.parametrize(
    ("mode", "subnets"),
    [(mode, subnets) for mode in MODES for subnets in (1, 2) if (mode, subnets) != (Mode.BGP, 2)],
)
def test_packets_on_the_wire(fake, mode, subnets):
    with Plane(fake, subnets=subnets, calico=CalicoSpec(mode=Mode.BGP)) as plane:
        pool = make_pool(plane, mode)
        client, server = run_pods(plane, ("client", "node1", pool), ("server", "node2", pool))
        kind = "none" if mode.cross_subnet and subnets == 1 else str(mode.tunnel)
        assert re.search(wire(plane, kind, client, server), on_the_wire(plane, "client", server))


def test_without_encapsulation_a_router_that_knows_no_pod_drops_them(fake):
    with Plane(fake, subnets=2, calico=CalicoSpec(mode=Mode.BGP)) as plane:
        _, server = run_pods(plane, ("client", "node1"), ("server", "node2"))
        until(lambda: any("/26 via" in route for route in plane.routes("node1")))
        assert not reaches(plane, "client", server)


def test_all_modes_side_by_side(plane):
    pools = [make_pool(plane, mode) for mode in MODES]
    addresses = run_pods(
        plane, *((f"{pool}-{node}", node, pool) for pool in pools for node in ("node1", "node2"))
    )
    for pool, server in zip(pools, addresses[1::2], strict=True):
        until(lambda pool=pool, server=server: reaches(plane, f"{pool}-node1", server))
    for mode, address in zip([mode for mode in MODES for _ in range(2)], addresses, strict=True):
        assert address in map(str, RANGES[mode])


def test_tunl0_counts_what_it_sends_as_a_real_one_does(plane):
    pool = make_pool(plane, Mode.IPIP)
    _, server = run_pods(plane, ("client", "node1", pool), ("server", "node2", pool))
    until(lambda: reaches(plane, "client", server))

    def sent() -> int:
        (link,) = json.loads(plane.run("node1", "ip", "-s", "-j", "link", "show", "tunl0").check().stdout)
        return link["stats64"]["tx"]["packets"]

    before = sent()
    assert say(plane, "client", "ping", "-n", "-q", "-c", "20", "-i", "0.01", server).code == 0
    assert sent() - before == 20


def test_fragments_and_bulk_pass_the_counting_tunnel(plane):
    pool = make_pool(plane, Mode.IPIP)
    _, server = run_pods(plane, ("client", "node1", pool), ("server", "node2", pool))
    until(lambda: reaches(plane, "client", server))
    assert say(plane, "client", "ping", "-n", "-c", "2", "-i", "0.05", "-s", "4000", server).code == 0
    with plane.exec("default", "server", "tools", ["timeout", "30", "iperf3", "-s", "-1"]) as listening:
        until(lambda: say(plane, "client", "iperf3", "-c", server, "-n", "20M").code == 0)
        listening.communicate()


class TestMtu:
    """Of new pods: the least over all encapsulations some pool has, whatever their own pool is."""

    def mtu(self, plane: Plane, pod: str) -> int:
        return int(say(plane, pod, "cat", "/sys/class/net/eth0/mtu").out)

    def test_follows_the_pools_and_old_pods_keep_theirs(self, plane):
        seen = []
        for number, mode in enumerate((Mode.BGP, Mode.IPIP, Mode.VXLAN_CROSS_SUBNET)):
            make_pool(plane, mode)
            run_pods(plane, (f"pod{number}", "node1", "bgp"))
            seen.append(self.mtu(plane, f"pod{number}"))
        assert seen == [1500, 1480, 1450]
        assert self.mtu(plane, "pod0") == 1500
        plane.fake.store.delete(V1_POOLS, "vxlan-cross-subnet")
        plane.settle()
        assert plane.pod_mtu == 1480

    def test_a_disabled_pool_counts_too(self, plane):
        make_pool(plane, Mode.VXLAN, disabled=True)
        assert plane.pod_mtu == 1450


class TestTunnels:
    def annotations(self, plane: Plane, node: str = "node1") -> dict[str, str]:
        return plane.fake.store.get(NODES, node)["metadata"]["annotations"]

    @pytest.mark.parametrize(("mode", "device"), [(Mode.IPIP, "tunl0"), (Mode.VXLAN, "vxlan.calico")])
    def test_addresses_come_and_go_with_the_pools(self, plane, mode, device):
        name = TUNNEL_ANNOTATION[mode.tunnel]
        assert name not in self.annotations(plane)
        make_pool(plane, mode)
        address = self.annotations(plane)[name]
        assert address in map(str, RANGES[mode])
        assert address in plane.run("node1", "ip", "address", "show", "dev", device).check().stdout
        plane.fake.store.delete(V1_POOLS, str(mode))
        plane.settle()
        assert name not in self.annotations(plane)
        assert address not in plane.run("node1", "ip", "address").check().stdout

    def test_a_pool_that_is_not_for_tunnels_gives_them_no_address(self, plane):
        make_pool(plane, Mode.IPIP, allowedUses=["Workload"])
        assert TUNNEL_ANNOTATION[Mode.IPIP.tunnel] not in self.annotations(plane)

    def test_a_second_pool_leaves_them_where_they_are(self, plane):
        make_pool(plane, Mode.IPIP)
        before = self.annotations(plane)
        make_pool(plane, Mode.IPIP_CROSS_SUBNET)
        assert self.annotations(plane) == before

    def test_a_disabled_pool_loses_them(self, plane):
        make_pool(plane, Mode.VXLAN)
        plane.fake.store.patch(V1_POOLS, "vxlan", {"spec": {"disabled": True}})
        plane.settle()
        assert TUNNEL_ANNOTATION[Mode.VXLAN.tunnel] not in self.annotations(plane)


def test_felix_restarts_when_an_encapsulation_is_new_and_calico_node_is_not_ready_meanwhile(fake):
    with Plane(fake, calico=CalicoSpec(mode=Mode.BGP, felix_restart=0.5)) as plane:
        seen: list[int] = []
        subscription = fake.store.subscribe(
            lambda _, obj: (
                seen.append(obj["status"]["numberReady"])
                if (obj["kind"], obj["metadata"]["name"]) == ("DaemonSet", "calico-node")
                else None
            )
        )
        make_pool(plane, Mode.IPIP)
        assert seen == [0, 2]
        make_pool(plane, Mode.IPIP_CROSS_SUBNET)
        assert seen == [0, 2]
        subscription.close()
        assert (
            fake.store.get(DAEMON_SETS, "calico-node", namespace="kube-system")["status"]["numberReady"] == 2
        )


def test_switching_a_live_pool_moves_its_routes_and_leaves_its_pods(plane):
    pool = make_pool(plane, Mode.IPIP)
    _, server = run_pods(plane, ("client", "node1", pool), ("server", "node2", pool))

    def device() -> str:
        block = server.rpartition(".")[0]
        return next(
            (
                route.split(" dev ")[1].split()[0]
                for route in plane.routes("node1")
                if f"{block}.16/28 via" in route or f"{block}.0/28 via" in route
            ),
            "",
        )

    until(lambda: device() == "tunl0")
    for spec, expected in (
        ({"ipipMode": "Never"}, "eth0"),
        ({"ipipMode": "CrossSubnet"}, "eth0"),
        ({"ipipMode": "Never", "vxlanMode": "Always"}, "vxlan.calico"),
        ({"ipipMode": "Always", "vxlanMode": "Never"}, "tunl0"),
    ):
        plane.fake.store.patch(V1_POOLS, pool, {"spec": spec})
        plane.settle()
        until(lambda expected=expected: device() == expected)
        until(lambda: reaches(plane, "client", server))


def test_nat_outgoing_hides_pods_from_nodes_only_where_the_pool_says_so(plane):
    for mode, hidden in ((Mode.BGP, True), (Mode.IPIP, False)):
        pool = make_pool(plane, mode, natOutgoing=hidden)
        (address,) = run_pods(plane, (pool, "node1", pool))
        argv = ["tcpdump", "-i", "node2", "-nn", "-l", "--immediate-mode", "-t", "-c", "1", "icmp[0] = 8"]
        with plane.sandbox.start_command(FABRIC, argv, limit=20) as capture:
            capture.wait_for_output("listening on", deadline=10)
            say(plane, pool, "ping", "-n", "-c", "1", "-W", "1", str(plane.topology.node("node2").address))
            said = capture.finish(deadline=5).stdout
        source = plane.topology.node("node1").address if hidden else address
        assert f"IP {source} > " in said


def test_without_bird_only_vxlan_has_routes(fake):
    with Plane(fake, calico=CalicoSpec(backend="vxlan", mode=Mode.VXLAN)) as plane:
        make_pool(plane, Mode.BGP)
        _, near, _, far = run_pods(
            plane, ("c1", "node1"), ("s1", "node2"), ("c2", "node1", "bgp"), ("s2", "node2", "bgp")
        )
        until(lambda: reaches(plane, "c1", near))
        assert not reaches(plane, "c2", far)


@pytest.mark.parametrize(
    ("spec", "ipip", "bare"),
    [
        (CalicoSpec(version="v3.32.1"), "proto bird", "proto bird"),
        (CalicoSpec(version="v3.33.0"), "proto 80", "proto bird"),
        (CalicoSpec(version="v3.31.0", felix={"programClusterRoutes": "Enabled"}), "proto 80", "proto 80"),
        (
            CalicoSpec(version="v3.33.0", felix={"programClusterRoutes": "Enabled"}, backend="vxlan"),
            "proto 80",
            "proto 80",
        ),
    ],
)
def test_who_writes_routes_depends_on_calicos_release(fake, spec, ipip, bare):
    with Plane(fake, calico=spec) as plane:
        make_pool(plane, Mode.BGP)
        pods = (("c1", "node1"), ("s1", "node2"), ("c2", "node1", "bgp"), ("s2", "node2", "bgp"))
        _, wrapped, _, plain = run_pods(plane, *pods)
        until(lambda: reaches(plane, "c1", wrapped) and reaches(plane, "c2", plain))
        routes = plane.routes("node1")
        assert any("dev tunl0" in route and ipip in route for route in routes)
        assert any(
            route.startswith("198.19.") and "via 198.18.0.12 dev eth0" in route and bare in route
            for route in routes
        )


def test_nodes_and_their_pods_ask_each_other(plane):
    pool = make_pool(plane, Mode.VXLAN)
    make_pod(plane, "host", "node1", hostNetwork=True)
    assert plane.wait_ready("default", "host")["status"]["podIP"] == str(plane.topology.node("node1").address)
    (server,) = run_pods(plane, ("server", "node2", pool))
    until(lambda: reaches(plane, "host", server))
    assert reaches(plane, "server", str(plane.topology.node("node1").address))
    assert plane.fake.store.get(PODS, "host", namespace="default")["status"]["hostIP"] == "198.18.0.11"
