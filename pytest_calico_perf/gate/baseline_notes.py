"""What every report must say of the runs that cells were held against: what differs, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from pytest_calico_perf.gate.earlier import EarlierRun
from pytest_calico_perf.gate.fingerprint import Fingerprint, differences
from pytest_calico_perf.gate.request import By
from pytest_calico_perf.model import Cell

_SHOWN = 10  # of a list in a note


def what_differs(bases: Sequence[EarlierRun], here: Fingerprint, by: By) -> Iterator[str]:
    """Each difference once, with the latest of the baselines that have it.

    Args:
        bases: Those that cells were held against, in order of time.
        here: Where this run measures, and how.
        by: What is compared.
    """
    for base, foreign in _by_difference(bases, lambda base: differences(base.fingerprint.place, here.place)):
        yield (
            f"the baseline of {base.label} is of another place, so only ratios to host-to-host were "
            f"compared: {foreign}"
        )
    for base, changed in _by_difference(
        bases, lambda base: differences(base.fingerprint.software, here.software)
    ):
        what = " (what that does to hosts, too, --calico-baseline-by=ratio leaves out)"
        yield f"since the baseline of {base.label} changed: {changed}{what if by is By.VALUE else ''}"
    for base in bases:
        if not base.commands:
            yield f"{base.path} does not say with which parameters its probes ran"


def what_is_missing(runs: Sequence[EarlierRun], measured: Collection[Cell]) -> Iterator[str]:
    """Cells that an earlier run has and this one has not, a note per run that was the last to have them.

    Args:
        runs: Those that cells could be held against, in order of time.
        measured: Cells with a sample in this run.
    """
    last = {cell: run for run in runs for cell, earlier in run.cells.items() if earlier.samples}
    missing: dict[str, list[str]] = {}
    for cell, run in last.items():
        if cell not in measured:
            missing.setdefault(run.label, []).append(str(cell))
    for label, cells in sorted(missing.items()):
        yield f"in the baseline of {label}, but without a sample in this run: {some(cells)}"


def some(things: Sequence[str], joint: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = len(things) - _SHOWN
    return joint.join(things[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _by_difference(
    bases: Sequence[EarlierRun], of: Callable[[EarlierRun], Sequence[str]]
) -> Iterator[tuple[EarlierRun, str]]:
    found = {"; ".join(different): base for base in bases if (different := of(base))}
    return ((base, text) for text, base in found.items())
