from itertools import pairwise
from statistics import fmean, median

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Better, Unit
from pytest_calico_perf.probes.ping import Ping, parse_ping


def printed(text: str) -> list[float]:
    """Times a person would read, in seconds, straight from the text."""
    words = [w for line in text.splitlines() for w in line.split() if w.startswith("time=") and "ms" in line]
    return [float(w.removeprefix("time=")) / 1e3 for w in words if not w.endswith("ms")]


@pytest.mark.parametrize("tool", ["iputils-success", "busybox-success", "inetutils-success", "busybox-slow"])
def test_reads_every_dialect(recording, tool):
    text = recording(f"ping/{tool}.txt")
    report = parse_ping(text)
    times = printed(text)[: report.received]  # iputils' own summary has a time= too
    assert report.sent == report.received == len(times)
    assert (report.min, report.max) == pytest.approx((min(times), max(times)))
    assert report.mean == pytest.approx(fmean(times))
    assert abs(report.median - median(times)) <= report.resolution / 2 + 1e-12
    assert report.min <= report.p90 <= report.p99 <= report.max
    assert report.jitter == pytest.approx(fmean(abs(b - a) for a, b in pairwise(times)))
    assert report.loss == report.duplicates == report.out_of_order == 0


@pytest.mark.parametrize(("replies", "kept"), [(3, 3), (101, 101), (102, 101), (1000, 101)])
def test_the_distribution_is_kept_in_at_most_101_numbers(replies, kept):
    report = parse_ping(reply(*(f"{n / 1000:.3f}" for n in range(1, replies + 1))))
    assert len(report.percentiles) == kept
    assert list(report.percentiles) == sorted(report.percentiles)
    assert (report.percentiles[0], report.percentiles[-1]) == (report.min, report.max)
    assert report.p90 in report.percentiles


def test_median_is_finer_than_the_tools_digits(recording):
    report = parse_ping(recording("ping/iputils-success.txt"))
    assert report.resolution == pytest.approx(1e-6)
    assert 3e-6 < report.median < 5e-6
    assert report.median != pytest.approx(round(report.median, 6), abs=1e-9)


def test_grouped_median_by_hand():
    text = reply(*["0.010"] * 3, *["0.011"] * 1)
    # The median's class is 9.5..10.5 us; two of its three members lie below the middle of all four.
    assert parse_ping(text).median == pytest.approx(9.5e-6 + 2 / 3 * 1e-6)


def test_digits_follow_the_time(recording):
    report = parse_ping(recording("ping/iputils-slow.txt"))
    assert report.resolution == pytest.approx(1e-4)  # 28.5 ms, 31.4 ms
    assert 0.0285 - 1e-4 <= report.median <= 0.0314 + 1e-4
    assert (report.min, report.max) == (0.012e-3, 69.6e-3)


def test_loss_is_a_fraction(recording):
    report = parse_ping(recording("ping/iputils-loss.txt"))
    assert (report.sent, report.received) == (150, 139)
    assert report.loss == pytest.approx(11 / 150)


@pytest.mark.parametrize("tool", ["iputils", "busybox"])
def test_duplicates_do_not_count(recording, tool):
    report = parse_ping(recording(f"ping/{tool}-duplicates.txt"))
    assert (report.sent, report.received, report.duplicates, report.loss) == (3, 3, 4, 0)


def test_jitter_skips_lost_echoes_and_sorts_late_ones():
    text = (
        "64 bytes from A: icmp_seq=2 ttl=64 time=0.020 ms\n"
        "64 bytes from A: icmp_seq=1 ttl=64 time=0.050 ms\n"
        "64 bytes from A: icmp_seq=4 ttl=64 time=0.900 ms\n"
        "4 packets transmitted, 3 received, 25% packet loss, time 3ms\n"
    )
    report = parse_ping(text)
    assert report.jitter == pytest.approx(30e-6)
    assert report.out_of_order == 1


def test_one_reply_has_no_jitter():
    assert parse_ping(reply("0.5")).jitter is None


