"""Profiles: the built-in ones, and a cluster file's own."""

from __future__ import annotations

import pytest

from pytest_calico_perf.clusterfile import parse
from pytest_calico_perf.errors import ClusterFileProblem, SettingProblem
from pytest_calico_perf.model import Path
from pytest_calico_perf.profiles import BUILT_IN, PUBLISHED_PATHS, STANDARD_PROBES, find_profile

FILE = """\
kind: lab
name: mine
subnets:
  - {name: rack, range: 198.18.0.0/24, nodes: 2}
pools:
  bgp: 198.19.0.0/24
profiles:
"""


def cluster(profile: str):
    return parse(FILE + "".join(f"  {line}\n" for line in profile.splitlines()), "mine.yaml")


def test_standard_knows_every_probe() -> None:
    from pytest_calico_perf.probes import probe_names

    assert tuple(probe.name for probe in STANDARD_PROBES) == tuple(probe_names())


def test_article_is_the_published_protocol_to_the_letter() -> None:
    article = find_profile("article", cluster("x: {}"), "test")
    commands = {probe.name: probe.describe() for probe in article.probes}
    assert article.paths == PUBLISHED_PATHS
    assert {name: article.rounds_of(probe) for name, probe in article.by_name.items()} == {
        "ping": 1, "link": 1, "iperf": 1, "udp": 1, "http": 1, "tcp": 10
    }  # fmt: skip
    assert "-c 20" in commands["ping"]
    assert "iperf -c" in commands["iperf"]
    assert "-i 1" in commands["iperf"]
    assert "-n 90000 -c 50" in commands["http"]
    assert "-t 60" in commands["udp"]
    assert "1000M" in commands["udp"]
    assert "2000M" in commands["udp"]
    assert "-t 10" in commands["tcp"]
    assert "-R" not in commands["tcp"]


def test_own_profile_replaces_what_it_names_and_keeps_the_rest_of_standard() -> None:
    file = cluster(
        "nightly:\n  rounds: 3\n  paths: [pod-to-pod]\n  probes:\n    tcp: {duration: 7, both-directions: false}\n    ping:"
    )
    profile = find_profile("nightly", file, "test")
    standard = next(profile for profile in BUILT_IN if profile.name == "standard")
    assert profile.rounds == 3
    assert profile.warm_up_rounds == standard.warm_up_rounds
    assert profile.paths == (Path.POD_TO_POD,)
    assert list(profile.by_name) == ["tcp", "ping"]
    assert "-t 7" in profile.by_name["tcp"].describe()
    assert profile.by_name["ping"] == standard.by_name["ping"]


@pytest.mark.parametrize(
    ("profile", "where", "what"),
    [
        ("x:\n  round: 3", "mine.yaml:9: profiles.x.round", "did you mean 'rounds'"),
        ("x:\n  rounds: 0", "mine.yaml:9: profiles.x.rounds", ""),
        ("x:\n  probes:\n    pong: {}", "mine.yaml:10: profiles.x.probes.pong", "unknown probe 'pong'"),
        (
            "x:\n  probes:\n    tcp:\n      length: 3",
            "mine.yaml:11: profiles.x.probes.tcp.length",
            "no such parameter",
        ),
        ("x:\n  probes:\n    tcp: {duration: 0}", "mine.yaml:10: profiles.x.probes.tcp", "cannot be used"),
        (
            "x:\n  probes:\n    tcp: {duration: fast}",
            "mine.yaml:10: profiles.x.probes.tcp.duration",
            "integer",
        ),
        ("x:\n  probes:\n    ping: {count: 2.5}", "mine.yaml:10: profiles.x.probes.ping.count", "integer"),
        ("x:\n  probes:\n    udp: {rates: [5 Mbps]}", "mine.yaml:10: profiles.x.probes.udp.rates", "Mbps"),
        (
            "x:\n  probes:\n    tcp-parallel: {streams: 1}",
            "mine.yaml:10: profiles.x.probes.tcp-parallel",
            "probe tcp;",
        ),
        (
            "x:\n  probes:\n    http: {keepalive: true}",
            "mine.yaml:10: profiles.x.probes.http",
            "http-keepalive",
        ),
        ("x:\n  probes: {}", "mine.yaml:9: profiles.x.probes", ""),
        ("x:\n  paths: []", "mine.yaml:9: profiles.x.paths", ""),
        ("x:\n  paths: [pod-to-pod, pod-to-pod]", "mine.yaml:9: profiles.x.paths", "there twice"),
        ("x:\n  rounds: 1000000", "mine.yaml:9: profiles.x.rounds", "100000"),
        ("x:\n  probes:\n    udp: {rates: 5}", "mine.yaml:10: profiles.x.probes.udp.rates", "cannot be used"),
    ],
)
def test_a_mistake_in_an_own_profile_names_line_and_field(profile: str, where: str, what: str) -> None:
    with pytest.raises(ClusterFileProblem) as caught:
        find_profile("x", cluster(profile), "test")
    assert str(caught.value).startswith(where)
    assert what in str(caught.value)


def test_rates_may_be_written_with_their_unit() -> None:
    profile = find_profile("x", cluster("x:\n  probes:\n    udp: {rates: [1000000, 20 Mbit/s]}"), "test")
    assert profile.by_name["udp"].rates == (1e6, 20e6)


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(
        SettingProblem, match=r"did you mean 'nightly'\? known: quick, standard, article, nightly"
    ):
        find_profile("nightli", cluster("nightly: {rounds: 2}"), "--calico-profile")


def test_a_probe_the_profile_does_not_have_comes_with_standard_parameters() -> None:
    quick = BUILT_IN[0].with_probes(["udp", "ping"])
    assert [probe.name for probe in quick.probes] == ["udp", "ping"]
    assert quick.by_name["ping"] == BUILT_IN[0].by_name["ping"]
