"""The real kubernetes client, pointed at a fake, for contract tests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client, config
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

from tests.kubernetes.fake.api import FakeApi


def connect(fake: FakeApi, *, token: str | None = None) -> client.ApiClient:
    """A client by a kubeconfig of the fake's; to be closed."""
    with tempfile.TemporaryDirectory() as folder:
        return config.new_client_from_config(str(fake.kubeconfig(Path(folder) / "kubeconfig", token=token)))


@dataclass(frozen=True)
class Ended:
    """An exec that has ended by itself."""

    code: int
    out: str
    err: str


def open_exec(api: client.ApiClient, pod: str, argv: Sequence[str], **options: object) -> WSClient:
    """An exec under way. `api` may be used for nothing else at the same time (kubernetes-client/python#928)."""
    call = client.CoreV1Api(api).connect_get_namespaced_pod_exec
    asked = {"stdin": False, "stdout": True, "stderr": True, "tty": False} | options
    return stream(call, pod, "default", command=list(argv), _preload_content=False, **asked)


def ended(socket: WSClient, limit: float = 20) -> Ended:
    """How an exec ended.

    Raises:
        TimeoutError: It did not within `limit` seconds.
    """
    socket.run_forever(timeout=limit)
    try:
        if socket.is_open():
            raise TimeoutError("the exec did not end")
        return Ended(socket.returncode, socket.read_stdout(timeout=0), socket.read_stderr(timeout=0))
    finally:
        socket.close()
