"""`python -m pytest_calico_perf report`: a report of a run that is over, or of several side by side."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_calico_perf.errors import CalicoPerfError, UsageProblem

_LONGEST_MESSAGE = 200
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
        _check_spared(paths, output)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding cannot hold is written as a code
        sys.stdout.reconfigure(errors="backslashreplace")
    runs = rendering.read_runs(paths)
    try:
        if output is None:
            rendering.print_text(runs, references, sys.stdout, shutil.get_terminal_size().columns)
            return
        page = rendering.page(runs, references)
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        # Reading refuses what is known to be impossible. Facts of a probe may hold anything else.
        what = " ".join(ascii(str(error)).strip("'\"").split())[:_LONGEST_MESSAGE]
        raise UsageProblem(
            f"it holds what cannot be shown ({type(error).__name__}: {what})",
            where=f"record {' or '.join(map(str, paths))}",
            remedy="name a file that --calico-json wrote, unchanged",
        ) from error
    save(page, output, "the report")


def _check_spared(paths: Sequence[Path], output: Path) -> None:
    """The page must not replace what it is made of: the samples are nowhere else."""
    for path in paths:
        with suppress(OSError):
            if path.resolve() == output.resolve() or path.samefile(output):
                raise UsageProblem(
                    f"it is the record {path}, which the report would replace",
                    where=f"--output {output}",
                    remedy="name another file",
                )


def _complain(problem: CalicoPerfError, code: int) -> int:
    sys.stderr.write(f"pytest_calico_perf: {problem}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
