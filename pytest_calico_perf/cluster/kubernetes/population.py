"""The pods and Services of the modes: who is there, what is wrong with whom, and the endpoints they make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.endpoint import PodEndpoint
from pytest_calico_perf.cluster.kubernetes.manifests import PodPlan
from pytest_calico_perf.cluster.kubernetes.workload import RunningPod, Workload
from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unsupported
from pytest_calico_perf.model import EndpointKind, Mode, Path
from pytest_calico_perf.parsing import whole

_LIMIT = 15.0
_SERVICE = "service"
_WITNESS = "witness"

_Key = tuple[Mode | None, str]
"""A mode and the role of one of its pods, or `_SERVICE`."""


class Population:
    """The pods of all modes. One that failed is a problem of those who ask for it, and of nobody else.

    Args:
        api: The cluster.
        workload: Makes and removes them.
        paths: Paths that will be asked for; what none of them needs is not made.
        client: Name of the node clients live on.
        server: Name of the node servers live on.
    """

    def __init__(
        self, api: Api, workload: Workload, paths: Collection[Path], *, client: str, server: str
    ) -> None:
        self._api = api
        self._workload = workload
        self._paths = paths
        self._client = client
        self._server = server
        self._pods: dict[_Key, RunningPod] = {}
        self._services: dict[Mode, IPv4Address] = {}
        self._endpoints: dict[tuple[_Key, bool], PodEndpoint] = {}
        self._problems: dict[_Key, ClusterProblem] = {}
        self._mtus: dict[Mode, int] = {}

    @property
    def pods(self) -> tuple[RunningPod, ...]:
        """Those that are there."""
        return tuple(self._pods.values())

    @property
    def mtus(self) -> Mapping[Mode, int]:
        """What MTU Calico gave the pods of each mode, in bytes; the smallest over all its encapsulations."""
        return dict(self._mtus)

    def settle(
        self, modes: Iterable[Mode], pools: Mapping[Mode, str], ranges: Mapping[Mode, IPv4Network]
    ) -> None:
        """Make the pods and Services of some modes and wait until they are ready, or will never be.

        Args:
            modes: Which.
            pools: The pool each mode's pods ask for; without one, Calico chooses.
            ranges: Where their addresses must be from.
        """
        modes = list(modes)
        started = self._workload.start(
            [plan for mode in modes for plan in self._plans(mode, pools.get(mode, ""))], ranges
        )
        self._pods.update({(plan.mode, plan.role): pod for plan, pod in started.pods.items()})
        self._problems.update({(plan.mode, plan.role): each for plan, each in started.problems.items()})
        for mode in modes:
            if Path.POD_TO_SERVICE in self._paths:
                try:
                    self._services[mode] = self._workload.expose(mode)
                except ClusterProblem as problem:
                    self._problems[mode, _SERVICE] = problem
            self._read_mtu(mode)

    def mtu_of_new_pod(self, mode: Mode, pool: str, ranges: Mapping[Mode, IPv4Network]) -> int:
        """What MTU Calico gives a pod of a mode that is made now, in bytes: one is made, asked, and removed.

        Raises:
            ClusterProblem: It does not come, answer or go.
            ToolProblem: It does not know its MTU.
        """
        name = self._workload.named(f"{mode}-{_WITNESS}")
        plan = PodPlan(name, self._workload.namespace, self._client, _WITNESS, mode, pool)
        started = self._workload.start([plan], ranges)
        try:
            for problem in started.problems.values():
                raise problem
            return _mtu(started.pods[plan].endpoint(self._api))
        finally:
            self._workload.remove_pods(mode, role=_WITNESS)

    def remove(self, mode: Mode) -> None:
        """Remove the pods of a mode, and forget what was wrong with them.

        Raises:
            ClusterProblem: They do not go.
        """
        self._workload.remove_pods(mode)
        self._pods = {key: pod for key, pod in self._pods.items() if key[0] is not mode}
        self._endpoints = {key: each for key, each in self._endpoints.items() if key[0][0] is not mode}
        self._problems = {key: each for key, each in self._problems.items() if key[0] is not mode}

    def has(self, mode: Mode, *roles: str) -> bool:
        """Whether pods of these roles are there."""
        return all((mode, role) in self._pods for role in roles)

    def endpoint(self, mode: Mode, role: str, *, through_service: bool = False) -> PodEndpoint:
        """The endpoint of a mode's pod: itself, or as clients see it behind its Service. The same each time.

        Raises:
            ClusterProblem: It could not be made, or its Service could not.
            Unsupported: It was not made, since nothing asked for needs it.
        """
        for each in (role, *([_SERVICE] if through_service else [])):
            if (mode, each) in self._problems:
                raise self._problems[mode, each]
        pod = self._pods.get((mode, role))
        if pod is None:
            raise Unsupported(
                f"there is no {role} of {mode}", remedy="its path or its mode was not asked for"
            )
        key = ((mode, role), through_service)
        if key not in self._endpoints:
            service = self._services[mode] if through_service else None
            self._endpoints[key] = pod.endpoint(self._api, service=service)
        return self._endpoints[key]

    def _plans(self, mode: Mode, pool: str) -> list[PodPlan]:
        """The pods a mode needs for the paths asked for."""
        wanted = {
            ("client", self._client): any(path.client is EndpointKind.POD for path in self._paths),
            ("server", self._server): any(
                path.server is EndpointKind.POD and not path.same_node for path in self._paths
            ),
            ("neighbour", self._client): any(path.same_node for path in self._paths),
        }
        return [
            PodPlan(self._workload.named(f"{mode}-{role}"), self._workload.namespace, node, role, mode, pool)
            for (role, node), needed in wanted.items()
            if needed
        ]

    def _read_mtu(self, mode: Mode) -> None:
        for role in ("client", "server"):
            if self.has(mode, role):
                try:
                    self._mtus[mode] = _mtu(self.endpoint(mode, role))
                except (ClusterProblem, ToolProblem):
                    continue
                return


def _mtu(pod: PodEndpoint) -> int:
    answer = pod.run(["cat", "/sys/class/net/eth0/mtu"], limit=_LIMIT)
    return whole(answer.check().stdout, "the pod's MTU")
