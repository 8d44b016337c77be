"""A run that switches and never comes to an end: `python -m tests.kubernetes.switch_child KUBECONFIG MODE`."""

from __future__ import annotations

import sys
import time

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.detection import find_calico
from pytest_calico_perf.cluster.kubernetes.journal import Journal
from pytest_calico_perf.cluster.kubernetes.ours import owner
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.switch import Switch, uid_of_cluster
from pytest_calico_perf.cluster.kubernetes.target import Target
from pytest_calico_perf.model import Mode


def main(kubeconfig: str, mode: str) -> None:
    api = Api(Access(kubeconfig=kubeconfig))
    facts = find_calico(Look(api))
    assert facts is not None
    journal = Journal.of_cluster(uid_of_cluster(api))
    one = Switch(api, Target.of(facts), journal, run="childs", owner=owner(), deadline=20.0)
    try:
        one.to(Mode(mode))
        time.sleep(60)
    finally:
        one.restore()


if __name__ == "__main__":
    main(*sys.argv[1:])
