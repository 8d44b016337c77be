"""Services: their endpoints, and kube-proxy's rules on every node, for `nft`.

As kube-proxy's nftables mode: destination NAT by address, protocol and port, one of the ready endpoints at random,
and masquerade of clients outside the cluster's range (`clusterCIDR`; calico.md 1.2) and of a pod that asks itself.
Left out: session affinity, node ports, external addresses, traffic policies, the refusal where there is no endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane.calico import is_ready
from tests.kubernetes.plane.dataplane import DataPlane
from tests.kubernetes.plane.reconciler import Reconciler
from tests.kubernetes.plane.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES

Json = dict[str, Any]
_MARK = "0x4000"  # kube-proxy's masquerade bit


class Proxy:
    """The endpoints controller, and kube-proxy on every node.

    Args:
        store: The API's objects.
        data_plane: Whose nodes get rules.
        cluster_range: Pods of the cluster, as kube-proxy was told.
    """

    def __init__(self, store: Store, data_plane: DataPlane, cluster_range: IPv4Network) -> None:
        self._store = store
        self._data_plane = data_plane
        self._range = cluster_range
        self._rules = ""
        self._loop = Reconciler("kube-proxy", self._reconcile)

    def on_change(self, _type: str, obj: Json) -> None:
        """Look again if that kind of object matters."""
        if obj["kind"] in ("Service", "Pod"):
            self._loop.kick()

    def settle(self, timeout: float) -> bool:
        """Wait until all that was asked for has been brought about."""
        return self._loop.settle(timeout)

    def close(self) -> None:
        """End; raise what it failed with."""
        self._loop.close()
        if self._loop.error:
            raise self._loop.error

    def _reconcile(self) -> None:
        targets: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
        for service in self._store.list(SERVICES):
            spec = service["spec"]
            if not spec.get("selector"):
                continue
            ready = self._ready(service)
            self._publish(service, ready)
            if spec.get("clusterIP") in (None, "None") or not ready:
                continue
            for port in spec.get("ports") or ():
                key = (spec["clusterIP"], port.get("protocol", "TCP").lower(), port["port"])
                targets[key] = [(pod["status"]["podIP"], _target(pod, port)) for pod in ready]
        rules = _rules(targets, self._range)
        if rules != self._rules:
            for node in self._data_plane.topology.nodes:
                self._data_plane.set_rules(node.name, rules)
            self._rules = rules

    def _ready(self, service: Json) -> list[Json]:
        selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        pods = self._store.list(PODS, namespace=service["metadata"]["namespace"], labels=selector)
        return [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]

    def _publish(self, service: Json, ready: Sequence[Json]) -> None:
        """Endpoints and an EndpointSlice, for whoever reads them."""
        metadata = service["metadata"]
        ports = [
            {
                "name": port.get("name", ""),
                "port": port.get("targetPort", port["port"]),
                "protocol": port["protocol"],
            }
            for port in service["spec"].get("ports") or ()
        ]
        addresses = [{"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"]} for pod in ready]
        subsets = [{"addresses": addresses, "ports": ports}] if addresses else []
        owner = {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}
        labels = {"kubernetes.io/service-name": metadata["name"]}
        slice_ = {
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [
                {"addresses": [each["ip"]], "conditions": {"ready": True}, "nodeName": each["nodeName"]}
                for each in addresses
            ],
        }
        self._keep(ENDPOINTS, metadata, owner, {}, {"subsets": subsets})
        self._keep(ENDPOINT_SLICES, metadata, owner, labels, slice_)

    def _keep(
        self, resource: tuple[str, str, str], metadata: Json, owner: Json, labels: Json, content: Json
    ) -> None:
        name, namespace = metadata["name"], metadata["namespace"]
        try:
            if self._store.find(resource, name, namespace=namespace):
                self._store.update(resource, name, lambda live: live | content, namespace=namespace)
            else:
                new = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner]}
                self._store.create(resource, {"metadata": new} | content)
        except Refused as refused:
            if refused.code not in (403, 404, 409):  # the Service or its namespace is going
                raise


def _target(pod: Json, port: Json) -> int:
    """A Service's port at a pod: its number, or the number of the container port of that name."""
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted
    named = (
        each
        for spec in pod["spec"]["containers"]
        for each in spec.get("ports") or ()
        if each.get("name") == wanted
    )
    return next((each["containerPort"] for each in named), port["port"])


def _rules(
    targets: Mapping[tuple[str, str, int], Sequence[tuple[str, int]]], cluster_range: IPv4Network
) -> str:
    """The whole table; loading it replaces the old one in one step."""
    table = "table ip kube-proxy"
    chains: dict[tuple[str, tuple[tuple[str, int], ...]], str] = {}
    elements = []
    for (address, protocol, port), endpoints in targets.items():
        name = chains.setdefault((protocol, tuple(endpoints)), f"service-{len(chains)}")
        elements.append(f"{address} . {protocol} . {port} : goto {name}")
    services = f"elements = {{ {', '.join(elements)} }}" if elements else ""
    addresses = sorted({address for address, _, _ in targets})
    outside = (
        f"ip saddr != {cluster_range} ip daddr {{ {', '.join(addresses)} }} meta l4proto {{ tcp, udp }} "
        f"meta mark set meta mark or {_MARK}"
        if addresses
        else ""
    )
    lookup = "ip daddr . meta l4proto . th dport vmap @service-ips"
    text = [
        table,
        f"delete {table}",
        f"{table} {{",
        "  map service-ips {",
        "    type ipv4_addr . inet_proto . inet_service : verdict",
        f"    {services}",
        "  }",
        *(
            line
            for (protocol, endpoints), name in chains.items()
            for line in _chain(name, protocol, endpoints)
        ),
        "  chain nat-prerouting {",
        "    type nat hook prerouting priority -100",
        f"    {outside}",
        f"    {lookup}",
        "  }",
        "  chain nat-output {",
        "    type nat hook output priority -100",
        f"    {lookup}",
        "  }",
        "  chain nat-postrouting {",
        "    type nat hook postrouting priority 99",
        f"    meta mark and {_MARK} != 0 masquerade",
        "  }",
        "}",
    ]
    return "\n".join(text) + "\n"


def _chain(name: str, protocol: str, endpoints: Sequence[tuple[str, int]]) -> list[str]:
    """A chain that sends to one of the endpoints; one that asks itself must see another address."""
    lines = [f"  chain {name} {{"]
    addresses = sorted({address for address, _ in endpoints})
    lines.append(f"    ip saddr {{ {', '.join(addresses)} }} meta mark set meta mark or {_MARK}")
    if len(endpoints) == 1:
        lines.append(f"    meta l4proto {protocol} dnat to {endpoints[0][0]}:{endpoints[0][1]}")
    else:
        choices = ", ".join(
            f"{number} : {address} . {port}" for number, (address, port) in enumerate(endpoints)
        )
        lines.append(
            f"    meta l4proto {protocol} dnat ip addr . port to numgen random mod {len(endpoints)} map {{ {choices} }}"
        )
    return [*lines, "  }"]
