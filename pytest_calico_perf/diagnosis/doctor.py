"""The doctor: walks the chain from both ends and says which link is broken, and which modes would work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pytest_calico_perf.cluster.base import Cluster, EndpointPair
from pytest_calico_perf.diagnosis import filters, pods, routes, underlay
from pytest_calico_perf.diagnosis.finding import Diagnosis, Link
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen
from pytest_calico_perf.diagnosis.notes import Notes
from pytest_calico_perf.diagnosis.scene import Scene
from pytest_calico_perf.diagnosis.survey import look_around
from pytest_calico_perf.diagnosis.traffic import Traffic
from pytest_calico_perf.diagnosis.working import works
from pytest_calico_perf.errors import CellProblem, ClusterProblem, Unreachable

DEADLINE = 60.0
"""Seconds a diagnosis may take; it mostly takes five."""


def diagnose(cluster: Cluster, pair: EndpointPair, problem: Unreachable | None = None) -> Diagnosis:
    """Find out why a path is dead or crippled, from both its ends.

    Changes nothing, sends some dozens of packets along the path, and never raises for what it cannot see:
    that becomes a check of state `not-seen`.

    Args:
        cluster: Where; it may be broken in any way.
        pair: The path.
        problem: What failed; None when nothing is known to, as for a doctor's visit.
    """
    looks, notes = Looks(DEADLINE), Notes()
    said = problem.what if problem else ""
    scene = None
    with suppress(NotSeen, CellProblem, ClusterProblem):
        scene = look_around(cluster, pair, looks)
    if scene is None:
        notes.unseen(Link.POOL, "", "the cluster could not be asked")
    else:
        _walk(scene, looks, notes, said)
    return Diagnosis(
        path=pair.path,
        mode=pair.mode,
        symptom=problem.symptom if problem else "",
        said=said,
        findings=notes.findings,
        checks=notes.checks,
        works=works(scene, looks, notes) if scene else (),
        commands=looks.commands,
    )


def _walk(scene: Scene, looks: Looks, notes: Notes, said: str) -> None:
    """Look at every link; at those that rest on a broken underlay only where it still means something."""
    _at(Link.POD, notes, lambda: pods.look(scene, notes))
    _at(Link.UNDERLAY, notes, lambda: underlay.look(scene, looks, notes))
    _at(Link.FILTER, notes, lambda: filters.look(scene, notes))
    if notes.has(*underlay.FAULTS):
        return
    _at(Link.ROUTE, notes, lambda: routes.look(scene, notes))
    _at(Link.FABRIC, notes, Traffic(scene, looks, notes, said).look)


def _at(link: Link, notes: Notes, look: Callable[[], None]) -> None:
    """Look at a link; what keeps somebody from it is noted, and the next one is looked at."""
    try:
        look()
    except NotSeen as reason:
        notes.unseen(link, "", str(reason))
    except (CellProblem, ClusterProblem) as problem:
        notes.unseen(link, problem.where, problem.what)
