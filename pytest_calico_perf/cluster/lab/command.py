"""One command inside a sandbox: its output, its end, and the end of what it leaves behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.following import FollowedCommand
from pytest_calico_perf.cluster.lab.pidfd import pidfd_open
from pytest_calico_perf.errors import ClusterProblem

KILL_AFTER = 1.0
"""Seconds between SIGTERM and SIGKILL when timeout(1) ends a command at its limit."""

_LOCAL_GRACE = KILL_AFTER + 2.0  # the far side's own limit must have every chance to come first
_LAST_GASP = 1.0  # how long killed processes may take to be gone
_GIVE_UP = 3.0  # seconds after which one that is still there waits for something SIGKILL does not get past
_CHUNK = 1 << 20  # no pipe of ours holds more (pipe(7), capacity), so one read empties it


class SandboxCommand(FollowedCommand):
    """A command that runs, as `cluster.base.RunningCommand` wants it.

    It leads a session, and so a process group, of its own, by which the tool and its children are found.
    Somebody has to `follow` it, which collects the output and enforces the deadline.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        wrapping: Sequence[str],
        environment: Mapping[str, str],
        endpoint: str,
        limit: float,
        stdin: IO[str] | None = None,
    ) -> None:
        """Start it; `wrapping` comes before `argv` and ends it after `limit` seconds, as timeout(1) does."""
        super().__init__(argv, endpoint)
        self._limit = limit
        self._exit_code: int | None = None
        self._seconds = 0.0
        self._stopped = False
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            [*wrapping, *argv],
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdout
        assert self._process.stderr
        self._stdout, self._stderr = self._process.stdout, self._process.stderr
        self._streams = {self._stdout.fileno(): bytearray(), self._stderr.fileno(): bytearray()}
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
        self._stop_here, self._stop_there = os.pipe()

    def follow(self) -> None:
        """Collect output until the command has ended, or is well past its limit, and clear up after it."""
        ended = pidfd_open(self._process.pid)
        try:
            self._collect(ended)
        finally:
            try:
                self._bury(ended)
            finally:
                self._release(ended)

    def _release(self, ended: int) -> None:
        with self._changed, self._stdout, self._stderr:
            self._followed = True
            for descriptor in (ended, self._stop_here, self._stop_there):
                os.close(descriptor)
            self._changed.notify_all()

    def _collect(self, ended: int) -> None:
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(self._stop_here, select.POLLIN)
        for descriptor in self._streams:
            poller.register(descriptor, select.POLLIN)
        deadline = self._begun + self._limit + _LOCAL_GRACE
        while (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poller.poll(left * 1000):
                if descriptor not in self._streams:
                    return
                if not self._read(descriptor):
                    poller.unregister(descriptor)
        self._timed_out = True

    def _read(self, descriptor: int) -> bool:
        """Take what is there; return whether more may come."""
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        with self._changed:
            self._streams[descriptor] += chunk
            self._changed.notify_all()
        return bool(chunk)

    def _bury(self, ended: int) -> None:
        """End it if it has not ended, and note how it did and its last words; or give it up."""
        begun = time.monotonic()
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        cut_short = not poller.poll(0)
        while not poller.poll(0):
            self._kill_followers()
            if poller.poll(20):
                break
            if time.monotonic() > begun + _GIVE_UP:
                return  # without an exit code, by which `result` knows
            if time.monotonic() > begun + _LAST_GASP:
                self._kill_group()
        seconds = time.monotonic() - self._begun
        # Not reaped yet, so that its process id, which is its group's, cannot be another's.
        code = _exit_code(os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT))
        # timeout(1) says 124, or 137 if it took SIGKILL; so may a tool, but not after its limit.
        limit_came = not self._stopped and code in (124, 137) and seconds >= self._limit
        if cut_short or limit_came:
            self._kill_group()  # its children; those of one that ended by itself may be daemons, and stay
        self._process.wait()
        if cut_short or limit_came:
            self._await_empty_group()
        for descriptor in self._streams:
            # Once, and not to the end of file: a daemon may hold the pipe open for as long as it lives.
            self._read(descriptor)
        with self._changed:
            self._exit_code, self._seconds = code, seconds
            self._timed_out |= limit_came

    def _kill_followers(self) -> None:
        """Kill the group but for its leader, nsenter(1), which then reaps what it started and ends.

        Were it killed too, its dead child would fall to the init of *our* PID namespace and not to the
        keeper (pid_namespaces(7), setns). An init that does not reap, as in many containers, would
        keep that child a zombie, and with it the PID namespace, for ever.
        """
        leader = self._process.pid
        for entry in os.scandir("/proc"):
            with suppress(ValueError, OSError):  # not a process, or gone meanwhile
                pid = int(entry.name)
                if pid != leader and os.getpgid(pid) == leader:
                    os.kill(pid, signal.SIGKILL)
        os.kill(leader, signal.SIGCONT)  # nsenter(1) stops itself when its child is stopped

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _await_empty_group(self) -> None:
        """A killed server holds its port until it is gone; usually that is at once."""
        deadline = time.monotonic() + _LAST_GASP
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)
                time.sleep(0.001)

    def _said(self, wanted: bytes) -> bool:
        return any(wanted in stream for stream in self._streams.values())

    def stop(self) -> None:
        with self._changed:
            if not (self._followed or self._stopped):
                self._stopped = True
                os.write(self._stop_there, b"s")
            self._changed.wait_for(lambda: self._followed, _GIVE_UP + 2 * _LAST_GASP)

    def result(self) -> CommandResult:
        """What it left, once it has ended.

        Raises:
            ClusterProblem: It never began, since the sandbox cannot be entered; or it cannot be ended.
        """
        with self._changed:
            if self._exit_code is None:
                pid = self._process.pid
                raise ClusterProblem(
                    f"{self._argv[0]} cannot be ended: process {pid} survives SIGKILL",
                    where=self._endpoint,
                    remedy=f"see what it waits for in the kernel: /proc/{pid}/stack",
                )
            result = self._snapshot(self._exit_code)
        if result.exit_code == 1 and result.stderr.startswith("nsenter: "):
            raise ClusterProblem(
                f"the lab cannot be entered: {result.last_words}",
                where=self._endpoint,
                remedy="see whether it still stands: python -m pytest_calico_perf.cluster.lab list",
            )
        return result

    def _snapshot(self, exit_code: int) -> CommandResult:
        stdout, stderr = (stream.decode(errors="replace") for stream in self._streams.values())
        return CommandResult(
            argv=self._argv,
            endpoint=self._endpoint,
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
            seconds=self._seconds,
            timed_out=self._timed_out,
        )


def _exit_code(end: os.waitid_result | None) -> int:
    """As shells tell it: 128 + n for signal n."""
    assert end
    return end.si_status if end.si_code == os.CLD_EXITED else 128 + end.si_status
