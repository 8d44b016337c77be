"""IPPools: how Calico reads one, whom it serves, and what its API server and CRDs refuse.

Sources: libcalico-go/lib/clientv3/ippool.go (defaults and checks of the API server and calicoctl),
libcalico-go/lib/ipam/ipam.go (`determinePools`), calico.md 1 and 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from pytest_calico_perf.cluster.lab.topology import Pool
from pytest_calico_perf.model import Mode
from tests.kubernetes.fake.refusal import Refused

Json = dict[str, Any]

_MODES = {
    ("Never", "Never"): Mode.BGP,
    ("Always", "Never"): Mode.IPIP,
    ("CrossSubnet", "Never"): Mode.IPIP_CROSS_SUBNET,
    ("Never", "Always"): Mode.VXLAN,
    ("Never", "CrossSubnet"): Mode.VXLAN_CROSS_SUBNET,
}
_ENCAPSULATION = {
    "IPIP": ("Always", "Never"),
    "IPIPCrossSubnet": ("CrossSubnet", "Never"),
    "VXLAN": ("Never", "Always"),
    "VXLANCrossSubnet": ("Never", "CrossSubnet"),
    "None": ("Never", "Never"),
}
_SELECTORS = (
    (re.compile(r"has\(([^)]+)\)"), lambda labels, key: key in labels),
    (re.compile(r"!has\(([^)]+)\)"), lambda labels, key: key not in labels),
    (re.compile(r"(\S+)\s*==\s*['\"]([^'\"]*)['\"]"), lambda labels, key, value: labels.get(key) == value),
    (re.compile(r"(\S+)\s*!=\s*['\"]([^'\"]*)['\"]"), lambda labels, key, value: labels.get(key) != value),
)


@dataclass(frozen=True)
class IPPool:
    """An IPPool as Calico understands it.

    Attributes:
        name: Its name.
        range: Its addresses.
        mode: How its packets travel.
        block_size: Its blocks' prefix length.
        disabled: Whether no new address comes from it; a terminating or unallocatable one counts as such.
        automatic: Whether it serves pods that name no pool.
        uses: `Workload`, `Tunnel`.
        node_selector: Which nodes it serves unless it is named.
        nat_outgoing: Whether what leaves for elsewhere takes the node's address.
        obj: As stored.
    """

    name: str
    range: IPv4Network
    mode: Mode
    block_size: int
    disabled: bool
    automatic: bool
    uses: frozenset[str]
    node_selector: str
    nat_outgoing: bool
    obj: Mapping[str, Any]

    @classmethod
    def of(cls, obj: Json) -> IPPool | None:
        """Read one; None for what Calico cannot use: a raw CRD takes anything."""
        spec = obj.get("spec") or {}
        mode = _MODES.get((spec.get("ipipMode") or "Never", spec.get("vxlanMode") or "Never"))
        try:
            range_ = IPv4Network(spec["cidr"])
            size = int(spec.get("blockSize") or 26)
        except (KeyError, ValueError, TypeError):
            return None
        if mode is None or not range_.prefixlen <= size <= 32:
            return None
        conditions = (obj.get("status") or {}).get("conditions") or []
        unallocatable = any(
            each["type"] == "Allocatable" and each["status"] == "False" for each in conditions
        )
        return cls(
            name=obj["metadata"]["name"],
            range=range_,
            mode=mode,
            block_size=size,
            disabled=bool(spec.get("disabled")) or unallocatable or "deletionTimestamp" in obj["metadata"],
            automatic=spec.get("assignmentMode", "Automatic") == "Automatic",
            uses=frozenset(spec.get("allowedUses") or ("Workload", "Tunnel")),
            node_selector=spec.get("nodeSelector") or "all()",
            nat_outgoing=bool(spec.get("natOutgoing")),
            obj=obj,
        )

    @property
    def uid(self) -> str:
        """Its identity."""
        return self.obj["metadata"]["uid"]

    @property
    def going(self) -> bool:
        """Whether its deletion has begun."""
        return "deletionTimestamp" in self.obj["metadata"]

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether its node selector matches. Of Calico's language only single terms are understood."""
        if self.node_selector in ("all()", "!all()"):
            return self.node_selector == "all()"
        for pattern, holds in _SELECTORS:
            if found := pattern.fullmatch(self.node_selector.strip()):
                return holds(labels, *found.groups())
        raise ValueError(f"the plane does not understand the node selector {self.node_selector!r}")

    def planned(self, pod_mtu: int) -> Pool:
        """As the lab's planning wants it."""
        return Pool(self.name, self.mode, self.mode, self.range, pod_mtu)


def chosen(pools: Sequence[IPPool], asked: str | None, labels: Mapping[str, str]) -> list[IPPool]:
    """The pools a pod's address may come from: those its annotation names, else those that serve its node.

    Args:
        pools: All there are.
        asked: The annotation `cni.projectcalico.org/ipv4pools`, a JSON list of names or ranges.
        labels: The node's.

    Raises:
        ValueError: As the CNI plugin says it.
    """
    enabled = [pool for pool in pools if not pool.disabled and "Workload" in pool.uses]
    if asked is None:
        serving = [pool for pool in enabled if pool.automatic and pool.selects(labels)]
        if not serving:
            raise ValueError("no configured Calico pools for node")
        return serving
    try:
        names = json.loads(asked)
    except ValueError as error:
        raise ValueError(f"failed to parse pool from annotation: {error}") from None
    found = []
    for name in names:
        matching = [pool for pool in enabled if name in (pool.name, str(pool.range))]
        if not matching:
            raise ValueError(
                f"error getting IPPools: the given pool ({name}) does not exist, or is not enabled"
            )
        found += matching
    return found


