"""Images: none is pulled. Every image is on every node, unless its name says what is wrong with it.

`missing` in it: no registry has it. `private` in it: only a pod with one of its namespace's pull secrets gets it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.fake.store import Store

Json = dict[str, Any]

_REFERENCE = re.compile(r"[a-z0-9]+([._:/-][A-Za-z0-9._-]+)*(@sha256:[0-9a-f]{64})?")
_SECRETS = ("", "v1", "secrets")


@dataclass(frozen=True)
class ImageProblem:
    """Why a container has no image (kubelet: pkg/kubelet/images).

    Attributes:
        image: As the pod names it.
        reason: `ImagePullBackOff`, `ErrImageNeverPull`, `InvalidImageName`.
        cause: What the runtime said; empty where it was not asked.
    """

    image: str
    reason: str
    cause: str = ""

    def state(self) -> tuple[str, str]:
        """Reason and message of the waiting container."""
        if self.reason == "ErrImageNeverPull":
            return self.reason, f'Container image "{self.image}" is not present with pull policy of Never'
        if self.reason == "InvalidImageName":
            what = f'couldn\'t parse image name "{self.image}": invalid reference format'
            return self.reason, f'Failed to apply default image tag "{self.image}": {what}'
        return self.reason, f'Back-off pulling image "{self.image}": ErrImagePull: {self.cause}'

    def events(self) -> list[tuple[str, str, str]]:
        """Reason, message and type of what the kubelet says about it."""
        _, message = self.state()
        if self.reason != "ImagePullBackOff":
            first = ("Failed" if self.reason == "ErrImageNeverPull" else "InspectFailed", message, "Warning")
            return [first, ("Failed", f"Error: {self.reason}", "Warning")]
        return [
            ("Pulling", f'Pulling image "{self.image}"', "Normal"),
            ("Failed", f'Failed to pull image "{self.image}": {self.cause}', "Warning"),
            ("Failed", "Error: ErrImagePull", "Warning"),
            ("BackOff", f'Back-off pulling image "{self.image}"', "Normal"),
            ("Failed", "Error: ImagePullBackOff", "Warning"),
        ]


def why_not_pulled(store: Store, pod: Json, container: Json) -> ImageProblem | None:
    """What keeps a container's image from being there."""
    image = container["image"]
    if not _REFERENCE.fullmatch(image):
        return ImageProblem(image, "InvalidImageName")
    if "missing" not in image and "private" not in image:
        return None
    if container.get("imagePullPolicy") == "Never":
        return ImageProblem(image, "ErrImageNeverPull")
    full = image if "/" in image else f"docker.io/library/{image}"
    failed = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}"'
    if "missing" in image:
        return ImageProblem(
            image, "ImagePullBackOff", f"rpc error: code = NotFound desc = {failed}: {full}: not found"
        )
    named = [each["name"] for each in pod["spec"].get("imagePullSecrets") or ()]
    if any(store.find(_SECRETS, name, namespace=pod["metadata"]["namespace"]) for name in named):
        return None
    denied = "pull access denied, repository does not exist or may require authorization"
    return ImageProblem(image, "ImagePullBackOff", f"rpc error: code = Unknown desc = {failed}: {denied}")
