"""The objects a cluster of kubeadm's with Calico has from the first day. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from pytest_calico_perf.cluster.lab.topology import Node
from tests.kubernetes.fake.objects import node as node_object
from tests.kubernetes.plane import pools
from tests.kubernetes.plane.calico import AGENT, OPERATORS, RUN
from tests.kubernetes.plane.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    INSTALLATIONS,
    SERVICE_RANGES,
    SERVICES,
    TIGERA_STATUSES,
    CalicoResources,
    Resource,
)
from tests.kubernetes.plane.spec import MTU, SERVICE_RANGE, CalicoSpec, NodeSpec

Json = dict[str, Any]

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_PROXY = {"k8s-app": "kube-proxy"}


def node(spec: NodeSpec, plan: Node, number: int, calico: CalicoSpec) -> Json:
    """A Node, with what calico-node notes there."""
    labels = {"kubernetes.io/hostname": spec.name, **spec.labels}
    taints = [dict(each) for each in spec.taints]
    if spec.zone:
        labels["topology.kubernetes.io/zone"] = spec.zone
    if spec.control_plane:
        labels[CONTROL_PLANE] = ""
        taints.append({"key": CONTROL_PLANE, "effect": "NoSchedule"})
    annotations = {}
    if not calico.absent:
        annotations["projectcalico.org/IPv4Address"] = f"{plan.address}/{plan.subnet.range.prefixlen}"
    if calico.wireguard:
        annotations["projectcalico.org/WireguardPublicKey"] = f"{number:043d}="
    pod_range = list(calico.range.subnets(new_prefix=24))[number]
    made = node_object(
        spec.name,
        address=str(plan.address),
        pod_range=str(pod_range),
        labels=labels,
        annotations=annotations,
        taints=taints,
    )
    if spec.unschedulable:
        made["spec"]["unschedulable"] = True
        made["spec"].setdefault("taints", []).append(
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        )
    return made


def kubernetes(calico: CalicoSpec, services: IPv4Network = SERVICE_RANGE) -> Iterator[tuple[Resource, Json]]:
    """What Kubernetes and kubeadm make."""
    networking = (
        f"networking:\n  dnsDomain: cluster.local\n  podSubnet: {calico.range}\n  serviceSubnet: {services}\n"
    )
    document = f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.9\n{networking}"
    yield CONFIG_MAPS, _config_map("kubeadm-config", {"ClusterConfiguration": document})
    proxy = (
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        f"clusterCIDR: {calico.range}\nmode: nftables\n"
    )
    yield CONFIG_MAPS, _config_map("kube-proxy", {"config.conf": proxy})
    yield SERVICE_RANGES, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [str(services)]}}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    spec = {"clusterIP": str(services[1]), "clusterIPs": [str(services[1])], "ports": ports}
    yield SERVICES, {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": spec}
    container = {"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.34.9"}
    yield DAEMON_SETS, _daemon_set("kube-proxy", "kube-system", _PROXY, container)


def calico_agent(calico: CalicoSpec) -> Json:
    """The DaemonSet of calico-node."""
    backend = calico.backend
    environment: list[Json] = [
        {"name": "DATASTORE_TYPE", "value": "kubernetes"},
        {"name": "CLUSTER_TYPE", "value": cluster_type(calico)},
        {"name": "FELIX_DEFAULTENDPOINTTOHOSTACTION", "value": "ACCEPT"},
    ]
    if calico.managed_by == "operator":
        environment.append({"name": "CALICO_NETWORKING_BACKEND", "value": backend})
    else:
        key = {"configMapKeyRef": {"name": "calico-config", "key": "calico_backend"}}
        environment.append({"name": "CALICO_NETWORKING_BACKEND", "valueFrom": key})
    mounts = [{"name": "var-run-calico", "mountPath": RUN}]
    container = {
        "name": "calico-node",
        "image": f"quay.io/calico/node:{calico.version}",
        "env": environment,
        "volumeMounts": mounts,
    }
    volume = {"name": "var-run-calico", "hostPath": {"path": RUN, "type": "DirectoryOrCreate"}}
    return _daemon_set("calico-node", calico.namespace, AGENT, container, volume)


def calico(spec: CalicoSpec, resources: CalicoResources) -> Iterator[tuple[Resource, Json]]:
    """What an installation of Calico makes; pools of an operator's come from its Installation."""
    information = {
        "calicoVersion": spec.version,
        "clusterGUID": "0" * 32,
        "clusterType": cluster_type(spec),
        "datastoreReady": True,
    }
    yield resources.of("clusterinformations"), {"metadata": {"name": "default"}, "spec": information}
    felix = {
        "bpfConnectTimeLoadBalancing": "TCP",
        "bpfEnabled": spec.dataplane == "bpf",
        "floatingIPs": "Disabled",
        "logSeverityScreen": "Info",
        "nftablesMode": "Enabled" if spec.dataplane == "nftables" else "Disabled",
        "wireguardEnabled": spec.wireguard,
        **spec.felix,
    }
    yield resources.of("felixconfigurations"), {"metadata": {"name": "default"}, "spec": felix}
    if spec.bgp is not None:
        yield resources.of("bgpconfigurations"), {"metadata": {"name": "default"}, "spec": dict(spec.bgp)}
    if spec.managed_by == "operator":
        yield INSTALLATIONS, installation(spec)
        for name in ("apiserver", "calico", "ippools"):
            yield TIGERA_STATUSES, _tigera_status(name)
        entry = installation(spec)["spec"]["calicoNetwork"]["ipPools"][0]
        metadata = {"name": spec.pool, "labels": dict(OPERATORS)}
        yield resources.pools, {"metadata": metadata, "spec": pools.installed(entry)}
    else:
        network = {"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "mtu": 0}]}
        config = {
            "calico_backend": spec.backend,
            "cni_network_config": json.dumps(network),
            "typha_service_name": "none",
            "veth_mtu": "0",
        }
        if not spec.absent:
            yield CONFIG_MAPS, _config_map("calico-config", config)
        default = pools.spec_of(spec.mode, spec.range, spec.block_size)
        yield resources.pools, {"metadata": {"name": spec.pool}, "spec": default}


def installation(spec: CalicoSpec) -> Json:
    """The operator's Installation."""
    network = {
        "bgp": "Enabled" if spec.backend == "bird" else "Disabled",
        "hostPorts": "Enabled",
        "ipPools": [
            {
                "name": spec.pool,
                "cidr": str(spec.range),
                "encapsulation": pools.encapsulation(spec.mode),
                "natOutgoing": "Enabled",
                "nodeSelector": "all()",
                "blockSize": spec.block_size,
                "disableBGPExport": False,
                "assignmentMode": "Automatic",
                "allowedUses": ["Workload", "Tunnel"],
            }
        ],
        "linuxDataplane": {"iptables": "Iptables", "nftables": "Nftables", "bpf": "BPF"}[spec.dataplane],
        "nodeAddressAutodetectionV4": {"firstFound": True},
    }
    wanted = {
        "variant": "Calico",
        "cni": {"type": "Calico", "ipam": {"type": "Calico"}},
        "calicoNetwork": network,
    }
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "AllObjectsAvailable",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {
        "calicoVersion": spec.version,
        "computed": wanted,
        "conditions": [ready],
        "mtu": MTU,
        "variant": "Calico",
    }
    return {"metadata": {"name": "default"}, "spec": wanted, "status": status}


def daemon_pod(daemon_set: Json, node: str, address: str) -> Json:
    """A DaemonSet's pod on a node; both of ours live in the node's network and tolerate everything."""
    metadata = daemon_set["metadata"]
    container = daemon_set["spec"]["template"]["spec"]["containers"][0]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            "name": f"{metadata['name']}-{node}",
            "namespace": metadata["namespace"],
            "labels": daemon_set["spec"]["selector"]["matchLabels"],
            "ownerReferences": [owner],
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "serviceAccountName": metadata["name"],
            "tolerations": [{"operator": "Exists"}],
            "containers": [container | {"securityContext": {"privileged": True}}],
            "volumes": daemon_set["spec"]["template"]["spec"].get("volumes") or [],
        },
        "status": {"hostIP": address},
    }


