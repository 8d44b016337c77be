"""A real endpoint on this machine, and the recordings."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import EndpointKind
from pytest_calico_perf.model import Path as NetworkPath

RECORDINGS = Path(__file__).parent / "recordings"
TIMEOUT = "/usr/bin/timeout"


class LocalCommand:
    """A background command of this machine; its output goes through files, as a lab's may."""

    def __init__(
        self, argv: Sequence[str], wrapped: Sequence[str], endpoint: str, env: dict[str, str]
    ) -> None:
        self._argv, self._endpoint = tuple(argv), endpoint
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._begin = time.monotonic()
        self._process = subprocess.Popen(
            wrapped,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env=env,
            start_new_session=True,
        )

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        end = time.monotonic() + deadline
        while not any(text in self._read(file) for file in (self._out, self._err)):
            if not self.running or time.monotonic() > end:
                raise ToolProblem(f"never printed {text!r}", where=self._endpoint)
            time.sleep(0.005)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As the kernel does when memory is short: the tool, not its wrapper."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    def finish(self, *, deadline: float) -> CommandResult:
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.stop()
        code = self._process.returncode
        return CommandResult(
            self._argv, self._endpoint, 128 - code if code < 0 else code,
            self._read(self._out), self._read(self._err), time.monotonic() - self._begin,
        )  # fmt: skip

    def stop(self) -> None:
        if self.running:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._out.close()
        self._err.close()

    @staticmethod
    def _read(file) -> str:
        return os.pread(file.fileno(), 1 << 24, 0).decode()


@dataclass
class LocalEndpoint:
    """This machine as an endpoint: real processes, loopback.

    `prefix` is put before every command (another user); `isolated` runs each in a network namespace of its own,
    which has no route to anywhere; `path` replaces PATH;
    `doom` kills every background command that many seconds after its start.
    """

    name: str
    scratch: str
    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()
    isolated: bool = False
    path: str = os.environ["PATH"] + ":/usr/sbin:/sbin"
    doom: float | None = None
    kind: EndpointKind = EndpointKind.HOST
    ran: list[CommandResult] = field(default_factory=list)
    started: list[LocalCommand] = field(default_factory=list)

    @property
    def node(self) -> str:
        return self.name

    @property
    def own_address(self) -> str:
        return self.address

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        begin = time.monotonic()
        done = subprocess.run(
            self._wrapped(argv, limit), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=self._env, timeout=limit + 5, check=False,
        )  # fmt: skip
        code = 128 - done.returncode if done.returncode < 0 else done.returncode
        self.ran.append(
            CommandResult(
                tuple(argv), self.name, code, done.stdout, done.stderr, time.monotonic() - begin, code == 124
            )
        )
        return self.ran[-1]

    def start(self, argv: Sequence[str], *, limit: float) -> LocalCommand:
        command = LocalCommand(argv, self._wrapped(argv, limit), self.name, self._env)
        self.started.append(command)
        if self.doom is not None:
            timer = threading.Timer(self.doom, command.kill)
            timer.daemon = True
            timer.start()
        return command

    def write_file(self, path: str, text: str) -> None:
        Path(path).write_text(text)

    def allocate_port(self) -> int:
        with socket.socket() as tcp:
            tcp.bind(("127.0.0.1", 0))
            return tcp.getsockname()[1]

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": self.path, "LC_ALL": "C"}

    def _wrapped(self, argv: Sequence[str], limit: float) -> list[str]:
        alone = ["unshare", "-n" if os.geteuid() == 0 else "-rn"] if self.isolated else []
        return [TIMEOUT, "-k", "1", str(limit), *alone, *self.prefix, *argv]


@pytest.fixture
def scratch() -> Iterator[str]:
    """A folder anybody may write to."""
    with tempfile.TemporaryDirectory(prefix="probe-test-") as folder:
        Path(folder).chmod(0o777)
        yield folder


@pytest.fixture
def make_pair(scratch: str) -> Callable[..., EndpointPair]:
    """`make_pair(client={...}, server={...})`: two endpoints here, with what is special about each."""

    def make(client: dict | None = None, server: dict | None = None) -> EndpointPair:
        ends = [
            LocalEndpoint(name, scratch, **(special or {}))
            for name, special in (("node1", client), ("node2", server))
        ]
        return EndpointPair(NetworkPath.HOST_TO_HOST, None, *ends)

    return make


@pytest.fixture
def pair(make_pair) -> EndpointPair:
    return make_pair()


@pytest.fixture(scope="session")
def recording() -> Callable[[str], str]:
    """Text of a recording: `recording("ping/iputils-loss.txt")`; empty where the tool printed nothing there."""

    def read(name: str) -> str:
        path = RECORDINGS / name
        if not path.exists():
            known = path.parent.glob(f"{re.sub(r'[.][a-z]+$', '', path.name)}.*")
            assert path.suffix == ".stderr" and any(known), f"no recording {name}"
            return ""
        return path.read_text()

    return read
