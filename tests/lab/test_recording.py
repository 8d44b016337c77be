"""What a recorder keeps of real probes on the real lab: every command of both ends, as a sceptic would repeat it."""

from __future__ import annotations

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.recording import KEPT_CHARACTERS, Recorder
from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.probes.ab import Http
from pytest_calico_perf.probes.base import Probe
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.ping import Ping


def recorded(cluster: LabCluster, probe: Probe, rounds: int) -> Recorder:
    recorder = Recorder()
    with probe.open(recorder.pair(cluster.pair(Path.POD_TO_POD, Mode.BGP))) as measure:
        for _ in range(rounds):
            measure()
    return recorder


def test_ping_is_one_command_run_in_every_round(one: LabCluster) -> None:
    (ran,) = recorded(one, Ping(count=10), 3).commands
    assert ran.endpoint == "pod bgp-node1-1"
    assert ran.argv[0] == "ping"
    assert (ran.exit_code, ran.times) == (0, 3)
    assert "10 packets transmitted, 10 received" in ran.output
    assert 0 < ran.seconds < 10


def test_iperf3_has_a_server_and_a_client_in_each_direction(one: LabCluster) -> None:
    commands = recorded(one, Tcp(), 2).commands
    listen, forward, reverse = commands
    assert [ran.endpoint for ran in commands] == ["pod bgp-node2-1", "pod bgp-node1-1", "pod bgp-node1-1"]
    assert (listen.argv[:2], listen.times, listen.exit_code) == (("iperf3", "-s"), 4, 0)
    assert [("-R" in ran.argv, ran.times, ran.exit_code) for ran in (forward, reverse)] == [
        (False, 2, 0),
        (True, 2, 0),
    ]
    assert "Server listening on" in listen.output
    assert "characters left out" in forward.output  # its JSON has an entry for each tenth of a second
    assert all(len(ran.output) < KEPT_CHARACTERS + 100 for ran in commands)


def test_a_server_that_lives_as_long_as_its_block_has_no_exit_code(one: LabCluster) -> None:
    by_tool = {ran.argv[0]: ran for ran in recorded(one, Http(requests=200), 2).commands}
    assert by_tool["nginx"].endpoint == "pod bgp-node2-1"
    assert (by_tool["nginx"].exit_code, by_tool["nginx"].times) == (None, 1)
    assert (by_tool["ab"].exit_code, by_tool["ab"].times) == (0, 2)
    assert "Complete requests:      200" in by_tool["ab"].output
