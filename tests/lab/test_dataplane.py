"""The lab's data plane is Calico's: its routes, real packets on the wire, MTUs, faults. Nothing is simulated."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

import pytest_calico_perf
from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.errors import ClusterProblem, NotReady, Unsupported, UsageProblem
from pytest_calico_perf.model import Encapsulation, Mode, Path

NONE, IPIP, VXLAN = Encapsulation
MODES = tuple(Mode)


def lab(name: str, **changes: object) -> LabFile:
    file = load(name)
    assert isinstance(file, LabFile)
    return file.model_copy(update=changes)


@pytest.fixture(scope="module")
def one() -> Iterator[LabCluster]:
    with LabCluster(lab("lab"), MODES) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def two() -> Iterator[LabCluster]:
    with LabCluster(lab("lab-two-subnets"), MODES) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def near() -> Iterator[LabCluster]:
    """Two subnets, but client and server in the same one."""
    with LabCluster(lab("lab-two-subnets", pair=("node1", "node2")), MODES) as cluster:
        yield cluster


def run(endpoint, *argv: str, limit: float = 20) -> str:
    return endpoint.run(argv, limit=limit).check().stdout


def ping(pair: EndpointPair, *options: str):
    return pair.client.run(
        ["ping", "-n", "-c", "2", "-i", "0.05", "-W", "1", *options, pair.server.address], limit=10
    )


def on_the_wire(cluster: LabCluster, action: Callable[[], object], *options: str) -> list[str]:
    """What tcpdump sees leave the client's node while something is done; the line after a tunnel's is joined to it."""
    port = cluster.topology.pair[0]
    argv = ["tcpdump", "-i", port, "-Q", "in", "-nn", "-l", "--immediate-mode", "-t", *options, "not", "arp"]
    with cluster.sandbox.start_command(FABRIC, argv, limit=30) as capture:
        capture.wait_for_output("listening on", deadline=10)
        action()
        out = capture.finish(deadline=0.3).stdout  # time to print what its socket holds already
    return [
        line
        for line in re.sub(r"\n\s+(?=\d|IP)", " ", out.replace("4096\nIP", "4096 IP")).splitlines()
        if line
    ]


class TestRoutes:
    """calico.md 4.2: what a node's table says in each mode."""

    def routes(self, cluster: LabCluster, pool: str) -> list[str]:
        lines = run(cluster.host("node1"), "ip", "route", "show", "root", pool).splitlines()
        # A pod's own /32 is named after its veth, which has a test elsewhere.
        return [line.strip() for line in lines if " cali" not in line]

    @pytest.mark.parametrize(
        ("pool", "routes"),
        [
            (
                "198.19.0.0/22",
                [
                    "blackhole 198.19.0.0/26 proto bird",
                    "198.19.0.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                    "198.19.0.128/26 via 198.18.0.4 dev eth0 proto bird metric 1024",
                ],
            ),
            (
                "198.19.4.0/22",
                [
                    "blackhole 198.19.4.0/26 proto bird",
                    "198.19.4.64/26 via 198.18.0.3 dev tunl0 proto bird metric 1024 onlink",
                    "198.19.4.128/26 via 198.18.0.4 dev tunl0 proto bird metric 1024 onlink",
                ],
            ),
            (
                "198.19.8.0/22",
                [
                    "blackhole 198.19.8.0/26 proto bird",
                    "198.19.8.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                    "198.19.8.128/26 via 198.18.0.4 dev eth0 proto bird metric 1024",
                ],
            ),
            (
                "198.19.12.0/22",
                [
                    "blackhole 198.19.12.0/26 proto 80",
                    "198.19.12.64/26 via 198.19.12.64 dev vxlan.calico onlink",
                    "198.19.12.128/26 via 198.19.12.128 dev vxlan.calico onlink",
                ],
            ),
            (
                "198.19.16.0/22",
                [
                    "blackhole 198.19.16.0/26 proto 80",
                    "198.19.16.64/26 via 198.18.0.3 dev eth0 proto 80 onlink",
                    "198.19.16.128/26 via 198.18.0.4 dev eth0 proto 80 onlink",
                ],
            ),
        ],
    )
    def test_one_subnet(self, one, pool, routes):
        assert self.routes(one, pool) == routes

    @pytest.mark.parametrize(
        ("pool", "near", "far"),
        [
            (
                "198.19.0.0/22",
                "198.19.0.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                "198.19.0.128/26 via 198.18.0.1 dev eth0 proto bird metric 1024",
            ),
            (
                "198.19.8.0/22",
                "198.19.8.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                "198.19.8.128/26 via 198.18.1.2 dev tunl0 proto bird metric 1024 onlink",
            ),
            (
                "198.19.16.0/22",
                "198.19.16.64/26 via 198.18.0.3 dev eth0 proto 80 onlink",
                "198.19.16.128/26 via 198.19.12.128 dev vxlan.calico onlink",
            ),
        ],
    )
    def test_two_subnets(self, two, pool, near, far):
        assert self.routes(two, pool)[1:3] == [near, far]

    def test_the_router_knows_no_pod(self, two):
        table = two.sandbox.run(FABRIC, ["ip", "route"], limit=5).check().stdout
        assert "198.18.0.0/24 dev br0" in table
        assert "198.19." not in table

    def test_devices_are_as_felix_makes_them(self, one):
        (link,) = json.loads(run(one.host("node1"), "ip", "-d", "-j", "link", "show", "vxlan.calico"))
        vxlan = link["linkinfo"]["info_data"]
        assert (link["mtu"], vxlan["id"], vxlan["port"], vxlan["learning"]) == (1450, 4096, 4789, False)
        (tunnel,) = json.loads(run(one.host("node1"), "ip", "-j", "address", "show", "tunl0"))
        assert tunnel["mtu"] == 1480
        addresses = [(entry["local"], entry["prefixlen"]) for entry in tunnel["addr_info"]]
        assert addresses == [("198.19.4.0", 32)]

    def test_a_pod_sees_its_gateway_and_nothing_else(self, one):
        pod = one.pair(Path.POD_TO_POD, Mode.BGP).client
        run(pod, "ping", "-n", "-c", "1", "-W", "1", one.host("node3").address)
        assert "169.254.1.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee" in run(pod, "ip", "neigh")


