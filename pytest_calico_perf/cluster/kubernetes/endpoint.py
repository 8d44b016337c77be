"""A pod as an endpoint: where the kubelet runs our commands."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from pytest_calico_perf.cluster import remote
from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.channel import Channel
from pytest_calico_perf.cluster.kubernetes.command import PodCommand
from pytest_calico_perf.cluster.kubernetes.pod_failure import is_ready, why_not_ready
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.model import EndpointKind

ANY = "*"
"""Key of the container in which whatever has no container of its own runs."""

PORTS = range(20000, 30000)
"""Below NodePorts, which begin at 30000, and below Linux's ephemeral ports, which begin at 32768."""


def host_ports() -> Iterator[int]:
    """`PORTS` for ever, from a place chosen by chance: two runs on one node share its ports."""
    start = secrets.randbelow(len(PORTS))
    return itertools.cycle((*PORTS[start:], *PORTS[:start]))


_WRITING = 15.0
_BAD_REQUEST = 400
# Told how much will come: v4 of the exec protocol has no word for the end of standard input.
_WRITE = 'head -c "$1" >"$2"'


@dataclass(frozen=True)
class PodEndpoint:
    """A pod, as `cluster.base.Endpoint` wants it; a host, when the pod shares its node's network.

    Attributes:
        api: The way there.
        namespace: The pod's namespace.
        pod: The pod's name.
        containers: Name of the container per program (`nginx`), and under `"*"` for all others.
        name: For people.
        kind: Host or pod.
        node: Name of the node it runs on.
        address: What clients ask for, dotted: its own, or its Service's ClusterIP.
        own_address: Its own IPv4 address, dotted.
        scratch: A writable folder of its own, absolute.
        ports: Where `allocate_port` takes numbers from; endpoints that share a network must share it.
    """

    api: Api
    namespace: str
    pod: str
    containers: Mapping[str, str]
    name: str
    kind: EndpointKind
    node: str
    address: str
    own_address: str
    scratch: str = "/tmp"  # noqa: S108 - in the pod, where nobody else is
    ports: Iterator[int] = field(default_factory=lambda: itertools.cycle(PORTS), repr=False, compare=False)

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        """As the protocol says. The command ends also when we are interrupted, by its leash.

        Raises:
            ApiProblem: The pod cannot be talked to, was taken down, or the connection to it was cut.
        """
        command = self._begin(argv, limit)
        command.follow()
        return command.result()

    def start(self, argv: Sequence[str], *, limit: float) -> PodCommand:
        """As the protocol says.

        Raises:
            ApiProblem: The pod cannot be talked to.
        """
        return self._begin(argv, limit).follow_in_background()

    def write_file(self, path: str, text: str) -> None:
        """As the protocol says.

        Raises:
            ApiProblem: The pod cannot be talked to, or the connection to it was cut.
            ToolProblem: It cannot be written there.
        """
        data = text.encode()
        writing = ["sh", "-c", _WRITE, "sh", str(len(data)), path]
        channel = self._exec(ANY, remote.bounded(writing, _WRITING))
        with channel:
            command = PodCommand(channel, ["sh"], endpoint=self.name, limit=_WRITING)
            channel.write(data)
            command.follow()
        command.result().check()

    def allocate_port(self) -> int:
        return next(self.ports)

    def _begin(self, argv: Sequence[str], limit: float) -> PodCommand:
        channel = self._exec(argv[0], remote.leashed(argv, limit))
        return PodCommand(channel, argv, endpoint=self.name, limit=limit, whats_wrong=self._whats_wrong)

    def _whats_wrong(self) -> str:
        """What is wrong with the pod, in words; empty if nothing is, or nobody can tell."""
        place = f"pod {self.namespace}/{self.pod}"
        try:
            pod = self.api.find(PODS, self.pod, namespace=self.namespace)
        except ApiProblem:
            return ""  # the server is away: the problem at hand says so already
        if pod is None:
            return f"{place} is gone"
        return "" if is_ready(pod) else f"{place} is not ready: {why_not_ready(pod, ())}"

    def _exec(self, program: str, argv: Sequence[str]) -> Channel:
        container = self.containers.get(PurePath(program).name, self.containers[ANY])
        try:
            return self.api.exec(self.namespace, self.pod, container, argv, stdin=True)
        except ApiProblem as problem:
            # The server only says that there is nothing to run it in; the pod says why.
            if problem.status == _BAD_REQUEST and (wrong := self._whats_wrong()):
                raise ApiProblem(wrong, status=problem.status, where=self.name) from problem
            raise
