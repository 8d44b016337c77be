"""What is missing is named at once, with the packages that have it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab import requirements
from pytest_calico_perf.errors import RequirementMissing


@pytest.fixture
def machine_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make this a machine that has these programs and no others."""

    def furnish(*programs: str) -> None:
        for program in programs:
            (tmp_path / program).symlink_to(shutil.which("true") or "/bin/true")
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(requirements, "_SYSTEM_FOLDERS", ())

    return furnish


def test_a_machine_that_has_all_is_told_nothing(machine_with: Callable[..., None]) -> None:
    machine_with(*requirements.PACKAGES)
    requirements.check(link_kinds=())
    assert requirements.missing(requirements.PACKAGES) == ()


def test_a_bare_machine_is_told_all_in_one_message(machine_with: Callable[..., None]) -> None:
    machine_with("mount", "timeout")
    with pytest.raises(RequirementMissing) as caught:
        requirements.check()
    assert str(caught.value) == (
        "the lab cannot run on this machine: unshare, nsenter, ip, tc and bird are not installed, "
        "and some probes could not run without ping, iperf3, iperf, ab, nginx and ethtool; "
        "apt-get install --yes apache2-utils bird2 ethtool iperf iperf3 iproute2 iputils-ping nginx-light util-linux"
    )


def test_one_thing_that_is_missing(machine_with: Callable[..., None]) -> None:
    machine_with(*set(requirements.PACKAGES) - {"bird"})
    with pytest.raises(RequirementMissing) as caught:
        requirements.check(link_kinds=())
    assert caught.value.what == "the lab cannot run on this machine: bird is not installed"
    assert caught.value.remedy == "apt-get install --yes bird2"


def test_a_probes_tool_does_not_stop_the_lab(machine_with: Callable[..., None]) -> None:
    machine_with(*requirements.LAB_PROGRAMS)
    requirements.check(link_kinds=())
    assert requirements.missing(requirements.PROBE_PROGRAMS) == requirements.PROBE_PROGRAMS


def test_every_program_has_a_package() -> None:
    assert set(requirements.PACKAGES) >= {*requirements.LAB_PROGRAMS, *requirements.PROBE_PROGRAMS}
    assert requirements.install_line(["tc", "ip", "bird"]) == "apt-get install --yes bird2 iproute2"
    assert requirements.install_line(["something-of-the-users"]) == ""


def test_system_folders_are_searched_after_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/own:/usr/bin::/opt/own")
    folders = requirements.search_path().split(":")
    assert folders[:2] == ["/opt/own", "/usr/bin"]
    assert "/usr/sbin" in folders
    assert len(folders) == len(set(folders))


def test_an_empty_path_still_finds_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert requirements.missing(["sh"]) == ()
