"""Putting this thread, and those it starts, into a network namespace of the lab."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_calico_perf.cluster.lab.keeper import NAMESPACES
from pytest_calico_perf.cluster.lab.sandbox import Sandbox

_CLONE_NEWNET = 0x40000000


@contextmanager
def inside(sandbox: Sandbox, namespace: str) -> Iterator[None]:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{sandbox.pid}/root{NAMESPACES}/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(here)
    finally:
        os.close(here)


def _enter(descriptor: int) -> None:
    # os.setns is there from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
