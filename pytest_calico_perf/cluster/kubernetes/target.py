"""The object that holds a cluster's mode, and the fields of it that say so.

Under an operator that is the Installation: the operator puts a pool it manages back to what is said there
(tigera/operator, pkg/controller/ippool/pool_controller.go). Elsewhere it is the IPPool itself.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Self

from pytest_calico_perf.cluster.kubernetes.calico import CalicoFacts, pool_mode
from pytest_calico_perf.cluster.kubernetes.journal import ANNOTATION, Entry, Fields
from pytest_calico_perf.cluster.kubernetes.reading import annotations_of, network, text
from pytest_calico_perf.cluster.kubernetes.resource import INSTALLATIONS, CalicoApi, Json, Resource
from pytest_calico_perf.errors import ClusterProblem, Unsupported
from pytest_calico_perf.model import Mode
from pytest_calico_perf.parsing import lookup, mappings

# Words of the Installation (tigera/operator, api/v1/installation_types.go) and of the IPPool, ipipMode first.
_ENCAPSULATION = {
    Mode.BGP: "None",
    Mode.IPIP: "IPIP",
    Mode.IPIP_CROSS_SUBNET: "IPIPCrossSubnet",
    Mode.VXLAN: "VXLAN",
    Mode.VXLAN_CROSS_SUBNET: "VXLANCrossSubnet",
}
_POOL_MODES = {
    Mode.BGP: ("Never", "Never"),
    Mode.IPIP: ("Always", "Never"),
    Mode.IPIP_CROSS_SUBNET: ("CrossSubnet", "Never"),
    Mode.VXLAN: ("Never", "Always"),
    Mode.VXLAN_CROSS_SUBNET: ("Never", "CrossSubnet"),
}
# What a field that is absent means: the operator's default, and Calico's.
_ABSENT = {"encapsulation": "IPIP", "ipipMode": "Never", "vxlanMode": "Never"}


@dataclass(frozen=True)
class Target:
    """What is patched to switch a cluster.

    Attributes:
        resource: The kind of object that says the mode: Installation or IPPool.
        name: Its name.
        cidr: Range of the pool that is switched.
        calico: Where pools are read: Installation or not, the pool must come to say so too.
    """

    resource: Resource
    name: str
    cidr: IPv4Network
    calico: CalicoApi

    @classmethod
    def of(cls, facts: CalicoFacts) -> Self:
        """The pool that pods get their addresses from when they ask for nothing, or who keeps it.

        Raises:
            Unsupported: There is none, or not only one.
        """
        pools = facts.default_pools
        if len(pools) != 1 or not isinstance(pools[0].range, IPv4Network):
            names = ", ".join(pool.name for pool in pools) or "none"
            raise Unsupported(
                f"there is no one pool to switch: pods that ask for nothing get addresses from {names}",
                remedy="--calico-provision=pools makes a pool per mode instead",
            )
        by_operator = facts.in_installation(pools[0])
        resource, name = (INSTALLATIONS, "default") if by_operator else (facts.api.pools, pools[0].name)
        return cls(resource, name, pools[0].range, facts.api)

    @classmethod
    def noted(cls, entry: Entry, calico: CalicoApi) -> Self:
        """What an entry of a journal is about."""
        by_operator = entry.resource == str(INSTALLATIONS)
        pools = calico.pools
        if not by_operator and entry.resource != str(pools):
            # The same pools through another door: an API server of Calico's came or went since.
            version = "v3" if entry.resource == "ippools.projectcalico.org" else "v1"
            pools = CalicoApi(entry.resource.partition(".")[2], version, calico.storage).pools
        return cls(INSTALLATIONS if by_operator else pools, entry.name, IPv4Network(entry.cidr), calico)

    @property
    def by_operator(self) -> bool:
        """Whether an operator stands between what is patched and the pool."""
        return self.resource == INSTALLATIONS

    @property
    def where(self) -> str:
        """It, for messages."""
        return f"Installation {self.name}, pool {self.cidr}" if self.by_operator else f"pool {self.name}"

    def asked(self, mode: Mode) -> Fields:
        """The fields of a mode."""
        if self.by_operator:
            return {"encapsulation": _ENCAPSULATION[mode]}
        return dict(zip(("ipipMode", "vxlanMode"), _POOL_MODES[mode], strict=True))

    def fields(self, found: Json) -> Fields:
        """What an object says now.

        Raises:
            ClusterProblem: It is an Installation that does not list the pool.
        """
        holder = _listed(found, self._index(found)) if self.by_operator else lookup(found, "spec")
        names = ("encapsulation",) if self.by_operator else ("ipipMode", "vxlanMode")
        values = {name: lookup(holder, name) for name in names}
        return {name: None if value is None else str(value) for name, value in values.items()}

    def patch(self, found: Json, fields: Fields, note: str | None) -> Json:
        """A merge patch that sets fields and note, of the object as it was found and of no later one.

        All fields at once: with both of a pool's set, even for a moment, it is refused. A list is replaced as
        a whole (RFC 7386), so the Installation's pools are repeated; the resource version sees to it that
        nobody's change in between is lost (Kubernetes API concepts: a patch with one is refused with 409 when
        the object has another).
        """
        spec: Any = dict(fields)
        if self.by_operator:
            index = self._index(found)
            pools: list[dict[str, Any]] = [dict(each) for each in mappings(_pools(found))]
            pools[index].update(fields)
            pools[index] = {key: value for key, value in pools[index].items() if value is not None}
            spec = {"calicoNetwork": {"ipPools": pools}}
        return {**_marked(found, note), "spec": spec}

    def note(self, found: Json, note: str | None) -> Json:
        """A merge patch that sets only the note, or takes it away."""
        return _marked(found, note)

    def command(self, found: Json, fields: Fields) -> str:
        """What a person can type to have the fields so, and the note gone."""
        noted = ANNOTATION in annotations_of(found)
        words = ["kubectl", "patch", str(self.resource), self.name]
        if not self.by_operator:
            body: Any = {"spec": dict(fields)}
            if noted:
                body["metadata"] = {"annotations": {ANNOTATION: None}}
            return shlex.join([*words, "--type=merge", f"--patch={json.dumps(body)}"])
        index = self._index(found)
        path = f"/spec/calicoNetwork/ipPools/{index}"
        test = {"op": "test", "path": f"{path}/cidr", "value": _listed(found, index).get("cidr")}
        # RFC 6902: `add` replaces what is there.
        steps: list[dict[str, Any]] = [
            test,
            *(
                {"op": "remove", "path": f"{path}/{name}"}
                if value is None
                else {"op": "add", "path": f"{path}/{name}", "value": value}
                for name, value in fields.items()
            ),
        ]
        if noted:
            steps.append({"op": "remove", "path": f"/metadata/annotations/{ANNOTATION.replace('/', '~1')}"})
        return shlex.join([*words, "--type=json", f"--patch={json.dumps(steps)}"])

    def pool_among(self, pools: list[Json]) -> Json | None:
        """The pool that is switched, out of all."""
        return next((pool for pool in pools if network(lookup(pool, "spec", "cidr")) == self.cidr), None)

    def _index(self, found: Json) -> int:
        for index, each in enumerate(mappings(_pools(found))):
            if network(each.get("cidr")) == self.cidr:
                return index
        raise ClusterProblem(
            "it does not list that pool (spec.calicoNetwork.ipPools)",
            where=self.where,
            remedy="was it changed meanwhile? Write the pool into the Installation to have it switched",
        )


def same(one: Fields, other: Fields) -> bool:
    """Whether two values of the fields mean the same; an absent field has a meaning, too."""
    return _meaning(one) == _meaning(other)


def mode_of(fields: Fields) -> Mode | None:
    """The mode that fields say; None when they make no sense."""
    if "encapsulation" in fields:
        word = _meaning(fields)["encapsulation"]
        return next((mode for mode, known in _ENCAPSULATION.items() if known == word), None)
    return pool_mode(dict(fields))


def in_words(fields: Fields) -> str:
    """`ipipMode Always, vxlanMode Never`."""
    return ", ".join(f"{name} {value or '(not set)'}" for name, value in fields.items())


def _meaning(fields: Fields) -> Mapping[str, str]:
    return {name: value or _ABSENT[name] for name, value in fields.items()}


def _pools(found: Json) -> Any:
    return lookup(found, "spec", "calicoNetwork", "ipPools")


def _listed(found: Json, index: int) -> Json:
    return mappings(_pools(found))[index]


def _marked(found: Json, note: str | None) -> dict[str, Any]:
    version = text(lookup(found, "metadata", "resourceVersion"))
    return {"metadata": {"resourceVersion": version, "annotations": {ANNOTATION: note}}}
