"""How our own objects in a cluster are known: names and labels. Nothing without them is ever deleted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

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
