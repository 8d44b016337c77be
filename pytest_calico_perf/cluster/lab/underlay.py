"""What a virtual switch or a cloud does against spoofed addresses, at the fabric's ports; for `nft`.

Anti-spoofing binds addresses to a port, and drops what comes in from the machine behind it with any other
source: OpenStack's port security without `allowed-address-pairs`, NSX's SpoofGuard, GCP without
`canIpForward`. A pod's packet that travels bare has the pod's address for its source, so it ends there; in a
tunnel it has the node's.
"""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.topology import Topology

COMMAND = ("nft", "--file", "-")


def rules(topology: Topology) -> str:
    """The fabric's source check; empty where no port has one."""
    checks = "".join(
        f'        iifname "{node.name}" ip saddr != {node.address} counter drop\n'
        for node in topology.nodes
        if node.name in topology.source_checked
    )
    if not checks:
        return ""
    return f"""\
table bridge underlay {{
    chain source-check {{
        type filter hook prerouting priority filter
{checks}    }}
}}
"""
