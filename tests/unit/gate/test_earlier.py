"""Files that claim to be earlier runs: read when they are ours, refused in a line when they are not."""

from __future__ import annotations

import json
import os
from itertools import count

import pytest

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.gate.earlier import read_run
from pytest_calico_perf.gate.store import Store
from pytest_calico_perf.report.benchmark import machine_info
from tests.unit.gate.earlier_runs import BGP, FACTS, HOST, IPIP, history, record, result, tampered, written


@pytest.fixture
def ours(tmp_path):
    return written(tmp_path / "ours.json", record())


def test_what_was_measured_comes_back_bit_for_bit(ours) -> None:
    run = read_run(ours)
    expected = result(BGP, 1)
    assert set(run.cells) == {HOST, BGP, IPIP}
    assert run.cells[BGP].samples == expected.by_round
    assert run.cells[BGP].control == dict(expected.control)
    assert run.cells[BGP].threaded is False
    assert run.commands == {"tcp": "iperf3 -t 1"}
    assert run.label == "2026-11-20 10:00 UTC"


def test_a_file_of_pytest_benchmark_is_read_by_its_rows(tmp_path) -> None:
    def row(of, **more):
        cell = of.cell
        info = {
            "probe": cell.probe, "path": str(cell.path), "mode": str(cell.mode), "outcome": "ok",
            "unit": str(of.unit), "better": str(of.better), "samples": list(of.samples), "rounds": list(of.rounds),
            "details": dict(of.details), **more,
        }  # fmt: skip
        return {"fullname": "x", "stats": {}, "extra_info": info}

    bgp = result(BGP, 1)
    document = {
        "machine_info": machine_info(FACTS),
        "datetime": "2026-11-20T10:00:00.123456",
        "benchmarks": [
            row(bgp),
            row(bgp, samples=[1.0] * 10),
            {"extra_info": {}},
            {"extra_info": {"samples": [1]}},
        ],
    }
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(document))
    run = read_run(path)
    assert run.cells[BGP].samples == bgp.by_round
    assert run.commands == {}
    assert run.fingerprint.place == read_run(written(tmp_path / "ours.json", record())).fingerprint.place
    assert run.label == "2026-11-20 10:00 UTC"


def change_cell(**fields):
    return lambda document: document["cells"][1].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(schema=3), "schema"),
        (lambda document: document.pop("schema"), "schema"),
        (lambda document: document.update(cells=[]), "no sample"),
        (lambda document: document.update(cells={}), "cells"),
        (lambda document: document.update(started="yesterday"), "'yesterday' is no time"),
        (lambda document: document.update(started="9999-12-31T23:59:59-12:00"), "is no time"),
        (lambda document: document["cluster"].pop("nodes"), "cluster.nodes"),
        (lambda document: document["cluster"].update(nodes=[]), "cluster.nodes"),
        (lambda document: document["cluster"].update(nodes="node1"), "cluster.nodes"),
        (
            lambda document: document["cells"].append(document["cells"][1]),
            "two results of tcp pod-to-pod bgp",
        ),
        (change_cell(samples=[1e9] * 9), "one round number for each sample"),
        (change_cell(rounds=[0] * 10), "one round number for each sample"),
        (change_cell(rounds=[-1, *range(9)]), "cells.1.rounds"),
        (change_cell(samples=[0.0] * 10), "should be greater than"),
        (change_cell(samples=[-1e9] * 10), "should be greater than"),
        (change_cell(samples=[float("nan")] * 10), "cells.1.samples"),
        (change_cell(samples=[float("inf")] * 10), "cells.1.samples"),
        (change_cell(samples=["1e9"] * 10), "cells.1.samples"),
        (change_cell(samples=[True] * 10), "cells.1.samples"),
        (change_cell(control={"0": 0.0}), "cells.1.control"),
        (change_cell(control={"zero": 1.0}), "cells.1.control"),
        (change_cell(mode="bpg"), "cells.1.mode"),
        (change_cell(mode=None), "pod-to-pod needs a mode"),
        (change_cell(path="host-to-host"), "host-to-host has no mode"),
        (change_cell(unit="Gbit/s"), "cells.1.unit"),
    ],
    ids=count(),
)
def test_a_record_that_cannot_be_is_refused_in_a_line(ours, change, message) -> None:
    with pytest.raises(UsageProblem) as problem:
        read_run(tampered(ours, change))
    assert message in str(problem.value)
    assert str(problem.value).startswith(f"baseline {ours}: ")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"null", b"[]", b"42", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000, b'{"machine_info": {}}',
        b'{"machine_info": null}', b'{"schema": 1, "cells": [], "cells": {}}', b"9" * 10_000,
    ],
    ids=count(),
)  # fmt: skip
def test_whatever_is_not_ours_is_refused_in_a_line(tmp_path, text) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text)
    with pytest.raises(UsageProblem, match="--calico-json or --benchmark-json") as problem:
        read_run(path)
    assert "\n" not in str(problem.value)


def test_what_a_file_says_is_shown_without_its_control_characters(ours) -> None:
    run = read_run(tampered(ours, lambda document: document["cluster"].update(name="lab\x1b[2J\n")))
    assert run.fingerprint.cluster == "lab?[2J?"


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read: No such file"):
        read_run(tmp_path / "missing.json")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageProblem, match="it is not a file"):
            read_run(path)


# -- folders ---------------------------------------------------------------------------------------


def test_a_broken_file_in_the_folder_is_named_before_anything_is_touched(tmp_path) -> None:
    folder = history(tmp_path / "runs", 2)
    broken = min(folder.glob("*/*.json"))
    broken.write_text("{")
    with pytest.raises(UsageProblem, match=broken.name):
        Store(folder, "lab")
    Store(folder, "prod")  # another cluster's runs are not read


def test_other_files_in_the_folder_are_left_alone(tmp_path) -> None:
    folder = history(tmp_path / "runs", 1)
    (folder / "README.md").write_text("ours")
    (folder / "lab-notes").write_text("no folder")
    (next(folder.glob("lab-*/")) / ".draft.json").write_text("{")
    Store(folder, "lab")


def test_a_folder_that_cannot_be_one_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageProblem, match="is not a folder"):
            Store(path, "lab")
