"""Which modes would work on a path as things are: by what each fault stops, and by trying."""

from __future__ import annotations

from functools import partial

from pytest_calico_perf.diagnosis import bgp, payload
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Scene
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Encapsulation, Mode

_MODES = tuple(mode for mode in Mode if mode is not Mode.CURRENT)
_POD_ADDRESSES = ("router-without-pod-routes", "pod-addresses-dropped", "pod-addresses-dropped-one-way")
_VXLAN = ("vxlan-dropped", "vxlan-wrong-mac", "vxlan-entry-missing", "vxlan-parameters-differ")
_TUNNEL = ("tunnel-device-down", "tunnel-address-missing")
_KNOWN = {*_POD_ADDRESSES, *_VXLAN, *_TUNNEL, *bgp.FAULTS, "ipip-dropped"}
# What another mode may well avoid, though nothing but trying shows it.
_WORTH_TRYING = {
    "block-blackholed",
    "block-route-missing",
    "block-route-wrong",
    "felix-dead",
    "next-hop-unresolved",
    "reverse-path-filter",
    "route-writers-disagree",
}


def works(scene: Scene, looks: Looks, notes: Notes) -> tuple[Mode, ...]:
    """Modes that no fault found stops, as far as was seen; none where a fault stops every mode.

    Where the cluster carries other modes side by side, a ping on the same path in them decides.
    """
    found = {finding.fault.key for finding in notes.findings}
    if not found or scene.pair.mode is None or not found <= _KNOWN | _WORTH_TRYING:
        return ()
    others = [mode for mode in _MODES if mode not in (scene.pair.mode, _mode_of(scene))]
    known = found & _KNOWN
    hoped = [mode for mode in others if not any(_stops(scene, mode, fault) for fault in known)]
    answers = looks.all([Question(mode, partial(_pinged, scene, looks, mode)) for mode in hoped])
    untried = found <= _KNOWN
    return tuple(
        mode
        for mode, answer in zip(hoped, answers, strict=True)
        if (untried if answer.value is None else answer.value)
    )


def _mode_of(scene: Scene) -> Mode | None:
    """What `current` is."""
    pool = scene.pool_of(scene.server.address)
    return pool.mode if pool and scene.pair.mode is Mode.CURRENT else None


def _pinged(scene: Scene, looks: Looks, mode: Mode) -> bool:
    """Whether the same path is alive in another mode.

    Raises:
        NotSeen: It cannot be tried.
    """
    cluster = scene.cluster
    if cluster.serial or mode not in cluster.modes:
        raise NotSeen(f"{mode} is not there to be tried")
    try:
        pair = cluster.pair(scene.pair.path, mode)
    except (CellProblem, ClusterProblem) as problem:
        raise NotSeen(problem.what) from None
    return payload.ping(looks, pair.client, pair.server.own_address, count=2, interval=0.02)[0] > 0


def _stops(scene: Scene, mode: Mode, fault: str) -> bool:
    wraps = Encapsulation.NONE if mode.cross_subnet and not scene.routed else mode.tunnel
    if wraps is Encapsulation.NONE and scene.routed and fault not in _POD_ADDRESSES:
        return True  # nobody has shown that the router between the subnets carries pod addresses
    if fault in _POD_ADDRESSES:
        return wraps is Encapsulation.NONE
    if fault in _VXLAN:
        return wraps is Encapsulation.VXLAN
    if fault == "ipip-dropped":
        return wraps is Encapsulation.IPIP
    if fault in _TUNNEL:
        return wraps is not Encapsulation.NONE and wraps in (scene.forward, scene.backward)
    return scene.writer(mode.tunnel) == "bird"  # faults of BGP
