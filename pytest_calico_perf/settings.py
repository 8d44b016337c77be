"""What the user asked for, gathered from four places and checked before anything is touched.

A setting can be given on the command line, as an environment variable, as an ini value or in the cluster
file; the first of these that names it wins. `Source` keeps the place, so that every message can name it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path as FilePath
from typing import TypeVar

from pytest_calico_perf.clusterfile import (
    LONGEST_DURATION,
    MOST_ROUNDS,
    ClusterFile,
    Defaults,
    KubernetesFile,
    load,
)
from pytest_calico_perf.errors import SettingProblem, did_you_mean
from pytest_calico_perf.gate.demands import read_expectations, read_thresholds
from pytest_calico_perf.gate.expectations import Expectation
from pytest_calico_perf.gate.request import Request, read_request
from pytest_calico_perf.gate.thresholds import Thresholds
from pytest_calico_perf.model import Mode, Path, Provision
from pytest_calico_perf.options import DEFAULT_CLUSTER, DEFAULT_PROFILE, OPTIONS
from pytest_calico_perf.precision import FEWEST_ROUNDS, parse_precision
from pytest_calico_perf.probes import probe_names
from pytest_calico_perf.profiles import Profile, find_profile, possible_cells

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True)
class Given:
    """A raw value and the place it was given at."""

    text: str
    source: str


@dataclass(frozen=True)
class Settings:
    """What will be done: all checked, nothing touched yet.

    Attributes:
        cluster_file: The description of where we measure.
        modes: In the user's order.
        profile: With rounds, duration, paths and probes already put in.
        json: Where the record goes; None for nowhere.
        keep: Whether the cluster stays up.
        summary: Where the digest goes; None for nowhere.
        provision: How a real cluster gets into a mode.
        baseline: What earlier runs the cells are held against.
        thresholds: What cells must keep.
        expectations: What modes must be beside one another.
        strict: Whether what is inconclusive fails its test.
        csv: Where the rows for a spreadsheet go; None for nowhere.
        openmetrics: Where the figures for a monitoring system go; None for nowhere.
        references: Names or paths of the published figures to show.
    """

    cluster_file: ClusterFile
    modes: tuple[Mode, ...]
    profile: Profile
    json: FilePath | None
    keep: bool
    provision: Provision = Provision.POOLS
    baseline: Request = field(default_factory=Request)
    thresholds: Thresholds = field(default_factory=Thresholds)
    expectations: tuple[Expectation, ...] = ()
    strict: bool = False
    summary: FilePath | None = None
    csv: FilePath | None = None
    openmetrics: FilePath | None = None
    references: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, FilePath]:
        """What the run will write, by the option that asked for it."""
        asked = {"json": self.json, "summary": self.summary, "csv": self.csv, "openmetrics": self.openmetrics}
        return {f"--calico-{word}": path for word, path in asked.items() if path is not None}


def gather(
    command_line: Mapping[str, Sequence[str] | str | bool | None],
    environment: Mapping[str, str],
    ini: Mapping[str, str],
) -> dict[str, Given]:
    """Pick each setting's value: command line over environment over ini.

    Args:
        command_line: Ini key -> what the parser stored; None where not given.
        environment: The process environment.
        ini: Ini key -> text; empty where not given.

    Returns:
        Word of the option -> value and source, for those given anywhere.
    """
    given: dict[str, Given] = {}
    for option in OPTIONS:
        stored = command_line.get(option.ini)
        if stored not in (None, False, []):
            parts = (
                ["true"]
                if isinstance(stored, bool)
                else [stored]
                if isinstance(stored, str)
                else stored or []
            )
            given[option.word] = Given(",".join(parts), option.flag)
        elif environment.get(option.variable):
            given[option.word] = Given(
                environment[option.variable], f"environment variable {option.variable}"
            )
        elif ini.get(option.ini):
            given[option.word] = Given(ini[option.ini], f"ini value {option.ini}")
    return given


def resolve(given: Mapping[str, Given]) -> Settings:
    """Turn what was given, and the cluster file behind it, into settings.

    Raises:
        UsageProblem: Something cannot be used; the message names where it was given and what would do.
    """
    cluster = given.get("cluster", Given(DEFAULT_CLUSTER, "default"))
    file = load(cluster.text)
    defaults = file.defaults

    modes = _words(given["mode"], Mode) if "mode" in given else defaults.modes or (Mode.CURRENT,)
    file.check_modes(modes)

    asked = given.get("profile", Given(defaults.profile or DEFAULT_PROFILE, f"{file.source}: defaults"))
    profile = find_profile(asked.text, file, asked.source)
    if "path" in given:
        profile = profile.on_paths(_words(given["path"], Path))
    elif defaults.paths:
        profile = profile.on_paths(defaults.paths)
    if "probe" in given:
        profile = profile.with_probes(_names(given["probe"], probe_names()))
    elif defaults.probes:
        for index, name in enumerate(defaults.probes):
            if name not in probe_names():
                raise file.problem(
                    ("defaults", "probes", index),
                    f"unknown probe {name!r}{did_you_mean(name, probe_names())}",
                    remedy=f"known: {', '.join(probe_names())}",
                )
        profile = profile.with_probes(defaults.probes)
    profile = _rounds_and_precision(profile, given, defaults)
    if "duration" in given:
        profile = profile.lasting(_seconds(given["duration"]))
    elif defaults.duration:
        profile = profile.lasting(defaults.duration)
    provision = _provision(given["provision"]) if "provision" in given else Provision.POOLS
    if provision is Provision.SWITCH:
        needs_kubernetes(file, given["provision"].source)
        if "keep" in given and _switch(given["keep"]):
            raise SettingProblem(
                "cannot be together with --calico-provision=switch, which puts the pool back at the end",
                where=given["keep"].source,
                remedy="leave it out, or use --calico-provision=pools",
            )
    file.check()
    expect = given.get("expect")
    cells = possible_cells(modes, profile.paths, profile.probes)
    return Settings(
        cluster_file=file,
        modes=modes,
        profile=profile,
        json=FilePath(given["json"].text) if "json" in given else None,
        keep=_switch(given["keep"]) if "keep" in given else False,
        summary=FilePath(given["summary"].text) if "summary" in given else None,
        csv=FilePath(given["csv"].text) if "csv" in given else None,
        openmetrics=FilePath(given["openmetrics"].text) if "openmetrics" in given else None,
        references=tuple(_split(given["reference"])) if "reference" in given else (),
        provision=provision,
        baseline=read_request(given),
        thresholds=read_thresholds(given.get("thresholds"), file),
        expectations=read_expectations(
            _split(expect) if expect else (), expect.source if expect else "", file, cells
        ),
        strict=_switch(given["strict"]) if "strict" in given else False,
    )


def _rounds_and_precision(profile: Profile, given: Mapping[str, Given], defaults: Defaults) -> Profile:
    """How often: with a precision the rounds are a maximum, whichever of the two was given where."""
    precision = _precision(given["precision"]) if "precision" in given else defaults.precision
    if precision is not None:
        profile = profile.precise_to(precision or None)
    if "rounds" in given:
        profile = profile.in_rounds(_rounds(given["rounds"]))
    elif defaults.rounds:
        profile = profile.in_rounds(defaults.rounds)
    if "precision" in given and precision and not profile.adaptive:
        raise SettingProblem(
            f"{profile.rounds_text} at most leave no look before the last one",
            where=given["precision"].source,
            remedy=f"allow {FEWEST_ROUNDS} rounds or more with --calico-rounds",
        )
    return profile


def needs_kubernetes(file: ClusterFile, source: str) -> KubernetesFile:
    """The file of a real cluster.

    Raises:
        SettingProblem: It is another kind's. A run that quietly left out what it was told to do, at `source`,
            would be taken for one that did it.
    """
    if isinstance(file, KubernetesFile):
        return file
    raise SettingProblem(
        f"is for clusters of kind kubernetes, and {file.name} is none",
        where=source,
        remedy="name a cluster file of that kind, or leave it out",
    )


def _split(given: Given) -> list[str]:
    parts = [part.strip() for part in given.text.split(",")]
    if not all(parts):
        raise SettingProblem(
            f"an empty entry in {given.text!r}", where=given.source, remedy="write a comma list such as a,b"
        )
    return list(dict.fromkeys(parts))


def _names(given: Given, known: Iterable[str]) -> tuple[str, ...]:
    """Check a comma list against the known words, with a suggestion for the nearest."""
    known = tuple(known)
    for part in _split(given):
        if part not in known:
            raise SettingProblem(
                f"unknown name {part!r}{did_you_mean(part, known)}",
                where=given.source,
                remedy=f"known: {', '.join(known)}",
            )
    return tuple(_split(given))


def _words(given: Given, words: type[Word]) -> tuple[Word, ...]:
    return tuple(words(name) for name in _names(given, words))


def _provision(given: Given) -> Provision:
    if given.text not in tuple(Provision):
        raise SettingProblem(
            f"unknown way {_short(given.text)}{did_you_mean(given.text, Provision)}",
            where=given.source,
            remedy=f"known: {', '.join(Provision)}",
        )
    return Provision(given.text)


def _rounds(given: Given) -> int:
    try:
        rounds = int(given.text)
    except ValueError:
        rounds = 0
    if not 1 <= rounds <= MOST_ROUNDS:
        raise SettingProblem(
            f"{_short(given.text)} cannot be used",
            where=given.source,
            remedy=f"give a whole number of rounds, 1 to {MOST_ROUNDS}",
        )
    return rounds


def _precision(given: Given) -> float:
    try:
        return parse_precision(given.text)
    except ValueError as error:
        raise SettingProblem(str(error), where=given.source) from None


def _seconds(given: Given) -> float:
    try:
        seconds = float(given.text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_DURATION:
        raise SettingProblem(
            f"{_short(given.text)} cannot be used",
            where=given.source,
            remedy=f"give a number of seconds above 0, {LONGEST_DURATION} at most",
        )
    return seconds


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


def _switch(given: Given) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if given.text.lower() not in words:
        raise SettingProblem(
            f"{given.text!r} is neither yes nor no", where=given.source, remedy="write true or false"
        )
    return words[given.text.lower()]
