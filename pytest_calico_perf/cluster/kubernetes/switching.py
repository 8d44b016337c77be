"""A cluster whose own pool is turned from mode to mode: one at a time, and put back at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext

from pytest_calico_perf.cluster.kubernetes.cluster import KubernetesCluster
from pytest_calico_perf.cluster.kubernetes.journal import Journal
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.cluster.kubernetes.switch import Switch, uid_of_cluster
from pytest_calico_perf.cluster.kubernetes.target import Target
from pytest_calico_perf.cluster.kubernetes.unfinished import recover
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ClusterProblem, ToolProblem
from pytest_calico_perf.interrupts import Hold
from pytest_calico_perf.model import Mode, Path, Provision

_TUNNELS_DEADLINE = 5.0  # seconds; they are in effect again already, with these addresses or others


class SwitchingCluster(KubernetesCluster):
    """As `KubernetesCluster`, with one pool for all modes: the cluster's own.

    Pods are made anew after every switch: Calico gives a pod its MTU when it is made, and never again.

    Args:
        file: Which cluster, and how to go about it.
        modes: Modes to provide.
        paths: Paths that will be asked for; pods are made for these only.
        tell: Told in sentences what is found and done.
        hold: Gives a context in which nothing interrupts putting the pool back.
    """

    _provision = Provision.SWITCH

    def __init__(
        self,
        file: KubernetesFile,
        modes: tuple[Mode, ...],
        *,
        paths: Collection[Path],
        tell: Callable[[str], None] = lambda _: None,
        hold: Hold = nullcontext,
    ) -> None:
        super().__init__(file, modes, paths=paths, tell=tell)
        self._hold = hold
        self._switch: Switch | None = None
        self._turned: Mode | None = None
        self._populated: Mode | None = None  # even if it turned out to be unusable

    @property
    def serial(self) -> bool:
        return True

    def _look(self) -> None:
        # What a killed run left must be put back before anybody looks: it would be taken for the user's own.
        for line in recover(self._api, deadline=self._file.timeouts.switch):
            self._tell(line)
        super()._look()

    def _provide(self) -> None:
        """Nothing yet but the hand on the switch; each mode comes when it is turned to."""
        calico = self._ground.survey.calico
        if calico is None or not [mode for mode in self._possible if mode is not Mode.CURRENT]:
            return
        target = Target.of(calico)
        self._switch = Switch(
            self._api,
            target,
            Journal.of_cluster(uid_of_cluster(self._api)),
            run=self._run,
            owner=owner(),
            deadline=self._file.timeouts.switch,
            settled=lambda mode, _: self._repopulate(mode),
            tell=self._tell,
        )
        pool = next(pool for pool in calico.pools if pool.range == target.cidr)
        self._pools = dict.fromkeys(self._modes, pool.name)
        self._ranges = dict.fromkeys(self._modes, target.cidr)

    def turn_to(self, mode: Mode) -> None:
        if mode in self._ground.unsupported:
            raise self._ground.unsupported[mode]
        if mode is self._turned:
            return
        self._turned = None
        if self._populated is not None:
            self._pods.remove(self._populated)
            self._populated = None
        if self._switch is not None:
            self._switch.to(mode)
            self._renew_outdated(mode)
        else:
            self._repopulate(mode)
        self._turned = mode

    def _repopulate(self, mode: Mode) -> None:
        """Make the mode's pods once Calico is in it, and wait for routes between them."""
        self._populated = mode
        self._populate([mode])

    def _renew_outdated(self, mode: Mode) -> None:
        """Make the mode's pods once more if they came before Felix had restarted.

        Such pods have the MTU of the mode before: the CNI plugin takes it from a file that Felix writes
        when it starts (`/var/lib/calico/mtu`). That it has restarted nobody says, since calico-node may be
        ready all the while; a pod made now tells.
        """
        had = self._pods.mtus.get(mode)
        if had is None:
            return
        try:
            now = self._pods.mtu_of_new_pod(mode, self._pools[mode], self._ranges)
        except (ClusterProblem, ToolProblem) as problem:
            self._tell(f"mode {mode}: whether its pods have its MTU is not known: {problem}")
            return
        if now != had:
            self._tell(
                f"mode {mode}: its pods have the MTU of the mode before, {had}, not {now}; making them anew"
            )
            self._pods.remove(mode)
            self._repopulate(mode)

    def _differences(self) -> list[str]:
        # A tunnel that went with its mode comes back with it, at whatever address of the pool is free then.
        for difference in self._ground.differences(self._api, deadline=_TUNNELS_DEADLINE):
            self._tell(f"{difference}: Calico chose anew when the mode came back")
        return []

    def _take_away(self) -> list[str]:
        problems = []
        if self._switch is not None:  # first of all, and whole: it is everybody's traffic
            try:
                with self._hold():
                    self._switch.restore()
            except ClusterProblem as problem:
                problems.append(str(problem))
        return [*problems, *super()._take_away()]
