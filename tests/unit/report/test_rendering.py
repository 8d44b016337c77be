"""Records read back, shown again: whatever a file holds that is valid, it becomes a page and a text."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.model import Mode, Outcome
from pytest_calico_perf.model import Path as PodPath
from pytest_calico_perf.report import rendering
from pytest_calico_perf.report.records import document, write
from pytest_calico_perf.report.references import load_references
from pytest_calico_perf.report.side_by_side import NamedRun
from tests.unit.report import made, samples


@settings(max_examples=12, deadline=None)  # a page starts a process that draws
@given(record=made.records())
def test_any_record_becomes_a_page_and_a_text(record):
    run = NamedRun("x", record)
    soup = BeautifulSoup(rendering.page([run]), "html.parser")
    assert soup.title.text
    assert not soup.find_all(["script", "link", "iframe"])
    stream = io.StringIO()
    rendering.print_text([run], (), stream, 100)
    assert stream.getvalue()
    assert all(character.isprintable() or character == "\n" for character in stream.getvalue())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (io.StringIO, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
    ids=["terminal", "terminal-no-color", "dumb", "pipe", "forced", "forced-no-color"],
)
def test_colour_is_for_terminals_and_those_who_ask(stream, environment, coloured, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    written = stream()
    rendering.print_text([NamedRun("x", samples.record())], (), written, 100)
    assert ("\x1b[31;1m" in written.getvalue() or "\x1b[1;31m" in written.getvalue()) is coloured
    assert ("\x1b" in written.getvalue()) is coloured


def test_published_figures_are_on_the_page_and_in_the_text():
    references = load_references(["article"])
    run = NamedRun("x", samples.record())
    assert references[0].caveats[0] in BeautifulSoup(rendering.page([run], references), "html.parser").text
    stream = io.StringIO()
    rendering.print_text([run], references, stream, 200)
    assert references[0].caveats[0] in " ".join(stream.getvalue().split())


def test_published_figures_are_shown_beside_each_of_several_runs():
    references = load_references(["article"])
    stream = io.StringIO()
    rendering.print_text([NamedRun(name, samples.record()) for name in "xy"], references, stream, 200)
    assert stream.getvalue().count("Published ratios beside those of this run") == 2


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_of_a_record_moves_the_cursor(count):
    evil = "\x1b]0;owned\x07\x9b2J"
    record = samples.record(problem=evil, cluster={"name": evil})
    stream = io.StringIO()
    rendering.print_text([NamedRun(f"{evil}{n}", record) for n in range(count)], (), stream, 100)
    assert "owned" in stream.getvalue()
    assert all(character.isprintable() or character == "\n" for character in stream.getvalue())


def test_of_a_dead_path_the_remedy_is_told_after_the_tables():
    dead = samples.failed("tcp", PodPath.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "a long story; open 179")
    diagnosis = {"said": "no answer", "sentence": "no BGP session", "remedy": "open 179", "works": ["vxlan"]}
    record = samples.record(results=[dataclasses.replace(dead, diagnosis=diagnosis)])
    stream = io.StringIO()
    rendering.print_text([NamedRun("x", record)], (), stream, 100)
    text = stream.getvalue()
    assert "  [1] no answer; no BGP session\n" in text
    assert text.count("open 179") == 1
    assert text.endswith("  do: open 179\n  would work, as far as was seen: vxlan\n")


def test_runs_are_called_by_what_tells_their_files_apart(tmp_path):
    def labels(*names: str) -> list[str]:
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(document(samples.record(rounds=1)), path)
        return [run.label for run in rendering.read_runs(paths)]

    assert labels("before.json", "after.json") == ["before", "after"]
    assert labels("a/run.json", "b/run.json") == ["a/run", "b/run"]
    assert labels("a/x/run.json", "b/x/run.json", "c.json") == [
        "a/x/run",
        "b/x/run",
        f"{tmp_path.parent.name}/{tmp_path.name}/c",
    ]
    one, two = labels("same.json", "same.txt")
    assert (Path(one).name, Path(two).name) == ("same.json", "same.txt")
    (tmp_path / "link.json").symlink_to(tmp_path / "before.json")
    with pytest.raises(UsageProblem, match="given twice"):
        rendering.read_runs([tmp_path / "before.json", tmp_path / "link.json"])
