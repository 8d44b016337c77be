"""Faults of servers, pods and nodes, and of what nodes know of each other."""

from __future__ import annotations

from pytest_calico_perf.diagnosis.finding import Fault, Link

OF_NODES = (
    # -- the server --------------------------------------------------------------------------------
    Fault(
        "server-not-listening",
        Link.SERVER,
        "Nobody listens at the server",
        "the server answers pings and refuses TCP, and `ss` there shows no listening socket",
        "The network carried the question and the refusal. This is no network fault.",
        "start the server, or ask for the port and the address it listens at",
    ),
    # -- the pods ----------------------------------------------------------------------------------
    Fault(
        "pod-link-down",
        Link.POD,
        "A pod's link is down",
        "eth0 in the pod or the cali device on its node is missing or not UP",
        "Nothing enters or leaves the pod, not even from its own node.",
        "set the link up, or delete the pod so that the CNI plugin wires it anew",
    ),
    Fault(
        "pod-without-address",
        Link.POD,
        "A pod lacks its address",
        "eth0 in the pod does not have the address that Kubernetes and Calico know",
        "The pod drops what is sent to it, since it is for somebody else.",
        "delete the pod so that the CNI plugin wires it anew",
    ),
    Fault(
        "pod-without-route",
        Link.POD,
        "A pod has no way out",
        "the pod has no route to the other end: no default route via 169.254.1.1",
        "Packets reach the pod, and it has no way to answer.",
        "delete the pod so that the CNI plugin wires it anew; see whether something in it changes routes",
    ),
    Fault(
        "pod-gateway-silent",
        Link.POD,
        "Nobody answers for the pod's gateway",
        "the pod's neighbour entry of 169.254.1.1 failed: its node answers no ARP on the cali device",
        "The gateway exists nowhere: the node answers for it by proxy ARP, which is switched off.",
        "set net.ipv4.conf.<cali device>.proxy_arp to 1, as Felix does; see what resets sysctls on the node",
    ),
    Fault(
        "pod-route-missing-on-node",
        Link.POD,
        "A node does not know the way to its own pod",
        "the pod's node has no /32 route to the pod's cali device, so that its block's blackhole takes"
        " the packets",
        "Packets reach the right node and end there.",
        "see whether Felix runs there and knows the pod; restart calico-node, or delete the pod",
    ),
    # -- the underlay ------------------------------------------------------------------------------
    Fault(
        "duplicate-node-address",
        Link.UNDERLAY,
        "Two nodes have one address",
        "a second node has the address, or a neighbour entry for it leads to another node's network card",
        "Who gets the packets depends on who answered ARP last.",
        "give each node an address of its own; see IP_AUTODETECTION_METHOD where Calico chose the wrong"
        " interface",
    ),
    Fault(
        "next-hop-unresolved",
        Link.UNDERLAY,
        "Nobody answers for the router between the nodes",
        "a node's neighbour entry of the gateway by which it reaches the other node is FAILED or INCOMPLETE",
        "The node does not know where on its link the router is, and so reaches no other subnet.",
        "see whether the route's gateway is the router's address; look at cable, VLAN and switch port",
    ),
    Fault(
        "underlay-down",
        Link.UNDERLAY,
        "The nodes do not reach each other",
        "one node gets no answer from the other, neither to pings nor to TCP",
        "Whatever Calico does rests on this. Nothing else can work before it does.",
        "make the nodes reach each other: cabling, VLAN, addresses, the firewall between them",
    ),
    # -- next hop and tunnel -----------------------------------------------------------------------
    Fault(
        "vxlan-entry-missing",
        Link.NEXT_HOP,
        "An entry for the other node's VXLAN end is missing",
        "vxlan.calico has no neighbour entry for the route's gateway, or no forwarding entry for its"
        " hardware address",
        "The node does not know in which hardware address, or to which node, to wrap packets. Nothing is"
        " learned there.",
        "restart calico-node on that node: Felix writes these entries",
        "those that do not wrap in VXLAN",
    ),
    Fault(
        "vxlan-wrong-mac",
        Link.NEXT_HOP,
        "An entry for the other node's VXLAN end is wrong",
        "the hardware address or node in vxlan.calico's entries is not that of the other node's vxlan.calico",
        "The other node unwraps the packets and drops them, since the frame inside is for somebody else.",
        "restart calico-node on that node; see whether two nodes have one name, from which the address"
        " is derived",
        "those that do not wrap in VXLAN",
    ),
    Fault(
        "tunnel-device-down",
        Link.TUNNEL,
        "A tunnel device is down",
        "tunl0 or vxlan.calico is missing on a node or not UP; the kernel then drops its routes, too",
        "Nothing is wrapped, or nothing unwrapped, on that node.",
        "set it up; see whether NetworkManager or systemd-networkd manages it, which Calico asks to exclude",
        "those that do not use that tunnel",
    ),
    Fault(
        "tunnel-address-missing",
        Link.TUNNEL,
        "A tunnel device has no address",
        "tunl0 or vxlan.calico on a node lacks the address that Calico gave the node",
        "Felix leaves a tunnel without address unconfigured, and hosts have no source address for it.",
        "see whether an enabled pool of that encapsulation selects the node and allows Tunnel in allowedUses",
        "those that do not use that tunnel",
    ),
    Fault(
        "vxlan-parameters-differ",
        Link.TUNNEL,
        "The two VXLAN ends do not fit",
        "port or VNI of vxlan.calico differs between the nodes",
        "The other node has no device for what it is sent.",
        "make vxlanPort and vxlanVNI of all FelixConfigurations agree",
        "those that do not wrap in VXLAN",
    ),
)
