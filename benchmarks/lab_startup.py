"""How long the lab takes up and down: median of N runs.

    python benchmarks/lab_startup.py [--runs N] [--cluster NAME|FILE]

Up: from nothing until every path is proven, with every mode that has a pool but `current`. Down: until
no process of the lab is left. The target on an idle machine with two cores: 5 s and 1 s.
"""

from __future__ import annotations

import argparse
import statistics
import time

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.model import Mode


def once(file: LabFile, modes: tuple[Mode, ...]) -> tuple[float, float]:
    """Seconds up and seconds down."""
    begin = time.perf_counter()
    with LabCluster(file, modes):
        ready = time.perf_counter()
    return ready - begin, time.perf_counter() - ready


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the lab's way up and down.")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--cluster", default="lab")
    options = parser.parse_args()
    file = load(options.cluster)
    if not isinstance(file, LabFile):
        parser.error(f"{options.cluster} is not a lab")
    modes = tuple(mode for mode in Mode if mode in file.pools and mode is not Mode.CURRENT)
    runs = [once(file, modes) for _ in range(options.runs)]
    print(f"{file.name}: {file.node_count} nodes, modes {', '.join(modes)}; {len(runs)} runs")
    for name, seconds in zip(("up and ready", "down"), zip(*runs, strict=True), strict=True):
        print(f"{name:>12}: median {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
