"""What contradicts a mode, on looks that no network had to be broken for; `test_evidence.py` has real ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.inspection import PoolState
from pytest_calico_perf.cluster.routes import Route
from pytest_calico_perf.evidence import (
    Counters,
    Evidence,
    Ground,
    Moved,
    OwnRun,
    Side,
    contradiction,
    document,
    moved,
)
from pytest_calico_perf.model import Encapsulation, EndpointKind, Measurement, Mode, Path

IPIP = PoolState("ipip", "198.19.0.0/22", Mode.IPIP)
UNDERLAY = Route("198.18.0.0/24", "eth0", "", "kernel", 1500)


@dataclass(frozen=True)
class End:
    """As much of an endpoint as a pair of two needs here."""

    name: str
    node: str


def side(name: str, node: str, address: str, route: Route) -> Side:
    return Side(
        name=name,
        kind=EndpointKind.POD,
        node=node,
        node_address=f"198.18.0.{node[-1]}",
        address=address,
        service="",
        pool=IPIP,
        route=route,
        underlay=UNDERLAY,
        tunnel_packets={Encapsulation.IPIP: 100},
    )


def pair(path: Path = Path.POD_TO_POD, server_node: str = "node2") -> EndpointPair:
    return EndpointPair(path, Mode.IPIP, End("pod a", "node1"), End("pod b", server_node))


LOOK = Evidence(
    client=side("pod a", "node1", "198.19.0.1", Route("198.19.0.64/26", "tunl0", "198.18.0.2", "bird", 1480)),
    server=side("pod b", "node2", "198.19.0.65", Route("198.19.0.0/26", "tunl0", "198.18.0.1", "bird", 1480)),
    expected=Encapsulation.IPIP,
    expected_back=Encapsulation.IPIP,
    devices={Encapsulation.IPIP: "tunl0"},
    ground=Ground((IPIP,), all_pools=True),
)


def later(client: int, server: int) -> Evidence:
    """The same path when its tunnels have sent so many packets more."""

    def counted(end: Side, count: int) -> Side:
        return replace(end, tunnel_packets={Encapsulation.IPIP: 100 + count})

    return replace(LOOK, client=counted(LOOK.client, client), server=counted(LOOK.server, server))


def own_run(client: int, server: int, sent: Moved, *, shared: bool = False) -> OwnRun:
    """A run during which the tunnels of both nodes sent so many packets."""
    tunnel = Encapsulation.IPIP
    before, after = Counters({tunnel: 5}, {tunnel: 7}), Counters({tunnel: 5 + client}, {tunnel: 7 + server})
    return OwnRun(before, after, sent, shared)


PLAIN = replace(
    LOOK,
    client=replace(LOOK.client, route=UNDERLAY, pool=None),
    server=replace(LOOK.server, route=UNDERLAY, pool=None),
    expected=Encapsulation.NONE,
    expected_back=Encapsulation.NONE,
    ground=Ground(),
)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("client", "server", "said"),
    [
        (500, 200, None),
        (499, 200, "tunl0 of node1 sent 499 packets while at least 500 were sent to 198.19.0.65"),
        (500, 0, "tunl0 of node2 sent 0 packets while at least 200 were sent to 198.19.0.1"),
    ],
    ids=["both-grew", "too-few", "flat-on-the-servers-node"],
)
def test_tunnels_must_grow_with_what_its_own_run_sent(client, server, said, shared):
    own = own_run(client, server, Moved(runs=1, forward=500, backward=200), shared=shared)
    text = contradiction(pair(), LOOK, own=own)
    assert text is None if said is None else text.startswith(said)


@pytest.mark.parametrize(
    ("client", "server", "count", "said", "unknown"),
    [
        (0, 0, 500, None, None),
        (499, 199, 500, None, None),
        (500, 0, 500, "tunl0 of node1 sent 500 packets while only unencapsulated ones, at least 500,", "500"),
        (0, 200, 500, "tunl0 of node2 sent 200 packets while only unencapsulated ones, at least 200,", "200"),
        (7, 0, 1, None, "7"),
        (8, 0, 1, "tunl0 of node1 sent 8 packets while only unencapsulated ones, at least 1,", "8"),
    ],
    ids=["flat", "too-few-to-be-it", "grew", "grew-on-the-servers-node", "stray", "more-than-strays"],
)
@pytest.mark.parametrize("shared", [False, True])
def test_under_a_plain_mode_a_tunnel_must_not_grow_with_its_own_run(
    client, server, count, said, unknown, shared
):
    own = own_run(client, server, Moved(runs=1, forward=count, backward=200), shared=shared)
    text = contradiction(replace(pair(), mode=Mode.BGP), PLAIN, own=own)
    if shared or said is None:
        assert text is None
    else:
        assert text.startswith(said)
    told = document(PLAIN, own=own)["line"]
    left_open = unknown is not None and (shared or said is None)
    assert ("is unknown: others may use the tunnels, too" in told) is left_open


def test_what_fits_contradicts_nothing():
    sent = Moved(runs=2, forward=500, backward=200)
    assert contradiction(pair(), LOOK, later(500, 200), moved=sent, path_mtu=1480, mss=1428) is None


@pytest.mark.parametrize(
    ("client", "server", "said"),
    [
        (499, 200, "tunl0 of node1 sent 499 packets while at least 500 were sent to 198.19.0.65"),
        (0, 0, "tunl0 of node1 sent 0 packets"),
        (500, 1, "tunl0 of node2 sent 1 packets while at least 200 were sent to 198.19.0.1"),
    ],
    ids=["too-few", "flat", "flat-on-the-servers-node"],
)
def test_counters_of_both_nodes_must_grow_with_what_was_sent(client, server, said):
    sent = Moved(runs=2, forward=500, backward=200)
    assert said in contradiction(pair(), LOOK, later(client, server), moved=sent)


def test_a_host_may_answer_a_masquerading_node_instead_of_its_pod():
    to_host = replace(
        later(0, 0),
        server=replace(LOOK.server, kind=EndpointKind.HOST, pool=None),
        expected=Encapsulation.NONE,
        client=replace(LOOK.client, route=UNDERLAY),
    )
    sent = Moved(runs=1, forward=100, backward=100)
    assert contradiction(pair(Path.POD_TO_HOST), to_host, to_host, moved=sent) is None
    own = own_run(0, 0, sent)
    assert contradiction(pair(Path.POD_TO_HOST), to_host, own=own) is None
    assert document(to_host, own=own)["line"].endswith(
        "tunl0 +0 packets on node1, +0 on node2 while it sent at least 100; so replies went to node1 itself: it masquerades what pods send to hosts"
    )


def test_two_pods_of_one_node_are_no_path_between_nodes():
    together = replace(LOOK, server=replace(LOOK.server, node="node1"))
    assert contradiction(pair(server_node="node1"), together) == (
        "pod-to-pod is between two nodes, but pod a and pod b are both on node1"
    )
    assert "between one node, but pod a and pod b are on node1 and on node2" in (
        contradiction(pair(Path.POD_TO_POD_SAME_NODE), LOOK)
    )


def test_an_address_of_another_modes_pool_is_another_modes_path():
    bgp = PoolState("default", "198.19.4.0/22", Mode.BGP)
    wrong = replace(LOOK, server=replace(LOOK.server, address="198.19.4.65", pool=bgp))
    assert contradiction(pair(), wrong) == (
        "pod b has the address 198.19.4.65 of the pool default (198.19.4.0/22), whose mode is bgp, not ipip"
    )


def test_an_address_of_no_pool_contradicts_only_where_all_pools_are_known():
    homeless = replace(LOOK, client=replace(LOOK.client, pool=None))
    assert "198.19.0.1, which is from no pool" in contradiction(pair(), homeless)
    assert contradiction(pair(), replace(homeless, ground=Ground())) is None


@pytest.mark.parametrize(("path_mtu", "fits"), [(1480, True), (1481, False), (1450, True), (None, True)])
def test_a_packet_too_large_to_be_wrapped_was_not(path_mtu, fits):
    text = contradiction(pair(), LOOK, path_mtu=path_mtu)
    assert (text is None) is fits
    if not fits:
        assert "packets of 1481 bytes get through unfragmented, but ipip leaves 1480 of the 1500" in text


@pytest.mark.parametrize(("mss", "fits"), [(1428, True), (1440, True), (1441, False), (1448, False)])
def test_a_segment_too_large_for_the_path_went_another_way(mss, fits):
    text = contradiction(pair(), LOOK, path_mtu=1480, mss=mss)
    assert (text is None) is fits
    if not fits:
        assert f"segments of {mss} bytes" in text


def test_a_route_whose_mtu_changed_meanwhile_is_another_path():
    smaller = replace(LOOK.forward, mtu=1400)
    after = replace(LOOK, client=replace(LOOK.client, route=smaller))
    assert "node1 changed its route to 198.19.0.65 while we measured" in contradiction(pair(), LOOK, after)


def test_a_node_whose_underlay_cannot_be_seen_is_not_judged_by_it():
    blind = replace(LOOK, client=replace(LOOK.client, underlay=None))
    assert contradiction(pair(), blind, path_mtu=1500) is None


# -- what was sent, at least ---------------------------------------------------------------------


def sent(*details: dict) -> Moved:
    return moved(Measurement(1.0, 1.0, each) for each in details)


def test_every_run_sent_at_least_a_packet_each_way():
    assert sent({}, {"p50": 0.1}) == Moved(runs=2, forward=2, backward=2)
    assert sent() == Moved(0, 0, 0)


def test_of_echoes_and_requests_at_least_half_are_counted():
    assert sent({"resolution": 1e-6, "sent": 200, "received": 180}) == Moved(1, 100, 90)
    assert sent({"complete": 5000}, {"complete": 3000}) == Moved(2, 4000, 4000)


def test_of_bytes_at_least_half_as_packets_of_64_kib():
    second = {"intervals": [1e9] * 10, "interval_seconds": 0.1}  # 125 MB
    half = {"intervals": [1e9] * 5, "interval_seconds": 0.1}
    both = {**second, "sent": 1e9, "received": 1e9, "reverse": half}
    assert sent(both) == Moved(1, int(125e6 / 65536 / 2), int(62.5e6 / 65536 / 2))


@pytest.mark.parametrize(
    "odd",
    [
        {"intervals": "x", "interval_seconds": 1},
        {"intervals": [None, "y"], "interval_seconds": 1},
        {"intervals": [1e12]},
        {"reverse": 5},
    ],
    ids=["no-list", "no-rates", "no-length", "no-reverse"],
)
def test_what_is_no_count_counts_as_a_run(odd):
    assert sent(odd) == Moved(1, 1, 1)
