"""Taking away what is ours, in the order Calico needs, and saying what would not go.

The order (calico.md 7): pods first, since a pool must not go while an address of it is in use; then each pool
is disabled, which gives its tunnel addresses back; then deleted. What a deletion does depends on the API:
the server of `projectcalico.org/v3` releases the pool's blocks, native CRDs wait for them by a finalizer, raw
`crd.projectcalico.org/v1` does nothing, so there the empty blocks are ours to remove.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.ours import RUN, SELECTOR, selector
from pytest_calico_perf.cluster.kubernetes.resource import (
    NAMESPACES,
    PODS,
    SERVICES,
    CalicoApi,
    Json,
    Resource,
)
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup, mappings

OWNER = "pytest-calico-perf/owner"
_TUNNEL_HANDLES = ("ipip-tunnel-addr-", "vxlan-tunnel-addr-", "wireguard-tunnel-addr-")
_SETTLE = (
    0.5  # seconds between disabling and deleting, as libcalico-go's own client waits (clientv3/ippool.go)
)
_POLL = 0.5
_FORBIDDEN = 403


@dataclass(frozen=True)
class Leftover:
    """An object of ours.

    Attributes:
        resource: Its kind.
        name: Its name.
        namespace: Its namespace; empty for what has none.
        run: Id of the run that made it.
        owner: Who ran that, as noted in it.
        created: When, as the API says it.
        uid: Which object of that name.
    """

    resource: Resource
    name: str
    namespace: str
    run: str
    owner: str
    created: str
    uid: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        by = f" by {self.owner}" if self.owner else ""
        return (
            f"{self.resource} {place}{self.name} (run {self.run}, made {self.created or 'some time ago'}{by})"
        )

    def command(self, verb: str = "delete") -> str:
        """The command a person would type."""
        where = f" -n {self.namespace}" if self.namespace else ""
        return f"kubectl{where} {verb} {self.resource} {self.name}"


class Removal:
    """Finds and removes objects of ours.

    Args:
        api: The cluster.
        calico: How Calico's objects are reached; None on a cluster without Calico.
        namespace: A namespace of the user's in which our pods live, if the cluster file names one.
        deadline: Seconds each step may take.
        tell: Told what is left for Calico itself to do.
    """

    def __init__(
        self,
        api: Api,
        calico: CalicoApi | None,
        *,
        namespace: str | None,
        deadline: float,
        tell: Callable[[str], None],
    ) -> None:
        self._api = api
        self._tell = tell
        self._calico = calico
        self._namespace = namespace
        self._deadline = deadline

    def leftovers(self, run: str | None = None) -> list[Leftover]:
        """Everything of ours that is there, of one run or of all; found by label and by nothing else.

        What may not be looked at has none of this run's: it was asked beforehand whether it may be made. Of
        other runs it may have some, so that is said.

        Raises:
            ApiProblem: The API cannot be reached, or fails.
        """
        labels = selector(run) if run else SELECTOR
        found = []
        if self._namespace:
            for resource in (SERVICES, PODS):
                found += self._labelled(resource, labels, self._namespace)
        found += self._labelled(NAMESPACES, labels)
        if self._calico:
            found += self._labelled(self._calico.pools, labels)
        return found

    def remove(self, leftovers: Sequence[Leftover]) -> list[str]:
        """Remove them; returns what could not be removed, in sentences with the command that will."""
        problems: list[str] = []
        pools = [each for each in leftovers if self._calico and each.resource == self._calico.pools]
        others = [each for each in leftovers if each not in pools]
        waiting = [each for each in others if self._asked_to_go(each, problems)]
        problems += [
            f"{each} is still there after {self._deadline:g} s; {each.command()}"
            for each in self._still_there(waiting)
        ]
        for pool in pools:
            self._remove_pool(pool, problems)
        return problems

    # -- pods and namespaces -------------------------------------------------------------------

    def _labelled(self, resource: Resource, labels: str, namespace: str = "") -> list[Leftover]:
        try:
            found = self._api.list(resource, namespace=namespace, labels=labels)
        except ApiProblem as problem:
            if problem.status != _FORBIDDEN:
                raise
            if labels == SELECTOR:
                self._tell(f"could not look for {resource} of other runs: not permitted")
            return []
        return [
            Leftover(
                resource=resource,
                name=str(lookup(each, "metadata", "name")),
                namespace=namespace,
                run=str(lookup(each, "metadata", "labels", RUN) or "unknown"),
                owner=_printable(lookup(each, "metadata", "annotations", OWNER)),
                created=_printable(lookup(each, "metadata", "creationTimestamp")),
                uid=str(lookup(each, "metadata", "uid") or ""),
            )
            for each in found
        ]

    def _asked_to_go(self, each: Leftover, problems: list[str]) -> bool:
        """Ask for its deletion; whether there is something to wait for."""
        try:
            return self._api.delete(each.resource, each.name, namespace=each.namespace, uid=each.uid)
        except ApiProblem as problem:
            problems.append(f"{each} was not removed: {problem.what}; {each.command()}")
            return False

    def _still_there(self, asked: Sequence[Leftover]) -> list[Leftover]:
        remaining = list(asked)

        def gone() -> bool:
            remaining[:] = [each for each in remaining if self._exists(each)]
            return not remaining

        self._await(gone)
        return remaining

    def _exists(self, each: Leftover) -> bool:
        try:
            there = self._api.find(each.resource, each.name, namespace=each.namespace)
        except ApiProblem:
            return True  # nobody knows; ask again
        return there is not None and lookup(there, "metadata", "uid") == each.uid

    def _await(self, done: Callable[[], bool]) -> bool:
        until = time.monotonic() + self._deadline
        while not done():
            if time.monotonic() > until:
                return False
            time.sleep(_POLL)
        return True

    # -- pools ---------------------------------------------------------------------------------

    def _remove_pool(self, pool: Leftover, problems: list[str]) -> None:
        assert self._calico is not None
        try:
            there = self._api.find(self._calico.pools, pool.name)
            if there is None:
                return
            network = IPv4Network(str(lookup(there, "spec", "cidr")))
            if not self._await(lambda: not self._in_use(network, tunnels=False)):
                users = ", ".join(self._in_use(network, tunnels=False))
                problems.append(
                    f"{pool} was left alone: {users} still has an address of {network}; "
                    f"when it is gone: pytest --calico-cleanup"
                )
                return
            self._api.patch(self._calico.pools, pool.name, {"spec": {"disabled": True}})
            time.sleep(_SETTLE)
            self._await(lambda: not self._in_use(network, tunnels=True))
            self._api.delete(self._calico.pools, pool.name, uid=pool.uid)
            if self._still_there([pool]):
                problems.append(
                    f"{pool} is still being deleted after {self._deadline:g} s: Calico waits for its blocks, "
                    f"see kubectl get {self._calico.blocks}; {pool.command('get')}"
                )
                return
            self._remove_blocks(network, problems)
        except (ApiProblem, ValueError) as problem:
            words = problem.what if isinstance(problem, ApiProblem) else str(problem)
            problems.append(f"{pool} was not removed: {words}; {pool.command()}")

    def _in_use(self, network: IPv4Network, *, tunnels: bool) -> list[str]:
        """Whose addresses are from the range; tunnels' count only when asked for."""
        assert self._calico is not None
        users = []
        for block in self._blocks_in(network):
            attributes = mappings(lookup(block, "spec", "attributes"))
            for index in set(_allocated(block)):
                handle = lookup(attributes[index], "handle_id") if 0 <= index < len(attributes) else None
                is_tunnel = str(handle).startswith(_TUNNEL_HANDLES)
                if tunnels or not is_tunnel:
                    users.append(_printable(handle) or "somebody")
        return users

    def _blocks_in(self, network: IPv4Network) -> list[Json]:
        assert self._calico is not None
        try:
            blocks = self._api.list(self._calico.blocks)
        except ApiProblem as problem:
            if problem.status != 404:
                raise
            return []  # no Calico keeps blocks here: only the kind IPPool is served
        return [block for block in blocks if _inside(lookup(block, "spec", "cidr"), network)]

    def _remove_blocks(self, network: IPv4Network, problems: list[str]) -> None:
        """See that none of the pool's blocks is left; where nobody else does it, remove the empty ones.

        No address can be taken from them any more: Calico assigns from blocks of existing pools only.
        """
        assert self._calico is not None
        if self._calico.validates:
            if not self._await(lambda: not self._blocks_in(network)):
                blocks = ", ".join(_name(block) for block in self._blocks_in(network))
                problems.append(
                    f"blocks {blocks} of {network} are left after {self._deadline:g} s; "
                    f"kubectl get {self._calico.blocks} shows what still holds them"
                )
            return
        affinities = [
            each
            for each in self._api.list(self._calico.affinities)
            if _inside(lookup(each, "spec", "cidr"), network)
        ]
        empty = [block for block in self._blocks_in(network) if not _allocated(block)]
        kept = [
            f"{resource} {_name(each)}"
            for resource, found in ((self._calico.affinities, affinities), (self._calico.blocks, empty))
            for each in found
            if not self._dropped(resource, each)
        ]
        if kept:
            self._tell(
                f"left to Calico's garbage collection, which takes minutes: {', '.join(kept)}; "
                "with permission to delete them they would be gone (docs/rbac.yaml)"
            )

    def _dropped(self, resource: Resource, thing: Json) -> bool:
        try:
            self._api.delete(resource, _name(thing), uid=str(lookup(thing, "metadata", "uid") or ""))
        except ApiProblem:
            return False
        return True


def _name(thing: Json) -> str:
    return _printable(lookup(thing, "metadata", "name"))


def _allocated(block: Json) -> list[int]:
    """Positions in a block whose addresses are taken: each is the index of its attributes, or null."""
    allocations = lookup(block, "spec", "allocations")
    return (
        [index for index in allocations or () if isinstance(index, int)]
        if isinstance(allocations, list)
        else []
    )


def _inside(cidr: object, network: IPv4Network) -> bool:
    try:
        return IPv4Network(str(cidr)).subnet_of(network)
    except ValueError:
        return False


def _printable(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())[:120]
    return "".join(letter for letter in text if letter.isprintable())
