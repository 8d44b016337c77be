"""Who writes the routes to other nodes' blocks: Felix or BIRD. Two fields tell them so.

Source: projectcalico/calico, design/cluster-route-programming/DESIGN.md, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pytest_calico_perf.model import Encapsulation


class Writer(StrEnum):
    """A component of calico-node that programs routes."""

    FELIX = "felix"
    BIRD = "bird"


Owners = Mapping[Encapsulation, frozenset[Writer]]
"""Encapsulation of a pool -> who writes its routes. One is right, two fight, none leaves it without."""

_CLASSES = {
    "Disabled": frozenset[Encapsulation](),
    "EnabledIPIPOnly": frozenset({Encapsulation.IPIP}),
    "EnabledNoEncapOnly": frozenset({Encapsulation.NONE}),
    "Enabled": frozenset({Encapsulation.IPIP, Encapsulation.NONE}),
}


def route_owners(version: tuple[int, int] | None, *, felix: str, bgp: str, bird_runs: bool) -> Owners:
    """Who writes the routes of each kind of pool.

    Args:
        version: Calico's; None is taken for the newest.
        felix: `FelixConfiguration.spec.programClusterRoutes`; empty where it is not set.
        bgp: `BGPConfiguration.spec.programClusterRoutes`; empty where it is not set.
        bird_runs: Whether calico-node runs BIRD at all (not with backends `vxlan` and `none`).
    """
    felix_classes, bird_classes = _classes(version, felix, bgp)
    owners = {Encapsulation.VXLAN: frozenset({Writer.FELIX})}  # always: BIRD's filter leaves it to Felix
    for encapsulation in (Encapsulation.IPIP, Encapsulation.NONE):
        writers = {Writer.FELIX} if encapsulation in felix_classes else set()
        if bird_runs and encapsulation in bird_classes:
            writers.add(Writer.BIRD)
        owners[encapsulation] = frozenset(writers)
    return owners


def _classes(
    version: tuple[int, int] | None, felix: str, bgp: str
) -> tuple[frozenset[Encapsulation], frozenset[Encapsulation]]:
    """What Felix and BIRD program. A value that is not known counts as not set, as both see it."""
    everything, nothing = _CLASSES["Enabled"], _CLASSES["Disabled"]
    if version is None or version >= (3, 33):
        return (
            _CLASSES.get(felix, _CLASSES["EnabledIPIPOnly"]),
            _CLASSES.get(bgp, _CLASSES["EnabledNoEncapOnly"]),
        )
    if version <= (3, 30):  # neither field exists
        return nothing, everything
    felix_classes = everything if felix == "Enabled" else nothing
    if version == (3, 31):  # only Felix's field exists, and BIRD does what is left
        return felix_classes, everything - felix_classes
    return felix_classes, nothing if bgp == "Disabled" else everything
