"""What explains, or casts doubt on, a cell's figures, a sentence each; no remark changes an outcome.

Every rule asks for a plain and lasting effect, a factor of two rather than a few percent: on a healthy cell,
a noisy one included, there is to be no remark. Small differences are what intervals and verdicts are for.
"""

from __future__ import annotations

from pytest_calico_perf.model import CellResult
from pytest_calico_perf.remarks.ends import busy_ends, sent_again, uneven_directions, unlike_offered
from pytest_calico_perf.remarks.inside import changing_rate
from pytest_calico_perf.remarks.rounds import lost_rounds, odd_round, two_groups
from pytest_calico_perf.remarks.waits import lost_echoes, slow_echoes, slow_requests

_LOOKS = (
    changing_rate,
    two_groups,
    odd_round,
    uneven_directions,
    sent_again,
    busy_ends,
    unlike_offered,
    lost_echoes,
    slow_echoes,
    slow_requests,
    lost_rounds,
)


def remarks(result: CellResult) -> tuple[str, ...]:
    """What its runs show beside their medians: sentences without a full stop, the most telling first.

    Args:
        result: A cell's result; one without samples has no remarks.
    """
    if not result.samples:
        return ()
    return tuple(text for look in _LOOKS for text in look(result))
