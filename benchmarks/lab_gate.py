"""How often the gate errs on the real lab: a table of docs/how-it-decides.md.

Every campaign is a run of the suite by pytest in a process of its own, and is judged by the product's own
gate, as a user's would be: bringing the lab up takes two seconds of some thirty.

- `aa`: one mode under two names (`gate.cluster.yaml`). Each campaign holds them against one another both
  ways, and every cell against the last good run before it, at the default tolerance. All alarms are false.
- `link`: after ten runs on a link of 300 Mbit/s, half of the campaigns find it 10 % slower, behind the lab's
  back (`tc qdisc change` while it is up: cluster file and fingerprint are as before), and half as it was.
- `disturbed`: the same, but the last of the ten runs had 4.5 % less of the link than the others.

    python benchmarks/lab_gate.py aa|link|disturbed [CAMPAIGNS [FOLDER]]

50 A/A campaigns take half an hour, 40 of `link` and the ten before them a quarter. FOLDER, a new one, keeps
their records.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.shaping import link_rate
from pytest_calico_perf.gate.comparison import DEFAULT_TOLERANCE
from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import Gate, losses, paired_estimate, within_tolerance

HERE = FilePath(__file__).resolve().parent
RATE = "LAB_GATE_LINK_RATE"  # bit/s, for the run's own process
SLOWER = "270000000"
DISTURBED = "286500000"  # tolerated, and so kept
FIRST = 10  # runs on the link as it was, before anything is held against them
GOOD = (Outcome.OK, Outcome.INCONCLUSIVE)
ALARMS = (Outcome.SLOW, Outcome.REGRESSED)
EXPECTED = (
    "current >= bgp * 0.95", "bgp >= current * 0.95", "current <= bgp * 1.05", "bgp <= current * 1.05",
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _slow_link(calico_cluster: LabCluster) -> None:
    """In the run's own process (`-p lab_gate`): make every uplink slower than the lab believes."""
    if rate := os.environ.get(RATE):
        change = link_rate(int(rate)).split()[2:]
        for node in calico_cluster.topology.nodes:
            calico_cluster.host(node.name).run(["tc", "qdisc", "change", *change], limit=10).check()


def main() -> None:
    parts = {"aa": (aa, 50), "link": (link, 40), "disturbed": (disturbed, 40)}
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    run, campaigns = parts[sys.argv[1]]
    if len(sys.argv) > 2:
        campaigns = int(sys.argv[2])
    if len(sys.argv) > 3:
        folder = FilePath(sys.argv[3]).resolve()
        folder.mkdir()
        run(folder, campaigns)
    else:
        with tempfile.TemporaryDirectory(prefix="lab-gate-") as scratch:
            run(FilePath(scratch), campaigns)


def aa(folder: FilePath, campaigns: int) -> None:
    """Equal modes, equal days: how many campaigns raise any alarm?"""
    alarmed: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    expected = [f"--calico-expect={each}" for each in EXPECTED]
    # All but one of the tcp blocks, which take as long as all others.
    some = ("-k", "ping or connect or (tcp and not host-to-pod)")
    for number in range(campaigns + 1):
        cells = campaign(folder, "gate", "bgp,current", *expected, *some)
        if number == 0:
            continue  # it was held against nothing
        found = {"expectation": of_rules(cells, ">=", "<="), "baseline": of_rules(cells, "baseline")}
        found["unreachable or error"] = failures(cells)
        found["tolerance 5 %, Holm over all pairs"] = of_pairs(cells)
        tell(f"A/A campaign {number:2}", found, cells)
        outcomes.update(cell["outcome"] for cell in cells)
        alarmed["campaigns"] += any(found.values())
        alarmed.update(name for name, cells_alarmed in found.items() if cells_alarmed)
    print(f"\n{alarmed['campaigns']} of {campaigns} A/A campaigns raised an alarm: {dict(alarmed)}")
    print(f"cells: {dict(outcomes)}")


def disturbed(folder: FilePath, campaigns: int) -> None:
    """The last run before shared its link with something else: does that hide the loss of a tenth?"""
    link(folder, campaigns, last=DISTURBED)


