"""What we ask the API for, as JSON: namespaces, pods, Services. Pure functions of the cluster file.

The pods do nothing by themselves: they sleep, and commands are run in them by exec. Levels of Pod Security
Admission: `restricted` for the pods under test, `privileged` only for the pods that stand for hosts, because
no other level lets a pod have the node's network (kubernetes.io, Pod Security Standards).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from pytest_calico_perf.cluster.kubernetes.ours import OWNER, labels
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, PODS, SERVICES, Json
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.clusterfile.images import Role
from pytest_calico_perf.model import EndpointKind, Mode

SCRATCH = "/tmp"  # noqa: S108 - the pod's own, an emptyDir
"""The one folder a pod may write to; iperf3 needs it for its stream files."""

SERVICE_PORTS = range(5201, 5217)
"""What a Service lets through, TCP and UDP: a Service knows no port ranges, so these few are used in turn."""

TOOLS: Final = "tools"
WEB: Final = "web"

_NOBODY = 65532
_SLEEP = ["sleep", "2147483647"]  # busybox may know no `infinity`


@dataclass(frozen=True)
class PodPlan:
    """A pod to be.

    Attributes:
        name: Its name, which ends with the run's id.
        namespace: Where.
        node: Name of the node it is pinned to.
        role: `client`, `server`, `neighbour`, `witness` (of the MTU that new pods get) or `host`.
        mode: Its mode; None for a host.
        pool: Name of the IP pool its address must be from; empty leaves it to Calico.
    """

    name: str
    namespace: str
    node: str
    role: str
    mode: Mode | None = None
    pool: str = ""

    @property
    def title(self) -> str:
        """What people call it: the node for a host, `bgp-client` for a pod."""
        return self.node if self.mode is None else f"{self.mode}-{self.role}"

    @property
    def kind(self) -> EndpointKind:
        """What it stands for."""
        return EndpointKind.HOST if self.role == "host" else EndpointKind.POD


def namespace(name: str, run: str, owner: str, *, level: str) -> Json:
    """A namespace of ours with a level of Pod Security Admission; `owner` says who made it."""
    return {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {
            "name": name,
            "labels": {**labels(run), "pod-security.kubernetes.io/enforce": level},
            "annotations": {OWNER: owner},
        },
    }


def pod(plan: PodPlan, run: str, owner: str, file: KubernetesFile) -> Json:
    """A pod that sleeps: a container per role, a shared scratch folder, no token, no right beyond need."""
    host = plan.kind is EndpointKind.HOST
    more = {"role": plan.role} | ({"mode": str(plan.mode)} if plan.mode else {})
    spec: dict[str, Any] = {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _pinned(plan.node)}},
        "hostNetwork": host,
        "dnsPolicy": "Default",
        # The pause container then reaps what a lost exec leaves behind; `sleep` as process 1 would not.
        "shareProcessNamespace": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [toleration.manifest() for toleration in file.tolerations],
        "securityContext": _pod_security(host=host),
        "containers": [_container(TOOLS, file, root=host), _container(WEB, file, root=False)],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    if file.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in file.images.pull_secrets]
    if file.priority_class:
        spec["priorityClassName"] = file.priority_class
    annotations = {OWNER: owner}
    if plan.pool:
        annotations["cni.projectcalico.org/ipv4pools"] = json.dumps([plan.pool])
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {
            "name": plan.name,
            "namespace": plan.namespace,
            "labels": dict(labels(run, **more)),
            "annotations": annotations,
        },
        "spec": spec,
    }


def service(name: str, namespace: str, run: str, owner: str, mode: Mode) -> Json:
    """A ClusterIP before the server pod of a mode."""
    selector = labels(run, role="server", mode=str(mode))
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels(run, role="service", mode=str(mode))),
            "annotations": {OWNER: owner},
        },
        "spec": {
            "type": "ClusterIP",
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": ["IPv4"],
            "selector": dict(selector),
            "ports": [
                {"name": f"{protocol.lower()}-{port}", "protocol": protocol, "port": port, "targetPort": port}
                for port in SERVICE_PORTS
                for protocol in ("TCP", "UDP")
            ],
        },
    }


def _pinned(node: str) -> Json:
    """As a DaemonSet does it: by name, and through the scheduler, which says what is in the way."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {"nodeSelectorTerms": [{"matchFields": [field]}]}


def _pod_security(*, host: bool) -> Json:
    profile = {"seccompProfile": {"type": "RuntimeDefault"}}
    if host:
        return profile
    # ping needs no capability where the group may open ICMP sockets (icmp(7)); a safe sysctl in Kubernetes.
    sysctls = [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]
    return {**profile, "runAsNonRoot": True, "fsGroup": _NOBODY, "sysctls": sysctls}


def _container(role: Role, file: KubernetesFile, *, root: bool) -> Json:
    # A host's ping_group_range is the host's business: ping gets a raw socket there, which takes root.
    # nginx stays nobody there, too: as root it wants to give its files away (CAP_CHOWN).
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]} if root else {"drop": ["ALL"]},
    }
    security |= (
        {"runAsUser": 0} if root else {"runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY}
    )
    return {
        "name": role,
        "image": file.images.for_role(role),
        "imagePullPolicy": file.images.pull_policy,
        "command": _SLEEP,
        "securityContext": security,
        "resources": file.resources.manifest(),
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }
