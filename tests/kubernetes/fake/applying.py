"""Server-side apply, and who owns which field (KEP-555; Kubernetes documentation, "Server-Side Apply")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.kubernetes.fake.defaults import now
from tests.kubernetes.fake.fieldsets import Path, Schema, dotted, is_key, paths, tree
from tests.kubernetes.fake.kinds import Kind
from tests.kubernetes.fake.refusal import Refused

Object = dict[str, Any]


@dataclass(frozen=True)
class Manager:
    """Who writes.

    Attributes:
        name: The field manager.
        operation: `Apply` or `Update`: the same name applies and updates as two.
        subresource: What it writes through.
    """

    name: str
    operation: str
    subresource: str = ""


Owners = dict[Manager, set[Path]]


def recorded(live: Object | None, new: Object, manager: Manager, kind: Kind) -> Object:
    """An object as written by create, replace or patch, with its managedFields: who changes a field owns it."""
    schema = Schema(builtin=kind.builtin)
    before = schema.leaves(live) if live else {}
    after = schema.leaves(new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    owners = {one: held & after.keys() - changed for one, held in _owners(live).items()}
    owners.setdefault(manager, set()).update(changed)
    return _signed(live, new, owners, kind)


def applied(live: Object | None, config: Object, manager: Manager, kind: Kind, *, force: bool) -> Object:
    """The object with a configuration applied: what the manager no longer says and nobody else owns is removed.

    Raises:
        Refused: 409, another manager owns a field that would change, and `force` is not given.
    """
    schema = Schema(builtin=kind.builtin)
    said = schema.leaves(config, manager.subresource)
    if live is None:
        return _signed(None, config, {manager: set(said)}, kind)
    there, owners = schema.leaves(live), _owners(live)
    mine = owners.pop(manager, set())
    conflicts = [
        (other, path)
        for other, held in owners.items()
        for path in sorted(said)
        if _overlaps(path, held) and there.get(path) != said[path]
    ]
    if conflicts and not force:
        raise _conflict(conflicts, kind)
    for other, path in conflicts:
        owners[other] = {one for one in owners[other] if not _touches(one, path)}
    new = schema.merged(live, config)
    others = set().union(*owners.values())
    # An item before its fields: they go with it, and its keys never go alone.
    for path in sorted(mine - said.keys(), key=lambda one: (len(one), one[-1] != ".")):
        item = path[:-1] if path[-1] == "." else path
        held = any(one[: len(item)] == item for one in others | said.keys())
        if not held and not is_key(path):
            new = schema.without(new, path)
    owners[manager] = set(said)
    return _signed(live, new, owners, kind)


def _owners(obj: Object | None) -> Owners:
    entries = (obj or {}).get("metadata", {}).get("managedFields") or []
    return {
        Manager(entry["manager"], entry["operation"], entry.get("subresource", "")): paths(entry["fieldsV1"])
        for entry in entries
    }


def _signed(live: Object | None, new: Object, owners: Owners, kind: Kind) -> Object:
    """The object with managedFields; an entry that owns the same as before keeps its time."""
    was, times = _owners(live), _times(live)
    entries = []
    for manager, held in owners.items():
        if not held:
            continue
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": kind.api_version,
            "time": times[manager] if was.get(manager) == held else now(),
            "fieldsType": "FieldsV1",
            "fieldsV1": tree(held),
        }
        entries.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
    metadata = {key: value for key, value in (new.get("metadata") or {}).items() if key != "managedFields"}
    return new | {"metadata": metadata | ({"managedFields": entries} if entries else {})}


def _times(obj: Object | None) -> dict[Manager, str]:
    entries = (obj or {}).get("metadata", {}).get("managedFields") or []
    return {
        Manager(entry["manager"], entry["operation"], entry.get("subresource", "")): entry["time"]
        for entry in entries
    }


def _touches(one: Path, other: Path) -> bool:
    """Whether one lies within the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _overlaps(path: Path, held: set[Path]) -> bool:
    return path[-1] != "." and any(_touches(path, one) for one in held)


def _conflict(conflicts: list[tuple[Manager, Path]], kind: Kind) -> Refused:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager.name}"'
            + (f" using {kind.api_version}" if manager.operation == "Update" else ""),
            "field": dotted(path),
        }
        for manager, path in conflicts
    ]
    if len(causes) == 1:
        listed = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        by_manager: dict[str, list[str]] = {}
        for cause in causes:
            by_manager.setdefault(cause["message"].removeprefix("conflict "), []).append(cause["field"])
        listed = f"{len(causes)} conflicts: " + "\n".join(
            f"conflicts {manager}:\n" + "\n".join(f"- {field}" for field in fields)
            for manager, fields in by_manager.items()
        )
    return Refused(409, f"Apply failed with {listed}", details={"causes": causes})
