"""YAML whose every field knows its line, and nothing of YAML that a cluster file does not need.

Anchors and aliases are refused (an alias may stand for a billion others), and so are repeated field
names, of which YAML readers silently keep the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pytest_calico_perf.errors import ClusterFileProblem

FieldPath = tuple[str | int, ...]

_DEEPEST = 16  # no cluster file nests half as deep; a bound keeps the recursion below Python's


@dataclass(frozen=True)
class LocatedYaml:
    """A YAML document and where its fields stand.

    Attributes:
        source: The file's name as a person gave it.
        data: The document: dicts with str keys, lists and scalars.
        lines: Line of each field, counted from 1; `()` is the document itself.
    """

    source: str
    data: Any
    lines: Mapping[FieldPath, int]

    def line(self, field: FieldPath) -> int:
        """Line of a field, or of the closest field around it that is written down."""
        while field and field not in self.lines:
            field = field[:-1]
        return self.lines.get(field, 1)

    def problem(self, field: FieldPath, message: str, *, remedy: str = "") -> ClusterFileProblem:
        """A problem with a field, with `file:line: field` for its place."""
        return ClusterFileProblem(message, where=self.place(field), remedy=remedy)

    def place(self, field: FieldPath) -> str:
        """Where a field stands, for people: `prod.yaml:41: thresholds.tcp.min`."""
        name = show(field)
        return f"{self.source}:{self.line(field)}" + (f": {name}" if name else "")


def show(field: FieldPath) -> str:
    """A field as people write it: `subnets[0].range`."""
    text = ""
    for part in field:
        text += f"[{part}]" if isinstance(part, int) else f".{plain(part)}" if text else plain(part)
    return text


def plain(text: str) -> str:
    """A text that keeps to its line and leaves the terminal alone: quoted and escaped where it would not."""
    return text if text.isprintable() else ascii(text)


def read(text: str, source: str) -> LocatedYaml:
    """Read one YAML document.

    Args:
        text: The document.
        source: Name of its file, for messages.

    Raises:
        ClusterFileProblem: It is not YAML, holds an anchor, an alias, a foreign tag, a repeated or unnamed
            field, or more than one document.
    """
    try:
        _refuse_references(text, source)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ClusterFileProblem(
            f"this is not YAML: {error.problem or error.context}", where=f"{source}:{line}"
        ) from None
    except yaml.YAMLError as error:
        raise ClusterFileProblem(f"this is not YAML: {str(error).splitlines()[0]}", where=source) from None
    lines: dict[FieldPath, int] = {(): 1}
    data = None if root is None else _build(root, (), lines, source)
    return LocatedYaml(source, data, lines)


def _refuse_references(text: str, source: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        place = f"{source}:{_line(event)}"
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise ClusterFileProblem(
                f"anchors and aliases ({sign}{event.anchor}) are not read here",
                where=place,
                remedy="write the value out",
            )
        if depth > _DEEPEST:
            raise ClusterFileProblem(f"nested more than {_DEEPEST} deep", where=place)


def _line(thing: yaml.Event | yaml.Node) -> int:
    return thing.start_mark.line + 1 if thing.start_mark else 1


def _build(node: yaml.Node, field: FieldPath, lines: dict[FieldPath, int], source: str) -> Any:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*field, index] = _line(item)
        return [_build(item, (*field, index), lines, source) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            key = _scalar(key_node, source) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise ClusterFileProblem(
                    "a field's name must be a word",
                    where=f"{source}:{line}",
                    remedy="quote it if YAML takes it for a number, a date or a yes/no",
                )
            if key in result:
                first = lines[*field, key]
                raise ClusterFileProblem(
                    f"{plain(key)} is given twice, first in line {first}",
                    where=f"{source}:{line}: {show((*field, key))}",
                    remedy="keep one of them",
                )
            lines[*field, key] = line
            result[key] = _build(value_node, (*field, key), lines, source)
        return result
    return _scalar(node, source)


def _scalar(node: yaml.Node, source: str) -> Any:
    # A fresh constructor per scalar: it is cheap and keeps no state between fields.
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError, KeyError, AttributeError) as error:
        reason = getattr(error, "problem", None) or str(error)
        raise ClusterFileProblem(
            f"cannot read {str(node.value)[:60]!r}: {reason}", where=f"{source}:{_line(node)}"
        ) from None
