"""The published case on the lab: its finding, its cause, its remedy, and why it is no property of BGP mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.clusterfile.lab import Underlay
from pytest_calico_perf.diagnosis.doctor import diagnose
from pytest_calico_perf.model import Mode
from pytest_calico_perf.model import Path as Way
from tests.lab.labs import lab, ping
from tests.lab.runs import cells

MODES = (Mode.IPIP, Mode.BGP)
CHECKOUT = Path(__file__).parents[2]
SHORT = """
profiles:
  article:
    rounds: 1
    precision: 0
    warm-up-rounds: 0
    paths: [host-to-host, host-to-pod, pod-to-pod]
    probes:
      ping: {count: 100}
      tcp: {duration: 1, omit: 0, both-directions: false}
"""
PATHS = (Way.HOST_TO_HOST, Way.HOST_TO_POD, Way.POD_TO_POD)


@pytest.fixture(scope="module")
def published() -> Iterator[LabCluster]:
    with LabCluster(lab("published"), MODES) as cluster:
        yield cluster


def alive(pair: EndpointPair) -> bool:
    return ping(pair).exit_code == 0


def pairs(cluster: LabCluster) -> list[EndpointPair]:
    return [cluster.pair(path, mode) for path in PATHS for mode in (MODES if path.has_mode else (None,))]


def test_the_suite_reports_exactly_the_dead_cells_with_cause_and_remedy(
    suite, pytester: pytest.Pytester
) -> None:
    """By the article's protocol, shortened."""
    shipped = Path(CHECKOUT, "clusters", "published.yaml").read_text()
    Path(pytester.path, "published.yaml").write_text(shipped + SHORT)
    result = suite("--calico-cluster=published.yaml", "--calico-mode=ipip,bgp", "--calico-profile=article")
    found = cells(pytester)
    dead = {key: cell for key, cell in found.items() if cell["outcome"] != "ok"}
    assert set(dead) == {("ping", "pod-to-pod", "bgp"), ("tcp", "pod-to-pod", "bgp")}
    assert len(found) == 10
    for cell in dead.values():
        assert (cell["outcome"], cell["samples"]) == ("unreachable", [])
        assert (
            "drops packets with pod addresses from node2 to node3, but not those from node3" in cell["reason"]
        )
        assert "port security" in cell["reason"]
    assert "Traceback" not in result.stdout.str()
    result.stdout.fnmatch_lines([
        "*unreachable: ping pod-to-pod bgp: *",
        "physical-physical * ipip * there  5.07 Gbit/s  5.07 Gbit/s  189 us",
        "physical-pod * bgp * here * ?bit/s * ?bit/s * us",
        "pod-pod across nodes  bgp * there  none * none * none",
        "pod-pod across nodes  bgp * here * unreachable * unreachable * unreachable",
        "The article concludes that BGP mode*",
        "In general the conclusion is wrong: *",
    ])  # fmt: skip


def test_the_doctor_names_the_cause_and_what_works(published: LabCluster) -> None:
    found = diagnose(published, published.pair(Way.POD_TO_POD, Mode.BGP), None)
    assert found.findings[0].fault.key == "pod-addresses-dropped-one-way"
    assert "node2" in found.findings[0].broken
    assert Mode.IPIP in found.works
    assert found.remedy


@pytest.mark.parametrize(
    ("client", "server", "path", "reached"),
    [("node1", "node3", Way.HOST_TO_POD, True), ("node3", "node2", Way.POD_TO_POD, False)],
    ids=["master-to-pod", "pod-to-pod"],
)
def test_one_port_explains_what_the_article_saw_on_its_own_machines(
    client: str, server: str, path: Way, reached: bool
) -> None:
    """It asked the pod on node3 from a master, and the pod on node2 from the one on node3."""
    with LabCluster(lab("published", pair=(client, server)), (Mode.BGP,)) as cluster:
        assert alive(cluster.pair(path, Mode.BGP)) is reached


def test_where_pod_addresses_may_pass_bgp_carries_pods_across_nodes(published: LabCluster) -> None:
    """The remedy, applied to the very lab."""
    assert [str(pair.path) for pair in pairs(published) if not alive(pair)] == ["pod-to-pod"]
    allow = ["nft", "delete", "table", "bridge", "underlay"]
    published.sandbox.run(FABRIC, allow, limit=5).check()
    assert all(alive(pair) for pair in pairs(published))


def test_a_check_of_both_ports_kills_host_to_pod_too() -> None:
    both = lab("published", underlay=Underlay.model_validate({"source-check": ("node2", "node3")}))
    with LabCluster(both, MODES) as cluster:
        dead = [(str(pair.path), str(pair.mode)) for pair in pairs(cluster) if not alive(pair)]
    assert dead == [("host-to-pod", "bgp"), ("pod-to-pod", "bgp")]
