"""Waiting for the end of a process without polling.

`os.pidfd_open` is missing from many an interpreter: CPython leaves it out when built against an old libc,
as the interpreters that uv installs were for years (python/cpython#153463). The system call is there on
every kernel since 5.3, under one number on all architectures Python runs on here.
"""

from __future__ import annotations

import ctypes
import os
import select

_SYS_PIDFD_OPEN = 434  # include/uapi/asm-generic/unistd.h; x86 and arm have the same


def pidfd_open(pid: int) -> int:
    """A descriptor that polls as readable once the process has ended, reaped or not (pidfd_open(2)).

    Raises:
        OSError: There is no such process.
    """
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.syscall(_SYS_PIDFD_OPEN, pid, 0))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    os.set_inheritable(descriptor, False)
    return descriptor


def wait_for_exit(pid: int, *, deadline: float) -> bool:
    """Wait up to `deadline` seconds for the end of a process; return whether it came. Reaps nothing."""
    try:
        descriptor = pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(deadline * 1000))
    finally:
        os.close(descriptor)
