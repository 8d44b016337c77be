"""Where packets vanish, by counters; what others' packets do to them; where in a chain that is."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.inspection import Look
from pytest_calico_perf.diagnosis.trace import Growth, Hop, Trace, Zone, bad_checksums


def trace(*counts: int | None, sent: int = 50, drowned: tuple[str, ...] = ()) -> Trace:
    """Of the seven counters of an unencapsulated ping between two pods."""
    places = (
        (Zone.SOURCE, "were sent by pod a"),
        (Zone.SOURCE_NODE, "entered node1 by calia"),
        (Zone.SOURCE_NODE, "left node1 by eth0"),
        (Zone.TARGET_NODE, "reached eth0 of node2"),
        (Zone.TARGET_NODE, "left node2 by calib"),
        (Zone.TARGET, "reached pod b"),
        (Zone.SOURCE_BACK, "came back to pod a as answers"),
    )
    hops = tuple(Hop(zone, words, count) for (zone, words), count in zip(places, counts, strict=True))
    return Trace(sent, "echo requests", hops, drowned=drowned)


@pytest.mark.parametrize(
    ("counts", "last", "lost"),
    [
        ((50, 0, 0, 0, 0, 0, 0), "were sent by pod a", "entered node1 by calia"),
        ((50, 50, 0, 0, 0, 0, 0), "entered node1 by calia", "left node1 by eth0"),
        ((50, 50, 53, 2, 0, 0, 0), "left node1 by eth0", "reached eth0 of node2"),
        ((50, 50, 50, 51, 0, 0, 0), "reached eth0 of node2", "left node2 by calib"),
        ((50, 50, 50, 50, 50, 0, 0), "left node2 by calib", "reached pod b"),
        ((50, 50, 50, 50, 50, 50, 0), "reached pod b", "came back to pod a as answers"),
        # A counter nobody could read is passed over.
        ((50, 50, None, None, 0, 0, 0), "entered node1 by calia", "left node2 by calib"),
        ((None, None, 50, 1, 0, 0, 0), "left node1 by eth0", "reached eth0 of node2"),
    ],
)
def test_they_vanish_between_the_last_that_saw_them_and_the_first_that_did_not(counts, last, lost):
    vanished = trace(*counts).vanished
    assert vanished is not None
    assert (vanished[0].words, vanished[1].words) == (last, lost)


@pytest.mark.parametrize(
    "counts",
    [
        (50, 50, 50, 50, 50, 50, 50),
        (50, 49, 48, 51, 47, 46, 45),
        (None,) * 7,
        (50, 50, 25, 25, 25, 25, 25),  # half of them lost is a bad line, not a wall
    ],
)
def test_they_do_not_vanish_where_enough_come_through(counts):
    assert trace(*counts).vanished is None
    assert trace(*counts).facts == ()


def test_the_fact_has_numbers_and_no_more_packets_than_were_sent():
    (fact,) = trace(50, 50, 53, 0, 0, 0, 0).facts
    assert fact == "of 50 echo requests 50 left node1 by eth0, and 0 reached eth0 of node2"
    (fact,) = trace(50, 50, 50, 2, 0, 0, 0).facts
    assert fact.endswith("2 reached eth0 of node2 (packets of others count there, too)")


def test_a_gap_where_they_vanish_is_blurred_and_one_elsewhere_is_not():
    drowned = ("eth0.tx of node1 counts too many packets of others",)
    assert trace(50, 50, None, None, 0, 0, 0, drowned=drowned).blurred
    assert not trace(50, 50, None, 50, 0, 0, 0, drowned=drowned).blurred
    assert not trace(50, 50, None, None, 0, 0, 0).blurred


def growth(resting: int, before: int, after: int, *, noise: float = 4.0, sent: int = 50) -> Growth:
    """Of eth0.tx of node1 at three moments."""
    readings = [{"node1": Look({"eth0.tx": count}, "")} for count in (resting, before, after)]
    return Growth(readings, noise, sent)


def test_a_quiet_counter_is_taken_as_it_is():
    assert growth(100, 102, 152).shared("node1", "eth0.tx") == 50


def test_others_packets_are_left_out():
    # 5 in the rest are 4 * 5 in the time of the probes, which is 4 times as long.
    assert growth(100, 105, 105 + 50 + 20, sent=100).shared("node1", "eth0.tx") == 50


def test_a_counter_others_drown_ours_in_says_nothing_and_is_named():
    found = growth(100, 200, 650)
    assert found.shared("node1", "eth0.tx") is None
    assert found.drowned == {"eth0.tx of node1 counts too many packets of others"}
    assert growth(100, 200, 650).of("node1", "eth0.tx") == 450


def test_a_counter_that_could_not_be_read_is_unknown():
    blind = [{"node1": Look(None, "", "cat is not installed at node1")}] * 3
    found = Growth(blind, 1.0, 50)
    assert found.of("node1", "eth0.tx") is None
    assert found.shared("node1", "eth0.tx") is None
    assert found.places == {"node1": "cat is not installed at node1"}
    assert growth(1, 1, 1).of("node1", "eth9.tx") is None


def test_wrong_checksums_by_whoever_got_them():
    before = {"pod a": Look({"Tcp.InCsumErrors": 1}, ""), "node1": Look({"Udp.InCsumErrors": 4}, "")}
    after = {"pod a": Look({"Tcp.InCsumErrors": 9}, ""), "node1": Look({"Udp.InCsumErrors": 4}, "")}
    assert bad_checksums(before, after) == {"pod a": 8}
    assert bad_checksums({"pod a": Look(None, "", "no")}, {"pod a": after["pod a"]}) == {}
