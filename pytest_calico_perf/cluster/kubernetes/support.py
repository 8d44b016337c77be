"""Which modes a cluster cannot have, and why: what a mode needs and the cluster lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_calico_perf.cluster.kubernetes.calico import Backend, CalicoFacts, ManagedBy
from pytest_calico_perf.cluster.kubernetes.nodes import ADDRESS_ANNOTATION, NodeFacts
from pytest_calico_perf.errors import Unsupported
from pytest_calico_perf.model import Encapsulation, Mode, Provision

_AS_IT_IS = "mode current measures the network as it is"


@dataclass(frozen=True)
class Ground:
    """Where a mode is to be.

    Attributes:
        calico: The cluster's Calico.
        client: The node packets come from.
        server: The node they go to.
        nodes: All nodes.
        provision: How the cluster is brought into the mode.
    """

    calico: CalicoFacts
    client: NodeFacts
    server: NodeFacts
    nodes: Sequence[NodeFacts]
    provision: Provision


def no_calico(unseen: Sequence[str]) -> Unsupported:
    """The reason of every mode where there is no Calico, or none that may be seen."""
    seen = f" (could not look: {'; '.join(unseen)})" if unseen else ""
    return Unsupported(
        f"no Calico here: the API serves no ippools, neither of projectcalico.org/v3 nor of "
        f"crd.projectcalico.org/v1{seen}",
        remedy=_AS_IT_IS,
    )


def why_not(mode: Mode, ground: Ground) -> Unsupported | None:
    """Why a mode cannot be had there; None if it can, or only packets can tell.

    Plain routing between two subnets is not refused: a router may know the pods' addresses by BGP.
    """
    if mode is Mode.CURRENT:
        return None
    reasons: tuple[Callable[[Mode, Ground], Unsupported | None], ...] = (
        _addresses,
        _networking,
        _switched_off,
        _routes,
        _encryption,
        _subnets,
        _switching,
    )
    return next((reason for each in reasons if (reason := each(mode, ground))), None)


def _addresses(_: Mode, ground: Ground) -> Unsupported | None:
    ipam = ground.calico.ipam
    if ipam in ("", "calico-ipam"):
        return None
    return Unsupported(
        f"pods get their addresses from {ipam}, which knows no pools; a mode is a property of a pool",
        remedy=f"Calico's own IPAM (calico-ipam) is needed, or {_AS_IT_IS}",
    )


def _networking(_: Mode, ground: Ground) -> Unsupported | None:
    if ground.calico.backend is not Backend.NONE:
        return None
    return Unsupported(
        "Calico only enforces policy here (backend none): another network carries the packets",
        remedy=_AS_IT_IS,
    )


def _switched_off(mode: Mode, ground: Ground) -> Unsupported | None:
    field = {Encapsulation.IPIP: "ipipEnabled", Encapsulation.VXLAN: "vxlanEnabled"}.get(mode.tunnel)
    if field is None or str(ground.calico.felix.get(field)).lower() != "false":
        return None
    return Unsupported(
        f"Felix is told to have no {mode.tunnel} tunnel (FelixConfiguration default, {field}: false)",
        remedy=f"remove {field} from it: Felix then goes by the pools",
    )


def _routes(mode: Mode, ground: Ground) -> Unsupported | None:
    calico = ground.calico
    if calico.route_owners[mode.tunnel]:
        return None
    kind = "pools without encapsulation" if mode.tunnel is Encapsulation.NONE else f"{mode.tunnel} pools"
    if calico.backend is Backend.VXLAN:
        why = f"backend {calico.backend} runs no BIRD and Felix is not told to"
    else:
        why = "programClusterRoutes of FelixConfiguration and BGPConfiguration leave them to nobody"
    return Unsupported(
        f"nobody writes routes for {kind} in Calico {calico.version or '(of unknown version)'}: {why}",
        remedy="set FelixConfiguration programClusterRoutes: Enabled (Calico 3.31 and newer)"
        + (", or the Installation's bgp: Enabled" if calico.managed_by is ManagedBy.OPERATOR else ""),
    )


def _encryption(_: Mode, ground: Ground) -> Unsupported | None:
    if not (ground.calico.wireguard and ground.client.encrypts and ground.server.encrypts):
        return None
    return Unsupported(
        f"WireGuard carries what pods of {ground.client.name} and {ground.server.name} send each other, "
        "whatever the mode of their pool (FelixConfiguration wireguardEnabled): it would be measured instead",
        remedy=f"turn it off to compare modes; {_AS_IT_IS}, encryption included",
    )


def _subnets(mode: Mode, ground: Ground) -> Unsupported | None:
    if not mode.cross_subnet:
        return None
    client, server = ground.client, ground.server
    there, back = client.reaches_directly(server), server.reaches_directly(client)
    if there is None or back is None:
        unknown = " and ".join(node.name for node in (client, server) if node.subnet is None)
        return Unsupported(
            f"the subnet of {unknown} is not known (no annotation {ADDRESS_ANNOTATION}), so nobody can tell "
            "whether this mode encapsulates between the nodes",
            remedy="is calico-node running there? It writes the annotation",
        )
    if there and back:
        assert client.subnet is not None
        return Unsupported(
            f"not exercised: one subnet: {client.name} and {server.name} are both in "
            f"{client.subnet.network}, where this mode encapsulates nothing and is what mode bgp measures",
            remedy=_other_pair(ground),
        )
    if there != back:
        assert client.subnet is not None
        assert server.subnet is not None
        return Unsupported(
            f"not exercised: the masks of {client.name} ({client.subnet}) and {server.name} "
            f"({server.subnet}) disagree, so this mode encapsulates in one direction only",
            remedy="give both nodes the mask of their subnet",
        )
    return None


def _other_pair(ground: Ground) -> str:
    """What to do about two nodes in one subnet: name two that are not, if there are any."""
    for other in sorted(ground.nodes, key=lambda node: node.name):
        if other.ready and ground.client.reaches_directly(other) is False:
            return (
                f"measure between two subnets, such as {ground.client.name} and {other.name}: "
                f"nodes: {{pair: [{ground.client.name}, {other.name}]}}"
            )
    return "measure between nodes of two subnets; this cluster shows none"


def _switching(_: Mode, ground: Ground) -> Unsupported | None:
    if ground.provision is not Provision.SWITCH:
        return None
    calico, pools = ground.calico, ground.calico.default_pools
    remedy = "--calico-provision=pools makes a pool per mode instead"
    if not pools:
        return Unsupported(
            "no pool to switch: none gives addresses to pods that ask for nothing", remedy=remedy
        )
    if len(pools) > 1:
        names = ", ".join(pool.name for pool in pools)
        return Unsupported(f"no one pool to switch: pods get addresses from {names}", remedy=remedy)
    if pools[0].is_the_operators and not calico.in_installation(pools[0]):
        return Unsupported(
            f"pool {pools[0].name} is kept by the operator, and no Installation can be seen that lists it: "
            "what is changed in the pool, the operator changes back",
            remedy=f"permit to read installations.operator.tigera.io, or {remedy}",
        )
    return None
