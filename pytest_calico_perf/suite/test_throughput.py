"""How much gets through?"""

import pytest

from pytest_calico_perf.fixtures import MeasuredCell


@pytest.mark.calico(probe="tcp")
def test_tcp(calico_cell: MeasuredCell) -> None:
    """One TCP stream by iperf3, forward and reverse."""
    calico_cell.measure()


@pytest.mark.calico(probe="tcp-parallel")
def test_tcp_parallel(calico_cell: MeasuredCell) -> None:
    """Several TCP streams at once by iperf3, forward and reverse."""
    calico_cell.measure()


@pytest.mark.calico(probe="udp")
def test_udp(calico_cell: MeasuredCell) -> None:
    """UDP at fixed offered rates: what arrives, what is lost, jitter."""
    calico_cell.measure()


@pytest.mark.calico(probe="iperf")
def test_iperf(calico_cell: MeasuredCell) -> None:
    """One TCP stream by iperf 2, as in the published comparison."""
    calico_cell.measure()
