from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_calico_perf.model import Better, Cell, Mode, Outcome, Path, Unit
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Stopped
from pytest_calico_perf.progress import Progress
from pytest_calico_perf.verdict import Stop

HOST = Cell("tcp", Path.HOST_TO_HOST, None)


@dataclass(frozen=True)
class Tool:
    name: str = "tcp"
    seconds: float = 1.0
    unit: Unit = Unit.BIT_PER_SECOND
    better: Better = Better.HIGHER
    once: bool = False


def block(path: Path, rounds: int = 3) -> Block:
    cells = tuple(Cell("tcp", path, mode) for mode in (Mode.IPIP, Mode.BGP))
    return Block(Tool(), path, cells, rounds=rounds, warm_up_rounds=1, control=HOST)


FIRST, SECOND = block(Path.HOST_TO_POD), block(Path.POD_TO_POD)
PLAN = Plan((FIRST, SECOND))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def play_round(progress, block, number, values=(9.41e9, 9.1e9, 9.33e9)):
    progress.round_started(block, number)
    for cell, value in zip(block.contenders, values, strict=True):
        progress.run_done(block, number, cell, value)
    progress.round_done(block, number)


def play(progress, clock, seconds_per_round, blocks=(FIRST, SECOND)):
    for each in blocks:
        progress.block_started(PLAN, each)
        for number in range(-1, each.rounds):
            clock.now += seconds_per_round
            play_round(progress, each, number)
        progress.block_done(each)


def test_in_a_log_there_is_one_line_a_round_and_nothing_else():
    lines, clock = [], Clock()
    play(Progress(line=lines.append, clock=clock), clock, 3.15)
    assert [line.split(": ")[0] for line in lines] == [
        "[1/2] tcp host-to-pod, warm-up 1/1",
        "[1/2] tcp host-to-pod, round 1/3",
        "[1/2] tcp host-to-pod, round 2/3",
        "[1/2] tcp host-to-pod, round 3/3",
        "[2/2] tcp pod-to-pod, warm-up 1/1",
        "[2/2] tcp pod-to-pod, round 1/3",
        "[2/2] tcp pod-to-pod, round 2/3",
        "[2/2] tcp pod-to-pod, round 3/3",
    ]
    assert "host 9.41 Gbit/s, ipip 9.10 Gbit/s, bgp 9.33 Gbit/s; " in lines[0]


