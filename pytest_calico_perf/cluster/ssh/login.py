"""Logging in: settings and ssh_config(5) in, an open and verified fabric connection out."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    SSHConfig,
    SSHException,
    Transport,
)
from paramiko.config import SSHConfigDict
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError

from pytest_calico_perf.cluster.ssh.hostkeys import HostKeyCheck
from pytest_calico_perf.cluster.ssh.keys import Keys, not_let_in
from pytest_calico_perf.cluster.ssh.proxy import ProxySocket
from pytest_calico_perf.clusterfile.names import Hop, is_host, is_port, is_user
from pytest_calico_perf.errors import HostProblem

_KEEPALIVE = 10  # seconds without traffic after which we ask whether the other side is still there
_UNACKNOWLEDGED = 15  # seconds without an acknowledgement after which it is not (tcp(7), TCP_USER_TIMEOUT)
_LOG = "pytest_calico_perf.ssh"
_SSH_CONFIGS = ("~/.ssh/config", "/etc/ssh/ssh_config")
_DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"


@dataclass(frozen=True)
class Login:
    """How to log in to a host; whatever is None is as ssh_config(5) has it.

    Attributes:
        host: Name or address, or a `Host` of ssh_config.
        user: Who logs in.
        port: TCP port.
        key: A private key file, tried first, at jump hosts too. An encrypted one has to be in the agent.
        known_hosts: The one file of host keys.
        jump: `[user@]host[:port]` to go through; several, from here on, divided by commas.
        config: An ssh_config file in place of the user's and the system's.
        strict: Whether hosts with an unknown key are refused.
        agent: Whether keys of an SSH agent are tried.
        deadline: Seconds each step may take: TCP, greeting, authentication, a channel.
    """

    host: str
    user: str | None
    port: int | None
    key: Path | None
    known_hosts: Path | None
    jump: str | None
    config: Path | None
    strict: bool
    agent: bool
    deadline: float

    def open(self) -> Connection:
        """Connect, through the jump hosts, and authenticate.

        Raises:
            HostProblem: It cannot be done; the message names the hop that failed and never holds a secret.
        """
        *jumps, host = self._hops()
        hops = [*jumps, host]
        try:
            for index, hop in enumerate(hops):
                try:
                    self._open_hop(hop, hops[index - 1] if index else None)
                except HostProblem as problem:
                    if hop is host:
                        problem.where = problem.where or _place(hop)
                    else:
                        problem.where = f"jump host {_place(hop)} on the way to {_place(host)}"
                    raise
        except BaseException:
            close(host)
            raise
        return host

    def _hops(self) -> list[Connection]:
        """The connections to make, the outermost jump host's first."""
        # They end up in tokens of ssh_config, which `Match exec` and ProxyCommand hand to a shell.
        if not is_host(self.host):
            raise HostProblem(f"{self.host!r} is no host name")
        if self.user is not None and not is_user(self.user):
            raise HostProblem(f"{self.user!r} is no user name")
        config = self._config()
        gateway = None
        for jump in self.jump.split(",") if self.jump else ():
            gateway = _jump(jump.strip(), config, gateway)
        return _chain(Connection(self.host, config=config, gateway=gateway))

    def _config(self) -> Config:
        """What fabric is told. Its own files and variables do not count: users know ssh_config."""
        steps = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), self.deadline)
        return Config(
            lazy=True,
            ssh_config=self._ssh_config(),
            overrides={
                "timeouts": {"connect": self.deadline},
                "connect_kwargs": {**steps, "transport_factory": _transport},
                "authentication": {"strategy_class": partial(Keys, self.key, self.agent)},
            },
        )

    def _ssh_config(self) -> SSHConfig:
        """What was asked for, then the files: the first value counts, and %p and %r know it."""
        lines = [f"Host {self.host}"]
        lines += [f"User {self.user}"] if self.user is not None else []
        lines += [f"Port {self.port}"] if self.port is not None else []
        ssh_config = SSHConfig.from_text("\n".join(lines))
        files = (self.config,) if self.config is not None else map(Path, _SSH_CONFIGS)
        for file in files:
            try:
                with file.expanduser().open(encoding="utf-8", errors="replace") as text:
                    ssh_config.parse(text)
            except OSError as error:
                if self.config is not None or not isinstance(error, FileNotFoundError):
                    raise HostProblem(f"ssh_config {file} cannot be read: {error.strerror}") from None
            except (SSHException, ValueError) as error:
                raise HostProblem(f"ssh_config {file} cannot be understood: {error}") from None
        return ssh_config

    def _open_hop(self, hop: Connection, before: Connection | None) -> None:
        hop.client.set_log_channel(_LOG)
        proxy = None
        if isinstance(hop.gateway, str):
            proxy = ProxySocket.start(hop.gateway)
            hop.gateway = None
            hop.connect_kwargs = {**hop.connect_kwargs, "sock": proxy}
        check = HostKeyCheck(hop.host, int(hop.port), self._known_hosts(hop.ssh_config), self.strict)
        check.apply(hop.client)
        try:
            hop.open()
        except BadHostKeyException as error:
            raise check.changed(error.key, error.expected_key) from None
        except AuthenticationException as error:
            raise not_let_in(hop.user, error) from None
        except ChannelException as error:
            assert before
            raise HostProblem(
                f"jump host {_place(before)} does not get through to {_place(hop)}: {error.text}",
                remedy="see that it can reach that address, and that its sshd has AllowTcpForwarding",
            ) from None
        except (SSHException, OSError, EOFError) as error:
            if proxy:
                raise HostProblem(
                    f"its ProxyCommand leads to no SSH server: {proxy.last_words()}", remedy="try it by hand"
                ) from None
            raise _no_connection(hop, error, self.deadline) from None
        if not hop.transport.is_authenticated():
            raise HostProblem(
                f"it wants more of {hop.user} than a key",
                remedy="let that user in by key alone: AuthenticationMethods in its sshd_config",
            )
        hop.transport.set_keepalive(_KEEPALIVE)
        if isinstance(hop.transport.sock, socket.socket) and not proxy:
            hop.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED * 1000)

    def _known_hosts(self, ssh_config: SSHConfigDict) -> Sequence[Path]:
        if self.known_hosts is not None:
            return (self.known_hosts,)
        names = ssh_config.get("userknownhostsfile", _DEFAULT_KNOWN_HOSTS).split()
        names += ssh_config.get("globalknownhostsfile", _SYSTEM_KNOWN_HOSTS).split()
        return tuple(Path(name).expanduser() for name in names)


