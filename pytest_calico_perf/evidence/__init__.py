"""What proves that a cell's packets went as its mode says, seen on both nodes before and after measuring.

`look.py` gathers it, `contradiction.py` holds it against the mode, `traffic.py` says how many packets the
counters must have seen, `line.py` tells all of it in one sentence.
"""

from __future__ import annotations

from pytest_calico_perf.evidence.contradiction import contradiction
from pytest_calico_perf.evidence.look import Evidence, Ground, Side, collect, ground_of, reverse
from pytest_calico_perf.evidence.traffic import Moved, moved

__all__ = ["Evidence", "Ground", "Moved", "Side", "collect", "contradiction", "ground_of", "moved", "reverse"]
