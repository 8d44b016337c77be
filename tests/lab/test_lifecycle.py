"""However the owner of a lab dies, nothing of the lab is left."""

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
from pytest_calico_perf.cluster.lab.tag import started_at
from pytest_calico_perf.errors import ClusterProblem
from tests.lab.owner import CHECKOUT, DEADLINE, owner, wait_until


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_owner_dies(number: signal.Signals) -> None:
    with owner() as owned:
        # unshare and keeper; the daemon; the server and the measurement, each in nsenter and timeout
        wait_until(lambda: len(owned.processes()) == 2 + 1 + 3 + 3)
        inhabitants = owned.inhabitants()
        assert inhabitants.keys() == set(owned.processes())
        assert owned.mounted()
        owned.die(number)
        wait_until(lambda: not owned.processes())
        # One that is ending has no environment to be known by any more, and is there for a moment.
        wait_until(lambda: not any(started_at(pid) == started for pid, started in inhabitants.items()))
        assert not owned.mounted()
        assert owned.lab() is None


def test_nothing_is_left_when_the_owner_forgets_to_close() -> None:
    with owner(then="") as owned:
        owned.process.wait(DEADLINE)
        wait_until(lambda: not owned.processes())


def test_a_fork_that_outlives_the_owner_does_not_keep_the_lab() -> None:
    fork = "child = os.fork()\nif not child: time.sleep(1001)"
    with owner(extra=fork + "\nsandbox.write_file('fork', str(child))") as owned:
        child = int(Path(f"/proc/{owned.keeper}/root/run/lab/fork").read_text())
        try:
            owned.die()
            wait_until(lambda: not owned.processes())
        finally:
            os.kill(child, signal.SIGKILL)


def test_nothing_is_left_when_unshare_is_killed() -> None:
    with owner() as owned:
        lab = owned.lab()
        assert lab
        os.kill(min(lab.helpers), signal.SIGKILL)
        wait_until(lambda: started_at(owned.keeper) is None)


def test_close_takes_all_down(sandbox: Sandbox) -> None:
    sandbox.run("one", ["sh", "-c", "sleep 1001 &"], limit=5).check()
    server = sandbox.start_command("two", ["sleep", "1001"], limit=60)
    sandbox.close()
    sandbox.close()
    assert not server.running
    assert not Path(f"/proc/{sandbox.pid}").exists()
    for use in (
        lambda: sandbox.run("one", ["true"], limit=5),
        lambda: sandbox.write_file("x", "x"),
        sandbox.keep,
    ):
        with pytest.raises(ClusterProblem, match="the lab is down"):
            use()


def test_close_does_not_wait_for_what_is_stopped(sandbox: Sandbox) -> None:
    sandbox.start_command("one", ["sh", "-c", "kill -STOP $PPID $$"], limit=60)
    os.kill(sandbox.pid, signal.SIGSTOP)
    sandbox.close()
    assert started_at(sandbox.pid) is None


def test_a_lab_taken_down_under_its_run_is_a_cluster_problem(sandbox: Sandbox) -> None:
    assert cli.main(["down", str(sandbox.pid)]) == 0
    # Which of the two it is depends on whether unshare(1) has been reaped yet.
    with pytest.raises(ClusterProblem, match=r"the lab (is down|cannot be entered)"):
        sandbox.run("one", ["true"], limit=5)


CONTAINED = """
import os, sys, time
from pathlib import Path
from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.sandbox import Sandbox

assert os.getpid() == 1
with Sandbox.start("contained") as sandbox:
    sandbox.add_namespaces(["one"])
    command = sandbox.start_command("one", ["sh", "-c", "echo begun; sleep 1001"], limit=60)
    command.wait_for_output("begun", deadline=10)
    print("up", flush=True)
    sys.stdin.readline()
    assert sandbox.pid in [lab.keeper for lab in janitor.labs()]
    assert not janitor.remove_orphans()
    command.stop()
    assert "defunct" not in sandbox.run("one", ["ps", "-e"], limit=5).check().stdout
    sandbox.start_command("one", ["sleep", "1001"], limit=60)
print("down", *(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()), flush=True)
"""


def test_a_run_that_is_process_1_of_a_container() -> None:
    """Its orphans fall to it, it never reaps them; and its process id is somebody else's outside."""
    with subprocess.Popen(
        ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", sys.executable, "-c", CONTAINED],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as container:
        assert container.stdout
        assert container.stdin
        try:
            assert container.stdout.readline() == "up\n"
            assert "contained" not in [lab.tag.run_id for lab in janitor.labs()]
            container.stdin.write("\n")
            container.stdin.flush()
            assert container.stdout.readline() == "down 1\n"
        finally:
            container.kill()
