"""calico-node on all nodes: back after a restart, or not yet."""

from __future__ import annotations

from pytest_calico_perf.cluster.kubernetes.detection import CALICO_NODE, CALICO_NODE_NAMESPACES
from pytest_calico_perf.cluster.kubernetes.reading import Look, Reader
from pytest_calico_perf.cluster.kubernetes.resource import DAEMON_SETS, Json
from pytest_calico_perf.parsing import lookup


class CalicoNode:
    """Its DaemonSet, which must come to be as ready as it was: nobody waits for a node that was down before.

    Args:
        api: Of the cluster, before it is changed.
    """

    def __init__(self, api: Reader) -> None:
        self._look = Look(api)
        self._ready_before = _count(self._daemon_set(), "numberReady")

    def complaint(self) -> str:
        """What it lacks, in words; empty when it is back, or where nobody may look at it."""
        found = self._daemon_set()
        if found is None:
            return ""
        if _count(found, "observedGeneration") < (lookup(found, "metadata", "generation") or 0):
            return "calico-node is about to be replaced"
        wanted = min(self._ready_before, _count(found, "desiredNumberScheduled"))
        ready = _count(found, "numberReady")
        return "" if ready >= wanted else f"calico-node is ready on {ready} of {wanted} nodes"

    def _daemon_set(self) -> Json | None:
        for namespace in CALICO_NODE_NAMESPACES:
            found = self._look.find(DAEMON_SETS, CALICO_NODE, namespace=namespace)
            if found is not None:
                return found
        return None


def _count(found: Json | None, name: str) -> int:
    value = lookup(found, "status", name)
    return value if isinstance(value, int) else 0