def cluster_type(spec: CalicoSpec) -> str:
    """As calico-node puts it together."""
    words = [
        "k8s",
        *(["operator"] if spec.managed_by == "operator" else []),
        *(["bgp"] if spec.backend == "bird" else []),
    ]
    return ",".join([*words, "kubeadm", "kdd"])


def _config_map(name: str, data: Mapping[str, str]) -> Json:
    return {"metadata": {"name": name, "namespace": "kube-system"}, "data": dict(data)}


def _daemon_set(
    name: str, namespace: str, labels: Mapping[str, str], container: Json, *volumes: Json
) -> Json:
    spec = {"hostNetwork": True, "containers": [container], "tolerations": [{"operator": "Exists"}]}
    template = {
        "metadata": {"labels": dict(labels)},
        "spec": spec | ({"volumes": list(volumes)} if volumes else {}),
    }
    numbers = dict.fromkeys(
        ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"), 0
    )
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "selector": {"matchLabels": dict(labels)},
            "template": template,
            "updateStrategy": {"type": "RollingUpdate"},
        },
        "status": numbers,
    }


def _tigera_status(name: str) -> Json:
    reasons = {"Available": "True", "Progressing": "False", "Degraded": "False"}
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": "AllObjectsAvailable",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind, status in reasons.items()
    ]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}}
