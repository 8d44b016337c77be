"""How long and how often: named sets of probes with their parameters, paths and rounds.

`quick`, `standard` and `article` are built in (docs/how-it-measures.md); a cluster file may define its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pytest_calico_perf.clusterfile import ClusterFile
from pytest_calico_perf.errors import SettingProblem, did_you_mean
from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.precision import MOST_ROUNDS, looks_up_to
from pytest_calico_perf.probes import PROBES
from pytest_calico_perf.probes.ab import Connect, Http
from pytest_calico_perf.probes.base import Probe
from pytest_calico_perf.probes.iperf import Iperf
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.link import Link
from pytest_calico_perf.probes.ping import Ping
from pytest_calico_perf.probes.udp import Udp
from pytest_calico_perf.units import format_count, format_percent, parse_rate
from pytest_calico_perf.verdict import MINIMUM_ROUNDS

PUBLISHED_PATHS = (Path.HOST_TO_HOST, Path.HOST_TO_POD, Path.POD_TO_POD)


@dataclass(frozen=True)
class Profile:
    """What is measured in every mode, how long and how often.

    Attributes:
        name: For header and records.
        rounds: Rounds that count; one sample per cell each. With a precision, at most.
        warm_up_rounds: Rounds before these, dropped.
        paths: Paths to measure.
        probes: Probes with their parameters.
        own_rounds: Name of a probe -> its number of rounds, where it differs from `rounds`.
        precision: A block ends early when each of its cells is known to this fraction of its value; None to
            take all rounds.
    """

    name: str
    rounds: int
    warm_up_rounds: int
    paths: tuple[Path, ...]
    probes: tuple[Probe, ...]
    own_rounds: Mapping[str, int] = field(default_factory=dict)
    precision: float | None = None

    @property
    def by_name(self) -> dict[str, Probe]:
        """Probe by its name."""
        return {probe.name: probe for probe in self.probes}

    def rounds_of(self, probe: Probe) -> int:
        """How many rounds of a probe count."""
        return 1 if probe.once else self.own_rounds.get(probe.name, self.rounds)

    @property
    def rounds_text(self) -> str:
        """For people: `6 rounds`, `1 round, tcp 10`, `at most 10 rounds, until known to 2 %`."""
        own = "".join(f", {name} {rounds}" for name, rounds in self.own_rounds.items())
        text = f"{format_count(self.rounds, 'round')}{own}"
        if self.precision is None or not self.adaptive:
            return text
        return f"at most {text}, until known to {format_percent(self.precision)}"

    @property
    def adaptive(self) -> bool:
        """Whether a block may end before all of its rounds are taken; too few rounds leave no look before."""
        most = max((self.rounds, *self.own_rounds.values()))
        return self.precision is not None and looks_up_to(most) is not None

    def on_paths(self, paths: Sequence[Path]) -> Self:
        """The same on other paths."""
        return replace(self, paths=tuple(paths))

    def with_probes(self, names: Sequence[str]) -> Self:
        """The same with other probes; one the profile does not have comes with standard parameters."""
        known = {**{probe.name: probe for probe in STANDARD_PROBES}, **self.by_name}
        return replace(self, probes=tuple(known[name] for name in names))

    def in_rounds(self, rounds: int) -> Self:
        """The same with another number of rounds for every probe."""
        return replace(self, rounds=rounds, own_rounds={})

    def precise_to(self, precision: float | None) -> Self:
        """The same with a precision, as a fraction; None to take all rounds.

        A profile whose rounds were fixed so far may now take up to 30: precision *adds* rounds. `in_rounds`
        sets another limit.
        """
        most = self.rounds if precision is None or self.precision is not None else MOST_ROUNDS
        own = self.own_rounds if most == self.rounds else {}
        return replace(self, precision=precision, rounds=most, own_rounds=own)

    def lasting(self, seconds: float) -> Self:
        """The same with another measuring time of one sample, in seconds."""
        return replace(self, probes=tuple(probe.lasting(seconds) for probe in self.probes))

    def describe(self) -> dict[str, Any]:
        """JSON-able: what a reader of the record needs to repeat it."""
        return {
            "name": self.name,
            "rounds": self.rounds,
            "precision": self.precision if self.adaptive else None,
            "warm_up_rounds": self.warm_up_rounds,
            "paths": [str(path) for path in self.paths],
            "probes": {
                probe.name: {"command": probe.describe(), "rounds": self.rounds_of(probe)}
                for probe in self.probes
            },
        }


STANDARD_PROBES: tuple[Probe, ...] = (
    Ping(count=1000, interval=0.002),
    Tcp(duration=2, omit=1),
    Tcp(duration=2, omit=1, streams=4),
    Udp(rates=(100e6, 500e6), duration=2),
    Iperf(duration=4),
    Http(requests=30_000, concurrency=20),
    Http(requests=45_000, concurrency=20, keepalive=True),
    Connect(requests=10_000),
    Link(),
)

BUILT_IN: tuple[Profile, ...] = (
    Profile(
        name="quick",
        rounds=MINIMUM_ROUNDS,
        warm_up_rounds=1,
        paths=PUBLISHED_PATHS,
        probes=(Ping(), Tcp(), Http(requests=10_000), Link()),
    ),
    Profile(
        name="standard",
        rounds=10,
        precision=0.02,
        warm_up_rounds=1,
        paths=tuple(Path),
        probes=tuple(probe for probe in STANDARD_PROBES if probe.name != "iperf"),
    ),
    # "Calico BGP vs IPIP": one run of each, but ten of iperf3; sender and receiver averaged, forward only.
    Profile(
        name="article",
        rounds=1,
        warm_up_rounds=0,
        paths=PUBLISHED_PATHS,
        probes=(
            Ping(count=20, interval=1.0),
            Link(),
            Iperf(duration=10, interval=1),
            Udp(rates=(1000 * 2**20, 2000 * 2**20), duration=60, tool="iperf"),  # -b 1000M, -b 2000M
            Http(requests=90_000, concurrency=50),
            Tcp(duration=10, omit=0, both_directions=False),
        ),
        own_rounds={"tcp": 10},
    ),
)


def possible_cells(modes: Sequence[Mode], paths: Sequence[Path], probes: Iterable[Probe]) -> tuple[Cell, ...]:
    """Every cell that means something, in the order probe, path, mode; host-to-host once, without a mode."""
    return tuple(
        Cell(probe.name, path, mode)
        for probe in probes
        for path in paths
        if probe.suits(path)
        for mode in (modes if path.has_mode else (None,))
    )


def find_profile(name: str, file: ClusterFile, source: str) -> Profile:
    """The cluster file's profile of that name, else the built-in one.

    Raises:
        ClusterFileProblem: The file's profile has a probe or parameter that does not exist.
        SettingProblem: Nobody has a profile of that name; `source` says where it was asked for.
    """
    built_in = {profile.name: profile for profile in BUILT_IN}
    if name in file.profiles:
        return _own_profile(name, file)
    if name in built_in:
        return built_in[name]
    known = [*built_in, *file.profiles]
    raise SettingProblem(
        f"unknown profile {name!r}{did_you_mean(name, known)}",
        where=source,
        remedy=f"known: {', '.join(known)}",
    )


def _own_profile(name: str, file: ClusterFile) -> Profile:
    entry = file.profiles[name]
    base = next(profile for profile in BUILT_IN if profile.name == "standard")
    probes = base.probes
    if entry.probes:
        probes = tuple(
            _probe(probe, parameters or {}, file, ("profiles", name, "probes", probe))
            for probe, parameters in entry.probes.items()
        )
    precision = base.precision if entry.precision is None else entry.precision or None
    return Profile(
        name=name,
        rounds=entry.rounds or base.rounds,
        precision=precision,
        warm_up_rounds=base.warm_up_rounds if entry.warm_up_rounds is None else entry.warm_up_rounds,
        paths=entry.paths or base.paths,
        probes=probes,
    )


def _probe(name: str, parameters: Mapping[str, Any], file: ClusterFile, field_path: tuple[str, ...]) -> Probe:
    """Build a probe from a file's parameters, on top of its standard ones."""
    if name not in PROBES:
        known = ", ".join(PROBES)
        raise file.problem(
            field_path, f"unknown probe {name!r}{did_you_mean(name, PROBES)}", remedy=f"known: {known}"
        )
    standard = next(probe for probe in STANDARD_PROBES if probe.name == name)
    types = get_type_hints(type(standard))
    fields = {f.name.replace("_", "-"): f.name for f in dataclasses.fields(standard)}  # type: ignore[arg-type]
    values = {}
    for key, value in parameters.items():
        if key not in fields:
            what = f"{name} has no such parameter{did_you_mean(key, fields)}"
            raise file.problem((*field_path, key), what, remedy=f"known: {', '.join(fields)}")
        try:
            values[fields[key]] = _parameter(value, types[fields[key]])
        except ValueError as error:
            raise file.problem((*field_path, key), f"cannot be used: {error}") from None
    try:
        probe = replace(standard, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise file.problem(field_path, f"cannot be used: {error}") from None
    if probe.name != name:
        raise file.problem(field_path, f"with these parameters it is the probe {probe.name}; name it so")
    return probe


def _parameter(value: Any, wanted: Any) -> Any:
    """A value as its field wants it; rates may be written with their unit, `100 Mbit/s`.

    Raises:
        ValueError: It has another type.
    """
    if isinstance(value, list):
        value = tuple(parse_rate(item) if isinstance(item, str) else item for item in value)
    try:
        return TypeAdapter(wanted).validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].lower()) from None
