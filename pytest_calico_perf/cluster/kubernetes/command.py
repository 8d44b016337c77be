"""One command in a pod: its output, its deadline, its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.following import FollowedCommand
from pytest_calico_perf.cluster.kubernetes.channel import Channel
from pytest_calico_perf.cluster.remote import BY_LIMIT
from pytest_calico_perf.errors import ApiProblem

_KILLED, _TERMINATED = 137, 143
_LOCAL_GRACE = 10.0  # seconds: the limit there, its SIGKILL and a slow network must all come first
_STOPPING = 5.0  # seconds a leash may take: SIGTERM, a second, SIGKILL, and the way back


class PodCommand(FollowedCommand):
    """A command that runs in a pod, as `cluster.base.RunningCommand` wants it.

    Somebody has to `follow` it, which collects the output and enforces the deadline.
    """

    def __init__(
        self,
        channel: Channel,
        argv: Sequence[str],
        *,
        endpoint: str,
        limit: float,
        whats_wrong: Callable[[], str] = str,
    ) -> None:
        """Take over the channel of a leashed command.

        Args:
            channel: Its exec.
            argv: The command without its wrapping.
            endpoint: Name of the place, for messages.
            limit: Seconds after which the far side ends it.
            whats_wrong: Says what is wrong with the pod, if anything is; asked when the command met its end
                by force.
        """
        self._channel = channel
        super().__init__(argv, endpoint)
        self._limit = limit
        self._whats_wrong = whats_wrong
        self._begun = time.monotonic()
        self._seconds = 0.0
        self._stopped = False
        self._failure: ApiProblem | None = None

    def follow(self) -> None:
        """Collect output until the command has ended, or is well past its limit; then hang up."""
        failure = None
        try:
            with self._channel:
                failure = self._collect()
        finally:
            with self._changed:
                self._seconds = time.monotonic() - self._begun
                self._failure = failure
                self._followed = True
                self._changed.notify_all()

    def _collect(self) -> ApiProblem | None:
        deadline = self._begun + self._limit + _LOCAL_GRACE
        try:
            while (left := deadline - time.monotonic()) > 0:
                if self._channel.pump(left):
                    return None
                with self._changed:
                    self._changed.notify_all()
        except ApiProblem as problem:
            problem.what = f"{problem.what} while {self._argv[0]} ran"
            problem.where = self._endpoint
            return problem
        return ApiProblem(
            f"{self._argv[0]} has not ended {_LOCAL_GRACE:g} s after its limit of {self._limit:g} s",
            where=self._endpoint,
            remedy="see whether its node still answers",
        )

    def _said(self, wanted: bytes) -> bool:
        return any(wanted in stream for stream in (self._channel.stdout, self._channel.stderr))

    def stop(self) -> None:
        with self._changed:
            if self._followed:
                return
            self._stopped = True
        self._channel.close_stdin()
        with self._changed:
            if self._changed.wait_for(lambda: self._followed, _STOPPING):
                return
        self._channel.close()  # its standard input ends with the connection at the latest
        with self._changed:
            self._changed.wait_for(lambda: self._followed, _STOPPING)

    def result(self) -> CommandResult:
        """What it left, once it has ended.

        One that we stopped and heard no more of counts as ended by SIGTERM, which is what its leash sends.

        Raises:
            ApiProblem: It could not begin, the connection was cut, it outlived its limit, or its pod was
                taken down under it.
        """
        code = self._channel.exit_code
        if self._stopped:
            return self._snapshot(_TERMINATED if code is None else code, timed_out=self._timed_out)
        if self._failure:
            self._failure.remedy = self._failure.remedy or self._whats_wrong()
            raise self._failure
        assert code is not None
        timed_out = code in BY_LIMIT and self._seconds >= self._limit
        if code == _KILLED and not timed_out and (wrong := self._whats_wrong()):
            raise ApiProblem(f"{self._argv[0]} was killed: {wrong}", where=self._endpoint)
        return self._snapshot(code, timed_out=timed_out)

    def _snapshot(self, exit_code: int, *, timed_out: bool = False) -> CommandResult:
        return CommandResult(
            argv=self._argv,
            endpoint=self._endpoint,
            exit_code=exit_code,
            stdout=self._channel.stdout.decode(errors="replace"),
            stderr=self._channel.stderr.decode(errors="replace"),
            seconds=self._seconds,
            timed_out=timed_out,
        )
