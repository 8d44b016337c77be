"""Objects as sets of fields: the paths that structured-merge-diff knows them by, and trees of FieldsV1.

A path is a tuple of elements as FieldsV1 writes them: `f:spec`, `k:{"name":"web"}` an item of a list with keys,
`v:"word"` a member of a set, and `.` for an item itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]
Fields = dict[Path, Any]
"""The value at each path that is a leaf."""

# `x-kubernetes-list-map-keys` of k8s.io/api; lists of custom resources are atomic, as without a schema.
_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ports": ("containerPort", "port", "protocol"),
    "ownerReferences": ("uid",),
}
_SETS = {"finalizers"}
_OF_EVERY_KIND = {"ownerReferences", "finalizers"}
_ATOMIC_MAPS = {"nodeSelector", "selector", "podSelector"}
_IDENTITY = {
    "name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
    "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
}  # fmt: skip


class Schema:
    """How lists and maps of a kind are merged.

    Args:
        builtin: Kubernetes' own, with a schema; otherwise every list is atomic.
    """

    def __init__(self, *, builtin: bool) -> None:
        self._builtin = builtin

    def leaves(self, obj: dict[str, Any], subresource: str = "") -> Fields:
        """What an object says, but for its identity; of a subresource only that."""
        kept = {
            key: value
            for key, value in obj.items()
            if key not in {"apiVersion", "kind"} and (not subresource or key in {subresource, "metadata"})
        }
        if isinstance(kept.get("metadata"), dict):
            kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key not in _IDENTITY}
            if not kept["metadata"]:
                del kept["metadata"]
        return dict(self._walk(kept, (), ""))

    def merged(self, live: Any, config: Any, field: str = "") -> Any:
        """What is there with what is applied over it."""
        if isinstance(config, dict) and isinstance(live, dict) and not self._atomic(field):
            result = dict(live)
            for key, value in config.items():
                if value is not None:
                    result[key] = self.merged(live.get(key), value, key)
            return result
        if isinstance(config, list) and isinstance(live, list):
            if self._is_set(field):
                return [*live, *(item for item in config if item not in live)]
            if self._is_map(field):
                result = {self._key(item, field): item for item in live}
                for item in config:
                    key = self._key(item, field)
                    result[key] = self.merged(result.get(key), item)
                return list(result.values())
        return config

    def without(self, obj: Any, path: Path, field: str = "") -> Any:
        """An object without the leaf of that path; a map that is empty then goes too."""
        element, rest = path[0], path[1:]
        if isinstance(obj, dict):
            key = element[2:]
            if key not in obj:
                return obj
            inner = self.without(obj[key], rest, key) if rest else None
            kept = {one: value for one, value in obj.items() if one != key}
            return kept if inner in (None, {}, []) else obj | {key: inner}
        if isinstance(obj, list) and element.startswith("v:"):
            return [item for item in obj if _value(item) != element]
        if isinstance(obj, list):
            result = []
            for item in obj:
                if self._key(item, field) != element:
                    result.append(item)
                elif rest not in ((), (".",)):
                    result.append(self.without(item, rest))
            return result
        return obj

    def _walk(self, value: Any, path: Path, field: str) -> Iterator[tuple[Path, Any]]:
        if isinstance(value, dict) and value and not self._atomic(field):
            for key, inner in value.items():
                if inner is not None:
                    yield from self._walk(inner, (*path, f"f:{key}"), key)
        elif isinstance(value, list) and value and self._is_set(field):
            for item in value:
                yield (*path, _value(item)), item
        elif isinstance(value, list) and value and self._is_map(field):
            for item in value:
                here = (*path, self._key(item, field))
                yield (*here, "."), None
                yield from self._walk(item, here, "")
        else:
            yield path, value

    def _atomic(self, field: str) -> bool:
        return self._builtin and field in _ATOMIC_MAPS

    def _is_set(self, field: str) -> bool:
        return field in _SETS and (self._builtin or field in _OF_EVERY_KIND)

    def _is_map(self, field: str) -> bool:
        return field in _KEYS and (self._builtin or field in _OF_EVERY_KIND)

    def _key(self, item: Any, field: str) -> str:
        keys = {key: item[key] for key in _KEYS[field] if key in item}
        if field == "ports":
            keys.setdefault("protocol", "TCP")
        return "k:" + json.dumps(keys, separators=(",", ":"), sort_keys=True)


def tree(paths: set[Path]) -> dict[str, Any]:
    """Paths as FieldsV1."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        here = root
        for element in path:
            here = here.setdefault(element, {})
    return root


def paths(fields: dict[str, Any], above: Path = ()) -> set[Path]:
    """FieldsV1 as paths."""
    result: set[Path] = set()
    for element, inner in fields.items():
        result |= paths(inner, (*above, element)) if inner else {(*above, element)}
    return result


def is_key(path: Path) -> bool:
    """Whether it is one of the fields an item of a list is known by."""
    above = path[-2] if len(path) > 1 else ""
    return above.startswith("k:") and path[-1][2:] in json.loads(above[2:])


def dotted(path: Path) -> str:
    """A path as conflicts name it: `.spec.containers[name="web"].image`."""
    words = []
    for element in path:
        if element.startswith("f:"):
            words.append(f".{element[2:]}")
        elif element.startswith("k:"):
            pairs = json.loads(element[2:]).items()
            words.append("[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]")
    return "".join(words)


def _value(item: Any) -> str:
    return "v:" + json.dumps(item)