def test_a_lost_round_says_so_and_is_no_number():
    lines = []
    progress = Progress(line=lines.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    play_round(progress, FIRST, 0, (9.41e9, None, 9.33e9))
    assert "ipip lost, bgp 9.33 Gbit/s" in lines[0]


def test_a_value_is_shown_in_its_own_round_only():
    shown = []
    progress = Progress(line=pytest.fail, rewrite=shown.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    play_round(progress, FIRST, 0)
    progress.round_started(FIRST, 1)
    assert shown[-1].startswith("[1/2] tcp host-to-pod, round 2/3; ")
    progress.run_done(FIRST, 1, HOST, 9.41e9)  # ipip has ended, and says nothing any more
    assert "host 9.41 Gbit/s; " in shown[-1]
    assert "ipip" not in shown[-1]


def test_what_ran_on_a_wrong_path_shows_that_and_no_number():
    lines = []
    progress = Progress(line=lines.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    play_round(progress, FIRST, 0, (9.41e9, Outcome.WRONG_PATH, 9.33e9))
    assert "ipip wrong-path, bgp 9.33 Gbit/s" in lines[0]


def test_on_a_terminal_there_is_one_live_line_which_is_taken_away():
    lines, shown = [], []
    progress = Progress(line=lines.append, rewrite=shown.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    assert shown[-1] == "[1/2] tcp host-to-pod, checking reachability"
    progress.round_started(FIRST, 0)
    progress.run_done(FIRST, 0, HOST, 9.41e9)
    assert shown[-1].startswith("[1/2] tcp host-to-pod, round 1/3: host 9.41 Gbit/s; ")
    progress.block_done(FIRST)
    assert shown[-1] == ""
    assert lines == []


def test_closing_in_the_middle_takes_the_live_line_away_once():
    shown = []
    progress = Progress(line=pytest.fail, rewrite=shown.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    progress.close()
    progress.close()
    assert shown[1:] == [""]


def test_the_live_line_never_wraps():
    shown = []
    progress = Progress(line=pytest.fail, rewrite=shown.append, width=lambda: 40, clock=Clock())
    progress.block_started(PLAN, FIRST)
    play_round(progress, FIRST, 0)
    assert max(len(text) for text in shown) == 39


def test_values_of_the_block_before_are_not_shown():
    shown = []
    progress = Progress(line=pytest.fail, rewrite=shown.append, clock=Clock())
    progress.block_started(PLAN, FIRST)
    play_round(progress, FIRST, 0)
    progress.block_started(PLAN, SECOND)
    progress.round_started(SECOND, -1)
    assert "Gbit/s" not in shown[-1]


def test_time_left_starts_as_the_plan_says_and_ends_at_nothing():
    clock = Clock()
    progress = Progress(line=lambda _: None, clock=clock)
    progress.block_started(PLAN, FIRST)
    assert progress.seconds_left == pytest.approx(PLAN.seconds)
    play(progress, clock, 3.0)
    assert progress.seconds_left == 0


def test_a_warm_up_round_is_a_round_of_the_time():
    progress = Progress(line=lambda _: None, clock=Clock())
    whole = Plan((FIRST,))
    progress.block_started(whole, FIRST)
    progress.round_done(FIRST, -1)
    # No time has passed: a quarter of the block is done, and the pace looks good.
    done = FIRST.seconds / 4
    assert progress.seconds_left == pytest.approx(3 * done * 10 / (done + 10))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_time_left_follows_the_pace(factor):
    clock = Clock()
    progress = Progress(line=lambda _: None, clock=clock)
    rounds = FIRST.rounds + FIRST.warm_up_rounds
    play(progress, clock, factor * FIRST.seconds / rounds, blocks=(FIRST,))
    left = progress.seconds_left / SECOND.seconds
    # Between the plan's word and the pace so far, and nearer to the pace the longer it is known.
    assert abs(left - factor) <= abs(1.0 - factor) / 2 + 1e-9


def test_a_block_that_ends_early_counts_as_done():
    progress = Progress(line=lambda _: None, clock=Clock())
    progress.block_started(PLAN, FIRST)
    before = progress.seconds_left
    progress.block_done(FIRST)
    assert progress.seconds_left < before * 0.6


def test_one_mode_at_a_time_it_tells_turns_and_both_halves_of_a_block():
    lines, clock = [], Clock()
    progress = Progress(line=lines.append, clock=clock)
    plan = Plan((FIRST,)).one_mode_at_a_time()
    progress.turning(Mode.IPIP)
    at = Mode.IPIP
    for step in plan.steps:
        if step.mode is not at:
            progress.turning(step.mode)
        at = step.mode
        progress.block_started(plan, step)
        for number in step.numbers:
            clock.now += 1.0
            progress.round_started(step, number)
            for cell in step.contenders:
                progress.run_done(step, number, cell, 1e9)
            progress.round_done(step, number)
        progress.block_done(step)
    assert [line.split(": ")[0] for line in lines] == [
        "turning the cluster to ipip",
        "[1/4] tcp host-to-pod ipip, warm-up 1/1",
        "[1/4] tcp host-to-pod ipip, round 1/3",
        "[1/4] tcp host-to-pod ipip, round 2/3",
        "turning the cluster to bgp",
        "[2/4] tcp host-to-pod bgp, warm-up 1/1",
        "[2/4] tcp host-to-pod bgp, round 1/3",
        "[2/4] tcp host-to-pod bgp, round 2/3",
        "[3/4] tcp host-to-pod bgp, warm-up 1/1",
        "[3/4] tcp host-to-pod bgp, round 3/3",
        "turning the cluster to ipip",
        "[4/4] tcp host-to-pod ipip, warm-up 1/1",
        "[4/4] tcp host-to-pod ipip, round 3/3",
    ]
    assert progress.seconds_left == 0


def test_turning_is_shown_live_too():
    shown = []
    progress = Progress(line=pytest.fail, rewrite=shown.append, clock=Clock())
    progress.turning(Mode.BGP)
    assert shown == ["turning the cluster to bgp"]
    progress.close()
    assert shown[-1] == ""


def test_rounds_that_may_end_early_are_counted_against_their_maximum_and_the_end_is_told():
    lines, clock = [], Clock()
    may_end = replace(block(Path.POD_TO_POD, rounds=9), precision=0.02)
    progress = Progress(line=lines.append, clock=clock)
    progress.block_started(Plan((may_end,)), may_end)
    play_round(progress, may_end, -1)
    play_round(progress, may_end, 5)
    stopped = Stopped(Stop.PRECISE, 6, 9, 0.02)
    progress.block_stopped(may_end, (stopped, stopped))
    progress.block_done(may_end)
    assert lines[0].startswith("[1/1] tcp pod-to-pod, warm-up 1/1: ")
    assert lines[1].startswith("[1/1] tcp pod-to-pod, round 6 of at most 9: ")
    assert lines[2:] == ["[1/1] tcp pod-to-pod: known to 2 % after 6 of at most 9 rounds"]
    assert progress.seconds_left == 0
