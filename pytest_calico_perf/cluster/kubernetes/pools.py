"""One IP pool per mode, side by side with the cluster's own: planned, made, awaited.

What Calico does with a pool, and the traps, are in the reference of its code named at each step:
libcalico-go/lib/ipam (who may take addresses), node/pkg/allocateip (tunnel addresses),
felix/calc/encapsulation_resolver.go (Felix restarts when the set of encapsulations changes).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.ours import labels
from pytest_calico_perf.cluster.kubernetes.ranges import free
from pytest_calico_perf.cluster.kubernetes.resource import NODES, CalicoApi, Json
from pytest_calico_perf.cluster.kubernetes.survey import CalicoFacts
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotReady
from pytest_calico_perf.model import Encapsulation, Mode
from pytest_calico_perf.parsing import lookup

TUNNEL_ANNOTATION: Mapping[Encapsulation, str] = {
    Encapsulation.IPIP: "projectcalico.org/IPv4IPIPTunnelAddr",
    Encapsulation.VXLAN: "projectcalico.org/IPv4VXLANTunnelAddr",
}
"""Where a node's tunnel address is noted (node/pkg/allocateip)."""

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
) -> tuple[PoolPlan, ...]:
    """Decide names, ranges and uses.

    The first pool of an encapsulation must give the tunnels their addresses, else Felix brings no device up;
    where the cluster has one already, ours must not, so that its tunnels keep theirs. Where pools cannot be
    kept out of automatic assignment otherwise (before Calico 3.30), tunnels get a pool of their own.

    Raises:
        ClusterProblem: There is no room for them in the file's range.
    """
    missing = _missing_tunnels(modes, calico)
    prefix = _prefix(file, node_count)
    wanted: list[tuple[str, Mode | None, Mode, tuple[str, ...]]] = []
    for mode in modes:
        gives_tunnels = mode.tunnel in missing
        missing.discard(mode.tunnel)
        uses = ("Workload", "Tunnel") if gives_tunnels and calico.assigns_manually else ("Workload",)
        wanted.append((f"calico-perf-{mode}-{run}", mode, mode, uses))
        if gives_tunnels and not calico.assigns_manually:
            wanted.append((f"calico-perf-{mode.tunnel}-tunnels-{run}", None, mode, ("Tunnel",)))
    ranges = free(len(wanted), prefix, file.pools.range, taken)
    return tuple(
        PoolPlan(name, mode, network, encapsulated, uses)
        for (name, mode, encapsulated, uses), network in zip(wanted, ranges, strict=True)
    )


def _missing_tunnels(modes: Sequence[Mode], calico: CalicoFacts) -> set[Encapsulation]:
    """Encapsulations that no enabled pool of the cluster has yet."""
    there = {pool.mode.tunnel for pool in calico.pools if pool.mode and not pool.disabled}
    wanted = {mode.tunnel for mode in modes}
    return wanted - there - {Encapsulation.NONE}


def _prefix(file: KubernetesFile, node_count: int) -> int:
    """Length of a range that has a block for every node: each takes one for its tunnel's address."""
    blocks = node_count + _SPARE_BLOCKS
    return min(file.pools.prefix, file.pools.block_size - math.ceil(math.log2(blocks)))


def manifest(
    plan: PoolPlan, api: CalicoApi, run: str, *, manual: bool, file: KubernetesFile, owner: str
) -> Json:
    """The IPPool of a plan. `manual`: nobody gets an address of it but who asks by annotation."""
    mode = plan.encapsulation_mode
    strength = "CrossSubnet" if mode.cross_subnet else "Always"
    # A pool that only tunnels use needs no guard, and its node selector must hold every node.
    guarded = "Workload" in plan.uses
    spec = {
        "cidr": str(plan.range),
        "blockSize": file.pools.block_size,
        "ipipMode": strength if mode.tunnel is Encapsulation.IPIP else "Never",
        "vxlanMode": strength if mode.tunnel is Encapsulation.VXLAN else "Never",
        "natOutgoing": file.pools.nat_outgoing,
        "nodeSelector": "all()" if manual or not guarded else "!all()",
        "allowedUses": list(plan.uses),
        **({"assignmentMode": "Manual"} if manual and guarded else {}),
    }
    more = {"mode": str(plan.mode)} if plan.mode else {"role": "tunnels"}
    return {
        "apiVersion": api.pools.api_version,
        "kind": api.pools.kind,
        "metadata": {
            "name": plan.name,
            "labels": dict(labels(run, **more)),
            "annotations": {"pytest-calico-perf/owner": owner},
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
        try:
            body = manifest(plan, calico.api, run, manual=calico.assigns_manually, file=file, owner=owner)
            api.apply(calico.api.pools, body)
        except ApiProblem as problem:
            problems[plan.encapsulation_mode] = problem
    _refuse_overlap(api.list(calico.api.pools), plans)
    return problems


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
        lacking = f"no node has said anything about {tunnel}"
        while True:
            lacking = _lacking(api, tunnel, hosts)
            if not lacking or time.monotonic() > until:
                break
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
        address = lookup(annotations, TUNNEL_ANNOTATION[tunnel])
        if not address:
            return f"{name} has no address for {device} ({TUNNEL_ANNOTATION[tunnel]})"
        shown = host.run(["ip", "-o", "-4", "address", "show", "dev", device, "up"], limit=_LIMIT)
        if f" {address}/" not in shown.stdout:
            return f"{name} has no device {device} that is up with {address}"
    return ""


def await_condition(condition: Callable[[], bool], *, deadline: float) -> bool:
    """Ask again and again until it holds; whether it ever did before the deadline, in seconds."""
    until = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True
