"""A host over SSH as an endpoint: one connection that all threads share, and a folder that lives as long."""

from __future__ import annotations

import itertools
import logging
import secrets
import shlex
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Self

from pytest_calico_perf.cluster import remote
from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.ssh.command import SshCommand
from pytest_calico_perf.cluster.ssh.login import Login
from pytest_calico_perf.cluster.ssh.session import DeadConnection, Folder, Session
from pytest_calico_perf.errors import CalicoPerfError, HostProblem, NotRestored, ToolProblem
from pytest_calico_perf.model import EndpointKind

# paramiko reports failures to its log as well; those who want to read it there attach a handler of their own.
logging.getLogger("pytest_calico_perf.ssh").addHandler(logging.NullHandler())

_PORTS = range(20000, 30000)  # below Linux's ephemeral ports (32768) and Kubernetes' node ports (30000)
_CHORE = 20.0  # seconds for a command of our own: making a folder, writing a file, looking at sockets

_MISSING = 'for program; do command -v "$program" >/dev/null || printf "%s\\n" "$program"; done'
_WRITE = 'mkdir -p -- "${1%/*}" && cat >"$1"'


class SshHost:
    """A host, as `cluster.base.Endpoint` wants it. Use as a context manager, or call `close`.

    Every command is bounded there and ends there when the connection does (`remote.leashed`). The login
    shell must understand sh(1)'s quotes; `connect` finds out.
    """

    kind = EndpointKind.HOST

    def __init__(self, node: str, address: str, login: Login) -> None:
        """Not connected yet; `connect` is what others call."""
        self._node = node
        self._address = address
        self._login = login
        self._lock = threading.Lock()  # of the connection
        self._place: tuple[Session, Folder] | None = None
        self._left: list[tuple[Session, Folder]] = []  # that did not answer, and may yet do
        self._orphans: list[str] = []  # folders whose connection broke
        self._closed = False
        self._ports_lock = threading.Lock()
        start = secrets.randbelow(len(_PORTS))  # so that two runs on one host seldom meet
        self._ports: Iterator[int] = itertools.cycle([*_PORTS[start:], *_PORTS[:start]])

    @classmethod
    def connect(
        cls,
        node: str,
        *,
        address: str,
        host: str | None = None,
        user: str | None = None,
        port: int | None = None,
        key: Path | None = None,
        known_hosts: Path | None = None,
        jump: str | None = None,
        config: Path | None = None,
        strict: bool = True,
        agent: bool = True,
        deadline: float = 15.0,
    ) -> Self:
        """Log in to a host and make a private folder there.

        Args:
            node: Its name in the cluster, and in messages.
            address: The IPv4 address that traffic is sent to and servers listen at, dotted.
            host: Where its sshd is: name, address, or a `Host` of ssh_config; `address` if None.
            user: Who logs in; if None as ssh_config has it, else the user who runs us.
            port: Its sshd's port; if None as ssh_config has it, else 22.
            key: A private key file, tried before all others, at jump hosts too; an encrypted one has to be in
                the agent. If None, those of ssh_config, of the agent, and ~/.ssh/id_*.
            known_hosts: The one file of host keys; if None those of ssh_config, else ssh(1)'s own.
            jump: `[user@]host[:port]` to go through, several divided by commas; if None as ssh_config has it.
            config: The one ssh_config file; if None the user's and the system's. ssh_config's
                StrictHostKeyChecking and HostKeyAlias do not count.
            strict: Whether a host whose key is unknown is refused; one whose key has changed always is.
            agent: Whether keys of the SSH agent are tried.
            deadline: Seconds each step of logging in may take.

        Raises:
            HostProblem: It cannot be logged in to, or its login shell is no sh.
        """
        login = Login(
            host=host or address,
            user=user,
            port=port,
            key=key,
            known_hosts=known_hosts,
            jump=jump,
            config=config,
            strict=strict,
            agent=agent,
            deadline=deadline,
        )
        endpoint = cls(node, address, login)
        endpoint._connected()  # before threads share it
        return endpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._node}, {self._address})"

    @property
    def name(self) -> str:
        return self._node

    @property
    def node(self) -> str:
        return self._node

    @property
    def address(self) -> str:
        return self._address

    @property
    def own_address(self) -> str:
        return self._address

    @property
    def scratch(self) -> str:
        """The connection's folder; after a broken connection the next one has another."""
        return self._connected()[1].path

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        """As the protocol says.

        Raises:
            HostProblem: The connection broke, before or meanwhile, and another one could not be made.
        """
        command = self._launch(argv, remote.leashed(argv, limit), limit)
        command.follow()
        return command.result()

    def start(self, argv: Sequence[str], *, limit: float) -> SshCommand:
        return self._launch(argv, remote.leashed(argv, limit), limit).follow_in_background()

    def write_file(self, path: str, text: str) -> None:
        """Write a small text file there; folders on the way are made.

        Raises:
            ToolProblem: It cannot be written; the message says why.
            HostProblem: As `run`.
        """
        argv = ["sh", "-c", _WRITE, "sh", path]
        command = self._launch(argv, remote.bounded(argv, _CHORE), _CHORE, stdin=text)
        command.follow()
        result = command.result()
        if result.exit_code != 0:
            raise ToolProblem(f"cannot write {path}: {result.last_words}", where=self._node)

    def missing(self, programs: Collection[str]) -> list[str]:
        """Those of the programs that are not installed there.

        Raises:
            HostProblem: As `run`.
        """
        return self.run(["sh", "-c", _MISSING, "sh", *programs], limit=_CHORE).check().stdout.split()

    def allocate_port(self) -> int:
        """A port that no socket there is bound to, by ss(8); another one at each call.

        Raises:
            ToolProblem: There is no ss there, or no port is free.
        """
        condition = f"sport >= :{_PORTS.start} and sport < :{_PORTS.stop}"
        lines = self.run(["ss", "-Hntua", condition], limit=_CHORE).check().stdout.splitlines()
        local = [words[4] for words in map(str.split, lines) if len(words) > 4]
        taken = {address.rpartition(":")[2] for address in local}
        with self._ports_lock:
            for port in itertools.islice(self._ports, len(_PORTS)):
                if str(port) not in taken:
                    return port
        raise ToolProblem(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free", where=self._node)

    def close(self) -> None:
        """Remove the folder and disconnect. Idempotent.

        Raises:
            NotRestored: A folder could not be removed; the remedy does it.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for session, folder in self._left:
                self._orphans.append(folder.path)
                session.close()
            if self._place is None and not self._orphans:
                return
            try:
                session, folder = self._current()
                self._remove_orphans(session)
                self._orphans.append(folder.path)
                folder.remove()
                self._orphans.remove(folder.path)
                reason = "rm failed"
            except CalicoPerfError as problem:
                reason = problem.what
            finally:
                if self._place is not None:
                    self._place[0].close()
            if self._orphans:
                raise NotRestored(
                    f"left there: {', '.join(self._orphans)} ({reason})",
                    where=self._node,
                    remedy="the host removes them itself once it notices that we are gone; or run there: "
                    + shlex.join(["rm", "-rf", *self._orphans]),
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connected(self) -> tuple[Session, Folder]:
        with self._lock:
            if self._closed:
                raise HostProblem("the connection to it was closed", where=self._node)
            return self._current()

    def _current(self) -> tuple[Session, Folder]:
        """The connection and its folder, made anew if it broke; the lock is held."""
        if self._place is not None:
            session, folder = self._place
            if session.alive:
                return self._place
            self._orphans.append(folder.path)
            session.close()
            self._place = None
        session = Session.open(self._login, self._node)
        try:
            self._place = session, Folder.make(session)
            self._remove_orphans(session)
        except BaseException:
            session.close()
            raise
        return self._place

    def _leave(self, session: Session) -> None:
        """Use a connection no more. It may be slow and not dead: commands that run through it go on."""
        with self._lock:
            if self._place is not None and self._place[0] is session and session.alive:
                self._left.append(self._place)
                self._place = None

    def _remove_orphans(self, session: Session) -> None:
        """Remove the folders of broken connections; their keepers do, too, but only once sshd noticed."""
        if self._orphans:
            argv = ["rm", "-rf", "--", *self._orphans]
            command = session.launch(argv, remote.bounded(argv, _CHORE), limit=_CHORE)
            command.follow()
            if command.result().exit_code == 0:
                self._orphans.clear()

    def _launch(
        self, argv: Sequence[str], wrapped: Sequence[str], limit: float, *, stdin: str | None = None
    ) -> SshCommand:
        session, _ = self._connected()
        try:
            return session.launch(argv, wrapped, limit=limit, stdin=stdin)
        except DeadConnection:
            # It looked alive and was not. Nothing has run there, so that once more harms nobody.
            self._leave(session)
            session, _ = self._connected()
            return session.launch(argv, wrapped, limit=limit, stdin=stdin)
