"""The settings' names: option, environment variable, ini key. Light, since every pytest run imports it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_calico_perf.model import Mode, Path, Provision

DEFAULT_CLUSTER = "lab"
DEFAULT_PROFILE = "quick"
# The glossary's words, repeated here so that `--help` need not import the probes; a test holds them together.
PROBE_NAMES = ("ping", "tcp", "tcp-parallel", "udp", "iperf", "http", "http-keepalive", "connect", "link")

# The files in `references/`, for the same reason.
REFERENCE_NAMES = ("article", "cni-2020-10g", "cni-2024-40g", "daocloud-2023", "kube-ovn")


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
        return f"CALICO_PERF_{self.word.upper().replace('-', '_')}"

    @property
    def ini(self) -> str:
        """Key in pytest's configuration; also the option's `dest`."""
        return f"calico_{self.word.replace('-', '_')}"


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
        "precision",
        "PERCENT|off",
        "Add rounds until every cell of a block is known to 2% or its verdicts are decided; --calico-rounds"
        " is then the maximum (default 30; off, but in the profile standard).",
    ),
    Option(
        "duration",
        "SECONDS",
        "Measuring time of one sample (whole seconds where the tool knows no fractions).",
    ),
    Option(
        "thresholds",
        "FILE",
        "What cells must keep, by probe, path and mode, in place of the cluster file's `thresholds`.",
    ),
    Option(
        "expect",
        "EXPECTATION",
        "Mode against mode in this run, besides what the cluster file expects: 'bgp >= ipip * 0.95 for tcp'.",
        repeatable=True,
    ),
    Option("strict", "", "Fail what is inconclusive, too."),
    Option("json", "FILE", "Write every sample, interval, outcome and piece of evidence there."),
    Option(
        "summary",
        "FILE",
        "Write a digest for a pull-request comment there, in Markdown.",
    ),
    Option("csv", "FILE", "Write a row per cell and round there, for a spreadsheet."),
    Option(
        "openmetrics",
        "FILE",
        "Write the figures there as OpenMetrics text (node-exporter's textfile collector, a push gateway).",
    ),
    Option(
        "reference",
        "NAME|FILE[,...]",
        f"Show published figures beside the measured ratios: {', '.join(REFERENCE_NAMES)}, or your own file.",
        repeatable=True,
    ),
    Option(
        "baseline",
        "FILE",
        "Hold every cell against an earlier run: a record of --calico-json, or a file of --benchmark-json.",
    ),
    Option(
        "baseline-dir",
        "DIR",
        "Hold every cell against the last good run of this cluster in DIR, and keep this one there if it is"
        " good.",
    ),
    Option(
        "baseline-by",
        "value|ratio",
        "Compare values and their ratios to host-to-host (default), or only the ratios, which travel between"
        " clusters.",
    ),
    Option(
        "tolerance",
        "[PROBE=]PERCENT[,...]",
        "Loss against a baseline that is tolerated (default 5 %); never less than the noise floor.",
        repeatable=True,
    ),
    Option(
        "gate",
        "baseline|history",
        "What decides whether a cell regressed: the last good run (default), or change points among ten runs"
        " or more in DIR.",
    ),
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
        "explain",
        "",
        "Show which threshold, expectation and baseline each cell got, and from where, and measure nothing.",
    ),
    Option(
        "diagnose",
        "",
        "Look which paths carry payload, and why the others do not, and measure nothing: seconds instead of"
        " minutes.",
    ),
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
