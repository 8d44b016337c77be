"""What the tcp probe says of the lab is what arithmetic says.

On a link of fixed rate, with segmentation offload off, goodput follows from headers alone: of a full frame of
1514 bytes (Ethernet 14, MTU 1500) TCP's payload is what MTU, encapsulation, IPv4 (20) and TCP with timestamps
(20 + 12, RFC 7323) leave.

200 Mbit/s is a rate two slow cores carry with most of their time to spare. iperf3's own sum over a run
of a second without `-O` was seen 1 to 2 % too high there (3.12); the probe's figure is to be right with and without.
Medians of interleaved runs are compared, as many as it takes until most agree with each other, whatever they say: a
noisy machine may spoil some. One that spoils most can say nothing here, so that no neighbour runs beside these tests.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.model import Cell, Mode, Outcome, Path
from pytest_calico_perf.probes.base import Measure
from pytest_calico_perf.probes.iperf3 import Tcp
from tests.lab.blocks import measured

RATE = 200_000_000  # bit/s
FRAME = 1500 + 14
PAYLOAD = {Mode.BGP: 1500 - 52, Mode.IPIP: 1500 - 20 - 52, Mode.VXLAN: 1500 - 50 - 52}
ROUNDS = range(3, 16)  # how many there are
TOLERANCE = 0.005
pytestmark = pytest.mark.alone
PROBES = [Tcp(duration=1, omit=omit, both_directions=False) for omit in (0, 1)]


def slow_lab() -> LabFile:
    """The default lab on links of that rate, whose packets are what is on the wire."""
    file = load("lab")
    assert isinstance(file, LabFile)
    return file.model_copy(update={"link_rate": RATE, "segmentation_offload": False})


def goodput(measure: Measure, mode: Mode) -> float:
    """One sample of the probe, in bit/s."""
    sample = measure()
    assert sample.details["mss"] == PAYLOAD[mode]
    assert sample.value is not None
    return sample.value


@pytest.fixture(scope="module", params=PROBES, ids=lambda probe: f"omit-{probe.omit}")
def rounds(request: pytest.FixtureRequest) -> list[dict[Mode, float]]:
    """Goodput per mode, round by round, in bit/s; every other round goes through the modes backwards."""
    modes = tuple(PAYLOAD)
    with LabCluster(slow_lab(), modes) as cluster, ExitStack() as probes:
        measures = {
            mode: probes.enter_context(request.param.open(cluster.pair(Path.POD_TO_POD, mode)))
            for mode in modes
        }
        rounds: list[dict[Mode, float]] = []
        while len(rounds) < ROUNDS.stop - 1 and not agree(rounds):
            order = modes if len(rounds) % 2 == 0 else modes[::-1]
            rounds.append({mode: goodput(measures[mode], mode) for mode in order})
        return rounds


def agree(rounds: Sequence[Mapping[Mode, float]]) -> bool:
    """Whether of every mode's rounds, and of the ratios, most lie within half the tolerance around their median."""
    if len(rounds) < ROUNDS.start:
        return False
    series = [[row[mode] for row in rounds] for mode in PAYLOAD]
    series += [[row[mode] / row[Mode.BGP] for row in rounds] for mode in PAYLOAD]
    needed = max(ROUNDS.start, len(rounds) // 2 + 1)
    return all(
        sum(value == pytest.approx(statistics.median(values), rel=TOLERANCE / 2) for value in values)
        >= needed
        for values in series
    )


@pytest.mark.parametrize("mode", PAYLOAD)
def test_goodput_is_the_payloads_share_of_the_frame(rounds, mode):
    measured = statistics.median(row[mode] for row in rounds)
    assert measured == pytest.approx(RATE * PAYLOAD[mode] / FRAME, rel=TOLERANCE)


@pytest.mark.parametrize("mode", [Mode.IPIP, Mode.VXLAN])
def test_a_mode_costs_what_its_headers_take(rounds, mode):
    """ipip/bgp = 1428/1448 and vxlan/bgp = 1398/1448: the encapsulations differ by more than the tolerance."""
    measured = statistics.median(row[mode] / row[Mode.BGP] for row in rounds)
    assert measured == pytest.approx(PAYLOAD[mode] / PAYLOAD[Mode.BGP], rel=TOLERANCE)


@pytest.mark.parametrize("mode", [Mode.IPIP, Mode.VXLAN])
def test_a_tunnel_counts_every_segment_that_was_sent_through_it(mode):
    """What the evidence demands of a counter is a floor: here the count itself is known."""
    with LabCluster(slow_lab(), (mode,)) as cluster:
        cell = Cell("tcp", Path.POD_TO_POD, mode)
        (result,) = measured(cluster, [cell], Tcp(both_directions=False))
    assert result.outcome is Outcome.OK, result.reason
    counter = result.evidence["tunnel_packets"][mode]
    counted = (counter["after"] - counter["before"]) * PAYLOAD[mode]
    sent = math.fsum(result.runs[0]["intervals"]) * result.runs[0]["interval_seconds"] / 8
    # A few packets carry no payload, and what was sent twice was counted twice.
    assert sent * 0.99 <= counted <= sent * 1.1
    assert result.evidence["tunnel_packets_server"][mode]["after"] > 0
