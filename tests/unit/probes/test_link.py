import json

import pytest

from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import Path
from pytest_calico_perf.probes.link import Link, parse_interface, parse_link, read_link

# `ethtool` of a 10 GbE card; the lines that matter, in its layout.
CARD = "Settings for ens160:\n\tSpeed: 10000Mb/s\n\tDuplex: Full\n\tLink detected: yes\n"


def read(recording, name: str, interface: str):
    texts = {part: recording(f"link/{name}.{part}.txt") for part in ("settings", "driver", "features")}
    return parse_link(interface, 1500, **texts)


def test_interface_by_address(recording):
    assert parse_interface(recording("link/veth.addr.json"), "198.18.220.1") == ("e0", 1500)
    assert parse_interface(recording("link/loopback.addr.json"), "127.0.0.1") == ("lo", 65536)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no JSON"), ("Cannot open netlink socket", "no JSON"), ("[]", "carries"), ("{}", "no JSON array"),
     ('[{"addr_info": [{"local": "198.18.0.1"}]}]', "no interface"),
     ('[{"ifname": "e0", "addr_info": [{"local": "198.18.0.1"}]}]', "MTU of e0 is missing")],
)  # fmt: skip
def test_broken_addresses(text, words):
    with pytest.raises(ToolProblem, match=words):
        parse_interface(text, "198.18.0.1")


def test_veth_invents_its_speed(recording):
    link = read(recording, "veth", "e0")
    assert (link.driver, link.speed, link.nominal_speed, link.duplex) == ("veth", None, 10e9, "full")
    assert link.link_detected is True
    assert set(link.offloads) == {"tso", "gso", "gro", "tx-checksum", "rx-checksum"}
    assert link.offloads["tso"] is True


def test_virtio_does_not_know_its_speed(recording):
    link = read(recording, "virtio", "eth0")
    assert (link.driver, link.speed, link.nominal_speed, link.duplex) == ("virtio_net", None, None, None)


def test_loopback_has_no_driver(recording):
    link = read(recording, "loopback", "lo")
    assert (link.driver, link.speed, link.duplex, link.link_detected) == (None, None, None, True)
    assert link.offloads["gro"] is True


def test_a_card():
    link = parse_link("ens160", 9000, settings=CARD, driver="driver: vmxnet3\nversion: 1.7\n", features="")
    assert (link.speed, link.duplex, link.mtu, link.driver) == (10e9, "full", 9000, "vmxnet3")
    assert link.link_detected
    assert dict(link.offloads) == {}


def test_offloads_that_are_fixed_or_off():
    features = "tcp-segmentation-offload: off\n\ttx-tcp-segmentation: on\nrx-checksumming: on [fixed]\n"
    link = parse_link("e", 1500, settings="", driver="", features=features)
    assert dict(link.offloads) == {"tso": False, "rx-checksum": True}
    assert link.link_detected is None


def test_speed_zero_is_no_speed():
    with pytest.raises(ToolProblem, match="speed of e is 0"):
        parse_link("e", 1500, settings="\tSpeed: 0Mb/s\n", driver="", features="")


def test_hosts_only():
    assert [path for path in Path if Link().suits(path)] == [Path.HOST_TO_HOST]
    assert Link().once
    assert Link().lasting(9) == Link()


def test_on_loopback(pair):
    with Link().open(pair) as measure:
        result = measure()
    assert result.value is None  # loopback has no speed
    assert set(result.details) == {"node1", "node2"}
    assert result.details["node1"]["interface"] == "lo"
    assert result.details["node1"]["mtu"] > 1000
    assert json.loads(json.dumps(result.details)) == result.details


def test_address_that_is_not_there(make_pair):
    with pytest.raises(ToolProblem, match=r"node1: no interface carries 198\.18\.7\.7"):
        read_link(make_pair(client={"address": "198.18.7.7"}).client)


def test_not_installed(make_pair):
    with pytest.raises(ToolProblem, match="node1: ip is not installed there"):
        read_link(make_pair(client={"path": "/nowhere"}).client)
