"""A cluster for the fake API server: see `Plane`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Network
from typing import Any, Self

from pytest_calico_perf.cluster.base import CommandResult
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import Topology
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake.api import FakeApi
from tests.kubernetes.fake.defaults import now
from tests.kubernetes.fake.faults import Fault, status
from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.plane import objects, podstatus
from tests.kubernetes.plane.admission import Admission
from tests.kubernetes.plane.agent import Reporter
from tests.kubernetes.plane.calico import Calico, count_daemons, is_ready
from tests.kubernetes.plane.cni import Cni
from tests.kubernetes.plane.dataplane import DataPlane
from tests.kubernetes.plane.kubelet import Kubelets
from tests.kubernetes.plane.proxy import Proxy
from tests.kubernetes.plane.resources import DAEMON_SETS, NAMESPACES, NODES, PODS, CalicoResources
from tests.kubernetes.plane.spec import SERVICE_RANGE, CalicoSpec, NodeSpec, nodes_of

Json = dict[str, Any]

_SILENT = [
    {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
]
_UP_WITHIN = 30.0
_ALWAYS = 10**9


class Plane:
    """Nodes, Calico and everything that makes pods run, behind a fake API server. A context manager.

        with FakeApi() as fake, Plane(fake, nodes=2, calico=CalicoSpec(group="aggregated")) as plane:
            fake.store.create(PODS, ...)    # or through the wire
            plane.wait_ready("default", "web")

    Entering it makes the fake's `runtime` this plane. Everything of it dies with this process.

    Args:
        fake: The server.
        nodes: How many, called node1, node2, ...; or each.
        subnets: Over how many subnets a number of nodes is dealt.
        calico: The Calico they run.
        cluster_range: kube-proxy's `clusterCIDR`: clients from elsewhere are masqueraded on their way to a Service.
            The default pool's range if None, as kubeadm has it, so that other pools are outside.

    Attributes:
        fake: The server.
        sandbox: Where the nodes are; a node's network namespace has its name.
        resources: Where Calico's objects are stored: `resources.pools`, `resources.blocks`.
        calico: Calico's controllers; `calico.ipam.collect_garbage()` does what kube-controllers do in the end.
        agents: What calico-node says of itself; `agents.probe("node1")` is its readiness probe.
    """

    def __init__(
        self,
        fake: FakeApi,
        *,
        nodes: int | Sequence[NodeSpec] = 2,
        subnets: int = 1,
        calico: CalicoSpec | None = None,
        cluster_range: IPv4Network | None = None,
    ) -> None:
        self.fake = fake
        self._specs = nodes_of(nodes, subnets)
        self._calico_spec = calico or CalicoSpec()
        if self._calico_spec.absent:
            self._calico_spec = CalicoSpec(mode=Mode.BGP, absent=True)
        self._range = cluster_range or self._calico_spec.range
        self._stack = ExitStack()
        self._silent: dict[str, list[Fault]] = {}
        self.sandbox: Sandbox
        self.resources: CalicoResources
        self.calico: Calico
        self.agents: Reporter
        self._data_plane: DataPlane
        self._kubelets: Kubelets

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._bring_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _bring_up(self, stack: ExitStack) -> None:
        store, spec = self.fake.store, self._calico_spec
        resources = self.resources = CalicoResources.register(self.fake, spec)
        self.sandbox = stack.enter_context(Sandbox.start())
        self._data_plane = DataPlane(self.sandbox, self._specs, with_bird=spec.backend == "bird")
        stack.callback(self._data_plane.close)
        self._data_plane.build()
        self.calico = Calico(store, resources, spec, self._data_plane)
        stack.callback(self.calico.close)
        self.agents = Reporter(store, resources, spec, self.sandbox)
        stack.callback(self.agents.close)
        proxy = Proxy(store, self._data_plane, self._range)
        stack.callback(proxy.close)
        addresses = {node.name: node.address for node in self.topology.nodes}
        self._kubelets = Kubelets(store, Cni(store, self.calico, self._data_plane), addresses)
        stack.callback(self._kubelets.close)
        if not store.find(NAMESPACES, spec.namespace):
            store.create(NAMESPACES, {"metadata": {"name": spec.namespace}})
        store.admit(Admission(store, SERVICE_RANGE).admit)
        store.admit(self.calico.admit)
        for number, (node, plan) in enumerate(zip(self._specs, self.topology.nodes, strict=True)):
            store.create(NODES, objects.node(node, plan, number, spec))
        for resource, obj in (*objects.kubernetes(spec), *objects.calico(spec, resources)):
            store.create(resource, obj)
        for controller in (self.calico, self.agents, proxy, self._kubelets):
            subscription = store.subscribe(controller.on_change, replay=True)
            stack.callback(subscription.close)
        self._settlers: list[Callable[[float], bool]] = [
            self.calico.settle,
            self.agents.settle,
            proxy.settle,
        ]
        self.fake.runtime = self
        self._start_daemons()
        self.settle()

    def _start_daemons(self) -> None:
        """A pod per node of kube-proxy and calico-node."""
        store, spec = self.fake.store, self._calico_spec
        daemons = [("kube-proxy", "kube-system")]
        if not spec.absent:
            store.create(DAEMON_SETS, objects.calico_agent(spec))
            daemons.append(("calico-node", spec.namespace))
        for name, namespace in daemons:
            daemon_set = store.get(DAEMON_SETS, name, namespace=namespace)
            for node in self.topology.nodes:
                store.create(PODS, objects.daemon_pod(daemon_set, node.name, str(node.address)))
        for name, namespace in daemons:
            for node in self.topology.nodes:
                self.wait_ready(namespace, f"{name}-{node.name}")
            count_daemons(store, name, namespace)

    # What tests ask

    @property
    def topology(self) -> Topology:
        """The network as it is wanted at the moment."""
        return self._data_plane.topology

    @property
    def pod_mtu(self) -> int:
        """MTU of new pods, in bytes."""
        return self._data_plane.pod_mtu

    def run(self, node: str, *argv: str, limit: float = 10) -> CommandResult:
        """Run a command on a node, past the API."""
        return self.sandbox.run(node, argv, limit=limit)

    def routes(self, node: str) -> list[str]:
        """A node's routes, as `ip route` shows them."""
        return [line.strip() for line in self.run(node, "ip", "route").check().stdout.splitlines()]

    def wait_ready(self, namespace: str, pod: str, *, timeout: float = _UP_WITHIN) -> Json:
        """Wait in seconds until a pod is Ready, and return it.

        Raises:
            TimeoutError: It is not; quotes its status.
        """
        return self.wait_pod(namespace, pod, is_ready, timeout=timeout)

    def wait_pod(
        self, namespace: str, pod: str, wanted: Callable[[Json], bool], *, timeout: float = _UP_WITHIN
    ) -> Json:
        """Wait in seconds until a pod is as wanted, and return it."""
        end = time.monotonic() + timeout
        while True:
            found = self.fake.store.get(PODS, pod, namespace=namespace)
            if wanted(found):
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"{namespace}/{pod} is not as wanted: {found.get('status')}")
            time.sleep(0.01)

    def wait_gone(self, namespace: str, pod: str, *, timeout: float = _UP_WITHIN) -> None:
        """Wait in seconds until a pod is gone from the API, and its address and wire with it."""
        end = time.monotonic() + timeout
        while self.fake.store.find(PODS, pod, namespace=namespace):
            if time.monotonic() > end:
                raise TimeoutError(f"{namespace}/{pod} does not go")
            time.sleep(0.01)

    def settle(self, timeout: float = _UP_WITHIN) -> None:
        """Wait in seconds until the controllers have brought about all that was written so far.

        Pods have their own pace: see `wait_ready`. So have BGP's routes.
        """
        end = time.monotonic() + timeout
        version = ""
        while version != self.fake.store.version:  # controllers hear what controllers write
            version = self.fake.store.version
            left = max(0.1, end - time.monotonic())
            self.fake.store.settle(left)
            if not all(settled(left) for settled in self._settlers):
                raise TimeoutError(f"the plane's controllers did not settle within {timeout:g} s")

    # What goes wrong

    def silence(self, node: str, *, cut: bool = False) -> None:
        """A node's kubelet is heard of no more: NotReady, no exec, no new pod, none ended.

        Args:
            cut: Its cable is pulled out, too; else its pods run and answer on.
        """
        self._kubelets.set_alive(node, alive=False)
        if cut:
            self._data_plane.set_link(node, up=False)
        address = self.topology.node(node).address
        message = f"error dialing backend: dial tcp {address}:10250: connect: no route to host"
        self._silent[node] = []
        for pod in self.fake.store.list(PODS, fields=f"spec.nodeName={node}"):
            path = rf"/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/exec"
            self._silent[node].append(
                self.fake.faults.add(("*", path), status(500, message=message), times=_ALWAYS)
            )
        self.fake.store.update(NODES, node, lambda live: _heard(live, alive=False))
        self._mark_pods(node, ready=False)

    def restore(self, node: str) -> None:
        """It is heard of again, and connected."""
        self._data_plane.set_link(node, up=True)
        for fault in self._silent.pop(node, []):
            fault.times = fault.hits
        self._kubelets.set_alive(node, alive=True)
        self.fake.store.update(NODES, node, lambda live: _heard(live, alive=True))
        self._mark_pods(node, ready=True)

    def evict(
        self, namespace: str, pod: str, *, message: str = "The node was low on resource: memory."
    ) -> None:
        """The kubelet ends a pod for want of something: its processes are killed, it is Failed and stays."""
        self._kubelets.worker_of(namespace, pod).evict("Evicted", message)

    def set_rules(self, node: str, rules: str) -> None:
        """Load a file of `nft` on a node: what a firewall there, or the network before it, does to packets."""
        self._data_plane.set_rules(node, rules)

    def stop_bird(self, node: str) -> None:
        """End a node's BIRD: its peers withdraw what it announced."""
        self.run(node, "birdc", "-s", f"{self.sandbox.scratch(node)}/bird.ctl", "down")

    # As the fake's runtime

    def exec(self, namespace: str, pod: str, container: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in a container."""
        return self._kubelets.worker_of(namespace, pod).exec(container, argv)

    def _mark_pods(self, node: str, *, ready: bool) -> None:
        """The node lifecycle controller's word on a silent node's pods, and the kubelet's when it is back."""
        for pod in self.fake.store.list(PODS, fields=f"spec.nodeName={node}"):
            if pod["status"].get("phase") != "Running":
                continue
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            mark = podstatus.ready_again if ready else podstatus.unready
            try:
                self.fake.store.update(
                    PODS, name, lambda live, mark=mark: live | {"status": mark(live)}, namespace=namespace
                )
            except Refused as refused:
                if refused.code != 404:
                    raise


def _heard(node: Json, *, alive: bool) -> Json:
    state = (
        ("True", "KubeletReady", "kubelet is posting ready status")
        if alive
        else ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    )
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            named = zip(("status", "reason", "message"), state, strict=True)
            condition.update(named, lastTransitionTime=now())
    taints = [each for each in node["spec"].get("taints") or () if each["key"] != _SILENT[0]["key"]]
    node["spec"]["taints"] = taints if alive else [*taints, *_SILENT]
    return node
