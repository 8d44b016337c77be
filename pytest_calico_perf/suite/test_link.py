"""What are the nodes wired with?"""

import pytest

from pytest_calico_perf.fixtures import MeasuredCell


@pytest.mark.calico(probe="link")
def test_link(calico_cell: MeasuredCell) -> None:
    """Speed, driver, MTU and offloads of both nodes' uplinks."""
    calico_cell.measure()