def _transport(sock: Any, **options: Any) -> Transport:
    """What paramiko talks through: at once, and not for ever to somebody who does not answer."""
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        # Neither Nagle's algorithm nor delayed acknowledgements suit a conversation: 40 ms for every word.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED * 1000)
    return Transport(sock, **options)


def _jump(text: str, config: Config, gateway: Connection | None) -> Connection:
    hop = Hop.parse(text)
    if hop is None or not (hop.port is None or is_port(hop.port)):
        raise HostProblem(f"{text!r} is no jump host", remedy="write [user@]host[:port]")
    return Connection(hop.host, user=hop.user, port=hop.port, config=config.clone(), gateway=gateway)


def close(connection: Connection) -> None:
    """Close a connection, opened or not, and those it goes through."""
    for hop in reversed(_chain(connection)):
        with suppress(OSError, EOFError, SSHException):
            hop.client.close()


def _chain(connection: Connection) -> list[Connection]:
    hops = [connection]
    while isinstance(hops[0].gateway, Connection):  # it may be text, a ProxyCommand
        hops.insert(0, hops[0].gateway)
    return hops


def _place(hop: Connection) -> str:
    return f"{hop.user}@{hop.host}:{hop.port}"


def _no_connection(hop: Connection, error: Exception, deadline: float) -> HostProblem:
    """Why there is no SSH session: names, network, or what listens there."""
    there = f"{hop.host} port {hop.port}"
    way = "the network, a firewall, or a jump host that is needed"
    if isinstance(error, socket.gaierror):
        return HostProblem(
            f"the name {hop.host} does not resolve here: {error.strerror}",
            remedy="give the host an address, or a name this machine knows, in the cluster file",
        )
    if isinstance(error, TimeoutError):
        return HostProblem(f"no answer from {there} within {deadline:g} s", remedy=f"look at {way}")
    if isinstance(error, NoValidConnectionsError):
        reasons = "; ".join(sorted({str(each.strerror) for each in error.errors.values()}))
        return HostProblem(
            f"no connection to {there}: {reasons}",
            remedy=f"see whether sshd listens there, and look at {way}",
        )
    if isinstance(error, IncompatiblePeer):
        return HostProblem(
            f"{there} and we share no algorithm: {error}",
            remedy="update its sshd, or allow one of paramiko's algorithms in its sshd_config",
        )
    if isinstance(error, OSError) and error.strerror:
        return HostProblem(f"no connection to {there}: {error.strerror}", remedy=f"look at {way}")
    return HostProblem(
        f"{there} does not speak SSH, or hung up: {error or type(error).__name__}",
        remedy="see whether sshd listens there, and its log: journalctl -u ssh",
    )
