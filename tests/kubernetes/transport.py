"""What the tests of the transport share: a client of a fake server, and waiting."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.endpoint import PodEndpoint
from pytest_calico_perf.model import EndpointKind
from tests.kubernetes.fake import FakeApi


def api_of(fake: FakeApi, folder: Path, **options: Any) -> Api:
    """A client that waits for nothing long."""
    path = fake.kubeconfig(folder / "kubeconfig")
    return Api(Access(kubeconfig=str(path)), **{"request_seconds": 5.0, "patience": 10.0} | options)


def endpoint_of(api: Api, folder: Path, pod: str = "tools") -> PodEndpoint:
    """The pod whose commands run on this machine, in a folder of the test's."""
    return PodEndpoint(
        api=api,
        namespace="default",
        pod=pod,
        containers={"*": "main"},
        name=f"pod {pod}",
        kind=EndpointKind.POD,
        node="node1",
        address="127.0.0.1",
        own_address="127.0.0.1",
        scratch=str(folder),
    )


def until(true: Callable[[], object], limit: float = 10) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def told(error: BaseException) -> str:
    """All that a report of an error could show but for the test's own frame: message and every variable."""
    assert error.__traceback__
    frames = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())


def alive(pid: int) -> bool:
    """Whether it runs; a process that its new parent has yet to reap does not (proc(5): state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
