"""Sandboxes for the tests of the lab. Without root they are skipped: see tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_calico_perf.cluster.lab.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of the test's own with the namespaces `one` and `two`."""
    with Sandbox.start() as started:
        started.add_namespaces(["one", "two"])
        yield started
