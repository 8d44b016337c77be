"""A process of its own that has a lab, to be killed; and what of the lab is there then."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest_calico_perf
from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.tag import LabTag, started_at

DEADLINE = 15.0
CHECKOUT = Path(pytest_calico_perf.__file__).parent.parent
# A run of pytest in small: it has a daemon and a server up, says so, and measures until it dies.
OWNER = """
import os, time
from pytest_calico_perf.cluster.lab.sandbox import Sandbox

sandbox = Sandbox.start()
names = [f"{{sandbox.run_id}}-{{number}}" for number in range(10)]
sandbox.add_namespaces(names)
sandbox.run(names[0], ["sh", "-c", "sleep 1001 &"], limit=5).check()
server = sandbox.start_command(names[1], ["iperf3", "--server", "--forceflush"], limit=600)
server.wait_for_output("Server listening", deadline=10)
{extra}
print(sandbox.run_id, sandbox.pid, *sandbox.command_line(names[2]), flush=True)
{then}
"""
MEASURE = 'sandbox.run(names[2], ["sleep", "1001"], limit=600)'


@dataclass
class Owner:
    """A Python process with a lab."""

    process: subprocess.Popen[str]
    run_id: str
    keeper: int
    command_line: list[str]

    def processes(self) -> list[int]:
        """All that carries the lab's tag."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        tags = {pid: LabTag.of_process(pid) for pid in pids}
        return [pid for pid, tag in tags.items() if tag and tag.run_id == self.run_id]

    def inhabitants(self) -> dict[int, int | None]:
        """When each process began that is in one of the lab's namespaces, tagged or not."""
        named = Path(f"/proc/{self.keeper}/root/run/netns")
        kinds = [Path(f"/proc/{self.keeper}/ns/{kind}") for kind in ("pid", "mnt", "net", "ipc", "uts")]
        inodes = {path.stat().st_ino for path in (*kinds, *named.iterdir())}
        assert len(inodes) == 5 + 10
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if inodes & {link.stat().st_ino for link in (place / "ns").iterdir()}:
                    found[int(place.name)] = started_at(int(place.name))
        return found

    def mounted(self) -> bool:
        """Whether any mount namespace of the machine has one of the lab's network namespaces mounted."""
        for file in Path("/proc").glob("[0-9]*/mountinfo"):
            with suppress(OSError):
                if f"/run/netns/{self.run_id}-" in file.read_text():
                    return True
        return False

    def lab(self) -> janitor.RunningLab | None:
        """The lab as the janitor sees it."""
        return next((lab for lab in janitor.labs() if lab.tag.run_id == self.run_id), None)

    def die(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(DEADLINE)


@contextmanager
def owner(*, extra: str = "", then: str = MEASURE) -> Iterator[Owner]:
    script = OWNER.format(extra=extra, then=then)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        run_id, keeper, *command_line = process.stdout.readline().split()
        started = Owner(process, run_id, int(keeper), command_line)
        try:
            yield started
        finally:
            process.kill()
            process.wait()
            if lab := started.lab():
                janitor.remove(lab)
            wait_until(lambda: not started.processes())


def wait_until(true: Callable[[], bool], *, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)
