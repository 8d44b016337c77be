"""Clusters on the wire. Their nodes are network namespaces: without root the tests that need them are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes import wire
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi, LocalRuntime, running_pod
from tests.kubernetes.plane import CalicoSpec, Plane
from tests.kubernetes.transport import api_of
from tests.kubernetes.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    """An API server without nodes."""
    with FakeApi() as server:
        yield server


@pytest.fixture
def fake_with_tools() -> Iterator[FakeApi]:
    """One whose pod `tools` runs commands on this machine."""
    with FakeApi(LocalRuntime()) as server:
        server.store.create(PODS, running_pod("tools"), namespace="default")
        yield server


@pytest.fixture
def api(fake: FakeApi, tmp_path: Path) -> Iterator[Api]:
    """A client of it that has been answered once."""
    one = api_of(fake, tmp_path)
    one.version()
    yield one
    one.close()


@pytest.fixture
def plane(fake: FakeApi) -> Iterator[Plane]:
    """Two nodes for it, whose own pool has no encapsulation."""
    with Plane(fake, calico=CalicoSpec(mode=Mode.BGP)) as one:
        yield one


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that is taken for a hiccup would be repeated: then a test fails late, but it fails."""
    monkeypatch.setattr(wire, "_FIRST_CONTACT", 2.0)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Make a cluster: `make_world(CalicoSpec(...), subnets=2, fields={"hosts": "pod"})`."""
    with ExitStack() as stack:

        def make(
            calico: CalicoSpec | None = None, *, fields: dict[str, Any] | None = None, **plane: Any
        ) -> World:
            fake = stack.enter_context(FakeApi())
            cluster = stack.enter_context(Plane(fake, calico=calico, **plane))
            world = World(tmp_path, dict(fields or {}), fake=fake, plane=cluster)
            stack.callback(world.close)
            return world

        yield make
