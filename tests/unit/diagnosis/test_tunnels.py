"""Tunnels and VXLAN's entries as both nodes show them: what is named, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_calico_perf.diagnosis.kernel import Neighbour
from tests.unit.diagnosis.scenes import (
    ENDS,
    MACS,
    NODES,
    looking,
    node_devices,
    scene,
    seen,
    way,
)
from tests.unit.diagnosis.still import down, examine, keys


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_a_tunnel_that_is_down_explains_its_missing_routes(node):
    found = scene()
    gone = seen(way("default", "198.18.0.1"))
    devices = seen(down(node_devices(node), "vxlan.calico"))
    if node == "node1":
        found = replace(found, client=looking(found.client, devices=devices, to_end=gone))
    else:
        found = replace(found, server=looking(found.server, devices=devices, to_end=gone))
    notes = examine(found)
    assert keys(notes) == ["tunnel-device-down"]
    assert node in notes.findings[0].broken


def test_a_tunnel_without_address():
    found = scene()
    devices = node_devices("node1")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], addresses=())
    gone = seen(way("default", "198.18.0.1"))
    client = looking(found.client, devices=seen(devices), to_end=gone)
    assert keys(examine(replace(found, client=client))) == ["tunnel-address-missing"]


@pytest.mark.parametrize("change", [{"port": 8472}, {"vni": 1}])
def test_vxlan_ends_that_do_not_fit(change):
    found = scene()
    devices = node_devices("node2")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], **change)
    notes = examine(replace(found, server=looking(found.server, devices=seen(devices))))
    assert keys(notes) == ["vxlan-parameters-differ"]


STRANGER = "02:00:00:00:00:99"
END = ENDS["node2"]


@pytest.mark.parametrize(
    ("entries", "forwarding", "key"),
    [
        ((), {MACS["node2"]: NODES["node2"]}, "vxlan-entry-missing"),
        (
            (Neighbour(END, "vxlan.calico", "", "FAILED"),),
            {MACS["node2"]: NODES["node2"]},
            "vxlan-entry-missing",
        ),
        ((Neighbour(END, "vxlan.calico", MACS["node2"], "PERMANENT"),), {}, "vxlan-entry-missing"),
        (
            (Neighbour(END, "vxlan.calico", STRANGER, "PERMANENT"),),
            {STRANGER: NODES["node2"]},
            "vxlan-wrong-mac",
        ),
        ((Neighbour(END, "vxlan.calico", STRANGER, "PERMANENT"),), {}, "vxlan-wrong-mac"),
        (
            (Neighbour(END, "vxlan.calico", MACS["node2"], "PERMANENT"),),
            {MACS["node2"]: "198.18.0.4"},
            "vxlan-wrong-mac",
        ),
    ],
)
def test_entries_of_vxlan(entries, forwarding, key):
    found = scene()
    client = looking(found.client, neighbours=seen(entries), forwarding=seen(forwarding))
    assert keys(examine(replace(found, client=client))) == [key]


def test_where_ebpf_tells_vxlan_where_to_send_there_are_no_entries():
    found = scene()
    devices = node_devices("node1")
    devices["vxlan.calico"] = replace(devices["vxlan.calico"], by_flow=True)
    client = looking(found.client, neighbours=seen(()), forwarding=seen({}), devices=seen(devices))
    assert keys(examine(replace(found, client=client))) == []