def spec_of(mode: Mode, range_: IPv4Network, block_size: int = 26, **more: Any) -> Json:
    """An IPPool's spec."""
    ipip, vxlan = next(modes for modes, each in _MODES.items() if each is mode)
    spec = {
        "cidr": str(range_),
        "ipipMode": ipip,
        "vxlanMode": vxlan,
        "blockSize": block_size,
        "natOutgoing": True,
    }
    return {**spec, "nodeSelector": "all()", **more}


def installed(entry: Mapping[str, Any]) -> Json:
    """The spec of a pool of an Installation ([O] pkg/controller/ippool)."""
    ipip, vxlan = _ENCAPSULATION[entry.get("encapsulation") or "IPIP"]
    return {
        "cidr": entry["cidr"],
        "ipipMode": ipip,
        "vxlanMode": vxlan,
        "blockSize": entry.get("blockSize", 26),
        "natOutgoing": entry.get("natOutgoing", "Enabled") == "Enabled",
        "nodeSelector": entry.get("nodeSelector", "all()"),
        "disabled": bool(entry.get("disableNewAllocations")),
        "disableBGPExport": bool(entry.get("disableBGPExport")),
        "allowedUses": list(entry.get("allowedUses") or ("Workload", "Tunnel")),
        "assignmentMode": entry.get("assignmentMode", "Automatic"),
    }


def encapsulation(mode: Mode) -> str:
    """A mode as an Installation names it."""
    modes = next(modes for modes, each in _MODES.items() if each is mode)
    return next(name for name, each in _ENCAPSULATION.items() if each == modes)


def validated(new: Json, old: Json | None, others: Sequence[Json], blocks: Sequence[Json]) -> Json:
    """A pool as Calico's API server stores it, with its defaults.

    Raises:
        Refused: 422 with Calico's words.
    """
    spec = dict(new.get("spec") or {})
    name = new["metadata"]["name"]
    try:
        range_ = IPv4Network(spec.get("cidr", ""), strict=False)
    except ValueError:
        raise _invalid(name, "CIDR", spec.get("cidr"), "IPPool CIDR must be a valid subnet") from None
    spec["cidr"] = str(range_)
    spec.setdefault("ipipMode", "Never")
    spec.setdefault("vxlanMode", "Never")
    spec.setdefault("nodeSelector", "all()")
    spec.setdefault("blockSize", 26)
    spec.setdefault("allowedUses", ["Workload", "Tunnel"])
    spec.setdefault("assignmentMode", "Automatic")
    if old:
        for field in ("cidr", "blockSize"):
            if spec[field] != old["spec"].get(field):
                said = "CIDR" if field == "cidr" else "BlockSize"
                raise _invalid(name, said, spec[field], f"IPPool {said} cannot be modified")
    if spec["ipipMode"] != "Never" and spec["vxlanMode"] != "Never":
        why = "IPIPMode and VXLANMode cannot both be enabled on the same IP pool"
        raise _invalid(name, "VXLANMode", spec["vxlanMode"], why)
    if not 20 <= spec["blockSize"] <= 32:
        raise _invalid(name, "BlockSize", spec["blockSize"], "block size must be between 20 and 32")
    if spec["blockSize"] < range_.prefixlen:
        raise _invalid(
            name,
            "CIDR",
            spec["cidr"],
            "IP pool size is too small for use with Calico IPAM. It must be equal to or greater than the block size.",
        )
    for other in others:
        taken = IPv4Network(other["spec"]["cidr"])
        if other["metadata"]["name"] != name and taken.overlaps(range_):
            why = f"IPPool({name}) CIDR overlaps with IPPool({other['metadata']['name']}) CIDR {taken}"
            raise _invalid(name, "CIDR", spec["cidr"], why)
    if old is None:
        for block in blocks:
            taken = IPv4Network(block["spec"]["cidr"])
            if taken.overlaps(range_) and taken.prefixlen != spec["blockSize"]:
                why = "IPPool blocksSize conflicts with existing allocations that use a different blockSize"
                raise _invalid(name, "BlockSize", spec["blockSize"], why)
    return new | {"spec": spec}


def _invalid(name: str, field: str, value: object, why: str) -> Refused:
    """As apiserver/pkg/storage/calico/resource.go makes it of libcalico's ErrorValidation."""
    said = f"Invalid value: {json.dumps(value)}: {why}"
    causes = [{"reason": "FieldValueInvalid", "message": said, "field": f"IPPool.Spec.{field}"}]
    return Refused(
        422,
        f'IPPool.projectcalico.org "{name}" is invalid: IPPool.Spec.{field}: {said}',
        details={"name": name, "group": "projectcalico.org", "kind": "IPPool", "causes": causes},
    )
