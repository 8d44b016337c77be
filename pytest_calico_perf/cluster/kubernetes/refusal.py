"""What the API server says no with, as problems a person can act on. Pure functions, without credentials.

Source: apimachinery `pkg/api/errors` and the API conventions, "Response Status Kind".
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup, mappings, one_line

_LONGEST = 600
_LONGEST_PAUSE = 30.0
_PASSING = frozenset({429, 500, 502, 503, 504})
_NOT_FOUND_IN_CONTAINER = ("executable file not found", "no such file or directory")
# Answers of 500 to an exec that stay so: the kubelet has no such container to run anything in.
_NO_CONTAINER = ("container not found", "is not running", "completed pod")

RBAC_REMEDY = "docs/rbac.yaml grants what is needed"
COMMAND_NOT_FOUND = 127


class Passing(ApiProblem):
    """A failure that may pass: an overloaded or restarting server, a connection that broke.

    Attributes:
        harmless: Whether the server surely did nothing, so that any action may be repeated.
        pause: Seconds the server asks to be left alone (Retry-After).
    """

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        where: str = "",
        remedy: str = "",
        harmless: bool = False,
        pause: float = 0.0,
    ) -> None:
        super().__init__(what, status=status, where=where, remedy=remedy)
        self.harmless = harmless
        self.pause = pause


class Unauthorized(ApiProblem):
    """The server does not know us: credentials are wrong or have expired."""


def words(text: object) -> str:
    """Foreign text for a message: one line, printable, of bearable length."""
    return one_line(text, _LONGEST)


def document(body: bytes) -> Json:
    """The JSON object of an answer; empty when it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def problem(status: int, body: bytes, *, headers: Mapping[str, str], action: str, where: str) -> ApiProblem:
    """The problem behind an answer that is no success.

    Args:
        status: HTTP status.
        body: A Status object, or plain text of a proxy or of an aggregated server.
        headers: Of the answer, their names in small letters.
        action: What was asked: `create pods perf-bgp in perf-x`.
        where: The server, for the message.
    """
    answer = document(body)
    message = words(lookup(answer, "message") or body.decode(errors="replace")) or f"status {status}"
    if status == 401:
        return Unauthorized(
            f"the server does not accept our credentials ({message})",
            status=status,
            where=where,
            remedy="log in again, then try: kubectl auth whoami",
        )
    if status == 403:
        # Admission (quota, pod security) and a terminating namespace answer 403 too; only RBAC says "cannot".
        lacking = " cannot " in message
        what = f"not allowed to {action}: {message}" if lacking else f"cannot {action}: {message}"
        return ApiProblem(what, status=status, where=where, remedy=RBAC_REMEDY if lacking else "")
    reason = lookup(answer, "reason")
    said = f"{message} ({words(reason)})" if reason else message
    if status in _PASSING and not any(each in message for each in _NO_CONTAINER):
        return Passing(
            f"cannot {action}: {said}",
            status=status,
            where=where,
            harmless=status == 429,  # refused by flow control before anything was done
            pause=_pause(headers.get("retry-after", "")),
        )
    return ApiProblem(f"cannot {action}: {said}", status=status, where=where)


def misfitting_certificate(reason: str, *, action: str, where: str) -> ApiProblem:
    """The problem of a TLS handshake that failed for a certificate: the server's, or ours."""
    return ApiProblem(
        f"cannot {action}: the certificates are not what either side expects: {words(reason)}",
        where=where,
        remedy="see certificate-authority-data, client-certificate-data and server in the kubeconfig",
    )


def _pause(text: str) -> float:
    """Retry-After in seconds; the API server never sends a date (RFC 9110 10.2.3 would allow one)."""
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def exit_code(status: Json) -> int | None:
    """The exit status in the Status object that ends an exec; None when the command never began.

    Source: kubelet `remotecommand`: Success, or Failure with reason NonZeroExitCode and a cause ExitCode.
    """
    if lookup(status, "status") == "Success":
        return 0
    for cause in mappings(lookup(status, "details", "causes")):
        code = str(cause.get("message"))
        if cause.get("reason") == "ExitCode" and code.isascii() and code.isdigit():
            return int(code)
    return None


def is_command_missing(message: str) -> bool:
    """Whether a runtime could not begin a command because its container has no such program."""
    return any(each in message for each in _NOT_FOUND_IN_CONTAINER)
