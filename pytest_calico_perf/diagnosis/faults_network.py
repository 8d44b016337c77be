"""Faults that only traffic shows: the network between the nodes, filters, MTU and offload."""

from __future__ import annotations

from pytest_calico_perf.diagnosis.finding import Fault, Link

_WRAPPING = "ipip and vxlan: between nodes they carry node addresses only"

OF_TRAFFIC = (
    # -- the fabric --------------------------------------------------------------------------------
    Fault(
        "router-without-pod-routes",
        Link.FABRIC,
        "The router between the nodes knows no pods",
        "the nodes are in two subnets; unencapsulated packets with pod addresses leave one node for the"
        " router and never"
        " reach the other, while the nodes themselves reach each other",
        "This mode leaves pod addresses visible, and the network between the subnets has no routes to"
        " them. It is how this"
        " network is built, not a limit of the mode.",
        "let the routers learn pod routes (BGP peering with the nodes), or use a mode that wraps across"
        " subnets",
        "ipip, vxlan and both cross-subnet modes: across subnets they carry node addresses only",
    ),
    Fault(
        "pod-addresses-dropped",
        Link.FABRIC,
        "The network drops packets with pod addresses",
        "packets with pod addresses leave each node and never reach the other, while the nodes reach"
        " each other",
        "The network between the nodes checks addresses: source/destination check (AWS), canIpForward"
        " (GCP), port security (OpenStack).",
        "switch that check off for the nodes or allow the pods' range there, or use a mode that wraps"
        " pod addresses",
        _WRAPPING,
    ),
    Fault(
        "pod-addresses-dropped-one-way",
        Link.FABRIC,
        "The network drops packets with pod addresses in one direction",
        "packets with pod addresses get through from one node to the other but not back",
        "Probably the check of addresses is on at one of the two nodes' ports only.",
        "compare the two nodes' ports in the cloud or switch: source/destination check, allowed address"
        " pairs",
        _WRAPPING,
    ),
    Fault(
        "ipip-dropped",
        Link.FABRIC,
        "IP protocol 4 is dropped",
        "packets wrapped in IPIP leave one node and never come out of the other's tunnel, while the"
        " nodes reach each other",
        "A firewall or cloud between the nodes (Azure does so always), or the node's own, knows TCP, UDP"
        " and ICMP only.",
        "let IP protocol 4 pass between all nodes; where the cloud never does, use vxlan",
        "vxlan; bgp where the nodes share a subnet",
    ),
    Fault(
        "vxlan-dropped",
        Link.FABRIC,
        "UDP 4789 is dropped",
        "packets wrapped in VXLAN leave one node and never come out of the other's tunnel, while the"
        " nodes reach each other",
        "A firewall between the nodes or on one of them, or another user of that port, takes them.",
        "let the VXLAN port (UDP 4789 unless vxlanPort says otherwise) pass between all nodes",
        "ipip; bgp where the nodes share a subnet",
    ),
    Fault(
        "fabric-drops-unknown",
        Link.FABRIC,
        "Packets are lost between the nodes",
        "packets leave one node and never reach the other, though such packets as a rule do",
        "Something between the nodes drops them by a rule that could not be told from here.",
        "capture on both nodes' uplinks, and look at the network between them",
    ),
    # -- filters -----------------------------------------------------------------------------------
    Fault(
        "forwarding-off",
        Link.FILTER,
        "A node does not forward",
        "net.ipv4.ip_forward, or forwarding of the device packets come in by, is 0 on a node with a pod"
        " of this path, or on one whose tunnel swallows what the node itself sends",
        "The node drops every packet that is not for itself, so its pods are cut off.",
        "set net.ipv4.ip_forward to 1, in /etc/sysctl.d, too; see what resets it",
    ),
    Fault(
        "reverse-path-filter",
        Link.FILTER,
        "Strict reverse-path filtering drops packets that come by another way than answers leave",
        "rp_filter is 1 on the device they come in by, and IPReversePathFilter grows with our packets",
        "The node would answer by another device than the packets came in by, and so takes their source"
        " for forged.",
        "make the routes of both nodes symmetric, or set rp_filter to 2 (loose) or 0 on that device and"
        " for all",
    ),
    Fault(
        "icmp-dropped",
        Link.FILTER,
        "ICMP is dropped, TCP is not",
        "pings get no answer while a TCP connection carries payload on the same path",
        "A policy or firewall lets TCP pass only. The path is alive; tools that ping first think it is"
        " dead, and path MTU"
        " discovery may suffer.",
        "allow ICMP in the policy, at least echo and `fragmentation needed`",
    ),
    Fault(
        "tcp-dropped",
        Link.FILTER,
        "TCP is dropped, ICMP is not",
        "pings of every size pass while TCP gets no connection, though a server listens and answers its"
        " own node",
        "A policy or firewall lets ICMP pass only, or not this port.",
        "allow TCP in the policy or firewall that drops it",
    ),
    Fault(
        "policy-drops-everything",
        Link.FILTER,
        "A policy or firewall on a node drops everything of this path",
        "packets of every kind enter a node and do not leave it, though it has a route and forwards",
        "A NetworkPolicy, host endpoint or a firewall rule of the node forbids this path.",
        "look at the policies that apply to the pod, and at the drop rules of that node whose counters grow",
    ),
    Fault(
        "service-without-rules",
        Link.FILTER,
        "The ClusterIP leads nowhere",
        "TCP to the pod itself works and to the ClusterIP in front of it does not",
        "The client's node does not translate the ClusterIP: kube-proxy (or its replacement) has no rule"
        " for it there.",
        "look at kube-proxy on the client's node, and at the Service's EndpointSlices",
    ),
    # -- MTU and offload ---------------------------------------------------------------------------
    Fault(
        "mtu-black-hole",
        Link.MTU,
        "Large packets vanish",
        "small pings pass, and those of full size that must not be fragmented are lost without a word",
        "Something on the way takes smaller packets than the pods' MTU and says so to nobody."
        " Connections open and hang.",
        "lower the pods' MTU (or raise that of the network: IPIP takes 20 bytes of it, VXLAN 50), and"
        " let ICMP"
        " `fragmentation needed` pass",
    ),
    Fault(
        "checksum-offload",
        Link.OFFLOAD,
        "TCP arrives with wrong checksums",
        "pings pass, TCP does not, and InCsumErrors of the receiver grows",
        "A network card or driver was asked to fill in checksums of wrapped packets and does not"
        " (calico issues 4727 and 9433).",
        "ethtool -K <tunnel or uplink> tx-checksum-ip-generic off on both nodes; or Felix's"
        " featureDetectOverride: ChecksumOffloadBroken=true",
    ),
    Fault(
        "tcp-payload-lost",
        Link.OFFLOAD,
        "TCP connects and carries no payload",
        "pings of every size pass and TCP connects, but its payload does not arrive, and no checksum is"
        " wrong",
        "Merged segments (TSO, GRO) are lost, or a middlebox between the nodes drops what is inside the"
        " connection.",
        "try `ethtool -K <tunnel or uplink> tso off gso off gro off` on both nodes, one after the other",
    ),
)
