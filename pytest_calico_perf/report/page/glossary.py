"""Footnotes: how to read the figures, and what the words and signs on the page mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_calico_perf.model import Outcome, RunRecord
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.table import Table, explanation, only_looked_at
from pytest_calico_perf.report.words import (
    MODE_MEANINGS,
    OUTCOME_MEANINGS,
    PATH_MEANINGS,
    SIGNS,
    mode_words,
)

_OF_ROUNDS = (
    (
        "round",
        "one repetition: every mode back to back, so that a machine that changes its pace hurts all alike",
    ),
    ("median", "the middle one of the rounds: half of them are larger, half are smaller"),
    (
        "interval",
        "in parentheses: where the true value lies, with the confidence said; wide: little is known",
    ),
)
_TERMS = (
    ("MTU", "the largest packet a network device takes, in bytes; encapsulation makes it smaller for pods"),
    ("offload", "work on packets that a network card does instead of the processor"),
    ("encapsulation", "a pod's packet travels inside another packet from node to node"),
)
_LOOKED = {
    Outcome.OK: "carries payload, by the way of its mode",
    Outcome.WRONG_PATH: "packets arrive another way",
}
_UNITS = (
    ("Gbit/s, Mbit/s", "10^9, 10^6 bit per second, of payload: headers are not counted"),
    ("us, ms", "millionths, thousandths of a second"),
    ("kreq/s, kconn/s", "thousands of requests, of new connections per second"),
)


def glossary(record: RunRecord, tables: Sequence[Table], key: str) -> str:
    """The section of footnotes."""
    how = [element("li", _sentence(sentence)) for sentence in explanation(tables)]
    paths = dict.fromkeys(result.cell.path for result in record.results)
    outcomes = [outcome for outcome in Outcome if any(result.outcome is outcome for result in record.results)]
    meanings = {**OUTCOME_MEANINGS, **(_LOOKED if only_looked_at(record) else {})}
    # Where nothing was measured there are no rounds, medians and units to explain.
    measured = (*_OF_ROUNDS, *_TERMS, *_UNITS) if how else _TERMS
    words = [
        *((mode_words(mode), MODE_MEANINGS[mode]) for mode in record.modes),
        *((str(path), PATH_MEANINGS[path]) for path in paths),
        *((f"{SIGNS[outcome]} {outcome}", meanings[outcome]) for outcome in outcomes),
        *measured,
    ]
    return element(
        "section",
        element("h3", "How to read it", id=f"{key}words"),
        element("ul", *how, class_="how") if how else "",
        element("dl", *_definitions(words)),
        class_="words",
    )


def _definitions(words: Iterable[tuple[str, str]]) -> list[str]:
    return [
        element("div", element("dt", text(word)), element("dd", text(meaning))) for word, meaning in words
    ]


def _sentence(sentence: str) -> str:
    label, colon, rest = sentence.partition(": ")
    return f"{element('b', text(label + ':'))} {text(rest)}" if colon else text(sentence)
