"""Turning a cluster's own pool to another mode, and back again whatever happens.

Before the first change it is noted how things were (`journal.py`): on disk, then on the object. The note on
the object is a lock: nobody else switches while it is there. It always says what we last wrote, since both
are written in one patch. Only what we wrote is ever put back: whoever changed it since knows better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from pytest_calico_perf.cluster.kubernetes.effect import Effect, Settled
from pytest_calico_perf.cluster.kubernetes.journal import (
    ANNOTATION,
    Entry,
    Fields,
    Journal,
    note_on,
    now,
    removal_of_note,
)
from pytest_calico_perf.cluster.kubernetes.reading import Reader, text
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, Json, Resource
from pytest_calico_perf.cluster.kubernetes.target import Target, in_words, mode_of, same
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotReady, NotRestored
from pytest_calico_perf.model import Mode
from pytest_calico_perf.parsing import lookup

T = TypeVar("T")

BY_OPTION = "pytest --calico-cluster=FILE --calico-restore"

_ATTEMPTS = 10  # at an object that others write at the same time
_CONFLICT = 409


class Patcher(Reader, Protocol):
    """What switching asks of the API; `Api` is one. Every failure is an `ApiProblem`."""

    def patch(self, resource: Resource, name: str, patch: Json, *, namespace: str = "") -> Json:
        """Merge patch (RFC 7386); returns the object."""


class Switch:
    """One run's hand on the mode of a cluster.

    Args:
        api: Of the cluster.
        target: What is switched.
        journal: Where it is noted on this machine.
        run: Id of the run.
        owner: Who runs it (`ours.owner()`).
        deadline: Seconds for one switch to be in effect, and for the way back.
        settled: Waits until the routes are of a mode; None where nobody can look.
        tell: Told in sentences what is done.
    """

    def __init__(
        self,
        api: Patcher,
        target: Target,
        journal: Journal,
        *,
        run: str,
        owner: str,
        deadline: float,
        settled: Settled | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._target = target
        self._journal = journal
        self._run = run
        self._owner = owner
        self._deadline = deadline
        self._settled = settled
        self._tell = tell
        self._effect: Effect | None = None
        # There from before anything is written until all is put back, so that an interrupt at any point
        # finds what to put back.
        self._entry: Entry | None = None
        self._noted = False

    @property
    def target(self) -> Target:
        """What is switched."""
        return self._target

    def to(self, mode: Mode) -> None:
        """Have the cluster in a mode and wait until it is; `current` is the mode it had before us.

        Raises:
            ClusterProblem: Another run switches this cluster, or somebody changed the mode meanwhile.
            NotReady: It was asked for and did not come into effect.
            ApiProblem: The API refused, or failed.
        """
        entry = self._entry or self._begin()
        if not self._noted:
            self._note(entry)
        wanted = entry.original if mode is Mode.CURRENT else dict(self._target.asked(mode))
        effective = mode_of(wanted)
        if effective is None:
            raise ClusterProblem(
                f"its mode makes no sense: {in_words(wanted)}",
                where=self._target.where,
                remedy="give the pool a mode first",
            )
        # On disk before it is on the object: we may be killed at the next line.
        others = tuple(each for each in entry.written if each != wanted)
        self._entry = entry.model_copy(update={"written": (*others, wanted)})
        self._journal.write(self._entry)
        if retry(lambda: self._set(wanted)):
            self._tell(f"{self._target.where} is told to have {in_words(wanted)}")
        self._known_effect.wait(effective, deadline=self._deadline, settled=self._settled)

    def restore(self) -> None:
        """Put everything back and wait until it is in effect. Does nothing where nothing was changed.

        Raises:
            NotRestored: Something could not be put back; says how it can be.
        """
        if self._entry is None:
            return
        entry = self._entry
        done = put_back(self._api, self._target, entry, self._journal)
        self._entry, self._noted = None, False
        self._tell(done.said)
        if entry.written and done.is_as_before:
            await_return(self._known_effect, entry, deadline=self._deadline)

    # -- inside --------------------------------------------------------------------------------

    @property
    def _known_effect(self) -> Effect:
        assert self._effect is not None
        return self._effect

    def _begin(self) -> Entry:
        """Note on disk how things are."""
        found = self._find()
        refuse_if_noted(found, self._target)
        entry = self._first_entry(found)
        self._effect = Effect(self._api, self._target)
        self._entry = entry
        try:
            self._journal.create(entry)
        except ClusterProblem:
            self._entry = None
            raise
        return entry

    def _note(self, entry: Entry) -> None:
        """Note it on the object, too."""
        retry(lambda: self._mark(entry))
        self._noted = True
        self._tell(
            f"{self._target.where} has {in_words(entry.original)}; noted in {self._journal.path} and in "
            f"annotation {ANNOTATION}"
        )

    def _first_entry(self, found: Json) -> Entry:
        try:
            return Entry(
                run=self._run,
                owner=self._owner,
                since=now(),
                cluster=uid_of_cluster(self._api),
                resource=str(self._target.resource),  # type: ignore[arg-type]  # pydantic refuses others
                name=self._target.name,
                uid=text(lookup(found, "metadata", "uid")),
                cidr=str(self._target.cidr),
                original=dict(self._target.fields(found)),
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ClusterProblem(
                f"it is not as Calico makes it, so nobody could put it back: {first['msg']}",
                where=self._target.where,
                remedy="give the pool a mode that Calico knows first",
            ) from None

    def _mark(self, entry: Entry) -> None:
        found = self._find()
        refuse_if_noted(found, self._target, but=entry.run)
        if not same(self._target.fields(found), entry.original):
            raise ClusterProblem(
                "somebody is changing its mode right now", where=self._target.where, remedy="run again later"
            )
        self._api.patch(self._target.resource, self._target.name, self._target.note(found, entry.text()))

    def _set(self, wanted: Fields) -> bool:
        """Patch it; whether that was needed."""
        found = self._find()
        assert self._entry is not None
        noted = note_on(found, self._target.resource, self._target.name)
        if noted is None or noted.run != self._entry.run:
            raise ClusterProblem(
                f"the note of this run (annotation {ANNOTATION}) is gone from it",
                where=self._target.where,
                remedy="did somebody put it back meanwhile?",
            )
        present, before = self._target.fields(found), noted.written[-1] if noted.written else noted.original
        if not same(present, before):
            raise ClusterProblem(
                f"somebody changed it meanwhile: it had {in_words(before)} and has {in_words(present)}",
                where=self._target.where,
                remedy="it is left as it is; run again when nobody else works on the pool",
            )
        if same(present, wanted):
            return False
        note = self._entry.model_copy(update={"written": (dict(wanted),)}).text()
        self._api.patch(self._target.resource, self._target.name, self._target.patch(found, wanted, note))
        return True

    def _find(self) -> Json:
        found = self._api.find(self._target.resource, self._target.name)
        if found is None:
            raise ClusterProblem("it is not there", where=self._target.where)
        return found


def uid_of_cluster(api: Reader) -> str:
    """What is the same of a cluster for ever: the uid of its namespace kube-system.

    Raises:
        ApiProblem: It may not be read.
        ClusterProblem: There is none.
    """
    uid = text(lookup(api.find(NAMESPACES, "kube-system"), "metadata", "uid"))
    if not uid:
        raise ClusterProblem("there is no namespace kube-system to tell it by", where=api.server)
    return uid


def retry(attempt: Callable[[], T]) -> T:
    """Do it again while others write the same object in between.

    Raises:
        ApiProblem: Any other failure, or the same for too long.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except ApiProblem as problem:
            if problem.status != _CONFLICT:
                raise
    return attempt()


