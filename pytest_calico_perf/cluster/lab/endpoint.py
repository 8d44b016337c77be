"""An endpoint of the lab: a network namespace in which commands run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.lab.command import SandboxCommand
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.model import EndpointKind

_PORTS = range(20000, 30000)  # below Linux's ephemeral ports, which begin at 32768


class _Ports:
    """Hands out port numbers, the same again only after all others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Iterator[int] = itertools.cycle(_PORTS)

    def take(self) -> int:
        with self._lock:
            return next(self._numbers)


@dataclass(frozen=True)
class LabEndpoint:
    """A node or a pod of the lab, as `cluster.base.Endpoint` wants it.

    Attributes:
        sandbox: Where its namespace is.
        namespace: Name of its namespace.
        name: For people.
        kind: Host or pod.
        node: Name of the node it lives on.
        own_address: Its IPv4 address, dotted.
        cluster_ip: Address of the Service it is asked through; empty where it is asked itself.
    """

    sandbox: Sandbox
    namespace: str
    name: str
    kind: EndpointKind
    node: str
    own_address: str
    cluster_ip: str = ""
    _ports: _Ports = field(default_factory=_Ports, repr=False, compare=False)

    @property
    def address(self) -> str:
        return self.cluster_ip or self.own_address

    def behind(self, cluster_ip: str) -> Self:
        """The same endpoint as its Service's clients see it; both draw from the same ports."""
        return replace(self, cluster_ip=cluster_ip)

    @property
    def scratch(self) -> str:
        return self.sandbox.scratch(self.namespace)

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        return self.sandbox.run(self.namespace, argv, limit=limit, endpoint=self.name)

    def start(self, argv: Sequence[str], *, limit: float) -> SandboxCommand:
        return self.sandbox.start_command(self.namespace, argv, limit=limit, endpoint=self.name)

    def write_file(self, path: str, text: str) -> None:
        self.sandbox.write_file(path, text)

    def allocate_port(self) -> int:
        return self._ports.take()
