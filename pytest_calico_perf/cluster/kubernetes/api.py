"""The Kubernetes API: JSON in, JSON out, every hiccup retried where that is safe."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import TypeVar

from pytest_calico_perf.cluster.kubernetes import watching
from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.channel import Channel
from pytest_calico_perf.cluster.kubernetes.ours import MANAGER
from pytest_calico_perf.cluster.kubernetes.resource import PODS, Json, Resource
from pytest_calico_perf.cluster.kubernetes.wire import Request, Wire
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup, mappings

T = TypeVar("T")

_NOT_FOUND, _CONFLICT = 404, 409
_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


class Api:
    """A client of one API server. Safe to use from several threads.

    Every method raises `ApiProblem` when the server refuses, fails for longer than `patience`, or cannot be
    reached; `status` then holds the HTTP status and `where` the server. What failed for a passing reason
    (429, 500, 502 to 504, a broken connection) is repeated where that is safe; credentials that have expired
    are read again once.
    """

    def __init__(self, access: Access, *, request_seconds: float = 30.0, patience: float = 60.0) -> None:
        """Nothing is contacted yet.

        Args:
            access: Where the server is, and who we are.
            request_seconds: Longest time one request may wait for its answer.
            patience: Seconds for which a request is repeated; a server that has never answered gets five.
        """
        self._wire = Wire(access, request_seconds=request_seconds, patience=patience)

    @property
    def server(self) -> str:
        """The server's URL, for messages: no credentials in it."""
        return self._wire.server

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> Json:
        """An object; `ApiProblem` with status 404 when it is not there."""
        path = resource.path(namespace=namespace, name=name)
        return self._wire.ask(Request("GET", path, _words("get", resource, name, namespace)))

    def find(self, resource: Resource, name: str, *, namespace: str = "") -> Json | None:
        """An object; None when it is not there, or its kind is not served."""
        try:
            return self.get(resource, name, namespace=namespace)
        except ApiProblem as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise

    def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> builtins.list[Json]:
        """All objects of a kind that the selectors match; of all namespaces when none is given.

        Their `apiVersion` and `kind` are left out, as the API server does.
        """
        return watching.pages(self._wire, _collection(resource, namespace, labels, fields))[0]

    def apply(self, resource: Resource, body: Json, *, namespace: str = "") -> Json:
        """Server-side apply as field manager `ours.MANAGER`, by force; returns the object.

        `apiVersion` and `kind` are filled in.
        """
        name = str(lookup(body, "metadata", "name"))
        return self._wire.ask(
            Request(
                "PATCH",
                resource.path(namespace=namespace, name=name),
                _words("apply", resource, name, namespace),
                (("fieldManager", MANAGER), ("force", "true")),
                _whole(resource, body),
                "application/apply-patch+yaml",
            )
        )

    def patch(self, resource: Resource, name: str, patch: Json, *, namespace: str = "") -> Json:
        """Merge patch (RFC 7386); returns the object."""
        return self._wire.ask(
            Request(
                "PATCH",
                resource.path(namespace=namespace, name=name),
                _words("patch", resource, name, namespace),
                (("fieldManager", MANAGER),),
                patch,
                "application/merge-patch+json",
            )
        )

    def delete(self, resource: Resource, name: str, *, namespace: str = "", uid: str = "") -> bool:
        """Ask for an object's deletion; with `uid`, of that very object only.

        Returns:
            Whether it was there. It may still be: finalizers and grace periods come after the answer.
        """
        options: dict[str, object] = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        path = resource.path(namespace=namespace, name=name)
        request = Request("DELETE", path, _words("delete", resource, name, namespace), body=options)
        try:
            self._wire.ask(request)
        except ApiProblem as problem:
            if problem.status == _NOT_FOUND:
                return False
            if problem.status != _CONFLICT:
                raise
            # Another object has the name by now, or this one (a namespace, say) is being deleted already.
            found = self.find(resource, name, namespace=namespace)
            if found is None or (uid and lookup(found, "metadata", "uid") != uid):
                return False
            if not lookup(found, "metadata", "deletionTimestamp"):
                raise
        return True

    def serves(self, group: str, version: str) -> frozenset[str]:
        """Plurals of the kinds served in a group and version; empty when it is not served."""
        served = f"{group}/{version}" if group else version
        path = f"/apis/{served}" if group else f"/api/{served}"
        try:
            answer = self._wire.ask(Request("GET", path, f"see what {served} serves"))
        except ApiProblem as problem:
            if problem.status == _NOT_FOUND:
                return frozenset()
            raise
        names = (str(each.get("name", "")) for each in mappings(answer.get("resources")))
        return frozenset(name for name in names if name and "/" not in name)

    def version(self) -> str:
        """The server's version: `v1.33.1`."""
        answer = self._wire.ask(Request("GET", "/version", "get the server's version"))
        return str(answer.get("gitVersion", "unknown"))

    def allowed(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether we may do that (SelfSubjectAccessReview)."""
        attributes = {
            "verb": verb,
            "group": resource.group,
            "version": resource.version,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {"spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}
        path, body = _REVIEWS.path(), _whole(_REVIEWS, review)
        # A review is created, but nothing is kept, so that asking twice is fine.
        answer = self._wire.ask(Request("POST", path, f"ask whether we may {verb} {resource}", body=body))
        return lookup(answer, "status", "allowed") is True

    def wait_for(
        self,
        resource: Resource,
        ready: Callable[[builtins.list[Json]], T | None],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        deadline: float,
    ) -> T | None:
        """Watch objects until `ready` makes something of their list.

        Watches that break, end or come too late (410) are begun anew.

        Args:
            resource: Their kind.
            ready: Called with all objects that match, first at once, then after each change and now and
                then in between; what it returns ends the waiting, unless it is None.
            namespace: Where; empty for everywhere.
            labels: Label selector.
            fields: Field selector.
            deadline: Seconds after which None is returned.
        """
        request = _collection(resource, namespace, labels, fields)
        return watching.wait_for(self._wire, request, ready, seconds=deadline)

    def exec(self, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool) -> Channel:
        """Start a command in a container; no shell reads it.

        Only the handshake is repeated: once the channel is there, a failure of it is final.
        """
        query = [("command", word) for word in argv]
        query += [
            ("container", container),
            ("stdin", str(stdin).lower()),
            ("stdout", "true"),
            ("stderr", "true"),
        ]
        path = PODS.path(namespace=namespace, name=pod, subresource="exec")
        place = f"pod {namespace}/{pod}"
        request = Request("GET", path, f"run a command in {place}", tuple(query))
        return self._wire.dial(request, place=place)

    def close(self) -> None:
        """Drop idle connections. Idempotent; the object can be used again."""
        self._wire.close()


def _collection(resource: Resource, namespace: str, labels: str, fields: str) -> Request:
    selectors = (("labelSelector", labels), ("fieldSelector", fields))
    query = tuple((name, value) for name, value in selectors if value)
    return Request("GET", resource.path(namespace=namespace), _words("list", resource, "", namespace), query)


def _whole(resource: Resource, body: Json) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


def _words(verb: str, resource: Resource, name: str, namespace: str) -> str:
    what = f"{verb} {resource} {name}".rstrip()
    return f"{what} in {namespace}" if namespace else what


def api_of(file: KubernetesFile) -> Api:
    """The API of a cluster file's cluster. Hiccups are sat out for as long as two requests may take."""
    seconds = file.timeouts.request
    return Api(Access.of(file), request_seconds=seconds, patience=2 * seconds)
