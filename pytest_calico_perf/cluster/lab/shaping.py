"""How fast links are, and whether segments may stay merged: text for `tc -batch`, argv of ethtool."""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.topology import DEVICE, UPLINK, Node, Topology

_BURST_SECONDS = 0.020
_QUEUE_SECONDS = 0.050
_LEAST_BURST = 4 * 65536  # bytes; what is merged and larger than the burst would be taken apart by TBF


def link_rate(bits_per_second: int) -> str:
    """`tc` lines that shape a node's uplink with a token bucket (tc-tbf(8)).

    TBF counts the Ethernet header but no preamble, checksum or gap, so a full frame of a 1500 byte MTU
    costs 1514 bytes. The burst must outlast the pauses of a busy machine: tokens that come in while
    the bucket is full are lost for good, and then the link is slower than it says.

    Args:
        bits_per_second: Rate of the link, in bit/s.
    """
    burst = max(_LEAST_BURST, round(bits_per_second / 8 * _BURST_SECONDS))
    limit = burst + round(bits_per_second / 8 * _QUEUE_SECONDS)
    return f"qdisc add dev {UPLINK} root tbf rate {bits_per_second}bit burst {burst} limit {limit}\n"


def offload_commands(topology: Topology, node: Node) -> list[tuple[str, list[str]]]:
    """(namespace, argv) of every command that makes a node and its pods send and receive single segments."""
    devices = [UPLINK, *(DEVICE[tunnel] for tunnel in sorted(topology.tunnels))]
    places = [(node.name, device) for device in [*devices, *(pod.veth for pod in node.pods)]]
    places += [(pod.name, "eth0") for pod in node.pods]
    return [
        (namespace, ["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"])
        for namespace, device in places
    ]
