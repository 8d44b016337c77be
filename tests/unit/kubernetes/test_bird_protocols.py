"""Sessions out of what BIRD prints: Calico's fork of 1.6, and 2; and whatever else somebody may print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.bird_protocols import read_sessions
from pytest_calico_perf.cluster.inspection import SessionState

NODES = {"10.0.0.12": "node2", "10.0.0.13": "node3"}

# Of calico/node, birdcl -r -s /var/run/calico/bird.ctl show protocols all.
BIRD_1_6 = """\
BIRD v0.3.3+birdv1.6.8 ready.
name     proto    table    state  since       info
static1  Static   master   up     2026-11-23
  Preference:     200
  Routes:         1 imported, 0 exported, 1 preferred
kernel1  Kernel   master   up     2026-11-23
device1  Device   master   up     2026-11-23
direct1  Direct   master   up     2026-11-23
Mesh_10_0_0_12 BGP      master   up     10:01:44    Established
  Description:    Connection to BGP peer
  Preference:     100
  Routes:         2 imported, 1 exported, 2 preferred
  BGP state:          Established
    Neighbor address: 10.0.0.12
    Neighbor AS:      64512
    Source address:   10.0.0.11
Mesh_10_0_0_13 BGP      master   start  10:02:01    Active        Socket: Connection refused
  Description:    Connection to BGP peer
  BGP state:          Active
    Neighbor address: 10.0.0.13
    Neighbor AS:      64512
    Connect delay:    3/5
    Last error:       Socket: Connection refused
Global_10_0_0_1 BGP      master   start  10:02:03    Idle          BGP Error: Bad peer AS
  BGP state:          Idle
    Neighbor address: 10.0.0.1
    Neighbor AS:      64513
    Error wait:       24/30
    Last error:       BGP Error: Bad peer AS
Node_10_0_0_14 BGP      master   down   10:02:03
  BGP state:          Down
    Neighbor address: 10.0.0.14
"""

# Of bird2 2.0.12, with `timeformat protocol iso long`.
BIRD_2 = """\
BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     2026-11-23 10:01:40
mesh_node2 BGP        ---        up     2026-11-23 10:01:43  Established
  BGP state:          Established
    Neighbor address: 10.0.0.12
    Neighbor AS:      64512
  Channel ipv4
    State:          UP
mesh_node3 BGP        ---        start  2026-11-23 10:01:43  Passive
  BGP state:          Passive
    Neighbor address: 10.0.0.13
    Last error:       Received: Connection collision resolution
mesh_six   BGP        ---        start  2026-11-23 10:01:43  Active
  BGP state:          Active
    Neighbor address: fd00::12
"""


def test_calicos_own_bird():
    assert read_sessions(BIRD_1_6, NODES) == (
        SessionState("10.0.0.12", "node2", established=True, state="Established"),
        SessionState("10.0.0.13", "node3", False, "Active", "Socket: Connection refused"),
        SessionState("10.0.0.1", "", False, "Idle", "BGP Error: Bad peer AS"),
        SessionState("10.0.0.14", "", False, "down"),
    )


def test_bird_2_tells_the_peer_below_and_some_errors_there_only():
    assert read_sessions(BIRD_2, NODES) == (
        SessionState("10.0.0.12", "node2", established=True, state="Established"),
        SessionState("10.0.0.13", "node3", False, "Passive", "Received: Connection collision resolution"),
    )


def test_the_short_form_names_the_peer_by_its_session():
    (session,) = read_sessions("Mesh_10_0_0_12 BGP master up 10:01:44 Established\n", NODES)
    assert session.peer_node == "node2"


def test_no_session_is_no_session():
    assert read_sessions("BIRD 2.0.12 ready.\ndevice1 Device --- up 10:01:40\n", NODES) == ()


@given(
    st.text()
    | st.lists(st.sampled_from([*BIRD_1_6.splitlines(), *BIRD_2.splitlines(), "x" * 400])).map("\n".join)
)
def test_any_text(text):
    for session in read_sessions(text, NODES):
        assert session.peer
        assert f"{session.state}{session.info}".isprintable()
        assert session.established is (session.state == "Established")
