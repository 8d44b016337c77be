"""tunl0: the kernel's ipip device where there is one, else a veth with the programs of `ipip.c`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import DEVICE, OVERHEAD, UPLINK
from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unsupported
from pytest_calico_perf.model import Encapsulation
from pytest_calico_perf.parsing import blaming, json_objects, lookup, whole

OBJECT = Path(__file__).with_name("ipip.o")
"""The compiled `ipip.c`; `tests/lab/test_ipip_object.py` says how to build it and that it is the source's."""

_DEVICE = DEVICE[Encapsulation.IPIP]
_FAR_END = f"{_DEVICE}-end"
_LIMIT = 10.0


class IpipTunnel(Protocol):
    """A way to make and to read tunl0."""

    @property
    def kind(self) -> str:
        """For reports: `kernel` or `tc-bpf`."""

    def prepare(self, sandbox: Sandbox, node: str) -> None:
        """Do what must be done in a node before `links`.

        Raises:
            ClusterProblem: It cannot be done there.
        """

    def links(self, mtu: int) -> str:
        """`ip` lines that make the device, without address; `mtu` is the uplink's, in bytes."""

    def filters(self) -> str:
        """`tc` lines that make it carry packets; empty if it does so anyway."""

    def packets_sent(self, sandbox: Sandbox, node: str) -> int:
        """Packets it has sent since it came up.

        Raises:
            ToolProblem: The counter cannot be read.
        """


class KernelIpip:
    """The kernel's own device, without a fixed remote: the route's gateway is the far end, as in Calico."""

    kind = "kernel"

    def prepare(self, sandbox: Sandbox, node: str) -> None:
        # Not a line of the batch: where loading the module made tunl0 in every namespace, adding it fails.
        if not _kernel_device(sandbox, node):
            raise ClusterProblem(
                "the kernel makes an ipip device in one namespace and not in another", where=node
            )

    def links(self, mtu: int) -> str:
        return f"link set {_DEVICE} mtu {mtu - OVERHEAD[Encapsulation.IPIP]}\n"

    def filters(self) -> str:
        return ""

    def packets_sent(self, sandbox: Sandbox, node: str) -> int:
        return device_packets(sandbox, node, _DEVICE)


class TcBpfIpip:
    """A veth whose packets a tc program wraps and sends off; another program unwraps at the uplink.

    Needs the first user namespace, for which eBPF is reserved.

    Args:
        counting: Whether the device itself is to count what it sends, as a real one does, for whoever reads
            `ip -s link`. Packets then pass the veth before they are wrapped; else none reaches its far end,
            which is faster.
    """

    kind = "tc-bpf"

    def __init__(self, *, counting: bool = False) -> None:
        self._counting = counting

    def prepare(self, sandbox: Sandbox, node: str) -> None:
        pass

    def links(self, mtu: int) -> str:
        mtu -= OVERHEAD[Encapsulation.IPIP]
        return (
            f"link add {_DEVICE} mtu {mtu} type veth peer name {_FAR_END} mtu {mtu}\n"
            f"link set {_FAR_END} arp off up\n"
            f"link set {_DEVICE} arp off\n"
        )

    def filters(self) -> str:
        return self.attach(UPLINK)

    def attach(self, uplink: str) -> str:
        """`tc` lines that attach the programs, with the one that unwraps at `uplink`."""
        program = f"bpf direct-action object-file {OBJECT} section"
        device, hook = (_FAR_END, "ingress") if self._counting else (_DEVICE, "egress")
        wrapping = "ipip/encap-counted" if self._counting else "ipip/encap"
        return (
            f"qdisc add dev {device} clsact\n"
            f"filter add dev {device} {hook} {program} {wrapping}\n"
            f"qdisc add dev {uplink} clsact\n"
            f"filter add dev {uplink} ingress {program} ipip/decap\n"
        )

    def packets_sent(self, sandbox: Sandbox, node: str) -> int:
        if self._counting:
            return device_packets(sandbox, node, _DEVICE)
        # The program takes packets before the device counts them; clsact counts what it is shown, and
        # nothing ever comes in at tunl0.
        argv = ["tc", "-s", "-j", "qdisc", "show", "dev", _DEVICE]
        result = sandbox.run(node, argv, limit=_LIMIT).check()
        with blaming(node):
            for qdisc in json_objects(result.stdout, "tc"):
                if qdisc.get("kind") == "clsact":
                    return whole(qdisc.get("packets"), f"tc's counter of {_DEVICE}")
            raise ToolProblem(f"tc shows no clsact at {_DEVICE}, which counts what it sends")


def device_packets(sandbox: Sandbox, node: str, device: str) -> int:
    """Packets a device has sent since it came up.

    Raises:
        ToolProblem: The counter cannot be read.
    """
    result = sandbox.run(node, ["ip", "-s", "-j", "link", "show", "dev", device], limit=_LIMIT).check()
    with blaming(node):
        for link in json_objects(result.stdout, "ip"):
            return whole(lookup(link, "stats64", "tx", "packets"), f"ip's counter of {device}")
        raise ToolProblem(f"ip shows no {device}")


def _kernel_device(sandbox: Sandbox, namespace: str) -> bool:
    """Whether a namespace has a tunl0 of the kernel's ipip, which is made if that can be."""
    # Fails where loading the module just made one; only what is there then counts.
    sandbox.run(namespace, ["ip", "link", "add", _DEVICE, "type", "ipip"], limit=_LIMIT)
    shown = sandbox.run(namespace, ["ip", "-d", "-j", "link", "show", "dev", _DEVICE], limit=_LIMIT)
    if shown.exit_code != 0:
        return False
    links = json_objects(shown.stdout, "ip")
    return any(lookup(link, "linkinfo", "info_kind") == "ipip" for link in links)


def choose(sandbox: Sandbox, namespace: str, *, counting: bool = False) -> IpipTunnel:
    """Find a way that works here, by trying it in a namespace that has no tunl0 of its own to lose.

    Args:
        sandbox: Where.
        namespace: The namespace to try it in.
        counting: Whether `ip -s link` must tell what tunl0 sent; see `TcBpfIpip`.

    Raises:
        Unsupported: There is none; the message says why.
    """
    if _kernel_device(sandbox, namespace):
        return KernelIpip()
    reason = "the kernel has no ipip device (CONFIG_NET_IPIP), "
    if not sandbox.privileged:
        raise Unsupported(
            f"{reason}and its substitute is eBPF, which a user namespace may not load",
            remedy="run as root, or on a kernel with ipip",
        )
    if sys.byteorder != "little":
        raise Unsupported(f"{reason}and its substitute is compiled for little-endian machines")
    tunnel = TcBpfIpip(counting=counting)
    steps = (
        (["ip", "-batch", "-"], tunnel.links(1500)),
        (["tc", "-batch", "-"], tunnel.attach(_DEVICE if counting else _FAR_END)),
    )
    try:
        for argv, text in steps:
            sandbox.run(namespace, argv, limit=_LIMIT, stdin=text).check()
    except ToolProblem as problem:
        raise Unsupported(
            f"{reason}and its substitute cannot be loaded: {problem.what}",
            remedy="it needs kernel 6.7 or later with CONFIG_NET_CLS_BPF, and a tc built with libbpf",
        ) from None
    finally:
        sandbox.run(namespace, ["ip", "link", "delete", _DEVICE], limit=_LIMIT)
    return tunnel
