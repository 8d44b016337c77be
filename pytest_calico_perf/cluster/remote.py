"""How a command is wrapped for a far side we can lose: in a pod, or on a host over SSH.

Neither the API server nor sshd ends a command whose connection is gone, so the far side itself must.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# The command's end is awaited in the foreground; a watcher reads the connection's standard input, which ends
# with the connection, and then ends the command: politely, then for good, with the process group that
# timeout(1) of coreutils leads (busybox's becomes the command itself). It ends the group even if timeout(1)
# is gone by then: told to end just after its fork, that goes without its child, or forgets its own SIGKILL.
# The watcher keeps no output open, since a runtime ends an exec only when nobody holds its pipes any more
# (containerd: io drain).
_LEASH = """\
exec 3<&0
"$@" </dev/null 3<&- & command=$!
{ while read -r _ <&3; do :; done
  trap 'kill "$!"; kill -KILL "-$command"; exit' TERM
  kill -TERM "$command"; sleep 1 & wait "$!"
  kill -KILL "-$command" || kill -KILL "$command"
} >/dev/null 2>&1 & watcher=$!
exec 3<&-
wait "$command"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"""

TIMED_OUT = 124
"""Exit status of timeout(1) when the limit ended the command."""

BY_LIMIT = frozenset({TIMED_OUT, 137, 143})
"""Exit statuses that tell of the limit, if as much time has passed.

timeout(1) of coreutils says 124, or 137 if it took SIGKILL. busybox's becomes the command itself, so that one
ended by it looks like any ended by a signal: 143 or 137 (tried with 1.35).
"""


def bounded(argv: Sequence[str], limit: float) -> list[str]:
    """The command with a limit of its own there, in seconds, rounded up: busybox knows no fractions.

    `timeout -k 1` sends SIGTERM and, a second later, SIGKILL; how it ends then says `BY_LIMIT`. It ends
    with 127 when there is no such command (coreutils, busybox since 1.34).
    """
    return ["timeout", "-k", "1", str(max(1, math.ceil(limit))), *argv]


def leashed(argv: Sequence[str], limit: float) -> list[str]:
    """The command bounded, and ended also as soon as standard input ends: when told so or when we are gone.

    The script is a constant and the command its positional parameters, so that no word of it is ever parsed.
    """
    return ["sh", "-c", _LEASH, "sh", *bounded(argv, limit)]
