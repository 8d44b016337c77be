"""Where in a range of addresses there is room for more."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network

from pytest_calico_perf.errors import ClusterProblem

Taken = Mapping[IPv4Network, str]
"""Range -> what uses it, in words."""


def free(
    count: int,
    prefix: int,
    inside: IPv4Network,
    taken: Taken,
    *,
    start: Callable[[int], int] = secrets.randbelow,
) -> list[IPv4Network]:
    """Ranges inside another that overlap nothing taken: the first ones from some place on, and around.

    Args:
        count: How many.
        prefix: Prefix length of each.
        inside: Where to look: `pools.range` of the cluster file.
        taken: What is used already.
        start: Given the number of places, the one to begin at; by chance, so that two runs that look at the
            same moment seldom choose the same.

    Raises:
        ClusterProblem: There are not so many; says what is in the way and which field to change.
    """
    found: list[IPv4Network] = []
    in_the_way: dict[IPv4Network, str] = {}
    size = 1 << (32 - prefix)
    first, end = _bounds(inside)
    places = (end - first) // size
    middle = first + (start(places) if places else 0) * size
    for begin, until in ((middle, end), (first, middle)):
        position = begin
        while len(found) < count and position + size <= until:
            clash = next((used for used in taken if _overlaps(used, position, size)), None)
            if clash is None:
                found.append(IPv4Network((position, prefix)))
                position += size
            else:
                in_the_way[clash] = taken[clash]
                position = -(-_bounds(clash)[1] // size) * size  # the first place behind it
    if len(found) < count:
        reasons = ", ".join(f"{used} ({what})" for used, what in list(in_the_way.items())[:5])
        raise ClusterProblem(
            f"{inside} has room for {len(found)} of {count} ranges of /{prefix}"
            + (f": it overlaps {reasons}" if reasons else ""),
            where="pools.range",
            remedy="set pools.range in the cluster file to a wider range that nothing in the cluster uses",
        )
    return found


def _bounds(network: IPv4Network) -> tuple[int, int]:
    start = int(network.network_address)
    return start, start + network.num_addresses


def _overlaps(network: IPv4Network, position: int, size: int) -> bool:
    start, end = _bounds(network)
    return start < position + size and position < end
