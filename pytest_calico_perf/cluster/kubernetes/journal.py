"""What a switch has changed, noted before it is changed: on disk, and as an annotation of the object itself.

Either note is enough to put the object back, also from another machine. Both are untrusted when they are
read: the one may be of another version of ours, the other can be written by whoever may patch the object.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pytest_calico_perf.cluster.kubernetes.ours import Life, life_of
from pytest_calico_perf.cluster.kubernetes.reading import annotations_of
from pytest_calico_perf.cluster.kubernetes.resource import Json, Resource
from pytest_calico_perf.errors import ClusterProblem, NotRestored
from pytest_calico_perf.parsing import one_line

ANNOTATION = "pytest-calico-perf/original"
"""Annotation of the object that was switched; while it is there, no other run switches it."""

Fields = Mapping[str, str | None]
"""Field -> value; None where the object does not have the field."""

_FOLDER = "pytest-calico-perf"
_LARGEST = 64 * 1024  # bytes of a note; a true one has some hundred
_UID = r"[0-9A-Za-z][0-9A-Za-z-]{0,63}"

Uid = Annotated[str, StringConstraints(pattern=rf"^{_UID}$")]
# RFC 1123 subdomain, as object names are.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Run = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,20}$")]
# For people to read: no control characters, nor any that end a line or turn its direction.
Words = Annotated[str, StringConstraints(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]+$", max_length=300)]

POOL_FIELDS = {"ipipMode", "vxlanMode"}
INSTALLATION_FIELDS = {"encapsulation"}
_POOL_VALUES = {None, "", "Never", "Always", "CrossSubnet"}
_INSTALLATION_VALUES = {None, "", "None", "IPIP", "IPIPCrossSubnet", "VXLAN", "VXLANCrossSubnet"}


class Entry(BaseModel):
    """One object that a run switches.

    Attributes:
        version: Of this format.
        run: Id of the run.
        owner: Who runs it, as `ours.owner()` says.
        since: When it began to switch.
        cluster: Uid of the cluster's namespace kube-system: an entry is worth nothing elsewhere.
        resource: Kind of the object, as kubectl takes it.
        name: Its name.
        uid: Which object of that name.
        cidr: Range of the pool that is switched; in an Installation, which entry.
        original: The fields as they were.
        written: Values the run gave them, the last one last; empty before the first change. On the object
            only the last, which it has; on disk all, since the file is written before the object.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1] = 1
    run: Run
    owner: Words
    since: AwareDatetime
    cluster: Uid
    resource: Literal[
        "installations.operator.tigera.io", "ippools.projectcalico.org", "ippools.crd.projectcalico.org"
    ]
    name: Name
    uid: Uid
    cidr: Annotated[str, StringConstraints(max_length=18)]
    original: dict[str, str | None]
    written: Annotated[tuple[dict[str, str | None], ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        IPv4Network(self.cidr)
        of_pool = self.resource.startswith("ippools.")
        fields, values = (
            (POOL_FIELDS, _POOL_VALUES) if of_pool else (INSTALLATION_FIELDS, _INSTALLATION_VALUES)
        )
        for each in (self.original, *self.written):
            if set(each) != fields or not set(each.values()) <= values:
                raise ValueError(f"{dict(each)} are no values of {', '.join(sorted(fields))}")
        return self

    @classmethod
    def parse(cls, text: str, where: str, *, remedy: str) -> Self:
        """Read a note.

        Raises:
            NotRestored: It is none of ours; says what is wrong with it, in one line.
        """
        if len(text) > _LARGEST:
            raise NotRestored("the note of a switch is far too long to be ours", where=where, remedy=remedy)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            what = f"{place}: {first['msg']}" if place else first["msg"]
            raise NotRestored(
                f"the note of a switch cannot be read ({one_line(what, 300)})", where=where, remedy=remedy
            ) from None

    def text(self) -> str:
        """It, for `parse`."""
        return self.model_dump_json()

    @property
    def who(self) -> str:
        """Whose it is, for people."""
        return f"run {self.run} ({self.owner}), since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def alive(self) -> bool:
        """Whether its run goes on, on this machine."""
        return life_of(self.owner) is Life.ALIVE

    @property
    def of_this_machine(self) -> bool:
        """Whether its run was started here, so that it is known to be over when it is not alive."""
        return life_of(self.owner) is not Life.UNKNOWN


class Journal:
    """The file in which this machine notes what it switches in one cluster.

    Args:
        path: The file; it is there exactly while something is switched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_cluster(cls, uid: str, environment: Mapping[str, str] = os.environ) -> Self:
        """The file of a cluster, in the user's state folder (XDG Base Directory Specification).

        Args:
            uid: Of its namespace kube-system.
            environment: Where XDG_STATE_HOME is looked up; a relative path there is to be ignored.

        Raises:
            ClusterProblem: The uid is none, or there is no home to write to.
        """
        if not re.fullmatch(_UID, uid, re.ASCII):
            raise ClusterProblem("namespace kube-system has no uid that a file could be named by")
        named = Path(environment.get("XDG_STATE_HOME", ""))
        try:
            state = named if named.is_absolute() else Path.home() / ".local" / "state"
        except RuntimeError:
            raise ClusterProblem(
                "this user has no home to keep a journal in",
                remedy="set XDG_STATE_HOME to a folder that lasts",
            ) from None
        return cls(state / _FOLDER / f"{uid}.json")

    def read(self) -> Entry | None:
        """What it says; None when there is none.

        Raises:
            NotRestored: It cannot be read.
        """
        remedy = f"compare the mode of the cluster's pool with what it should be, then remove {self.path}"
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NotRestored(
                f"it cannot be read: {error.strerror or error}", where=f"journal {self.path}", remedy=remedy
            ) from error
        return Entry.parse(text, f"journal {self.path}", remedy=remedy)

    def create(self, entry: Entry) -> None:
        """Write the first note.

        Raises:
            ClusterProblem: There is one already: another run's; or it cannot be written.
        """
        self._write(entry, new=True)

    def write(self, entry: Entry) -> None:
        """Replace the note, all at once.

        Raises:
            ClusterProblem: It cannot be written; the old one is still there.
        """
        self._write(entry, new=False)

    def remove(self, run: str) -> None:
        """All that a run changed is as it was. Idempotent; another run's note stays.

        Raises:
            NotRestored: It cannot be read or removed, and would be read by the next run.
        """
        entry = self.read()
        if entry is None or entry.run != run:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise NotRestored(
                f"it is done with, but cannot be removed: {error.strerror or error}",
                where=f"journal {self.path}",
                remedy="remove it",
            ) from error

    def _write(self, entry: Entry, *, new: bool) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)  # of a process of the same number that was killed here
            try:
                # Not through a name that somebody else put there, and for nobody else to read.
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
                    file.write(entry.text() + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                if new:
                    os.link(draft, self.path)  # unlike a rename, refuses to replace
                else:
                    draft.replace(self.path)
            finally:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
            self._sync_folder()
        except FileExistsError:
            raise ClusterProblem(
                "another run has noted there that it switches this cluster",
                where=f"journal {self.path}",
                remedy="wait for it, or put back what it left with --calico-restore",
            ) from None
        except OSError as error:
            raise ClusterProblem(
                f"it cannot be written: {error.strerror or error}",
                where=f"journal {self.path}",
                remedy="nothing is switched without one: make room, or set XDG_STATE_HOME to another folder",
            ) from error

    def _sync_folder(self) -> None:
        """Have the file's name survive a power failure, too (fsync(2))."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def note_on(found: Json, resource: Resource, name: str) -> Entry | None:
    """The note on an object; None where there is none.

    Raises:
        NotRestored: There is one that cannot be read, or of another object.
    """
    written = annotations_of(found).get(ANNOTATION)
    if written is None:
        return None
    where = f"annotation {ANNOTATION} of {resource.kind} {name}"
    remedy = f"see to it that its mode is right, then: {removal_of_note(resource, name)}"
    entry = Entry.parse(written, where, remedy=remedy)
    if (entry.resource, entry.name) != (str(resource), name):
        raise NotRestored(
            f"the note of a switch is about {entry.resource} {entry.name}: it was copied here",
            where=where,
            remedy=remedy,
        )
    return entry


def removal_of_note(resource: Resource, name: str) -> str:
    """What a person can type to have the note on an object gone and nothing else changed."""
    return shlex.join(["kubectl", "annotate", str(resource), name, f"{ANNOTATION}-"])


def now() -> datetime:
    """The time, as entries hold it."""
    return datetime.now(UTC).replace(microsecond=0)
