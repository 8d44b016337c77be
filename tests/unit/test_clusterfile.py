"""Cluster files: what is read, and that every mistake ends in one line that names file, line and field."""

from __future__ import annotations

import os
import textwrap
from ipaddress import IPv4Network

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.clusterfile import ClusterFiles, LabFile, load, parse
from pytest_calico_perf.errors import ClusterFileProblem, UsageProblem
from pytest_calico_perf.model import Mode
from pytest_calico_perf.model import Path as TrafficPath

GOOD = textwrap.dedent("""\
    kind: lab
    name: mine
    subnets:
      - name: rack1
        range: 198.18.0.0/24
        nodes: 2
      - name: rack2
        range: 198.18.1.0/24
        nodes: 1
    pools:
      bgp: 198.19.0.0/24
      vxlan: 198.19.1.0/24
    """)


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def problem(text: str) -> ClusterFileProblem:
    with pytest.raises(ClusterFileProblem) as caught:
        parse(textwrap.dedent(text), "f.yaml")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["lab", "lab-two-subnets"])
def test_shipped_files_are_found_by_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = load(name)
    assert isinstance(file, LabFile)
    assert file.name == name
    assert set(file.pools) == set(Mode)


def test_clusters_under_the_current_folder_win(tmp_path, monkeypatch):
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "lab.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert load("lab").name == "mine"
    assert load("clusters/lab.yaml").source == "clusters/lab.yaml"


def test_fields_and_what_they_default_to():
    file = parse(GOOD, "f.yaml")
    assert isinstance(file, LabFile)
    assert file.pools == {Mode.BGP: IPv4Network("198.19.0.0/24"), Mode.VXLAN: IPv4Network("198.19.1.0/24")}
    assert (file.mtu, file.pods_per_node, file.link_rate, file.segmentation_offload) == (1500, 2, None, True)
    assert file.node_names == ("node1", "node2", "node3")
    assert (file.current, file.pair, file.router.bgp, file.ready_within) == (Mode.IPIP, None, False, 20)
    assert file.defaults.modes is None


