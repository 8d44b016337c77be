"""The evidence of a cell as reports and records have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_calico_perf.evidence.line import line
from pytest_calico_perf.evidence.look import Evidence
from pytest_calico_perf.evidence.own_run import OwnRun
from pytest_calico_perf.model import Encapsulation


def document(
    look: Evidence,
    after: Evidence | None = None,
    *,
    own: OwnRun | None = None,
    path_mtu: int | None = None,
    mss: int | None = None,
) -> dict[str, Any]:
    """A look at a path, JSON-able; with a later one it shows both moments.

    Args:
        look: The look before measuring.
        after: The later look.
        own: What tunnels counted around one run of its own: the counters that are then shown.
        path_mtu: Largest packet that got through unfragmented, in bytes.
        mss: Of the measured connection, in bytes.
    """
    client, server = look.client, look.server
    underlay = {
        way: side.underlay.to_json()
        for way, side in (("forward", client), ("backward", server))
        if side.underlay
    }
    shown = {
        "line": line(look, own, path_mtu=path_mtu, mss=mss),
        "client": client.to_json(),
        "server": server.to_json(),
        "expected_encapsulation": _word(look.expected),
        "expected_back": _word(look.expected_back),
        "forward": look.forward.to_json(),
        "backward": look.backward.to_json(),
        "underlay": underlay or None,
        "after": {"forward": after.forward.to_json(), "backward": after.backward.to_json()}
        if after
        else None,
        "tunnel_packets": _counters(
            own.before.client if own else client.tunnel_packets, own.after.client if own else None
        ),
        "tunnel_packets_server": _counters(
            own.before.server if own else server.tunnel_packets, own.after.server if own else None
        ),
        "path_mtu": path_mtu,
        "data_plane": look.ground.data_plane,
    }
    return shown if mss is None else {**shown, "mss": mss}


def _word(encapsulation: Encapsulation | None) -> str | None:
    return None if encapsulation is None else str(encapsulation)


def _counters(
    before: Mapping[Encapsulation, int], after: Mapping[Encapsulation, int] | None
) -> dict[str, dict[str, int | None]]:
    return {
        str(tunnel): {"before": sent, "after": None if after is None else after.get(tunnel)}
        for tunnel, sent in before.items()
    }
