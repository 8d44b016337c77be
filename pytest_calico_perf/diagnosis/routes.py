"""Each node's route to the other's pod: whether it is there, leads there, and why it is not."""

from __future__ import annotations

from pytest_calico_perf.diagnosis import bgp, tunnels
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.kernel import KernelRoute, address_in, matching
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Leg, Scene, Side, Way, legs
from pytest_calico_perf.model import Encapsulation


def look(scene: Scene, notes: Notes) -> None:
    """Check tunnels, routes and entries of both directions; a missing route's cause is looked for in BGP."""
    _pools(scene, notes)
    missing: list[tuple[Leg, str]] = []
    for leg in legs(scene):
        tunnels.look(scene, leg, notes)
        fact = _route(scene, leg, notes)
        if fact:
            missing.append((leg, fact))
    unexplained = [(leg, fact) for leg, fact in missing if not tunnels.explain(scene, leg, notes)]
    by_bird = [leg for leg in legs(scene) if _writer(scene, leg) == "bird"]
    if by_bird:
        lost = [(leg, fact) for leg, fact in unexplained if leg in by_bird]
        facts = [fact for _, fact in lost]
        bgp.look(scene, notes, facts, min((leg.at for leg, _ in lost), default=At.NOWHERE))
        if notes.has(*bgp.FAULTS):
            unexplained = [(leg, fact) for leg, fact in unexplained if leg not in by_bird]
    for leg, fact in unexplained:
        _missing(scene, leg, fact, notes)


def _pools(scene: Scene, notes: Notes) -> None:
    """Note which pool and block each pod's address is of; whether that matters is for its route to show."""
    for side in (scene.client, scene.server):
        if side.pod is None:
            continue
        unseen = next((look.why_not for look in (scene.pools, scene.blocks) if look.value is None), "")
        if unseen:
            notes.unseen(Link.POOL, side.name, unseen)
            continue
        pool, block = scene.pool_of(side.address), scene.block_of(side.address)
        of_pool = (
            f"pool {pool.name} ({pool.range}{', disabled' if pool.disabled else ''})" if pool else "no pool"
        )
        of_block = f"block {block.range} of {block.node or 'no node'}" if block else "no block"
        notes.ok(Link.POOL, side.name, f"{side.address} is of {of_pool} and of {of_block}")


def _writer(scene: Scene, leg: Leg) -> str:
    return scene.written_as(leg.target, leg.wraps)


# -- routes --------------------------------------------------------------------------------------


def _route(scene: Scene, leg: Leg, notes: Notes) -> str:
    """Check one direction's route; the fact that it is missing, when it is."""
    source = leg.source
    way = source.view.to_end.value
    if way is None:
        notes.unseen(Link.ROUTE, source.node, source.view.to_end.why_not)
        return ""
    if way.route is None and not way.is_none:
        _refusing(scene, leg, way, notes)
        return ""
    if way.route is None or _too_wide(scene, leg, way.route):
        has = f"only {way.route} matches" if way.route else "nothing matches"
        left_to_router = scene.mesh.value is False and scene.router_peers and way.route is not None
        if scene.alive or left_to_router:
            why = "pings are answered" if scene.alive else "a router that peers with the nodes may know more"
            notes.ok(Link.ROUTE, source.node, f"of routes to {leg.block} {has}; {why}")
            return ""
        return f"{source.node} has no route to {leg.block}: {has}"
    wrong = _wrong(scene, leg, way.route)
    if wrong:
        notes.find(
            "block-route-wrong",
            source.node,
            f"{source.node} routes {leg.block} elsewhere: {wrong}",
            f"its route: {way.route}",
            *_unanswered(source, way.route),
            at=leg.at,
        )
        return ""
    notes.ok(Link.ROUTE, source.node, f"{way.route} leads to {leg.target.address}")
    if leg.wraps is Encapsulation.VXLAN and not scene.alive:
        tunnels.entries(leg, way.route, notes)
    return ""


def _unanswered(source: Side, route: KernelRoute) -> list[str]:
    entry = source.view.neighbour(route.gateway, route.device)
    return [f"nobody answers for {route.gateway} on {source.node}"] if entry and entry.dead else []


