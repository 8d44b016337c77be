"""A command that survives SIGKILL, as one that waits for a dead disk or driver does, holds nobody up."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.command import SandboxCommand
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.errors import ClusterProblem
from tests.lab.owner import wait_until

# include/uapi/linux/ptrace.h
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_O_TRACEEXIT = 17, 0x4206, 1 << 6
DEADLINE = 20.0


def ptrace(request: int, pid: int, data: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, pid, ctypes.c_void_p(0), ctypes.c_void_p(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def unkillable(command: SandboxCommand) -> Iterator[SandboxCommand]:
    """Its leader stops on its way out (PTRACE_EVENT_EXIT) and, dying already, takes no further signal."""
    pid = command._process.pid
    ptrace(PTRACE_SEIZE, pid, PTRACE_O_TRACEEXIT)
    try:
        yield command
        assert state(pid) == "t", "it was to be stuck all the time"
    finally:
        wait_until(lambda: state(pid) == "t")
        ptrace(PTRACE_DETACH, pid, 0)
        command._process.wait(DEADLINE)


def test_finish_gives_up_on_it_with_a_problem_that_names_it(sandbox: Sandbox) -> None:
    command = sandbox.start_command("one", ["sleep", "1001"], limit=60)
    with unkillable(command):
        with pytest.raises(ClusterProblem) as caught:
            command.finish(deadline=0)
        wait_until(lambda: not command.running)
        with pytest.raises(ClusterProblem, match="one: sleep cannot be ended"):
            command.finish(deadline=0)
    pid = command._process.pid
    assert str(caught.value).startswith(f"one: sleep cannot be ended: process {pid} survives SIGKILL; ")
    assert f"/proc/{pid}/stack" in caught.value.remedy


def test_run_gives_up_on_it_too(sandbox: Sandbox) -> None:
    command = sandbox._spawn("one", ["sleep", "1001"], limit=0.5)
    with unkillable(command):
        command.follow()
        with pytest.raises(ClusterProblem, match="one: sleep cannot be ended"):
            command.result()


def test_a_server_that_never_spoke_is_reported_likewise(sandbox: Sandbox) -> None:
    command = sandbox.start_command("one", ["sleep", "1001"], limit=0.5)
    with unkillable(command), pytest.raises(ClusterProblem, match="one: sleep cannot be ended"):
        command.wait_for_output("ready", deadline=DEADLINE)
