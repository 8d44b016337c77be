"""Finds the labs of this machine and removes those that nobody owns any more, and nothing else.

A lab goes with its owner by itself (`keeper.py`). What can stay behind is a lab that was kept on purpose,
or one whose keeper was stopped (SIGSTOP, a debugger) when its owner died.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_calico_perf.cluster.lab.keeper import KEPT
from pytest_calico_perf.cluster.lab.pidfd import wait_for_exit
from pytest_calico_perf.cluster.lab.tag import LabTag
from pytest_calico_perf.errors import ClusterProblem

_REMOVAL_DEADLINE = 5.0


@dataclass(frozen=True)
class RunningLab:
    """A lab, or what is left of one.

    Attributes:
        tag: Whose it is.
        keeper: Process id of its keeper; None if that has gone and only helpers outside are left.
        helpers: Its processes outside its namespaces: unshare(1), and an nsenter(1) for every command.
        kept: Whether it is to outlive its owner.
        owner_alive: Whether its owner still runs.
    """

    tag: LabTag
    keeper: int | None
    helpers: tuple[int, ...]
    kept: bool
    owner_alive: bool

    @property
    def orphan(self) -> bool:
        """Whether nobody wants it any more."""
        return not self.kept and not self.owner_alive


def labs() -> tuple[RunningLab, ...]:
    """The labs of this machine that we may see: our own, or everybody's for root.

    Only those of our own PID namespace: in the tag of a lab in a container stands a process id that means
    somebody else out here.
    """
    keepers: dict[LabTag, int] = {}
    helpers: dict[LabTag, list[int]] = {}
    for pid, tag in _tagged():
        match _namespaced_pids(pid):
            case [_]:
                helpers.setdefault(tag, []).append(pid)
            case [_, 1]:
                keepers[tag] = pid
    return tuple(
        RunningLab(
            tag=tag,
            keeper=keepers.get(tag),
            helpers=tuple(helpers.get(tag, ())),
            kept=tag in keepers and Path(f"/proc/{keepers[tag]}/root{KEPT}").exists(),
            owner_alive=tag.owner_alive,
        )
        for tag in dict.fromkeys([*keepers, *helpers])
    )


def remove_orphans() -> tuple[RunningLab, ...]:
    """Remove the labs whose owner is dead and which nobody kept; return them.

    Raises:
        ClusterProblem: One would not go.
    """
    orphans = tuple(lab for lab in labs() if lab.orphan)
    for lab in orphans:
        remove(lab)
    return orphans


def remove(lab: RunningLab) -> None:
    """Take a lab down, whatever state it is in; the kernel does the rest once its keeper is gone.

    Raises:
        ClusterProblem: It would not go.
    """
    # The keeper first, and the kernel takes with it all that is inside. The helpers then reap what was
    # theirs and end; for that they must not be stopped.
    if lab.keeper:
        _signal(lab.keeper, lab.tag, signal.SIGKILL)
    for helper in lab.helpers:
        _signal(helper, lab.tag, signal.SIGCONT)
    deadline = time.monotonic() + _REMOVAL_DEADLINE
    for pid in (*([lab.keeper] if lab.keeper else []), *lab.helpers):
        if not _await_end(pid, lab.tag, deadline):
            _signal(pid, lab.tag, signal.SIGKILL)
            if not _await_end(pid, lab.tag, time.monotonic() + 1):
                raise ClusterProblem(
                    f"process {pid} does not end",
                    where=f"lab {lab.tag.run_id}",
                    remedy="look at its state in /proc; one in state D waits for the kernel",
                )


def _signal(pid: int, tag: LabTag, number: signal.Signals) -> None:
    # The tag again, at the last moment: the process id may have become another's.
    if LabTag.of_process(pid) == tag:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _await_end(pid: int, tag: LabTag, deadline: float) -> bool:
    return LabTag.of_process(pid) != tag or wait_for_exit(pid, deadline=max(0, deadline - time.monotonic()))


def _tagged() -> Iterator[tuple[int, LabTag]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (tag := LabTag.of_process(int(entry.name))):
            yield int(entry.name), tag


def _namespaced_pids(pid: int) -> list[int]:
    """Its process ids, from our PID namespace to its own (proc_pid_status(5), NSpid)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return [int(number) for number in line.split()[1:]]
    return []
