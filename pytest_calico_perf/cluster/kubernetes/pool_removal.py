"""Taking pools away: when nobody has an address of them any more, and with all that Calico made of them.

Each is disabled first, which makes calico-node give its tunnel addresses back (node/pkg/allocateip), then
deleted. What a deletion does depends on the API: the server of `projectcalico.org/v3` releases the pool's
blocks, native CRDs wait for them by a finalizer, raw `crd.projectcalico.org/v1` does nothing, so there the
empty blocks are ours to remove.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.gone import await_quietly, still_there
from pytest_calico_perf.cluster.kubernetes.leftover import Leftover, printable
from pytest_calico_perf.cluster.kubernetes.resource import CalicoApi, Json, Resource
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup, mappings

_TUNNEL_HANDLES = ("ipip-tunnel-addr-", "vxlan-tunnel-addr-", "wireguard-tunnel-addr-")
_SETTLE = (
    0.5  # seconds between disabling and deleting, as libcalico-go's own client waits (clientv3/ippool.go)
)
_NOT_FOUND = 404

_Ranges = Mapping[Leftover, IPv4Network]


class PoolRemoval:
    """Removes pools of ours, all at once: none of them waits for another.

    Args:
        api: The cluster.
        calico: How Calico's objects are reached.
        deadline: Seconds each step may take.
        tell: Told what is left for Calico itself to do.
    """

    def __init__(self, api: Api, calico: CalicoApi, *, deadline: float, tell: Callable[[str], None]) -> None:
        self._api = api
        self._calico = calico
        self._deadline = deadline
        self._tell = tell
        self._problems: list[str] = []

    def remove(self, pools: Sequence[Leftover]) -> list[str]:
        """Remove them; returns what could not be removed, in sentences with the command that will."""
        self._problems = []
        ranges: _Ranges = self._each(pools, self._look_at)
        for step in (self._unused, self._disabled, self._without_tunnels, self._deleted):
            try:
                ranges = step(ranges)
            except ApiProblem as problem:
                self._problems += [_not_removed(pool, problem.what) for pool in ranges]
                return self._problems
        try:
            self._see_blocks_gone(ranges)
        except ApiProblem as problem:
            networks = ", ".join(map(str, ranges.values()))
            self._problems.append(f"nobody can tell what is left of the pools of {networks}: {problem.what}")
        return self._problems

    # -- steps: each takes the pools that are still on their way, and returns those that go on ------

    def _each(
        self, pools: Sequence[Leftover], act: Callable[[Leftover], IPv4Network | None]
    ) -> dict[Leftover, IPv4Network]:
        """Do it to each; those it returns a range for go on. One that fails is a problem of its own."""
        kept = {}
        for pool in pools:
            try:
                network = act(pool)
            except ApiProblem as problem:
                self._problems.append(_not_removed(pool, problem.what))
            except ValueError as error:
                self._problems.append(_not_removed(pool, str(error)))
            else:
                if network is not None:
                    kept[pool] = network
        return kept

    def _look_at(self, pool: Leftover) -> IPv4Network | None:
        there = self._api.find(self._calico.pools, pool.name)
        if there is None or pool.uid not in ("", lookup(there, "metadata", "uid")):
            return None
        return IPv4Network(str(lookup(there, "spec", "cidr")))

    def _unused(self, ranges: _Ranges) -> _Ranges:
        users = self._await_no_users(ranges, tunnels=False)
        self._problems += [
            f"{pool} was left alone: {', '.join(found)} still has an address of {ranges[pool]}; "
            "when it is gone: pytest --calico-cleanup"
            for pool, found in users.items()
        ]
        return _without(ranges, users)

    def _disabled(self, ranges: _Ranges) -> _Ranges:
        def disable(pool: Leftover) -> IPv4Network:
            self._api.patch(self._calico.pools, pool.name, {"spec": {"disabled": True}})
            return ranges[pool]

        disabled = self._each(list(ranges), disable)
        if disabled:
            time.sleep(_SETTLE)
        return disabled

    def _without_tunnels(self, ranges: _Ranges) -> _Ranges:
        """Deleting a pool while a tunnel has an address of it would leave that address to nobody for good."""
        users = self._await_no_users(ranges, tunnels=True)
        self._problems += [
            f"{pool} is disabled but not deleted: {', '.join(found)} still has an address of {ranges[pool]} "
            f"after {self._deadline:g} s; is calico-node running there? It gives it back, then: "
            "pytest --calico-cleanup"
            for pool, found in users.items()
        ]
        return _without(ranges, users)

    def _deleted(self, ranges: _Ranges) -> _Ranges:
        def delete(pool: Leftover) -> IPv4Network:
            self._api.delete(self._calico.pools, pool.name, uid=pool.uid)
            return ranges[pool]

        asked = self._each(list(ranges), delete)
        waiting = still_there(self._api, asked, deadline=self._deadline)
        self._problems += [
            f"{pool} is still being deleted after {self._deadline:g} s: Calico waits for its blocks, "
            f"see kubectl get {self._calico.blocks}; {pool.command('get')}"
            for pool in waiting
        ]
        return _without(asked, waiting)

    # -- blocks --------------------------------------------------------------------------------

    def _await_no_users(self, ranges: _Ranges, *, tunnels: bool) -> Mapping[Leftover, list[str]]:
        """Wait until nobody has an address of the ranges; returns who still has, by pool."""
        users: dict[Leftover, list[str]] = {}

        def unused() -> bool:
            blocks = self._blocks()
            users.clear()
            for pool, network in ranges.items():
                found = [
                    user
                    for block in _in(blocks, network)
                    for user in _users(block)
                    if tunnels or not _is_tunnel(user)
                ]
                if found:
                    users[pool] = sorted(set(found))
            return not users

        if ranges:
            await_quietly(unused, deadline=self._deadline)
        return users

    def _blocks(self) -> list[Json]:
        try:
            return self._api.list(self._calico.blocks)
        except ApiProblem as problem:
            if problem.status != _NOT_FOUND:
                raise
            return []  # no Calico keeps blocks here: only the kind IPPool is served

    def _see_blocks_gone(self, ranges: _Ranges) -> None:
        """See that nothing is left of the pools; where nobody else does it, remove what is empty.

        No address can be taken from it any more: Calico assigns from blocks of existing pools only.
        """
        if not ranges:
            return
        if self._calico.validates:
            self._await_no_blocks(ranges)
            return
        others = self._api.list(self._calico.pools)
        kept: list[str] = []
        for network in ranges.values():
            overlapping = [_name(pool) for pool in others if _overlaps(lookup(pool, "spec", "cidr"), network)]
            if overlapping:
                self._tell(f"blocks of {network} are left alone: they are of {', '.join(overlapping)}, too")
            else:
                kept += self._remove_blocks(network)
        if kept:
            self._tell(
                f"left to Calico's garbage collection, which takes minutes: {', '.join(kept)}; "
                "with permission to delete them they would be gone (docs/rbac.yaml)"
            )

    def _await_no_blocks(self, ranges: _Ranges) -> None:
        left: list[Json] = []

        def gone() -> bool:
            blocks = self._blocks()
            left[:] = [block for network in ranges.values() for block in _in(blocks, network)]
            return not left

        if not await_quietly(gone, deadline=self._deadline):
            self._problems.append(
                f"blocks {', '.join(map(_name, left))} are left after {self._deadline:g} s; "
                f"kubectl get {self._calico.blocks} shows what still holds them"
            )

    def _remove_blocks(self, network: IPv4Network) -> list[str]:
        """Remove a deleted pool's empty blocks and their affinities; returns what we may not remove."""
        kept = []
        for block in _in(self._blocks(), network):
            if users := _users(block):
                self._problems.append(
                    f"block {_name(block)} is left of a pool that is gone: {', '.join(users)} still has an "
                    f"address of it; kubectl get {self._calico.blocks} {_name(block)} -o yaml"
                )
            elif not self._dropped(self._calico.blocks, block):
                kept.append(f"{self._calico.blocks} {_name(block)}")
        # A block without an affinity belongs to no node, and could not be told from one in use.
        there = {str(lookup(block, "spec", "cidr")) for block in _in(self._blocks(), network)}
        for affinity in _in(self._api.list(self._calico.affinities), network):
            orphaned = str(lookup(affinity, "spec", "cidr")) not in there
            if orphaned and not self._dropped(self._calico.affinities, affinity):
                kept.append(f"{self._calico.affinities} {_name(affinity)}")
        return kept

    def _dropped(self, resource: Resource, thing: Json) -> bool:
        try:
            self._api.delete(resource, _name(thing), uid=str(lookup(thing, "metadata", "uid") or ""))
        except ApiProblem:
            return False
        return True


