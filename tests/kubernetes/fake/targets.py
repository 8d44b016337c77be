"""What a request's method, path and query mean (Kubernetes documentation, "API Concepts")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tests.kubernetes.fake.kinds import Kind, Kinds
from tests.kubernetes.fake.rbac import Attributes
from tests.kubernetes.fake.refusal import Refused, unknown

_NAMED = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_COLLECTION = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


@dataclass(frozen=True)
class Target:
    """What a request is about.

    Attributes:
        verb: As authorization and audit call it: `list`, `deletecollection`.
        kind: The collection.
        namespace: Empty for all, and for what lives in none.
        name: Empty for the collection.
        subresource: `status`, `exec`.
    """

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def attributes(self) -> Attributes:
        return self.asking(self.verb)

    def asking(self, verb: str) -> Attributes:
        """For authorization, with another verb. In a namespace's own path its name counts as its namespace."""
        namespace = self.name if self.kind.plural == "namespaces" else self.namespace
        return Attributes(verb, self.kind.group, self.kind.plural, self.subresource, namespace, self.name)


def target(kinds: Kinds, method: str, raw_path: str, query: Mapping[str, str]) -> Target | None:
    """What the path is about; None when nothing is served there.

    Raises:
        Refused: 404, the group is served and that resource of it is not; 405.
    """
    match [unquote(part) for part in raw_path.strip("/").split("/")]:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    if not rest or not kinds.serves(group, version):
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.of((group, version, rest[0]))
    if namespace and not kind.namespaced:
        raise unknown()
    name, subresource, *more = [*rest[1:], "", ""]
    if any(more):
        raise unknown()
    verb = (_NAMED if name else _COLLECTION).get(method)
    creates_nowhere = method == "POST" and kind.namespaced and not namespace
    if verb is None or creates_nowhere or (method == "POST" and name and not subresource):
        raise Refused(405, "the server does not allow this method on the requested resource")
    if verb == "list" and query.get("watch", "") in {"1", "true", "True"}:
        verb = "watch"
    return Target(verb, kind, namespace, name, subresource)
