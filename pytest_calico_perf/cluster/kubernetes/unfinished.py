"""Switches that a run did not live to take back: found by their notes, and put back by somebody else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_calico_perf.cluster.kubernetes.detection import find_api
from pytest_calico_perf.cluster.kubernetes.effect import Effect
from pytest_calico_perf.cluster.kubernetes.journal import Entry, Journal, note_on, removal_of_note
from pytest_calico_perf.cluster.kubernetes.reading import Look, Reader, name_of
from pytest_calico_perf.cluster.kubernetes.resource import (
    INSTALLATIONS,
    NAMESPACES,
    CalicoApi,
    Json,
    Resource,
)
from pytest_calico_perf.cluster.kubernetes.switch import (
    BY_OPTION,
    Patcher,
    await_return,
    put_back,
    uid_of_cluster,
)
from pytest_calico_perf.cluster.kubernetes.target import Target
from pytest_calico_perf.errors import ApiProblem, ClusterProblem, NotRestored

_FORBIDDEN = 403


@dataclass(frozen=True)
class Unfinished:
    """A switch whose note is still there.

    Attributes:
        target: What was switched.
        entry: How it was before, and who did it.
    """

    target: Target
    entry: Entry


def unfinished(api: Reader, journal: Journal | None) -> list[Unfinished]:
    """Every switch of this cluster that was not taken back, be it noted on the object or on this machine.

    Args:
        api: Of the cluster.
        journal: Where this machine notes it; None where nobody may ask which cluster this is, so that only
            the notes on objects count.

    Raises:
        NotRestored: A note cannot be read, or is of another cluster.
        ApiProblem: The cluster cannot be asked.
    """
    look = Look(api)
    calico = find_api(look)
    on_disk = journal.read() if journal else None
    if calico is None:
        if journal and on_disk:
            raise NotRestored(
                f"{on_disk.resource} {on_disk.name} was switched by {on_disk.who}, and the cluster serves no "
                "pools now",
                where=f"journal {journal.path}",
                remedy=f"try again when it does: {BY_OPTION}",
            )
        return []
    found = [
        Unfinished(Target.noted(entry, calico), entry)
        for resource, name, thing in _candidates(look, calico)
        if (entry := note_on(thing, resource, name)) is not None
    ]
    if journal and (found or on_disk):
        cluster = uid_of_cluster(api)
        for each in found:
            _refuse_other_cluster(each, cluster)
    known = {(each.entry.resource, each.entry.name) for each in found}
    if on_disk and (on_disk.resource, on_disk.name) not in known:
        found.append(Unfinished(Target.noted(on_disk, calico), on_disk))
    return found


def warn(api: Reader, *, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Every switch of this cluster that is not taken back, in sentences that say what to do about it.

    For a run that switches nothing itself: what it measures now is not the cluster as its owner made it. No
    more is asked for than permission to look; namespace kube-system is read where that is permitted.

    Args:
        api: Of the cluster.
        environment: Where the journal is.

    Raises:
        NotRestored: A note cannot be read, or is of another cluster.
        ApiProblem: The cluster cannot be asked.
        ClusterProblem: The cluster cannot be told from others.
    """
    journal = None
    # Asked first: whoever watches the cluster's audit log need not see us refused.
    if api.allowed("get", NAMESPACES, name="kube-system"):
        try:
            journal = Journal.of_cluster(uid_of_cluster(api), environment)
        except ApiProblem as problem:
            if problem.status != _FORBIDDEN:
                raise
    return [_warning(each) for each in unfinished(api, journal)]


def _warning(each: Unfinished) -> str:
    if each.entry.alive:
        return f"{each.target.where} is switched right now, by {each.entry.who}: wait for that run to end"
    remedy = f"put back what it changed: {BY_OPTION}"
    if not each.entry.of_this_machine:
        remedy = f"wait for that run; if it is over for good, {remedy}"
    return f"{each.target.where} was switched and not put back, by {each.entry.who}: {remedy}"


def recover(api: Patcher, *, deadline: float, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Put back what a run of this machine left that was killed; for a run that is about to switch itself.

    Args:
        api: Of the cluster.
        deadline: Seconds to wait until it is in effect.
        environment: Where the journal is.

    Returns:
        What was done, in sentences; empty where there was nothing to do.

    Raises:
        ClusterProblem: A run that goes on, or one of another machine, switches this cluster.
        NotRestored: It could not be put back; says how it can be.
    """
    return _put_all_back(api, deadline=deadline, environment=environment, by_a_person=False)


def restore(
    api: Patcher, *, deadline: float = 180.0, environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Like `recover`, because a person asked for it: of runs of other machines, too."""
    return _put_all_back(api, deadline=deadline, environment=environment, by_a_person=True)


def _put_all_back(
    api: Patcher, *, deadline: float, environment: Mapping[str, str], by_a_person: bool
) -> list[str]:
    journal = Journal.of_cluster(uid_of_cluster(api), environment)
    done = []
    for each in unfinished(api, journal):
        entry, target = each.entry, each.target
        if entry.alive:
            raise ClusterProblem(
                f"it is switched right now, by {entry.who}",
                where=target.where,
                remedy="wait for that run to end, or end it: it puts back what it changed",
            )
        if not entry.of_this_machine and not by_a_person:
            raise ClusterProblem(
                f"it is switched by {entry.who}: of another machine, so nobody here knows whether it goes on",
                where=target.where,
                remedy=f"wait for that run; if it is over for good, put back what it changed: {BY_OPTION}",
            )
        effect = Effect(api, target)
        result = put_back(api, target, entry, journal)
        done.append(f"{result.said} (left by {entry.who})")
        if result.is_as_before:
            await_return(effect, entry, deadline=deadline)
    return done


def _candidates(look: Look, calico: CalicoApi) -> Iterator[tuple[Resource, str, Json]]:
    """The objects that can carry a note."""
    if look.serves(INSTALLATIONS.group, INSTALLATIONS.version, INSTALLATIONS.plural):
        installation = look.find(INSTALLATIONS, "default")
        if installation is not None:
            yield INSTALLATIONS, "default", installation
    for pool in look.list(calico.pools):
        yield calico.pools, name_of(pool), pool


def _refuse_other_cluster(each: Unfinished, cluster: str) -> None:
    if each.entry.cluster != cluster:
        resource, name = each.target.resource, each.target.name
        raise NotRestored(
            "the note of a switch is of another cluster: the object was copied from there as it was then",
            where=each.target.where,
            remedy=f"see to it that its mode is right, then: {removal_of_note(resource, name)}",
        )