PLAIN = r"IP {client} > {server}: ICMP echo"
WIRE = {
    NONE: PLAIN,
    IPIP: r"IP {node} > {peer}: IP {client} > {server}: ICMP echo",
    VXLAN: r"IP {node}\.\d+ > {peer}\.4789: VXLAN, flags \[I\] \(0x08\), vni 4096 IP {client} > {server}: ICMP echo",
}


class TestWire:
    """What tcpdump sees in the fabric: no header too few, none too many."""

    def check(self, cluster: LabCluster, pair: EndpointPair, expected: Encapsulation) -> None:
        assert cluster.expected_encapsulation(pair) is expected
        packets = on_the_wire(cluster, lambda: ping(pair).check())
        pattern = WIRE[expected].format(
            client=re.escape(pair.client.address),
            server=re.escape(pair.server.address),
            node=re.escape(cluster.host(pair.client.node).address),
            peer=re.escape(cluster.host(pair.server.node).address),
        )
        echoes = [packet for packet in packets if "ICMP echo request" in packet]
        assert len(echoes) == 2, packets
        for echo in echoes:
            assert re.match(pattern, echo), echo

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.BGP, NONE),
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, NONE),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, NONE),
            (Mode.CURRENT, IPIP),
        ],
    )
    def test_one_subnet(self, one, mode, expected):
        self.check(one, one.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, IPIP),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, VXLAN),
        ],
    )
    def test_across_subnets(self, two, mode, expected):
        self.check(two, two.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.BGP, NONE),
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, NONE),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, NONE),
        ],
    )
    def test_two_subnets_but_a_pair_in_one(self, near, mode, expected):
        self.check(near, near.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize("mode", [Mode.IPIP, Mode.VXLAN])
    def test_to_a_host_nothing_is_wrapped(self, one, mode):
        self.check(one, one.pair(Path.POD_TO_HOST, mode), NONE)

    @pytest.mark.parametrize(("mode", "expected"), [(Mode.IPIP, IPIP), (Mode.VXLAN, VXLAN), (Mode.BGP, NONE)])
    def test_from_a_host_the_tunnel_is_the_source(self, one, mode, expected):
        pair = one.pair(Path.HOST_TO_POD, mode)
        assert one.expected_encapsulation(pair) is expected
        (echo, *_) = [line for line in on_the_wire(one, lambda: ping(pair).check()) if "echo request" in line]
        node = one.topology.node(pair.client.node)
        source = node.tunnels.get(expected, node.address)
        assert f"IP {source} > {pair.server.address}: ICMP echo request" in echo

    @pytest.mark.parametrize("mode", MODES)
    def test_on_one_node_nothing_is_on_the_wire(self, one, mode):
        pair = one.pair(Path.POD_TO_POD_SAME_NODE, mode)
        assert one.expected_encapsulation(pair) is NONE
        assert pair.client.node == pair.server.node
        assert not [line for line in on_the_wire(one, lambda: ping(pair).check()) if "ICMP" in line]

    def test_outer_header_of_ipip_is_the_kernels(self, one):
        pair = one.pair(Path.POD_TO_POD, Mode.IPIP)
        options = ("-M", "do", "-t", "33", "-Q", "0xfe")
        (packet, *_) = [
            line
            for line in on_the_wire(one, lambda: ping(pair, *options).check(), "-vv")
            if "echo request" in line
        ]
        outer, _, inner = packet.partition("198.18.0.2 > 198.18.0.3: ")
        # TTL and DF of the inner header, of its TOS the congestion bits; a right checksum and the right length.
        assert re.search(
            r"tos 0x2,ECT\(0\), ttl 32, id 0, offset 0, flags \[DF\], proto IPIP \(4\), length 104", outer
        )
        assert re.search(
            r"tos 0xfe,ECT\(0\), ttl 32, id \d+, offset 0, flags \[DF\], proto ICMP \(1\), length 84", inner
        )
        assert "bad cksum" not in packet

    def test_fragments_of_large_packets_pass_the_tunnel(self, one):
        for path in (Path.POD_TO_POD, Path.HOST_TO_POD):
            for mode in (Mode.IPIP, Mode.VXLAN):
                assert "2 received" in ping(one.pair(path, mode), "-M", "dont", "-s", "4000").check().stdout

    @pytest.mark.parametrize("mode", [Mode.BGP, Mode.IPIP, Mode.VXLAN])
    def test_bulk_data_is_the_same_at_the_other_end(self, two, near, mode):
        """Merged TCP segments through the tunnels: what fails here passes every ping."""
        pair = (near if mode is Mode.BGP else two).pair(Path.POD_TO_POD, mode)
        port = str(pair.server.allocate_port())
        with pair.server.start([sys.executable, "-c", SINK, port], limit=30) as server:
            server.wait_for_output("ready", deadline=10)
            sent = run(pair.client, sys.executable, "-c", SOURCE, pair.server.address, port)
            received = server.finish(deadline=10).check().stdout
        assert received == f"ready\n{sent}"


SINK = """
import hashlib, socket, sys
with socket.create_server(("", int(sys.argv[1]))) as listener:
    print("ready", flush=True)
    connection, _ = listener.accept()
    digest, size = hashlib.sha256(), 0
    while chunk := connection.recv(1 << 16):
        digest.update(chunk)
        size += len(chunk)
print(size, digest.hexdigest())
"""
SOURCE = """
import hashlib, os, socket, sys
data = os.urandom(16 << 20)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.sendall(data)
print(len(data), hashlib.sha256(data).hexdigest())
"""


class TestBarePodsAcrossSubnets:
    def test_a_router_without_bgp_drops_them_and_the_lab_is_up_all_the_same(self, two):
        for path in (Path.POD_TO_POD, Path.HOST_TO_POD, Path.POD_TO_HOST):
            result = ping(two.pair(path, Mode.BGP))
            assert result.exit_code == 1
            assert "100% packet loss" in result.stdout
        # The router says so to whom it knows: a host; a pod hears nothing.
        assert "Net Unreachable" in ping(two.pair(Path.HOST_TO_POD, Mode.BGP)).stdout
        assert "Unreachable" not in ping(two.pair(Path.POD_TO_POD, Mode.BGP)).stdout

    def test_a_router_that_peers_carries_them(self):
        file = lab("lab-two-subnets")
        peering = file.model_copy(update={"router": file.router.model_copy(update={"bgp": True})})
        with LabCluster(peering, (Mode.BGP,)) as cluster:
            table = cluster.sandbox.run(FABRIC, ["ip", "route"], limit=5).check().stdout
            assert "198.19.0.128/26 via 198.18.1.2 dev br1 proto bird" in table
            pair = cluster.pair(Path.POD_TO_POD, Mode.BGP)
            packets = on_the_wire(cluster, lambda: ping(pair).check())
            assert f"IP {pair.client.address} > {pair.server.address}: ICMP echo request" in packets[0]


@pytest.mark.parametrize(
    ("mode", "mtu"),
    [(Mode.BGP, 1500), (Mode.IPIP, 1480), (Mode.IPIP_CROSS_SUBNET, 1480), (Mode.VXLAN, 1450), (Mode.VXLAN_CROSS_SUBNET, 1450)],
)  # fmt: skip
class TestMtu:
    def test_a_full_packet_passes_and_a_byte_more_does_not(self, one, two, mode, mtu):
        for cluster in (one,) if mode is Mode.BGP else (one, two):
            pair = cluster.pair(Path.POD_TO_POD, mode)
            headers = 20 + 8  # IPv4 and ICMP
            assert "2 received" in ping(pair, "-M", "do", "-s", str(mtu - headers)).check().stdout
            refused = ping(pair, "-M", "do", "-s", str(mtu - headers + 1))
            assert refused.exit_code != 0
            assert f"message too long, mtu={mtu}" in refused.stdout + refused.stderr

    def test_a_host_learns_of_the_tunnels_mtu(self, two, mode, mtu):
        if mode is Mode.BGP:
            return
        refused = ping(two.pair(Path.HOST_TO_POD, mode), "-M", "do", "-s", "1472")
        assert f"message too long, mtu={mtu}" in refused.stdout + refused.stderr

    def test_tcp_uses_what_the_mtu_leaves(self, one, mode, mtu):
        pair = one.pair(Path.POD_TO_POD, mode)
        port = str(pair.server.allocate_port())
        with pair.server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], limit=30) as server:
            server.wait_for_output("listening", deadline=10)
            report = json.loads(
                run(pair.client, "iperf3", "-J", "-c", pair.server.address, "-p", port, "-n", "1M")
            )
        assert (
            report["start"]["tcp_mss_default"] == mtu - 20 - 20 - 12
        )  # IPv4, TCP, its timestamps (RFC 7323)


