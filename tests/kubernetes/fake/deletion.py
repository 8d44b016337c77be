"""How a deletion begins, and what holds an object back from its end."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.fake.defaults import now
from tests.kubernetes.fake.kinds import Kind


def marked(kind: Kind, live: dict[str, Any], grace: int | None, *, runs: bool) -> dict[str, Any]:
    """The object as its deletion begins.

    Args:
        grace: Seconds asked for; the pod's own without.
        runs: Whether it is a pod that a kubelet has to end first.
    """
    metadata = dict(live["metadata"])
    own = live["spec"].get("terminationGracePeriodSeconds", 30) if runs else 0
    seconds = own if grace is None or not runs else grace
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = now()
        if kind.counts:
            metadata["generation"] = metadata.get("generation", 0) + 1
    # A second deletion may shorten the grace, never lengthen it.
    metadata["deletionGracePeriodSeconds"] = min(seconds, metadata.get("deletionGracePeriodSeconds", seconds))
    going = live | {"metadata": metadata}
    if _is_namespace(kind):
        del metadata["deletionGracePeriodSeconds"]
        going["status"] = (going.get("status") or {}) | {"phase": "Terminating"}
    return going


def on_a_node(kind: Kind, live: dict[str, Any]) -> bool:
    """Whether it is a pod whose processes a kubelet has in hand."""
    if not kind.builtin or kind.plural != "pods":
        return False
    phase = live.get("status", {}).get("phase")
    return bool(live["spec"].get("nodeName")) and phase not in {"Succeeded", "Failed"}


def may_go(kind: Kind, obj: dict[str, Any]) -> bool:
    """Whether nothing holds a deleted object any more; a namespace is for `Store.sweep` to take away."""
    metadata = obj["metadata"]
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return not held and not _is_namespace(kind)


def _is_namespace(kind: Kind) -> bool:
    return kind.builtin and kind.plural == "namespaces"
