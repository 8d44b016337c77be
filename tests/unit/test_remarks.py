"""Remarks on runs: what real recordings of changing, lossy and uneven links show; and nothing on healthy ones."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Unit
from pytest_calico_perf.remarks import remarks
from pytest_calico_perf.remarks.inside import Shape, slow_stretch, two_levels

RECORDINGS = File(__file__).parent / "probes" / "recordings" / "runs"
HEALTHY = sorted(file.stem for file in RECORDINGS.glob("healthy-*.json"))
KINDS = {
    "ping": (Unit.SECOND, Better.LOWER),
    "http": (Unit.REQUEST_PER_SECOND, Better.HIGHER),
    "connect": (Unit.CONNECTION_PER_SECOND, Better.HIGHER),
}


def recorded(name: str, **changes: Any) -> CellResult:
    document = json.loads((RECORDINGS / f"{name}.json").read_text())
    mode = Mode(document["mode"]) if document["mode"] else None
    unit, better = KINDS.get(document["probe"], (Unit.BIT_PER_SECOND, Better.HIGHER))
    result = CellResult(
        Cell(document["probe"], Path(document["path"]), mode),
        Outcome.OK,
        unit,
        better,
        samples=tuple(document["samples"]),
        rounds=tuple(range(len(document["samples"]))),
        runs=tuple(document["runs"]),
    )
    return replace(result, **changes)


def with_runs(result: CellResult, **changes: Any) -> CellResult:
    """The same with other details in every run."""
    return replace(result, runs=tuple({**run, **changes} for run in result.runs))


def test_there_are_healthy_recordings() -> None:
    assert len(HEALTHY) >= 20


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_remarked_of_a_healthy_cell(name: str) -> None:
    assert remarks(recorded(name)) == ()


@pytest.mark.parametrize("name", [name for name in HEALTHY if "-tcp-" in name])
def test_nor_of_its_first_rounds(name: str) -> None:
    whole = recorded(name)
    for rounds in range(1, len(whole.samples)):
        cut = replace(
            whole, samples=whole.samples[:rounds], rounds=whole.rounds[:rounds], runs=whole.runs[:rounds]
        )
        assert remarks(cut) == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shaped-drops", ["the rate collapses inside the run: from 382 Mbit/s to 37.9 Mbit/s after 1.0 s, in all 4"]),
        ("shaped-climbs", ["the rate climbs for long: 38.8 Mbit/s in the first 900 ms, 381 Mbit/s from then on, in"]),
        ("shaped-dips", ["the rate drops inside the run: to 38.1 Mbit/s from 800 ms to 1.3 s, 382 Mbit/s before"]),
        ("shaped-hops", ["the rate hops between two levels inside the run, 95.0 Mbit/s and 386 Mbit/s, in "]),
        ("shaped-asymmetric", ["the directions differ by a factor of 4: 380 Mbit/s from client to server, 93.7 "]),
        ("shaped-bimodal", ["the rounds fall into two groups: 5 at 186 Mbit/s to 192 Mbit/s, 5 at 370 Mbit/s to "]),
        ("shaped-step", ["5 at 191 Mbit/s to 191 Mbit/s, 5 at 382 Mbit/s to 384 Mbit/s, none between; they change "]),
        ("shaped-outlier", ["round 6 is far from the others: 95.5 Mbit/s against 382 Mbit/s to 383 Mbit/s"]),
        ("shaped-udp-loss", ["the sender is the limit: it sent 395 Mbit/s of the 600 Mbit/s it was asked for (its"]),
        ("lossy-udp-sender", ["the sender is the limit: it sent 1.93 Gbit/s of the 100 Gbit/s", "37.8 % of the"]),
        ("lossy-udp", ["30.3 % of the datagrams were lost at 500 Mbit/s in all 4 runs"]),
        ("lossy-ping", ["6.87 % of 800 echoes got no answer"]),
        ("lossy-http", ["the longest request took 1.02 s against a median of 380 us; 1.00 s or more in 1 of 4 runs"]),
        (
            "lossy-tcp",
            [
                "nothing arrives from 400 ms to 900 ms inside the run",
                "the directions differ by a factor of 4.66",
                "loss explains this figure: 3.18 % of the segments were sent again (7027 in a run)",
            ],
        ),
    ],
)  # fmt: skip
def test_what_was_done_to_a_link_is_remarked_and_nothing_else(name: str, words: list[str]) -> None:
    texts = remarks(recorded(name))
    assert len(texts) == len(words), texts
    for text, part in zip(texts, words, strict=True):
        assert part in text
        assert not text.endswith(".")


def test_a_cell_without_samples_has_no_remarks() -> None:
    assert remarks(recorded("shaped-drops", samples=(), rounds=())) == ()


# -- inside a run ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "shape"),
    [
        ([10, 10, 10, 10, 10, 1, 1, 1, 1, 1], Shape.COLLAPSE),
        ([1, 1, 1, 10, 10, 10, 10, 10, 10, 10], Shape.CLIMB),
        ([10, 10, 10, 1, 1, 1, 10, 10, 10, 10], Shape.DIP),
        ([10, 10, 10, 0, 0, 0, 10, 10, 10, 10], Shape.STALL),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], Shape.CLIMB),
    ],
)
def test_shapes(rates: list[float], shape: Shape) -> None:
    stretch = slow_stretch(rates)
    assert stretch
    assert stretch.shape is shape


@pytest.mark.parametrize(
    "rates",
    [[10, 10, 10, 1, 1, 10, 10, 10, 10, 10], [10, 1] * 5, [6, 6, 6, 6, 10, 10, 10, 10], [10, 10, 1, 1, 1], []],
    ids=["too-short", "to-and-fro", "less-than-half", "too-few-intervals", "none"],
)  # fmt: skip
def test_no_slow_stretch(rates: list[float]) -> None:
    assert slow_stretch(rates) is None


def test_two_levels() -> None:
    assert two_levels([1, 1, 3, 3] * 5) == (1, 3)
    assert two_levels([1, 1, 3, 3] * 4) is None  # too few intervals
    assert two_levels([1] * 10 + [3] * 10) is None  # hops once: it climbs
    assert two_levels([1, 1.5, 2, 2.5, 3] * 4) is None  # as many between as at the ends
    assert two_levels([2, 3] * 10) is None  # too near


@pytest.mark.parametrize("length", [10, 20])
@pytest.mark.parametrize(("spread", "memory"), [(0.2, 0.8), (0.3, 0.5), (0.4, 0.5)])
def test_noise_makes_no_shape_that_is_remarked(spread: float, memory: float, length: int) -> None:
    """Cells of five rounds with noise that remembers: fewer than 1 % get a remark."""
    generator = random.Random(7)
    base = recorded("healthy-tcp-shaped")

    def noisy() -> list[float]:
        rates, level = [], generator.gauss(0, spread)
        for _ in range(length):
            rates.append(1e9 * math.exp(level))
            level = memory * level + generator.gauss(0, spread * math.sqrt(1 - memory**2))
        return rates

    flagged = 0
    for _ in range(400):
        runs = tuple(
            {"intervals": noisy(), "interval_seconds": 0.1, "warm_up_seconds": 0.0} for _ in range(5)
        )
        flagged += bool(remarks(replace(base, samples=base.samples[:5], rounds=base.rounds[:5], runs=runs)))
    assert flagged < 4


def test_one_run_is_believed_only_where_it_is_plain() -> None:
    drops = recorded("shaped-drops")
    healthy = with_runs(drops, intervals=[3.8e8] * 20)
    assert remarks(replace(drops, runs=(drops.runs[0], *healthy.runs[1:]))) != ()
    milder = {**drops.runs[0], "intervals": [3.8e8] * 10 + [1.5e8] * 10}
    assert remarks(replace(drops, runs=(milder, *healthy.runs[1:]))) == ()
    assert "in 2 of 4 runs" in remarks(replace(drops, runs=(milder, milder, *healthy.runs[2:])))[0]


def test_a_run_of_an_hour_is_looked_at_in_pieces() -> None:
    hour = {"intervals": [9e9] * 1800 + [1e9] * 1800, "interval_seconds": 1.0, "warm_up_seconds": 0.0}
    base = recorded("healthy-tcp-shaped")
    (text,) = remarks(replace(base, samples=base.samples[:1], rounds=(0,), runs=(hour,)))
    assert "from 9.00 Gbit/s to 1.00 Gbit/s after 30 min 00 s, in its run" in text


def test_what_the_probe_leaves_out_is_left_out_here() -> None:
    slow_start = [1e6, 1e7, *[1e9] * 8]
    runs = ({"intervals": slow_start, "interval_seconds": 0.1, "warm_up_seconds": 0.2},) * 5
    base = recorded("healthy-tcp-shaped")
    assert remarks(replace(base, samples=base.samples[:5], rounds=base.rounds[:5], runs=runs)) == ()


def test_the_way_back_is_looked_at_too() -> None:
    forward = recorded("shaped-drops")
    healthy = {**forward.runs[0], "intervals": [3.8e8] * 20}
    both = replace(forward, runs=tuple({**healthy, "reverse": dict(run)} for run in forward.runs))
    texts = remarks(both)
    assert any("collapses" in text and "(server to client)" in text for text in texts)


# -- the ends -------------------------------------------------------------------------------------


def test_a_full_cpu_is_named_with_its_end() -> None:
    shaped = recorded("healthy-tcp-shaped")
    (text,) = remarks(with_runs(shaped, cpu_client=0.98))
    assert text.startswith("a CPU explains this figure: the client, which sends, used 98 %")
    assert text.endswith("the network may be faster than this pod can send")
    (text,) = remarks(with_runs(shaped, cpu_server=0.96))
    assert "the server, which receives, used 96 %" in text
    assert remarks(with_runs(shaped, cpu_client=0.9, cpu_server=None)) == ()


def test_streams_have_a_core_each_since_3_16() -> None:
    parallel = recorded("healthy-tcp-parallel-pod-to-pod-bgp")
    assert remarks(with_runs(parallel, cpu_client=1.5, version_client="3.16")) == ()
    assert "used 97.5 %" in remarks(with_runs(parallel, cpu_client=3.9, version_client="3.16"))[0]
    assert "used 99 %" in remarks(with_runs(parallel, cpu_client=0.99, version_client="3.12"))[0]


def test_loss_explains_only_a_low_figure() -> None:
    lossy = recorded("lossy-tcp")
    fast = dict(enumerate(lossy.samples))
    assert any("sent again" in text for text in remarks(replace(lossy, control=dict.fromkeys(fast, 1e10))))
    assert not any("sent again" in text for text in remarks(replace(lossy, control=fast)))


def test_what_bbr_bears_stops_the_others() -> None:
    shaped = recorded("healthy-tcp-shaped")
    again = round(0.0155 * 3.8e8 / 8 / 1448)
    assert remarks(with_runs(shaped, retransmits=again, congestion_control="bbr")) == ()
    (text,) = remarks(with_runs(shaped, retransmits=again, congestion_control="cubic"))
    assert "loss explains this figure: 1.45 % " in text


# -- waits and rounds -----------------------------------------------------------------------------


def test_a_long_tail_of_echoes() -> None:
    ping = recorded("healthy-ping-host-to-host")
    (text,) = remarks(with_runs(ping, median=2e-4, p99=8e-3))
    assert "one echo in a hundred takes 8.00 ms or more, 40 times the median (200 us)" in text
    assert remarks(with_runs(ping, median=2e-4, p99=9e-4)) == ()  # many times, but below a millisecond
    assert remarks(with_runs(ping, median=2e-3, p99=8e-3)) == ()


def test_two_answers_to_an_echo() -> None:
    (text,) = remarks(with_runs(recorded("healthy-ping-host-to-host"), duplicates=3))
    assert text.startswith("30 echoes were answered twice")


def test_echoes_that_differ_by_a_cpu_s_sleep_are_no_groups() -> None:
    ping = recorded("healthy-ping-host-to-host")
    groups = (7e-6, 7.1e-6, 7.2e-6, 7e-6, 7.1e-6, 25e-6, 25.1e-6, 25e-6, 25.2e-6, 25.1e-6)
    assert remarks(replace(ping, samples=groups)) == ()
    slow = tuple(sample * 100 for sample in groups)
    assert "the rounds fall into two groups" in remarks(replace(ping, samples=slow))[0]
    assert "they change sides for good after round 5" in remarks(replace(ping, samples=slow))[0]


def test_lost_rounds_are_told_with_their_reason() -> None:
    lost = [{"round": -1, "reason": "warm-up"}, {"round": 3, "reason": "ab: 12 of 90 requests failed"}]
    (text,) = remarks(recorded("healthy-http-host-to-host", details={"lost_rounds": lost}))
    assert text == "1 of 9 rounds gave no value: ab: 12 of 90 requests failed"


@pytest.mark.parametrize("junk", [None, "fast", [], {}, math.nan, -1, True, [None, "x", {}]])
def test_a_record_may_hold_anything(junk: object) -> None:
    """Records are read back from files that people have edited."""
    for name in ("lossy-tcp", "lossy-udp", "lossy-ping", "lossy-http"):
        result = recorded(name)
        for key in {key for run in result.runs for key in run}:
            remarks(with_runs(result, **{key: junk}))
        remarks(replace(result, details={"lost_rounds": junk}))
