"""What a person does between runs: take away what a crashed run left, put back what it had switched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_calico_perf.cluster.kubernetes import unfinished
from pytest_calico_perf.cluster.kubernetes.api import Api, api_of
from pytest_calico_perf.cluster.kubernetes.detection import find_api
from pytest_calico_perf.cluster.kubernetes.journal import Journal
from pytest_calico_perf.cluster.kubernetes.leftover import Leftover, now
from pytest_calico_perf.cluster.kubernetes.ours import Life, life_of
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.removal import Removal
from pytest_calico_perf.cluster.kubernetes.switch import uid_of_cluster
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotRestored

_LONG_AGO = 24 * 3600.0  # seconds; no run takes a day, so nobody's waits for what is older
_FORBIDDEN = 403


def clean_up(file: KubernetesFile, *, show_only: bool, tell: Callable[[str], None]) -> bool:
    """Remove what is labelled as ours and whose run is over; returns whether nothing is left to do.

    Of whose run nothing can be known here (another machine's, another container's) is left alone for a day.

    Args:
        file: Which cluster.
        show_only: Say what would be removed and remove nothing.
        tell: Told what is found and done.

    Raises:
        ApiProblem: The cluster cannot be reached, or may not be looked at.
    """
    api = api_of(file)
    try:
        switched = _tell_of_switches(api, file, tell)
        removal = Removal(
            api, find_api(Look(api)), namespace=file.namespace, deadline=file.timeouts.removal, tell=tell
        )
        found = removal.leftovers()
        if not found:
            tell(f"nothing of ours is left in {file.name}")
        over = _over(found, tell)
        for each in over:
            tell(f"{'would remove' if show_only else 'removing'} {each}")
        problems = [] if show_only else removal.remove(over)
        for problem in problems:
            tell(problem)
        if over and not problems and not show_only:
            tell("all of it is gone")
        return not problems and not switched
    finally:
        api.close()


def _over(found: Sequence[Leftover], tell: Callable[[str], None]) -> list[Leftover]:
    """Those whose run is over, as far as anybody can tell; says which are left alone, and why."""
    over = []
    for each in found:
        life = life_of(each.owner)
        if life is Life.ALIVE:
            tell(f"left alone, its run goes on: {each}")
        elif life is Life.UNKNOWN and each.age(now()) < _LONG_AGO:
            tell(
                f"left alone, nobody here knows whether its run goes on: {each}; it is removed when it is "
                f"24 h old, or by {each.command()}"
            )
        else:
            over.append(each)
    return over


def _tell_of_switches(api: Api, file: KubernetesFile, tell: Callable[[str], None]) -> bool:
    """Say what is switched; whether a run that is not known to go on did not put it back."""
    journal = None
    try:
        journal = Journal.of_cluster(uid_of_cluster(api))
    except ClusterProblem as problem:
        if isinstance(problem, ApiProblem) and problem.status != _FORBIDDEN:
            raise
        tell(f"could not look for switches noted on this machine: {problem}")
    try:
        found = unfinished.unfinished(api, journal)
    except NotRestored as problem:
        tell(str(problem))
        return True
    for each in found:
        if each.entry.alive:
            tell(f"left alone, its run goes on: {each.target.where}, switched by {each.entry.who}")
        else:
            tell(
                f"{each.target.where} is still switched, by {each.entry.who}; {_restoring(file)} puts it back"
            )
    return any(not each.entry.alive for each in found)


def _restoring(file: KubernetesFile) -> str:
    return f"pytest --calico-cluster={file.source} --calico-restore"


def restore(file: KubernetesFile, *, show_only: bool = False, tell: Callable[[str], None]) -> bool:
    """Put back the mode that a killed run had switched, of this machine or another; returns whether it is.

    Args:
        file: Which cluster.
        show_only: Say what would be put back and change nothing.
        tell: Told what is found and done.

    Raises:
        ClusterProblem: A run that goes on has switched it.
        NotRestored: It could not be put back; says how it can be.
        ApiProblem: The cluster cannot be reached, or does not permit it.
    """
    api = api_of(file)
    try:
        done = _switches(api) if show_only else unfinished.restore(api, deadline=file.timeouts.switch)
    finally:
        api.close()
    for line in done or [f"no switch of ours is left in {file.name}"]:
        tell(line)
    return True


def _switches(api: Api) -> list[str]:
    """What `unfinished.restore` would do, in sentences."""
    lines = []
    for each in unfinished.unfinished(api, Journal.of_cluster(uid_of_cluster(api))):
        entry = each.entry
        values = ", ".join(f"{field}: {value or 'none'}" for field, value in entry.original.items())
        before = f"{each.target.where} to {values}"
        lines.append(
            f"would refuse to put back {before}: it is switched right now, by {entry.who}"
            if entry.alive
            else f"would put back {before} (left by {entry.who})"
        )
    return lines
