"""Whatever ip, ping, cat and iperf3 print, there is a route or a finding, or one of our errors with a place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.cluster.lab.readiness import absent, expected_routes, shown_routes
from pytest_calico_perf.cluster.lab.topology import Topology
from pytest_calico_perf.cluster.routes import Route, route_to
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.errors import CellProblem, Unreachable
from pytest_calico_perf.model import EndpointKind, Mode, Path
from pytest_calico_perf.reachability import BULK_BYTES, check

ROUTE = [{"dst": "198.19.2.0/26", "gateway": "198.18.0.3", "dev": "eth0", "protocol": "bird"}]
LINK = [{"ifname": "eth0", "mtu": 1500}]
BULK = {"end": {"sum_received": {"bytes": BULK_BYTES}}}
ECHO = "1 packets transmitted, 1 received, 0% packet loss"
DEEP = 100_000


@dataclass
class Liar:
    """An endpoint whose tools print what they are told to; a scripted one, since no real tool is that odd."""

    name: str = "node1"
    says: dict[str, str] = field(default_factory=dict)
    exit_code: int = 0
    kind = EndpointKind.POD
    address = "198.18.0.2"
    own_address = address
    scratch = "/nowhere"
    running = True

    @property
    def node(self) -> str:
        return self.name

    def run(self, argv: Sequence[str], *, limit: float) -> CommandResult:
        assert "\0" not in "".join(argv), "execve(2) takes no such argument"
        tool = next((word for word in ("route", "link") if word in argv), argv[0])
        text = self.says.get(tool, "")
        return CommandResult(tuple(argv), self.name, self.exit_code, text, text, 0.001)

    def start(self, argv: Sequence[str], *, limit: float) -> Liar:
        return self

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        pass

    def allocate_port(self) -> int:
        return 5201

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def nearly(*words: str) -> st.SearchStrategy[str]:
    """JSON that looks as a tool's would: these words as keys and values, anything in any place."""
    numbers = st.integers() | st.floats() | st.integers(10**300, 10**310)
    values = st.recursive(
        st.none() | st.booleans() | numbers | st.sampled_from(words) | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=5)
        ),
        max_leaves=12,
    )
    return values.map(json.dumps) | st.lists(values).map(json.dumps) | st.text()


IP = nearly("dst", "dev", "gateway", "via", "host", "protocol", "metrics", "mtu", "eth0")
IPERF3 = nearly("end", "sum_received", "bytes", "error")
PING = st.text() | st.builds(
    "{} received, mtu={}".format, st.integers() | st.text(max_size=3), st.integers() | st.text(max_size=3)
)
NASTY = st.sampled_from(
    ["9" * 5000, "٣ received", "²", "mtu=" + "9" * 5000, "9" * 5000 + " received", "1e999"]
)

ODD_ROUTES = [
    [{**ROUTE[0], "metrics": [5]}],
    [{**ROUTE[0], "metrics": 5}],
    [{**ROUTE[0], "metrics": [{"mtu": "x"}]}],
    [{**ROUTE[0], "metrics": [{"mtu": float("inf")}]}],
    [{"dst": "default", "dev": "eth0", "via": "x"}],
    [{"dst": "default", "dev": "eth0", "via": {"host": 5}}],
    [{"dst": "default", "dev": ["eth0"]}],
    [{"dst": "default"}],
    [[5]],
    [5],
    {"dst": "default"},
    5,
    [],
    [{}],
]


def route(route: str, link: str) -> Route:
    found = route_to(Liar(says={"route": route, "link": link}), "198.19.2.1")
    assert found.mtu > 0
    assert all(
        isinstance(word, str) for word in (found.destination, found.device, found.gateway, found.protocol)
    )
    return found


@pytest.mark.parametrize("odd", ODD_ROUTES, ids=json.dumps)
def test_an_odd_route_is_none_or_a_problem_of_its_node(odd: Any) -> None:
    try:
        route(json.dumps(odd), json.dumps(LINK))
    except CellProblem as problem:
        assert problem.where == "node1"


