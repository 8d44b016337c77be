"""What ping and iperf3 (3.12) print, recorded, as what came of it."""

from __future__ import annotations

import json

import pytest

from pytest_calico_perf.diagnosis import payload
from pytest_calico_perf.diagnosis.looks import Looks, NotSeen
from pytest_calico_perf.diagnosis.payload import Tcp, judge
from tests.unit.diagnosis.scenes import Silent, Telling

ALIVE = """\
PING 198.19.4.65 (198.19.4.65) 56(84) bytes of data.

--- 198.19.4.65 ping statistics ---
50 packets transmitted, 49 received, 2% packet loss, time 1218ms
rtt min/avg/max/mdev = 0.034/0.050/0.103/0.012 ms
"""
DEAD = """\
PING 198.18.9.9 (198.18.9.9) 56(84) bytes of data.

--- 198.18.9.9 ping statistics ---
5 packets transmitted, 0 received, +3 errors, 100% packet loss, time 95ms
"""


def said(error: str) -> str:
    return json.dumps({"start": {}, "intervals": [], "end": {}, "error": error})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (json.dumps({"end": {"sum_received": {"bytes": 262144}}}), Tcp.WORKS),
        (said("error - unable to connect to server: Connection refused"), Tcp.REFUSED),
        (said("error - unable to connect to server: Connection timed out"), Tcp.NO_CONNECTION),
        (said("error - unable to connect to server: No route to host"), Tcp.NO_CONNECTION),
        (said("error - control socket has closed unexpectedly"), Tcp.NO_PAYLOAD),
        ("Segmentation fault", Tcp.NO_PAYLOAD),
    ],
)
def test_what_iperf3_means(text, result):
    found = judge(text, listens=lambda: True)
    assert found.result is result
    assert found.said


def test_a_refusal_of_a_server_that_does_not_listen_is_not_the_networks():
    text = said("error - unable to connect to server: Connection refused")
    assert judge(text, listens=lambda: False).result is Tcp.NOT_LISTENING
    assert judge(text, listens=lambda: None).result is Tcp.REFUSED


@pytest.mark.parametrize(("text", "counts"), [(ALIVE, (49, 50)), (DEAD, (0, 5))])
def test_pings_are_counted(text, counts):
    source = Telling(says={"ping": (0, text, "")})
    assert payload.ping(Looks(20), source, "198.19.4.65", count=50, interval=0.01) == counts


def test_a_ping_that_finds_no_route_was_not_sent():
    source = Telling(says={"ping": (2, "", "ping: connect: Network is unreachable")})
    assert payload.ping(Looks(20), source, "198.19.4.65", count=50, interval=0.01) == (0, 0)


def test_who_may_not_ping_fast_pings_slowly():
    words = "ping: cannot flood, minimal interval for user must be >= 200 ms, use -i 0.2 (or higher)"
    source = Telling(says={"ping": (2, "", words)})
    with pytest.raises(NotSeen):
        payload.ping(Looks(20), source, "198.19.4.65", count=50, interval=0.01)
    assert [argv[argv.index("-i") + 1] for argv in source.asked] == ["0.01", "0.2"]
    assert source.asked[1][source.asked[1].index("-c") + 1] == "12"


@pytest.mark.parametrize("source", [Silent(), Telling()])
def test_who_cannot_ping_has_not_seen(source):
    with pytest.raises(NotSeen):
        payload.ping(Looks(20), source, "198.19.4.65", count=3, interval=0.01)


def test_a_size_is_of_the_whole_packet():
    source = Telling(says={"ping": (0, ALIVE, "")})
    payload.ping(Looks(20), source, "198.19.4.65", count=1, interval=1, size=1480)
    argv = source.asked[0]
    assert argv[argv.index("-s") + 1] == "1452"
    assert "do" in argv
