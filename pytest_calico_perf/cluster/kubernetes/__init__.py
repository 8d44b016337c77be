"""A real cluster, through the Kubernetes API. `open_cluster` is the way in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.interrupts import Hold
from pytest_calico_perf.model import Mode, Path, Provision

if TYPE_CHECKING:
    from pytest_calico_perf.cluster.base import Cluster


def open_cluster(
    file: KubernetesFile,
    modes: tuple[Mode, ...],
    *,
    paths: Collection[Path],
    provision: Provision,
    tell: Callable[[str], None],
    hold: Hold = nullcontext,
) -> Cluster:
    """The cluster a file describes, not yet entered.

    Args:
        file: Which cluster, and how to go about it.
        modes: Modes to provide.
        paths: Paths that will be asked for; pods are made for these only.
        provision: Whether every mode gets a pool of its own, or the cluster's own pool is switched.
        tell: Told in sentences what is found and done.
        hold: Gives a context in which nothing interrupts putting the cluster's own pool back.
    """
    # The client of the API costs 0.3 s to import.
    if provision is Provision.SWITCH:
        from pytest_calico_perf.cluster.kubernetes.switching import SwitchingCluster  # noqa: PLC0415

        return SwitchingCluster(file, modes, paths=paths, tell=tell, hold=hold)
    from pytest_calico_perf.cluster.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415

    return KubernetesCluster(file, modes, paths=paths, tell=tell)
