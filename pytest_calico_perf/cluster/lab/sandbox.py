"""A sandbox: the namespaces a lab lives in, and commands in them. It cannot leak; `keeper.py` says why."""

from __future__ import annotations

import os
import posixpath
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Self

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.lab import requirements
from pytest_calico_perf.cluster.lab.command import KILL_AFTER, SandboxCommand
from pytest_calico_perf.cluster.lab.keeper import FILES, KEPT, NAMESPACES, TEMPORARY
from pytest_calico_perf.cluster.lab.pidfd import pidfd_open, wait_for_exit
from pytest_calico_perf.cluster.lab.tag import VARIABLE, LabTag
from pytest_calico_perf.errors import ClusterProblem, RequirementMissing

_KEEPER = Path(__file__).with_name("keeper.py")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_START_DEADLINE = 10.0
_CLOSE_DEADLINE = 1.0
_KILL_DEADLINE = 5.0


class Sandbox:
    """Named network namespaces, in PID, mount, IPC and UTS namespaces of their own with a private /run.

    The rest of the file system is the machine's, so write to `directory` only. Safe to use from several
    threads. Use as a context manager, or call `close`; if neither happens, or this process dies in any
    way, the kernel takes the sandbox down.

    Attributes:
        run_id: Its name among the labs of this machine.
        pid: The keeper's process id, seen from outside.
        privileged: Whether it has real root; False in a user namespace, where eBPF cannot be loaded.
        directory: A private folder inside, gone with the sandbox.
    """

    directory = FILES

    def __init__(
        self, run_id: str, process: subprocess.Popen[bytes], pid: int, *, user_namespace: bool
    ) -> None:
        self.run_id = run_id
        self.pid = pid
        self.privileged = not user_namespace and requirements.in_first_user_namespace()
        self._process = process
        self._user_namespace = user_namespace
        self._environment = _environment(run_id)
        self._namespaces: set[str] = set()
        self._commands: weakref.WeakSet[SandboxCommand] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._kept = False
        self._closed = False

    @classmethod
    def start(cls, run_id: str | None = None) -> Self:
        """Start one; `run_id` is made up if not given.

        Raises:
            RequirementMissing: This machine cannot run one at all; the message says what to do.
        """
        requirements.check(requirements.SANDBOX_PROGRAMS, link_kinds=())
        run_id = run_id or secrets.token_hex(4)
        user_namespace = not requirements.may_make_namespaces()
        owner = pidfd_open(os.getpid())
        try:
            process = subprocess.Popen(
                [
                    *("unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "--ipc", "--uts"),
                    *(("--user", "--map-root-user") if user_namespace else ()),
                    # Isolated and without site: starts in some milliseconds, whatever the user has installed.
                    *("--", sys.executable, "-I", "-S", str(_KEEPER), str(owner)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[owner],
                env=_environment(run_id),
                start_new_session=True,  # Ctrl-C at the terminal is for the owner alone
            )
        finally:
            os.close(owner)
        try:
            pid = _await_ready(process)
        except BaseException:
            _kill(process)
            raise
        finally:
            for pipe in (process.stdout, process.stderr):
                assert pipe
                pipe.close()
        return cls(run_id, process, pid, user_namespace=user_namespace)

    def add_namespaces(self, names: Sequence[str]) -> None:
        """Make named network namespaces, all by one process.

        Raises:
            ClusterProblem: A name is taken or impossible, or the kernel refused.
        """
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot name a namespace: letters, digits, dots, dashes, underscores"
                )
        batch = "".join(f"netns add {name}\n" for name in names)
        result = self._run(None, ["ip", "-batch", "-"], limit=30, stdin=batch)
        if result.exit_code != 0:
            # The first complaint: the last line only says which line of the batch it was.
            complaint = result.stderr.partition("\n")[0] or result.last_words
            raise ClusterProblem(
                f"cannot make the network namespaces {', '.join(names)}: {complaint}",
                where=f"lab {self.run_id}",
                remedy="sysctl user.max_net_namespaces says how many a user may have",
            )
        for name in names:
            _make_folder(self._outside(self.scratch(name)))
        with self._lock:
            self._namespaces.update(names)

    def remove_namespaces(self, names: Sequence[str]) -> None:
        """Remove named network namespaces; each is gone with its devices once no process is left in it.

        Raises:
            ClusterProblem: There is no such namespace.
        """
        for name in names:
            self._check_namespace(name)
        with self._lock:
            self._namespaces.difference_update(names)
        batch = "".join(f"netns delete {name}\n" for name in names)
        result = self._run(None, ["ip", "-batch", "-"], limit=30, stdin=batch)
        if result.exit_code != 0:
            raise ClusterProblem(
                f"cannot remove the network namespaces {', '.join(names)}: {result.last_words}",
                where=f"lab {self.run_id}",
            )

    @property
    def environment(self) -> Mapping[str, str]:
        """What commands have for an environment; by it the processes of a lab are known."""
        return MappingProxyType(self._environment)

    def scratch(self, namespace: str) -> str:
        """The private folder of a namespace, below `directory`."""
        return f"{self.directory}/{namespace}"

    def run(
        self,
        namespace: str,
        argv: Sequence[str],
        *,
        limit: float,
        stdin: str | None = None,
        endpoint: str | None = None,
    ) -> CommandResult:
        """Run `argv` in a namespace to its end, or for `limit` seconds.

        A command that ends by itself may leave daemons, which live until the sandbox ends; of one that is
        cut short (its limit, Ctrl-C) nothing is left in its session.

        Args:
            namespace: A name given to `add_namespaces`.
            argv: The command; a failure of it is a result.
            limit: Seconds it may take; over, timeout(1) ends it inside and the result says `timed_out`.
            stdin: What it reads; nothing if None.
            endpoint: Name for the result and messages; the namespace's if None.

        Raises:
            ClusterProblem: The sandbox or the namespace does not exist.
        """
        self._check_namespace(namespace)
        return self._run(namespace, argv, limit=limit, stdin=stdin, endpoint=endpoint)

    def start_command(
        self, namespace: str, argv: Sequence[str], *, limit: float, endpoint: str | None = None
    ) -> SandboxCommand:
        """Start `argv` in a namespace in the background; as `run` otherwise."""
        self._check_namespace(namespace)
        return self._spawn(namespace, argv, limit=limit, endpoint=endpoint).follow_in_background()

    def _run(
        self,
        namespace: str | None,
        argv: Sequence[str],
        *,
        limit: float,
        stdin: str | None = None,
        endpoint: str | None = None,
    ) -> CommandResult:
        if stdin is None:
            command = self._spawn(namespace, argv, limit=limit, endpoint=endpoint)
        else:
            # A nameless file on the sandbox's own tmpfs: no pipe to fill up, nothing to remove.
            with tempfile.TemporaryFile("w+", encoding="utf-8", dir=self._outside(TEMPORARY)) as file:
                file.write(stdin)
                file.seek(0)
                command = self._spawn(namespace, argv, limit=limit, stdin=file, endpoint=endpoint)
        command.follow()
        return command.result()

    def _spawn(
        self,
        namespace: str | None,
        argv: Sequence[str],
        *,
        limit: float,
        stdin: IO[str] | None = None,
        endpoint: str | None = None,
    ) -> SandboxCommand:
        if limit <= 0:
            raise ValueError(f"limit {limit}: timeout(1) takes 0 for no limit at all")
        # In the foreground timeout(1) stays in our process group, by which the tool is found at the end.
        timeout = ("timeout", "--foreground", f"--kill-after={KILL_AFTER:g}", f"{limit:.3f}")
        with self._lock:
            self._check_open()
            command = SandboxCommand(
                argv,
                wrapping=[*self._enter(namespace), "--", *timeout],
                environment=self._environment,
                endpoint=endpoint or namespace or f"lab {self.run_id}",
                limit=limit,
                stdin=stdin,
            )
            self._commands.add(command)
        return command

    def write_file(self, path: str, text: str) -> None:
        """Write a file below `directory`; folders on the way are made.

        Raises:
            ValueError: The path leads out of the private folder, to files that are the machine's.
            ClusterProblem: The sandbox is gone.
        """
        place = posixpath.normpath(posixpath.join(self.directory, path))
        if not place.startswith(f"{self.directory}/"):
            raise ValueError(f"{path} is not below {self.directory}")
        with self._lock:
            self._check_open()
            file = self._outside(place)
            _make_folder(file.parent)
            file.write_text(text, encoding="utf-8")
            file.chmod(0o644)

    def command_line(self, namespace: str) -> list[str]:
        """The command with which a person enters a namespace; without more words it starts their shell."""
        self._check_namespace(namespace)
        return self._enter(namespace)

    def keep(self) -> None:
        """Let it outlive this process; `python -m pytest_calico_perf.cluster.lab down` takes it down then."""
        with self._lock:
            self._check_open()
            self._outside(KEPT).touch()
            self._kept = True

    def close(self) -> None:
        """Take it down with all that is in it; if it is to be kept, only let go of it. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            commands = list(self._commands)
        for command in commands:
            command.stop()
        assert self._process.stdin
        with suppress(BrokenPipeError), self._process.stdin as keeper:
            keeper.write(b"end\n")
        if self._kept:
            self._process.returncode = 0  # it goes on without us, and Popen shall not mourn it
            return
        # unshare(1) ends when the keeper has, and that when everything in its PID namespace has.
        if not self._ends_within(_CLOSE_DEADLINE):
            # Stopped, by somebody or by a debugger. SIGKILL gets through, and unshare(1) has to reap it.
            for pid, number in ((self.pid, signal.SIGKILL), (self._process.pid, signal.SIGCONT)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if not self._ends_within(_KILL_DEADLINE):
                _kill(self._process)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ends_within(self, seconds: float) -> bool:
        return self._process.poll() is not None or wait_for_exit(self._process.pid, deadline=seconds)

    def _enter(self, namespace: str | None) -> list[str]:
        net = f"--net={self._outside(NAMESPACES)}/{namespace}" if namespace else "--net"
        user = ["--user", "--preserve-credentials"] if self._user_namespace else []
        # The keeper's root, too: in a chroot, that of its mount namespace is another one.
        return ["nsenter", "--target", str(self.pid), *user, "--pid", "--mount", "--root", net]

    def _outside(self, path: str) -> Path:
        """Where this process sees a file of the sandbox (proc_pid_root(5))."""
        return Path(f"/proc/{self.pid}/root{path}")

    def _check_open(self) -> None:
        if self._closed or self._process.poll() is not None:
            raise ClusterProblem("the lab is down", where=f"lab {self.run_id}", remedy="start another one")

    def _check_namespace(self, namespace: str) -> None:
        with self._lock:
            if namespace not in self._namespaces:
                raise ClusterProblem(f"there is no namespace {namespace!r}", where=f"lab {self.run_id}")


def _make_folder(place: Path) -> None:
    """Make a folder that a server of another user can enter (nginx's workers), whatever our umask."""
    if not place.exists():
        _make_folder(place.parent)
        place.mkdir(mode=0o755, exist_ok=True)
        place.chmod(0o755)


def _environment(run_id: str) -> dict[str, str]:
    """A clean one: a proxy or a locale of the user's would change what tools do and print."""
    return {
        "PATH": requirements.search_path(),
        "LC_ALL": "C",
        "HOME": Sandbox.directory,
        "TMPDIR": TEMPORARY,
        VARIABLE: LabTag.of_this_process(run_id).value,
    }


def _await_ready(process: subprocess.Popen[bytes]) -> int:
    """The keeper's process id, once it says so."""
    assert process.stdout
    assert process.stderr
    poller = select.poll()
    poller.register(process.stdout, select.POLLIN)
    deadline = time.monotonic() + _START_DEADLINE
    said = b""
    while not said.endswith(b"\n"):
        left = deadline - time.monotonic()
        chunk = os.read(process.stdout.fileno(), 256) if left > 0 and poller.poll(left * 1000) else b""
        if not chunk:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            complaint = process.stderr.read().decode(errors="replace").strip().replace("\n", "; ")
            raise RequirementMissing(
                f"this machine does not let us make namespaces: {complaint or 'no answer within 10 s'}",
                where="the lab",
                remedy=requirements.namespace_remedy(),
            )
        said += chunk
    return int(said.split()[1])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End unshare(1) and the keeper, which share a process group, whatever state they are in."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()
