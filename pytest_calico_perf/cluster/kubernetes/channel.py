"""One exec: a command in a container at the other end of a websocket of its own.

The kubernetes client's own `stream` swaps a method of a shared client while it runs, turns Ctrl-C into an
`ApiException`, knows no deadline for the handshake and keeps all output twice. So only its configuration is
used here, and the websocket-client package it builds on.

Source: kubelet's remotecommand subprotocols `v5.channel.k8s.io` and, before Kubernetes 1.30, `v4`: the first
byte of a message is its channel; in v5, 255 and a channel's number close that channel.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import certifi
from kubernetes.client.rest import should_bypass_proxies
from websocket import (
    ABNF,
    WebSocket,
    WebSocketAddressException,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketProxyException,
    WebSocketTimeoutException,
)

from pytest_calico_perf.cluster.kubernetes import refusal
from pytest_calico_perf.cluster.kubernetes.refusal import Passing
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup

_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_V5, _V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_SEND_SECONDS = 10.0
_PIECE = 32 * 1024
_AT_ONCE = 64  # messages taken in before a deadline is looked at again
_BEAT = 15.0  # seconds between pings: load balancers hang up on the silent, some after a minute
_MISSED = 4  # pings without an answer after which the other end counts as dead


class Channel:
    """A command that runs in a container. Safe to use from two threads: one pumps, others write or close.

    Attributes:
        stdout: What has come of it so far.
        stderr: What has come of it so far.
        exit_code: None until it has ended; 128 + n when signal n ended it.
    """

    def __init__(self, websocket: Any, *, place: str) -> None:
        """Take over an open websocket; `place` names the pod in messages."""
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.exit_code: int | None = None
        self._websocket = websocket
        self._socket = websocket.sock  # which the websocket forgets when it is cut
        self._place = place
        self._v5 = websocket.headers.get("sec-websocket-protocol") == _V5
        self._status = bytearray()
        self._closed = False
        self._lock = threading.Lock()  # the socket's: TLS must not be read and written at once
        self._pumping = threading.Lock()
        self._next_beat = time.monotonic() + _BEAT
        self._unanswered = 0
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)

    @classmethod
    def connect(
        cls,
        configuration: Any,
        url: str,
        *,
        authorization: Callable[[], str],
        action: str,
        place: str,
        seconds: float,
    ) -> Self:
        """Open the websocket of an exec.

        Args:
            configuration: The kubernetes client's, for TLS and proxies.
            url: Of the pod's exec, with its query.
            authorization: Gives the value of that header; empty for none.
            action: For messages: `run a command in pod perf-x/client`.
            place: For messages: `pod perf-x/client`.
            seconds: Longest time any step of the handshake may take.

        Raises:
            ApiProblem: The server or the kubelet refused, or could not be reached.
        """
        where = urlsplit(url).netloc.rpartition("@")[2]
        websocket = WebSocket(sslopt=_tls(configuration), skip_utf8_validation=True)
        try:
            websocket.connect(  # type: ignore[no-untyped-call]
                url.replace("http", "ws", 1),
                header={"authorization": authorization() or None},
                subprotocols=[_V5, _V4],
                timeout=seconds,
                redirect_limit=0,  # another host must not get our token
                **_proxy(configuration),
            )
            return cls(websocket, place=place)
        except (WebSocketException, OSError, ValueError) as error:
            failure = _handshake_failure(error, action, where)
        # Not within `except`: the error's frames hold the token, which a traceback with locals would show.
        raise failure

    def pump(self, seconds: float) -> bool:
        """Take in output until something new has come, the command has ended or `seconds` passed.

        Returns:
            Whether the command has ended.

        Raises:
            ApiProblem: The connection was cut or closed, or the command could not be started.
        """
        deadline = time.monotonic() + seconds
        with self._pumping:
            while not self._take_in():
                left = min(deadline, self._next_beat) - time.monotonic()
                if left > 0:
                    self._poller.poll(left * 1000)
                elif time.monotonic() < deadline:
                    self._beat()
                else:
                    break
        return self.exit_code is not None

    def write(self, data: bytes) -> None:
        """Write to the command's standard input.

        Raises:
            ApiProblem: The connection was cut.
        """
        for start in range(0, len(data), _PIECE):
            self._send(bytes([_STDIN]) + data[start : start + _PIECE])

    def close_stdin(self) -> None:
        """End the command's standard input; a leashed command then ends.

        v4 has no message for that: there the connection is dropped, and with it what the command says last.
        """
        if not self._v5:
            self.close()
            return
        with suppress(ApiProblem):  # cut: then its standard input has ended as well
            self._send(bytes([_CLOSE, _STDIN]))

    def close(self) -> None:
        """Drop the connection, whoever pumps; a leashed command then ends. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with suppress(WebSocketException, OSError):
                    self._websocket.settimeout(1)
                    self._websocket.send_close()
                # Wakes the thread that polls. Were the descriptor closed under it, it could be another's.
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        with self._pumping:
            self._websocket.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _beat(self) -> None:
        """Ping the other end; whatever comes from there is an answer."""
        if self._unanswered >= _MISSED:
            raise self._cut("is dead")
        self._unanswered += 1
        self._next_beat = time.monotonic() + _BEAT
        self._send(b"", opcode=ABNF.OPCODE_PING)

    def _take_in(self) -> bool:
        """Take in what is there; return whether that was anything."""
        with self._lock:
            for taken in range(_AT_ONCE):
                if self.exit_code is not None:
                    return True
                if self._closed:
                    raise self._cut("was closed")
                try:
                    self._websocket.settimeout(0)
                    opcode, frame = self._websocket.recv_data_frame(control_frame=True)
                except (BlockingIOError, ssl.SSLWantReadError, WebSocketTimeoutException):
                    return taken > 0
                except (WebSocketException, OSError, ValueError):
                    raise self._cut("was cut") from None
                self._unanswered = 0
                if opcode == ABNF.OPCODE_CLOSE:
                    raise self._cut("was cut by the server")
                if opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
                    self._sort(frame.data[0], frame.data[1:])
        return True

    def _sort(self, channel: int, data: bytes) -> None:
        if channel == _STDOUT:
            self.stdout += data
        elif channel == _STDERR:
            self.stderr += data
        elif channel == _ERROR:
            self._status += data
            if status := refusal.document(bytes(self._status)):
                self._end(status)

    def _end(self, status: Json) -> None:
        """The last word: how it ended, or why it never began."""
        self.exit_code = refusal.exit_code(status)
        if self.exit_code is not None:
            return
        message = refusal.words(lookup(status, "message"))
        if not refusal.is_command_missing(message):
            code = lookup(status, "code")
            raise ApiProblem(message, status=code if isinstance(code, int) else None, where=self._place)
        self.stderr += message.encode()
        self.exit_code = refusal.COMMAND_NOT_FOUND

    def _send(self, message: bytes, *, opcode: int = ABNF.OPCODE_BINARY) -> None:
        with self._lock:
            if self._closed:
                raise self._cut("was closed")
            try:
                self._websocket.settimeout(_SEND_SECONDS)
                self._websocket.send(message, opcode=opcode)
            except (WebSocketException, OSError):
                raise self._cut("was cut") from None

    def _cut(self, how: str) -> ApiProblem:
        return ApiProblem(f"the connection to the {self._place} {how}", where=self._place)


