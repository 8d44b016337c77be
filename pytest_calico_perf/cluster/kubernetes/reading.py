"""Reading what the API shows: the part of `Api` that looking needs, and values out of JSON of any shape.

Objects of a cluster are untrusted and may be of any shape (raw CRDs check nothing). The readers here return a
value that can be used, or nothing; they never raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network, ip_network
from typing import Protocol

from pytest_calico_perf.cluster.kubernetes.resource import Json, Resource
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup

CALICO_GROUPS = ("projectcalico.org", "crd.projectcalico.org")
"""API groups of Calico's objects; the first may be served by an API server of Calico's own."""

_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?", re.ASCII)
_SERVER_ERROR = 500
_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", start=1)
}


class Reader(Protocol):
    """What looking at a cluster asks of its API; `Api` is one. Every failure is an `ApiProblem`."""

    @property
    def server(self) -> str:
        """The API server's URL, without credentials."""

    def version(self) -> str:
        """Version of the API server: `v1.34.1`."""

    def serves(self, group: str, version: str) -> frozenset[str]:
        """Plurals of the resources served under a group and version; empty where it is not served."""

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Json | None:
        """An object, or None where it is not there."""

    def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Sequence[Json]:
        """All objects that match the selectors."""

    def allowed(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether the API says that we may (SelfSubjectAccessReview)."""


class Look:
    """Looks at a cluster and remembers what it was not allowed to see, or what is not there to be asked.

    A refusal is no failure while looking: the permissions that a run needs are asked for by name, all at once
    (`permissions.py`); the rest belongs into the facts as not known.
    """

    def __init__(self, api: Reader) -> None:
        self._api = api
        self._unseen: dict[str, str] = {}

    @property
    def unseen(self) -> tuple[str, ...]:
        """What could not be looked at, each with its reason."""
        return tuple(f"{what}: {why}" for what, why in self._unseen.items())

    def version(self) -> str:
        """Version of the API server; empty where it does not say."""
        try:
            return text(self._api.version())
        except ApiProblem as problem:
            self._forgive("version of the API server", problem)
            return ""

    def serves(self, group: str, version: str, plural: str) -> bool:
        """Whether a resource is served.

        An aggregated API whose server is down counts as not served, and is noted; but not Calico's.

        Raises:
            ApiProblem: Calico's is down: through the raw CRDs nothing would be checked, and pools would be
                deleted without their blocks.
        """
        try:
            return plural in self._api.serves(group, version)
        except ApiProblem as problem:
            if group in CALICO_GROUPS and problem.status is not None and problem.status >= _SERVER_ERROR:
                raise ApiProblem(
                    f"Calico's API server is down: {group}/{version} answers {problem.status}",
                    status=problem.status,
                    where=self._api.server,
                    remedy="try again; if it stays down, see kubectl get apiservices and the pods of "
                    "calico-apiserver",
                ) from problem
            self._forgive(f"{group}/{version}", problem, also=(500, 502, 503, 504))
            return False

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Json | None:
        """An object; None where it is not there or may not be seen."""
        try:
            return self._api.find(resource, name, namespace=namespace)
        except ApiProblem as problem:
            self._forgive(f"{resource} {namespace}/{name}" if namespace else f"{resource} {name}", problem)
            return None

    def list(self, resource: Resource, *, labels: str = "") -> list[Json]:
        """All objects of a kind, of all namespaces; none where they may not be seen."""
        try:
            return list(self._api.list(resource, labels=labels))
        except ApiProblem as problem:
            self._forgive(str(resource), problem)
            return []

    def note(self, what: str, why: str) -> None:
        """Remember something that was seen but says nothing."""
        self._unseen.setdefault(what, why)

    def _forgive(self, what: str, problem: ApiProblem, *, also: Sequence[int] = ()) -> None:
        if problem.status == 403:
            self._unseen.setdefault(what, "not permitted")
        elif problem.status in (404, 405):
            self._unseen.setdefault(what, "not served")
        elif problem.status in also:
            self._unseen.setdefault(what, f"its server answers {problem.status}")
        else:
            raise problem


def text(value: object) -> str:
    """A text for one line of a terminal or report, without control characters; empty for whatever is none."""
    if not isinstance(value, str):
        return ""
    if value.isprintable():
        return value
    return "".join(letter for letter in " ".join(value.split()) if letter.isprintable())


def document(value: object) -> str:
    """A text of many lines, to be parsed and not to be shown; empty for whatever is none."""
    return value if isinstance(value, str) else ""


def truth(value: object) -> bool:
    """A boolean, or the word for one: raw CRDs and environment variables hold `"true"`."""
    return value is True or text(value).strip().lower() in ("true", "1", "yes", "enabled")


def texts(value: object) -> tuple[str, ...]:
    """The texts of an array; empty for whatever is none."""
    return tuple(text(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def name_of(found: object) -> str:
    """An object's name."""
    return text(lookup(found, "metadata", "name"))


def labels_of(found: object) -> dict[str, str]:
    """An object's labels."""
    return _words(lookup(found, "metadata", "labels"))


def annotations_of(found: object) -> dict[str, str]:
    """An object's annotations."""
    return _words(lookup(found, "metadata", "annotations"))


def _words(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {key: word for key, word in value.items() if isinstance(key, str) and isinstance(word, str)}


def network(value: object) -> IPv4Network | IPv6Network | None:
    """A range of addresses, of either family."""
    try:
        return ip_network(text(value).strip(), strict=False)
    except ValueError:
        return None


def ipv4_network(value: object) -> IPv4Network | None:
    """An IPv4 range; None for one of the other family too."""
    found = network(value)
    return found if isinstance(found, IPv4Network) else None


def ipv4_interface(value: object) -> IPv4Interface | None:
    """An IPv4 address with its mask; without one it is a /32."""
    try:
        return IPv4Interface(text(value).strip())
    except ValueError:
        return None


def ipv4_address(value: object) -> IPv4Address | None:
    """An IPv4 address."""
    try:
        return IPv4Address(text(value).strip())
    except ValueError:
        return None


def quantity(value: object) -> float | None:
    """A resource quantity in its base unit: `"16393244Ki"` in byte, `"3920m"` in CPUs."""
    match = _QUANTITY.fullmatch(text(value))
    return float(match[1]) * _SUFFIXES.get(match[2], 1.0) if match else None
