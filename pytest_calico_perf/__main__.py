"""`python -m pytest_calico_perf report`: a report of a run that is over, or of several side by side."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_calico_perf.errors import CalicoPerfError, UsageProblem

_OK, _FAILED, _USAGE = 0, 1, 4  # pytest's exit codes, so that both commands mean the same


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: Without the program's name; by default the process's own.

    Returns:
        0, or 4 for bad input, or 1 where the report could not be written.
    """
    options = _parser().parse_args(arguments)
    try:
        _report(options.record, options.output, options.reference)
    except UsageProblem as problem:
        return _complain(problem, _USAGE)
    except CalicoPerfError as problem:
        return _complain(problem, _FAILED)
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
    return _OK


class _Parser(argparse.ArgumentParser):
    """Exits as pytest does when the command line is wrong; argparse would say 2."""

    def exit(self, status: int = 0, message: str | None = None) -> None:  # type: ignore[override]
        super().exit(_USAGE if status else _OK, message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m pytest_calico_perf", description="Reports of runs that are over.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="report")
    report = commands.add_parser(
        "report",
        help="show a record again, or several side by side",
        description="Shows what --calico-json wrote: as text, or as the HTML page of the run. Of several"
        " records it compares every one with the first: two clusters, or before and after an upgrade.",
        epilog="Exit code: 0; 4 if a file cannot be used; 1 if the page could not be written.",
    )
    report.add_argument("record", nargs="+", type=Path, help="a file that --calico-json wrote")
    report.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write one self-contained HTML page there instead",
    )
    report.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="NAME|FILE[,...]",
        help="show published figures beside the measured ratios, as --calico-reference does",
    )
    return parser


def _report(paths: Sequence[Path], output: Path | None, asked: Sequence[str]) -> None:
    # Imported here, so that `--help` answers at once.
    from pytest_calico_perf.report import rendering  # noqa: PLC0415
    from pytest_calico_perf.report.references import load_references  # noqa: PLC0415
    from pytest_calico_perf.report.saving import check_writable, save  # noqa: PLC0415

    names = [name.strip() for text in asked for name in text.split(",")]
    references = load_references(name for name in names if name)
    if output is not None:
        check_writable(output, "report")
    runs = rendering.read_runs(paths)
    if output is not None:
        save(rendering.page(runs, references), output, "the report")
    else:
        rendering.print_text(runs, references, sys.stdout, shutil.get_terminal_size().columns)


def _complain(problem: CalicoPerfError, code: int) -> int:
    sys.stderr.write(f"pytest_calico_perf: {problem}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
