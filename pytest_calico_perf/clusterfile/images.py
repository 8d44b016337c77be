"""Container images: what they must hold, and where they come from instead when there is a mirror."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr

from pytest_calico_perf.clusterfile.fields import Model
from pytest_calico_perf.clusterfile.names import ObjectName

# The grammar of distribution/reference, which every container runtime follows.
_DOMAIN = r"[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_PREFIX = re.compile(rf"{_DOMAIN}(?:/{_PART})*")
_LONGEST = 512

_DOCKER = "docker.io"


def _is_registry(part: str) -> bool:
    """Whether the first part of an image's name is a registry: Docker's rule."""
    return "." in part or ":" in part or part == "localhost"


def full_name(image: str) -> str:
    """An image's name with its registry, by Docker's rules for short ones.

    `nginx` is `docker.io/library/nginx`, `nicolaka/netshoot:v0.14` is `docker.io/nicolaka/netshoot:v0.14`.
    """
    first, slash, rest = image.partition("/")
    if not slash or not _is_registry(first):
        first, rest = _DOCKER, image
    if first == _DOCKER and "/" not in rest:
        rest = f"library/{rest}"
    return f"{first}/{rest}"


def _image(text: str) -> str:
    if len(text) > _LONGEST or _IMAGE.fullmatch(text) is None:
        raise ValueError("should be an image such as quay.io/team/tools:1.2")
    return text


def _prefix(text: str) -> str:
    if len(text) > _LONGEST or _PREFIX.fullmatch(text) is None or not _is_registry(text.partition("/")[0]):
        raise ValueError("should begin with a registry, such as docker.io or registry.example.com/mirror")
    return text


def _begins_with(name: str, prefix: str) -> bool:
    """Whether a full name begins with whole parts: `quay.io/a` begins `quay.io/a/b:1`, not `quay.io/ab:1`."""
    rest = name.removeprefix(prefix)
    tag = rest.startswith(":") and "/" not in rest  # not a registry's port
    return rest != name and (not rest or rest[0] in "/@" or tag)


Image = Annotated[StrictStr, AfterValidator(_image)]
Prefix = Annotated[StrictStr, AfterValidator(_prefix)]
Role = Literal["tools", "web"]


class PullPolicy(StrEnum):
    """When a node fetches an image; spelt as Kubernetes does."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class Images(Model):
    """The images of the test pods. The defaults are public, pinned, and there for amd64 and arm64.

    Attributes:
        tools: Holds iperf3, iperf (version 2), ping, ab, ethtool and ip.
        web: Holds nginx.
        pull_policy: When a node fetches them.
        pull_secrets: Names of secrets with registry credentials, in the namespace named in the file.
        mirrors: Beginning of an image's full name -> what takes its place; the longest one wins.
    """

    tools: Image = "nicolaka/netshoot:v0.14"
    web: Image = "nginx:1.28.0-alpine"
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    pull_secrets: tuple[ObjectName, ...] = ()
    mirrors: Mapping[Prefix, Prefix] = Field(default_factory=dict)

    def for_role(self, role: Role) -> str:
        """The image of a role as the nodes shall fetch it: from its mirror where there is one."""
        image = self.tools if role == "tools" else self.web
        name = full_name(image)
        fitting = [prefix for prefix in self.mirrors if _begins_with(name, prefix)]
        if not fitting:
            return image
        prefix = max(fitting, key=len)
        return self.mirrors[prefix] + name.removeprefix(prefix)
