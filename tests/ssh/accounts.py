"""Users of the lab's nodes that owe nothing to this machine's: its root's login shell may print, or take its time."""

from __future__ import annotations

from pathlib import Path

from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint

USER = "measurer"


def make_accounts(node: LabEndpoint) -> None:
    """In all of a lab's nodes, since they share their files: root, and a user without rights, both of them plain."""
    home = f"{node.scratch}/home"
    node.write_file(f"{home}/.hushlogin", "")
    others = [
        line
        for line in Path("/etc/passwd").read_text().splitlines()
        if not line.startswith(("root:", f"{USER}:"))
    ]
    mine = [f"root:x:0:0:root:{home}:/bin/bash", f"{USER}:x:64001:64001::{home}:/bin/sh"]
    node.write_file(f"{node.scratch}/passwd", "\n".join([*mine, *others, ""]))
    # Seen in the lab only: it has a mount namespace of its own.
    node.run(["mount", "--bind", f"{node.scratch}/passwd", "/etc/passwd"], limit=10).check()