def test_all_fields():
    file = parse(
        GOOD
        + textwrap.dedent("""\
        description: words
        router: {bgp: true}
        pods-per-node: 1
        mtu: 9000
        link-rate: 200 Mbit/s
        segmentation-offload: false
        current: vxlan
        pair: [node3, node1]
        ready-within: 7.5
        defaults:
          modes: [vxlan, bgp]
          profile: mine
          rounds: 3
          duration: 2
          paths: [pod-to-pod]
          probes: [tcp]
        profiles:
          mine:
            rounds: 4
            probes: {tcp: {duration: 3}}
        """),
        "f.yaml",
    )
    assert isinstance(file, LabFile)
    assert (file.link_rate, file.mtu, file.pair) == (200_000_000, 9000, ("node3", "node1"))
    assert file.defaults.modes == (Mode.VXLAN, Mode.BGP)
    assert file.defaults.paths == (TrafficPath.POD_TO_POD,)
    assert file.profiles["mine"].rounds == 4
    assert file.profiles["mine"].warm_up_rounds is None
    assert file.profiles["mine"].probes == {"tcp": {"duration": 3}}
    where = file.problem(("profiles", "mine", "probes", "tcp", "duration"), "too long").where
    assert where == "f.yaml:32: profiles.mine.probes.tcp.duration"


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1000000 bit/s", 10**6), ("2500 kbit/s", 2_500_000), ("0.2 Gbit/s", 2 * 10**8), ("10Mbit/s", 10**7)],
)
def test_rates_are_read_in_bit_per_second(text, rate):
    file = parse(f"{GOOD}link-rate: {text}\n", "f.yaml")
    assert isinstance(file, LabFile)
    assert file.link_rate == rate


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("kind: lab", "kind: lap", "f.yaml:1: kind", "unknown kind 'lap', did you mean 'lab'? known: lab"),
        ("kind: lab\n", "", "f.yaml:1: kind", "field is missing"),
        ("kind: lab", "kind: [lab]", "f.yaml:1: kind", "unknown kind ['lab']"),
        ("pools:", "poools:", "f.yaml:10: poools", "unknown field, did you mean 'pools'? (known: name,"),
        ("        range", "        rang", None, None),  # an indentation that is not YAML
        ("    nodes: 2", "    node: 2", "f.yaml:6: subnets[0].node", "unknown field, did you mean 'nodes'?"),
        ("    nodes: 2\n", "", "f.yaml:4: subnets[0].nodes", "field is missing"),
        ("    nodes: 2", "    nodes: two", "f.yaml:6: subnets[0].nodes", "not 'two'"),
        ("    nodes: 2", "    nodes: '2'", "f.yaml:6: subnets[0].nodes", "not '2'"),
        ("    nodes: 2", "    nodes: true", "f.yaml:6: subnets[0].nodes", "not True"),
        ("    nodes: 2", "    nodes: 0", "f.yaml:6: subnets[0].nodes", "greater than or equal to 1"),
        ("  bgp: 198.19.0.0/24", "  bpg: 198.19.0.0/24", "f.yaml:11: pools.bpg", "did you mean 'bgp'? (known: bgp,"),
        ("198.19.1.0/24", "198.19.1.0/33", "f.yaml:12: pools.vxlan", "'33' is not a valid netmask"),
        ("198.19.1.0/24", "198.19.1.9/24", "f.yaml:12: pools.vxlan", "has host bits set"),
        ("198.19.1.0/24", "3325100032", "f.yaml:12: pools.vxlan", "must be an IPv4 range"),
        ("198.19.1.0/24", "10.0.0.0/8", "f.yaml:12: pools.vxlan", "outside 198.18.0.0/15"),
        ("198.19.1.0/24", "198.19.1.0/25", "f.yaml:12: pools.vxlan", "room for 2 blocks of /26, but there are 3 nodes"),
        (
            "198.19.1.0/24",
            "198.19.0.128/25",
            "f.yaml:12: pools.vxlan",
            "198.19.0.128/25 overlaps pools.bgp 198.19.0.0/24 in line 11",
        ),
        (
            "198.19.1.0/24",
            "198.18.0.0/16",
            "f.yaml:12: pools.vxlan",
            "overlaps subnets[0].range 198.18.0.0/24 in line 5",
        ),
        ("198.18.1.0/24", "198.18.0.0/25", "f.yaml:8: subnets[1].range", "overlaps subnets[0].range 198.18.0.0/24 in line 5"),
        ("198.18.1.0/24", "198.18.1.0/31", "f.yaml:9: subnets[1].nodes", "1 nodes do not fit into 198.18.1.0/31"),
        ("name: rack2", "name: rack1", "f.yaml:7: subnets[1].name", "two subnets are called rack1"),
        ("name: mine", "name: Mine Own", "f.yaml:2: name", "should be small letters, digits and single dashes"),
        ("name: mine", "name: mine\nname: yours", "f.yaml:3: name", "name is given twice, first in line 2"),
        ("name: mine", 'name: mine\n"a\\nb": 1', "f.yaml:3: 'a\\nb'", "unknown field"),
        ("name: mine", 'name: mine\n"\\e[2J": 1\n"\\e[2J": 2', "f.yaml:4: '\\x1b[2J'", "'\\x1b[2J' is given twice"),
        ("name: mine", "name: mine\nmtu: 0x" + "f" * 5000, "f.yaml:3: mtu", "less than or equal to 65535, not a number this long"),
        ("name: mine", "name: mine\n7: seven", "f.yaml:3", "a field's name must be a word"),
        ("name: mine", "name: &a mine", "f.yaml:2", "anchors and aliases (&a)"),
        ("name: mine", "name: !!python/name:os.system x", "f.yaml:2", "could not determine a constructor"),
        ("name: mine", "name: !!int mine", "f.yaml:2", "cannot read 'mine'"),
        ("name: mine", "name: 'mine", "f.yaml:13", "this is not YAML"),
        ("name: mine", "name: mine\x01", "f.yaml", "this is not YAML"),
        ("name: mine", "name: " + "[" * 40 + "]" * 40, "f.yaml:2", "nested more than"),
        ("name: mine", "name: mine\n---\nname: yours", "f.yaml:3", "this is not YAML"),
    ],
)  # fmt: skip
def test_mistakes(old, new, where, words):
    if where is None:
        assert "f.yaml:" in problem(edited("    range: 198.18.0.0/24", "      range: 198.18.0.0/24")).where
        return
    found = problem(edited(old, new))
    assert found.where == where
    assert words in str(found)


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("mtu: 625", "mtu", "greater than or equal to 626"),
        ("mtu: 65536", "mtu", "less than or equal to 65535"),
        ("link-rate: 200", "link-rate", "must be a rate with its unit"),
        ("link-rate: 200 Mbps", "link-rate", "such as 200 Mbit/s"),
        ("link-rate: 1 bit/s", "link-rate", "greater than or equal to 1000000"),
        ("pods-per-node: 0", "pods-per-node", "greater than or equal to 1"),
        ("pair: [node1, node4]", "pair[1]", "there is no node node4"),
        ("pair: [node1, node1]", "pair", "on different nodes"),
        ("pair: [node1]", "pair", "pair[1]: field is missing"),
        ("current: current", "current", "must be the mode the default pool is in"),
        ("defaults: {modes: [ipip]}", "defaults.modes[0]", "ipip has no pool"),
        ("defaults: {modes: [vxlam]}", "defaults.modes[0]", "did you mean 'vxlan'?"),
        ("defaults: {rounds: -1}", "defaults.rounds", "greater than or equal to 1"),
        ("defaults: {duration: .nan}", "defaults.duration", "nan"),
        ("ready-within: soon", "ready-within", "should be a number, not 'soon'"),
        ("segmentation-offload: 'no'", "segmentation-offload", "should be true or false, not 'no'"),
        ("profiles: {mine: 3}", "profiles.mine", "should hold `field: value` lines, not 3"),
        ("profiles: 3", "profiles", "should hold `field: value` lines, not 3"),
        ("defaults: {modes: bgp}", "defaults.modes", "should be a list, not 'bgp'"),
        ("profiles: {mine: {round: 3}}", "profiles.mine.round", "did you mean 'rounds'?"),
        ("profiles: {mine: {paths: [pod-to-bod]}}", "profiles.mine.paths[0]", "did you mean 'pod-to-pod'?"),
        ("profiles: {mine: {probes: {tcp: 7}}}", "profiles.mine.probes.tcp", "7"),
        ("router: yes", "router", "not True"),
        ("underlay: {source-check: [node7]}", "underlay.source-check[0]", "there is no node node7"),
        ("underlay: {source-checks: [node1]}", "underlay.source-checks", "did you mean 'source-check'?"),
    ],
)
def test_wrong_values(line, field, words):
    found = problem(f"{GOOD}{line}\n")
    assert found.where.startswith(f"f.yaml:13: {field}")
    assert words in str(found)


