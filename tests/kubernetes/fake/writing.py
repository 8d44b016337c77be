"""What clients may write: the four patches, the status subresource, dry runs, deletion by options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.kubernetes.fake import patching
from tests.kubernetes.fake.applying import Manager, applied, recorded
from tests.kubernetes.fake.refusal import Refused, invalid, not_found
from tests.kubernetes.fake.store import Object, Store
from tests.kubernetes.fake.targets import Target

APPLY = "application/apply-patch+yaml"
_PATCHES = {
    "application/merge-patch+json": patching.merge,
    "application/json-patch+json": patching.json_patch,
    "application/strategic-merge-patch+json": patching.strategic,
}
Query = Mapping[str, str]


class Writer:
    """Writes to the store as a client's request may."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, target: Target, obj: Object, query: Query, agent: str) -> Object:
        """A new object; a client's status is dropped where that is a subresource."""
        _object(obj)
        if target.kind.status:
            obj.pop("status", None)
        new = recorded(None, obj, Manager(query.get("fieldManager") or agent, "Update"), target.kind)
        return self._store.create(_resource(target), new, namespace=target.namespace, dry_run=_dry_run(query))

    def replace(self, target: Target, obj: Object, query: Query, agent: str) -> Object:
        """PUT."""
        _object(obj)
        if not (obj.get("metadata") or {}).get("resourceVersion") and not target.kind.builtin:
            why = "Invalid value: 0: must be specified for an update"
            raise invalid(target.kind.plural, target.kind.group, target.name, "metadata.resourceVersion", why)
        return self._update(target, lambda _: obj, query, agent)

    def patch(
        self, target: Target, patch: Any, content_type: str, query: Query, agent: str
    ) -> tuple[Object, bool]:
        """PATCH; returns the object and whether it is new.

        Raises:
            Refused: 415 for another patch, 409 for conflicts of an apply.
        """
        if content_type == APPLY:
            return self._apply(target, patch, query)
        change = _PATCHES.get(content_type)
        if change is None or (change is patching.strategic and not target.kind.builtin):
            accepted = [APPLY, *(_PATCHES if target.kind.builtin else list(_PATCHES)[:2])]
            raise Refused(
                415,
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join(accepted),
            )
        return self._update(target, lambda live: change(live, patch), query, agent), False

    def delete(self, target: Target, options: Mapping[str, Any], query: Query) -> Object:
        """DELETE, by the options of body or query."""
        grace = options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        return self._store.delete(
            _resource(target),
            target.name,
            namespace=target.namespace,
            uid=(options.get("preconditions") or {}).get("uid") or "",
            grace=None if grace is None else int(grace),
            propagation=options.get("propagationPolicy") or query.get("propagationPolicy") or "Background",
            dry_run=_dry_run(query) or bool(options.get("dryRun")),
        )

    def delete_collection(
        self, target: Target, options: Mapping[str, Any], query: Query, labels: str, fields: str
    ) -> None:
        """DELETE of all that match."""
        resource = _resource(target)
        with self._store.lock:
            for obj in self._store.list(resource, namespace=target.namespace, labels=labels, fields=fields):
                metadata = obj["metadata"]
                one = Target("delete", target.kind, metadata.get("namespace", ""), metadata["name"])
                self.delete(one, options, query)

    def _apply(self, target: Target, config: Any, query: Query) -> tuple[Object, bool]:
        name = query.get("fieldManager", "")
        if not name:
            why = "Required value: is required for apply patch"
            raise invalid("PatchOptions", "meta.k8s.io", "", "fieldManager", why)
        _object(config)
        for field, value in (("apiVersion", target.kind.api_version), ("kind", target.kind.kind)):
            if config.get(field) != value:
                raise Refused(400, f"invalid object type: {field} must be {value}, is {config.get(field)}")
        metadata = config.setdefault("metadata", {})
        if metadata.get("managedFields"):
            raise Refused(400, "metadata.managedFields must be nil")
        if metadata.setdefault("name", target.name) != target.name:
            said = metadata["name"]
            raise Refused(
                400, f"the name of the object ({said}) does not match the name on the URL ({target.name})"
            )
        manager = Manager(name, "Apply", target.subresource)
        force = query.get("force", "") in {"1", "true", "True"}
        resource = _resource(target)
        with self._store.lock:
            there = self._store.find(resource, target.name, namespace=target.namespace)
            if there is None:
                if target.subresource:
                    raise not_found(target.kind.plural, target.kind.group, target.name)
                if metadata.get("uid"):
                    raise Refused(
                        409,
                        "uid mismatch: the provided object specified uid, and no existing object was found",
                    )
                if target.kind.status:
                    config.pop("status", None)
                new = applied(None, config, manager, target.kind, force=force)
                dry_run = _dry_run(query)
                return self._store.create(resource, new, namespace=target.namespace, dry_run=dry_run), True
            obj = self._store.update(
                resource,
                target.name,
                lambda live: _allowed(target, live, applied(live, config, manager, target.kind, force=force)),
                namespace=target.namespace,
                dry_run=_dry_run(query),
            )
        return obj, False

    def _update(self, target: Target, change: Any, query: Query, agent: str) -> Object:
        manager = Manager(query.get("fieldManager") or agent, "Update", target.subresource)

        def whole(live: Object) -> Object:
            return recorded(live, _allowed(target, live, _object(change(live))), manager, target.kind)

        return self._store.update(
            _resource(target), target.name, whole, namespace=target.namespace, dry_run=_dry_run(query)
        )


def _allowed(target: Target, live: Object, new: Object) -> Object:
    """What of a change its path may change: the status alone, or all but it where it is a subresource."""
    if target.subresource == "status":
        kept = {key: value for key, value in live.items() if key != "status"}
        version = (new.get("metadata") or {}).get("resourceVersion", live["metadata"]["resourceVersion"])
        metadata = live["metadata"] | {
            "resourceVersion": version,
            "managedFields": (new.get("metadata") or {}).get("managedFields", []),
        }
        return kept | {"metadata": metadata} | ({"status": new["status"]} if "status" in new else {})
    if target.kind.status:
        without = {key: value for key, value in new.items() if key != "status"}
        return without | ({"status": live["status"]} if "status" in live else {})
    return new


def _object(value: Any) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("metadata", {}), dict):
        raise Refused(400, "the object provided is unrecognized (must be of type Object)")
    return value


def _resource(target: Target) -> tuple[str, str, str]:
    return target.kind.group, target.kind.version, target.kind.plural


def _dry_run(query: Query) -> bool:
    return query.get("dryRun") == "All"
