"""What a tool printed, as values that can be true: JSON, numbers, words, and a place to blame.

Readers are pure functions of a tool's text; they know no endpoint. Whatever text they are given, they return
finite values or raise `CellProblem`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pytest_calico_perf.errors import CellProblem, ToolProblem

# Of whatever unit: a million times the fastest link in bit/s, the age of the universe in seconds.
_ABSURD = 1e18


def finite(value: object, what: str) -> float:
    """A number a tool printed, as a float that is at least 0.

    Args:
        value: A JSON number or its text.
        what: What it is, for the message: `iperf3's received bit/s`.

    Raises:
        ToolProblem: It is missing, no number, NaN, negative, or beyond anything a network can do.
    """
    if value is None:
        raise ToolProblem(f"{what} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ToolProblem(f"{what} is no number")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise ToolProblem(f"{what} is no number") from None
    if not 0 <= result <= _ABSURD:
        raise ToolProblem(f"{what} cannot be {result}")
    return result


def positive(value: object, what: str) -> float:
    """Like `finite`, and greater than 0: what may become a sample.

    Raises:
        ToolProblem: It is not.
    """
    result = finite(value, what)
    if result == 0:
        raise ToolProblem(f"{what} is 0")
    return result


def whole(value: object, what: str) -> int:
    """A count.

    Raises:
        ToolProblem: It is missing, negative or has a fraction.
    """
    result = finite(value, what)
    if result != int(result):
        raise ToolProblem(f"{what} cannot be {result}")
    return int(result)


def word(value: object, what: str) -> str:
    """A name or address a tool printed; empty when it printed none.

    Raises:
        ToolProblem: It is no text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ToolProblem(f"{what} is no text")
    return value


def json_object(text: str, tool: str) -> dict[str, Any]:
    """The first JSON object in a tool's output; words before and after it are left alone.

    iperf3 with -J puts warnings before its object and, in some versions, a plain error line after it.

    Raises:
        ToolProblem: There is none, or it is malformed (iperf3 has printed `-nan` for 0/0).
    """
    start = text.find("{")
    if start < 0:
        raise ToolProblem(f"{tool} printed no JSON: {last_line(text)}")
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        raise ToolProblem(f"{tool} printed malformed JSON") from None
    assert isinstance(document, dict)
    return document


def json_objects(text: str, tool: str) -> list[Mapping[str, Any]]:
    """The objects of the JSON array a tool printed; the empty ones some versions of `ip` put in are left out.

    Raises:
        ToolProblem: It printed something else.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, list):
        raise ToolProblem(f"{tool} printed no JSON array: {last_line(text)}")
    return [item for item in mappings(document) if item]


def lookup(document: object, *keys: str) -> Any:
    """The value under nested keys; None when any of them is absent."""
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects of a JSON array; empty for whatever is no array."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def one_line(value: object, longest: int) -> str:
    """Somebody else's words for a message: one line, without what moves a cursor or turns the direction.

    Args:
        value: Text, or whatever stands where text was expected; None is no words.
        longest: Characters it may have; what is cut off ends in an ellipsis.
    """
    text = "" if value is None else str(value)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def last_line(text: str) -> str:
    """The last line that says something, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(it printed nothing)"


@contextmanager
def blaming(place: str) -> Iterator[None]:
    """Problems raised inside that name no place get this one: the name of an endpoint."""
    try:
        yield
    except CellProblem as problem:
        problem.where = problem.where or place
        raise
