"""A/A: the same mode under two names. How often does the 95 % interval of the ratio hold 1?

Runs campaigns of `bgp` against `current` (the lab's own pool, in mode bgp too; `aa.cluster.yaml`), all in one
lab, and prints per probe the share of intervals that hold 1 (expected: about 95 %) and the ratios' spread.

    python benchmarks/aa.py [CAMPAIGNS] [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path as FilePath

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.clusterfile import load
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.plan import Plan
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.ping import Ping
from pytest_calico_perf.profiles import Profile, possible_cells
from pytest_calico_perf.progress import Progress
from pytest_calico_perf.stats import paired_ratio
from pytest_calico_perf.units import format_ratio


def main() -> None:
    campaigns = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    modes = (Mode.BGP, Mode.CURRENT)
    probes = (Ping(count=100), Tcp(duration=1, both_directions=False))
    profile = Profile("aa", rounds=rounds, warm_up_rounds=1, paths=(Path.POD_TO_POD,), probes=probes)
    cells = possible_cells(modes, profile.paths, profile.probes)
    ratios: dict[str, list[tuple[float, bool]]] = {probe.name: [] for probe in probes}
    with LabCluster(load(str(FilePath(__file__).with_name("aa.cluster.yaml"))), modes) as cluster:
        for number in range(1, campaigns + 1):
            campaign = Campaign(Plan.of(cells, profile), cluster, Progress(line=lambda _: None))
            for probe in probes:
                pair = [campaign.result(cell) for cell in cells if cell.probe == probe.name]
                base, other = (result.by_round for result in pair)
                ratio = paired_ratio(base, other)
                if ratio is None or ratio.low is None or ratio.high is None:
                    sys.exit(f"campaign {number}: {probe.name}: {[(str(r.outcome), r.reason) for r in pair]}")
                ratios[probe.name].append((ratio.value, ratio.low <= 1 <= ratio.high))
                print(f"campaign {number:3}  {probe.name:5} {format_ratio(ratio)}", flush=True)
    for name, found in ratios.items():
        values = [value for value, _ in found]
        held = sum(holds for _, holds in found)
        print(
            f"{name}: interval holds 1 in {held} of {len(found)} campaigns; ratios from {min(values):.4f} to "
            f"{max(values):.4f}, standard deviation {statistics.stdev(values):.4f}"
        )


if __name__ == "__main__":
    main()
