"""What a node itself does to packets: whether it forwards, and which of its rules drop them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.diagnosis.finding import Link
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen, Question
from pytest_calico_perf.diagnosis.notes import At, Notes
from pytest_calico_perf.diagnosis.scene import Scene, Side

_COUNTER = re.compile(r"counter packets (\d{1,18}) bytes \d+")
_SAVED = re.compile(r"^\[(\d{1,18}):\d+\] -A (\S+) (.*)$")
_VERDICTS = re.compile(r"\b(drop|reject|DROP|REJECT)\b")
_SHOWN = 3


@dataclass(frozen=True)
class Rule:
    """A rule that drops.

    Attributes:
        place: Its table and chain.
        text: The rule, without its counter.
        packets: How many it dropped; None where it does not count.
    """

    place: str
    text: str
    packets: int | None


def look(scene: Scene, notes: Notes) -> None:
    """Check that nodes with a pod of the path forward."""
    for side, at in ((scene.client, At.CLIENT_NODE), (scene.server, At.SERVER_NODE)):
        if side.pod is None or scene.alive:
            continue
        sysctls = side.view.sysctls.value
        if sysctls is None or "net/ipv4/ip_forward" not in sysctls:
            notes.unseen(Link.FILTER, side.node, side.view.sysctls.why_not or "ip_forward cannot be read")
            continue
        if sysctls["net/ipv4/ip_forward"] == "0":
            _off(side, "net.ipv4.ip_forward", notes, at)
            continue
        deaf = [name for name in (side.veth, side.uplink) if name and _is_deaf(sysctls, name)]
        if deaf:
            _off(side, f"net.ipv4.conf.{deaf[0]}.forwarding", notes, at)
            continue
        notes.ok(Link.FILTER, side.node, "it forwards")


def _is_deaf(sysctls: dict[str, str], device: str) -> bool:
    return sysctls.get(f"net/ipv4/conf/{device}/forwarding") == "0"


def _off(side: Side, sysctl: str, notes: Notes, at: At, ends: str = "", *facts: str) -> None:
    notes.find(
        "forwarding-off",
        side.node,
        f"{side.node} does not forward: {sysctl} is 0{', and ' if ends else ''}{ends}",
        f"`sysctl {sysctl}` on {side.node}: 0",
        *facts,
        at=at,
        remedy=f"`sysctl -w {sysctl}=1` on {side.node}, and in /etc/sysctl.d; see what resets it",
    )


def swallowing(side: Side, device: str, facts: Sequence[str], notes: Notes, at: At) -> bool:
    """Whether a node does not forward, and so packets end in its tunnel, also those it sent itself.

    The kernel's own tunnels send what they wrapped as the node's (iptunnel_xmit ends in ip_local_out), which
    needs no forwarding. From one that is built otherwise, of a pair of devices and a program, wrapped packets
    come back to the node as somebody's, to be forwarded.
    """
    if (side.view.sysctls.value or {}).get("net/ipv4/ip_forward") != "0":
        return False
    _off(side, "net.ipv4.ip_forward", notes, at, f"packets through its {device} end there", *facts)
    return True


def strictness(side: Side, device: str) -> str:
    """What applies of rp_filter on a device: the greater of its own and that for all (ip-sysctl.rst)."""
    sysctls = side.view.sysctls.value or {}
    values = [sysctls.get(f"net/ipv4/conf/{name}/rp_filter", "") for name in ("all", device)]
    return max((value for value in values if value.isdecimal()), default="")


def dropping(looks: Looks, hosts: Sequence[Endpoint | None], act: Callable[[], int]) -> tuple[str, ...]:
    """Which rules of these places drop what is sent meanwhile, a sentence each; or why nobody can say.

    Args:
        looks: Runs the commands.
        hosts: The nodes, or pods; those that cannot be asked are None.
        act: Sends; the number of packets sent.
    """
    places = [host for host in hosts if host is not None]
    questions = [Question(host.name, partial(_rules, looks, host)) for host in places]
    before = looks.all(questions)
    sent = act()
    facts: list[str] = []
    for host, then, now in zip(places, before, looks.all(questions), strict=True):
        if isinstance(then.value, dict) and isinstance(now.value, dict):
            facts += named(host.name, then.value, now.value, sent)
        else:
            facts.append(f"rules of {host.name} could not be looked at: {then.why_not or now.why_not}")
    return tuple(facts)


def named(node: str, before: dict[str, Rule], after: dict[str, Rule], sent: int) -> tuple[str, ...]:
    """The rules whose counters grew by at least half of what was sent."""
    grown = [
        (rule, rule.packets - (before[key].packets or 0))
        for key, rule in after.items()
        if rule.packets is not None and key in before
    ]
    guilty = [(rule, count) for rule, count in grown if sent and count >= sent / 2]
    return tuple(
        f"{rule.place} of {node} dropped {count} packets meanwhile: {rule.text}"
        for rule, count in guilty[:_SHOWN]
    )


def _rules(looks: Looks, host: Endpoint) -> dict[str, Rule]:
    """The dropping rules of nft, else those of iptables.

    Raises:
        NotSeen: Neither can be asked.
    """
    try:
        return nft_rules(looks.read(host, ["nft", "-a", "list", "ruleset"]))
    except NotSeen as first:
        try:
            return saved_rules(looks.read(host, ["iptables-save", "-c"]))
        except NotSeen:
            raise first from None


def nft_rules(text: str) -> dict[str, Rule]:
    """Dropping rules in `nft -a list ruleset`, by table, chain and handle."""
    found: dict[str, Rule] = {}
    table = chain = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif _VERDICTS.search(line) and "policy" not in words:
            rule, _, handle = line.strip().rpartition(" # handle ")
            counted = _COUNTER.search(rule)
            shown = " ".join(_COUNTER.sub("", rule).split())
            place = f"table {table} chain {chain}"
            packets = int(counted[1]) if counted else None
            found[f"{place} {handle}"] = Rule(place, shown, packets)
    return found


def saved_rules(text: str) -> dict[str, Rule]:
    """Dropping rules in `iptables-save -c`, by table, chain and text."""
    found: dict[str, Rule] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        saved = _SAVED.match(line)
        if saved and _VERDICTS.search(saved[3]):
            place = f"table {table} chain {saved[2]}"
            found[f"{place} {saved[3]}"] = Rule(place, saved[3], int(saved[1]))
    return found
