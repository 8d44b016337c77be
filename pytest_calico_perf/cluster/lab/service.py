"""ClusterIPs: what kube-proxy would program on every node, for `nft`.

One Service per pool, in front of the first pod of the server's node. As kube-proxy's nftables mode does it
(pkg/proxy/nftables/proxier.go): destination NAT for what comes in and for what the node itself sends, never
masqueraded, since client and server are on different nodes.
"""

from __future__ import annotations

from pytest_calico_perf.cluster.lab import requirements
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import Topology
from pytest_calico_perf.errors import Unsupported

COMMAND = ("nft", "--file", "-")
_CHECK = ("nft", "--check", "--file", "-")
_LIMIT = 10.0


def rules(topology: Topology) -> str:
    """The same on every node. All TCP and UDP ports, where kube-proxy has a Service's own: ours vary.

    An echo is for nobody: like kube-proxy's, a ClusterIP is a rule for ports.
    """
    services = ", ".join(f"{service.address} : {service.pod.address}" for service in topology.services)
    dnat = "meta l4proto { tcp, udp } dnat to ip daddr map @service-ips"
    return f"""\
table ip kube-proxy {{
    map service-ips {{
        type ipv4_addr : ipv4_addr
        elements = {{ {services} }}
    }}
    chain nat-prerouting {{
        type nat hook prerouting priority -100
        {dnat}
    }}
    chain nat-output {{
        type nat hook output priority -100
        {dnat}
    }}
}}
"""


def why_not(sandbox: Sandbox, namespace: str, topology: Topology) -> Unsupported | None:
    """Why there can be no ClusterIPs here; None if there can. The kernel is asked, by a dry run."""
    if not topology.services:
        return Unsupported(
            "no addresses are left for ClusterIPs",
            remedy="leave a /24 of 198.18.0.0/16 free in the cluster file",
        )
    checked = sandbox.run(namespace, _CHECK, limit=_LIMIT, stdin=rules(topology))
    if checked.exit_code == 127:
        return Unsupported(
            "ClusterIPs are made with nft, which is not installed", remedy=requirements.install_line(["nft"])
        )
    if checked.exit_code != 0:
        complaint = next((line for line in checked.stderr.splitlines() if line.strip()), checked.last_words)
        return Unsupported(
            f"the kernel takes no rules for ClusterIPs: {complaint.strip()}",
            remedy="it needs nf_tables with NAT (CONFIG_NFT_NAT)",
        )
    return None
