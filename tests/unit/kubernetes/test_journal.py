"""What a switch notes: all of it or nothing on disk, and nothing untrusted believed."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.journal import Entry, Journal, note_on
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.errors import ClusterProblem, NotRestored
from tests.unit.kubernetes.objects import RAW_API, pool
from tests.unit.kubernetes.switchable import DEAD, ELSEWHERE, UID

POOL_ENTRY = Entry(
    run="bcdfgh",
    owner=DEAD,
    since=datetime(2026, 11, 23, 18, 0, tzinfo=UTC),
    cluster=UID,
    resource="ippools.crd.projectcalico.org",
    name="default-ipv4-ippool",
    uid="pool-uid-1",
    cidr="10.244.0.0/16",
    original={"ipipMode": "Always", "vxlanMode": None},
    written=({"ipipMode": "Never", "vxlanMode": "Never"},),
)


def parse(text: str) -> Entry:
    return Entry.parse(text, "pool x", remedy="look at it")


def altered(**fields: object) -> str:
    return json.dumps({**json.loads(POOL_ENTRY.text()), **fields})


def test_an_entry_is_read_as_it_was_written():
    assert parse(POOL_ENTRY.text()) == POOL_ENTRY


def test_an_entry_says_whose_it_is_and_whether_that_run_goes_on():
    assert POOL_ENTRY.who == f"run bcdfgh ({DEAD}), since 2026-11-23 18:00:00 UTC"
    ours, dead, far = (POOL_ENTRY.model_copy(update={"owner": who}) for who in (owner(), DEAD, ELSEWHERE))
    assert (ours.alive, ours.of_this_machine) == (True, True)
    assert (dead.alive, dead.of_this_machine) == (False, True)
    assert (far.alive, far.of_this_machine) == (False, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../../etc/passwd"},
        {"name": "x; rm -rf /"},
        {"name": "a" * 300},
        {"resource": "secrets"},
        {"resource": "ippools.evil.example"},
        {"run": "$(id)"},
        {"run": ""},
        {"owner": "root\nand a second line"},
        {"owner": "turned \u202e round"},
        {"owner": "\x1b[31mred"},
        {"owner": "x" * 301},
        {"since": "yesterday"},
        {"since": "2026-11-23T18:00:00"},
        {"since": 5},
        {"cluster": "../x"},
        {"uid": ""},
        {"cidr": "10.244.0.0/99"},
        {"cidr": "2001:db8::/64"},
        {"original": {"ipipMode": "Always"}},
        {"original": {"ipipMode": "Always", "vxlanMode": "Sometimes"}},
        {"original": {"ipipMode": "Always", "vxlanMode": "Never", "cidr": "0.0.0.0/0"}},
        {"original": {"encapsulation": "IPIP"}},
        {"original": {"ipipMode": 1, "vxlanMode": "Never"}},
        {"written": [{"ipipMode": "Always", "vxlanMode": ["Never"]}]},
        {"written": [{"ipipMode": "Never", "vxlanMode": "Never"}] * 17},
        {"version": 2},
        {"extra": "field"},
    ],
    ids=str,
)
def test_what_is_none_of_ours_is_refused_in_one_line(fields):
    with pytest.raises(NotRestored, match="the note of a switch cannot be read") as caught:
        parse(altered(**fields))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")) | json_values.map(json.dumps))
def test_any_text_is_refused_without_a_traceback(text):
    with pytest.raises(NotRestored):
        parse(text)


@given(st.sampled_from(sorted(json.loads(POOL_ENTRY.text()))), json_values)
def test_any_value_of_any_field_is_read_or_refused(field, value):
    try:
        parse(altered(**{field: value}))
    except NotRestored as problem:
        assert str(problem).isprintable()


def test_a_note_that_is_too_long_is_not_parsed():
    with pytest.raises(NotRestored, match="far too long"):
        parse(" " * 70_000)


def noted(text: str, name: str = "default-ipv4-ippool") -> dict:
    found = pool(name)
    found["metadata"]["annotations"] = {"pytest-calico-perf/original": text}
    return found


def test_a_note_is_of_the_object_it_is_on():
    assert note_on(pool(), RAW_API.pools, "default-ipv4-ippool") is None
    assert note_on(noted(POOL_ENTRY.text()), RAW_API.pools, "default-ipv4-ippool") == POOL_ENTRY
    with pytest.raises(NotRestored, match="it was copied here") as caught:
        note_on(noted(POOL_ENTRY.text(), "other"), RAW_API.pools, "other")
    assert "kubectl annotate ippools.crd.projectcalico.org other pytest-calico-perf/original-" in str(
        caught.value
    )


# -- the file ------------------------------------------------------------------------------------------


def journal(folder: Path) -> Journal:
    return Journal.of_cluster(UID, {"XDG_STATE_HOME": str(folder)})


def test_the_file_is_named_by_the_cluster_in_the_users_state_folder(tmp_path, monkeypatch):
    assert journal(tmp_path).path == tmp_path / "pytest-calico-perf" / f"{UID}.json"
    monkeypatch.setenv("HOME", "/home/somebody")
    usual = Path("/home/somebody/.local/state/pytest-calico-perf") / f"{UID}.json"
    assert Journal.of_cluster(UID, {}).path == usual
    assert Journal.of_cluster(UID, {"XDG_STATE_HOME": "relative/is/to/be/ignored"}).path == usual


def names(one: Journal) -> list[str]:
    return [each.name for each in one.path.parent.iterdir()]


@pytest.mark.parametrize("uid", ["", "../../x", "a/b", ".", "x" * 65, "a\n"])
def test_a_uid_that_is_none_names_no_file(uid):
    with pytest.raises(ClusterProblem):
        Journal.of_cluster(uid, {})


def test_it_is_written_read_replaced_and_removed(tmp_path):
    one = journal(tmp_path)
    assert one.read() is None
    one.create(POOL_ENTRY)
    assert one.read() == POOL_ENTRY
    more = POOL_ENTRY.model_copy(update={"written": ()})
    one.write(more)
    assert one.read() == more
    assert names(one) == [one.path.name]
    one.remove("another")
    assert one.read() == more
    one.remove("bcdfgh")
    one.remove("bcdfgh")
    assert names(one) == []


def test_it_is_for_its_owner_alone(tmp_path):
    one = journal(tmp_path)
    previous = os.umask(0)
    try:
        one.create(POOL_ENTRY)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(one.path.parent.stat().st_mode) == 0o700


def test_a_second_run_does_not_overwrite_it(tmp_path):
    journal(tmp_path).create(POOL_ENTRY)
    with pytest.raises(ClusterProblem, match="another run has noted"):
        journal(tmp_path).create(POOL_ENTRY.model_copy(update={"run": "second"}))
    assert journal(tmp_path).read() == POOL_ENTRY
    assert len(names(journal(tmp_path))) == 1


def test_what_fails_on_the_way_leaves_the_old_note_and_no_draft(tmp_path, monkeypatch):
    one = journal(tmp_path)
    one.create(POOL_ENTRY)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClusterProblem, match="No space left on device"):
        one.write(POOL_ENTRY.model_copy(update={"written": ()}))
    monkeypatch.undo()
    assert one.read() == POOL_ENTRY
    assert names(one) == [one.path.name]


def test_file_and_folder_are_on_the_disk_before_it_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(stat.S_IFMT(os.fstat(fd).st_mode)), real(fd)))
    journal(tmp_path).create(POOL_ENTRY)
    assert synced == [stat.S_IFREG, stat.S_IFDIR]


def test_a_draft_that_somebody_made_a_link_is_not_written_through(tmp_path):
    one = journal(tmp_path)
    one.path.parent.mkdir(parents=True)
    target = tmp_path / "precious"
    target.write_text("kept")
    one.path.with_name(f".{one.path.name}.{os.getpid()}").symlink_to(target)
    one.create(POOL_ENTRY)
    assert target.read_text() == "kept"
    assert one.read() == POOL_ENTRY


def test_garbage_in_the_file_is_said_with_its_path(tmp_path):
    one = journal(tmp_path)
    one.path.parent.mkdir(parents=True)
    one.path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(NotRestored, match="cannot be read") as caught:
        one.read()
    assert str(one.path) in str(caught.value)
    one.path.unlink()
    one.path.mkdir()
    with pytest.raises(NotRestored, match="directory"):
        one.read()
