"""Waiting until a switch is in effect: the pool says so, and calico-node is ready again.

Neither is enough. Felix restarts itself when the set of encapsulations changes (felix/daemon/daemon.go,
"Exiting for encapsulation change"), seconds after the pool has changed, so calico-node may be ready still: it
is looked at again after `Settled` has had its time. And routes have stayed wrong while all was ready
(projectcalico/calico issues 1584 and 4022): that nobody can wait out here. Whoever settles makes pods and
awaits the routes between them; of those that stay astray it tells, and reachability and evidence decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_calico_perf.cluster.kubernetes.calico_node import CalicoNode
from pytest_calico_perf.cluster.kubernetes.reading import Look, Reader, text
from pytest_calico_perf.cluster.kubernetes.resource import Resource
from pytest_calico_perf.cluster.kubernetes.target import Target, in_words, mode_of
from pytest_calico_perf.errors import NotReady
from pytest_calico_perf.model import Mode
from pytest_calico_perf.parsing import lookup, mappings

TIGERA_STATUSES = Resource("operator.tigera.io", "v1", "tigerastatuses", "TigeraStatus", namespaced=False)

Settled = Callable[[Mode, float], None]
"""Told the mode and the seconds left: puts into the cluster what shows whether the mode is carried.

`SwitchingCluster` makes the mode's pods and waits, by deadlines of its own, for them and for the routes
between them. What it raises, `Effect.wait` raises; routes that do not come are no reason to.
"""

_POLL = 0.5


class Effect:
    """What of Calico must be as good after a switch as before it.

    A node that was down before stays down, and nobody waits for it.

    Args:
        api: Of the cluster, before the switch.
        target: What is switched.
    """

    def __init__(self, api: Reader, target: Target) -> None:
        self._look = Look(api)
        self._target = target
        self._calico_node = CalicoNode(api)
        self._operator_was_content = not self._operator_says()

    def wait(self, mode: Mode, *, deadline: float, settled: Settled | None = None) -> None:
        """Wait until a mode is in effect, up to `deadline` seconds; those of `settled` may come on top.

        Raises:
            NotReady: It is not; says what was missing last.
            ClusterProblem: Nobody can be asked.
        """
        until = time.monotonic() + deadline

        def hold(complaint: Callable[[], str]) -> None:
            while missing := complaint():
                left = until - time.monotonic()
                if left <= 0:
                    raise NotReady(
                        f"not in mode {mode} {deadline:.0f} s after it was asked for: {missing}",
                        where=self._target.where,
                        remedy="look at calico-node and, where there is one, tigera-operator; or allow it "
                        "more time (timeouts: switch)",
                    )
                time.sleep(min(_POLL, left))

        hold(lambda: self._pool_says(mode))
        hold(self._calico_says)
        if settled is not None:
            settled(mode, max(until - time.monotonic(), 0.0))
            hold(self._calico_says)

    def _pool_says(self, mode: Mode) -> str:
        pools = self._look.list(self._target.calico.pools)
        pool = self._target.pool_among(pools)
        if pool is None:
            return f"no pool has the range {self._target.cidr}"
        fields = {name: text(lookup(pool, "spec", name)) for name in ("ipipMode", "vxlanMode")}
        return "" if mode_of(fields) is mode else f"the pool has {in_words(fields)}"

    def _calico_says(self) -> str:
        return self._calico_node.complaint() or (self._operator_says() if self._operator_was_content else "")

    def _operator_says(self) -> str:
        if not self._target.by_operator:
            return ""
        found = self._look.find(TIGERA_STATUSES, "calico")
        for condition in mappings(lookup(found, "status", "conditions")):
            kind, is_so = text(condition.get("type")), condition.get("status") == "True"
            if (kind in ("Degraded", "Progressing") and is_so) or (kind == "Available" and not is_so):
                said = " ".join(text(condition.get("message")).split())[:300]
                return f"TigeraStatus calico: {kind} {condition.get('status')}{f' ({said})' if said else ''}"
        return ""