def test_the_first_mistake_in_the_file_is_the_one_told():
    assert (
        problem(GOOD.replace("nodes: 2", "nodes: x").replace("name: mine", "name: 7")).where
        == "f.yaml:2: name"
    )


def test_a_list_whose_only_item_is_wrong_is_not_called_too_short():
    text = edited("  - name: rack2\n    range: 198.18.1.0/24\n    nodes: 1\n", "").replace(
        "nodes: 2", "nodes: 300"
    )
    assert str(problem(text)) == "f.yaml:6: subnets[0].nodes: should be less than or equal to 64, not 300"


def test_a_lab_of_one_node_compares_nothing():
    text = edited("  - name: rack2\n    range: 198.18.1.0/24\n    nodes: 1\n", "").replace(
        "nodes: 2", "nodes: 1"
    )
    assert str(problem(text)) == "f.yaml:3: subnets: a comparison needs at least two nodes"


def test_alias_bombs_are_not_expanded():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "anchors and aliases" in str(problem(bomb))


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just words\n", "42\n"])
def test_what_is_not_a_mapping(text):
    assert "list of `field: value` lines" in str(problem(text))


@given(st.text(max_size=60))
def test_no_text_ends_in_a_traceback(text):
    with pytest.raises(ClusterFileProblem):
        parse(text, "f.yaml")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
), st.sampled_from(["name", "subnets", "pools", "mtu", "pair", "defaults", "profiles", "router", "current"]))  # fmt: skip
def test_no_value_of_a_field_ends_in_a_traceback(value, field):
    document = yaml.safe_load(GOOD) | {field: value}
    try:
        parse(yaml.safe_dump(document), "f.yaml")
    except ClusterFileProblem as found:
        assert found.where.startswith("f.yaml:")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "lob",
            "no cluster has this name, did you mean 'lab'? known: eks, kind, kubeadm, lab, lab-two-subnets, published",
        ),
        ("", "no cluster has this name"),
        ("no/such.yaml", "no/such.yaml: there is no such file"),
        ("folder", "no cluster has this name"),
        ("./folder", "this is not a file"),
        ("./pipe", "this is not a file"),
        ("binary.yaml", "binary.yaml: is not UTF-8 text (byte 0)"),
        ("large.yaml", "is larger than"),
        ("a\0b", "a\0b"),
        ("x" * 5000 + ".yaml", "File name too long"),
        ("/proc/self/mem", "cannot be read: Input/output error"),  # a regular file that fails for root too
    ],
)
def test_files_that_cannot_be_read(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large.yaml").write_text("#" * ((1 << 20) + 1))
    with pytest.raises(ClusterFileProblem) as caught:
        load(name)
    assert words in str(caught.value)


def test_modes_without_a_pool_are_refused():
    file = parse(GOOD, "f.yaml")
    file.check_modes([Mode.BGP, Mode.VXLAN])
    with pytest.raises(
        UsageProblem, match=r"cluster mine cannot carry ipip: it has no pool for it; add one.*bgp, vxlan"
    ):
        file.check_modes([Mode.BGP, Mode.IPIP])


def test_names_are_of_all_folders(tmp_path):
    (tmp_path / "b.yaml").touch()
    (tmp_path / "a.yaml").touch()
    assert ClusterFiles(tmp_path, tmp_path / "none").names() == ("a", "b")
