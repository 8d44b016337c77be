"""The catalogue of faults as data: what breaks paths, how it shows, what it means and what to do.

Mechanisms are Calico's and the kernel's, by their sources: felix/dataplane/linux and felix/rules for what a
node programs, confd's BIRD templates for the mesh, Documentation/networking/ip-sysctl.rst for rp_filter and
forwarding, RFC 2003 (IPIP is protocol 4), RFC 7348 (VXLAN is UDP 4789), RFC 2923 (MTU black holes).
`docs/diagnosis.md` shows it as a table, which `python -m pytest_calico_perf.diagnosis` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_calico_perf.diagnosis.faults_calico import OF_CALICO
from pytest_calico_perf.diagnosis.faults_network import OF_TRAFFIC
from pytest_calico_perf.diagnosis.faults_nodes import OF_NODES
from pytest_calico_perf.diagnosis.finding import Fault, Link

_LINKS = tuple(Link)

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.key: fault
        for fault in sorted(OF_NODES + OF_CALICO + OF_TRAFFIC, key=lambda fault: _LINKS.index(fault.link))
    }
)
"""Key -> fault, in the order of the chain."""


def table() -> str:
    """The catalogue as a Markdown table, for docs/diagnosis.md."""
    lines = [
        "| fault | how it shows | what it means | what to do | works all the same |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| **{fault.title}**<br>`{fault.key}` | {fault.shows} | {fault.meaning} | {fault.remedy} "
        f"| {fault.works} |"
        for fault in FAULTS.values()
    ]
    return "\n".join(lines) + "\n"