def _tls(configuration: Any) -> dict[str, Any]:
    """The client's TLS settings in websocket-client's words, as in kubernetes' `create_websocket`."""
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert or certifi.where()}
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    names = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    for option, name in names.items():
        if value := getattr(configuration, name):
            options[option] = value
    return options


def _proxy(configuration: Any) -> dict[str, Any]:
    """The client's proxy in websocket-client's words; the same hosts bypass it as in other requests."""
    if not configuration.proxy:
        return {}
    proxy = urlsplit(configuration.proxy)
    options: dict[str, Any] = {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or (443 if proxy.scheme == "https" else 80),
        "proxy_type": proxy.scheme if proxy.scheme.startswith("socks") else "http",
    }
    if proxy.username:
        options["http_proxy_auth"] = (unquote(proxy.username), unquote(proxy.password or ""))
    if should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        options["http_no_proxy"] = ["*"]
    return options


def _handshake_failure(error: Exception, action: str, where: str) -> ApiProblem:
    match error:
        case WebSocketBadStatusException():
            return refusal.problem(
                error.status_code,
                error.resp_body or b"",
                headers=error.resp_headers or {},
                action=action,
                where=where,
            )
        case ssl.SSLError() if "certificate" in str(error).lower():
            return refusal.misfitting_certificate(str(error), action=action, where=where)
        case WebSocketAddressException():
            return Passing(f"cannot {action}: its name cannot be resolved", where=where)
        case WebSocketProxyException():
            return Passing(f"cannot {action}: the proxy cannot be used: {refusal.words(error)}", where=where)
        case WebSocketConnectionClosedException():
            return Passing(f"cannot {action}: the connection broke", where=where)
        case WebSocketTimeoutException() | TimeoutError():
            return Passing(f"cannot {action}: no answer in time", where=where)
        case OSError():
            return Passing(f"cannot {action}: {error.strerror or 'the connection broke'}", where=where)
        case _:  # redirected, or upgraded to something else; certificates that cannot be loaded
            return ApiProblem(f"cannot {action}: {refusal.words(error)}", where=where)
