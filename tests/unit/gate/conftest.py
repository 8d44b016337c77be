from __future__ import annotations

import pytest

from tests.unit.gate.earlier_runs import record, written


@pytest.fixture
def last_week(tmp_path):
    return written(tmp_path / "last-week.json", record(seed=1))