def refuse_if_noted(found: Json, target: Target, *, but: str = "") -> None:
    """Leave an object alone that another run switches.

    Raises:
        ClusterProblem: It is noted there by another run than `but`.
    """
    entry = note_on(found, target.resource, target.name)
    if entry is not None and entry.run != but:
        raise ClusterProblem(
            f"it is switched already, by {entry.who}",
            where=target.where,
            remedy=f"wait for that run; if it is over for good, put back what it changed: {BY_OPTION}",
        )


class PutBack(NamedTuple):
    """What came of putting an object back: a sentence, and whether it is as before, not another's by now."""

    said: str
    is_as_before: bool


def put_back(api: Patcher, target: Target, entry: Entry, journal: Journal) -> PutBack:
    """Make an object what it was, and take both notes away.

    Raises:
        NotRestored: Somebody changed it since, or it could not be written; says how it can be put back.
    """
    try:
        done = retry(lambda: _put_back(api, target, entry))
    except NotRestored:
        raise
    except ClusterProblem as problem:
        raise NotRestored(
            f"it is not put back to {in_words(entry.original)}: {problem}",
            where=target.where,
            remedy=f"later: {BY_OPTION}; its journal is {journal.path}",
        ) from problem
    journal.remove(entry.run)
    return done


def _put_back(api: Patcher, target: Target, entry: Entry) -> PutBack:
    found = api.find(target.resource, target.name)
    if found is None:
        # A kind that is not served answers 404, too: CRDs being replaced, an API server of Calico's removed.
        if target.resource.plural not in api.serves(target.resource.group, target.resource.version):
            raise NotRestored(
                f"nobody can look whether it is as before: the cluster serves no {target.resource} now",
                where=target.where,
                remedy=f"when it does again: {BY_OPTION}",
            )
        return PutBack(f"{target.where} is gone: nothing to put back", is_as_before=False)
    if text(lookup(found, "metadata", "uid")) != entry.uid:
        said = f"{target.where} was deleted and made anew since: left as it is"
        return PutBack(said, is_as_before=False)
    noted = note_on(found, target.resource, target.name)
    if noted is not None and noted.run != entry.run:
        return PutBack(f"{target.where} is switched by {noted.who} by now: left to it", is_as_before=False)
    present, original = target.fields(found), entry.original
    # The note on the object says what we wrote last; the one on disk also what we were about to write.
    written = noted.written if noted is not None else entry.written
    if present == original or (same(present, original) and not written):
        if noted is not None:
            api.patch(target.resource, target.name, target.note(found, None))
        return PutBack(f"{target.where} has {in_words(original)}, as before", is_as_before=True)
    if not any(same(present, each) for each in (original, *written)):
        ours = in_words(written[-1]) if written else "nothing else"
        raise NotRestored(
            f"somebody changed it since: it was {in_words(original)}, run {entry.run} made it {ours}, and it "
            f"is {in_words(present)} now, so it is left alone",
            where=target.where,
            remedy=f"to have it as before: {target.command(found, original)}; to keep it as it is: "
            f"{removal_of_note(target.resource, target.name)}",
        )
    answer = api.patch(target.resource, target.name, target.patch(found, original, None))
    if not same(target.fields(answer), original):
        raise NotRestored(
            f"it was to have {in_words(original)} again, and has {in_words(target.fields(answer))}",
            where=target.where,
            remedy=target.command(answer, original),
        )
    return PutBack(f"{target.where} has {in_words(original)} again, as before", is_as_before=True)


def await_return(effect: Effect, entry: Entry, *, deadline: float) -> None:
    """Wait until what was put back is in effect.

    Raises:
        NotRestored: It is put back, and Calico has not followed.
    """
    mode = mode_of(entry.original)
    if mode is None:  # it made no sense before us, so nothing can come of it
        return
    try:
        effect.wait(mode, deadline=deadline)
    except NotReady as problem:
        raise NotRestored(
            f"its mode is put back, but Calico has not followed: {problem.what}",
            where=problem.where,
            remedy=problem.remedy,
        ) from problem
