"""What a UDP run said, whichever tool ran it: `iperf3_report` and `iperf_report` read their tool into it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UdpReport:
    """What the client of a UDP run said, what its server told it included.

    Attributes:
        version: The client's; None where it does not tell (iperf 2).
        seconds: Time the client sent.
        offered: bit/s it sent, payload.
        received: bit/s that arrived, payload.
        packets: Datagrams the server knows of, lost ones included.
        loss: Fraction of these that did not arrive, 0..1.
        jitter: RFC 3550's smoothed interarrival jitter, in seconds.
        out_of_order: Datagrams that came after a later one; None where the tool does not tell.
        payload: Bytes in a datagram.
        cpu_client: CPU time of the client over the run, 1.0 is one core; None where the tool does not tell.
        cpu_server: The server's.
    """

    version: str | None
    seconds: float
    offered: float
    received: float
    packets: int
    loss: float
    jitter: float
    out_of_order: int | None
    payload: int
    cpu_client: float | None = None
    cpu_server: float | None = None
