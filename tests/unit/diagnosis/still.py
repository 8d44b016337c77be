"""What is decided of a scene without sending a packet, for the tests of each link."""

from __future__ import annotations

from dataclasses import replace

from pytest_calico_perf.cluster.inspection import Look, SessionState
from pytest_calico_perf.diagnosis import filters, pods, routes
from pytest_calico_perf.diagnosis.kernel import Device
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Scene, Way
from tests.unit.diagnosis.scenes import (
    NODES,
    bare,
    looking,
    seen,
    way,
)

UNSEEN: Look = Look(None, "", "it is not permitted")


def examine(found: Scene) -> Notes:
    """All that is decided without sending a packet."""
    notes = Notes()
    pods.look(found, notes)
    filters.look(found, notes)
    routes.look(found, notes)
    return notes


def keys(notes: Notes) -> list[str]:
    return [finding.fault.key for finding in notes.findings]


def down(devices: dict[str, Device], name: str) -> dict[str, Device]:
    return devices | {name: replace(devices[name], up=False, admin_up=False)}


def refused(words: str) -> Way:
    return Way(None, f"RTNETLINK answers: {words}")


def session(peer: str, state: str, info: str = "") -> SessionState:
    return SessionState(
        NODES.get(peer, peer), peer if peer in NODES else "", state == "Established", state, info
    )


def without_routes(one: Look, two: Look, *, mesh: Look, missing: bool = True) -> Scene:
    """Both nodes' sessions, with no routes between them."""
    found = bare()
    gone = {"to_end": seen(way("default", "198.18.0.1"))} if missing else {}
    return replace(
        found,
        client=looking(found.client, sessions=one, **gone),
        server=looking(found.server, sessions=two, **gone),
        mesh=mesh,
    )