def link(folder: FilePath, campaigns: int, last: str = "") -> None:
    """A link that lost a tenth, and the same link: which campaigns are regressed?"""
    for rate in [""] * (FIRST - 1) + [last]:
        campaign(folder, "gate_link", "bgp", rate=rate)
    regressed: Counter[str] = Counter()
    for number in range(campaigns):
        rate = SLOWER if number % 2 else ""
        cells = campaign(folder, "gate_link", "bgp", rate=rate)
        name = "10 % slower" if rate else "as it was"
        found = {"baseline": [*of_rules(cells, "baseline"), *failures(cells)]}
        tell(f"{number + 1:2}, link {name}", found, cells)
        of_link = [alarm for alarm in of_rules(cells, "baseline") if alarm.startswith("tcp")]
        regressed[name] += bool(of_link if rate else found["baseline"])
        regressed.update(alarm.partition(":")[0] for alarm in of_link if rate)
    print(
        f"\nlink as it was: any alarm in {regressed['as it was']} of {campaigns - campaigns // 2} campaigns"
    )
    print(f"link 10 % slower: regressed in {regressed['10 % slower']} of {campaigns // 2}: {dict(regressed)}")


def campaign(folder: FilePath, cluster: str, modes: str, *more: str, rate: str = "") -> list[dict[str, Any]]:
    """One run of the suite, as a user types it; its cells, from its record.

    Raises:
        SystemExit: It ended otherwise than by passing or failing tests, or its exit code is not its cells'.
    """
    record = folder / f"{len(list(folder.glob('*.json'))):02}.json"
    command = [
        sys.executable, "-m", "pytest", "--pyargs", "pytest_calico_perf.suite", "-q", "-p", "lab_gate",
        f"--calico-cluster={HERE / cluster}.cluster.yaml", "--calico-profile=many", f"--calico-mode={modes}",
        f"--calico-baseline-dir={folder / 'runs'}", f"--calico-json={record}", *more,
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, RATE: rate},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"{done.stdout}\n{done.stderr}\nended with {done.returncode}")
    cells: list[dict[str, Any]] = json.loads(record.read_text())["cells"]
    alarmed = any(cell["outcome"] not in GOOD for cell in cells)
    if alarmed is not (done.returncode == pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"{done.stdout}\nthe exit code {done.returncode} and the record do not agree")
    return cells


def of_rules(cells: Sequence[Mapping[str, Any]], *words: str) -> list[str]:
    """What the run's own verdicts by such rules raised an alarm about."""
    return [
        f"{named(cell)}: {verdict['message']}"
        for cell in cells
        for verdict in cell["verdicts"]
        if verdict["outcome"] in ALARMS and any(word in verdict["rule"] for word in words)
    ]


def failures(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cells that were not measured: on a lab that works, each is a false alarm too."""
    bad = [cell for cell in cells if cell["outcome"] not in (*GOOD, *ALARMS)]
    return [f"{named(cell)} {cell['outcome']}: {cell['reason']}" for cell in bad]


def of_pairs(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same pairs as losses at the default tolerance, each way, as one family."""
    measured = [pair for pair in pairs(cells) if all(len(cell["samples"]) > 1 for cell in pair)]
    gate = Gate(comparisons=max(1, 2 * len(measured)))
    found = []
    for base, other in measured:
        better = Better(base["better"])
        for one, two in ((base, other), (other, base)):
            estimate = paired_estimate(losses(by_round(one), by_round(two), better).values())
            if estimate is not None:
                judged = within_tolerance(estimate, better, DEFAULT_TOLERANCE, gate)
                found += [named(two)] if judged.settled in ALARMS else []
    return found


def pairs(cells: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    by_name = {(cell["probe"], cell["path"], cell["mode"]): cell for cell in cells}
    for (probe, path, mode), cell in by_name.items():
        if mode == "bgp":
            yield cell, by_name[probe, path, "current"]


def by_round(cell: Mapping[str, Any]) -> dict[int, float]:
    return dict(zip(cell["rounds"], cell["samples"], strict=True))


def named(cell: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (cell["probe"], cell["path"], cell["mode"])))


def tell(name: str, found: Mapping[str, Sequence[str]], cells: Sequence[Mapping[str, Any]]) -> None:
    """A line for a campaign, and one for each of its alarms."""
    outcomes = Counter(cell["outcome"] for cell in cells)
    medians = ", ".join(
        f"{named(cell)} {math.exp(sum(map(math.log, cell['samples'])) / len(cell['samples'])):.3g}"
        for cell in cells
        if cell["path"] == "pod-to-pod" and cell["samples"]
    )
    print(f"{name}: {dict(outcomes)}; {medians}; load {os.getloadavg()[0]:.1f}", flush=True)
    for rule, alarms in found.items():
        for alarm in alarms:
            print(f"    {rule}: {alarm}", flush=True)


if __name__ == "__main__":
    main()
