"""An open connection to a host, and the private folder there that lives as long as it does."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from fabric import Connection
from paramiko import Channel, ChannelException

from pytest_calico_perf.cluster.ssh.command import LOST, SshCommand
from pytest_calico_perf.cluster.ssh.login import Login, close
from pytest_calico_perf.errors import HostProblem, ToolProblem

# Tools print for machines, and those of system administrators are found: the PATH that sshd gives to anybody
# but root lacks the folders of ethtool and nginx.
_SURROUNDINGS = """\
LC_ALL=C PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH
exec "$@"
"""

# Keeps a private folder for as long as somebody holds its standard input. What it repeats first shows that
# the login shell adds nothing and changes nothing. The folder will be removed with all that is in it, so that
# its name is looked at: here, and by `Folder.make`, which a host may have lied to.
_KEEPER = """\
folder=$(mktemp -d /tmp/calico-perf-XXXXXX) || exit 1
case ${folder#/tmp/calico-perf-} in
    "$folder" | '' | *[!A-Za-z0-9]*) printf 'mktemp made "%s"\\n' "$folder" >&2; exit 1 ;;
esac
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 1' HUP INT TERM
printf '%s\\n%s\\n' "$1" "$folder"
while read -r _; do :; done
"""
_FOLDER = re.compile(r"/tmp/calico-perf-[A-Za-z0-9]{6,}")  # noqa: S108 - made by mktemp, on the host
_ODD = 'it\'s "a" $HOME `b` \\ \\\\ !c *'
# sshd counts a session until it next looks around, a moment after we were told how its command ended.
_ROOM = 2.0  # seconds
_PAUSE = 0.02  # seconds
_FOREVER = 10 * 365 * 86400.0  # seconds


class DeadConnection(HostProblem):
    """A connection turned out to be dead, or does not answer, before anything was asked of it."""


@dataclass(frozen=True)
class Session:
    """What `open` makes.

    Attributes:
        node: The host's name, for messages.
        connection: The open connection.
        deadline: Seconds the host may take to open a channel.
    """

    node: str
    connection: Connection
    deadline: float

    @classmethod
    def open(cls, login: Login, node: str) -> Self:
        """Log in.

        Raises:
            HostProblem: It cannot be done; names the host.
        """
        try:
            connection = login.open()
        except HostProblem as problem:
            problem.where = f"{node} ({problem.where})" if problem.where else node
            raise
        return cls(node, connection, login.deadline)

    @property
    def alive(self) -> bool:
        """Whether the connection is open as far as we know."""
        return bool(self.connection.is_connected)

    def launch(
        self, argv: Sequence[str], wrapped: Sequence[str], *, limit: float, stdin: str | None = None
    ) -> SshCommand:
        """Start a command in a channel of its own; nobody follows it yet.

        This is the one place where words become a command line.

        Args:
            argv: The command for messages.
            wrapped: The command with what bounds it there (`cluster.remote`).
            limit: Seconds after which it ends there.
            stdin: What it reads, to the end; if None its standard input stays open.

        Raises:
            DeadConnection: Before the command was sent.
            HostProblem: Meanwhile; or the host refuses another channel.
        """
        line = shlex.join(["sh", "-c", _SURROUNDINGS, "sh", *wrapped])
        return SshCommand(self._channel(), line, argv, endpoint=self.node, limit=limit, stdin=stdin)

    def _channel(self) -> Channel:
        end = time.monotonic() + _ROOM
        while True:
            try:
                return self.connection.transport.open_session(timeout=self.deadline)
            except ChannelException as error:
                if time.monotonic() > end:
                    raise HostProblem(
                        f"it refuses another session: {error.text}",
                        where=self.node,
                        remedy="allow more in its sshd_config: MaxSessions",
                    ) from None
                time.sleep(_PAUSE)
            except LOST as error:
                raise DeadConnection(f"the SSH connection is dead: {error}", where=self.node) from None

    def close(self) -> None:
        """Disconnect."""
        close(self.connection)


@dataclass(frozen=True)
class Folder:
    """A private folder on the host. The host itself removes it when the connection is gone.

    Attributes:
        path: Where, absolute.
        keeper: The command that keeps it.
    """

    path: str
    keeper: SshCommand

    @classmethod
    def make(cls, session: Session) -> Self:
        """Make one, and see on the way that the login shell is fit for our commands.

        Raises:
            HostProblem: It is not, there is no room for a folder, or what it names is none that we asked for.
        """
        keeper = session.launch(["mktemp"], ["sh", "-c", _KEEPER, "sh", _ODD], limit=_FOREVER)
        keeper.follow_in_background()
        end = time.monotonic() + session.deadline
        while keeper.stdout.count("\n") < 2 and keeper.running and time.monotonic() < end:
            time.sleep(0.01)
        greeting, _, path = keeper.stdout.removesuffix("\n").rpartition("\n")
        if greeting == _ODD and path:
            if _FOLDER.fullmatch(path):
                return cls(path, keeper)
            raise HostProblem(
                f"no private folder of ours is there: {path[:200]!r}",
                where=session.node,
                remedy="see what its login shell and mktemp do: they were asked for /tmp/calico-perf-XXXXXX",
            )
        words = keeper.finish(deadline=1).last_words
        if greeting in ("", _ODD):
            raise HostProblem(
                f"no private folder can be made there: {words}",
                where=session.node,
                remedy="see that the user may run commands and that /tmp is writable",
            )
        raise HostProblem(
            f"its login shell does not do as sh does, or prints words of its own: {greeting[:200]!r}",
            where=session.node,
            remedy="let the user's login shell be sh, bash or zsh, silent unless it is interactive",
        )

    def remove(self) -> None:
        """Have it removed, and wait for it.

        Raises:
            HostProblem: The connection broke.
            ToolProblem: It could not be removed.
        """
        self.keeper.stop()
        result = self.keeper.result()
        if result.exit_code != 0:
            raise ToolProblem(result.last_words)
