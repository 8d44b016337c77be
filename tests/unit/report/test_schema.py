"""The published JSON Schema is what records really are, and strict enough to notice when they are not."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from pytest_calico_perf.diagnosis.finding import Link, State
from pytest_calico_perf.model import Better, Mode, Outcome, Unit
from pytest_calico_perf.model import Path as Route
from pytest_calico_perf.report.records import SCHEMA, document
from tests.unit.report import made, samples
from tests.unit.report.test_terminal import with_failures

FILE = Path(__file__).parents[3] / "docs" / "results.schema.json"
PUBLISHED = json.loads(FILE.read_text())
VALIDATOR = jsonschema.Draft202012Validator(PUBLISHED)


def errors(written) -> list[str]:
    """What is wrong, after a round trip through text as a reader of the file has it."""
    found = json.loads(json.dumps(written, allow_nan=False))
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(found)]


def test_it_is_a_schema_with_a_description_for_every_key():
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["properties"]["schema"]["const"] == SCHEMA

    def undescribed(part, name):
        for key, value in part.get("properties", {}).items():
            told = "description" in value or "$ref" in value or "anyOf" in value or name == "ratio"
            yield from [] if told else [f"{name}.{key}"]
            yield from undescribed(value, f"{name}.{key}")

    parts = {"": PUBLISHED, **PUBLISHED["$defs"]}
    bare = [each for name, part in parts.items() for each in undescribed(part, name)]
    assert set(bare) <= {"summary.median", "diagnosis.commands"}


@pytest.mark.parametrize(
    "record",
    [samples.record(), with_failures(), samples.record(rounds=1)],
    ids=["ok", "failures", "one-round"],
)
def test_usual_records_are_valid(record):
    assert errors(document(record)) == []


@settings(max_examples=80, deadline=None)
@given(record=made.records())
def test_whatever_a_run_can_leave_is_valid(record):
    assert errors(document(record)) == []


def test_its_words_are_those_of_the_code():
    definitions = PUBLISHED["$defs"]
    cell = definitions["cell"]["properties"]
    assert definitions["mode"]["enum"] == list(Mode)
    assert definitions["path"]["enum"] == list(Route)
    assert definitions["outcome"]["enum"] == list(Outcome)
    assert definitions["link"]["enum"] == list(Link)
    assert cell["unit"]["enum"] == list(Unit)
    assert cell["better"]["enum"] == list(Better)
    states = definitions["diagnosis"]["properties"]["checks"]["items"]["properties"]["state"]["enum"]
    assert states == list(State)
    assert set(cell) == set(document(samples.record())["cells"][0])
    assert set(PUBLISHED["properties"]) == set(document(samples.record()))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param(lambda written: written.update(extra=1), "$:", id="unknown-key"),
        pytest.param(lambda written: written.update(schema=1), "$.schema", id="older"),
        pytest.param(lambda written: written.pop("problem"), "$:", id="missing-key"),
        pytest.param(
            lambda written: written["cells"][1].update(value=0), "$.cells[1]", id="unknown-key-of-a-cell"
        ),
        pytest.param(
            lambda written: written["cells"][1].update(samples=[0.0]), "$.cells[1].samples[0]", id="zero"
        ),
        pytest.param(lambda written: written["cells"][1].update(mode=None), "$.cells[1].mode", id="no-mode"),
        pytest.param(
            lambda written: written["cells"][1].update(unit="Gbit/s"), "$.cells[1].unit", id="prefix"
        ),
        pytest.param(
            lambda written: written["cells"][1].update(wrong_samples=[1.0]),
            "$.cells[1].wrong_samples",
            id="ok-yet-wrong",
        ),
        pytest.param(
            lambda written: written["cells"][1].update(outcome="wrong-path", reason="x"),
            "$.cells[1].samples",
            id="wrong-yet-counted",
        ),
        pytest.param(
            lambda written: written["cells"][1].update(outcome="slow"), "$.cells[1].reason", id="no-reason"
        ),
    ],
)
def test_what_no_run_leaves_is_invalid(change, where):
    written = copy.deepcopy(document(samples.record()))
    change(written)
    found = errors(written)
    assert any(error.startswith(where) for error in found), found