def _not_removed(pool: Leftover, why: str) -> str:
    return f"{pool} was not removed: {why}; {pool.command()}"


def _without(ranges: _Ranges, others: Mapping[Leftover, object] | Sequence[Leftover]) -> _Ranges:
    return {pool: network for pool, network in ranges.items() if pool not in others}


def _name(thing: Json) -> str:
    return printable(lookup(thing, "metadata", "name"))


def _users(block: Json) -> list[str]:
    """Handles of who has an address of a block: a taken position holds the index of its attributes."""
    allocations = lookup(block, "spec", "allocations")
    if not isinstance(allocations, list):
        return []
    attributes = mappings(lookup(block, "spec", "attributes"))
    taken = {index for index in allocations if isinstance(index, int)}
    handles = [
        lookup(attributes[index], "handle_id") if 0 <= index < len(attributes) else None
        for index in sorted(taken)
    ]
    return [printable(handle) or "somebody" for handle in handles]


def _is_tunnel(handle: str) -> bool:
    return handle.startswith(_TUNNEL_HANDLES)


def _in(things: Sequence[Json], network: IPv4Network) -> list[Json]:
    """Those whose range is inside of it."""
    return [each for each in things if _inside(lookup(each, "spec", "cidr"), network)]


def _inside(cidr: object, network: IPv4Network) -> bool:
    try:
        return IPv4Network(str(cidr)).subnet_of(network)
    except ValueError:
        return False


def _overlaps(cidr: object, network: IPv4Network) -> bool:
    try:
        return IPv4Network(str(cidr), strict=False).overlaps(network)
    except ValueError:
        return False  # an IPv6 pool
