"""Servers that probes start: up when they say so, and named when they die."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, RunningCommand
from pytest_calico_perf.errors import CellProblem, ToolProblem

UP_DEADLINE = 5.0  # seconds; a server binds a socket in milliseconds, an exec through an API takes longer
BLOCK_LIMIT = 6 * 3600.0  # seconds; a server of a block outlives the longest one, and an orphan ends some day
DOWN_DEADLINE = 2.0  # seconds a server that is about to end may still take
_GRACE = 0.5  # seconds by which a client may notice its server's death before we do


@contextmanager
def serving(endpoint: Endpoint, argv: Sequence[str], *, ready: str, limit: float) -> Iterator[RunningCommand]:
    """Run a server for the length of a `with` block, from the moment it printed `ready`.

    Args:
        endpoint: Where.
        argv: Its command line.
        ready: What it prints once it listens.
        limit: Seconds after which the far side ends it whatever happens.

    Raises:
        ToolProblem: It is not installed there, ended at once, or said nothing in time.
    """
    with endpoint.start(argv, limit=limit) as server:
        try:
            server.wait_for_output(ready, deadline=UP_DEADLINE)
        except ToolProblem:
            if server.running:
                raise ToolProblem(
                    f"{argv[0]} did not come up within {UP_DEADLINE:g} s",
                    where=endpoint.name,
                    remedy=_by_hand(argv),
                ) from None
            raise _never_up(server.finish(deadline=DOWN_DEADLINE), endpoint) from None
        yield server


def _never_up(result: CommandResult, endpoint: Endpoint) -> ToolProblem:
    tool = result.argv[0]
    if result.exit_code == 127:
        return ToolProblem(f"{tool} is not installed there", where=endpoint.name, remedy=f"install {tool}")
    # Not the last words alone: `iperf3: exiting` follows the reason, and nginx repeats itself.
    lines = dict.fromkeys(line.strip() for line in (result.stderr or result.stdout).splitlines())
    words = "; ".join(line for line in lines if line)[:500] or "it printed nothing"
    return ToolProblem(
        f"{tool} ended before it listened (status {result.exit_code}): {words}",
        where=endpoint.name,
        remedy=_by_hand(result.argv),
    )


def _by_hand(argv: Sequence[str]) -> str:
    return f"run it there by hand: {' '.join(argv)}"


@contextmanager
def needing(server: RunningCommand, endpoint: Endpoint) -> Iterator[None]:
    """A server that is or falls dead inside is blamed instead of the symptom its client shows.

    Raises:
        ToolProblem: It is dead.
    """
    if not server.running:
        raise died(server.finish(deadline=DOWN_DEADLINE), endpoint)
    try:
        yield
    except CellProblem as problem:
        if has_ended(server):
            raise died(server.finish(deadline=DOWN_DEADLINE), endpoint) from problem
        raise


def has_ended(server: RunningCommand) -> bool:
    """Whether it has ended, or does within a moment."""
    end = time.monotonic() + _GRACE
    while server.running:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def died(result: CommandResult, endpoint: Endpoint) -> ToolProblem:
    """The problem of a server that ended while a client still needed it, with its last words."""
    return ToolProblem(
        f"the {result.argv[0]} server died mid-run (status {result.exit_code}): {result.last_words}",
        where=endpoint.name,
        remedy="look there for an out-of-memory kill or a restarted pod",
    )
