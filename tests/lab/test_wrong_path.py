"""Modes that are a lie, in a real lab: packets arrive, but not as the mode says, and no figure comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path as File

import pytest

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.model import Cell, CellResult, Mode, Outcome, Path
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.ping import Ping
from tests.lab.blocks import measured
from tests.lab.labs import lab, run
from tests.lab.runs import SMALL, cells, results

MODES = (Mode.BGP, Mode.IPIP, Mode.VXLAN)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LabCluster]:
    with LabCluster(lab("lab"), MODES) as one:
        yield one


def of_modes(cluster: LabCluster, *modes: Mode, then=lambda _: None) -> dict[Mode, CellResult]:
    """Two rounds of a short ping between two pods of each of these modes."""
    wanted = [Cell("ping", Path.POD_TO_POD, mode) for mode in modes]
    results = measured(cluster, wanted, Ping(count=20), rounds=2, then=then)
    return dict(zip(modes, results, strict=True))


@contextmanager
def undone(node: Endpoint, *argv: str) -> Iterator[None]:
    """`ip`'s command with `add` done, and with `del` undone."""
    run(node, "ip", *argv)
    try:
        yield
    finally:
        run(node, "ip", *("del" if word == "add" else word for word in argv))


@contextmanager
def around_the_tunnel(cluster: LabCluster, pair: EndpointPair) -> Iterator[None]:
    """The client's node sends unencapsulated what is for the server; BIRD's own route (metric 1024) stays."""
    client, server = cluster.host(pair.client.node), cluster.host(pair.server.node)
    with undone(client, "route", "add", f"{pair.server.address}/32", "via", server.address, "dev", "eth0"):
        yield


@contextmanager
def routed_by_rule(cluster: LabCluster, here: Endpoint, there: Endpoint) -> Iterator[None]:
    """A pod's packets go plainly, by a rule for its address; the main table, asked by the other's, says tunnel."""
    node, far, table = cluster.host(here.node), cluster.host(there.node), ("table", "77")
    with (
        undone(node, "route", "add", f"{there.address}/32", "via", far.address, "dev", "eth0", *table),
        undone(node, "rule", "add", "from", here.address, *table),
    ):
        yield


def assert_counts_nowhere(result: CellResult, values: int) -> None:
    assert result.outcome is Outcome.WRONG_PATH
    assert (result.samples, result.rounds, result.runs) == ((), (), ())
    assert len(result.wrong_samples) == values
    assert all(value > 0 for value in result.wrong_samples)


def test_a_route_beside_the_tunnel(cluster):
    pair = cluster.pair(Path.POD_TO_POD, Mode.IPIP)
    with around_the_tunnel(cluster, pair):
        found = of_modes(cluster, Mode.BGP, Mode.IPIP)
    assert_counts_nowhere(found[Mode.IPIP], 1)
    assert "should go through tunl0, but node1 sends them through eth0" in found[Mode.IPIP].reason
    assert found[Mode.IPIP].evidence["forward"]["device"] == "eth0"
    assert found[Mode.BGP].outcome is Outcome.OK
    assert len(found[Mode.BGP].samples) == 2


def test_a_way_back_beside_the_tunnel_is_one_too(cluster):
    pair = cluster.pair(Path.POD_TO_POD, Mode.VXLAN)
    with around_the_tunnel(cluster, EndpointPair(pair.path, pair.mode, pair.server, pair.client)):
        result = of_modes(cluster, Mode.VXLAN)[Mode.VXLAN]
    assert_counts_nowhere(result, 1)
    assert "should go through vxlan.calico, but node2 sends them through eth0" in result.reason


@pytest.mark.parametrize(("mode", "end"), [(Mode.IPIP, "client"), (Mode.VXLAN, "server")])
def test_a_tunnel_that_counts_nothing(cluster, mode, end):
    pair = cluster.pair(Path.POD_TO_POD, mode)
    here, there = (pair.client, pair.server) if end == "client" else (pair.server, pair.client)
    with routed_by_rule(cluster, here, there):
        cell = Cell("tcp", Path.POD_TO_POD, mode)
        (result,) = measured(cluster, [cell], Tcp(both_directions=False))
    assert_counts_nowhere(result, 1)
    assert f"of {here.node} sent 0 packets while at least" in result.reason
    counted = result.evidence["tunnel_packets" if end == "client" else "tunnel_packets_server"][mode]
    assert counted["before"] == counted["after"]


def test_a_plain_mode_whose_packets_go_through_a_tunnel(cluster):
    pair = cluster.pair(Path.POD_TO_POD, Mode.BGP)
    node = cluster.host(pair.client.node)
    far_end = cluster.topology.node(pair.server.node).tunnels
    vxlan = str(next(address for kind, address in far_end.items() if kind == "vxlan"))
    table = ("table", "77")
    route = (f"{pair.server.address}/32", "via", vxlan, "dev", "vxlan.calico", "onlink", *table)
    with (
        undone(node, "route", "add", *route),
        undone(node, "rule", "add", "from", pair.client.address, *table),
    ):
        # A neighbour that uses the very tunnel changes nothing: the counters are of a run of its own.
        result = of_modes(cluster, Mode.VXLAN, Mode.BGP)[Mode.BGP]
    assert_counts_nowhere(result, 1)
    assert "vxlan.calico of node1 sent" in result.reason
    assert "while only unencapsulated ones, at least 10, were sent" in result.reason


