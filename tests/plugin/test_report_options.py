"""Where reports go is checked before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

SUITE = ("--pyargs", "pytest_calico_perf.suite", "--calico-mode=bgp")


@pytest.fixture
def suite(pytester: pytest.Pytester):
    def run(*args: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*SUITE, *args, timeout=60)

    return run


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--calico-csv=no/x.csv"], "--calico-csv no/x.csv: the folder *no does not exist; create it, *"),
        (["--calico-openmetrics=."], "--calico-openmetrics .: it is a folder; name a file in it"),
        (["--calico-json=x", "--calico-csv=x"], "--calico-csv x: --calico-json writes that file, too; *"),
        (
            ["--calico-reference=artikel"],
            "--calico-reference: unknown reference 'artikel', did you mean 'article'*",
        ),
        (["--calico-reference=article,"], "--calico-reference: an empty entry in 'article,'; *"),
        (
            ["--calico-reference=mine.yaml"],
            "mine.yaml:1: a file of references is a list of `field: value` lines",
        ),
    ],
    ids=["folder-missing", "a-folder", "one-file-twice", "unknown", "empty-entry", "not-a-list"],
)
def test_a_mistake_ends_the_run_before_it_begins(suite, pytester: pytest.Pytester, args, message) -> None:
    Path(pytester.path, "mine.yaml").write_text("- 1\n")
    result = suite(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: calico-perf: {message}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not Path(pytester.path, "x").exists()


def test_nothing_is_written_where_nothing_is_measured(suite, pytester: pytest.Pytester) -> None:
    files = ["--calico-csv=x.csv", "--calico-openmetrics=x.prom", "--calico-reference=article,cni-2024-40g"]
    result = suite(*files, "--collect-only", "-q")
    assert result.ret == 0
    assert not [path for path in pytester.path.iterdir() if path.suffix in (".csv", ".prom")]