def test_other_link_mtus_carry_through():
    with LabCluster(lab("lab", mtu=9000), (Mode.BGP, Mode.IPIP, Mode.VXLAN)) as cluster:
        for mode, mtu in ((Mode.BGP, 9000), (Mode.IPIP, 8980), (Mode.VXLAN, 8950)):
            pair = cluster.pair(Path.POD_TO_POD, mode)
            assert "2 received" in ping(pair, "-M", "do", "-s", str(mtu - 28)).check().stdout
            assert ping(pair, "-M", "do", "-s", str(mtu - 27)).exit_code != 0


@pytest.mark.parametrize(
    ("mode", "counted"),
    [(Mode.BGP, None), (Mode.IPIP, IPIP), (Mode.VXLAN, VXLAN), (Mode.VXLAN_CROSS_SUBNET, None)],
)
def test_tunnels_count_exactly_what_goes_through_them(one, mode, counted):
    pair = one.pair(Path.POD_TO_POD, mode)
    for node in (pair.client.node, pair.server.node):
        before = one.tunnel_packets(node)
        assert set(before) == set(one.tunnel_devices()) == {IPIP, VXLAN}
        run(pair.client, "ping", "-n", "-q", "-c", "20", "-i", "0.01", pair.server.address)
        after = one.tunnel_packets(node)
        grown = {tunnel: after[tunnel] - before[tunnel] for tunnel in after}
        assert grown == {IPIP: 0, VXLAN: 0} | ({counted: 20} if counted else {})


