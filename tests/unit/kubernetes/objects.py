"""A cluster in memory for what only looks at one, and objects in the shapes of the API's own types."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_calico_perf.cluster.kubernetes.resource import (
    CONFIG_MAPS,
    DAEMON_SETS,
    INSTALLATIONS,
    NODES,
    SERVICE_RANGES,
    SERVICES,
    CalicoApi,
    Json,
    Resource,
)
from pytest_calico_perf.clusterfile import KubernetesFile, parse
from pytest_calico_perf.errors import ApiProblem

RAW = ("crd.projectcalico.org", "v1")
V3 = ("projectcalico.org", "v3")
RAW_API = CalicoApi(*RAW, storage=RAW)
AGGREGATED_API = CalicoApi(*V3, storage=RAW)
NATIVE_API = CalicoApi(*V3, storage=V3)

POOLS = ("ippools", "felixconfigurations", "bgpconfigurations", "clusterinformations", "bgppeers")
STORAGE = ("ipamblocks", "blockaffinities")


class InMemory:
    """Implements `reading.Reader`."""

    server = "https://192.0.2.1:6443"

    def __init__(self, *calico: tuple[str, str], version: str = "v1.34.1") -> None:
        self.objects: dict[tuple[str, str, str], list[Json]] = {}
        self.served = {("networking.k8s.io", "v1"): {"networkpolicies"}}
        self.refused: set[str] = set()
        self.denied: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str, str, str, str]] = []
        self.broken: dict[tuple[str, str], int] = {}
        self._version = version
        for group in calico:
            self.served[group] = {*POOLS, *(STORAGE if group == RAW or RAW not in calico else ())}

    def add(self, resource: Resource, *objects: Json) -> InMemory:
        self.objects.setdefault((resource.group, resource.version, resource.plural), []).extend(objects)
        if resource.group:
            self.served.setdefault((resource.group, resource.version), set()).add(resource.plural)
        return self

    def _all(self, resource: Resource) -> list[Json]:
        if resource.plural in self.refused:
            raise ApiProblem(f"{resource} is forbidden", status=403)
        return self.objects.get((resource.group, resource.version, resource.plural), [])

    def version(self) -> str:
        return self._version

    def serves(self, group: str, version: str) -> frozenset[str]:
        if (group, version) in self.broken:
            raise ApiProblem("the server is unavailable", status=self.broken[group, version])
        return frozenset(self.served.get((group, version), ()))

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Json | None:
        for each in self._all(resource):
            metadata = each["metadata"]
            if metadata.get("name") == name and metadata.get("namespace", "") == namespace:
                return each
        return None

    def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[Json]:
        assert not fields
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        return [
            each
            for each in self._all(resource)
            if all(each["metadata"].get("labels", {}).get(key) == value for key, value in wanted.items())
        ]

    def allowed(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        thing = f"{resource.plural}/{subresource}" if subresource else resource.plural
        self.asked.append((verb, resource.group, resource.plural, subresource, namespace, name))
        return (verb, thing) not in self.denied


def file(text: str = "") -> KubernetesFile:
    parsed = parse(f"kind: kubernetes\nname: mine\n{textwrap.dedent(text)}", "mine.yaml")
    assert isinstance(parsed, KubernetesFile)
    return parsed


def node(
    name: str,
    address: str = "10.0.0.11",
    *,
    mask: int | None = 24,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    taints: Iterable[Json] = (),
    ready: str = "True",
    system: str = "linux",
    **spec: Any,
) -> Json:
    calico = {"projectcalico.org/IPv4Address": f"{address}/{mask}"} if mask is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
            "annotations": {**calico, **(annotations or {})},
        },
        "spec": {**({"taints": list(taints)} if taints else {}), **spec},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": address},
                {"type": "InternalIP", "address": "2001:db8::11"},
            ],
            "capacity": {"cpu": "4", "memory": "16393244Ki", "pods": "110"},
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": ready, "reason": "KubeletReady"},
            ],
            "nodeInfo": {
                "operatingSystem": system,
                "architecture": "amd64",
                "kernelVersion": "6.1.0-18-amd64",
                "kubeletVersion": "v1.34.1",
            },
        },
    }


def pool(
    name: str = "default-ipv4-ippool", cidr: str = "10.244.0.0/16", *, by: str = "", **spec: Any
) -> Json:
    return {
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": by} if by else {}},
        "spec": {
            "cidr": cidr,
            "blockSize": 26,
            "ipipMode": "Never",
            "vxlanMode": "Never",
            "natOutgoing": True,
            "nodeSelector": "all()",
            "allowedUses": ["Workload", "Tunnel"],
            **spec,
        },
    }


def named(name: str, namespace: str = "", /, **content: Any) -> Json:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, **content}


def information(version: str = "v3.32.1", **spec: Any) -> Json:
    return named(
        "default", spec={"calicoVersion": version, "clusterType": "k8s,bgp", "datastoreReady": True, **spec}
    )


def calico_node(namespace: str, *env: Json, image: str = "quay.io/calico/node:v3.32.1") -> Json:
    container = {"name": "calico-node", "image": image, "env": list(env)}
    return named("calico-node", namespace, spec={"template": {"spec": {"containers": [container]}}})


def calico_config(backend: str = "bird", ipam: str = "calico-ipam") -> Json:
    network = (
        '{"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico", '
        f'"mtu": __CNI_MTU__, "ipam": {{\n          "type": "{ipam}"\n      }}}}]}}'
    )
    data = {"calico_backend": backend, "veth_mtu": "0", "cni_network_config": network}
    return named("calico-config", "kube-system", data=data)


def kubeadm_config(pods: str = "10.244.0.0/16", services: str = "10.96.0.0/12") -> Json:
    document = textwrap.dedent(f"""\
        apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        networking:
          dnsDomain: cluster.local
          podSubnet: {pods}
          serviceSubnet: {services}
        """)
    return named("kubeadm-config", "kube-system", data={"ClusterConfiguration": document})


def manifest_cluster(*pools: Json, api: CalicoApi = RAW_API, version: str = "v3.32.1") -> InMemory:
    """Installed by calico.yaml on kubeadm: two workers and a control plane in one subnet."""
    groups = [RAW] if api == RAW_API else [V3] if api == NATIVE_API else [RAW, V3]
    cluster = InMemory(*groups)
    cluster.add(
        NODES,
        node(
            "master",
            "10.0.0.10",
            labels={"node-role.kubernetes.io/control-plane": ""},
            taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
        ),
        node("node1", "10.0.0.11"),
        node("node2", "10.0.0.12"),
    )
    backend = {"configMapKeyRef": {"name": "calico-config", "key": "calico_backend"}}
    cluster.add(
        DAEMON_SETS,
        calico_node("kube-system", {"name": "CALICO_NETWORKING_BACKEND", "valueFrom": backend}),
    )
    cluster.add(CONFIG_MAPS, calico_config(), kubeadm_config())
    cluster.add(SERVICES, named("kubernetes", "default", spec={"clusterIP": "10.96.0.1"}))
    cluster.add(api.cluster_informations, information(version))
    cluster.add(api.felix_configurations, named("default", spec={"bpfConnectTimeLoadBalancing": "TCP"}))
    cluster.add(api.pools, *(pools or [pool(ipipMode="Always")]))
    return cluster


def operator_cluster(
    *pools: Json, api: CalicoApi = AGGREGATED_API, bgp: str = "Enabled", version: str = "v3.32.1"
) -> InMemory:
    """Installed by the operator, with an API server of Calico's."""
    cluster = manifest_cluster(
        *(pools or [pool(by="tigera-operator", vxlanMode="CrossSubnet")]), api=api, version=version
    )
    del cluster.objects[CONFIG_MAPS.group, CONFIG_MAPS.version, CONFIG_MAPS.plural]
    del cluster.objects[DAEMON_SETS.group, DAEMON_SETS.version, DAEMON_SETS.plural]
    backend = {"Enabled": "bird", "Disabled": "vxlan"}[bgp]
    cluster.add(
        DAEMON_SETS, calico_node("calico-system", {"name": "CALICO_NETWORKING_BACKEND", "value": backend})
    )
    spec = {
        "cni": {"type": "Calico", "ipam": {"type": "Calico"}},
        "calicoNetwork": {
            "bgp": bgp,
            "linuxDataplane": "Iptables",
            "mtu": 1440,
            "ipPools": [{"cidr": "10.244.0.0/16", "encapsulation": "VXLANCrossSubnet"}],
        },
    }
    installation = named("default", spec={"variant": "Calico"}, status={"computed": spec})
    cluster.add(INSTALLATIONS, installation)
    cluster.add(SERVICE_RANGES, named("kubernetes", spec={"cidrs": ["10.96.0.0/16", "2001:db8:41:1::/112"]}))
    return cluster
