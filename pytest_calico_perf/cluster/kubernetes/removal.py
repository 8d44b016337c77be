"""Taking away what is ours, in the order Calico needs, and saying what would not go.

The order (calico.md 7): pods first, since a pool must not go while an address of it is in use; then the
pools, as `pool_removal` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.gone import still_there
from pytest_calico_perf.cluster.kubernetes.leftover import Leftover
from pytest_calico_perf.cluster.kubernetes.ours import SELECTOR, selector
from pytest_calico_perf.cluster.kubernetes.pool_removal import PoolRemoval
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, PODS, SERVICES, CalicoApi, Resource
from pytest_calico_perf.errors import ApiProblem

_FORBIDDEN, _NOT_FOUND = 403, 404


class Removal:
    """Finds and removes objects of ours.

    Args:
        api: The cluster.
        calico: How Calico's objects are reached; None on a cluster without Calico.
        namespace: A namespace of the user's in which our pods live, if the cluster file names one.
        deadline: Seconds each step may take.
        tell: Told what is left for Calico itself to do, and what is not ours though it is labelled so.
    """

    def __init__(
        self,
        api: Api,
        calico: CalicoApi | None,
        *,
        namespace: str | None,
        deadline: float,
        tell: Callable[[str], None],
    ) -> None:
        self._api = api
        self._tell = tell
        self._calico = calico
        self._namespace = namespace
        self._deadline = deadline

    def leftovers(
        self, run: str | None = None, made: Collection[tuple[Resource, str]] = ()
    ) -> list[Leftover]:
        """Everything of ours that is there, of one run or of all; found by its labels, known by its name.

        Args:
            run: Whose; None for everybody's.
            made: Kind and name of what that run made. Where a kind may not be listed, these are gone by.

        Raises:
            ApiProblem: The API cannot be reached, or fails.
        """
        places = [(NAMESPACES, "")]
        if self._namespace:
            places = [(SERVICES, self._namespace), (PODS, self._namespace), *places]
        if self._calico:
            places.append((self._calico.pools, ""))
            statuses = self._calico.node_statuses
            # A run that diagnosed nothing has made none, and need not be permitted to look.
            if run is None or any(kind == statuses for kind, _ in made):
                places.append((statuses, ""))
        found = []
        for resource, namespace in places:
            names = [name for kind, name in made if kind == resource]
            found += self._found(resource, namespace, run, names)
        for each in found:
            if not each.has_our_name:
                self._tell(f"not removed: it bears our label but not our name: {each}")
        return [each for each in found if each.has_our_name]

    def remove(self, leftovers: Sequence[Leftover]) -> list[str]:
        """Remove them; returns what could not be removed, in sentences with the command that will."""
        problems: list[str] = []
        pools = [each for each in leftovers if self._calico and each.resource == self._calico.pools]
        others = [each for each in leftovers if each not in pools]
        waiting = [each for each in others if self._asked_to_go(each, problems)]
        problems += [
            f"{each} is still there after {self._deadline:g} s; {each.command()}"
            for each in still_there(self._api, waiting, deadline=self._deadline)
        ]
        if pools and self._calico:
            removal = PoolRemoval(self._api, self._calico, deadline=self._deadline, tell=self._tell)
            problems += removal.remove(pools)
        return problems

    def _found(
        self, resource: Resource, namespace: str, run: str | None, made: Sequence[str]
    ) -> list[Leftover]:
        labels = selector(run) if run else SELECTOR
        try:
            found = self._api.list(resource, namespace=namespace, labels=labels)
        except ApiProblem as problem:
            if problem.status == _NOT_FOUND:
                return []  # the kind is not served
            if problem.status != _FORBIDDEN:
                raise
            if run is None:
                self._tell(f"could not look for {resource} of other runs: not permitted")
                return []
            # Not permitted to make them, either, unless this was taken away meanwhile: then ask for each.
            return [Leftover(resource, name, namespace, run) for name in made]
        return [Leftover.of(resource, each, namespace) for each in found]

    def _asked_to_go(self, each: Leftover, problems: list[str]) -> bool:
        """Ask for its deletion; whether there is something to wait for."""
        try:
            return self._api.delete(each.resource, each.name, namespace=each.namespace, uid=each.uid)
        except ApiProblem as problem:
            problems.append(f"{each} was not removed: {problem.what}; {each.command()}")
            return False
