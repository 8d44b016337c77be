"""`python -m pytest_calico_perf.cluster.lab`: see the labs of this machine and take them down."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.janitor import RunningLab
from pytest_calico_perf.errors import CalicoPerfError

PROGRAM = "python -m pytest_calico_perf.cluster.lab"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status: 0, or 1 if it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        match options.action:
            case "list":
                return _list()
            case "clean":
                return _clean()
            case _:
                return _down_all() if options.all else _down(options.pid)
    except CalicoPerfError as problem:
        _say(f"error: {problem}", to_stderr=True)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="See the labs of this machine and take them down."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="show them: run, keeper's process id, who uses it")
    down = actions.add_parser("down", help="take down one, or all that no run is using")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "pid", type=int, nargs="?", metavar="PID", help="process id of its keeper, as `list` shows it"
    )
    which.add_argument("--all", action="store_true", help="every lab that was kept or orphaned")
    actions.add_parser("clean", help="remove orphans: labs whose run died and that were not kept")
    return parser


def _list() -> int:
    found = janitor.labs()
    for lab in found:
        _say(f"{_name(lab)}: {_state(lab)}")
    if not found:
        _say("no lab is up")
    return 0


def _down(pid: int) -> int:
    for lab in janitor.labs():
        if lab.keeper == pid:
            janitor.remove(lab)
            _say(f"{_name(lab)} is down")
            return 0
    _say(f"error: no lab has the keeper {pid}; `{PROGRAM} list` shows those that are up", to_stderr=True)
    return 1


def _down_all() -> int:
    found = janitor.labs()
    for lab in found:
        if lab.owner_alive:
            _say(f"{_name(lab)} stays up: {_state(lab)}")
        else:
            janitor.remove(lab)
            _say(f"{_name(lab)} is down")
    if not found:
        _say("no lab is up")
    return 0


def _clean() -> int:
    removed = janitor.remove_orphans()
    for lab in removed:
        _say(f"{_name(lab)} is down: its run, process {lab.tag.owner}, had died")
    if not removed:
        _say("no orphan was left")
    return 0


def _name(lab: RunningLab) -> str:
    return f"lab {lab.tag.run_id} ({f'keeper {lab.keeper}' if lab.keeper else 'remains of it'})"


def _state(lab: RunningLab) -> str:
    if lab.owner_alive:
        kept = ", to be kept" if lab.kept else ""
        return f"in use by process {lab.tag.owner}{kept}; `{PROGRAM} down {lab.keeper}` would end its run"
    if lab.kept:
        return f"kept; `{PROGRAM} down {lab.keeper}` takes it down"
    return f"orphan of process {lab.tag.owner}; `{PROGRAM} clean` removes it"


def _say(line: str, *, to_stderr: bool = False) -> None:
    (sys.stderr if to_stderr else sys.stdout).write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
