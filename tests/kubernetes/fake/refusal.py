"""What the server says no with: a Status object, as apimachinery's `api/errors` makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Refused(Exception):
    """A request the server refuses; `status()` is the body of the answer.

    Attributes:
        code: HTTP status.
        reason: `NotFound`, `AlreadyExists`.
        message: What kubectl would print.
        details: Of which object, with causes.
    """

    def __init__(
        self, code: int, message: str, *, reason: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or REASONS.get(code, "")
        self.details = dict(details or {})

    def status(self) -> dict[str, Any]:
        return failure(self.code, self.message, reason=self.reason, details=self.details)


def failure(
    code: int, message: str, *, reason: str = "", details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A Status of a failure."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or REASONS.get(code, ""),
    }
    if details:
        body["details"] = dict(details)
    return body | {"code": code}


def success(details: Mapping[str, Any]) -> dict[str, Any]:
    """A Status of a deletion that is done."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": dict(details),
    }


def not_found(plural: str, group: str, name: str) -> Refused:
    return Refused(404, f'{_full(plural, group)} "{name}" not found', details=_details(name, group, plural))


def exists(plural: str, group: str, name: str) -> Refused:
    return Refused(
        409,
        f'{_full(plural, group)} "{name}" already exists',
        reason="AlreadyExists",
        details=_details(name, group, plural),
    )


def conflict(plural: str, group: str, name: str, why: str) -> Refused:
    return Refused(
        409,
        f'Operation cannot be fulfilled on {_full(plural, group)} "{name}": {why}',
        details=_details(name, group, plural),
    )


def forbidden(
    plural: str, group: str, name: str, why: str, *, causes: Sequence[Mapping[str, str]] = ()
) -> Refused:
    """Refused by authorization or by an admission plugin."""
    subject = f'{_full(plural, group)} "{name}"' if name else _full(plural, group)
    details = _details(name, group, plural) | ({"causes": list(causes)} if causes else {})
    return Refused(403, f"{subject} is forbidden: {why}", details=details)


def invalid(kind: str, group: str, name: str, field: str, why: str) -> Refused:
    """One field is not as it must be; `why` begins with the sort of error, as `Required value` does."""
    full = f"{kind}.{group}" if group else kind
    sorts = {"Required value": "FieldValueRequired", "Forbidden": "FieldValueForbidden"}
    reason = sorts.get(why.partition(":")[0], "FieldValueInvalid")
    causes = [{"reason": reason, "message": why, "field": field}]
    return Refused(
        422,
        f'{full} "{name}" is invalid: {field}: {why}',
        details=_details(name, group, kind) | {"causes": causes},
    )


def unknown() -> Refused:
    """There is nothing of that name to be asked."""
    return Refused(404, "the server could not find the requested resource")


def gone(version: int, oldest: int) -> Refused:
    """The version asked for is not in the journal any more."""
    return Refused(410, f"too old resource version: {version} ({oldest})")


def _full(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, plural: str) -> dict[str, Any]:
    named = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in named.items() if value}
