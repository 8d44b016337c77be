"""The published comparison's table: arithmetic means in the right unit beside the article's own figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.report.article import published_averages, side_by_side


def tcp(
    path: Path, mode: Mode | None, *runs: tuple[float, float], outcome: Outcome = Outcome.OK
) -> CellResult:
    return CellResult(
        Cell("tcp", path, mode),
        outcome,
        Unit.BIT_PER_SECOND,
        Better.HIGHER,
        samples=tuple(received for _, received in runs),
        rounds=tuple(range(len(runs))),
        runs=tuple({"sent": sent, "received": received} for sent, received in runs),
    )


def ping(path: Path, mode: Mode | None, mean: float) -> CellResult:
    return CellResult(
        Cell("ping", path, mode), Outcome.OK, Unit.SECOND, Better.LOWER, (mean,), (0,), runs=({"mean": mean},)
    )


def record(
    *results: CellResult, profile: str = "article", cluster: str = "lab", modes=(Mode.IPIP, Mode.BGP)
) -> RunRecord:
    facts = {"name": cluster, "description": "Three nodes in one subnet"}
    return RunRecord(facts, {"name": profile}, modes, results, "2026-01-01T00:00:00+00:00", 1.0, 0.5)


DEAD = replace(
    tcp(Path.POD_TO_POD, Mode.BGP, outcome=Outcome.UNREACHABLE), reason="pod a: a small ping got no answer"
)


def test_there_and_here_per_scenario_and_mode_in_gigabits() -> None:
    table = side_by_side(
        record(
            tcp(Path.HOST_TO_HOST, None, (5.0e9, 4.9e9), (5.2e9, 5.1e9)),
            ping(Path.HOST_TO_HOST, None, 0.21e-3),
            tcp(Path.POD_TO_POD, Mode.IPIP, (4.7e9, 4.6e9)),
            DEAD,
        )
    )
    assert table
    assert table.rows == (
        ("physical-physical", "ipip", "there", "5.07 Gbit/s", "5.07 Gbit/s", "189 us"),
        ("physical-physical", "bgp", "there", "5.08 Gbit/s", "5.08 Gbit/s", "189 us"),
        ("physical-physical", "-", "here", "5.10 Gbit/s", "5.00 Gbit/s", "210 us"),
        ("physical-pod", "ipip", "there", "4.44 Gbit/s", "4.44 Gbit/s", "297 us"),
        ("physical-pod", "bgp", "there", "4.68 Gbit/s", "4.68 Gbit/s", "268 us"),
        ("pod-pod across nodes", "ipip", "there", "4.76 Gbit/s", "4.76 Gbit/s", "312 us"),
        ("pod-pod across nodes", "ipip", "here", "4.70 Gbit/s", "4.60 Gbit/s", "not measured"),
        ("pod-pod across nodes", "bgp", "there", "none", "none", "none"),
        ("pod-pod across nodes", "bgp", "here", "unreachable", "unreachable", "not measured"),
    )
    assert "They are Gbit/s, which it calls Mbps" in table.notes[0]
    assert "Three nodes in one subnet" in table.notes[1]


def test_a_mode_the_article_does_not_have_stands_alone() -> None:
    table = side_by_side(record(tcp(Path.POD_TO_POD, Mode.VXLAN, (4e9, 4e9)), modes=(Mode.VXLAN,)))
    assert table
    assert table.rows == (
        ("pod-pod across nodes", "vxlan", "here", "4.00 Gbit/s", "4.00 Gbit/s", "not measured"),
    )


def test_a_dead_path_is_explained_by_its_diagnosis() -> None:
    diagnosis = {"sentence": "the network drops what pods of node2 send", "remedy": "allow pod addresses"}
    table = side_by_side(record(replace(DEAD, diagnosis=diagnosis)))
    assert table
    assert (
        "it is no property of the mode: the network drops what pods of node2 send. What to do: allow pod addresses."
        in table.notes[2]
    )
    assert "In general the conclusion is wrong" in table.notes[3]
    undiagnosed = side_by_side(record(DEAD))
    assert undiagnosed
    assert "a small ping got no answer." in undiagnosed.notes[2]


def test_a_path_that_works_here_contradicts_the_conclusion() -> None:
    table = side_by_side(record(tcp(Path.POD_TO_POD, Mode.BGP, (9e9, 9e9))))
    assert table
    assert "Here it does: pod-to-pod in mode bgp works between two nodes." in table.notes[2]


@pytest.mark.parametrize("outcome", [Outcome.TOOL_ERROR, Outcome.UNSUPPORTED, Outcome.WRONG_PATH])
def test_other_failures_say_nothing_about_the_conclusion(outcome: Outcome) -> None:
    table = side_by_side(record(tcp(Path.POD_TO_POD, Mode.BGP, outcome=outcome)))
    assert table
    assert len(table.notes) == 2
    assert table.rows[-1][3] == str(outcome)


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.WRONG_PATH])
def test_what_is_no_number_of_this_path_is_not_shown_as_one(outcome: Outcome) -> None:
    table = side_by_side(record(tcp(Path.POD_TO_POD, Mode.BGP, (4e9, 4e9), outcome=outcome)))
    assert table
    assert table.rows[-1][3:5] == (str(outcome), str(outcome))


def test_a_slow_path_has_its_numbers() -> None:
    table = side_by_side(record(tcp(Path.POD_TO_POD, Mode.BGP, (4e9, 4e9), outcome=Outcome.SLOW)))
    assert table
    assert table.rows[-1][3] == "4.00 Gbit/s"


def test_lines_fit_a_terminal() -> None:
    lines = published_averages(
        record(tcp(Path.HOST_TO_HOST, None, (5.0e9, 4.9e9)), replace(DEAD, reason="word " * 100))
    )
    assert lines[2].split() == ["scenario", "mode", "where", "sender", "receiver", "ping"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("profile", "cluster", "shown"), [
    ("article", "lab", True), ("quick", "published", True), ("quick", "lab", False),
])  # fmt: skip
def test_only_runs_that_have_to_do_with_the_article_show_it(profile: str, cluster: str, shown: bool) -> None:
    lines = published_averages(record(DEAD, profile=profile, cluster=cluster))
    assert bool(lines) is shown


def test_a_run_without_these_probes_has_no_such_table() -> None:
    assert published_averages(record()) == []