def test_less_than_a_millisecond_is_between_nothing_and_one():
    text = "64 bytes from A: seq=1 ttl=64 time<1 ms\n1 packets transmitted, 1 received, 0% packet loss\n"
    assert parse_ping(text).median == pytest.approx(0.5e-3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("iputils-no-neighbour", "Destination Host Unreachable"),
        ("iputils-no-route", "Destination Net Unreachable"),
        ("iputils-no-network", "Network is unreachable"),
        ("iputils-frag-needed", "message too long, mtu=1400"),
        ("busybox-no-network", "Network is unreachable"),
        ("iputils-silent", "no reply to 5 echoes"),
        ("busybox-silent", "no reply to 5 echoes"),
        ("inetutils-silent", "no reply to 2 echoes"),
        ("busybox-no-neighbour", "no reply to 3 echoes"),
    ],
)
def test_silence_is_unreachable_with_its_reason(recording, name, reason):
    with pytest.raises(Unreachable, match=reason):
        parse_ping(recording(f"ping/{name}.txt"))


@pytest.mark.parametrize("name", ["iputils-no-permission", "busybox-no-permission"])
def test_no_permission_is_the_tools_fault(recording, name):
    with pytest.raises(ToolProblem, match="CAP_NET_RAW"):
        parse_ping(recording(f"ping/{name}.txt"))


def test_untimed_replies_are_no_measurement(recording):
    with pytest.raises(ToolProblem, match="no times"):
        parse_ping(recording("ping/iputils-no-time.txt"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "printed nothing"),
        ("ping: unknown host node7\n", "unknown host"),
        ("64 bytes from A: icmp_seq=1 ttl=64 time=0.1 ms\n", "ended early"),
        (
            f"64 bytes from A: icmp_seq=1 time={'9' * 300} ms\n1 packets transmitted, 1 received\n",
            "cannot be",
        ),
    ],
)
def test_broken_output(text, words):
    with pytest.raises(ToolProblem, match=words):
        parse_ping(text)


def test_replies_that_went_missing_are_noticed(recording):
    text = recording("ping/iputils-success.txt")
    cut = "\n".join(line for line in text.splitlines() if "icmp_seq=7 " not in line)
    with pytest.raises(ToolProblem, match="200 replies to 200 echoes and printed 199"):
        parse_ping(cut)


def test_zero_is_no_time():
    with pytest.raises(ToolProblem):
        parse_ping(reply("0.000", "0.000"))


@pytest.mark.parametrize(
    "bad", [{"count": 0}, {"count": 70_000}, {"interval": 0}, {"interval": float("inf")}, {"payload": 8}]
)
def test_parameters_that_measure_nothing(bad):
    with pytest.raises(ValueError, match="must be"):
        Ping(**bad)


def test_lasting_scales_the_count():
    assert Ping(interval=0.01).lasting(2).count == 200
    assert Ping(interval=1.0).lasting(1).seconds == pytest.approx(1, rel=0.1)
    assert Ping().lasting(0.0001).count == 1
    assert Ping().lasting(1e6).count == 65535


def test_on_loopback(pair):
    probe = Ping(count=50)
    assert (probe.name, probe.unit, probe.better, probe.once) == ("ping", Unit.SECOND, Better.LOWER, False)
    with probe.open(pair) as measure:
        first, second = measure(), measure()
    for m in (first, second):
        assert 0 < m.value < 0.1
        assert (
            m.details["min"]
            <= m.details["median"] + 1e-6
            <= m.details["p99"] + 2e-6
            <= m.details["max"] + 2e-6
        )
        assert (m.details["sent"], m.details["received"], m.details["loss"]) == (50, 50, 0)
        assert 0.09 < m.seconds < probe.seconds + 10


def test_no_route(make_pair):
    pair = make_pair(client={"isolated": True})
    with Ping(count=2).open(pair) as measure, pytest.raises(Unreachable, match=r"node1: .*unreachable"):
        measure()


def test_not_installed(make_pair):
    with (
        Ping().open(make_pair(client={"path": "/nowhere"})) as measure,
        pytest.raises(ToolProblem, match="node1: ping is not installed"),
    ):
        measure()


def reply(*milliseconds: str) -> str:
    lines = [f"64 bytes from A: icmp_seq={n} ttl=64 time={t} ms" for n, t in enumerate(milliseconds, 1)]
    n = len(milliseconds)
    return "\n".join([*lines, f"{n} packets transmitted, {n} received, 0% packet loss, time 9ms"])
