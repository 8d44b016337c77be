"""One IP pool per mode, side by side with the cluster's own: planned, made, awaited.

What Calico does with a pool, and the traps, are in the reference of its code named at each step:
libcalico-go/lib/ipam (who may take addresses), node/pkg/allocateip (tunnel addresses),
felix/calc/encapsulation_resolver.go (Felix restarts when the set of encapsulations changes).
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.nodes import TUNNEL_ANNOTATIONS, NodeFacts
from pytest_calico_perf.cluster.kubernetes.ours import OWNER, labels
from pytest_calico_perf.cluster.kubernetes.ranges import free
from pytest_calico_perf.cluster.kubernetes.resource import NODES, CalicoApi, Json
from pytest_calico_perf.cluster.kubernetes.survey import CalicoFacts
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotReady
from pytest_calico_perf.model import Encapsulation, Mode
from pytest_calico_perf.parsing import lookup

TUNNEL_DEVICE: Mapping[Encapsulation, str] = {
    Encapsulation.IPIP: "tunl0",
    Encapsulation.VXLAN: "vxlan.calico",
}
"""What Felix calls its devices (felix/dataplane/linux)."""

_SPARE_BLOCKS = 4
_POLL = 0.5
_LIMIT = 15.0


@dataclass(frozen=True)
class PoolPlan:
    """A pool to be.

    Attributes:
        name: Its name.
        mode: What it is for; None for one that only gives tunnels their addresses.
        range: Its addresses.
        encapsulation_mode: The mode whose encapsulation it has.
        uses: `Workload`, `Tunnel`.
    """

    name: str
    mode: Mode | None
    range: IPv4Network
    encapsulation_mode: Mode
    uses: tuple[str, ...]


def plan_pools(
    modes: Sequence[Mode],
    calico: CalicoFacts,
    file: KubernetesFile,
    run: str,
    *,
    node_count: int,
    taken: Mapping[IPv4Network, str],
    pair: Sequence[NodeFacts] = (),
    start: Callable[[int], int] = secrets.randbelow,
) -> tuple[PoolPlan, ...]:
    """Decide names, ranges and uses.

    The first pool of an encapsulation must give the tunnels their addresses, else Felix brings no device up;
    where the cluster has one already, ours must not, so that its tunnels keep theirs. Where pools cannot be
    kept out of automatic assignment otherwise (before Calico 3.30), tunnels get a pool of their own.

    Args:
        modes: Each gets a pool.
        calico: The cluster's own pools, among others.
        file: Where pools may lie, and how large they are.
        run: Id of the run, which ends their names.
        node_count: How many nodes the cluster has.
        taken: Ranges in use -> by what.
        pair: The nodes packets travel between: their tunnels are what matters.
        start: As for `ranges.free`.

    Raises:
        ClusterProblem: There is no room for them in the file's range.
    """
    missing = _missing_tunnels(modes, calico, pair)
    prefix = _prefix(file, node_count)
    wanted: list[tuple[str, Mode | None, Mode, tuple[str, ...]]] = []
    for mode in modes:
        gives_tunnels = mode.tunnel in missing
        missing.discard(mode.tunnel)
        uses = ("Workload", "Tunnel") if gives_tunnels and calico.assigns_manually else ("Workload",)
        wanted.append((f"calico-perf-{mode}-{run}", mode, mode, uses))
        if gives_tunnels and not calico.assigns_manually:
            wanted.append((f"calico-perf-{mode.tunnel}-tunnels-{run}", None, mode, ("Tunnel",)))
    ranges = free(len(wanted), prefix, file.pools.range, taken, start=start)
    return tuple(
        PoolPlan(name, mode, network, encapsulated, uses)
        for (name, mode, encapsulated, uses), network in zip(wanted, ranges, strict=True)
    )


def _missing_tunnels(
    modes: Sequence[Mode], calico: CalicoFacts, pair: Sequence[NodeFacts]
) -> set[Encapsulation]:
    """Encapsulations whose tunnels get no addresses yet but by pools of ours."""
    wanted = {mode.tunnel for mode in modes} - {Encapsulation.NONE}
    return {tunnel for tunnel in wanted if not calico.gives_tunnels(tunnel, pair)}


def _prefix(file: KubernetesFile, node_count: int) -> int:
    """Length of a range that has a block for every node: each takes one for its tunnel's address."""
    blocks = node_count + _SPARE_BLOCKS
    return min(file.pools.prefix, file.pools.block_size - math.ceil(math.log2(blocks)))


def manifest(
    plan: PoolPlan, api: CalicoApi, run: str, *, manual: bool, file: KubernetesFile, owner: str
) -> Json:
    """The IPPool of a plan. `manual`: Calico knows `assignmentMode` (3.30).

    Nobody gets an address of a pool for workloads but who asks by annotation: such a request passes over
    `assignmentMode` and `nodeSelector` (determinePools in libcalico-go/lib/ipam/ipam.go). Tunnels ask for
    none, so that a pool for them must select every node.
    """
    mode = plan.encapsulation_mode
    strength = "CrossSubnet" if mode.cross_subnet else "Always"
    spec = {
        "cidr": str(plan.range),
        "blockSize": file.pools.block_size,
        "ipipMode": strength if mode.tunnel is Encapsulation.IPIP else "Never",
        "vxlanMode": strength if mode.tunnel is Encapsulation.VXLAN else "Never",
        "natOutgoing": file.pools.nat_outgoing,
        "nodeSelector": "all()" if "Tunnel" in plan.uses else "!all()",
        "allowedUses": list(plan.uses),
        **({"assignmentMode": "Manual"} if manual and "Workload" in plan.uses else {}),
    }
    more = {"mode": str(plan.mode)} if plan.mode else {"role": "tunnels"}
    return {
        "apiVersion": api.pools.api_version,
        "kind": api.pools.kind,
        "metadata": {
            "name": plan.name,
            "labels": dict(labels(run, **more)),
            "annotations": {OWNER: owner},
        },
        "spec": spec,
    }


