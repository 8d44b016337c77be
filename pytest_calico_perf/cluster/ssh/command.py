"""One command on a host: a channel of the host's connection, its output, its end."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Sequence
from contextlib import suppress

from paramiko import Channel, SSHException

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.following import FollowedCommand
from pytest_calico_perf.cluster.remote import BY_LIMIT
from pytest_calico_perf.errors import HostProblem

_LOCAL_GRACE = 6.0  # seconds; the far side's own limit, and its SIGKILL a second later, must come first
_LAST_GASP = 3.0  # seconds an ended command may take to say how it ended
_QUIET = 1.0  # seconds without output after which nobody but a daemon can hold it open
_TICK = 0.1  # seconds; an exit status alone does not wake a poll
_CHUNK = 1 << 18  # bytes
_NO_STATUS = -1  # paramiko's, when the far side sent none
_BY_SIGNAL = 255  # as ssh(1) says it when the remote shell was killed

LOST = (SSHException, OSError, EOFError)
"""What paramiko raises when a connection is gone or a channel refused."""


class SshCommand(FollowedCommand):
    """A command that runs, as `cluster.base.RunningCommand` wants it.

    The far side ends it when its standard input ends (`remote.leashed`): that is how it is stopped here,
    and what happens by itself when the connection breaks or this process dies.
    Somebody has to `follow` it, which collects the output and enforces the deadline.
    """

    def __init__(
        self,
        channel: Channel,
        line: str,
        argv: Sequence[str],
        *,
        endpoint: str,
        limit: float,
        stdin: str | None = None,
    ) -> None:
        """Start it.

        Args:
            channel: An open session of its own.
            line: What the login shell is given.
            argv: The command for results and messages.
            endpoint: Name of the host.
            limit: Seconds after which the far side ends it.
            stdin: What it reads, to the end; if None its standard input stays open.

        Raises:
            HostProblem: The connection broke.
        """
        super().__init__(argv, endpoint)
        self._limit = limit
        self._channel = channel
        self._stdout, self._stderr = bytearray(), bytearray()
        self._exit_code: int | None = None
        self._seconds = 0.0
        self._stopped = False
        self._begun = time.monotonic()
        try:
            channel.exec_command(line)
            if stdin is not None:
                channel.sendall(stdin.encode())
                channel.shutdown_write()
        except LOST:
            channel.close()
            raise self._lost() from None
        except BaseException:
            channel.close()
            raise

    def follow(self) -> None:
        """Collect output until the command has ended, or is well past its limit; then see that it is gone."""
        try:
            self._collect()
        finally:
            try:
                self._bury()
            finally:
                self._channel.close()
                with self._changed:
                    self._followed = True
                    self._changed.notify_all()

    def _collect(self) -> None:
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        deadline = self._begun + self._limit + _LOCAL_GRACE
        last_word = self._begun
        while (now := time.monotonic()) < deadline:
            ended, silent = self._channel.exit_status_ready(), self._channel.eof_received
            if self._read():
                last_word = now
            elif ended and (silent or self._channel.closed or now - last_word > _QUIET):
                return
            elif silent:
                self._channel.status_event.wait(_TICK)
            else:
                poller.poll(_TICK * 1000)

    def _read(self) -> bool:
        """Take what is there; return whether there was something."""
        stdout = self._channel.recv(_CHUNK) if self._channel.recv_ready() else b""
        stderr = self._channel.recv_stderr(_CHUNK) if self._channel.recv_stderr_ready() else b""
        if not (stdout or stderr):
            return False
        with self._changed:
            self._stdout += stdout
            self._stderr += stderr
            self._changed.notify_all()
        return True

    def _bury(self) -> None:
        """End it if it has not ended (its time is over, Ctrl-C), and note how it did."""
        if not self._channel.exit_status_ready():
            self._end_input()
            self._channel.status_event.wait(_LAST_GASP)
            while self._read():
                pass
        code = self._channel.exit_status
        seconds = time.monotonic() - self._begun
        if code == _NO_STATUS and not self._channel.closed:
            return  # without an exit code, by which `result` knows
        if code == _NO_STATUS:
            # The thread that reads the connection closes its channels first and only then calls it closed.
            transport = self._channel.get_transport()
            transport.join(_TICK)
            if not transport.is_active():
                return
            code = _BY_SIGNAL
        with self._changed:
            self._exit_code, self._seconds = code, seconds
            self._timed_out |= not self._stopped and code in BY_LIMIT and seconds >= self._limit

    def _end_input(self) -> None:
        with suppress(*LOST):
            self._channel.shutdown_write()

    def _said(self, wanted: bytes) -> bool:
        return wanted in self._stdout or wanted in self._stderr

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        with self._changed:
            return self._stdout.decode(errors="replace")

    def stop(self) -> None:
        with self._changed:
            if self._followed:
                return
            self._stopped = True
        self._end_input()
        if not self._ends_within(_LAST_GASP):
            self._channel.close()
            self._ends_within(_LAST_GASP)

    def _ends_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._followed, seconds)

    def result(self) -> CommandResult:
        """What it left, once it has ended.

        Raises:
            HostProblem: Nobody knows: the connection broke, or the host did not end it.
        """
        with self._changed:
            if self._exit_code is None:
                if self._channel.get_transport().is_active():
                    raise HostProblem(
                        f"no word of {self._argv[0]} {self._seconds_since():.0f} s after its start, "
                        f"and its limit there is {math.ceil(self._limit)} s",
                        where=self._endpoint,
                        remedy="the host hangs, or the way to it drops packets",
                    )
                raise self._lost()
            return self._snapshot(self._exit_code)

    def _seconds_since(self) -> float:
        return time.monotonic() - self._begun

    def _lost(self) -> HostProblem:
        return HostProblem(
            f"the SSH connection broke while {self._argv[0]} ran",
            where=self._endpoint,
            remedy="see that the host is up, and why its sshd ended the session: journalctl -u ssh",
        )

    def _snapshot(self, exit_code: int) -> CommandResult:
        return CommandResult(
            argv=self._argv,
            endpoint=self._endpoint,
            exit_code=exit_code,
            stdout=self._stdout.decode(errors="replace"),
            stderr=self._stderr.decode(errors="replace"),
            seconds=self._seconds,
            timed_out=self._timed_out,
        )
