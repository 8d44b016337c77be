"""How our own objects in a cluster are known: labels and names. Nothing without both is ever deleted."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.parsing import lookup

MANAGER = "pytest-calico-perf"
"""Value of the managed-by label, and the field manager of what we apply."""

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = "pytest-calico-perf/run"
MODE = "pytest-calico-perf/mode"
ROLE = "pytest-calico-perf/role"

OWNER = "pytest-calico-perf/owner"
"""Annotation of everything of ours that says who made it, as `owner()` writes it."""

SELECTOR = f"{MANAGED_BY}={MANAGER},{RUN}"
"""Label selector of everything of ours, of whatever run."""

_ID = r"[a-z0-9]{6}"
_OWNER = re.compile(
    r" on (\S{1,255}), process ([1-9]\d{0,8}) started at (\d{1,20}) of boot (\S{1,64}) in (\S{1,64})$",
    re.ASCII,
)
_UNKNOWN = "unknown"


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
    return f"{MANAGED_BY}={MANAGER},{RUN}={run}"


def is_our_name(name: str, run: str, *, namespaced: bool) -> bool:
    """Whether a run would have called an object that, so that a label alone condemns nothing.

    Args:
        name: Of the object.
        run: Id of the run, as the object's label says.
        namespaced: Whether it is in a namespace (pods, Services), or is of the cluster (namespaces, pools).
    """
    if not re.fullmatch(_ID, run, re.ASCII):
        return False
    if namespaced:
        return name.endswith(f"-{run}")
    return re.fullmatch(rf"calico-perf-([a-z0-9-]+-)?{run}(-hosts)?", name, re.ASCII) is not None


def refuse_others(there: Json | None, run: str, what: str) -> None:
    """See that an object is this run's, or not there, before it is applied by force.

    Args:
        there: The object that has the name now.
        run: Id of this run.
        what: The object, for people.

    Raises:
        ClusterProblem: It is another run's, or none of ours.
    """
    if there is None:
        return
    found = lookup(there, "metadata", "labels")
    if (lookup(found, MANAGED_BY), lookup(found, RUN)) != (MANAGER, run):
        raise ClusterProblem(
            "there is one of that name already that this run did not make; it is left as it is",
            where=what,
            remedy="run again: every run has names of its own",
        )


class Life(StrEnum):
    """What is known here of the process that made something."""

    ALIVE = "alive"
    OVER = "over"
    UNKNOWN = "unknown"


def owner() -> str:
    """Who we are, for whoever finds our objects: user, machine, process. No secret is in it.

    A process number means something only in its PID namespace, and only until the machine is started anew
    (pid_namespaces(7); random(4), boot_id).
    """
    pid = os.getpid()
    return (
        f"{_user()} on {socket.gethostname()}, process {pid} started at {_started(pid)} "
        f"of boot {_boot()} in {_pid_namespace()}"
    )


def life_of(text: str) -> Life:
    """Whether the process that `text` names, as `owner()` wrote it, still runs.

    Of processes of another machine, of another boot of maybe this one, or of another container nothing is
    known here.
    """
    match = _OWNER.search(text)
    if match is None:
        return Life.UNKNOWN
    machine, pid, started, boot, namespace = match.groups()
    here = (socket.gethostname(), _boot(), _pid_namespace())
    if (machine, boot, namespace) != here or _UNKNOWN in here[1:]:
        return Life.UNKNOWN
    try:
        os.kill(int(pid), 0)  # signal 0 asks whether there is one (kill(2)), which no mount option hides
    except ProcessLookupError:
        return Life.OVER
    except PermissionError:
        pass  # there is one, of somebody else
    now = _started(int(pid))
    if not now:  # proc(5), hidepid
        return Life.UNKNOWN
    return Life.ALIVE if now == started else Life.OVER


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container with a user of no name
        return f"user {os.getuid()}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or _UNKNOWN
    except OSError:
        return _UNKNOWN


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path: `pid:[4026531836]`
    except OSError:
        return _UNKNOWN


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty if nobody says.

    Of one that has ended and was not waited for yet (fields 3, Z and X), the word `ended`.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] in "ZX" else fields[19]
