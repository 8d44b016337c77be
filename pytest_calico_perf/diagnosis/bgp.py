"""BGP between the two nodes: daemons, the mesh, and the session from both its ends."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_calico_perf.cluster.inspection import SessionState
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side

FAULTS = ("bird-dead", "bgp-mesh-off", "bgp-session-missing", "bgp-wrong-as", "bgp-port-blocked")
"""What this link can be broken by."""

_WRONG_AS = re.compile(r"\bAS\b|peer as|as number", re.IGNORECASE)
_BEYOND_TCP = ("OpenSent", "OpenConfirm")


def look(scene: Scene, notes: Notes, missing: Sequence[str], at: At) -> None:
    """Check what should have exchanged the routes between the two nodes.

    Args:
        scene: Both sides.
        notes: Where to write.
        missing: Routes that should be there by BGP and are not, a sentence each.
        at: Where packets end for want of them.
    """
    at = at if missing else At.NOWHERE
    if _daemons(scene, notes, missing, at):
        return
    one, two = (_session(side, scene.other(side)) for side in (scene.client, scene.server))
    seen = [side for side in (scene.client, scene.server) if side.view.sessions.value is not None]
    for side in (scene.client, scene.server):
        if side.view.sessions.value is None:
            notes.unseen(Link.BGP, side.node, side.view.sessions.why_not)
    if not seen:
        return
    if all(
        _established(session) for side, session in ((scene.client, one), (scene.server, two)) if side in seen
    ):
        notes.ok(
            Link.BGP, "", f"the session between {scene.client.node} and {scene.server.node} is established"
        )
        return
    configured = [session for session in (one, two) if session]
    disabled = any(session.state.casefold() == "down" for session in configured)
    if len(configured) < len(seen) or disabled:
        _unconfigured(scene, notes, missing, at, seen)
        return
    _refused(scene, notes, missing, at)


def _session(side: Side, other: Side) -> SessionState | None:
    for session in side.view.sessions.value or ():
        if session.peer_node == other.node or (other.node_address and session.peer == other.node_address):
            return session
    return None


def _established(session: SessionState | None) -> bool:
    return session is not None and session.established


def _daemons(scene: Scene, notes: Notes, missing: Sequence[str], at: At) -> bool:
    dead = False
    for side in (scene.client, scene.server):
        daemons = side.view.daemons.value
        if daemons is None:
            notes.unseen(Link.BGP, side.node, side.view.daemons.why_not)
        elif daemons.get("bird") is False:
            dead = True
            notes.find(
                "bird-dead",
                side.node,
                f"BIRD does not run on {side.node}",
                side.view.daemons.source and f"{side.view.daemons.source}: bird does not run",
                *_told(scene, scene.other(side)),
                *missing,
                at=at,
                remedy=f"look at the log of calico-node on {side.node} and restart it",
            )
    return dead


def _unconfigured(scene: Scene, notes: Notes, missing: Sequence[str], at: At, seen: Sequence[Side]) -> None:
    """The session is not there, or disabled, at one end at least."""
    others_up = any(
        session.established and session.peer_node
        for side in seen
        for session in side.view.sessions.value or ()
    )
    nodes = f"{scene.client.node} and {scene.server.node}"
    facts = [fact for side in seen for fact in _told(scene, side)]
    none_at_all = all(not side.view.sessions.value for side in seen)
    if scene.mesh.value is False or none_at_all:
        if not missing:
            notes.ok(Link.BGP, "", f"{nodes} have no session of their own, and have their routes")
            return
        if not others_up:
            off = f"the full mesh is off ({scene.mesh.source})"
            switch = off if scene.mesh.value is False else "neither node has any peer"
            notes.find(
                "bgp-mesh-off",
                "",
                f"the BGP mesh is switched off, and {nodes} have no session",
                switch,
                *facts,
                *missing,
                at=at,
            )
            return
    if not missing:
        notes.ok(Link.BGP, "", f"{nodes} have their routes without a session of their own")
        return
    notes.find(
        "bgp-session-missing",
        "",
        f"the BGP session between {nodes} is missing or disabled",
        *facts,
        *missing,
        at=at,
        remedy=f"see BGPPeers and BIRD's configuration of {nodes}; `birdcl enable <session>` "
        "where it is disabled",
    )


def _refused(scene: Scene, notes: Notes, missing: Sequence[str], at: At) -> None:
    """Configured at both ends, and not up."""
    nodes = f"{scene.client.node} and {scene.server.node}"
    facts = [fact for side in (scene.client, scene.server) for fact in _told(scene, side)]
    sessions = [
        session for side in (scene.client, scene.server) if (session := _session(side, scene.other(side)))
    ]
    if any(_WRONG_AS.search(session.info) or session.state in _BEYOND_TCP for session in sessions):
        notes.find(
            "bgp-wrong-as",
            "",
            f"{nodes} refuse each other's BGP session: they disagree on AS numbers",
            *facts,
            *_as_numbers(scene),
            *missing,
            at=at,
        )
        return
    notes.find(
        "bgp-port-blocked",
        "",
        f"no BGP session comes up between {nodes}: TCP 179 between {scene.client.node_address} and "
        f"{scene.server.node_address} is not let through",
        *facts,
        f"{scene.client.node} and {scene.server.node} reach each other otherwise",
        *missing,
        at=at,
    )


def _told(scene: Scene, side: Side) -> list[str]:
    """What a side says of its session with the other."""
    if side.view.sessions.value is None:
        return []
    other = scene.other(side)
    session = _session(side, other)
    if session is None:
        return [f"{side.node} is configured for no session with {other.node}"]
    info = f" ({session.info})" if session.info else ""
    return [f"{side.node} says of its session with {other.node}: {session.state}{info}"]


def _as_numbers(scene: Scene) -> list[str]:
    return [
        f"{side.node} has AS {side.state.as_number} of its own"
        for side in (scene.client, scene.server)
        if side.state and side.state.as_number is not None
    ]
