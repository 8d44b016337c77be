"""Servers that probes start: up when they say so, and named when they die."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_calico_perf.cluster.base import CommandResult, Endpoint, RunningCommand
from pytest_calico_perf.errors import ToolProblem

UP_DEADLINE = 5.0  # seconds; a server binds a socket in milliseconds, an exec through an API takes longer
BLOCK_LIMIT = 6 * 3600.0  # seconds; a server of a block outlives the longest one, and an orphan ends some day
DOWN_DEADLINE = 2.0  # seconds a server that is about to end may still take


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
                    remedy=f"run it there by hand: {' '.join(argv)}",
                ) from None
            raise _never_up(server.finish(deadline=DOWN_DEADLINE), endpoint) from None
        yield server


def _never_up(result: CommandResult, endpoint: Endpoint) -> ToolProblem:
    tool = result.argv[0]
    if result.exit_code == 127:
        return ToolProblem(f"{tool} is not installed there", where=endpoint.name, remedy=f"install {tool}")
    return ToolProblem(
        f"{tool} ended before it listened (status {result.exit_code}): {result.last_words}",
        where=endpoint.name,
    )


def died(result: CommandResult, endpoint: Endpoint) -> ToolProblem:
    """The problem of a server that ended while a client still needed it, with its last words."""
    return ToolProblem(
        f"the {result.argv[0]} server died mid-run (status {result.exit_code}): {result.last_words}",
        where=endpoint.name,
        remedy="look there for an out-of-memory kill or a restarted pod",
    )
