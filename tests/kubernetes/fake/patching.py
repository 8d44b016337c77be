"""The patches of HTTP PATCH but one: JSON merge patch, JSON patch, and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

from tests.kubernetes.fake.refusal import Refused

# Lists that are merged item by item, by the keys one of which names an item (`patchMergeKey` in
# k8s.io/api/core/v1/types.go). Every other list is replaced whole.
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ports": ("containerPort", "port"),
    "ownerReferences": ("uid",),
    "hostAliases": ("ip",),
}
MERGED_SETS = {"finalizers"}
"""Lists of plain words that are merged as sets."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any) -> Any:
    """Kubernetes' own merge patch: lists with a merge key are merged, `$patch` replaces or deletes.

    See "Strategic Merge Patch" in the Kubernetes contributors' guide.
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            if key.startswith("$deleteFromPrimitiveList/"):
                field = key.partition("/")[2]
                result[field] = [item for item in result.get(field, []) if item not in value]
        elif value is None:
            result.pop(key, None)
        elif key in MERGE_KEYS and isinstance(value, list):
            result[key] = _merged_list(result.get(key) or [], value, MERGE_KEYS[key])
        elif key in MERGED_SETS and isinstance(value, list):
            there = result.get(key) or []
            result[key] = [*there, *(item for item in value if item not in there)]
        else:
            result[key] = strategic(result.get(key), value)
    return result


def _merged_list(target: list[Any], patch: list[Any], keys: tuple[str, ...]) -> list[Any]:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    result = list(target)
    for item in patch:
        key = next((key for key in keys if key in item), None)
        if key is None:
            raise Refused(400, f"map: {item} does not contain declared merge key: {keys[0]}")
        index = next((at for at, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(copy.deepcopy(item))
        else:
            result[index] = strategic(result[index], item)
    return result


def json_patch(target: Any, patch: Any) -> Any:
    """RFC 6902.

    Raises:
        Refused: 400 for what is no patch, 422 for one that cannot be done: a failed test, a missing path.
    """
    if not isinstance(patch, list):
        raise Refused(
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        )
    result = copy.deepcopy(target)
    for step in patch:
        try:
            result = _step(result, step)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            raise Refused(422, "the server rejected our request due to an error in our request") from None
    return result


def _step(document: Any, step: dict[str, Any]) -> Any:
    path = _pointer(step["path"])
    match step["op"]:
        case "add":
            return _put(document, path, copy.deepcopy(step["value"]), insert=True)
        case "replace":
            _at(document, path)
            return _put(document, path, copy.deepcopy(step["value"]), insert=False)
        case "remove":
            return _without(document, path)
        case "test":
            if _at(document, path) != step["value"]:
                raise ValueError(path)
            return document
        case "copy":
            return _put(document, path, copy.deepcopy(_at(document, _pointer(step["from"]))), insert=True)
        case "move":
            source = _pointer(step["from"])
            value = _at(document, source)
            return _put(_without(document, source), path, value, insert=True)
    raise ValueError(step["op"])


def _pointer(text: str) -> list[str]:
    """RFC 6901."""
    if text and not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if not 0 <= index <= len(parent):
            raise IndexError(index)
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        parent[last] = value
    return document


def _without(document: Any, path: list[str]) -> Any:
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[int(last)]
    else:
        del parent[last]
    return document
