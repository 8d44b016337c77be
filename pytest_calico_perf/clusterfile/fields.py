"""What every cluster file has in common: types of fields, the base model, and `ClusterFile` itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pytest_calico_perf.clusterfile.located_yaml import FieldPath, LocatedYaml
from pytest_calico_perf.errors import ClusterFileProblem, did_you_mean
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.precision import parse_precision
from pytest_calico_perf.units import parse_rate

MOST_ROUNDS = 100_000
"""Rounds of a cell; more than anybody has the time for."""

LONGEST_DURATION = 86_400
"""Measuring time of one sample, in seconds: a day."""


Blame = Callable[[str, str], ClusterFileProblem]
"""Makes a problem of what happened and what to do about it; knows the field."""


def misfit(field: FieldPath, message: str, *, other: FieldPath = ()) -> PydanticCustomError:
    """A field that is fine alone but not beside the others; `other` is one it collides with."""
    return PydanticCustomError("misfit", "{message}", {"message": message, "field": field, "other": other})


def _network(value: object) -> IPv4Network:
    if not isinstance(value, str) or "/" not in value:
        raise ValueError("must be an IPv4 range such as 198.18.0.0/24")
    return IPv4Network(value)


def _bit_per_second(value: object) -> object:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return round(parse_rate(value))
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a rate with its unit, such as 200 Mbit/s (bit/s, kbit/s, Mbit/s, Gbit/s)")


def _no_repeats(words: tuple[Any, ...]) -> tuple[Any, ...]:
    for index, word in enumerate(words):
        if word in words[:index]:
            raise ValueError(f"{word} is there twice")
    return words


_OneOrMore = (Field(min_length=1), AfterValidator(_no_repeats))
Modes = Annotated[tuple[Mode, ...], *_OneOrMore]
Paths = Annotated[tuple[Path, ...], *_OneOrMore]
Names = Annotated[tuple[StrictStr, ...], *_OneOrMore]
Network = Annotated[IPv4Network, BeforeValidator(_network)]
Rate = Annotated[int, BeforeValidator(_bit_per_second), Field(ge=10**6, le=10**11)]
Precision = Annotated[float, BeforeValidator(parse_precision)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
Seconds = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]


class Model(BaseModel):
    """Frozen, kebab-case outside, and no field goes unnoticed that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _know_all_fields(cls, data: object) -> object:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known:
                    message = f"unknown field{did_you_mean(key, known)} (known: {', '.join(known)})"
                    raise misfit((key,), message)
        return data


class Defaults(Model):
    """What a run of this cluster does where the user does not say. None leaves it to the plugin.

    Attributes:
        modes: Modes to compare.
        profile: Name of the profile.
        rounds: Rounds of each cell.
        precision: A block ends early when each cell is known to this fraction; 0 takes all rounds.
        duration: Measuring time of one sample, in seconds.
        paths: Paths to measure.
        probes: Names of the probes to run.
    """

    modes: Modes | None = None
    profile: StrictStr | None = None
    rounds: Annotated[StrictInt, Field(ge=1, le=MOST_ROUNDS)] | None = None
    precision: Precision | None = None
    duration: Annotated[Seconds, Field(le=LONGEST_DURATION)] | None = None
    paths: Paths | None = None
    probes: Names | None = None


class OwnProfile(Model):
    """A profile of the file's own. What it leaves out is as in `standard`.

    Attributes:
        rounds: Rounds that count; with a precision, at most.
        precision: A block ends early when each cell is known to this fraction; 0 takes all rounds.
        warm_up_rounds: Rounds before these, dropped.
        paths: Paths to measure.
        probes: Probe -> those of its parameters that are not the standard ones; `profiles.py` reads them.
    """

    rounds: Annotated[StrictInt, Field(ge=1, le=MOST_ROUNDS)] | None = None
    precision: Precision | None = None
    warm_up_rounds: Annotated[StrictInt, Field(ge=0, le=MOST_ROUNDS)] | None = None
    paths: Paths | None = None
    probes: Annotated[Mapping[StrictStr, Mapping[StrictStr, Any] | None], Field(min_length=1)] | None = None


class ClusterFile(Model):
    """What every cluster file says, whatever the kind of cluster.

    Attributes:
        name: The cluster's name in reports.
        description: One sentence for people.
        defaults: What a run does where the user does not say.
        profiles: Own profiles by name.
        thresholds: What cells must keep, by probe, path and mode; `gate/thresholds.py` reads them.
        expect: Expectations such as `bgp >= ipip * 1.0`; `gate/expectations.py` reads them.
    """

    name: Name
    description: StrictStr = ""
    defaults: Defaults = Defaults()
    profiles: Mapping[Name, OwnProfile] = Field(default_factory=dict)
    thresholds: Mapping[StrictStr, Any] | None = None
    expect: tuple[StrictStr, ...] = ()

    _document: LocatedYaml = PrivateAttr(default=LocatedYaml("(no file)", {}, {}))

    @property
    def source(self) -> str:
        """The file it was read from."""
        return self._document.source

    def problem(self, field: FieldPath, message: str, *, remedy: str = "") -> ClusterFileProblem:
        """A problem with a field, which is spelt as in the file: `("profiles", "mine", "warm-up-rounds")`."""
        return self._document.problem(field, message, remedy=remedy)

    def place(self, field: FieldPath) -> str:
        """Where a field stands, for people: `prod.yaml:41: thresholds.tcp.min`."""
        return self._document.place(field)

    def check(self) -> None:
        """Check what the file names on this machine: credentials, keys. Touches no network.

        Raises:
            ClusterFileProblem: Something is not there or cannot be used.
        """

    def check_modes(self, modes: Iterable[Mode]) -> None:
        """Check that this cluster can carry the modes.

        Raises:
            UsageProblem: It cannot carry one of them.
        """
        raise NotImplementedError
