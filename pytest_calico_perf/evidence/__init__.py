"""What proves that a cell's packets went as its mode says, seen on both nodes before and after measuring.

`look.py` gathers it, `own_run.py` reads the tunnels' counters around one run of the cell's own, `traffic.py`
says how many packets they must have seen, `contradiction.py` holds all of it against the mode, `line.py`
tells it in one sentence, `document.py` as a report has it.
"""

from __future__ import annotations

from pytest_calico_perf.evidence.contradiction import contradiction
from pytest_calico_perf.evidence.document import document
from pytest_calico_perf.evidence.look import Evidence, Ground, Side, Watch, collect, ground_of, reverse
from pytest_calico_perf.evidence.own_run import Counters, OwnRun, read
from pytest_calico_perf.evidence.traffic import Moved, moved

__all__ = [
    "Counters",
    "Evidence",
    "Ground",
    "Moved",
    "OwnRun",
    "Side",
    "Watch",
    "collect",
    "contradiction",
    "document",
    "ground_of",
    "moved",
    "read",
    "reverse",
]
