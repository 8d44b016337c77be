"""Clusters on the wire. Their nodes are network namespaces: without root the tests that need them are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake import FakeApi
from tests.kubernetes.plane import CalicoSpec, Plane
from tests.kubernetes.world import World

MakeWorld = Callable[..., World]


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