def _refusing(scene: Scene, leg: Leg, way: Way, notes: Notes) -> None:
    source, target = leg.source, leg.target
    found = matching(source.view.routes.value or (), target.address)
    refusing = next((route for route in found if route.refuses), None)
    block = scene.block_of(target.address)
    if block and block.node == source.node:
        notes.find(
            "block-of-another-node",
            block.range,
            f"the block {block.range} of {target.name} belongs to {source.node}, not to {target.node}",
            f"{source.node} uses {refusing or way.refusal} for {target.address}",
            at=leg.at,
        )
        return
    shown = str(refusing) if refusing else f"a route that refuses ({way.refusal})"
    notes.find(
        "block-blackholed",
        source.node,
        f"{source.node} throws packets to {leg.block} away: {shown}",
        f"`ip route get {target.address}` on {source.node}: {way.refusal}",
        *(f"shadowed: {route}" for route in found if not route.refuses and route.destination.prefixlen),
        at=leg.at,
        remedy=f"`ip route del {shown}` on {source.node}, and see who wrote it" if refusing else "",
    )


def _too_wide(scene: Scene, leg: Leg, route: KernelRoute) -> bool:
    """Whether a route matches the pod's address without being one to its pool: the default route, mostly."""
    pool = scene.pool_of(leg.target.address)
    if pool is not None:
        return not address_in(str(route.destination.network_address), pool.range) or (
            route.destination.prefixlen < int(pool.range.partition("/")[2])
        )
    return leg.wraps is not None and route.destination.prefixlen == 0


def _wrong(scene: Scene, leg: Leg, route: KernelRoute) -> str:
    """What is wrong with a route's device or gateway; empty for nothing."""
    if leg.wraps is None:
        return ""
    if leg.wraps is Encapsulation.NONE:
        if route.device in scene.tunnels.values():
            return f"through {route.device}, although nothing is to be wrapped"
        return _wrong_bare_gateway(leg, route)
    device = scene.tunnels.get(leg.wraps, route.device)
    if route.device != device:
        return f"through {route.device}, not through {device}"
    expected = (
        leg.target.tunnel_address(leg.wraps, device)
        if leg.wraps is Encapsulation.VXLAN
        else leg.target.node_address
    )
    if expected and route.gateway != expected:
        return f"its gateway is {route.gateway or 'none'}, and {leg.target.node}'s end is {expected}"
    return ""


def _wrong_bare_gateway(leg: Leg, route: KernelRoute) -> str:
    """Unencapsulated, the gateway is the other node, or the router that leads there."""
    to_node = leg.source.view.to_node.value
    if not to_node or not to_node.route or not leg.target.node_address:
        return ""
    right = (leg.target.node_address, to_node.route.gateway)
    if route.gateway in right and route.device == to_node.route.device:
        return ""
    return (
        f"it goes via {route.gateway or 'nobody'} dev {route.device}, and packets to {leg.target.node} "
        f"({leg.target.node_address}) via {to_node.route.gateway or 'nobody'} dev {to_node.route.device}"
    )


# -- why a route is missing ----------------------------------------------------------------------


def _missing(scene: Scene, leg: Leg, fact: str, notes: Notes) -> None:
    """A route that is missing though BGP, where it matters, is well."""
    target = leg.target
    if scene.pools.value and scene.pool_of(target.address) is None:
        notes.find(
            "address-outside-pools",
            target.name,
            f"{target.name} has {target.address}, which no IP pool holds",
            f"pools: {', '.join(pool.range for pool in scene.pools.value)}",
            fact,
            at=leg.at,
        )
        return
    block = scene.block_of(target.address)
    if scene.blocks.value and (block is None or block.node != target.node):
        owner = f"belongs to {block.node or 'no node'}" if block else "is of no block"
        notes.find(
            "block-of-another-node",
            target.name,
            f"{target.address} of {target.name} on {target.node} {owner}",
            fact,
            at=leg.at,
        )
        return
    _unwritten(scene, leg, fact, notes)


def _unwritten(scene: Scene, leg: Leg, fact: str, notes: Notes) -> None:
    source = leg.source
    writer = _writer(scene, leg)
    if complaint := scene.nobody_writes(leg.target, leg.wraps):
        notes.find(
            "route-writers-disagree",
            "",
            f"nobody, or more than one, is to write the routes to {leg.target.node}'s block: {complaint}",
            fact,
            at=leg.at,
        )
    elif writer == "felix" and (source.view.daemons.value or {}).get("felix") is False:
        notes.find(
            "felix-dead",
            source.node,
            f"Felix does not run on {source.node}, and its route to {leg.block} is missing",
            fact,
            at=leg.at,
        )
    else:
        notes.find(
            "block-route-missing",
            source.node,
            fact,
            f"{writer.upper() if writer == 'bird' else 'Felix'} should have written it on {source.node}",
            at=leg.at,
            remedy="see BIRD's filters (`birdcl show route all`), the import on this node and the export "
            f"on {leg.target.node}, and disableBGPExport of the pool"
            if writer == "bird"
            else f"look at Felix's log on {source.node}, and restart its calico-node",
        )
