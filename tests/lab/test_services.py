"""ClusterIPs in the lab: real destination NAT on every node, in every mode, and a reason where there can be none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path as FilePath

import pytest

from pytest_calico_perf import evidence, reachability
from pytest_calico_perf.cluster.lab import requirements
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC, Topology
from pytest_calico_perf.errors import Unsupported
from pytest_calico_perf.model import Mode, Path
from tests.lab.labs import lab, ping, run

PATH = Path.POD_TO_SERVICE


@pytest.fixture(scope="module")
def two() -> Iterator[LabCluster]:
    with LabCluster(lab("lab-two-subnets"), (Mode.IPIP, Mode.VXLAN_CROSS_SUBNET)) as cluster:
        yield cluster


@pytest.mark.parametrize("mode", list(Mode))
def test_payload_gets_through_in_every_mode(one, mode):
    pair = one.pair(PATH, mode)
    assert IPv4Address(pair.server.address) in IPv4Network("198.18.255.0/24")
    found = reachability.check(pair)
    assert found.bulk_bytes["forward"] > 0 < found.bulk_bytes["reverse"]
    assert evidence.contradiction(pair, evidence.collect(one, pair)) is None


@pytest.mark.parametrize("mode", [Mode.IPIP, Mode.VXLAN_CROSS_SUBNET])
def test_across_subnets(two, mode):
    assert reachability.check(two.pair(PATH, mode)).bulk_bytes


def test_the_pod_behind_sees_its_client_and_nobody_in_between(one):
    """No masquerade: what arrives at the server's node is the client pod's packet to the server pod."""
    pair = one.pair(PATH, Mode.BGP)
    port = str(pair.server.allocate_port())
    argv = [
        "tcpdump",
        "-i",
        pair.server.node,
        "-nn",
        "-l",
        "--immediate-mode",
        "-c",
        "1",
        "tcp",
        "port",
        port,
    ]
    with (
        one.sandbox.start_command(FABRIC, argv, limit=20) as capture,
        pair.server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], limit=20) as server,
    ):
        capture.wait_for_output("listening on", deadline=10)
        server.wait_for_output("listening", deadline=10)
        report = json.loads(
            run(pair.client, "iperf3", "-J", "-c", pair.server.address, "-p", port, "-n", "1M")
        )
        packet = capture.finish(deadline=5).stdout
    assert report["start"]["connected"][0]["remote_host"] == pair.server.address
    assert f"{pair.client.own_address}." in packet
    assert f"> {pair.server.own_address}.{port}:" in packet


def test_a_node_asks_it_too(one):
    server = one.pair(PATH, Mode.VXLAN).server
    port = str(server.allocate_port())
    with server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], limit=20) as listening:
        listening.wait_for_output("listening", deadline=10)
        run(one.host("node3"), "iperf3", "-c", server.address, "-p", port, "-n", "1M")


def test_an_echo_is_for_nobody(one):
    assert ping(one.pair(PATH, Mode.BGP)).exit_code != 0


def test_a_pod_and_its_service_never_give_out_one_port_twice(one):
    service, pod = one.pair(PATH, Mode.BGP).server, one.pair(Path.POD_TO_POD, Mode.BGP).server
    assert service.own_address == pod.address != service.address
    ports = [endpoint.allocate_port() for endpoint in (service, pod, service, pod)]
    assert len(set(ports)) == 4


def test_facts_name_the_addresses(one):
    services = {each["mode"]: each["address"] for each in one.facts()["services"]}
    assert services == {str(mode): one.pair(PATH, mode).server.address for mode in Mode}


class TestWithout:
    """What cannot be is said with its reason, and the other paths go on."""

    def test_the_program(self, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch):
        for folder in reversed(requirements.search_path().split(os.pathsep)):
            for program in FilePath(folder).glob("*"):
                (tmp_path / program.name).unlink(missing_ok=True)
                if program.name != "nft":
                    (tmp_path / program.name).symlink_to(program)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(requirements, "_SYSTEM_FOLDERS", ())
        with LabCluster(lab("lab"), (Mode.BGP,)) as cluster:
            with pytest.raises(Unsupported, match=r"not installed; apt-get install --yes nftables"):
                cluster.pair(PATH, Mode.BGP)
            assert cluster.facts()["services"] == []
            ping(cluster.pair(Path.POD_TO_POD, Mode.BGP)).check()

    @pytest.mark.unprivileged
    def test_addresses(self):
        file = lab(
            "lab", pools={Mode.BGP: IPv4Network("198.18.128.0/17"), Mode.IPIP: IPv4Network("198.18.1.0/24")}
        )
        assert {str(each.address) for each in Topology.of(file, file.pools).services} == {
            "198.18.127.1",
            "198.18.127.2",
        }
        full = file.model_copy(update={"pools": {Mode.BGP: IPv4Network("198.18.0.0/16")}})
        assert Topology.of(full, full.pools).services == ()
