"""The janitor removes what nobody owns any more and keeps what is to be kept; nobody else's lab is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab import __main__ as cli
from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.tag import LabTag, started_at
from tests.lab.owner import CHECKOUT, DEADLINE, Owner, owner, wait_until

# Every lab that comes up calls the janitor: a neighbour's would take the orphans.
pytestmark = pytest.mark.alone


def test_the_janitor_removes_an_orphan_and_no_living_lab(sandbox: Sandbox) -> None:
    with owner() as owned, owner() as living:
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.die()
        lab = owned.lab()
        assert lab
        assert lab.orphan
        assert owned.processes()

        removed = [lab.tag.run_id for lab in janitor.remove_orphans()]

        assert owned.run_id in removed
        assert living.run_id not in removed
        assert sandbox.run_id not in removed
        assert not owned.processes()
        assert not owned.mounted()
        assert sandbox.run("one", ["echo", "alive"], limit=5).check().stdout == "alive\n"
        wait_until(lambda: len(living.processes()) == 2 + 1 + 3 + 3)


def test_the_janitor_clears_up_what_a_stopped_tool_holds_back() -> None:
    """Its nsenter(1) stopped with it and reaps nothing, so the keeper cannot end, though it has begun to."""
    stopping = 'stopped = sandbox.start_command(names[3], ["sh", "-c", "kill -STOP $PPID $$"], limit=600)'
    with owner(extra=stopping) as owned:
        wait_until(lambda: any(state(pid) == "T" for pid in owned.lab().helpers))
        owned.die()
        wait_until(lambda: bool((lab := owned.lab()) and lab.keeper is None))
        assert owned.run_id in [lab.tag.run_id for lab in janitor.remove_orphans()]
        assert started_at(owned.keeper) is None
        assert not owned.processes()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_an_owner_that_nobody_has_reaped_is_dead_all_the_same() -> None:
    with owner() as owned:
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.process.send_signal(signal.SIGKILL)
        wait_until(lambda: not LabTag(owned.run_id, owned.process.pid, 0).owner_alive)
        wait_until(lambda: bool((lab := owned.lab()) and lab.orphan))
        assert owned.run_id in [lab.tag.run_id for lab in janitor.remove_orphans()]


def test_a_process_id_that_came_again_is_no_owner() -> None:
    mine = LabTag.of_this_process("run")
    assert mine.owner_alive
    assert not LabTag("run", mine.owner, mine.owner_started - 1).owner_alive


def test_foreign_values_of_the_variable_are_nobodys_lab() -> None:
    for value in ("", "x", "run:1", "run:a:b", "run id:1:2", ":1:2", "run:1:2:3"):
        with subprocess.Popen(
            ["sleep", "1001"], env={"PATH": os.environ["PATH"], "CALICO_PERF_LAB": value}
        ) as other:
            try:
                assert LabTag.of_process(other.pid) is None
            finally:
                other.kill()


def test_a_kept_lab_stays_until_it_is_taken_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner(then="sandbox.keep(); sandbox.close()") as owned:
        assert owned.process.wait(DEADLINE) == 0
        only_this_lab(owned, monkeypatch)

        entered = subprocess.run(
            [*owned.command_line, "ip", "-br", "link"],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        assert "lo" in entered.stdout

        assert cli.main(["list"]) == 0
        assert f"lab {owned.run_id} (keeper {owned.keeper}): kept; " in capsys.readouterr().out
        assert cli.main(["clean"]) == 0
        assert capsys.readouterr().out == "no orphan was left\n"
        assert owned.processes()

        assert cli.main(["down", str(owned.keeper)]) == 0
        assert capsys.readouterr().out == f"lab {owned.run_id} (keeper {owned.keeper}) is down\n"
        assert not owned.processes()
        assert not owned.mounted()

        assert cli.main(["down", str(owned.keeper)]) == 1
        assert f"no lab has the keeper {owned.keeper}" in capsys.readouterr().err
        assert cli.main(["list"]) == 0
        assert capsys.readouterr().out == "no lab is up\n"


def test_a_kept_lab_outlives_a_killed_owner_and_ends_by_sigterm() -> None:
    with owner(extra="sandbox.keep()") as owned:
        owned.die()
        lab = owned.lab()
        assert lab
        assert (lab.kept, lab.orphan) == (True, False)
        os.kill(owned.keeper, signal.SIGTERM)
        wait_until(lambda: not owned.processes())


def test_down_all_spares_a_lab_in_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner() as owned:
        only_this_lab(owned, monkeypatch)
        assert cli.main(["down", "--all"]) == 0
        assert f"stays up: in use by process {owned.process.pid}" in capsys.readouterr().out
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.die()
        assert cli.main(["list"]) == 0
        assert f"orphan of process {owned.process.pid}" in capsys.readouterr().out
        assert cli.main(["down", "--all"]) == 0
        assert "is down" in capsys.readouterr().out
        assert not owned.processes()


def test_the_command_explains_itself() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "pytest_calico_perf.cluster.lab", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    ).stdout
    assert all(action in said for action in ("list", "down", "clean"))


def only_this_lab(owned: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests, and people, may have labs on this machine."""
    everybody = janitor.labs
    monkeypatch.setattr(
        janitor, "labs", lambda: tuple(lab for lab in everybody() if lab.tag.run_id == owned.run_id)
    )
