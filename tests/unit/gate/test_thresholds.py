"""Which demand a cell gets, and what is said of a file that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.clusterfile import parse
from pytest_calico_perf.clusterfile.located_yaml import read
from pytest_calico_perf.errors import ClusterFileProblem
from pytest_calico_perf.gate.expectations import Expectation
from pytest_calico_perf.gate.limits import all_keys
from pytest_calico_perf.gate.thresholds import Thresholds
from pytest_calico_perf.model import Cell, Mode
from pytest_calico_perf.model import Path as PathOf
from pytest_calico_perf.probes import PROBES, probe_names
from pytest_calico_perf.profiles import possible_cells

HOST = Cell("tcp", PathOf.HOST_TO_HOST, None)
EXAMPLE = """
tcp:
  "*": {min: 4 Gbit/s, ratio-to-host: 0.85}
  pod-to-pod:
    bgp: {min: 9 Gbit/s, ratio-to: {ipip: 1.0}}
ping:
  pod-to-pod: {"*": {p99: 1.5 ms, max: 400 us}}
udp: {"*": {loss: 0.1 %}}
"""


def thresholds(text: str) -> Thresholds:
    document = read(text, "prod.yaml")
    return Thresholds.read(document.data, document)


def demands(
    text: str, probe: str, path: PathOf = PathOf.POD_TO_POD, mode: Mode | None = Mode.BGP
) -> dict[str, str]:
    rules = thresholds(text).of(Cell(probe, path, mode))
    return {rule.text: rule.source for rule in rules}


def problem(text: str) -> str:
    with pytest.raises(ClusterFileProblem) as caught:
        thresholds(text)
    return str(caught.value)


def test_each_key_comes_from_the_most_specific_place():
    assert demands(EXAMPLE, "tcp") == {
        "min: 9 Gbit/s": "prod.yaml:5: tcp.pod-to-pod.bgp.min",
        "ratio-to-host: 0.85": "prod.yaml:3: tcp.*.ratio-to-host",
        "ratio-to ipip: 1.0": "prod.yaml:5: tcp.pod-to-pod.bgp.ratio-to",
    }
    assert set(demands(EXAMPLE, "tcp", mode=Mode.IPIP)) == {"min: 4 Gbit/s", "ratio-to-host: 0.85"}
    assert set(demands(EXAMPLE, "ping", mode=Mode.VXLAN)) == {"p99: 1.5 ms", "max: 400 us"}
    assert set(demands(EXAMPLE, "udp", PathOf.HOST_TO_POD)) == {"loss: 0.1 %"}
    assert demands(EXAMPLE, "http") == {}


def test_limits_are_si():
    [rule] = thresholds("ping: {p99: 1.5 ms}").of(Cell("ping", PathOf.POD_TO_POD, Mode.BGP))
    assert rule.limit == pytest.approx(0.0015)
    [rule] = thresholds("http: {min: 20 kreq/s}").of(Cell("http", PathOf.POD_TO_POD, Mode.BGP))
    assert rule.limit == 20_000
    [rule] = thresholds("udp: {loss: 0.1 %}").of(Cell("udp", PathOf.POD_TO_POD, Mode.BGP))
    assert rule.limit == pytest.approx(0.001)
    [rule] = thresholds("tcp: {ratio-to-host: 90 %}").of(Cell("tcp", PathOf.POD_TO_POD, Mode.BGP))
    assert rule.ratio == pytest.approx(0.9)


def test_hosts_are_not_divided_by_themselves_nor_a_mode():
    text = "tcp: {ratio-to-host: 0.9, ratio-to: {bgp: 1, ipip: 1}}"
    assert thresholds(text).of(HOST) == ()
    assert set(demands(text, "tcp")) == {"ratio-to-host: 0.9", "ratio-to ipip: 1"}


def test_a_named_probe_counts_more_than_a_named_path_and_that_more_than_a_named_mode():
    text = """
    "*": {pod-to-pod: {bgp: {p99: 1 ms}}}
    ping: {p99: 2 ms}
    http:
      "*": {bgp: {p99: 3 ms}}
      pod-to-pod: {p99: 4 ms}
    """
    assert set(demands(text, "ping")) == {"p99: 2 ms"}
    assert set(demands(text, "http")) == {"p99: 4 ms"}
    assert set(demands(text, "http", PathOf.HOST_TO_POD)) == {"p99: 3 ms"}
    assert set(demands(text, "connect")) == {"p99: 1 ms"}
    assert demands(text, "connect", mode=Mode.IPIP) == {}
    assert demands(text, "tcp") == {}  # has no p99


def test_null_takes_back_what_a_wider_place_demands():
    text = (
        "tcp: {min: 4 Gbit/s, ratio-to: {ipip: 0.9}, pod-to-pod: {min: null, bgp: {ratio-to: {ipip: null}}}}"
    )
    assert demands(text, "tcp") == {}
    assert set(demands(text, "tcp", mode=Mode.VXLAN)) == {"ratio-to ipip: 0.9"}
    assert set(demands(text, "tcp", PathOf.HOST_TO_POD)) == {"min: 4 Gbit/s", "ratio-to ipip: 0.9"}


def test_a_mode_alone_means_at_least_as_good():
    assert set(demands("tcp: {ratio-to: ipip}", "tcp")) == {"ratio-to ipip: 1.0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcq: {min: 4 Gbit/s}", "prod.yaml:1: tcq: unknown probe, did you mean 'tcp'?"),
        ("tcp:\n  pod-to-pot: {min: 4 Gbit/s}", "prod.yaml:2: tcp.pod-to-pot: unknown path or demand, did you mean 'pod-to-pod'?"),
        ("tcp:\n  pod-to-pod:\n    bpg: {}", "prod.yaml:3: tcp.pod-to-pod.bpg: unknown mode or demand, did you mean 'bgp'?"),
        ("tcp:\n  mim: 4 Gbit/s", "prod.yaml:2: tcp.mim: unknown path or demand, did you mean 'min'?"),
        ("tcp:\n  min: 4 ms", "prod.yaml:2: tcp.min: '4 ms' is a duration, and a rate is needed here"),
        ("tcp: {min: 4}", "prod.yaml:1: tcp.min: '4' has no unit"),
        ("tcp: {min: 0 bit/s}", "prod.yaml:1: tcp.min: '0 bit/s' limits nothing"),
        ("ping: {max: 1 Gbit/s}", "prod.yaml:1: ping.max: '1 Gbit/s' is a rate, and a duration is needed"),
        ("http: {min: 4 Gbit/s}", "prod.yaml:1: http.min: '4 Gbit/s' is a rate, and a rate of requests is needed"),
        ("ping: {min: 1 ms}", "prod.yaml:1: ping.min: ping is better when lower: its limit is max"),
        ("tcp: {max: 1 Gbit/s}", "prod.yaml:1: tcp.max: tcp is better when higher: its limit is min"),
        ("tcp: {p99: 1 ms}", "prod.yaml:1: tcp.p99: unknown demand on the probe tcp"),
        ("udp: {loss: 101 %}", "prod.yaml:1: udp.loss: '101 %' is more than all"),
        ("udp: {loss: 0.1}", "prod.yaml:1: udp.loss: '0.1' has no unit: write a fraction with one"),
        ("tcp: {retransmits: 1.5}", "prod.yaml:1: tcp.retransmits: 1.5 is not a whole number"),
        ("link: {min: 10 Gbit/s}", "prod.yaml:1: link: link states facts"),
        ("min: 4 Gbit/s", "prod.yaml:1: min: a demand stands below a probe"),
        ('"*": {min: 4 Gbit/s}', "prod.yaml:1: *.min: min has another unit for each probe"),
        ('"*": {ratio-to-host: 0.9}', "prod.yaml:1: *.ratio-to-host: ratio-to-host is a least for some probes"),
        ("tcp: {bgp: {min: 4 Gbit/s}}", "prod.yaml:1: tcp.bgp: bgp is a mode, and stands below a path"),
        ("tcp: {host-to-host: {bgp: {}}}", "prod.yaml:1: tcp.host-to-host.bgp: host-to-host has no mode"),
        ("tcp: {host-to-host: {ratio-to-host: 1}}", "prod.yaml:1: tcp.host-to-host.ratio-to-host: host-to-host is what"),
        ("tcp: {pod-to-pod: {bgp: {ratio-to: bgp}}}", "ratio-to.bgp: bgp divided by itself is always 1"),
        ("tcp:\n  ratio-to:\n    ipip: -1", "prod.yaml:3: tcp.ratio-to.ipip: -1 is not a ratio"),
        ("tcp: {ratio-to: {bpg: 1}}", "prod.yaml:1: tcp.ratio-to.bpg: 'bpg' is not a mode, did you mean 'bgp'?"),
        ("tcp: {ratio-to: {host: 1}}", "prod.yaml:1: tcp.ratio-to.host: 'host' is not a mode; of hosts, write ratio-to-host"),
        ("tcp: {ratio-to-host: .inf}", "prod.yaml:1: tcp.ratio-to-host: inf is not a ratio"),
        ("tcp: {ratio-to-host: true}", "prod.yaml:1: tcp.ratio-to-host: True is not a ratio"),
        ("tcp:\n  min: 4 Gbit/s\n  '*': {min: 5 Gbit/s}", "prod.yaml:3: tcp.*.min: is demanded twice of the same cells, first in prod.yaml:2: tcp.min"),
        ("tcp: 4 Gbit/s", "prod.yaml:1: tcp: should hold `field: value` lines, not '4 Gbit/s'"),
        ("tcp:", "prod.yaml:1: tcp: should hold `field: value` lines, not nothing"),
        ("- tcp", "prod.yaml:1: should hold `field: value` lines"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_field(text: str, message: str):
    assert problem(text).startswith("prod.yaml:")
    assert message in problem(text)


def test_a_cluster_file_names_its_own_fields():
    text = "kind: kubernetes\nname: mine\nthresholds:\n  tcp:\n    min: 4 Gbit/s\nexpect:\n  - bgp >= ipip * 0.9 for tcp\n"
    file = parse(text, "mine.yaml")
    [rule] = Thresholds.read(file.thresholds, file, "thresholds").of(HOST)
    assert rule.source == "mine.yaml:5: thresholds.tcp.min"
    assert file.expect == ("bgp >= ipip * 0.9 for tcp",)


def test_the_examples_for_people_mean_what_the_page_says():
    page = Path(__file__).parents[3].joinpath("docs", "cluster-file.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    [example] = [block["thresholds"] for block in blocks if "thresholds" in block]
    text = yaml.safe_dump(example)
    assert set(demands(text, "tcp")) == {"min: 9 Gbit/s", "ratio-to-host: 0.85", "ratio-to ipip: 1.0"}
    assert set(demands(text, "tcp", mode=Mode.CURRENT)) == {"ratio-to-host: 0.85"}
    assert set(demands(text, "tcp", PathOf.HOST_TO_HOST, None)) == {"min: 4 Gbit/s"}
    assert set(demands(text, "ping")) == {"p99: 1.5 ms", "max: 400 us"}
    [expected] = [block["expect"] for block in blocks if "expect" in block]
    assert [Expectation.parse(each, "here").text for each in expected] == expected


def test_words_of_the_levels_are_disjoint():
    """Else it would depend on the depth what a word means."""
    words = [*probe_names(), *PathOf, *Mode, *all_keys(), "*"]
    assert len(words) == len(set(words))


WORDS = st.sampled_from(
    [str(word) for word in (*probe_names(), *PathOf, *Mode, *sorted(all_keys()), "*", "nonsense", "")]
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["4 Gbit/s", "1.5 ms", "0.1 %", "ipip", "20 kreq/s", 0.85]),
)  # fmt: skip
TREES = st.recursive(VALUES, lambda inner: st.dictionaries(WORDS, inner, max_size=4), max_leaves=12)


@given(TREES)
def test_any_file_is_understood_or_refused_with_its_place(tree):
    text = yaml.safe_dump(tree)
    try:
        document = read(text, "any.yaml")
        found = Thresholds.read(document.data, document)
    except ClusterFileProblem as refused:
        assert refused.where.startswith("any.yaml")
        return
    for cell in possible_cells(
        tuple(Mode), tuple(PathOf), [kind() for name, kind in PROBES.items() if name != "link"]
    ):
        rules = found.of(cell)
        assert len({rule.text.partition(":")[0] for rule in rules}) == len(rules)


SCOPES = st.tuples(
    st.sampled_from(["*", "tcp"]),
    st.sampled_from(["*", "pod-to-pod", "host-to-pod"]),
    st.sampled_from(["*", "bgp", "ipip"]),
)


@given(st.dictionaries(SCOPES, st.integers(0, 50), min_size=1, max_size=12), st.randoms())
def test_the_order_in_a_file_means_nothing(limits, random):
    """What a cell gets is what a plain search for the most specific scope finds, in whatever order they stand."""
    items = list(limits.items())
    random.shuffle(items)
    tree: dict = {}
    for (probe, path, mode), limit in items:
        tree.setdefault(probe, {}).setdefault(path, {}).setdefault(mode, {})["retransmits"] = limit
    found = thresholds(yaml.safe_dump(tree, sort_keys=False))
    for path in ("pod-to-pod", "host-to-pod"):
        for mode in ("bgp", "ipip"):
            covering = [
                scope for scope in limits
                if scope[0] in ("*", "tcp") and scope[1] in ("*", path) and scope[2] in ("*", mode)
            ]  # fmt: skip
            rules = found.of(Cell("tcp", PathOf(path), Mode(mode)))
            best = max(covering, key=lambda scope: tuple(word != "*" for word in scope), default=None)
            assert [rule.limit for rule in rules] == ([] if best is None else [limits[best]])
