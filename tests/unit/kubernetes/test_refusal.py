"""What a server's refusals become."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.refusal import (
    Passing,
    Unauthorized,
    document,
    exit_code,
    is_command_missing,
    problem,
    words,
)
from pytest_calico_perf.errors import ApiProblem


def refused(code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> ApiProblem:
    return problem(code, body, headers=headers or {}, action="list pods", where="https://api")


def status(message: str, reason: str = "") -> bytes:
    return json.dumps({"kind": "Status", "message": message, "reason": reason}).encode()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_may_pass_is_marked(code: int) -> None:
    found = refused(code, status("busy"))
    assert isinstance(found, Passing)
    assert (found.harmless, found.status) == (code == 429, code)


@pytest.mark.parametrize("code", [300, 302, 400, 401, 403, 404, 405, 409, 410, 415, 422, 501])
def test_what_stays_is_not(code: int) -> None:
    found = refused(code, status("no"))
    assert (isinstance(found, Passing), found.status) == (False, code)
    assert isinstance(found, Unauthorized) == (code == 401)


@pytest.mark.parametrize(
    "said",
    [
        'container not found ("web")',
        'unable to upgrade connection: container not found ("web")',
        "cannot exec into a container in a completed pod; current phase is Succeeded",
    ],
)
def test_a_container_that_is_not_there_does_not_come_by_waiting(said: str) -> None:
    found = refused(500, said.encode())
    assert (isinstance(found, Passing), said in found.what) == (False, True)


@pytest.mark.parametrize(
    ("header", "pause"),
    [("3", 3.0), ("0", 0.0), ("", 0.0), ("-1", 0.0), ("999", 30.0), ("Wed, 21 Oct 2026", 0.0), ("٣", 0.0)],
)
def test_the_pause_the_server_asks_for_is_kept_within_reason(header: str, pause: float) -> None:
    found = refused(429, status("slow down"), {"retry-after": header})
    assert isinstance(found, Passing)
    assert found.pause == pause


def test_an_answer_without_words_names_its_status() -> None:
    assert "status 503" in refused(503).what
    assert refused(404, b"404 page not found\n").what == "cannot list pods: 404 page not found"


@given(st.integers(300, 599), st.binary(max_size=200), st.text(max_size=20))
def test_whatever_comes_is_a_problem_of_one_printable_line(code: int, body: bytes, header: str) -> None:
    found = refused(code, body, {"retry-after": header})
    assert found.status == code
    assert found.what.isprintable()


@given(st.text())
def test_foreign_words_are_one_printable_line_of_bearable_length(text: str) -> None:
    line = words(text)
    assert line.isprintable()
    assert len(line) <= 600


@given(st.binary())
def test_a_document_is_an_object_or_empty(body: bytes) -> None:
    assert isinstance(document(body), dict)


def test_nesting_without_end_is_no_document() -> None:
    assert document(b'{"a":' + b"[" * 100_000) == {}


def ended(code: str, reason: str = "ExitCode") -> dict[str, Any]:
    return {"status": "Failure", "details": {"causes": [{"reason": reason, "message": code}]}}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"status": "Success"}, 0),
        (ended("3"), 3),
        (ended("137"), 137),
        (ended("many"), None),
        (ended("-1"), None),
        (ended("3", "Other"), None),
        ({"status": "Failure", "message": "error dialing backend"}, None),
        ({"status": "Failure", "details": {"causes": "none"}}, None),
        ({}, None),
    ],
)
def test_how_a_command_ended(said: dict[str, Any], code: int | None) -> None:
    assert exit_code(said) == code


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', True),
        ("exec /x: no such file or directory", True),
        ("error dialing backend: connection refused", False),
        ('exec: "x": permission denied', False),
    ],
)
def test_a_missing_program_is_told_from_other_failures(message: str, missing: bool) -> None:
    assert is_command_missing(message) == missing