@pytest.mark.parametrize("link", ["", "[]", "[{}]", "[5]", '[{"mtu": "x"}]', '[{"mtu": 0}]', "[" * DEEP])
def test_a_device_whose_mtu_cannot_be_read_is_a_problem_of_its_node(link: str) -> None:
    with pytest.raises(CellProblem) as caught:
        route(json.dumps(ROUTE), link)
    assert caught.value.where == "node1"


@given(IP, IP)
@example("[" * DEEP, "")
@example('[{"a":' * DEEP, "")
def test_any_answer_gives_a_route_or_a_problem(text: str, link: str) -> None:
    try:
        route(text, link)
    except CellProblem as problem:
        assert problem.where == "node1"
        assert problem.what


def test_honest_answers_give_a_route() -> None:
    """Or the properties here would hold of nothing."""
    assert route(json.dumps(ROUTE), json.dumps(LINK)).mtu == 1500
    assert route(json.dumps([{}, *ROUTE]), json.dumps([{}, *LINK])).gateway == "198.18.0.3"


def found(says: Mapping[str, str], exit_code: int) -> bool:
    honest = {
        "route": json.dumps(ROUTE),
        "link": json.dumps(LINK),
        "ping": ECHO,
        "iperf3": json.dumps(BULK),
        "cat": "1500",
    }
    liar = Liar(says={**honest, **says}, exit_code=exit_code)
    try:
        result = check(EndpointPair(Path.POD_TO_POD, Mode.BGP, liar, liar))
    except CellProblem as problem:
        assert problem.where
        return False
    json.dumps(result.to_json(), allow_nan=False)
    return True


@pytest.mark.parametrize(
    "bulk",
    [
        '{"end": {"sum_received": {"bytes": Infinity}}}',
        '{"end": {"sum_received": {"bytes": NaN}}}',
        '{"end": {"sum_received": {"bytes": true}}}',
        '{"end": {"sum_received": 5}}',
        '{"error": ["odd"]}',
        "[5]",
        "",
        '{"a":' * DEEP,
    ],
)
def test_odd_reports_of_iperf3_are_problems(bulk: str) -> None:
    assert not found({"iperf3": bulk}, 0)


@settings(max_examples=200)
@given(
    says=st.fixed_dictionaries(
        {},
        optional={"route": IP, "link": IP, "ping": PING | NASTY, "iperf3": IPERF3, "cat": st.text() | NASTY},
    ),
    exit_code=st.sampled_from([0, 1, 2, 124, 127]),
)
@example(says={"ping": "9" * 5000 + " received"}, exit_code=0)
@example(says={"ping": "0 received mtu=" + "9" * 5000}, exit_code=1)
@example(says={"route": "", "cat": "²"}, exit_code=0)
@example(says={"route": "", "cat": "9" * 5000}, exit_code=0)
def test_any_answer_gives_a_finding_or_a_problem(says: Mapping[str, str], exit_code: int) -> None:
    found(says, exit_code)


def test_honest_answers_give_a_finding() -> None:
    assert found({}, 0)
    with pytest.raises(Unreachable):
        liar = Liar(says={"ping": "0 received"}, exit_code=1)
        check(EndpointPair(Path.POD_TO_POD, Mode.BGP, liar, liar))


def lab_routes() -> list[Any]:
    file = load("lab")
    assert isinstance(file, LabFile)
    return list(expected_routes(Topology.of(file, (Mode.BGP, Mode.VXLAN))))


EXPECTED = lab_routes()


@given(IP)
@example("[" * DEEP)
@example("")
@example('[{"dst": [], "gateway": {}, "dev": null}]')
def test_routes_of_a_lab_that_cannot_be_read_are_absent_or_a_problem(text: str) -> None:
    try:
        assert absent(EXPECTED, shown_routes(text, "node1")) == EXPECTED
    except CellProblem as problem:
        assert problem.where == "node1"