def make_pools(
    api: Api, plans: Sequence[PoolPlan], calico: CalicoFacts, file: KubernetesFile, *, run: str, owner: str
) -> Mapping[Mode, ClusterProblem]:
    """Make the pools; returns what went wrong, by the mode that must do without.

    Raises:
        ClusterProblem: Somebody else made an overlapping pool at the same moment; nothing may use ours.
    """
    problems: dict[Mode, ClusterProblem] = {}
    for plan in plans:
        body = manifest(plan, calico.api, run, manual=calico.assigns_manually, file=file, owner=owner)
        try:
            made = api.apply(calico.api.pools, body)
            if changed := _unguarded(made, body):
                # At once: until then, any new pod of the cluster may get an address of it.
                api.delete(calico.api.pools, plan.name, uid=str(lookup(made, "metadata", "uid") or ""))
                problems[plan.encapsulation_mode] = ClusterProblem(
                    f"the cluster keeps {changed}, so that any pod could get an address of it; it is deleted",
                    where=f"pool {plan.name}",
                    remedy="are the CRDs as old as another version of Calico? They must be those of "
                    f"{calico.version or 'the version that runs'}",
                )
        except ApiProblem as problem:
            problems[plan.encapsulation_mode] = problem
    _refuse_overlap(api.list(calico.api.pools), plans)
    return problems


def _unguarded(made: Json, asked: Json) -> str:
    """What keeps a pool from pods that do not ask for it and is not as we wrote it, in words.

    An API server drops fields that its CRD does not know, and says nothing.
    """
    changed = []
    for field in ("assignmentMode", "nodeSelector"):
        wanted, found = lookup(asked, "spec", field), lookup(made, "spec", field)
        if wanted is not None and found != wanted:
            changed.append(f"no {field} {wanted}" if found is None else f"{field} {found} for {wanted}")
    return " and ".join(changed)


def _refuse_overlap(pools: Sequence[Json], plans: Sequence[PoolPlan]) -> None:
    """Look again after the fact: between our look and our write somebody may have written, too."""
    ours = {plan.name for plan in plans}
    for pool in pools:
        name = str(lookup(pool, "metadata", "name"))
        try:
            network = IPv4Network(str(lookup(pool, "spec", "cidr")), strict=False)
        except ValueError:
            continue  # an IPv6 pool
        for plan in plans:
            if name not in ours and network.overlaps(plan.range):
                raise ClusterProblem(
                    f"pool {name} ({network}) was made meanwhile and overlaps {plan.name} ({plan.range})",
                    remedy="run again; two runs at once need different `pools.range` in their cluster files",
                )


def await_tunnels(
    api: Api, tunnels: Collection[Encapsulation], hosts: Mapping[str, Endpoint], *, deadline: float
) -> Mapping[Encapsulation, NotReady]:
    """Wait until the nodes have tunnel addresses and devices, as Felix makes them after its restart.

    Args:
        api: The cluster.
        tunnels: Which encapsulations.
        hosts: The endpoints of the nodes packets will travel between.
        deadline: Seconds for all of it.

    Returns:
        What did not come, and on which node.
    """
    until = time.monotonic() + deadline
    problems = {}
    for tunnel in tunnels:
        while (lacking := _lacking(api, tunnel, hosts)) and time.monotonic() <= until:
            time.sleep(_POLL)
        if lacking:
            problems[tunnel] = NotReady(
                f"{lacking} after {deadline:g} s",
                remedy="look at the log of calico-node there: kubectl logs -l k8s-app=calico-node -A",
            )
    return problems


def _lacking(api: Api, tunnel: Encapsulation, hosts: Mapping[str, Endpoint]) -> str:
    """What a node still lacks of a tunnel, in words; empty when nothing does."""
    device = TUNNEL_DEVICE[tunnel]
    for name, host in hosts.items():
        annotations = lookup(api.get(NODES, name), "metadata", "annotations")
        address = lookup(annotations, TUNNEL_ANNOTATIONS[tunnel])
        if not address:
            return f"{name} has no address for {device} ({TUNNEL_ANNOTATIONS[tunnel]})"
        shown = host.run(["ip", "-o", "-4", "address", "show", "dev", device, "up"], limit=_LIMIT)
        if f" {address}/" not in shown.stdout:
            return f"{name} has no device {device} that is up with {address}"
    return ""


def await_condition(condition: Callable[[], bool], *, deadline: float, longest_pause: float = _POLL) -> bool:
    """Ask again and again until it holds.

    Args:
        condition: What is asked.
        deadline: Seconds for all of it; it is asked once more when they are over.
        longest_pause: Seconds between two questions: each pause is half as long again as the one before, up
            to this, to spare the API server when the question is a large one.

    Returns:
        Whether it held in time.
    """
    until, pause = time.monotonic() + deadline, _POLL
    while not condition():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, longest_pause)
    return True
