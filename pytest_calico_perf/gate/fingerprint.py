"""Whether two runs can be compared: where each was measured, and on which software.

The *place* (nodes, their processors, the lab's wiring) must be the same for values to be compared. The
*software* (kernel, Calico, MTUs, profile) may differ: whether it made anything slower is the question a
baseline is kept for, so a difference is named and no obstacle.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# The first iperf3 that gives every stream a thread of its own (its release notes): figures on either side
# of it are not of the same tool.
_THREADED_IPERF3 = (3, 16)


def _printable(text: str) -> str:
    # Of a file from elsewhere: what it says is shown on terminals, which obey escape sequences.
    return "".join(character if character.isprintable() else "?" for character in text)


Word = Annotated[str, Field(max_length=500), AfterValidator(_printable)]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _Node(_Facts):
    name: Word
    kernel: Word | None = None
    cpu: Word | None = None
    cpus: int | float | Word | None = None
    architecture: Word | None = None


class _Pool(_Facts):
    mode: Word | None = None
    pod_mtu: int | None = None


class _Calico(_Facts):
    version: Word | None = None
    dataplane: Word | None = None
    wireguard: bool | None = None


class ClusterFacts(_Facts):
    """What of a cluster's facts (`Cluster.facts`) counts for a comparison; validated, never trusted."""

    kind: Word
    name: Word
    nodes: Annotated[list[_Node], Field(min_length=1)]
    pair: list[Word] = []
    calico: _Calico | None = None
    mtu: int | None = None
    pools: list[_Pool] = []
    pod_mtu: dict[Word, int] = {}
    link_rate: int | float | None = None
    segmentation_offload: bool | None = None
    ipip: Word | None = None
    provision: Word | None = None
    hosts: Word | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """This run's own facts, by the same way as those of a file, so that the two can be equal."""
        return cls.model_validate_json(json.dumps(dict(facts), default=_jsonable))


@dataclass(frozen=True)
class Fingerprint:
    """Field -> value in words, in the order in which people read them; a field nobody knows is missing.

    Attributes:
        cluster: Name of the cluster.
        place: What must be equal for values to be comparable.
        software: What may differ, and is named when it does.
    """

    cluster: str
    place: Mapping[str, str]
    software: Mapping[str, str]

    @classmethod
    def of(cls, facts: ClusterFacts, profile: str = "") -> Self:
        """The fingerprint of a run on a cluster, with its profile's name if that is known."""
        # Of a big cluster only the two nodes that were measured count: others come and go.
        nodes = [node for node in facts.nodes if node.name in facts.pair] or facts.nodes
        calico = facts.calico or _Calico()
        mtus = {pool.mode: pool.pod_mtu for pool in facts.pools if pool.mode and pool.pod_mtu}
        mtus |= facts.pod_mtu
        place = {
            "kind": facts.kind,
            "cluster": facts.name,
            # Client and server: the other direction is another measurement.
            "nodes": " to ".join(facts.pair) or _each(node.name for node in nodes),
            "processors": _each(node.cpu for node in nodes),
            "number of processors": _each(node.cpus for node in nodes),
            "architecture": _each(node.architecture for node in nodes),
            "link rate": facts.link_rate,
            "segmentation offload": facts.segmentation_offload,
            "IPIP device": facts.ipip,
            "provision": facts.provision,
            "hosts": facts.hosts,
        }
        software = {
            "kernel": _each(node.kernel for node in nodes),
            "Calico": calico.version,
            "data plane": calico.dataplane,
            "WireGuard": calico.wireguard,
            "MTU": facts.mtu,
            **{f"pod MTU of {mode}": mtu for mode, mtu in sorted(mtus.items())},
            "profile": profile,
        }
        return cls(facts.name, _known(place), _known(software))

    @property
    def key(self) -> str:
        """Name of the folder that keeps the runs of this place: the cluster's name and a digest."""
        text = json.dumps(dict(self.place), sort_keys=True)
        return f"{folder_prefix(self.cluster)}{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def folder_prefix(cluster: str) -> str:
    """How the names of a cluster's folders begin; only [a-z0-9-]."""
    slug = re.sub(r"[^a-z0-9]+", "-", cluster.lower()).strip("-")[:40]
    return f"{slug or 'cluster'}-"


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What differs, in words: `kernel 6.1 there, 6.18 here`. Unknown on one side is no difference.

    Args:
        before: `place` or `software` of the baseline.
        now: The same of this run.
    """
    return tuple(
        f"{field} {before[field]} there, {value} here"
        for field, value in now.items()
        if field in before and before[field] != value
    )


def threaded_iperf3(details: Mapping[str, Any]) -> bool | None:
    """Whether a cell's iperf3 gave every stream its own thread, at both ends; None where it ran none.

    Ends that differ count as threaded when the client is: it is the sender, which is what saturates first.
    """
    version = details.get("version_client")
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version) if isinstance(version, str) else None
    return None if match is None else (int(match[1]), int(match[2])) >= _THREADED_IPERF3


def _jsonable(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _each(values: Any) -> str | None:
    known = [str(value) for value in values if value not in (None, "")]
    return ", ".join(sorted(dict.fromkeys(known))) or None


def _known(fields: Mapping[str, object]) -> Mapping[str, str]:
    words = {True: "yes", False: "no"}
    return MappingProxyType(
        {
            field: words[value] if isinstance(value, bool) else str(value)
            for field, value in fields.items()
            if value not in (None, "")
        }
    )
