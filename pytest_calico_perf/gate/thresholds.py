"""The `thresholds:` of a cluster file: what is demanded of which cells, and which demand a cell gets.

Demands may stand below a probe, below a path of it, and below a mode of that; `"*"` stands for every one.
Each key of a cell (`min`, `p99`, `ratio-to-host`, ...) is taken from the most specific place that has it:
a named probe counts more than a named path, and that more than a named mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pytest_calico_perf.clusterfile.located_yaml import FieldPath
from pytest_calico_perf.errors import ClusterFileProblem, did_you_mean
from pytest_calico_perf.gate import limits
from pytest_calico_perf.gate.quantities import quantities
from pytest_calico_perf.gate.rules import Limit, RatioTo
from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.probes import probe_names

ANY = "*"
_LEVELS = ("probe", "path", "mode")
_PLACES = ("at the top", "below a probe", "below a path")
_WORDS: tuple[tuple[str, ...], ...] = (probe_names(), tuple(Path), tuple(Mode))


class Document(Protocol):
    """A file whose fields have lines."""

    def place(self, field: FieldPath) -> str:
        """Where a field stands."""

    def problem(self, field: FieldPath, message: str, *, remedy: str = "") -> ClusterFileProblem:
        """A problem with a field."""


@dataclass(frozen=True)
class Entry:
    """A demand and the cells it is for.

    Attributes:
        probe: The probe in whose terms it is.
        scope: Probe, path and mode as written; None stands for every one.
        about: What is demanded: of several entries about the same, a cell gets the most specific one.
        rule: The demand; None takes back what a less specific entry demands.
        field: Where it stands.
    """

    probe: str
    scope: tuple[str | None, str | None, str | None]
    about: str
    rule: Limit | RatioTo | None
    field: FieldPath

    def covers(self, cell: Cell) -> bool:
        """Whether it is for the cell."""
        _, path, mode = self.scope
        return self.probe == cell.probe and path in (None, cell.path) and mode in (None, cell.mode)

    @property
    def rank(self) -> tuple[bool, ...]:
        """How specific it is: the larger, the more."""
        return tuple(word is not None for word in self.scope)


@dataclass(frozen=True)
class Thresholds:
    """Every entry of a file."""

    entries: tuple[Entry, ...] = ()

    @property
    def demand_anything(self) -> bool:
        """Whether there is a demand among the entries, and not only what takes one back."""
        return any(entry.rule for entry in self.entries)

    @classmethod
    def read(cls, written: Mapping[str, Any], document: Document, *above: str) -> Self:
        """Check what a file says.

        Args:
            written: Probe -> path -> mode -> key -> value.
            document: The file.
            above: The field that `written` is the value of; none if it is the whole file.

        Raises:
            ClusterFileProblem: A word is unknown, a value cannot be, or something is said twice.
        """
        entries = tuple(_Reader(document).level(written, above, ()))
        seen: dict[tuple[object, ...], Entry] = {}
        for entry in entries:
            first = seen.setdefault((entry.probe, entry.scope, entry.about), entry)
            if first is not entry:
                raise document.problem(
                    entry.field,
                    f"is demanded twice of the same cells, first in {document.place(first.field)}",
                    remedy="keep one of them",
                )
        return cls(entries)

    def of(self, cell: Cell) -> tuple[Limit | RatioTo, ...]:
        """The demands on a cell."""
        chosen: dict[str, Entry] = {}
        for entry in self.entries:
            best = chosen.get(entry.about)
            if entry.covers(cell) and (best is None or entry.rank > best.rank):
                chosen[entry.about] = entry
        rules = (entry.rule for entry in chosen.values())
        return tuple(
            rule
            for rule in rules
            if rule is not None and not (isinstance(rule, RatioTo) and not rule.suits(cell))
        )


@dataclass(frozen=True)
class _Reader:
    """Walks down a file, gathering the words it passes."""

    document: Document

    def level(self, written: object, field: FieldPath, words: tuple[str | None, ...]) -> Iterator[Entry]:
        """Entries below `field`, which stands for the cells of `words`."""
        if not isinstance(written, Mapping):
            got = "nothing" if written is None else repr(str(written)[:60])
            raise self.document.problem(field, f"should hold `field: value` lines, not {got}")
        known = _WORDS[len(words)] if len(words) < len(_LEVELS) else ()
        for key, value in written.items():
            here = (*field, key)
            if known and (key == ANY or key in known):
                self._check_place(key, here, words)
                yield from self.level(value, here, (*words, None if key == ANY else key))
            elif words and key in limits.keys_of(words[0]):
                yield from self._entries(key, value, here, words)
            else:
                raise self.document.problem(here, self._unknown(key, words))

    def _check_place(self, key: str, field: FieldPath, words: tuple[str | None, ...]) -> None:
        if len(words) == 0 and key != ANY and not quantities(key):
            raise self.document.problem(field, limits.unknown("", key))
        if len(words) == 2 and words[1] == Path.HOST_TO_HOST and key != ANY:
            raise self.document.problem(field, f"{Path.HOST_TO_HOST} has no mode")

    def _entries(
        self, key: str, value: object, field: FieldPath, words: tuple[str | None, ...]
    ) -> Iterator[Entry]:
        probe, path, mode = (*words, None, None, None)[: len(_LEVELS)]
        # What stands below every probe is a rule of each one that has it, in that probe's terms.
        named = [probe] if probe else [name for name in probe_names() if key in quantities(name)]
        for name in named:
            try:
                for about, rule in limits.rules(key, value, name, self.document.place(field)):
                    self._check_base(rule, field, path, mode)
                    yield Entry(name, (probe, path, mode), about, rule, field)
            except limits.Misfit as error:
                raise self.document.problem((*field, *error.field), str(error)) from None

    def _check_base(
        self, rule: Limit | RatioTo | None, field: FieldPath, path: str | None, mode: str | None
    ) -> None:
        if not isinstance(rule, RatioTo):
            return
        if path == Path.HOST_TO_HOST:
            raise self.document.problem(field, f"{Path.HOST_TO_HOST} is what ratios to hosts divide by")
        if mode is not None and mode == rule.base:
            raise self.document.problem((*field, mode), f"{mode} divided by itself is always 1")

    def _unknown(self, key: str, words: tuple[str | None, ...]) -> str:
        """What is wrong with a word that is none here."""
        depth = len(words)
        for level, known in enumerate(_WORDS):
            if key in known and level != depth:
                hint = ', with "*" between them for every path' if (level, depth) == (2, 1) else ""
                return f"{key} is a {_LEVELS[level]}, and stands {_PLACES[level]}{hint}"
        if depth == 0:
            if key in limits.all_keys():
                return 'a demand stands below a probe, or below "*" for every probe'
            return f"unknown probe{did_you_mean(key, _WORDS[0])} (known: {', '.join((ANY, *_WORDS[0]))})"
        probe = words[0]
        if key in limits.all_keys():
            return limits.unknown(key, probe)
        known = (*(_WORDS[depth] if depth < len(_LEVELS) else ()), *limits.keys_of(probe))
        kind = f"{_LEVELS[depth]} or demand" if depth < len(_LEVELS) else "demand"
        return f"unknown {kind}{did_you_mean(key, known)} (known: {', '.join(known)})"
