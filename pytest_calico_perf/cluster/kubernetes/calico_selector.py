"""Calico's selectors, by which its policies choose pods: `role == 'db' && has(tier)`. Pure functions.

Source: projectcalico/calico, libcalico-go/lib/selector/parser: `||` binds weaker than `&&`, an absent label
differs from every value, and the empty selector is `all()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_LONGEST = 8_000  # characters; Calico's own are a few hundred
_DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*"|'[^']*')
      | (?P<call>(?:all|global)\s*\(\s*\))
      | (?P<has>has\s*\(\s*[A-Za-z0-9_./-]+\s*\))
      | (?P<relation>==|!=|(?:not\s+)?in(?=\s*\{)|(?:contains|(?:starts|ends)\s+with)(?=\s*["']))
      | (?P<sign>&&|\|\||!|\(|\)|\{|\}|,)
      | (?P<label>[A-Za-z0-9_./-]+)
    )""",
    re.VERBOSE | re.ASCII,
)
_RELATIONS: Mapping[str, Callable[[str | None, str], bool]] = {
    "==": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "contains": lambda value, wanted: value is not None and wanted in value,
    "starts with": lambda value, wanted: value is not None and value.startswith(wanted),
    "ends with": lambda value, wanted: value is not None and value.endswith(wanted),
}


def selects(selector: str, labels: Labels) -> bool | None:
    """Whether a selector chooses what has these labels; None when it cannot be read."""
    if not selector.strip():
        return True
    try:
        return _Parser(selector).parse()(labels)
    except ValueError:
        return None


class _Parser:
    """Recursive descent; every method raises ValueError where the text is no selector."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Test:
        test = self._either()
        if self._at < len(self._tokens):
            raise ValueError("more than a selector")
        return test

    def _next(self, kind: str, word: str = "") -> str:
        """The next token, which must be of a kind, and a word if one is given."""
        if not self._is(kind, word):
            raise ValueError(f"expected {word or kind}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _is(self, kind: str, word: str = "") -> bool:
        if self._at >= len(self._tokens):
            return False
        found, text = self._tokens[self._at]
        return found == kind and (not word or text == word)

    def _either(self) -> Test:
        tests = [self._both()]
        while self._is("sign", "||"):
            self._next("sign")
            tests.append(self._both())
        return lambda labels: any(test(labels) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._is("sign", "&&"):
            self._next("sign")
            tests.append(self._one())
        return lambda labels: all(test(labels) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too deep")
        try:
            return self._operand()
        finally:
            self._depth -= 1

    def _operand(self) -> Test:
        if self._is("sign", "!"):
            self._next("sign")
            test = self._one()
            return lambda labels: not test(labels)
        if self._is("sign", "("):
            self._next("sign")
            test = self._either()
            self._next("sign", ")")
            return test
        if self._is("call"):
            # `global()` is for namespaces alone and says "in none": no pod is.
            everything = self._next("call").startswith("all")
            return lambda _: everything
        if self._is("has"):
            label = self._next("has")[4:-1].strip()
            return lambda labels: label in labels
        return self._comparison()

    def _comparison(self) -> Test:
        label = self._next("label")
        relation = self._next("relation")
        if relation in ("in", "not in"):
            values, inside = self._values(), relation == "in"
            return lambda labels: (labels.get(label) in values) is inside
        wanted, holds = self._next("string"), _RELATIONS[relation]
        return lambda labels: holds(labels.get(label), wanted)

    def _values(self) -> frozenset[str]:
        values = []
        self._next("sign", "{")
        while self._is("string"):
            values.append(self._next("string"))
            if not self._is("sign", ","):
                break
            self._next("sign")
        self._next("sign", "}")
        return frozenset(values)


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > _LONGEST:
        raise ValueError("too long")
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"cannot read {text[at : at + 20]!r}")
        kind, word = found.lastgroup, found[found.lastgroup]
        at = found.end()
        if kind == "string":
            word = word[1:-1]
        elif kind == "relation":
            word = " ".join(word.split())
        elif kind == "has":
            word = f"has({word.partition('(')[2][:-1].strip()})"
        tokens.append((kind, word))
    return tokens
