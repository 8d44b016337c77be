"""Expectations: `bgp >= ipip * 1.0 for tcp on pod-to-pod`, mode against mode in one run.

The sign speaks of values, so it also says for which probes it is meant: `>=` for those where higher is
better, `<=` for those where lower is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pytest_calico_perf.errors import did_you_mean
from pytest_calico_perf.gate.limits import direction, ratio
from pytest_calico_perf.gate.quantities import quantities
from pytest_calico_perf.gate.rules import RatioTo
from pytest_calico_perf.model import Better, Cell, Mode, Path
from pytest_calico_perf.probes import probe_names

HOST = "host"
FORM = "bgp >= ipip * 0.95, with `for PROBE` and `on PATH` after it where it is not meant for all"
_SIGNS = {">=": Better.HIGHER, "<=": Better.LOWER}
_EXPECTATION = re.compile(
    r"(?P<mode>\S+) +(?P<sign>>=|<=) +(?P<base>\S+)(?: +\* +(?P<ratio>[0-9]+(?:\.[0-9]*)?))?"
    r"(?: +for +(?P<probe>\S+))?(?: +on +(?P<path>\S+))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Expectation:
    """One mode against another, or against hosts.

    Attributes:
        mode: Of which something is expected.
        base: What it is held against; None for the host-to-host control.
        ratio: At least (or at most) how much of it.
        better: Direction of the probes it is for.
        probe: The only probe it is for; None for all of that direction.
        path: The only path it is for; None for all.
        text: As it was written.
        source: Where.
    """

    mode: Mode
    base: Mode | None
    ratio: float
    better: Better
    probe: str | None
    path: Path | None
    text: str
    source: str

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read an expectation.

        Raises:
            ValueError: It is none; says why.
        """
        text = " ".join(text.split())
        match = _EXPECTATION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not an expectation: write {FORM}")
        modes = tuple(Mode)
        mode = _known(match["mode"], modes, "mode")
        base = _known(match["base"], (*modes, HOST), "mode")
        if mode == base:
            raise ValueError(f"{mode} divided by itself is always 1")
        probe = match["probe"] and _known(match["probe"], probe_names(), "probe")
        path = match["path"] and _known(match["path"], tuple(Path), "path")
        better = _SIGNS[match["sign"]]
        if probe and not quantities(probe):
            raise ValueError(f"{probe} states facts, which are no samples: there is nothing to expect of it")
        if probe and direction(probe) is not better:
            sign = next(sign for sign, each in _SIGNS.items() if each is direction(probe))
            raise ValueError(f"{probe} is better when {direction(probe)}: write {sign}")
        if path == Path.HOST_TO_HOST:
            raise ValueError(f"{path} has no mode")
        return cls(
            mode=Mode(mode),
            base=None if base == HOST else Mode(base),
            ratio=1.0 if match["ratio"] is None else ratio(float(match["ratio"])),
            better=better,
            probe=probe,
            path=Path(path) if path else None,
            text=text,
            source=source,
        )

    def of(self, cell: Cell) -> RatioTo | None:
        """What it demands of a cell."""
        covers = (
            cell.mode is self.mode
            and self.probe in (None, cell.probe)
            and self.path in (None, cell.path)
            and bool(quantities(cell.probe))
            and direction(cell.probe) is self.better
        )
        return RatioTo(self.base, self.ratio, self.better, self.text, self.source) if covers else None


def _known(word: str, known: tuple[str, ...], what: str) -> str:
    if word not in known:
        raise ValueError(f"unknown {what} {word[:40]!r}{did_you_mean(word, known)} known: {', '.join(known)}")
    return word
