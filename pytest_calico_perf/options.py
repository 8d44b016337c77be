"""The settings' names: option, environment variable, ini key. Light, since every pytest run imports it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_calico_perf.model import Mode, Path, Provision

DEFAULT_CLUSTER = "lab"
DEFAULT_PROFILE = "quick"
# The glossary's words, repeated here so that `--help` need not import the probes; a test holds them together.
PROBE_NAMES = ("ping", "tcp", "tcp-parallel", "udp", "iperf", "http", "http-keepalive", "connect", "link")


@dataclass(frozen=True)
class Option:
    """One setting's names: `--calico-mode`, `CALICO_PERF_MODE`, `calico_mode`.

    Attributes:
        word: The part they share.
        metavar: How `--help` shows its value; empty for a switch.
        help: What it does, for `--help`.
        repeatable: Whether giving it again adds to it instead of replacing it.
    """

    word: str
    metavar: str
    help: str
    repeatable: bool = False

    @property
    def flag(self) -> str:
        """Command line option."""
        return f"--calico-{self.word}"

    @property
    def variable(self) -> str:
        """Environment variable."""
        return f"CALICO_PERF_{self.word.upper()}"

    @property
    def ini(self) -> str:
        """Key in pytest's configuration; also the option's `dest`."""
        return f"calico_{self.word}"


OPTIONS: tuple[Option, ...] = (
    Option(
        "cluster",
        "NAME|FILE",
        f"Where to measure: a cluster file or its bare name (default {DEFAULT_CLUSTER}).",
    ),
    Option(
        "mode",
        "MODE[,MODE...]",
        f"Modes to compare, the first is what ratios divide by: {', '.join(Mode)}.",
        repeatable=True,
    ),
    Option("path", "PATH[,PATH...]", f"Paths to measure: {', '.join(Path)}.", repeatable=True),
    Option("probe", "PROBE[,PROBE...]", f"Probes to run: {', '.join(PROBE_NAMES)}.", repeatable=True),
    Option(
        "profile",
        "NAME",
        f"quick, standard, article, or one of the cluster file's own (default {DEFAULT_PROFILE}).",
    ),
    Option("rounds", "N", "Rounds, each with every mode once: one sample per cell and round."),
    Option(
        "duration",
        "SECONDS",
        "Measuring time of one sample (whole seconds where the tool knows no fractions).",
    ),
    Option("json", "FILE", "Write every sample, interval, outcome and piece of evidence there."),
    Option(
        "provision",
        "|".join(Provision),
        "How a real cluster gets into a mode: by pools of our own, side by side (default), or by switching"
        " its own pool from mode to mode, which changes everybody's traffic.",
    ),
    Option(
        "keep", "", "Leave the cluster up at the end, and print how to enter a node and how to take it down."
    ),
)

ACTIONS: tuple[Option, ...] = (
    Option(
        "restore",
        "",
        "Put back what a killed run with --calico-provision=switch had changed, instead of measuring.",
    ),
    Option(
        "cleanup",
        "",
        "Remove what crashed runs left in a real cluster, instead of measuring; with --collect-only show it.",
    ),
)
"""What is done instead of measuring: on the command line only, since nobody wants it every time."""
