"""Requests to the API server through the kubernetes client: failures named, hiccups retried.

The client brings credentials, TLS, proxies and connections. Its models stay out, since they refuse objects
that lack a field or have one too many.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from pytest_calico_perf.cluster.kubernetes.access import Access, server_of
from pytest_calico_perf.cluster.kubernetes.channel import Channel
from pytest_calico_perf.cluster.kubernetes.ours import MANAGER
from pytest_calico_perf.cluster.kubernetes.refusal import (
    Passing,
    Unauthorized,
    misfitting_certificate,
    problem,
    words,
)
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.cluster.kubernetes.retry import persist
from pytest_calico_perf.errors import ApiProblem

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
_FIRST_CONTACT = 5.0  # seconds: a server that never answered is more likely misnamed than restarting


@dataclass(frozen=True)
class Request:
    """What to ask the server.

    Attributes:
        method: HTTP method.
        path: Path, each part quoted.
        action: The same in words, for messages: `list pods`.
        query: Names and values.
        body: What goes out as JSON, if anything.
        content_type: Of the body.
        repeatable: Whether asking twice does what asking once does.
    """

    method: str
    path: str
    action: str
    query: tuple[tuple[str, str], ...] = ()
    body: Json | None = None
    content_type: str = "application/json"
    repeatable: bool = True

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class Wire:
    """Connections to one API server. Safe to use from several threads."""

    def __init__(self, access: Access, *, request_seconds: float, patience: float) -> None:
        self._access = access
        self._request_seconds = request_seconds
        self._patience = patience
        self._lock = threading.Lock()
        self._client: Any = None
        self._answered = False

    @property
    def server(self) -> str:
        """The server's URL, for messages."""
        return server_of(self._current().configuration)

    def ask(self, request: Request, *, patience: float | None = None) -> Json:
        """Send a request and return the JSON object it is answered with.

        Raises:
            ApiProblem: Refused, unreachable, failed for longer than `patience` (seconds; else the wire's
                own), or answered with something else.
        """
        return self._persist(
            lambda client: self._answer(client, request), repeatable=request.repeatable, patience=patience
        )

    @contextmanager
    def stream(self, request: Request, *, silence: float) -> Iterator[Iterator[Json]]:
        """Send a request once and hand out the objects of its answer, one a line, as they come.

        Args:
            request: A watch.
            silence: Seconds without a word after which the connection counts as dead.

        Raises:
            ApiProblem: As `ask`, also while the objects are read; `Passing` when asking anew may help.
        """
        response = self._authenticated(lambda client: self._send(client, request, silence))
        try:
            yield self._lines(response, request)
        finally:
            response.close()

    def dial(self, request: Request, *, place: str) -> Channel:
        """Open the websocket of an exec; `place` names the pod in messages.

        Raises:
            ApiProblem: As `ask`.
        """
        return self._persist(lambda client: self._dial(client, request, place), repeatable=True)

    def close(self) -> None:
        """Drop idle connections and credentials. Idempotent."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _persist(self, attempt: Callable[[Any], T], *, repeatable: bool, patience: float | None = None) -> T:
        longest = self._patience if patience is None else min(patience, self._patience)
        if not self._answered:
            longest = min(longest, _FIRST_CONTACT)
        return persist(lambda: self._authenticated(attempt), repeatable=repeatable, patience=longest)

    def _authenticated(self, attempt: Callable[[Any], T]) -> T:
        """Attempt it, and once more with credentials read anew if the server does not know the old ones."""
        client = self._current()
        try:
            return attempt(client)
        except Unauthorized:
            pass
        return attempt(self._renewed(client))

    def _current(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._access.client()
            return self._client

    def _renewed(self, refused: Any) -> Any:
        """A client with fresh credentials; another thread may have made it already."""
        with self._lock:
            if self._client is refused or self._client is None:
                self._client = self._access.client()
                refused.close()  # those of its connections that idle; others end with their requests
            return self._client

    def _answer(self, client: Any, request: Request) -> Json:
        response = self._send(client, request, self._request_seconds)
        try:
            body = self._body(response, request)
        finally:
            response.close()
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            said = words(body[:200].decode(errors="replace"))
            raise ApiProblem(
                f"cannot {request.action}: the answer is no JSON object: {said}",
                where=self.server,
                remedy="see whether the server's URL leads to a proxy or a login page",
            )
        return answer

    def _send(self, client: Any, request: Request, silence: float) -> Any:
        """Send it and return the open urllib3 response of a success."""
        configuration = client.configuration
        if not configuration.verify_ssl:
            # Asked for by the kubeconfig. Each time, since pytest puts the filters back after each test.
            urllib3.disable_warnings(InsecureRequestWarning)
        try:
            response = client.call_api(
                request.method,
                configuration.host + request.target,
                header_params=_headers(client, request),
                body=request.body,
                _request_timeout=(min(_CONNECT_SECONDS, silence), silence),
            ).response
        except (HTTPError, ApiException, OSError, ValueError) as error:
            failure = _failure(error, request.action, server_of(configuration), silence)
        else:
            self._answered = True
            if 200 <= response.status < 300:
                return response
            failure = self._refusal(response, request, server_of(configuration))
        # Not within `except`: the error's frames hold the headers, which a traceback with locals would show.
        raise failure

    def _refusal(self, response: Any, request: Request, where: str) -> ApiProblem:
        try:
            body = self._body(response, request)
        except Passing as cut:
            return cut
        finally:
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return problem(response.status, body, headers=headers, action=request.action, where=where)

    def _body(self, response: Any, request: Request) -> bytes:
        try:
            return bytes(response.data)
        except (HTTPError, OSError) as error:
            failure = _failure(error, request.action, self.server, self._request_seconds)
        raise failure

    def _lines(self, response: Any, request: Request) -> Iterator[Json]:
        rest = b""
        try:
            for chunk in response.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)
        except (HTTPError, OSError) as error:
            failure = _failure(error, request.action, self.server, self._request_seconds)
        except ValueError:  # half a line
            failure = Passing(f"cannot {request.action}: the answer was cut", where=self.server)
        else:
            return
        raise failure

    def _dial(self, client: Any, request: Request, place: str) -> Channel:
        channel = Channel.connect(
            client.configuration,
            client.configuration.host + request.target,
            authorization=lambda: _headers(client, request).get("authorization", ""),
            action=request.action,
            place=place,
            seconds=min(_CONNECT_SECONDS, self._request_seconds),
        )
        self._answered = True
        return channel


def _headers(client: Any, request: Request) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": MANAGER}
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    client.update_params_for_auth(headers, None, ["BearerToken"], request.path, request.method, None)
    return headers


def _failure(error: Exception, action: str, where: str, silence: float) -> ApiProblem:
    """What kept an answer from coming, in words; nothing of the request is quoted."""
    match error:
        case LocationValueError():
            return ApiProblem(f"cannot {action}: the server's URL is malformed", where=where)
        case ProxyError():
            return Passing(f"cannot {action}: the proxy cannot be used", where=where, harmless=True)
        case NewConnectionError():  # a ConnectTimeoutError by birth only
            cause = getattr(error.__cause__, "strerror", None) or "no connection"
            return Passing(f"cannot {action}: {cause}", where=where, harmless=True)
        case ConnectTimeoutError():
            return Passing(f"cannot {action}: no connection in time", where=where, harmless=True)
        case ReadTimeoutError():
            return Passing(f"cannot {action}: no answer for {silence:g} s", where=where)
        case ApiException():  # the client's only use of it here: TLS
            return _tls_failure(str(error.reason), action, where)
        case HTTPError() | OSError():
            return Passing(f"cannot {action}: the connection broke", where=where)
        case _:  # http.client quotes the header it refuses
            return ApiProblem(
                f"cannot {action}: {type(error).__name__}: credentials or URL are malformed", where=where
            )


def _tls_failure(reason: str, action: str, where: str) -> ApiProblem:
    if "certificate" not in reason.lower():  # a server that goes away during the handshake
        return Passing(f"cannot {action}: TLS failed: {words(reason)}", where=where, harmless=True)
    return misfitting_certificate(reason, action=action, where=where)