def test_packets_too_large_to_be_wrapped(cluster):
    """Both nodes say tunnel and send plainly: a packet as large as the link itself has no room for a header."""
    pair = cluster.pair(Path.POD_TO_POD, Mode.IPIP)
    with ExitStack() as lies:
        for here, there in ((pair.client, pair.server), (pair.server, pair.client)):
            lies.enter_context(routed_by_rule(cluster, here, there))
            lies.enter_context(mtu_of_pod(cluster, here, 1500))
        result = of_modes(cluster, Mode.IPIP)[Mode.IPIP]
    assert_counts_nowhere(result, 1)
    assert "packets of 1500 bytes get through unfragmented, but ipip leaves 1480 of the 1500" in result.reason


@contextmanager
def mtu_of_pod(cluster: LabCluster, end: Endpoint, mtu: int) -> Iterator[None]:
    node = cluster.topology.node(end.node)
    (pod,) = (pod for pod in node.pods if str(pod.address) == end.address)
    places = ((cluster.host(end.node), pod.veth), (end, "eth0"))
    try:
        for place, device in places:
            run(place, "ip", "link", "set", device, "mtu", str(mtu))
        yield
    finally:
        for place, device in places:
            run(place, "ip", "link", "set", device, "mtu", str(pod.pool.pod_mtu))


def test_a_route_that_changes_while_it_is_measured(cluster):
    pair = cluster.pair(Path.POD_TO_POD, Mode.IPIP)
    changed = around_the_tunnel(cluster, pair)

    def change(number: int) -> None:
        if number == 0:
            changed.__enter__()

    try:
        result = of_modes(cluster, Mode.IPIP, then=change)[Mode.IPIP]
    finally:
        changed.__exit__(None, None, None)
    assert_counts_nowhere(result, 2)
    assert "tunl0" in result.reason
    assert result.evidence["forward"]["device"] == "tunl0"
    assert result.evidence["after"]["forward"]["device"] == "eth0"


def test_when_nothing_is_wrong_every_mode_is_believed(cluster):
    """Or the tests above would prove nothing: the same lab, after all of them."""
    for mode, result in of_modes(cluster, *MODES).items():
        assert result.outcome is Outcome.OK, (mode, result.reason)
        assert result.wrong_samples == ()


LIE = """
    import pytest
    from pytest_calico_perf.model import Mode, Path

    @pytest.fixture(scope="session", autouse=True)
    def lie(calico_cluster):
        server = calico_cluster.pair(Path.POD_TO_POD, Mode.IPIP).server
        argv = ["ip", "route", "add", f"{server.address}/32", "via", calico_cluster.host("node2").address]
        calico_cluster.host("node1").run([*argv, "dev", "eth0"], limit=5).check()
"""


def test_a_run_says_so_and_takes_its_value_for_nothing(pytester: pytest.Pytester):
    pytester.makeconftest(LIE)
    pytester.makepyfile("from pytest_calico_perf.suite.test_latency import test_ping")
    run_ = pytester.runpytest_subprocess(
        "--calico-mode=ipip,bgp", *SMALL, "--calico-json=results.json", "--calico-baseline-dir=runs",
        "--calico-expect=bgp <= ipip * 2", "--benchmark-json=benchmark.json", timeout=120,
    )  # fmt: skip
    assert run_.ret == pytest.ExitCode.TESTS_FAILED
    run_.stdout.fnmatch_lines(["*1 failed, 1 passed, 1 inconclusive in *"])
    run_.stdout.fnmatch_lines(
        ["*wrong-path: ping pod-to-pod ipip: *should go through tunl0, but node1 sends*"]
    )
    assert "Traceback" not in run_.stdout.str()

    wrong, right = (cells(pytester)["ping", "pod-to-pod", mode] for mode in ("ipip", "bgp"))
    assert (wrong["outcome"], wrong["samples"], wrong["summary"]) == ("wrong-path", [], None)
    assert "eth0" in wrong["evidence"]["line"]
    assert right["outcome"] == "inconclusive"  # what is expected of it has nothing to be held against
    assert right["ratio"] is None
    assert any("ipip has no sample of the same rounds (wrong-path" in v["message"] for v in right["verdicts"])

    rows = json.loads(File(pytester.path, "benchmark.json").read_text())["benchmarks"]
    assert not any("ipip" in row["name"] for row in rows)
    assert list(File(pytester.path, "runs").glob("*/*.json")) == []
    assert results(pytester)["interrupted"] is False
