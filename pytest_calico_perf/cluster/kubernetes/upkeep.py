"""What a person does between runs: take away what a crashed run left, put back what it had switched."""

from __future__ import annotations

from collections.abc import Callable

from pytest_calico_perf.cluster.kubernetes import unfinished
from pytest_calico_perf.cluster.kubernetes.api import api_of
from pytest_calico_perf.cluster.kubernetes.detection import find_api
from pytest_calico_perf.cluster.kubernetes.ours import owner_is_alive
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.removal import Removal
from pytest_calico_perf.clusterfile import KubernetesFile


def clean_up(file: KubernetesFile, *, show_only: bool, tell: Callable[[str], None]) -> bool:
    """Remove what is labelled as ours and whose run is over; returns whether nothing is left to do.

    Args:
        file: Which cluster.
        show_only: Say what would be removed and remove nothing.
        tell: Told what is found and done.

    Raises:
        ApiProblem: The cluster cannot be reached, or may not be looked at.
    """
    api = api_of(file)
    try:
        removal = Removal(
            api, find_api(Look(api)), namespace=file.namespace, deadline=file.timeouts.removal, tell=tell
        )
        found = removal.leftovers()
        if not found:
            tell(f"nothing of ours is left in {file.name}")
            return True
        alive = [each for each in found if owner_is_alive(each.owner)]
        for each in alive:
            tell(f"left alone, its run goes on: {each}")
        dead = [each for each in found if each not in alive]
        for each in dead:
            tell(f"{'would remove' if show_only else 'removing'} {each}")
        if show_only:
            return True
        problems = removal.remove(dead)
        for problem in problems:
            tell(problem)
        if dead and not problems:
            tell("all of it is gone")
        return not problems
    finally:
        api.close()


def restore(file: KubernetesFile, *, tell: Callable[[str], None]) -> bool:
    """Put back the mode that a killed run had switched, of this machine or another; returns whether it is.

    Raises:
        ClusterProblem: A run that goes on has switched it.
        NotRestored: It could not be put back; says how it can be.
        ApiProblem: The cluster cannot be reached, or does not permit it.
    """
    api = api_of(file)
    try:
        done = unfinished.restore(api, deadline=file.timeouts.switch)
    finally:
        api.close()
    for line in done or [f"no switch of ours is left in {file.name}"]:
        tell(line)
    return True
