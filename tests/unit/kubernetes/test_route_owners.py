"""Who writes routes, release by release (projectcalico/calico, design/cluster-route-programming/DESIGN.md)."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.kubernetes.route_owners import Writer, route_owners
from pytest_calico_perf.model import Encapsulation

BIRD, FELIX = Writer.BIRD, Writer.FELIX


@pytest.mark.parametrize(
    ("version", "felix", "bgp", "ipip", "none"),
    [
        ((3, 30), "", "", {BIRD}, {BIRD}),
        ((3, 30), "Enabled", "Disabled", {BIRD}, {BIRD}),  # neither field exists yet
        ((3, 31), "", "", {BIRD}, {BIRD}),
        ((3, 31), "Enabled", "", {FELIX}, {FELIX}),
        ((3, 32), "", "", {BIRD}, {BIRD}),
        ((3, 32), "Enabled", "Disabled", {FELIX}, {FELIX}),
        ((3, 32), "Enabled", "", {FELIX, BIRD}, {FELIX, BIRD}),
        ((3, 32), "Disabled", "Disabled", set(), set()),
        # The four supported pairs of 3.33.
        ((3, 33), "", "", {FELIX}, {BIRD}),
        ((3, 33), "EnabledIPIPOnly", "EnabledNoEncapOnly", {FELIX}, {BIRD}),
        ((3, 33), "Enabled", "Disabled", {FELIX}, {FELIX}),
        ((3, 33), "Disabled", "Enabled", {BIRD}, {BIRD}),
        ((3, 33), "EnabledNoEncapOnly", "EnabledIPIPOnly", {BIRD}, {FELIX}),
        # Others fight or leave a class to nobody.
        ((3, 33), "Enabled", "", {FELIX}, {FELIX, BIRD}),
        ((3, 33), "Disabled", "", set(), {BIRD}),
        ((3, 34), "nonsense", "nonsense", {FELIX}, {BIRD}),
        (None, "", "", {FELIX}, {BIRD}),
    ],
)
def test_who_writes_routes(version, felix, bgp, ipip, none):
    owners = route_owners(version, felix=felix, bgp=bgp, bird_runs=True)
    assert owners[Encapsulation.IPIP] == ipip
    assert owners[Encapsulation.NONE] == none
    assert owners[Encapsulation.VXLAN] == {FELIX}


@pytest.mark.parametrize(
    ("version", "felix", "ipip", "none"),
    [
        ((3, 30), "", set(), set()),
        ((3, 32), "", set(), set()),
        ((3, 32), "Enabled", {FELIX}, {FELIX}),
        ((3, 33), "", {FELIX}, set()),
        ((3, 33), "Enabled", {FELIX}, {FELIX}),
    ],
)
def test_without_bird(version, felix, ipip, none):
    owners = route_owners(version, felix=felix, bgp="", bird_runs=False)
    assert owners[Encapsulation.IPIP] == ipip
    assert owners[Encapsulation.NONE] == none
    assert owners[Encapsulation.VXLAN] == {FELIX}