class TestFields:
    def test_link_rate_and_offloads(self):
        with LabCluster(
            lab("lab", link_rate=20_000_000, segmentation_offload=False), (Mode.BGP, Mode.VXLAN)
        ) as cluster:
            pair = cluster.pair(Path.POD_TO_POD, Mode.VXLAN)
            for endpoint, device in (
                (pair.client, "eth0"),
                (cluster.host("node1"), "eth0"),
                (cluster.host("node1"), "vxlan.calico"),
                (cluster.host("node1"), cluster.topology.node("node1").pods[0].veth),
            ):
                features = run(endpoint, "ethtool", "-k", device)
                for feature in (
                    "tcp-segmentation-offload",
                    "generic-segmentation-offload",
                    "generic-receive-offload",
                ):
                    assert re.search(rf"^{feature}: off", features, re.MULTILINE), (
                        endpoint.name,
                        device,
                        feature,
                    )
            port = str(pair.server.allocate_port())
            with pair.server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], limit=30) as server:
                server.wait_for_output("listening", deadline=10)
                argv = ["iperf3", "-J", "-c", pair.server.address, "-p", port, "-t", "2", "-O", "1"]
                report = json.loads(run(pair.client, *argv))
            rate = report["end"]["sum_received"]["bits_per_second"]
            assert 0.9 * 20e6 * 1398 / 1514 < rate < 20e6

    def test_offloads_are_on_without_a_word(self, one):
        features = run(one.pair(Path.POD_TO_POD, Mode.BGP).client, "ethtool", "-k", "eth0")
        assert "tcp-segmentation-offload: on" in features

    def test_one_pod_per_node_has_no_neighbour(self):
        with LabCluster(lab("lab", pods_per_node=1), (Mode.BGP,)) as cluster:
            ping(cluster.pair(Path.POD_TO_POD, Mode.BGP)).check()
            with pytest.raises(
                Unsupported, match=r"node1 has fewer than 2 pods of mode bgp; set pods-per-node to 2"
            ):
                cluster.pair(Path.POD_TO_POD_SAME_NODE, Mode.BGP)

    def test_modes_without_pool_are_refused_before_anything_is_made(self):
        file = lab("lab")
        file = file.model_copy(update={"pools": {Mode.BGP: file.pools[Mode.BGP]}})
        with pytest.raises(UsageProblem, match="cannot carry ipip"):
            LabCluster(file, (Mode.BGP, Mode.IPIP))

    def test_facts_are_json_and_say_how_ipip_is_done(self, one):
        facts = json.loads(json.dumps(dict(one.facts())))
        assert facts["ipip"] in ("kernel", "tc-bpf")
        assert facts["kind"] == "lab"
        assert [node["name"] for node in facts["nodes"]] == ["node1", "node2", "node3"]
        assert facts["nodes"][0]["kernel"] == f"Linux {os.uname().release}"
        assert {pool["mode"]: pool["pod_mtu"] for pool in facts["pools"]}["vxlan"] == 1450
        assert "BIRD" in facts["versions"]["bird"]
        assert facts["unsupported"] == {}

    def test_nodes_are_known_by_name(self, one):
        with pytest.raises(ClusterProblem, match="there is no node node9; known: node1, node2, node3"):
            one.host("node9")

    def test_before_it_is_up_it_says_so(self):
        with pytest.raises(ClusterProblem, match="the lab is not up"):
            LabCluster(lab("lab"), (Mode.BGP,)).pair(Path.HOST_TO_HOST, None)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class TestFaults:
    """What breaks in a real cluster breaks here the same way."""

    @pytest.fixture
    def cluster(self) -> Iterator[LabCluster]:
        with LabCluster(lab("lab"), (Mode.BGP, Mode.IPIP, Mode.VXLAN)) as cluster:
            yield cluster

    def devices(self, cluster: LabCluster) -> set[str]:
        """Devices over which node1 has routes to node2's blocks."""
        blocks = {str(block) for block in cluster.topology.node("node2").blocks.values()}
        table = json.loads(run(cluster.host("node1"), "ip", "-j", "route"))
        return {route["dev"] for route in table if route["dst"] in blocks}

    def test_without_bird_its_routes_go_and_felixes_stay(self, cluster):
        assert self.devices(cluster) == {"eth0", "tunl0", "vxlan.calico"}
        run(cluster.host("node2"), "birdc", "-s", "/run/lab/node2/bird.ctl", "down")
        until(lambda: self.devices(cluster) == {"vxlan.calico"})
        assert ping(cluster.pair(Path.POD_TO_POD, Mode.BGP)).exit_code != 0
        ping(cluster.pair(Path.POD_TO_POD, Mode.VXLAN)).check()

    def test_a_killed_bird_is_waited_for(self, cluster):
        """Graceful restart (RFC 4724), as Calico configures it: an upgrade of the node agent loses no packet."""
        pid = run(cluster.host("node2"), "cat", "/run/lab/node2/bird.pid").strip()
        run(cluster.host("node2"), "kill", "-KILL", pid)
        show = ("birdc", "-s", "/run/lab/node1/bird.ctl", "show", "protocols", "all", "mesh_node2")
        until(lambda: "Neighbor graceful restart active" in run(cluster.host("node1"), *show))
        assert self.devices(cluster) == {"eth0", "tunl0", "vxlan.calico"}
        ping(cluster.pair(Path.POD_TO_POD, Mode.BGP)).check()

    def test_a_link_that_is_down_is_felt_by_every_mode(self, cluster):
        cluster.sandbox.run(FABRIC, ["ip", "link", "set", "node2", "down"], limit=5).check()
        for mode in cluster.modes:
            assert ping(cluster.pair(Path.POD_TO_POD, mode)).exit_code != 0

    def test_not_ready_names_the_first_route_that_is_missing(self):
        with pytest.raises(NotReady) as caught, LabCluster(lab("lab", ready_within=0.3), (Mode.BGP,)):
            pass
        assert re.match(
            r"node1: route 198\.19\.0\.64/26 via 198\.18\.0\.3 dev eth0 of pool bgp is missing",
            str(caught.value),
        )
        assert re.search(
            r"BIRD says: mesh_node2 BGP .*(Connect|Active|Passive|Idle|OpenSent)", str(caught.value)
        )

    def test_not_ready_names_the_path_without_an_echo(self, monkeypatch):
        # The server's pod answers nothing, by its own kernel's switch; routes are all there.
        from pytest_calico_perf.cluster.lab.builder import Builder

        build = Builder.build

        def build_and_mute(self: Builder) -> None:
            build(self)
            self._sandbox.run(
                "bgp-node2-1", ["sysctl", "-w", "net.ipv4.icmp_echo_ignore_all=1"], limit=5
            ).check()

        monkeypatch.setattr(Builder, "build", build_and_mute)
        with pytest.raises(
            NotReady, match=r"no echo from pod bgp-node2-1 \(198.19.0.65\), path host-to-pod, mode bgp"
        ):
            LabCluster(lab("lab", ready_within=4), (Mode.BGP,)).__enter__()


