"""Calico's IPAM on the API's own objects: blocks, affinities, addresses.

One block per node and pool, where Calico takes more when one is full and borrows when no block is left: a pod that
finds its block full waits. Sources: libcalico-go/lib/ipam, lib/backend/model/block.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane.pools import IPPool
from tests.kubernetes.plane.resources import CalicoResources

Json = dict[str, Any]


class Ipam:
    """Gives out addresses and takes them back. Thread safe."""

    def __init__(self, store: Store, resources: CalicoResources) -> None:
        self._store = store
        self._resources = resources
        self._lock = store.lock  # a pool is deleted under it, and that gives up blocks

    def blocks(self) -> list[Json]:
        """All blocks there are."""
        return self._store.list(self._resources.blocks)

    def blocks_of(self, nodes: Sequence[str], pools: Sequence[IPPool]) -> dict[str, dict[str, IPv4Network]]:
        """Node -> pool's name -> its block; one of no pool any more is under its own range."""
        found: dict[str, dict[str, IPv4Network]] = {node: {} for node in nodes}
        for block in self.blocks():
            node, range_ = _owner(block), IPv4Network(block["spec"]["cidr"])
            pool = next((pool for pool in pools if range_.subnet_of(pool.range)), None)
            if node in found:
                found[node][pool.name if pool else str(range_)] = range_
        return found

    def assign(
        self, node: str, pools: Sequence[IPPool], handle: str, attributes: Mapping[str, str]
    ) -> IPv4Address:
        """Give out the next free address of a node's block in the first pool that has one.

        Raises:
            ValueError: None has, in the words of the CNI plugin.
        """
        with self._lock:
            for pool in pools:
                block = self._block(node, pool)
                if block and block["spec"]["unallocated"]:
                    return self._take(block, handle, attributes)
        ranges = " ".join(str(pool.range) for pool in pools)
        raise ValueError(
            "failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks "
            f"and strict affinity enabled, pools: [{ranges}]"
        )

    def release(self, handle: str) -> bool:
        """Take back what was given out under a handle; return whether there was anything."""
        with self._lock:
            for block in self.blocks():
                handles = [attribute["handle_id"] for attribute in block["spec"]["attributes"]]
                if handle in handles:
                    self._free(block, handles.index(handle))
                    return True
        return False

    def address_of(self, handle: str) -> IPv4Address | None:
        """The address given out under a handle."""
        for block in self.blocks():
            handles = [attribute["handle_id"] for attribute in block["spec"]["attributes"]]
            for ordinal, index in enumerate(block["spec"]["allocations"]):
                if index is not None and handles[index] == handle:
                    return IPv4Network(block["spec"]["cidr"])[ordinal]
        return None

    def release_affinities(self, range_: IPv4Network) -> None:
        """Give up all blocks in a range (ReleasePoolAffinities): empty ones go, others lose their node."""
        with self._lock:
            for block in self.blocks():
                if IPv4Network(block["spec"]["cidr"]).subnet_of(range_):
                    self._give_up(block)

    def collect_garbage(self) -> None:
        """Give up empty blocks that are in no pool: what kube-controllers does after a grace period."""
        pools = [pool for obj in self._store.list(self._resources.pools) if (pool := IPPool.of(obj))]
        with self._lock:
            for block in self.blocks():
                range_ = IPv4Network(block["spec"]["cidr"])
                if not block["spec"]["attributes"] and not any(
                    range_.subnet_of(pool.range) for pool in pools
                ):
                    self._give_up(block)

    def in_use(self, range_: IPv4Network) -> bool:
        """Whether a block is left in a range."""
        return any(IPv4Network(block["spec"]["cidr"]).subnet_of(range_) for block in self.blocks())

    def _block(self, node: str, pool: IPPool) -> Json | None:
        """The node's block in a pool; the next free one becomes it."""
        blocks = self.blocks()
        taken = [IPv4Network(block["spec"]["cidr"]) for block in blocks]
        for block, range_ in zip(blocks, taken, strict=True):
            if _owner(block) == node and range_.subnet_of(pool.range):
                return block
        for range_ in pool.range.subnets(new_prefix=pool.block_size):
            if not any(range_.overlaps(other) for other in taken):
                return self._make(node, range_)
        return None

    def _make(self, node: str, range_: IPv4Network) -> Json:
        name = str(range_).replace(".", "-").replace("/", "-")
        affinity = {
            "cidr": str(range_),
            "node": node,
            "state": "confirmed",
            "type": "host",
            "deleted": "false",
        }
        self._store.create(
            self._resources.affinities, {"metadata": {"name": f"{node}-{name}"}, "spec": affinity}
        )
        size = range_.num_addresses
        spec = {
            "cidr": str(range_),
            "affinity": f"host:{node}",
            "strictAffinity": False,
            "allocations": [None] * size,
            "unallocated": list(range(size)),
            "attributes": [],
            "deleted": False,
        }
        return self._store.create(self._resources.blocks, {"metadata": {"name": name}, "spec": spec})

    def _take(self, block: Json, handle: str, attributes: Mapping[str, str]) -> IPv4Address:
        spec = block["spec"]
        ordinal = spec["unallocated"].pop(0)
        spec["allocations"][ordinal] = len(spec["attributes"])
        spec["attributes"].append({"handle_id": handle, "secondary": dict(attributes)})
        self._store.replace(self._resources.blocks, block)
        return IPv4Network(spec["cidr"])[ordinal]

    def _free(self, block: Json, index: int) -> None:
        spec = block["spec"]
        for ordinal, used in enumerate(spec["allocations"]):
            if used == index:
                spec["allocations"][ordinal] = None
                spec["unallocated"].append(ordinal)
            elif used is not None and used > index:
                spec["allocations"][ordinal] = used - 1
        del spec["attributes"][index]
        if not spec["attributes"] and not spec.get("affinity"):
            self._store.remove(self._resources.blocks, block["metadata"]["name"])
        else:
            self._store.replace(self._resources.blocks, block)

    def _give_up(self, block: Json) -> None:
        name, node = block["metadata"]["name"], _owner(block)
        if node:
            self._store.remove(self._resources.affinities, f"{node}-{name}")
        if not block["spec"]["attributes"]:
            self._store.remove(self._resources.blocks, name)
        elif node:
            try:
                self._store.update(self._resources.blocks, name, _without_affinity)
            except Refused as refused:
                if refused.code != 404:
                    raise


def _owner(block: Json) -> str:
    return (block["spec"].get("affinity") or "").removeprefix("host:")


def _without_affinity(block: Json) -> Json:
    return block | {"spec": {key: value for key, value in block["spec"].items() if key != "affinity"}}
