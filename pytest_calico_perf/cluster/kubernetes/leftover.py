"""An object that a run made and that is still there, as it is shown to people and asked to go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_calico_perf.cluster.kubernetes.ours import OWNER, RUN, is_our_name
from pytest_calico_perf.cluster.kubernetes.resource import Json, Resource
from pytest_calico_perf.parsing import lookup


@dataclass(frozen=True)
class Leftover:
    """An object with our labels.

    Attributes:
        resource: Its kind.
        name: Its name.
        namespace: Its namespace; empty for what has none.
        run: Id of the run that made it.
        owner: Who ran that, as noted in it; untrusted, and whole.
        created: When, as the API says it.
        uid: Which object of that name; empty when it could not be looked at.
    """

    resource: Resource
    name: str
    namespace: str
    run: str
    owner: str = ""
    created: str = ""
    uid: str = ""

    @classmethod
    def of(cls, resource: Resource, thing: Json, namespace: str) -> Leftover:
        """It, as the API shows it."""
        metadata = lookup(thing, "metadata")
        return cls(
            resource=resource,
            name=str(lookup(metadata, "name")),
            namespace=namespace,
            run=str(lookup(metadata, "labels", RUN) or ""),
            owner=str(lookup(metadata, "annotations", OWNER) or ""),
            created=str(lookup(metadata, "creationTimestamp") or ""),
            uid=str(lookup(metadata, "uid") or ""),
        )

    @property
    def has_our_name(self) -> bool:
        """Whether its name is one that its run would have given it."""
        return is_our_name(self.name, self.run, namespaced=self.resource.namespaced)

    def age(self, now: datetime) -> float:
        """Seconds since it was made; 0 when nobody can tell."""
        try:
            created = datetime.fromisoformat(self.created)
        except ValueError:
            return 0.0
        return max((now - created).total_seconds(), 0.0) if created.tzinfo else 0.0

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        by = f" by {printable(self.owner, 160)}" if self.owner else ""
        made = printable(self.created, 40) or "some time ago"
        return f"{self.resource} {place}{self.name} (run {self.run or 'unknown'}, made {made}{by})"

    def command(self, verb: str = "delete") -> str:
        """The command a person would type."""
        where = f" -n {self.namespace}" if self.namespace else ""
        return f"kubectl{where} {verb} {self.resource} {self.name}"


def now() -> datetime:
    """The time that ages are counted from."""
    return datetime.now(UTC)


def printable(value: object, most: int = 120) -> str:
    """What somebody else wrote, on one line of so many characters at most."""
    text = "" if value is None else " ".join(str(value).split())[:most]
    return "".join(letter for letter in text if letter.isprintable())
