"""Runs to look at: one recorded on the lab, and one made up that holds everything a page may have to show."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path as FilePath

from pytest_calico_perf.model import (
    Better,
    Cell,
    CellResult,
    Mode,
    Outcome,
    PastValue,
    Path,
    Ran,
    RunRecord,
    Unit,
    Verdict,
)
from pytest_calico_perf.report.reading import read_record
from pytest_calico_perf.stats import summarize

HERE = FilePath(__file__).parent
HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 1'>\"'\u202eabc\x1b[31m"
ROUNDS = 10
PROBES = {
    "ping": (Unit.SECOND, Better.LOWER, 2e-4),
    "tcp": (Unit.BIT_PER_SECOND, Better.HIGHER, 9.4e9),
    "tcp-parallel": (Unit.BIT_PER_SECOND, Better.HIGHER, 3.1e10),
    "http": (Unit.REQUEST_PER_SECOND, Better.HIGHER, 21_000.0),
    "connect": (Unit.CONNECTION_PER_SECOND, Better.HIGHER, 14_000.0),
}
PATHS = (Path.HOST_TO_POD, Path.POD_TO_HOST, Path.POD_TO_POD, Path.POD_TO_SERVICE)
SHARE = {
    Mode.BGP: 0.97,
    Mode.IPIP: 0.70,
    Mode.IPIP_CROSS_SUBNET: 0.95,
    Mode.VXLAN: 0.62,
    Mode.VXLAN_CROSS_SUBNET: 0.96,
}
# What becomes of some cells: everything that can.
ENDS = {
    ("tcp", Path.POD_TO_POD, Mode.BGP): Outcome.UNREACHABLE,
    ("ping", Path.POD_TO_POD, Mode.BGP): Outcome.UNREACHABLE,
    ("tcp", Path.POD_TO_SERVICE, Mode.VXLAN): Outcome.WRONG_PATH,
    ("tcp", Path.HOST_TO_POD, Mode.IPIP): Outcome.SLOW,
    ("http", Path.HOST_TO_POD, Mode.VXLAN): Outcome.REGRESSED,
    ("http", Path.POD_TO_POD, Mode.IPIP): Outcome.INCONCLUSIVE,
    ("connect", Path.POD_TO_HOST, Mode.IPIP): Outcome.TOOL_ERROR,
    ("ping", Path.POD_TO_SERVICE, Mode.BGP): Outcome.UNSUPPORTED,
}


def recorded() -> RunRecord:
    """`pytest --calico-mode=ipip,bgp,vxlan --calico-rounds=6` on the lab, as it was written."""
    return read_record(HERE / "recordings" / "lab.json")


def hundred_cells() -> RunRecord:
    """Five modes, four paths, five probes and their controls: large, and with every end a cell can have."""
    chance = random.Random(4)
    results = []
    for probe, (unit, better, level) in PROBES.items():
        host = _values(chance, level, 0.02)
        cell = Cell(probe, Path.HOST_TO_HOST, None)
        results.append(_result(cell, unit, better, host, {}, chance))
        for path in PATHS:
            control = dict(enumerate(_values(chance, level, 0.02), start=1))
            for mode, share in SHARE.items():
                pace = level * (share if better is Better.HIGHER else 1 / share)
                samples = _values(chance, pace, 0.02)
                made = _result(Cell(probe, path, mode), unit, better, samples, control, chance)
                end = ENDS.get((probe, path, mode))
                results.append(_ended(made, end) if end else made)
    return RunRecord(
        cluster={
            "name": f"prod {HOSTILE}",
            "kind": "kubernetes",
            "nodes": [
                {"name": f"worker-{n} {HOSTILE}", "address": f"198.18.0.{n}", "kernel": "6.1.0", "cpus": 8}
                for n in (1, 2, 3)
            ],
            "pair": ["worker-1", "worker-2"],
            "calico": {"version": "v3.31.0"},
            "pod_mtu": {"bgp": 1500, "ipip": 1480, "vxlan": 1450},
            "notes": [f"a note {HOSTILE}"],
            HOSTILE: {HOSTILE: HOSTILE},
        },
        profile={
            "name": "standard",
            "rounds": ROUNDS,
            "warm_up_rounds": 1,
            "probes": {"tcp": {"command": f"iperf3 -c HOST {HOSTILE}", "rounds": ROUNDS}},
        },
        modes=tuple(SHARE),
        results=tuple(results),
        started="2026-11-23T14:40:00+00:00",
        wall_seconds=5400.0,
        measuring_seconds=4400.0,
        interrupted=True,
        command=("pytest", "--calico-mode=bgp,ipip", f"--calico-cluster={HOSTILE}"),
        software={"pytest-calico-perf": "0.1.0", "python": "3.11.2", HOSTILE: HOSTILE},
    )


def _values(chance: random.Random, level: float, noise: float) -> tuple[float, ...]:
    return tuple(level * chance.lognormvariate(0, noise) for _ in range(ROUNDS))


def _result(cell, unit, better, samples, control, chance) -> CellResult:
    numbers = tuple(range(1, ROUNDS + 1))
    if unit is Unit.SECOND:
        runs = [
            {"percentiles": sorted(value * chance.lognormvariate(0, 0.3) for _ in range(101))}
            for value in samples
        ]
    else:
        runs = [
            {
                "interval_seconds": 1.0,
                "intervals": [value * chance.lognormvariate(0, 0.05) for _ in range(10)],
            }
            for value in samples
        ]
    return CellResult(
        cell,
        Outcome.OK,
        unit,
        better,
        samples=samples,
        rounds=numbers,
        details={"mss": 1448.0, "retransmits": 12.5, "congestion_control": "cubic", "version_client": "3.16"},
        runs=tuple(runs) if cell.mode else (),
        evidence={
            "line": f"node worker-1 {HOSTILE} sends to 198.19.2.1 by tunl0: 81230 packets went through the tunnel",
            "client": {"node": "worker-1", "address": "198.19.1.1"},
            "forward": {"destination": "198.19.2.0/26", "device": "tunl0", "protocol": "bird", "mtu": 1480},
            "tunnel_packets": {"ipip": {"before": 120, "after": 81_230}},
        },
        control=control,
        verdicts=(Verdict("min: 1 Mbit/s", "prod.yaml:41: thresholds", Outcome.OK, f"met {HOSTILE}"),)
        if cell.mode
        else (),
        remarks=(f"the client's processor was busy {HOSTILE}",) if cell.mode is Mode.IPIP else (),
        commands=tuple(
            Ran(
                f"{where} {HOSTILE}",
                ("iperf3", "-c", "198.19.2.1", "-J", HOSTILE),
                code,
                2.1,
                _output(),
                ROUNDS,
            )
            for where, code in (("pod client", 0), ("pod server", None))
        ),
        past=tuple(
            PastValue(f"2026-11-{day:02d} 02:00 UTC", summarize(_values(chance, samples[0], 0.02)))
            for day in (20, 21, 22)
        )
        if cell.mode
        else (),
    )


def _output() -> str:
    return f"{HOSTILE}\n" + "\n".join(
        f'{{"start": {n}, "bits_per_second": 9412345678.9}}' for n in range(200)
    )


def _ended(result: CellResult, outcome: Outcome) -> CellResult:
    """The same, ended so."""
    reason = f"why: {HOSTILE} " + "and at length " * 30
    verdicts = (Verdict("baseline last.json", "--calico-baseline", outcome, reason),)
    if outcome in (Outcome.SLOW, Outcome.REGRESSED, Outcome.INCONCLUSIVE):
        return dataclasses.replace(result, outcome=outcome, reason=reason, verdicts=verdicts)
    failed = dataclasses.replace(
        result, outcome=outcome, reason=reason, verdicts=(), samples=(), rounds=(), runs=(), past=()
    )
    if outcome is Outcome.WRONG_PATH:
        return dataclasses.replace(failed, wrong_samples=result.samples)
    return dataclasses.replace(failed, diagnosis=_diagnosis()) if outcome is Outcome.UNREACHABLE else failed


def _diagnosis() -> dict:
    return {
        "path": "pod-to-pod",
        "mode": "bgp",
        "symptom": "small-ping",
        "said": f"no reply {HOSTILE}",
        "sentence": f"no BGP session between worker-1 and worker-2 {HOSTILE}",
        "remedy": f"open TCP port 179 {HOSTILE}",
        "works": ["vxlan", HOSTILE],
        "findings": [
            {
                "fault": "bgp-port-blocked",
                "link": "bgp",
                "title": f"BGP's port is blocked {HOSTILE}",
                "broken": "worker-1 cannot connect to port 179 of worker-2",
                "facts": [f"birdc says Connect on worker-1 {HOSTILE}"],
                "meaning": "The nodes never learn each other's pods.",
                "remedy": "open TCP port 179",
            }
        ],
        "checks": [{"link": "bgp", "where": "worker-1", "state": "broken", "says": f"Connect {HOSTILE}"}],
        "not_seen": [f"filter of worker-2: no permission {HOSTILE}"],
        "commands": [
            {"endpoint": "worker-1", "argv": ["birdc", HOSTILE], "exit_code": 0, "seconds": 0.1,
             "output": _output(), "times": 1},
        ],
    }  # fmt: skip
