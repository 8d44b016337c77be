"""The objects of the server: typed reads and writes with the real server's rules about identity and deletion.

A write of the store may change anything, status included: it is the controllers' way in. What a client may
change is for the routes to see to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.kubernetes.fake import patching, selectors
from tests.kubernetes.fake.defaults import defaulted, stamp_new
from tests.kubernetes.fake.deletion import marked, may_go, on_a_node
from tests.kubernetes.fake.journal import Callback, Journal, Subscription
from tests.kubernetes.fake.kinds import Kind, Kinds, Resource
from tests.kubernetes.fake.refusal import Refused, conflict, exists, forbidden, invalid, not_found

Object = dict[str, Any]
Admission = Callable[[str, Object, Object | None], Object | None]
"""Called with CREATE, UPDATE or DELETE, the object to be and the object there was; may return another object to
store instead, or raise `Refused`. Called under the store's lock: it must be quick."""

Objects = list[Object]

NAMESPACES = ("", "v1", "namespaces")


def copied(obj: Object) -> Object:
    """A deep copy; refuses what JSON cannot hold."""
    result: Object = json.loads(json.dumps(obj))
    return result


class Store:
    """Objects by kind, namespace and name. Thread safe; what goes in and comes out is copied."""

    def __init__(self, kinds: Kinds, graceful: Callable[[], bool] = lambda: False) -> None:
        self.kinds = kinds
        self.lock = threading.RLock()
        self.journal = Journal()
        self._graceful = graceful
        self._admission: list[Admission] = []
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.create(NAMESPACES, {"metadata": {"name": name}})

    # Reading

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Object | None:
        """The object of that name; None when there is none."""
        kind = self.kinds.of(resource)
        with self.lock:
            obj = self._all(kind).get((namespace if kind.namespaced else "", name))
            return copied(kind.view(obj)) if obj else None

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> Object:
        """The object of that name.

        Raises:
            Refused: 404.
        """
        obj = self.find(resource, name, namespace=namespace)
        if obj is None:
            kind = self.kinds.of(resource)
            raise not_found(kind.plural, kind.group, name)
        return obj

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Objects:
        """The objects of a collection by namespace and name; of all namespaces without one."""
        kind = self.kinds.of(resource)
        matches = (selectors.by_labels(labels), selectors.by_fields(fields, kind.plural))
        with self.lock:
            return [
                copied(kind.view(obj))
                for (where, _), obj in sorted(self._all(kind).items())
                if (not namespace or not kind.namespaced or where == namespace)
                and all(match(obj) for match in matches)
            ]

    @property
    def version(self) -> str:
        """The newest resource version."""
        with self.lock:
            return str(self.journal.version)

    # Writing

    def create(
        self, resource: Resource, obj: Object, *, namespace: str = "", dry_run: bool = False
    ) -> Object:
        """Store a new object; its namespace may stand in its metadata.

        Raises:
            Refused: 409 it exists, 404 no such namespace, 403 its namespace is going or admission refuses, 422.
        """
        kind = self.kinds.of(resource)
        namespace = namespace or (obj.get("metadata") or {}).get("namespace") or ""
        with self.lock:
            new = stamp_new(kind, copied(obj), namespace)
            name = new["metadata"]["name"]
            self._check_namespace(kind, namespace, name)
            if (namespace, name) in self._all(kind):
                raise exists(kind.plural, kind.group, name)
            new = self._admit("CREATE", new, None)
            if not dry_run:
                self._commit(kind, "ADDED", new, None)
            return copied(kind.view(new))

    def update(
        self,
        resource: Resource,
        name: str,
        change: Callable[[Object], Object],
        *,
        namespace: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Replace an object by what `change` makes of a copy of it, in one step.

        Raises:
            Refused: 404; 409 when the result bears another resource version or uid; 403 by admission; 422.
        """
        kind = self.kinds.of(resource)
        with self.lock:
            live = self.get(resource, name, namespace=namespace)
            new = kind.view(copied(change(copied(live))))
            self._keep_identity(kind, live, new)
            if _without_version(new) == _without_version(live):
                return live
            new = self._admit("UPDATE", defaulted(kind, new), live)
            if kind.counts and _content(new) != _content(live):
                new["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
            if dry_run:
                return copied(kind.view(new))
            if new["metadata"].get("deletionTimestamp") and may_go(kind, new):
                self._forget(kind, new)
            else:
                self._commit(kind, "MODIFIED", new, live)
            return copied(kind.view(new))

    def replace(self, resource: Resource, obj: Object, *, namespace: str = "") -> Object:
        """Store another state of an object whole; with a resource version only over just that one."""
        metadata = obj.get("metadata") or {}
        where = namespace or metadata.get("namespace") or ""
        return self.update(resource, metadata.get("name", ""), lambda _: obj, namespace=where)

    def patch(self, resource: Resource, name: str, patch: Object, *, namespace: str = "") -> Object:
        """Change an object by a JSON merge patch (RFC 7396)."""
        return self.update(resource, name, lambda live: patching.merge(live, patch), namespace=namespace)

    def set_status(self, resource: Resource, name: str, status: Object, *, namespace: str = "") -> Object:
        """Replace an object's status."""
        return self.update(resource, name, lambda live: live | {"status": status}, namespace=namespace)

    def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        grace: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> Object:
        """Delete an object, as far as finalizers, a pod's grace and a namespace's content allow: see its
        deletionTimestamp, and `find` afterwards.

        Args:
            uid: Only when this is its uid.
            grace: Seconds; the pod's own without. 0 removes a pod at once.
            propagation: `Background` or `Foreground` delete what it owns too, `Orphan` does not.

        Raises:
            Refused: 404; 409 for another uid; 403 by admission.
        """
        kind = self.kinds.of(resource)
        with self.lock:
            live = self.get(resource, name, namespace=namespace)
            if uid and live["metadata"]["uid"] != uid:
                why = (
                    f"the UID in the precondition ({uid}) does not match the UID in record "
                    f"({live['metadata']['uid']}). The object might have been deleted and then recreated"
                )
                raise conflict(kind.kind, kind.group, name, why)
            self._admit("DELETE", live, live)
            if dry_run:
                return live
            going = marked(kind, live, grace, runs=self._graceful() and on_a_node(kind, live))
            if may_go(kind, going):
                self._forget(kind, going, orphan=propagation == "Orphan")
                return going
            if going != live:
                self._commit(kind, "MODIFIED", going, live)
            if kind.plural == "namespaces":
                self._empty(going["metadata"]["name"])
            return copied(self.find(resource, name, namespace=namespace) or going)

    def remove(self, resource: Resource, name: str, *, namespace: str = "") -> None:
        """Take an object away whatever holds it: what a kubelet does when a pod's processes have ended."""
        kind = self.kinds.of(resource)
        with self.lock:
            if live := self.find(resource, name, namespace=namespace):
                self._forget(kind, live)

    # Controllers

    def sweep(self) -> None:
        """Take away the namespaces that are terminating and empty: a controller does so soon after a deletion."""
        with self.lock:
            for namespace in self.list(NAMESPACES):
                metadata = namespace["metadata"]
                going = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
                if going and not self._content_of(metadata["name"]):
                    self.remove(NAMESPACES, metadata["name"])

    def subscribe(self, callback: Callback, *, replay: bool = False) -> Subscription:
        """Call back with every change from now on, of every kind, in order, in a worker thread; close() it.

        An exception of the callback ends the test: `FakeApi` raises it when it closes.

        Args:
            replay: Begin with what is there already, as ADDED.
        """
        with self.lock:
            return self.journal.subscribe(
                lambda type_, obj: callback(type_, copied(obj)), self._everything() if replay else []
            )

    def settle(self, timeout: float = 30) -> None:
        """Wait in seconds until the subscriptions have handled every change so far.

        Raises:
            TimeoutError: They have not.
        """
        end = time.monotonic() + timeout
        while True:
            # A change handled by one may be followed by one that another has to handle.
            before = self.version
            with self.lock:
                subscriptions = self.journal.subscriptions
            if not all(one.settle(max(0.0, end - time.monotonic())) for one in subscriptions):
                raise TimeoutError(f"the fake's controllers did not settle within {timeout:g} s")
            if self.version == before:
                return

    def admit(self, callback: Admission) -> None:
        """Ask `callback` before every write, after those asked already."""
        with self.lock:
            self._admission.append(callback)

    def compact(self) -> None:
        """Forget the changes so far: watches and continued lists from older versions get 410."""
        with self.lock:
            self.journal.compact()

    # Within

    def _all(self, kind: Kind) -> dict[tuple[str, str], Object]:
        return self._objects.setdefault(kind.storage, {})

    def _everything(self) -> Objects:
        return [kind.view(obj) for kind in self.kinds.stored() for obj in self._all(kind).values()]

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        home = self.get(NAMESPACES, namespace)
        if home["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            causes = [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise forbidden(kind.plural, kind.group, name, why, causes=causes)

    def _admit(self, operation: str, new: Object, old: Object | None) -> Object:
        for callback in self._admission:
            new = callback(operation, copied(new), copied(old) if old else None) or new
        return new

    def _keep_identity(self, kind: Kind, live: Object, new: Object) -> None:
        was, metadata = live["metadata"], new.setdefault("metadata", {})
        name = was["name"]
        if metadata.get("name", name) != name:
            said = metadata["name"]
            raise Refused(400, f"the name of the object ({said}) does not match the name on the URL ({name})")
        if metadata.get("resourceVersion", was["resourceVersion"]) != was["resourceVersion"]:
            why = (
                "the object has been modified; please apply your changes to the latest version and try again"
            )
            raise conflict(kind.plural, kind.group, name, why)
        if metadata.get("uid", was["uid"]) != was["uid"]:
            why = f'Invalid value: "{metadata["uid"]}": field is immutable'
            raise invalid(kind.kind, kind.group, name, "metadata.uid", why)
        added = set(metadata.get("finalizers") or []) - set(was.get("finalizers") or [])
        if added and was.get("deletionTimestamp"):
            found = ", ".join(f'"{one}"' for one in sorted(added))
            why = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{found}}}"
            )
            raise invalid(kind.kind, kind.group, name, "metadata.finalizers", why)
        for field in (
            "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation",
            "deletionTimestamp", "deletionGracePeriodSeconds",
        ):  # fmt: skip
            metadata.pop(field, None)
            if field in was:
                metadata[field] = was[field]

    def _content_of(self, namespace: str) -> Sequence[tuple[Kind, str]]:
        return [
            (kind, name)
            for kind in self.kinds.stored()
            for where, name in self._all(kind)
            if where == namespace and kind.namespaced
        ]

    def _empty(self, namespace: str) -> None:
        for kind, name in self._content_of(namespace):
            if (namespace, name) not in self._all(kind):
                continue  # it went with its owner
            self.delete((kind.group, kind.version, kind.plural), name, namespace=namespace)

    def _forget(self, kind: Kind, last: Object, *, orphan: bool = False) -> None:
        metadata = last["metadata"]
        namespace = metadata.get("namespace", "")
        previous = self._all(kind).pop((namespace, metadata["name"]))
        self._record(kind, "DELETED", last, previous)
        if not orphan:
            self._collect(metadata["uid"])

    def _collect(self, owner: str) -> None:
        """Garbage: what only this owner held."""
        for kind in self.kinds.stored():
            for (namespace, name), obj in list(self._all(kind).items()):
                owners = {reference.get("uid") for reference in obj["metadata"].get("ownerReferences") or []}
                if owner in owners and (namespace, name) in self._all(kind):
                    self.delete((kind.group, kind.version, kind.plural), name, namespace=namespace)

    def _commit(self, kind: Kind, type_: str, new: Object, old: Object | None) -> None:
        self._record(kind, type_, new, old)
        key = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
        self._all(kind)[key] = copied(new)

    def _record(self, kind: Kind, type_: str, new: Object, old: Object | None) -> None:
        self.journal.version += 1
        new["metadata"]["resourceVersion"] = str(self.journal.version)
        owner = next(one for one in self.kinds.stored() if one.storage == kind.storage)
        self.journal.append(type_, kind.storage, copied(owner.view(new)), old)


def _without_version(obj: Object) -> Object:
    return obj | {
        "metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    }


def _content(obj: Object) -> Object:
    """What counts as another generation: all but metadata and status."""
    return {
        key: value for key, value in obj.items() if key not in {"metadata", "status", "apiVersion", "kind"}
    }
