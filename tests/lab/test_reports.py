"""What a real run writes for other readers: each file is read by what reads it elsewhere, and they agree."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from bs4 import BeautifulSoup
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.lab.runs import SMALL, results

SCHEMA = Path(__file__).parents[2] / "docs" / "results.schema.json"
MODES = ("bgp", "ipip")


def test_json_csv_openmetrics_and_a_later_report_tell_the_same_story(
    suite, pytester: pytest.Pytester
) -> None:
    done = suite(
        f"--calico-mode={','.join(MODES)}", *SMALL, "--calico-csv=results.csv", "--calico-openmetrics=results.prom",
        "--calico-reference=article,daocloud-2023", "--color=yes",
    )  # fmt: skip
    assert done.ret == 0
    folder = Path(pytester.path)
    written = results(pytester)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(written)
    of_cell = {(c["probe"], c["path"], c["mode"]): c for c in written["cells"]}

    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for (probe, path, mode), cell in of_cell.items():
        mine = [
            row for row in rows if (row["probe"], row["path"], row["mode"] or None) == (probe, path, mode)
        ]
        assert [float(row["value"]) for row in mine] == cell["samples"]

    families = text_string_to_metric_families((folder / "results.prom").read_text())
    medians = {
        sample.labels.get("mode"): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "calico_perf_latency_seconds" and sample.labels["stat"] == "median"
    }
    assert medians == {mode: of_cell["ping", path, mode]["summary"]["median"]
                       for mode, path in ((None, "host-to-host"), ("bgp", "pod-to-pod"), ("ipip", "pod-to-pod"))}  # fmt: skip

    printed = done.stdout.str()
    assert "\x1b[1mping: round-trip time" in printed  # --color=yes: a heading is bold
    assert "Published ratios beside those of this run" in printed
    assert "daocloud-2023 [1]" in printed

    later = subprocess.run(
        [sys.executable, "-m", "pytest_calico_perf", "report", "results.json", "-o", "later.html"],
        cwd=folder, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (later.returncode, later.stderr) == (0, "")
    page = BeautifulSoup((folder / "later.html").read_text(encoding="utf-8"), "html.parser")
    assert "pod-to-pod" in page.text
    assert not [path for path in folder.iterdir() if path.name.startswith(".results")]  # no draft is left


def test_what_cannot_be_written_is_kept_and_told(suite, pytester: pytest.Pytester, monkeypatch) -> None:
    refuge = pytester.mkdir("refuge")
    monkeypatch.setenv("TMPDIR", str(refuge))
    done = suite(
        "--calico-mode=bgp", "--calico-probe=ping", "--calico-path=pod-to-pod", "--calico-rounds=1",
        "--calico-csv=/dev/full",
    )  # fmt: skip
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["calico-perf: /dev/full: the results could not be written: No space left *"])
    saved = list(refuge.glob("calico-perf-*"))
    assert len(saved) == 1
    assert saved[0].read_text().startswith("cluster,started,probe,")
    assert len(results(pytester)["cells"]) == 1
