"""What a recorder keeps of the commands it sees: counted, in order, bounded, whatever becomes of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import pytest

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.cluster.recording import KEPT_CHARACTERS, KEPT_COMMANDS, Recorder, shortened
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.model import EndpointKind, Mode, Path


@dataclass
class Place:
    """An endpoint whose commands print what they were asked for; real ones are recorded in tests/lab."""

    name: str
    lost: bool = False
    kind: EndpointKind = EndpointKind.POD
    node: str = "node1"
    address: str = "198.19.0.1"
    own_address: str = "198.19.0.1"
    scratch: str = "/nowhere"
    beside: str = "something of the backend's"
    ports: count = field(default_factory=lambda: count(20000))

    def run(self, argv, *, limit: float) -> CommandResult:
        if self.lost:
            raise ClusterProblem("the connection broke", where=self.name)
        return CommandResult(tuple(argv), self.name, 3, f"{' '.join(argv)}\n", "and an error\n", 0.5)

    def start(self, argv, *, limit: float) -> Server:
        return Server(CommandResult(tuple(argv), self.name, 0, "listening\n", "", 1.5))

    def allocate_port(self) -> int:
        return next(self.ports)


@dataclass
class Server:
    left: CommandResult
    running: bool = True

    def finish(self, *, deadline: float) -> CommandResult:
        self.running = False
        return self.left

    def stop(self) -> None:
        self.running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def pair(recorder: Recorder) -> EndpointPair:
    return recorder.pair(
        EndpointPair(Path.POD_TO_POD, Mode.BGP, Place("pod a"), Place("pod b", address="198.19.0.9"))
    )


def test_a_watched_pair_is_the_same_pair(pair: EndpointPair) -> None:
    assert (pair.path, pair.mode) == (Path.POD_TO_POD, Mode.BGP)
    assert (pair.client.name, pair.server.name, pair.server.address) == ("pod a", "pod b", "198.19.0.9")
    assert pair.client.beside == "something of the backend's"


def test_a_command_is_kept_with_what_it_left(recorder: Recorder, pair: EndpointPair) -> None:
    pair.client.run(["ping", "-c", "1"], limit=1)
    (ran,) = recorder.commands
    assert (ran.endpoint, ran.argv, ran.times) == ("pod a", ("ping", "-c", "1"), 1)
    assert (ran.exit_code, ran.seconds, ran.output) == (3, 0.5, "ping -c 1\nand an error\n")


def test_rounds_are_counted_whatever_port_they_were_given(recorder: Recorder, pair: EndpointPair) -> None:
    for _ in range(3):
        port = str(pair.server.allocate_port())
        with pair.server.start(["iperf3", "-s", "-p", port], limit=9) as server:
            pair.client.run(["iperf3", "-c", "198.19.0.9", "-p", port], limit=9)
            pair.client.run(["ab", f"http://198.19.0.9:{port}/"], limit=9)
            server.finish(deadline=1)
    assert [(ran.endpoint, ran.argv, ran.times, ran.exit_code) for ran in recorder.commands] == [
        ("pod b", ("iperf3", "-s", "-p", "20002"), 3, 0),
        ("pod a", ("iperf3", "-c", "198.19.0.9", "-p", "20002"), 3, 3),
        ("pod a", ("ab", "http://198.19.0.9:20002/"), 3, 3),
    ]


def test_another_number_makes_another_command(recorder: Recorder, pair: EndpointPair) -> None:
    pair.server.allocate_port()
    for rate in ("1000", "2000"):
        pair.client.run(["iperf3", "-b", rate], limit=1)
    assert [(ran.argv, ran.times) for ran in recorder.commands] == [
        (("iperf3", "-b", "1000"), 1),
        (("iperf3", "-b", "2000"), 1),
    ]


def test_a_server_that_was_stopped_has_no_exit_code(recorder: Recorder, pair: EndpointPair) -> None:
    with pair.server.start(["nginx"], limit=9):
        pass
    (ran,) = recorder.commands
    assert (ran.exit_code, ran.output, ran.seconds) == (None, "listening\n", 1.5)


def test_a_server_that_had_ended_by_itself_has_one(recorder: Recorder, pair: EndpointPair) -> None:
    with pair.server.start(["nginx"], limit=9) as server:
        server._inner.running = False
    assert recorder.commands[0].exit_code == 0


def test_a_command_that_could_not_be_run_is_kept_with_the_reason(recorder: Recorder) -> None:
    with pytest.raises(ClusterProblem):
        recorder.endpoint(Place("pod a", lost=True)).run(["ping"], limit=1)
    (ran,) = recorder.commands
    assert ran.exit_code is None
    assert "the connection broke" in ran.output


def test_what_is_kept_is_bounded_and_what_is_left_out_is_counted(
    recorder: Recorder, pair: EndpointPair
) -> None:
    for number in range(KEPT_COMMANDS + 5):
        for _ in range(2):
            pair.client.run(["echo", f"{number}", "x" * 10_000], limit=1)
    kept = recorder.commands
    assert [ran.argv[1] for ran in kept] == [str(number) for number in range(KEPT_COMMANDS)]
    assert all(ran.times == 2 for ran in kept)
    assert all(len(ran.output) < KEPT_CHARACTERS + 100 for ran in kept)
    assert recorder.left_out == 10


def test_threads_lose_no_command(recorder: Recorder, pair: EndpointPair) -> None:
    def work(number: int) -> None:
        for _ in range(50):
            pair.client.allocate_port()
            pair.client.run(["echo", f"{number}"], limit=1)

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(work, range(8)))
    assert sorted((ran.argv[1], ran.times) for ran in recorder.commands) == [(str(n), 50) for n in range(8)]


def test_shortened_text_keeps_both_ends_and_says_how_much_is_missing() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 50 + "b" * 51, 100) == f"{'a' * 50}\n[... 1 characters left out ...]\n{'b' * 50}"
