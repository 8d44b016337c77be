"""What iproute2 and /proc print, recorded in the lab (iproute2 6.1, Linux 6.18), and whatever else they might."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_calico_perf.diagnosis import kernel
from pytest_calico_perf.errors import ToolProblem

ADDR = json.dumps(
    [
        {},
        {
            "ifindex": 2, "link_index": 8, "ifname": "eth0", "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
            "mtu": 1480, "operstate": "UP", "address": "02:75:35:88:90:f4", "link_netnsid": 0,
            "linkinfo": {"info_kind": "veth"},
            "addr_info": [{"family": "inet", "local": "198.19.4.1", "prefixlen": 32, "scope": "global"}],
        },
        {
            "ifindex": 5, "ifname": "vxlan.calico", "flags": ["BROADCAST", "MULTICAST"], "mtu": 1450,
            "operstate": "DOWN", "address": "66:f9:37:c3:7e:94",
            "linkinfo": {
                "info_kind": "vxlan",
                "info_data": {"id": 4096, "local": "198.18.0.2", "link": "eth0", "port": 4789, "learning": False},
            },
            "addr_info": [],
        },
        {
            "ifindex": 6, "ifname": "eth1", "flags": ["NO-CARRIER", "BROADCAST", "UP"], "mtu": 1500,
            "operstate": "DOWN", "address": "02:75:35:88:90:f5", "addr_info": [],
        },
    ]
)  # fmt: skip
ROUTES = json.dumps(
    [
        {"dst": "default", "gateway": "198.18.0.1", "dev": "eth0", "flags": []},
        {"type": "blackhole", "dst": "198.19.4.0/26", "protocol": "bird", "flags": []},
        {"dst": "198.19.4.1", "dev": "cali75358890f44", "protocol": "80", "scope": "link", "flags": []},
        {
            "dst": "198.19.4.64/26", "gateway": "198.18.0.3", "dev": "tunl0", "protocol": "bird", "metric": 1024,
            "flags": ["onlink"],
        },
        {"type": "local", "dst": "198.19.4.0", "dev": "tunl0", "table": "local", "protocol": "kernel"},
        {"dst": "198.19.4.64/26", "gateway": "198.18.0.9", "dev": "eth0", "table": "100"},
    ]
)  # fmt: skip
NEIGHBOURS = json.dumps(
    [
        {"dst": "198.19.12.64", "dev": "vxlan.calico", "lladdr": "66:2d:bf:44:a6:8b", "state": ["PERMANENT"]},
        {"dst": "198.18.0.3", "dev": "eth0", "state": ["FAILED"]},
    ]
)
FDB = json.dumps(
    [
        {"mac": "66:2d:bf:44:a6:8b", "dst": "198.18.0.3", "flags": ["self"], "state": "permanent"},
        {"mac": "33:33:00:00:00:01", "ifname": "eth0", "flags": ["self"], "state": "permanent"},
    ]
)
COUNTERS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  eth0:    4010      41    0    0    0     0          0         0     3902      39    0    0    0     0       0          0
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams
Ip: 1 64 67 0 0 36
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens InCsumErrors
Tcp: 1 200 120000 -1 0 7
TcpExt: SyncookiesSent IPReversePathFilter TCPTimeWaitOverflow
TcpExt: 0 25 0
"""


def test_devices():
    found = kernel.devices(ADDR)
    assert set(found) == {"eth0", "vxlan.calico", "eth1"}
    eth0, vxlan, eth1 = found["eth0"], found["vxlan.calico"], found["eth1"]
    assert (eth0.up, eth0.mtu, eth0.addresses, eth0.peer_index) == (True, 1480, ("198.19.4.1",), 8)
    assert (vxlan.up, vxlan.admin_up, vxlan.kind, vxlan.vni, vxlan.port) == (
        False,
        False,
        "vxlan",
        4096,
        4789,
    )
    assert (eth1.up, eth1.admin_up) == (False, True), "a device without carrier was set up and is not up"


def test_routes_of_the_kernel_itself_are_left_out():
    found = kernel.routes(ROUTES)
    assert [str(route) for route in found] == [
        "default via 198.18.0.1 dev eth0",
        "blackhole 198.19.4.0/26 proto bird",
        "198.19.4.1 dev cali75358890f44 proto 80",
        "198.19.4.64/26 via 198.18.0.3 dev tunl0 proto bird",
        "198.19.4.64/26 via 198.18.0.9 dev eth0",
    ]
    assert [route.refuses for route in found] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("address", "best"),
    [
        ("198.19.4.1", "198.19.4.1 dev cali75358890f44 proto 80"),
        ("198.19.4.2", "blackhole 198.19.4.0/26 proto bird"),
        ("198.19.4.65", "198.19.4.64/26 via 198.18.0.3 dev tunl0 proto bird"),
        ("198.19.9.9", "default via 198.18.0.1 dev eth0"),
    ],
)
def test_the_longest_prefix_of_the_main_table_comes_first(address, best):
    assert str(kernel.matching(kernel.routes(ROUTES), address)[0]) == best


def test_neighbours_and_forwarding_entries():
    known, dead = kernel.neighbours(NEIGHBOURS)
    assert (known.mac, known.dead) == ("66:2d:bf:44:a6:8b", False)
    assert (dead.mac, dead.dead) == ("", True)
    assert kernel.forwarding(FDB) == {"66:2d:bf:44:a6:8b": "198.18.0.3"}


def test_counters_by_name():
    found = kernel.counters(COUNTERS)
    assert (found["eth0.rx"], found["eth0.tx"]) == (41, 39)
    assert (found["Ip.ForwDatagrams"], found["TcpExt.IPReversePathFilter"]) == (36, 25)
    assert found["Tcp.InCsumErrors"] == 7


def test_no_counter_at_all_is_no_answer():
    with pytest.raises(ToolProblem):
        kernel.counters("cat: /proc/net/dev: No such file or directory")


def test_sysctls_by_name():
    text = "/proc/sys/net/ipv4/ip_forward:1\n/proc/sys/net/ipv4/conf/all/rp_filter:0\ngrep: nonsense\n"
    assert kernel.sysctls(text) == {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["default", "1.2.3.4", "eth0"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["dst", "dev", "ifname", "ifindex", "mtu", "flags", "state", "mac", "addr_info", "linkinfo", "via", "type"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(document=JSON)
def test_whatever_json_is_printed_it_is_read_or_refused(document):
    for read in (kernel.devices, kernel.routes, kernel.neighbours, kernel.forwarding):
        for text in (json.dumps(document), json.dumps([document]), str(document)):
            try:
                read(text)
            except ToolProblem:
                continue


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="abIp:. \n0123456789-", max_size=200))
def test_whatever_text_is_printed_it_is_read_or_refused(text):
    kernel.sysctls(text)
    with suppress(ToolProblem):
        assert all(isinstance(count, int) for count in kernel.counters(text).values())
