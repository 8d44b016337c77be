"""TLS in front of the fake, as a load balancer has it, and an HTTP proxy before that; with certificates of a day."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SILENCE = 20.0  # seconds

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Authority:
    """A certificate authority, with one certificate for a server and one for a client, as files.

    Attributes:
        ca: The authority's certificate.
        server: The server's, with its key.
        client: The client's certificate.
        client_key: The client's key.
    """

    ca: Path
    server: Path
    client: Path
    client_key: Path


def authority(folder: Path, *, names: tuple[str, ...] = (), address: str = "127.0.0.1") -> Authority:
    """A new authority; its server certificate is for the address and the names."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("test authority")
    ca = _certificate(issuer, issuer, key, key, x509.BasicConstraints(ca=True, path_length=0))
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if address:
        alternatives.append(x509.IPAddress(ipaddress.ip_address(address)))
    server_key, client_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    server = _certificate(_name("server"), issuer, server_key, key, x509.SubjectAlternativeName(alternatives))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    client = _certificate(_name("client"), issuer, client_key, key, usage)
    files = Authority(
        folder / "ca.pem", folder / "server.pem", folder / "client.pem", folder / "client-key.pem"
    )
    files.ca.write_bytes(_pem(ca))
    files.server.write_bytes(_pem(server) + _pem_key(server_key))
    files.client.write_bytes(_pem(client))
    files.client_key.write_bytes(_pem_key(client_key))
    return files


def data(path: Path) -> str:
    """A file as kubeconfigs embed it."""
    return base64.b64encode(path.read_bytes()).decode()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(hours=1),
        not_valid_after=now + dt.timedelta(days=1),
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    builder = builder.add_extension(identifier, critical=False)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own, critical=False).sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextmanager
def https(url: str, files: Authority, *, client_certificates: bool = False) -> Iterator[str]:
    """An HTTPS server that hands everything on to `url`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    if client_certificates:
        context.load_verify_locations(files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    target = urlsplit(url)

    def serve(client: socket.socket) -> None:
        inner = context.wrap_socket(client, server_side=True)
        with inner, socket.create_connection((target.hostname, target.port)) as outer:
            _relay(_OneAtATime(inner), outer)

    with _listening(serve) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def relay(url: str, dead: threading.Event) -> Iterator[str]:
    """An HTTP server that hands everything on to `url` until it is dead: then it swallows all, and says nothing."""
    target = urlsplit(url)

    def serve(client: socket.socket) -> None:
        with socket.create_connection((target.hostname, target.port)) as outer:
            _relay(client, outer, dead)

    with _listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def proxy(*, authorization: str = "") -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that knows CONNECT alone: its URL, and the first line of every request."""
    asked: list[str] = []

    def serve(client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = client.recv(1)
            if not piece:
                return
            head += piece
        lines = head.decode().splitlines()
        asked.append(lines[0])
        if authorization and f"proxy-authorization: {authorization}".lower() not in head.decode().lower():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = lines[0].split()[1].rpartition(":")
        with socket.create_connection((host, int(port))) as outer:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _relay(client, outer)

    with _listening(serve) as port:
        yield f"http://127.0.0.1:{port}", asked


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def handle(client: socket.socket) -> None:
        with client, suppress(OSError, ValueError):
            client.settimeout(_SILENCE)
            serve(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threads.append(threading.Thread(target=handle, args=(client,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        acceptor.join()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


class _Stream(Protocol):
    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...


class _OneAtATime:
    """A TLS connection that one thread may read while another writes: OpenSSL allows no two calls at once."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        connection.setblocking(False)

    def recv(self, size: int) -> bytes:
        return self._at_last(self._connection.recv, size)

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self._at_last(self._connection.send, data) :]

    def shutdown(self, how: int) -> None:
        with self._lock:
            self._connection.shutdown(how)

    def _at_last(self, call: Callable[[T], U], argument: T) -> U:
        end = time.monotonic() + _SILENCE
        while time.monotonic() < end:
            try:
                with self._lock:
                    return call(argument)
            except ssl.SSLWantReadError:
                select.select([self._connection], [], [], _SILENCE)
            except ssl.SSLWantWriteError:
                select.select([], [self._connection], [], _SILENCE)
        raise TimeoutError


def _relay(one: _Stream, other: _Stream, dead: threading.Event | None = None) -> None:
    """Carry both ways until both have ended; nothing arrives any more once it is dead."""

    def carry(source: _Stream, target: _Stream) -> None:
        with suppress(OSError, ValueError):
            while piece := source.recv(65536):
                if dead is None or not dead.is_set():
                    target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=carry, args=(other, one))
    back.start()
    carry(one, other)
    back.join()
