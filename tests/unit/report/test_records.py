"""The JSON document: strict, complete, and never lost."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path as FilePath

import pytest

from pytest_calico_perf.errors import RecordProblem, SettingProblem
from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.report.records import document, plain, write
from pytest_calico_perf.report.saving import check_all_writable, check_writable, save
from tests.unit.report import samples
from tests.unit.report.test_terminal import HOSTILE, with_failures


def strict(text: str):
    """JSON as every other language reads it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def read(path: FilePath):
    return strict(path.read_text())


@pytest.fixture
def refuge(tmp_path, monkeypatch):
    folder = tmp_path / "refuge"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_document_has_every_cell_with_its_samples_and_its_ratio():
    record = samples.record()
    found = strict(json.dumps(document(record), allow_nan=False))
    assert found["schema"] == 2
    assert (found["cluster"]["name"], found["profile"]["name"]) == ("lab", "quick")
    assert found["modes"] == ["bgp", "ipip", "vxlan"]
    assert (found["wall_seconds"], found["measuring_seconds"], found["interrupted"]) == (171.0, 146.2, False)
    assert len(found["cells"]) == len(record.results)
    for cell, result in zip(found["cells"], record.results, strict=True):
        assert cell["samples"] == list(result.samples)
        assert cell["rounds"] == list(result.rounds)
        assert cell["control"] == {str(number): value for number, value in result.control.items()}
        assert cell["summary"]["n"] == len(result.samples)
        assert cell["unit"] in ("bit/s", "s", "requests/s")
    host, bgp, ipip = (
        next(c for c in found["cells"] if (c["probe"], c["path"], c["mode"]) == key)
        for key in (
            ("tcp", "host-to-host", None),
            ("tcp", "pod-to-pod", "bgp"),
            ("tcp", "pod-to-pod", "ipip"),
        )
    )
    assert (host["ratio"], bgp["ratio"]) == (None, None)
    assert ipip["ratio"]["low"] < ipip["ratio"]["value"] < ipip["ratio"]["high"] < 1
    assert ipip["evidence"]["route"].endswith("dev tunl0 proto bird onlink")
    assert len(ipip["runs"]) == 10


def test_what_kept_the_run_from_measuring_is_in_the_document():
    assert document(samples.record())["problem"] is None
    broken = document(samples.record(results=[], problem="lab: no BIRD; install bird2"))
    assert strict(json.dumps(broken, allow_nan=False))["problem"] == "lab: no BIRD; install bird2"
    assert broken["cells"] == []


def test_failures_are_never_numbers():
    found = document(with_failures())
    outcomes = {cell["outcome"] for cell in found["cells"]}
    assert outcomes == {str(outcome) for outcome in Outcome}
    for cell in found["cells"]:
        if cell["outcome"] in ("unreachable", "tool-error", "unsupported"):
            assert (cell["samples"], cell["summary"], cell["ratio"]) == ([], None, None)
            assert cell["reason"]


def test_what_json_cannot_hold_becomes_what_it_can():
    assert plain(
        {1: math.nan, "b": (math.inf, Mode.BGP, FilePath("/x"), True, None, 3), "c": {"d": {7}}}
    ) == {
        "1": None,
        "b": [None, "bgp", "/x", True, None, 3],
        "c": {"d": [7]},
    }
    dirty = dataclasses.replace(samples.link(), details={"x": math.inf, "y": HOSTILE, "z": Path.POD_TO_POD})
    details = strict(json.dumps(document(samples.record(results=[dirty])), allow_nan=False))["cells"][0][
        "details"
    ]
    assert details == {"x": None, "y": HOSTILE, "z": "pod-to-pod"}


def test_what_is_written_is_read_back_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")
    write(document(samples.record()), path)
    assert read(path) == document(samples.record())
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_the_umask_counts(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "real" / "run.json")
    previous = os.umask(0o027)
    try:
        write({"schema": 1}, link)
    finally:
        os.umask(previous)
    assert link.is_symlink()
    assert read(link) == {"schema": 1}
    assert (tmp_path / "real" / "run.json").stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_into_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["timeout", "20", "cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        write({"schema": 1}, pipe)
        assert json.loads(reader.communicate(timeout=20)[0]) == {"schema": 1}
    assert pipe.is_fifo()


def test_a_full_device_sends_the_results_to_the_temporary_folder(refuge):
    with pytest.raises(RecordProblem, match="No space left on device") as caught:
        write({"schema": 1, "cells": []}, FilePath("/dev/full"))
    (saved,) = refuge.iterdir()
    assert str(saved) in str(caught.value)
    assert str(caught.value).startswith("/dev/full: ")
    assert read(saved) == {"schema": 1, "cells": []}
    assert FilePath("/dev/full").is_char_device()


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True, timeout=10)
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=10)


def test_a_full_disk_keeps_the_old_file_and_saves_the_new_results_elsewhere(small_disk, refuge):
    path = small_disk / "results.json"
    path.write_text('{"schema": 1, "old": true}')
    big = document(samples.record(rounds=200))
    with pytest.raises(RecordProblem, match="No space left on device; they are in"):
        write(big, path)
    assert list(small_disk.iterdir()) == [path]
    assert read(path) == {"schema": 1, "old": True}
    (saved,) = refuge.iterdir()
    assert read(saved) == big


def test_when_nothing_can_be_saved_it_says_so_and_leaves_no_fragment(small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(RecordProblem, match="nor could they be saved in"):
        write(document(samples.record(rounds=200)), small_disk / "results.json")
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_vanished_during_the_run_loses_nothing(tmp_path, refuge):
    with pytest.raises(RecordProblem, match="No such file or directory; they are in"):
        write({"schema": 1}, tmp_path / "gone" / "results.json")
    assert len(list(refuge.iterdir())) == 1


def test_nan_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write({"schema": 1, "x": math.nan}, tmp_path / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_found_before_the_run(tmp_path):
    check_writable(tmp_path / "results.json")
    check_writable(FilePath("/dev/null"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingProblem, match="it is a folder"):
        check_writable(tmp_path)
    with pytest.raises(SettingProblem, match=r"the folder .*missing does not exist"):
        check_writable(tmp_path / "missing" / "results.json")
    (tmp_path / "file").touch()
    with pytest.raises(SettingProblem, match="does not exist"):
        check_writable(tmp_path / "file" / "results.json")


def test_a_read_only_file_system_is_found_before_the_run(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    with pytest.raises(SettingProblem, match="may not be written"):
        check_writable(small_disk / "results.json")


def test_two_options_may_not_write_one_file(tmp_path):
    check_all_writable({"--calico-json": tmp_path / "a", "--calico-csv": tmp_path / "b"})
    check_all_writable({"--calico-json": FilePath("/dev/null"), "--calico-csv": FilePath("/dev/null")})
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(SettingProblem, match=r"--calico-csv .*link: --calico-json writes that file, too"):
        check_all_writable({"--calico-json": tmp_path / "a", "--calico-csv": tmp_path / "link"})


def test_bytes_that_are_no_text_are_written_out(tmp_path):
    save("caf\udce9\r\n", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == b"caf\\udce9\r\n"
    record = samples.record(command=("--calico-json=\udcff",), software={"Python": "3.11"})
    assert document(record)["command"] == ["--calico-json=\\udcff"]


def test_a_refuge_keeps_the_kind_of_the_file(refuge):
    with pytest.raises(RecordProblem, match=r"they are in .*\.csv instead"):
        save("a,b\r\n", FilePath("/dev/full").parent / "no-such-folder" / "x.csv")
    (saved,) = refuge.iterdir()
    assert saved.read_bytes() == b"a,b\r\n"
