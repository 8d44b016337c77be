"""BGP sessions out of what BIRD prints for `show protocols all`: 1.6 (Calico's fork), 2 and 3. Pure.

Source: BIRD's nest/proto.c (`proto_cmd_show`) and proto/bgp/bgp.c (`bgp_show_proto_info`): a protocol's own
line is not indented and has the columns name, protocol, table, state, since, info; what follows it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pytest_calico_perf.cluster.inspection import SessionState
from pytest_calico_perf.parsing import one_line

SHOW_SESSIONS = ("show", "protocols", "all")
"""What BIRD is to be asked."""

_ESTABLISHED = "Established"
# `timeformat protocol` makes the column `since` a time, a date, or both.
_LINE = re.compile(
    r"(?P<name>\S+)[ \t]+(?P<kind>\S+)[ \t]+(?P<table>\S+)[ \t]+(?P<up>up|down|start|stop|flush)[ \t]+"
    r"(?:\d{4}-\d\d-\d\d(?:[ \t]+\d\d:\d\d:\d\d[\d.]*)?|\d\d:\d\d:\d\d[\d.]*)(?:[ \t]+(?P<info>.*))?",
    re.ASCII,
)
_NEIGHBOR = re.compile(r"[ \t]+Neighbor address:[ \t]*([0-9A-Fa-f:.]{2,45})", re.ASCII)
_LAST_ERROR = re.compile(r"[ \t]+Last error:[ \t]*(\S.*)", re.ASCII)
# Calico names a session by the peer's address: Mesh_10_0_0_12 (node/pkg/health/bird/bird.go, bgpPeerRegex).
_CALICOS_NAME = re.compile(r"(?:Global|Node|Mesh)_(\d{1,3})_(\d{1,3})_(\d{1,3})_(\d{1,3})", re.ASCII)
_LONGEST = 200


def read_sessions(text: str, node_of: Mapping[str, str]) -> tuple[SessionState, ...]:
    """The IPv4 sessions BIRD is configured for, in its order.

    Args:
        text: What `show protocols all` printed. Lines that are no protocol's are passed over.
        node_of: Address -> name of the node that has it.
    """
    return tuple(
        replace(session, peer_node=node_of.get(session.peer, ""))
        for session in _sessions(text)
        if session.peer and ":" not in session.peer
    )


def _sessions(text: str) -> Iterator[SessionState]:
    session: SessionState | None = None
    for line in text.splitlines():
        if found := _LINE.fullmatch(line.rstrip()):
            if session:
                yield session
            session = _session(found) if found["kind"] == "BGP" else None
        elif session is None:
            continue
        elif neighbor := _NEIGHBOR.match(line):
            session = replace(session, peer=neighbor[1])
        elif (error := _LAST_ERROR.match(line)) and not session.established and not session.info:
            session = replace(session, info=one_line(error[1], _LONGEST))
    if session:
        yield session


def _session(found: re.Match[str]) -> SessionState:
    """Of its own line: the column `info` holds BGP's state, and behind it what went wrong last."""
    state, _, info = (found["info"] or "").strip().partition(" ")
    named = _CALICOS_NAME.fullmatch(found["name"])
    return SessionState(
        peer=".".join(named.groups()) if named else "",
        peer_node="",
        established=found["up"] == "up" and state == _ESTABLISHED,
        state=one_line(state, _LONGEST) or found["up"],
        info=one_line(info, _LONGEST),
    )
