"""How long does a packet take, and how long a new connection?"""

import pytest

from pytest_calico_perf.fixtures import MeasuredCell


@pytest.mark.calico(probe="ping")
def test_ping(calico_cell: MeasuredCell) -> None:
    """ICMP echo: round-trip time, its spread, and loss."""
    calico_cell.measure()


@pytest.mark.calico(probe="connect")
def test_connect(calico_cell: MeasuredCell) -> None:
    """New TCP connections, one after the other, each with one request."""
    calico_cell.measure()
