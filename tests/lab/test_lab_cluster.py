"""The lab as a cluster: fields of its file take effect, faults are felt, what cannot be is said and why."""

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
from pytest_calico_perf.cluster.lab.builder import Builder
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.errors import ClusterProblem, NotReady, Unsupported, UsageProblem
from pytest_calico_perf.model import Mode, Path
from tests.lab.labs import lab, ping, run

MODES = tuple(Mode)


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
from tests.lab.labs import lab, ping, run
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
