"""How often the gate errs, on simulated noise of known truth: the tables of docs/how-it-decides.md.

    python benchmarks/gate.py [CAMPAIGNS]

Seeded: the same CAMPAIGNS (default 4000, of 30 cells each) print the same figures. Takes half an
hour or so.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytest_calico_perf.verdict import SequentialPlan
from tests.unit.verdict import streams, trials
from tests.unit.verdict.noise import (
    AUTOCORRELATED,
    BIMODAL,
    DRIFT,
    HEAVY_TAILS,
    INDEPENDENT,
    NEIGHBOURS,
    NEIGHBOURS_ALONE,
    NOISES,
    OUTLIERS,
    SKEWED,
    Noise,
)

ALL = (*NOISES, NEIGHBOURS_ALONE)
ROUNDS = (6, 10, 20)
SELF_TESTS = 100


def main() -> None:
    campaigns = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    many = campaigns * 5
    by_rounds("A/A campaigns of 30 cells with any false alarm, tolerance 5 %", campaigns, aa_share)
    by_rounds("The same with tolerance 0: the family correction alone", campaigns, aa_share_without_tolerance)
    beside_losses(campaigns)
    by_rounds("Coverage of the 95 % interval of a ratio", many, trials.coverage)
    by_rounds("A true loss of 10 % is found, tolerance 5 %", many, trials.power)
    floors(many)
    placements(campaigns)
    thresholds(many)
    sequential(campaigns)
    looked_at(campaigns)
    days(campaigns)
    one_after_the_other(campaigns // 4)


def aa_share(noise: Noise, rounds: int, campaigns: int) -> float:
    return trials.false_alarms(noise, rounds, campaigns) / campaigns


def aa_share_without_tolerance(noise: Noise, rounds: int, campaigns: int) -> float:
    return trials.false_alarms(noise, rounds, campaigns, tolerance=0) / campaigns


def by_rounds(title: str, number: int, share: Callable[[Noise, int, int], float]) -> None:
    rows = ([noise.name, *(percent(share(noise, rounds, number)) for rounds in ROUNDS)] for noise in ALL)
    table(f"{title} ({number} each)", ["noise", *(f"{rounds} rounds" for rounds in ROUNDS)], rows)


def beside_losses(number: int) -> None:
    """Does an alarm that leaves the family make room for a false one?"""
    rows = []
    for noise in ALL:
        alarmed, found = trials.alarms_beside_losses(noise, 10, number)
        rows.append([noise.name, percent(alarmed), percent(found)])
    table(
        f"Every third cell lost 10 %, tolerance 0, 10 rounds ({number} campaigns each)",
        ["noise", "any false alarm", "losses found"],
        rows,
    )


def floors(number: int) -> None:
    """The tolerance that A/A self-tests of five pairs allow, and whether twice of it is found."""
    rows = []
    for noise in ALL:
        for rounds in (6, 10, 20):
            found = [trials.pair_floor(noise, rounds, seed=seed) for seed in range(SELF_TESTS)]
            shares = [
                trials.power(noise, rounds, number // SELF_TESTS, floor, seed)
                for seed, floor in enumerate(found)
            ]
            middle, mean = statistics.median(found), statistics.fmean(shares)
            rows.append([noise.name, str(rounds), percent(middle), percent(mean)])
    table(
        f"Noise floor by {SELF_TESTS} A/A self-tests of five pairs, and a true loss of twice the floor",
        ["noise", "rounds", "median floor", "found"],
        rows,
    )


def placements(number: int) -> None:
    """What shifts a contender for a whole campaign, and the floor that knows of it."""
    rows = []
    for shift in (0.0, 0.01, 0.02, 0.03):
        found = [trials.pair_floor(AUTOCORRELATED, 10, 10, shift, seed) for seed in range(SELF_TESTS)]
        floor = max(statistics.median(found), trials.TOLERANCE)
        alarms = [
            trials.false_alarms(AUTOCORRELATED, 10, number, tolerance, shift) / number
            for tolerance in (trials.TOLERANCE, floor)
        ]
        rows.append([percent(shift), percent(alarms[0]), percent(floor), percent(alarms[1])])
    table(
        f"A/A campaigns whose cells are shifted as a whole, 10 rounds ({number} each): any false alarm",
        [
            "deviation of the shift",
            "tolerance 5 %",
            "floor by ten A/A pairs (at least 5 %)",
            "tolerance there",
        ],
        rows,
    )


def thresholds(number: int) -> None:
    rows = []
    for noise in (INDEPENDENT, AUTOCORRELATED, NEIGHBOURS, HEAVY_TAILS, SKEWED, BIMODAL):
        for rounds in ROUNDS:
            slow, ok = trials.median_errors(noise, rounds, number)
            rows.append([noise.name, str(rounds), percent(slow), percent(ok)])
    for rounds in ROUNDS:
        slow, ok = trials.mean_errors(SKEWED, rounds, number)
        rows.append([f"{SKEWED.name}, had it been a t interval", str(rounds), percent(slow), percent(ok)])
    table(f"Absolute threshold exactly at the truth ({number} each)", ["noise", "rounds", "slow", "ok"], rows)


def sequential(number: int) -> None:
    plan = SequentialPlan.up_to(30)
    rows = []
    for noise in ALL:
        for name, loss in (
            ("0", 0.0),
            ("5 %", trials.AT_TOLERANCE),
            ("10 %", trials.TWICE_TOLERANCE),
        ):
            end = trials.looked(plan, noise, loss, number)
            rows.append(
                [
                    noise.name,
                    name,
                    f"{end.rounds:.1f}",
                    percent(end.ok),
                    percent(end.regressed),
                    percent(end.covered),
                    percent(end.covered_by_plain),
                ]
            )
    looks = ", ".join(map(str, plan.looks))
    table(
        f"Looks after {looks} rounds, precision 2 %, tolerance 5 % ({number} each)",
        ["noise", "true loss", "mean rounds", "ok", "regressed", "interval holds", "plain one holds"],
        rows,
    )
    share = trials.peeked(INDEPENDENT, trials.AT_TOLERANCE, plan.maximum, number)
    print(f"\nPlain 95 % interval after every round, true loss 5 %: {percent(share)} regressed")


def looked_at(number: int) -> None:
    """The family and the looks together: what they leave of 1 %."""
    plan = SequentialPlan.up_to(30)
    rows = []
    for noise in (INDEPENDENT, DRIFT, HEAVY_TAILS):
        alarms = [trials.looked_false_alarms(plan, noise, number, tolerance) for tolerance in (0.05, 0.0)]
        rows.append([noise.name, *(percent(count / number) for count in alarms)])
    table(
        f"A/A campaigns of 30 cells measured by looks ({number} each): any false alarm",
        ["noise", "tolerance 5 %", "tolerance 0"],
        rows,
    )


def days(number: int) -> None:
    rows = []
    for noise in (AUTOCORRELATED, DRIFT, OUTLIERS):
        for shift in (0.0, 0.01, 0.03):
            for runs in (0, 3, 5, 10, 20):
                end = trials.across(noise, runs, shift, number)
                rows.append(
                    [
                        noise.name,
                        percent(shift),
                        str(runs),
                        percent(end.covered_by_rounds_only),
                        percent(end.covered),
                        percent(end.tolerance),
                        percent(end.alarms),
                        percent(end.found),
                    ]
                )
    table(
        f"Against a baseline of another day, 10 rounds, tolerance 5 % or the floor ({number} cells each)",
        [
            "noise",
            "days differ by",
            "runs of history",
            "Welch holds",
            "ours holds",
            "median tolerance",
            "false alarms per cell",
            "twice the tolerance found",
        ],
        rows,
    )


def one_after_the_other(number: int) -> None:
    rows = []
    for by, noise, disturbed in (
        (0.003, 0.005, 0), (0.01, 0.01, 0), (0.01, 0.025, 0), (0.03, 0.025, 0),
        (0.003, 0.005, 0.05), (0.01, 0.01, 0.05),
    ):  # fmt: skip
        end = streams.stream(streams.days_that_differ(by, noise, disturbed), number)
        spread = [percent(by), percent(noise), percent(disturbed)]
        rows.append([*spread, *map(percent, (end.alarms, end.first, end.within_three))])
    table(
        f"Run after run of {streams.ROUNDS} rounds: {streams.GOOD_RUNS} equal ones, then "
        f"{streams.SLOWER_RUNS} that lost 10 % ({number} cells each)",
        [
            "days differ by",
            "rounds by",
            "disturbed days",
            "equal runs that alarm",
            "first slower run found",
            "one of the three",
        ],
        rows,
    )


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"\n**{title}**\n")
    print(f"| {' | '.join(heads)} |")
    print(f"|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


if __name__ == "__main__":
    main()
