"""What the API server itself refuses or completes: Pod Security, quotas, priorities, addresses of Services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.kubernetes.fake.refusal import forbidden, invalid
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane import scheduler
from tests.kubernetes.plane.resources import NAMESPACES, PODS, QUOTAS, SERVICES

Json = dict[str, Any]

_LEVEL = "pod-security.kubernetes.io/enforce"
_BASELINE_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_BASELINE_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
        *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    }
)
_PRIORITIES = frozenset({"system-cluster-critical", "system-node-critical"})
_PRIORITY_CLASSES = ("scheduling.k8s.io", "v1", "priorityclasses")
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")


class Admission:
    """The admission plugins that our objects meet.

    Args:
        store: The API's objects.
        services: Range of the Services' addresses.
    """

    def __init__(self, store: Store, services: IPv4Network) -> None:
        self._store = store
        self._services = services

    def admit(self, operation: str, new: Json, old: Json | None) -> Json | None:
        """As a callback of the store."""
        if operation == "CREATE" and new["kind"] == "Pod" and new["apiVersion"] == "v1":
            self._check_security(new)
            self._check_priority(new)
            self._check_quotas(new)
        elif operation in ("CREATE", "UPDATE") and new["kind"] == "Service":
            return self._with_address(new, old)
        return None

    def _check_security(self, pod: Json) -> None:
        namespace = self._store.get(NAMESPACES, pod["metadata"]["namespace"])
        level = (namespace["metadata"].get("labels") or {}).get(_LEVEL, "privileged")
        broken = list(violations(pod, level))
        if broken:
            why = f'violates PodSecurity "{level}:latest": {", ".join(broken)}'
            raise forbidden("pods", "", pod["metadata"]["name"], why)

    def _check_priority(self, pod: Json) -> None:
        name = pod["spec"].get("priorityClassName")
        if name and name not in _PRIORITIES and not self._store.find(_PRIORITY_CLASSES, name):
            why = f"no PriorityClass with name {name} was found"
            raise forbidden("pods", "", pod["metadata"]["name"], why)

    def _check_quotas(self, pod: Json) -> None:
        metadata = pod["metadata"]
        there = [
            each
            for each in self._store.list(PODS, namespace=metadata["namespace"])
            if (each.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        ]
        for quota in self._store.list(QUOTAS, namespace=metadata["namespace"]):
            name = quota["metadata"]["name"]
            for resource, hard in ((quota.get("spec") or {}).get("hard") or {}).items():
                if (amount := _amount(pod, resource)) is None:
                    continue
                if amount == 0:
                    bare = ",".join(each["name"] for each in pod["spec"]["containers"])
                    raise forbidden(
                        "pods",
                        "",
                        metadata["name"],
                        f"failed quota: {name}: must specify {resource} for: {bare}",
                    )
                used = sum(_amount(each, resource) or 0 for each in there)
                if used + amount > scheduler.quantity(hard):
                    sums = (
                        f"requested: {resource}={amount}, used: {resource}={used}, limited: {resource}={hard}"
                    )
                    raise forbidden("pods", "", metadata["name"], f"exceeded quota: {name}, {sums}")

    def _with_address(self, new: Json, old: Json | None) -> Json | None:
        spec = new["spec"]
        if spec.get("type", "ClusterIP") == "ExternalName" or spec.get("clusterIP") == "None":
            return None
        if old:
            return new | {
                "spec": {key: old["spec"][key] for key in ("clusterIP", "clusterIPs") if key in old["spec"]}
                | spec
            }
        taken = {each["spec"].get("clusterIP") for each in self._store.list(SERVICES)}
        address = spec.get("clusterIP") or str(
            next(each for each in self._services.hosts() if str(each) not in taken)
        )
        if address in taken or IPv4Address(address) not in self._services:
            why = f'Invalid value: "{address}": failed to allocate IP {address}: provided IP is not in the valid range or is already allocated'
            raise invalid("Service", "", new["metadata"]["name"], "spec.clusterIPs", why)
        families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
        return new | {"spec": families | spec | {"clusterIP": address, "clusterIPs": [address]}}


def violations(pod: Json, level: str) -> Iterator[str]:
    """What in a pod breaks a level of the Pod Security Standards, in the words of k8s.io/pod-security-admission."""
    if level == "privileged":
        return
    spec = pod["spec"]
    shared = [f"{field}=true" for field in _HOST_FIELDS if spec.get(field)]
    if shared:
        yield f"host namespaces ({', '.join(shared)})"
    contexts = {each["name"]: each.get("securityContext") or {} for each in spec["containers"]}
    own = spec.get("securityContext") or {}
    if privileged := [name for name, context in contexts.items() if context.get("privileged")]:
        yield f"privileged ({_containers(privileged)} must not set securityContext.privileged=true)"
    restricted = level == "restricted"
    allowed = {"NET_BIND_SERVICE"} if restricted else _BASELINE_CAPABILITIES
    adding = {
        name: sorted(set(_capabilities(context, "add")) - allowed) for name, context in contexts.items()
    }
    if more := [name for name, added in adding.items() if added]:
        named = ", ".join(f'"{each}"' for name in more for each in adding[name])
        kind = "unrestricted capabilities" if restricted else "non-default capabilities"
        yield f"{kind} ({_containers(more)} must not include {named} in securityContext.capabilities.add)"
    if paths := [each["name"] for each in spec.get("volumes") or () if "hostPath" in each]:
        yield f"hostPath volumes (volume {_quoted(paths)})"
    if unsafe := [each["name"] for each in own.get("sysctls") or () if each["name"] not in _BASELINE_SYSCTLS]:
        yield f"forbidden sysctls ({', '.join(unsafe)})"
    if restricted:
        yield from _restricted(own, contexts)


def _restricted(own: Json, contexts: dict[str, Json]) -> Iterator[str]:
    if free := [name for name, each in contexts.items() if each.get("allowPrivilegeEscalation") is not False]:
        yield (
            f"allowPrivilegeEscalation != false ({_containers(free)} must set "
            "securityContext.allowPrivilegeEscalation=false)"
        )
    if keeping := [name for name, each in contexts.items() if "ALL" not in _capabilities(each, "drop")]:
        yield f'unrestricted capabilities ({_containers(keeping)} must set securityContext.capabilities.drop=["ALL"])'
    if root := [
        name for name, each in contexts.items() if not each.get("runAsNonRoot", own.get("runAsNonRoot"))
    ]:
        yield f"runAsNonRoot != true (pod or {_containers(root)} must set securityContext.runAsNonRoot=true)"
    if [name for name, each in contexts.items() if each.get("runAsUser", own.get("runAsUser")) == 0]:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    profiles = {
        name: each.get("seccompProfile") or own.get("seccompProfile") or {} for name, each in contexts.items()
    }
    if loose := [
        name for name, each in profiles.items() if each.get("type") not in ("RuntimeDefault", "Localhost")
    ]:
        yield (
            f"seccompProfile (pod or {_containers(loose)} must set securityContext.seccompProfile.type to "
            '"RuntimeDefault" or "Localhost")'
        )


def _capabilities(context: Json, which: str) -> list[str]:
    return (context.get("capabilities") or {}).get(which) or []


def _containers(names: list[str]) -> str:
    return f"container{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _amount(pod: Json, resource: str) -> Any:
    """How much of a quota's resource a pod takes; None when the quota is not about pods."""
    if resource in ("pods", "count/pods"):
        return 1
    kind, _, what = resource.rpartition(".")
    kind = kind or "requests"
    if what not in ("cpu", "memory") or kind not in ("requests", "limits"):
        return None
    return sum(
        scheduler.quantity(((each.get("resources") or {}).get(kind) or {}).get(what, 0))
        for each in pod["spec"]["containers"]
    )