@pytest.mark.unprivileged
def test_in_a_user_namespace_ipip_is_unsupported_and_the_rest_works():
    script = """
import json
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.clusterfile import load
from pytest_calico_perf.errors import Unsupported
from pytest_calico_perf.model import Mode, Path
with LabCluster(load("lab"), (Mode.IPIP, Mode.VXLAN, Mode.BGP)) as cluster:
    said = {"facts": dict(cluster.facts())}
    for mode in cluster.modes:
        try:
            pair = cluster.pair(Path.POD_TO_POD, mode)
        except Unsupported as why:
            said[mode] = str(why)
        else:
            said[mode] = pair.client.run(["ping", "-c1", "-W1", pair.server.address], limit=5).exit_code
with LabCluster(load("lab"), (Mode.IPIP,)) as cluster:
    said["alone"] = cluster.pair(Path.HOST_TO_HOST, None).server.address
print(json.dumps(said))
"""
    root = str(FilePath(pytest_calico_perf.__file__).parents[1])
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-c", script]
    result = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": root}
    )
    if "unshare:" in result.stderr:
        pytest.skip(f"this machine makes no user namespaces: {result.stderr.strip()}")
    said = json.loads(result.stdout)
    assert (said["vxlan"], said["bgp"]) == (0, 0)
    if said["facts"]["ipip"] == "kernel":
        assert said["ipip"] == 0
    else:
        assert "eBPF, which a user namespace may not load; run as root" in said["ipip"]
        assert said["facts"]["unsupported"] == {"ipip": said["ipip"]}
        assert said["alone"] == "198.18.0.3"
    assert said["facts"]["privileged"] is False


def test_a_kept_lab_goes_on_without_its_owner():
    with LabCluster(lab("lab"), (Mode.BGP,)) as cluster:
        pair = cluster.pair(Path.POD_TO_POD, Mode.BGP)
        entrance = cluster.sandbox.command_line(pair.client.node)
        assert f"{pair.client.name} ({pair.client.address}): nsenter " in "\n".join(cluster.how_to_enter())
        cluster.keep()
    try:
        argv = [*entrance, "birdc", "-s", "/run/lab/node1/bird.ctl", "show", "protocols"]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
        assert shown.count("Established") == 2
    finally:
        argv = [sys.executable, "-m", "pytest_calico_perf.cluster.lab", "down", str(cluster.sandbox.pid)]
        root = str(FilePath(pytest_calico_perf.__file__).parents[1])
        subprocess.run(argv, check=True, timeout=20, env=os.environ | {"PYTHONPATH": root})
