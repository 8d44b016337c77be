"""Remarks end to end: a link of the lab whose rate changes inside a run is remarked, the same link at rest is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import UPLINK
from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.probes.iperf3 import Tcp
from tests.lab.blocks import measured
from tests.lab.labs import lab, run

RATE = 200_000_000
CELL = Cell("tcp", Path.POD_TO_POD, Mode.BGP)


@pytest.fixture(scope="module")
def shaped() -> Iterator[LabCluster]:
    with LabCluster(lab("lab", link_rate=RATE), (Mode.BGP,)) as cluster:
        yield cluster


def set_rate(cluster: LabCluster, rate: int) -> None:
    bucket = ["rate", f"{rate}bit", "burst", "500000", "limit", "2000000"]
    run(cluster.host("node1"), "tc", "qdisc", "change", "dev", UPLINK, "root", "tbf", *bucket)


def test_a_link_at_rest_is_not_remarked(shaped: LabCluster) -> None:
    (result,) = measured(shaped, [CELL], Tcp(), rounds=3)
    assert len(result.samples) == 3
    assert result.remarks == ()
    assert [ran.argv[0] for ran in result.commands[:3]] == ["iperf3"] * 3  # what measured it stands first


def test_a_link_that_falls_to_a_tenth_inside_its_runs_is_remarked(shaped: LabCluster) -> None:
    class Falling(Tcp):
        """The probe as it is, while the link does not stay as it is."""

        def _measure(self, pair: EndpointPair, *, reverse: bool) -> tuple[float, dict[str, object], float]:
            set_rate(shaped, RATE)
            fall = threading.Timer(1.0, set_rate, (shaped, RATE // 10))
            fall.start()
            try:
                return super()._measure(pair, reverse=reverse)
            finally:
                fall.join()

    try:
        (result,) = measured(shaped, [CELL], Falling(duration=2, both_directions=False), rounds=2)
    finally:
        set_rate(shaped, RATE)
    (text,) = result.remarks
    assert text.startswith("the rate collapses inside the run: from ")
    assert "in all 2 runs" in text
