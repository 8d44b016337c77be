"""What the campaign adds to a measurement: the tools by hand against the same through the campaign.

Same lab, same namespaces, in turn: `iperf3 -c` and `ping` started by hand with nsenter, then one round of a
campaign.
Claims: throughput ratio within 1 %, median RTT within 2 us.

    python benchmarks/overhead.py [PAIRS]
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path as FilePath

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint
from pytest_calico_perf.clusterfile import load
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.plan import Plan
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.ping import Ping
from pytest_calico_perf.profiles import Profile, possible_cells
from pytest_calico_perf.progress import Progress
from pytest_calico_perf.stats import paired_ratio
from pytest_calico_perf.units import format_ratio

PING = Ping(count=300)
TCP = Tcp(duration=2, omit=1, both_directions=False)
PORT = "19999"


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    # On a free link throughput is the CPU's and swings by ten per cent from run to run; on the shaped one an
    # overhead of one per cent can be seen.
    for name in ("aa", "shaped"):
        compare(name, pairs)


def compare(name: str, pairs: int) -> None:
    """Measure in turn in one lab, and print ratio and difference."""
    modes = (Mode.BGP,)
    profile = Profile("overhead", rounds=1, warm_up_rounds=0, paths=(Path.POD_TO_POD,), probes=(PING, TCP))
    cells = possible_cells(modes, profile.paths, profile.probes)
    rates: dict[str, dict[int, float]] = {"hand": {}, "campaign": {}}
    times: dict[str, dict[int, float]] = {"hand": {}, "campaign": {}}
    with LabCluster(load(str(FilePath(__file__).with_name(f"{name}.cluster.yaml"))), modes) as cluster:
        ends = cluster.pair(Path.POD_TO_POD, Mode.BGP)
        for number in range(pairs):
            for way in ("hand", "campaign") if number % 2 else ("campaign", "hand"):
                if way == "hand":
                    rates[way][number], times[way][number] = by_hand(ends)
                    continue
                campaign = Campaign(Plan.of(cells, profile), cluster, Progress(line=lambda _: None))
                for cell in cells:
                    result = campaign.result(cell)
                    kept = times if cell.probe == "ping" else rates
                    kept[way][number] = result.runs[0]["median" if cell.probe == "ping" else "received"]
    ratio = paired_ratio(rates["hand"], rates["campaign"])
    print(f"lab {name}, {pairs} pairs, pod-to-pod, bgp")
    for way, found in rates.items():
        rate, time = statistics.median(found.values()), statistics.median(times[way].values())
        print(f"  {way:9} median {rate / 1e9:.4f} Gbit/s, {time * 1e6:.2f} us")
    print(f"  throughput, campaign / hand: {format_ratio(ratio)}; claim: within 1 %")
    difference = statistics.median(times["campaign"][n] - times["hand"][n] for n in range(pairs))
    print(f"  median RTT, campaign - hand: median {difference * 1e6:+.2f} us; claim: within 2 us", flush=True)


def by_hand(ends: EndpointPair) -> tuple[float, float]:
    """What a person would type: received bit/s as iperf3 says, median RTT in seconds from ping's lines."""
    server = subprocess.Popen(
        [*enter(ends.server), "iperf3", "-s", "-1", "-p", PORT, "--forceflush"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    while "listening" not in server.stdout.readline():
        pass
    client = subprocess.run(
        [*enter(ends.client), "iperf3", "-c", ends.server.address, "-p", PORT, "-t", "2", "-O", "1", "-J"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    server.communicate(timeout=10)
    echo = subprocess.run(
        [
            *enter(ends.client),
            "ping",
            "-n",
            "-c",
            str(PING.count),
            "-i",
            str(PING.interval),
            ends.server.address,
        ],
        capture_output=True,
        check=True,
        timeout=30,
        text=True,
    )
    times = [float(time) / 1e3 for time in re.findall(r"time=([\d.]+) ms", echo.stdout)]
    return json.loads(client.stdout)["end"]["sum_received"]["bits_per_second"], statistics.median_grouped(
        times, 1e-6
    )


def enter(endpoint: LabEndpoint) -> list[str]:
    return endpoint.sandbox.command_line(endpoint.namespace)


if __name__ == "__main__":
    main()
