"""Run records as a campaign leaves them: seeded noise around the figures a real lab gave (reference lab, 2 cores)."""

from __future__ import annotations

import numpy as np

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, RunRecord, Unit

UNITS = {
    "ping": (Unit.SECOND, Better.LOWER),
    "tcp": (Unit.BIT_PER_SECOND, Better.HIGHER),
    "http": (Unit.REQUEST_PER_SECOND, Better.HIGHER),
    "connect": (Unit.CONNECTION_PER_SECOND, Better.HIGHER),
    "link": (Unit.BIT_PER_SECOND, Better.HIGHER),
    "reachability": (Unit.SECOND, Better.LOWER),
}
HOST = {"ping": 9e-6, "tcp": 17.2e9, "http": 21_000.0, "connect": 14_000.0}
SHARE = {  # of host-to-host
    Path.HOST_TO_POD: {Mode.BGP: 0.97, Mode.IPIP: 0.686, Mode.VXLAN: 0.75},
    Path.POD_TO_HOST: {Mode.BGP: 0.96, Mode.IPIP: 0.69, Mode.VXLAN: 0.74},
    Path.POD_TO_POD: {Mode.BGP: 0.913, Mode.IPIP: 0.605, Mode.VXLAN: 0.698},
    Path.POD_TO_POD_SAME_NODE: {Mode.BGP: 1.0, Mode.IPIP: 0.97, Mode.VXLAN: 0.95},
}
EVIDENCE = {
    "client": {"node": "node1", "address": "198.19.1.1"},
    "server": {"node": "node2", "address": "198.19.2.1"},
    "route": "198.19.2.0/26 via 198.18.0.12 dev tunl0 proto bird onlink",
    "tunnel_packets": {"before": 120, "after": 81_230},
}
LINK = {
    node: {
        "interface": "eth0",
        "driver": "veth",
        "speed": None,
        "nominal_speed": 10e9,
        "mtu": 1500,
        "offloads": {"tso": True, "gro": False},
    }
    for node in ("node1", "node2")
}


def record(
    modes=(Mode.BGP, Mode.IPIP, Mode.VXLAN),
    paths=tuple(SHARE),
    probes=("ping", "tcp", "http"),
    rounds=10,
    noise=0.02,
    results=None,
    **fields,
) -> RunRecord:
    """A whole run without failures, with the link's facts."""
    made = [r for probe in probes for r in block(probe, modes, paths, rounds, noise)] + [link()]
    usual = {
        "cluster": {"name": "lab", "kind": "lab", "nodes": [{"name": "node1"}, {"name": "node2"}]},
        "profile": {"name": "quick", "rounds": rounds},
        "started": "2026-11-23T14:40:00+00:00",
        "wall_seconds": 171.0,
        "measuring_seconds": 146.2,
    }
    return RunRecord(
        modes=tuple(modes), results=tuple(made if results is None else results), **{**usual, **fields}
    )


def block(probe, modes, paths, rounds, noise=0.02):
    """A probe on every path, each in a stretch of time of its own: the machine's pace drifts on from path to path.

    The host-to-host cell is the control of the first path, as in a campaign.
    """
    random = np.random.default_rng([len(probe), rounds])
    numbers = tuple(range(1, rounds + 1))
    drift = np.ones(rounds)
    unit, better = UNITS[probe]

    def values(level):
        return tuple(float(v) for v in level * drift * np.exp(random.normal(0, noise, rounds)))

    results = []
    for path in paths or (Path.HOST_TO_HOST,):
        drift = drift[-1] * np.exp(np.cumsum(random.normal(0, noise, rounds)))
        host = values(HOST[probe])
        if not results:
            cell = Cell(probe, Path.HOST_TO_HOST, None)
            results.append(CellResult(cell, Outcome.OK, unit, better, samples=host, rounds=numbers))
        for mode in modes if path.has_mode else ():
            share = SHARE[path].get(mode, 0.8)
            level = HOST[probe] * (share if better is Better.HIGHER else 1 / share)
            results.append(
                CellResult(
                    Cell(probe, path, mode),
                    Outcome.OK,
                    unit,
                    better,
                    samples=values(level),
                    rounds=numbers,
                    runs=tuple(
                        {"reverse": {"goodput": value, "retransmits": 3}} for value in values(level * 0.99)
                    )
                    if probe == "tcp"
                    else (),
                    evidence=EVIDENCE,
                    control=dict(zip(numbers, host, strict=True)),
                )
            )
    return results


def link():
    unit, better = UNITS["link"]
    return CellResult(
        Cell("link", Path.HOST_TO_HOST, None),
        Outcome.OK,
        unit,
        better,
        samples=(10e9,),
        rounds=(1,),
        details=LINK,
    )


def failed(probe, path, mode, outcome, reason, samples=()):
    unit, better = UNITS[probe]
    return CellResult(
        Cell(probe, path, mode),
        outcome,
        unit,
        better,
        samples=tuple(samples),
        rounds=tuple(range(1, len(samples) + 1)),
        reason=reason,
    )
