"""`python -m pytest_calico_perf report`, as a user calls it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.__main__ import main
from pytest_calico_perf.model import Mode
from pytest_calico_perf.report import rendering
from pytest_calico_perf.report.records import document, write
from tests.unit.report import samples
from tests.unit.report.test_terminal import with_failures


@pytest.fixture
def report(tmp_path):
    """Call the command in a folder with three records; nothing of this process's terminal is passed on."""
    write(document(with_failures()), tmp_path / "before.json")
    write(document(samples.record(noise=0.05)), tmp_path / "after.json")
    write(document(samples.record(modes=(Mode.BGP,), rounds=1)), tmp_path / "third.json")

    def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        unset = {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        return subprocess.run(
            [sys.executable, "-m", "pytest_calico_perf", "report", *args],
            cwd=tmp_path, env={**inherited, "COLUMNS": "100", **environment},
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    run.folder = tmp_path
    return run


def refused(done, message: str, code: int = 4) -> None:
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_one_record_is_shown_as_its_run_showed_it(report):
    done = report("before.json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("BGP ")
    assert "tcp: TCP throughput, one stream [Gbit/s, higher is better], 10 rounds" in lines
    assert "\x1b" not in done.stdout


def test_several_are_held_against_the_first(report):
    done = report("before.json", "after.json", "third.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    words = " ".join(done.stdout.split())
    assert "Runs before: lab, 2026-11-23" in words
    assert "of before: the run's geometric mean divided by that of before" in words
    assert "    of host  " in done.stdout


def test_colour_is_for_terminals_and_those_who_ask(report):
    assert "\x1b[31;1mworse\x1b[0m" in report("before.json", FORCE_COLOR="1").stdout
    assert "\x1b" not in report("before.json", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_the_page_is_written_whole_and_needs_nobody(report):
    done = report("before.json", "after.json", "-o", "report.html", "--reference", "article")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = BeautifulSoup((report.folder / "report.html").read_text(encoding="utf-8"), "html.parser")
    assert page.title.text == "Calico modes: before and after"
    assert page.text.count("Runs side by side") == 1
    assert not page.find_all(["script", "link", "img"])
    assert sorted(path.name for path in report.folder.iterdir()) == [
        "after.json", "before.json", "report.html", "third.json"
    ]  # fmt: skip


def test_published_figures_are_shown_beside_one_run(report):
    done = report("after.json", "--reference", "article,kube-ovn")
    assert done.returncode == 0
    assert "Published ratios beside those of this run; they judge nothing" in done.stdout
    refused(report("after.json", "--reference", "artikel"), "did you mean 'article'?")


def test_published_figures_are_shown_beside_each_of_several_runs(report):
    done = report("before.json", "after.json", "--reference", "article")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Published ratios beside those of this run; they judge nothing") == 2


def test_a_report_never_replaces_a_record(report):
    record = report.folder / "after.json"
    kept = record.read_bytes()
    (report.folder / "link.html").symlink_to(record)
    os.link(record, report.folder / "hard.html")
    for output in ("after.json", "./after.json", "link.html", "hard.html"):
        done = report("before.json", "after.json", "-o", output)
        refused(done, f"--output {Path(output)}: it is the record after.json, which the report would replace")
        assert record.read_bytes() == kept


@pytest.mark.parametrize("output", [(), ("-o", "report.html")], ids=["text", "page"])
def test_what_reading_lets_through_and_nothing_can_show_is_a_sentence(report, monkeypatch, capsys, output):
    def overflow(*_: object) -> None:
        raise OverflowError("int too large\nto \x1b[31mconvert")

    monkeypatch.chdir(report.folder)
    monkeypatch.setattr(rendering, "page", overflow)
    monkeypatch.setattr(rendering, "print_text", overflow)
    assert main(["report", "before.json", "after.json", *output]) == 4
    assert capsys.readouterr().err == (
        "pytest_calico_perf: record before.json or after.json: it holds what cannot be shown (OverflowError:"
        " int too large\\nto \\x1b[31mconvert); name a file that --calico-json wrote, unchanged\n"
    )


def test_names_that_the_terminal_cannot_show_are_written_out(report):
    written = json.loads((report.folder / "after.json").read_text())
    written["cluster"]["name"] = "Z\N{LATIN SMALL LETTER U WITH DIAERESIS}rich"
    (report.folder / "named.json").write_text(json.dumps(written))
    done = report("named.json", "before.json", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Z\\xfcrich" in done.stdout


def test_runs_of_one_name_are_told_apart_by_their_folders(report):
    for folder in ("monday", "friday"):
        (report.folder / folder).mkdir()
        write(document(samples.record()), report.folder / folder / "results.json")
    done = report("monday/results.json", "friday/results.json")
    assert "of monday/results" in done.stdout
    assert "  friday/results: lab" in done.stdout
    refused(report("before.json", "./before.json"), "it is given twice")


def test_bad_input_is_one_sentence_and_exit_code_4(report):
    refused(report("nothing.json"), "record nothing.json: it cannot be read: No such file or directory")
    (report.folder / "cut.json").write_text('{"schema": 2,')
    refused(report("cut.json"), "record cut.json: it is not JSON")
    later = json.loads((report.folder / "after.json").read_text()) | {"schema": 99}
    (report.folder / "later.json").write_text(json.dumps(later))
    refused(report("after.json", "later.json"), "it is of schema 99, and this version reads up to 2; update")
    refused(report("after.json", "-o", "no/folder/x.html"), "does not exist; create it")
    refused(report(), "the following arguments are required: record")
    refused(report("--nonsense", "after.json"), "unrecognized arguments")


def test_a_page_that_cannot_be_written_is_kept_elsewhere(report, tmp_path):
    refuge = tmp_path / "refuge"
    refuge.mkdir()
    done = report("after.json", "-o", "/dev/full", TMPDIR=str(refuge))
    refused(done, "the report could not be written: No space left on device", code=1)
    (saved,) = refuge.iterdir()
    assert saved.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_reader_that_stops_early_is_no_failure(report):
    command = f"{sys.executable} -m pytest_calico_perf report before.json after.json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=report.folder, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


def test_help_says_what_it_does_and_its_exit_codes(report):
    done = report("--help")
    assert done.returncode == 0
    assert "4 if a file cannot be used" in " ".join(done.stdout.split())


def test_the_module_without_a_command_is_a_usage_error(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest_calico_perf"],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    refused(done, "the following arguments are required")
