"""What was measured where, with what, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import join
from typing import Any

from pytest_calico_perf.model import CellResult, Encapsulation, Mode, RunRecord
from pytest_calico_perf.report.facts import FactsTable, flatten, in_words
from pytest_calico_perf.report.markup import element, grid, preformatted, text
from pytest_calico_perf.report.page.matrix import facts_section
from pytest_calico_perf.report.page.parts import mode_name, scrolling
from pytest_calico_perf.report.table import Table, only_looked_at
from pytest_calico_perf.report.words import listed
from pytest_calico_perf.units import format_duration, format_percent

_LONGEST_COMMAND = 20_000
# Facts that have a place of their own on the page.
_ELSEWHERE = {"notes", "nodes", "versions", "name", "description", "kind", "software"}
_KERNEL = "kernel"


def place(record: RunRecord, tables: Sequence[Table], key: str) -> str:
    """The section: cluster, nodes, network cards, modes, probes, versions, and what repeats the run."""
    facts = record.cluster
    rest = [(text(in_words(name)), text(value)) for name, value in _rest(facts)]
    parts = [
        element("h3", "Where and how it was measured", id=f"{key}where"),
        _titled("The run", grid((), _overview(record))),
        _titled("Nodes", _records_table(facts.get("nodes"), "nodes")),
        *(
            _titled(f"Network cards: {table.meaning}", facts_section(table))
            for table in tables
            if isinstance(table, FactsTable)
        ),
        _titled("Modes", _modes(record)),
        _titled("Probes", _probes(record)),
        _titled("Versions", grid((), rows) if (rows := list(_versions(record))) else ""),
        element("details", element("summary", "All facts about the cluster"), grid((), rest)) if rest else "",
        _titled("To repeat this run", _command(record)),
    ]
    return element("section", *parts, class_="place")


def _titled(title: str, content: str) -> str:
    return element("div", element("h4", text(title)), content) if content else ""


def _overview(record: RunRecord) -> list[tuple[str, str]]:
    facts, profile = record.cluster, record.profile
    kind = " - ".join(str(facts[key]) for key in ("kind", "description") if facts.get(key))
    rows = [("cluster", " - ".join(filter(None, (str(facts.get("name") or ""), kind))))]
    if pair := facts.get("pair"):
        rows.append(
            ("measured between", listed(map(str, pair)) if isinstance(pair, list | tuple) else str(pair))
        )
    rounds = None if only_looked_at(record) else profile.get("rounds")
    rows += [
        ("profile", f"{profile.get('name') or 'without a name'}{_rounds(rounds)}"),
        (
            "warm-up",
            f"{_rounds(profile['warm_up_rounds'])}, counted nowhere".removeprefix(", ")
            if rounds and profile.get("warm_up_rounds")
            else "",
        ),
        ("started", record.started.replace("T", " ")),
        ("took", format_duration(record.wall_seconds)),
    ]
    if record.wall_seconds > 0 and record.measuring_seconds > 0:
        share = format_percent(record.measuring_seconds / record.wall_seconds)
        rows.append(("of it measuring", f"{share} ({format_duration(record.measuring_seconds)})"))
    return [(text(name), text(value)) for name, value in rows if value]


def _rounds(number: object) -> str:
    """`, 6 rounds`; nothing where nobody said how many."""
    return f", {number} round{'' if number == 1 else 's'}" if number else ""


def _records_table(found: object, name: str) -> str:
    """Things with named properties as a table: a row each, a column per property any of them has."""
    flat = [flatten(thing) for thing in _mappings(found)]
    columns = list(
        dict.fromkeys(column for each in flat for column in each if each[column] not in ("", "unknown"))
    )
    if not columns:
        return ""
    rows = [[text(each.get(column, "")) for column in columns] for each in flat]
    return scrolling(grid([text(in_words(column)) for column in columns], rows), name)


def _modes(record: RunRecord) -> str:
    """Who wraps the packets of each mode, and how large a pod's packet may be."""
    mtus = _pod_mtus(record.cluster)
    rows = []
    for mode in record.modes:
        mtu = mtus.get(str(mode))
        rows.append(
            (
                mode_name(mode),
                text(_encapsulated(mode, record.cluster)),
                text(f"{mtu} bytes" if mtu else "not known"),
            )
        )
    return grid(("mode", "encapsulation", "pod MTU"), rows) if rows else ""


def _encapsulated(mode: Mode, facts: Mapping[str, Any]) -> str:
    if mode is Mode.CURRENT:
        return "as the cluster had it"
    if mode.tunnel is Encapsulation.NONE:
        return "none"
    where = " between subnets" if mode.cross_subnet else ""
    # Only the lab ever emulates, and says by what; elsewhere there is nothing but the kernel's own device.
    by = str(facts.get("ipip") or _KERNEL) if mode.tunnel is Encapsulation.IPIP else _KERNEL
    if by == _KERNEL:
        return f"by the kernel's {mode.tunnel} device{where}"
    return f"emulated by {by}: the same bytes on the wire, not the same code{where}"


def _pod_mtus(facts: Mapping[str, Any]) -> dict[str, Any]:
    mtus = {str(pool.get("mode")): pool.get("pod_mtu") for pool in _mappings(facts.get("pools"))}
    told = facts.get("pod_mtu")
    return {**mtus, **told} if isinstance(told, Mapping) else mtus


def _probes(record: RunRecord) -> str:
    """The command line of every probe that ran."""
    ran = {result.cell.probe for result in record.results}
    probes = record.profile.get("probes")
    if not isinstance(probes, Mapping):
        return ""
    rows = [
        (text(name), element("code", text(told.get("command", ""))), text(told.get("rounds", "")))
        for name, told in probes.items()
        if isinstance(told, Mapping) and name in ran
    ]
    return scrolling(grid(("probe", "command", "rounds"), rows), "probes") if rows else ""


def _versions(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Of what was measured and of what measured it."""
    facts = record.cluster
    calico = facts.get("calico")
    if isinstance(calico, Mapping) and calico.get("version"):
        yield "Calico", text(calico["version"])
    kernels = {str(node["kernel"]) for node in _mappings(facts.get("nodes")) if node.get("kernel")}
    if kernels:
        yield "kernel of the nodes", text(listed(sorted(kernels)))
    if iperf3 := listed(sorted(_iperf3(record.results))):
        yield "iperf3", text(iperf3)
    for source in (facts.get("versions"), record.software):
        if isinstance(source, Mapping):
            yield from ((text(name), text(version)) for name, version in flatten(source).items())


def _iperf3(results: Iterable[CellResult]) -> set[str]:
    """The versions on both sides, as the runs tell them."""
    keys = ("version_client", "version_server")
    return {str(result.details[key]) for result in results for key in keys if result.details.get(key)}


def _rest(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from flatten({name: value for name, value in facts.items() if name not in _ELSEWHERE}).items()


def _command(record: RunRecord) -> str:
    if not record.command:
        return element("p", "The record does not hold the command line of its run.", class_="muted")
    return element("pre", preformatted(join(record.command), _LONGEST_COMMAND))


def _mappings(found: object) -> list[Mapping[str, Any]]:
    """What of a fact is a list of named properties; facts may come from a file, and be of any shape."""
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list | tuple) else []
