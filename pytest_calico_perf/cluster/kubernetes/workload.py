"""Our pods in the cluster: made, awaited, checked to be what was asked for."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from pytest_calico_perf.cluster.kubernetes import manifests
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.endpoint import ANY, PORTS, PodEndpoint, host_ports
from pytest_calico_perf.cluster.kubernetes.manifests import PodPlan
from pytest_calico_perf.cluster.kubernetes.ours import MODE, ROLE, refuse_others, selector
from pytest_calico_perf.cluster.kubernetes.pod_failure import is_hopeless, is_ready, why_not_ready
from pytest_calico_perf.cluster.kubernetes.resource import (
    EVENTS,
    NAMESPACES,
    PODS,
    SERVICES,
    Json,
    Resource,
)
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotReady
from pytest_calico_perf.model import EndpointKind, Mode
from pytest_calico_perf.parsing import lookup

_GONE_DEADLINE = 60.0  # seconds a pod with a grace period of one may take


@dataclass(frozen=True)
class RunningPod:
    """A pod of ours that is ready.

    Attributes:
        plan: What it was asked to be.
        address: Its IPv4 address.
    """

    plan: PodPlan
    address: IPv4Address

    def endpoint(self, api: Api, *, service: IPv4Address | None = None) -> PodEndpoint:
        """Where commands run in it; with `service`, as clients see it behind that ClusterIP."""
        host = self.plan.kind is EndpointKind.HOST
        own = host_ports() if host else itertools.cycle(PORTS)
        ports = itertools.cycle(manifests.SERVICE_PORTS) if service else own
        return PodEndpoint(
            api,
            self.plan.namespace,
            self.plan.name,
            {"nginx": manifests.WEB, ANY: manifests.TOOLS},
            name=self.plan.title if host else f"pod {self.plan.title}",
            kind=self.plan.kind,
            node=self.plan.node,
            address=str(service or self.address),
            own_address=str(self.address),
            scratch=manifests.SCRATCH,
            ports=ports,
        )

    def enter(self) -> str:
        """What a person types to enter it."""
        pod, namespace = self.plan.name, self.plan.namespace
        return f"kubectl -n {namespace} exec -it {pod} -c {manifests.TOOLS} -- sh"


@dataclass(frozen=True)
class Started:
    """What came of a set of pods: each one runs or has its problem."""

    pods: Mapping[PodPlan, RunningPod]
    problems: Mapping[PodPlan, ClusterProblem] = field(default_factory=dict)


class Workload:
    """The namespaces, pods and Services of one run.

    Args:
        api: The cluster.
        file: Images, tolerations, deadlines.
        run: The run's id.
        owner: Who runs it, for whoever finds it.
    """

    def __init__(self, api: Api, file: KubernetesFile, run: str, owner: str) -> None:
        self._api = api
        self._file = file
        self._run = run
        self._owner = owner
        name = f"calico-perf-{run}"
        self.namespace = file.namespace or name
        self.host_namespace = file.namespace or f"{name}-hosts"
        self._made: dict[tuple[Resource, str], None] = {}

    @property
    def made(self) -> tuple[tuple[Resource, str], ...]:
        """Kind and name of everything that was asked for, whether or not it came."""
        return tuple(self._made)

    def named(self, words: str) -> str:
        """The name of an object of this run: nobody else's, whatever namespace it is in."""
        return f"{words}-{self._run}"

    def make_namespaces(self) -> None:
        """Make what the run needs, unless the file names one that is there.

        Raises:
            ApiProblem: It may not be made.
            ClusterProblem: Somebody else has one of that name.
        """
        if self._file.namespace:
            self._api.get(NAMESPACES, self._file.namespace)
            return
        levels = {self.namespace: "restricted"}
        if self._file.hosts == "pod":
            levels[self.host_namespace] = "privileged"
        for name, level in levels.items():
            self._apply(NAMESPACES, manifests.namespace(name, self._run, self._owner, level=level))

    def start(self, plans: Sequence[PodPlan], ranges: Mapping[Mode, IPv4Network]) -> Started:
        """Make pods and wait for them, all at once.

        Args:
            plans: The pods.
            ranges: Where the addresses of a mode's pods must be from.
        """
        problems: dict[PodPlan, ClusterProblem] = {}
        asked = []
        for plan in plans:
            try:
                body = manifests.pod(plan, self._run, self._owner, self._file)
                self._apply(PODS, body, namespace=plan.namespace)
                asked.append(plan)
            except ApiProblem as problem:
                problems[plan] = _refused(plan, problem)
            except ClusterProblem as problem:
                problems[plan] = problem
        until = time.monotonic() + self._file.timeouts.pods
        pods: dict[PodPlan, RunningPod] = {}
        for namespace in dict.fromkeys(plan.namespace for plan in asked):
            names = {plan.name for plan in asked if plan.namespace == namespace}
            seen = self._settled(namespace, names, until)
            for plan in asked:
                if plan.namespace != namespace:
                    continue
                try:
                    pods[plan] = self._checked(plan, seen.get(plan.name), ranges)
                except ClusterProblem as problem:
                    problems[plan] = problem
        return Started(pods, problems)

    def expose(self, mode: Mode) -> IPv4Address:
        """Put a ClusterIP before the server pod of a mode; returns its address.

        Raises:
            ApiProblem: It may not be made.
            ClusterProblem: Somebody else has one of that name.
            NotReady: It was given no IPv4 address.
        """
        name = self.named(f"{mode}-server")
        body = manifests.service(name, self.namespace, self._run, self._owner, mode)
        made = self._apply(SERVICES, body, namespace=self.namespace)
        try:
            return IPv4Address(str(lookup(made, "spec", "clusterIP")))
        except ValueError:
            raise NotReady(
                f"Service {name} was given no IPv4 ClusterIP",
                where=self.namespace,
                remedy="is the cluster IPv6 only?",
            ) from None

    def remove_pods(self, mode: Mode, *, role: str = "") -> None:
        """Delete the pods of a mode, or those of one role, and wait until they are gone.

        Raises:
            NotReady: They are still there.
        """
        labels = f"{selector(self._run)},{MODE}={mode}{f',{ROLE}={role}' if role else ''}"
        for pod in self._api.list(PODS, namespace=self.namespace, labels=labels):
            name, uid = (str(lookup(pod, "metadata", key)) for key in ("name", "uid"))
            self._api.delete(PODS, name, namespace=self.namespace, uid=uid)
        gone = self._api.wait_for(
            PODS,
            lambda pods: None if pods else True,
            namespace=self.namespace,
            labels=labels,
            deadline=_GONE_DEADLINE,
        )
        if not gone:
            raise NotReady(f"the pods of mode {mode} do not go away", where=self.namespace)

    def _apply(self, resource: Resource, body: Json, *, namespace: str = "") -> Json:
        """Make an object, which takes over whatever has its name: so that must be nobody else's."""
        name = str(lookup(body, "metadata", "name"))
        place = f"{namespace}/{name}" if namespace else name
        there = self._api.find(resource, name, namespace=namespace)
        refuse_others(there, self._run, f"{resource.kind} {place}")
        self._made[resource, name] = None
        return self._api.apply(resource, body, namespace=namespace)

    def _settled(self, namespace: str, names: set[str], until: float) -> dict[str, Json]:
        """The pods as they are once each is ready or hopeless, or time is up."""
        seen: dict[str, Json] = {}

        def settled(pods: list[Json]) -> bool | None:
            seen.clear()
            seen.update({str(lookup(pod, "metadata", "name")): pod for pod in pods})
            done = [
                name for name in names if name in seen and (is_ready(seen[name]) or is_hopeless(seen[name]))
            ]
            return True if len(done) == len(names) else None

        self._api.wait_for(
            PODS,
            settled,
            namespace=namespace,
            labels=selector(self._run),
            deadline=max(until - time.monotonic(), 1.0),
        )
        return seen

    def _checked(self, plan: PodPlan, pod: Json | None, ranges: Mapping[Mode, IPv4Network]) -> RunningPod:
        where = f"pod {plan.namespace}/{plan.name}"
        if pod is None:
            raise NotReady("it is gone: somebody deleted it", where=where)
        if not is_ready(pod):
            raise NotReady(
                f"not ready: {why_not_ready(pod, self._events(plan))}",
                where=where,
                remedy=f"look at it with kubectl -n {plan.namespace} describe pod {plan.name}",
            )
        node = lookup(pod, "spec", "nodeName")
        if node != plan.node:
            raise ClusterProblem(f"it runs on {node}, not on {plan.node}", where=where)
        try:
            address = IPv4Address(str(lookup(pod, "status", "podIP")))
        except ValueError:
            raise ClusterProblem(
                f"its address {lookup(pod, 'status', 'podIP')!r} is not IPv4", where=where
            ) from None
        wanted = ranges.get(plan.mode) if plan.mode else None
        if plan.kind is EndpointKind.POD and wanted and address not in wanted:
            raise ClusterProblem(
                f"its address {address} is not from {wanted}, the pool of mode {plan.mode}",
                where=where,
                remedy="is Calico's IPAM the CNI's (ipam type calico-ipam)? Others know no pools",
            )
        return RunningPod(plan, address)

    def _events(self, plan: PodPlan) -> list[Json]:
        try:
            return self._api.list(EVENTS, namespace=plan.namespace, fields=f"involvedObject.name={plan.name}")
        except ApiProblem:
            return []  # the status alone must do


def _refused(plan: PodPlan, problem: ApiProblem) -> ClusterProblem:
    """A pod the API server would not take: admission says why (PSA, quota, a policy engine)."""
    remedies = {
        "violates PodSecurity": "its namespace must allow what the pod needs: docs/security.md lists it",
        "exceeded quota": "raise the quota, or set `resources` in the cluster file",
        "must specify": "set `resources` in the cluster file: a quota wants them",
        "no PriorityClass": "set `priority-class` in the cluster file to one that exists",
    }
    for words, remedy in remedies.items():
        if words in problem.what:
            return ApiProblem(
                problem.what, status=problem.status, where=f"pod {plan.namespace}/{plan.name}", remedy=remedy
            )
    return problem
