"""How our own objects in a cluster are known: names and labels. Nothing without them is ever deleted."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

MANAGER = "pytest-calico-perf"
"""Value of the managed-by label, and the field manager of what we apply."""

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = "pytest-calico-perf/run"
MODE = "pytest-calico-perf/mode"
ROLE = "pytest-calico-perf/role"

SELECTOR = f"{MANAGED_BY}={MANAGER}"
"""Label selector of everything of ours, of whatever run."""


def new_run_id() -> str:
    """Six small letters, none a vowel, that end the name of everything a run makes."""
    alphabet = "bcdfghjkmnpqrstvwxz"
    return "".join(secrets.choice(alphabet) for _ in range(6))


def labels(run: str, **more: str) -> Mapping[str, str]:
    """The labels of an object of a run; `mode` and `role` by keyword."""
    extra = {"mode": MODE, "role": ROLE}
    return {MANAGED_BY: MANAGER, RUN: run, **{extra[key]: value for key, value in more.items()}}


def selector(run: str) -> str:
    """Label selector of what one run made."""
    return f"{SELECTOR},{RUN}={run}"


def owner() -> str:
    """Who we are, for whoever finds our objects: user, machine, process. No secret is in it."""
    return f"{_user()} on {socket.gethostname()}, process {os.getpid()} started at {_started(os.getpid())}"


def owner_is_alive(text: str) -> bool:
    """Whether `text`, as `owner()` wrote it, names a process of this machine that still runs.

    Of another machine's processes nothing is known here: they count as dead, and a person decides.
    """
    match = re.search(r" on (\S+), process (\d{1,9}) started at (\d{1,20})$", text, re.ASCII)
    if match is None or match[1] != socket.gethostname():
        return False
    return _started(int(match[2])) == match[3]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container with a user of no name
        return f"user {os.getuid()}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
