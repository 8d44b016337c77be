"""What does a web service see?"""

import pytest

from pytest_calico_perf.fixtures import MeasuredCell


@pytest.mark.calico(probe="http")
def test_http(calico_cell: MeasuredCell) -> None:
    """Requests by ab to a single-process nginx, a new connection each."""
    calico_cell.measure()


@pytest.mark.calico(probe="http-keepalive")
def test_http_keepalive(calico_cell: MeasuredCell) -> None:
    """Requests by ab to a single-process nginx over kept connections."""
    calico_cell.measure()
