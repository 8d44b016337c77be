"""Commands, servers, files and isolation of a sandbox, with real processes in real namespaces."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab import requirements
from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.errors import ClusterProblem, RequirementMissing, ToolProblem
from pytest_calico_perf.model import EndpointKind
from tests.lab.owner import wait_until

DEADLINE = 10.0


def commands_in(sandbox: Sandbox) -> list[str]:
    """The commands that run in the sandbox's PID namespace, without the keeper and without asking for them."""
    listing = sandbox.run("one", ["ps", "-e", "-o", "args="], limit=DEADLINE).check().stdout.splitlines()
    assert "keeper.py" in listing[0], listing
    return [line for line in listing[1:] if "ps -e -o args=" not in line]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


# Commands


def test_a_command_leaves_its_output_status_and_time(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("echo out; echo err >&2; exit 3"), limit=DEADLINE)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert result.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")
    assert result.endpoint == "one"
    assert 0 < result.seconds < DEADLINE
    assert not result.timed_out


def test_it_runs_in_the_namespace_it_names(sandbox: Sandbox) -> None:
    own = {
        name: sandbox.run(name, ["readlink", "/proc/self/ns/net"], limit=DEADLINE).stdout
        for name in ("one", "two")
    }
    assert len({*own.values(), str(Path("/proc/self/ns/net").readlink()) + "\n"}) == 3


def test_it_reads_its_stdin_however_long_that_is(sandbox: Sandbox) -> None:
    text = "line\n" * 300_000
    assert sandbox.run("one", ["cat"], limit=DEADLINE, stdin=text).stdout == text


def test_without_stdin_it_reads_nothing(sandbox: Sandbox) -> None:
    assert sandbox.run("one", ["cat"], limit=DEADLINE).check().stdout == ""


def test_big_outputs_come_whole(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("yes out | head -c 5000000; yes err | head -c 5000000 >&2"), limit=30)
    assert result.stdout == "out\n" * 1_250_000
    assert result.stderr == "err\n" * 1_250_000


def test_a_signal_is_told_as_shells_do(sandbox: Sandbox) -> None:
    assert sandbox.run("one", sh("kill -TERM $$"), limit=DEADLINE).exit_code == 128 + signal.SIGTERM
    assert sandbox.run("one", sh("kill -KILL $$"), limit=DEADLINE).timed_out is False


def test_a_program_that_is_not_there_is_a_result_that_says_so(sandbox: Sandbox) -> None:
    result = sandbox.run("one", ["no-such-program"], limit=DEADLINE)
    assert result.exit_code == 127
    with pytest.raises(ToolProblem, match=r"one: no-such-program is not installed there"):
        result.check()


def test_a_limit_ends_the_command_and_all_its_children(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("echo begun; sleep 1001 & sleep 1002"), limit=0.2)
    assert result.timed_out
    assert result.stdout == "begun\n"
    assert commands_in(sandbox) == []
    with pytest.raises(ToolProblem, match="ran out of its time limit"):
        result.check()


def test_a_limit_ends_a_command_that_ignores_sigterm(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("trap '' TERM; sleep 1001; sleep 1002"), limit=0.2)
    assert result.timed_out
    assert result.exit_code == 128 + signal.SIGKILL
    assert commands_in(sandbox) == []


def test_a_limit_ends_a_command_that_is_stopped(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("kill -STOP $$; sleep 1001"), limit=0.2)
    assert result.timed_out
    assert commands_in(sandbox) == []


def test_the_far_side_ends_the_command_even_if_this_side_sleeps(sandbox: Sandbox) -> None:
    """As under a debugger: nobody here follows the command, and timeout(1) ends it inside all the same."""
    command = sandbox._spawn("one", ["sleep", "1001"], limit=0.5)
    wait_until(lambda: any("sleep 1001" in line for line in commands_in(sandbox)))
    wait_until(lambda: commands_in(sandbox) == [])
    command.follow()
    assert command.result().timed_out


def test_the_status_of_timeout_is_not_believed_before_the_limit(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("exit 124"), limit=DEADLINE)
    assert (result.exit_code, result.timed_out) == (124, False)


def test_a_daemon_stays_and_holds_nobody_up_by_its_open_output(sandbox: Sandbox) -> None:
    result = sandbox.run("one", sh("sleep 1001 & echo done"), limit=DEADLINE)
    assert result.check().stdout == "done\n"
    wait_until(lambda: commands_in(sandbox) == ["sleep 1001"])  # the fork may not have become sleep yet


def test_a_daemon_that_goes_on_talking_is_not_listened_to(sandbox: Sandbox) -> None:
    assert sandbox.run("one", sh("yes & echo done >&2"), limit=DEADLINE).check().stderr == "done\n"


def test_no_limit_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="limit 0"):
        sandbox.run("one", ["true"], limit=0)


def test_ctrl_c_ends_the_command_and_goes_on_up(sandbox: Sandbox) -> None:
    def interrupt() -> None:
        wait_until(lambda: any("sleep 1001" in line for line in commands_in(sandbox)))
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as other:
        interrupted = other.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            sandbox.run("one", ["sleep", "1001"], limit=60)
        interrupted.result()
    assert commands_in(sandbox) == []


def test_a_stopped_command_can_be_ended(sandbox: Sandbox) -> None:
    """nsenter(1) stops itself when what it entered with is stopped, and then would not reap it."""
    command = sandbox.start_command("one", sh("kill -STOP $PPID $$; sleep 1001"), limit=60)
    stat = Path(f"/proc/{command._process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    command.stop()
    assert not command.running
    assert commands_in(sandbox) == []


def test_many_threads_may_use_it(sandbox: Sandbox) -> None:
    def say(number: int) -> str:
        return (
            sandbox.run("one" if number % 2 else "two", ["echo", str(number)], limit=DEADLINE).check().stdout
        )

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(say, range(100))) == [f"{number}\n" for number in range(100)]


def test_tools_get_a_clean_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    words = sandbox.run("one", ["env"], limit=DEADLINE).stdout
    assert "http_proxy" not in words
    assert "LC_ALL=C\n" in words


def test_programs_of_the_system_folders_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with Sandbox.start() as sandbox:
        sandbox.add_namespaces(["one"])
        sandbox.run("one", ["tc", "-V"], limit=DEADLINE).check()


def test_commands_end_in_time_where_python_lacks_pidfd_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with Sandbox.start() as sandbox:
        sandbox.add_namespaces(["one"])
        assert sandbox.run("one", ["echo", "well"], limit=DEADLINE).check().stdout == "well\n"


# Commands in the background


def test_a_server_serves_until_it_is_stopped_and_frees_its_port(sandbox: Sandbox) -> None:
    sandbox.run("one", ["ip", "link", "set", "lo", "up"], limit=DEADLINE).check()
    argv = ["iperf3", "--server", "--port", "20000", "--forceflush"]
    for _ in range(3):
        with sandbox.start_command("one", argv, limit=60) as server:
            server.wait_for_output("Server listening", deadline=DEADLINE)
            assert server.running
            client = ["iperf3", "--client", "127.0.0.1", "--port", "20000", "--bytes", "1M"]
            sandbox.run("one", client, limit=DEADLINE).check()
        assert not server.running
        assert commands_in(sandbox) == []


def test_a_chatty_server_is_never_blocked(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", sh("yes | head -c 5000000; echo finished"), limit=60) as server:
        server.wait_for_output("finished", deadline=30)


def test_waiting_for_words_says_why_it_gave_up(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", sh("echo warming up; sleep 1001"), limit=60) as server:
        server.wait_for_output("warming", deadline=DEADLINE)
        with pytest.raises(ToolProblem, match=r"one: sh did not say 'ready' within 0.1 s.*: warming up"):
            server.wait_for_output("ready", deadline=0.1)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo address in use >&2; exit 1", r"one: sh ended with status 1: address in use"),
        ("echo bye", r"one: sh ended before it said 'ready'; its last words: bye"),
        ("exec no-such-program", r"one: sh is not installed there|not found"),
    ],
)
def test_waiting_for_words_of_a_server_that_ends(sandbox: Sandbox, script: str, complaint: str) -> None:
    with (
        sandbox.start_command("one", sh(script), limit=60) as server,
        pytest.raises(ToolProblem, match=complaint),
    ):
        server.wait_for_output("ready", deadline=DEADLINE)


def test_words_said_before_the_end_count(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", ["echo", "ready"], limit=60) as server:
        assert server.finish(deadline=DEADLINE).exit_code == 0
        server.wait_for_output("ready", deadline=0)


def test_finish_waits_for_the_end(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", sh("sleep 0.2; echo late; exit 5"), limit=60) as command:
        result = command.finish(deadline=DEADLINE)
    assert (result.stdout, result.exit_code, result.timed_out) == ("late\n", 5, False)


def test_finish_stops_what_does_not_end(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", sh("echo begun; sleep 1001"), limit=60) as command:
        command.wait_for_output("begun", deadline=DEADLINE)
        result = command.finish(deadline=0.1)
    assert (result.stdout, result.timed_out) == ("begun\n", True)
    assert commands_in(sandbox) == []


def test_the_limit_of_a_background_command_ends_it(sandbox: Sandbox) -> None:
    with sandbox.start_command("one", ["sleep", "1001"], limit=0.2) as command:
        assert command.finish(deadline=DEADLINE).timed_out
    assert commands_in(sandbox) == []


def test_stop_may_come_twice_and_late(sandbox: Sandbox) -> None:
    command = sandbox.start_command("one", ["sleep", "1001"], limit=60)
    command.stop()
    command.stop()
    assert not command.running
    assert command.finish(deadline=0).exit_code == 128 + signal.SIGKILL


# Files and namespaces


def test_files_arrive_and_any_user_of_the_sandbox_may_read_them(sandbox: Sandbox) -> None:
    mask = os.umask(0o077)
    try:
        sandbox.add_namespaces(["three"])
        path = f"{sandbox.scratch('three')}/conf/nginx.conf"
        sandbox.write_file(path, "worker_processes 1; # é\n")
    finally:
        os.umask(mask)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", path]
    assert "worker_processes 1;" in sandbox.run("three", as_nobody, limit=DEADLINE).check().stdout
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "path", ["/etc/calico-perf", "/run/lab/../other", "../../etc/calico-perf", "/run/labs/x", "/run/lab"]
)
def test_files_of_the_machine_are_out_of_reach(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(ValueError, match="not below /run/lab"):
        sandbox.write_file(path, "x")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "a\nnetns add b", "-a"])
def test_impossible_names_are_refused(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a namespace"):
        sandbox.add_namespaces([name])


def test_a_name_that_is_taken_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ClusterProblem, match=r"cannot make the network namespaces three, one: .*exists"):
        sandbox.add_namespaces(["three", "one"])


def test_a_namespace_that_is_not_there(sandbox: Sandbox) -> None:
    with pytest.raises(ClusterProblem, match="no namespace 'three'"):
        sandbox.run("three", ["true"], limit=DEADLINE)


def test_two_sandboxes_do_not_see_each_other(sandbox: Sandbox) -> None:
    with Sandbox.start() as other:
        other.add_namespaces(["one", "two"])
        for box, peer in ((sandbox, "198.18.0.2"), (other, "198.18.0.3")):
            box.run(
                "one",
                ["ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", "two"],
                limit=DEADLINE,
            ).check()
            for namespace, address in (("one", "198.18.0.1"), ("two", peer)):
                box.run(
                    namespace, ["ip", "address", "add", f"{address}/24", "dev", "eth0"], limit=DEADLINE
                ).check()
                box.run(namespace, ["ip", "link", "set", "eth0", "up"], limit=DEADLINE).check()
            box.write_file("one/whose", peer)
            box.start_command("two", ["sleep", "1001"], limit=60)

        def reached(box: Sandbox, address: str) -> bool:
            return box.run("one", ["ping", "-c", "1", "-W", "0.5", address], limit=DEADLINE).exit_code == 0

        assert [reached(sandbox, "198.18.0.2"), reached(other, "198.18.0.3")] == [True, True]
        assert [reached(sandbox, "198.18.0.3"), reached(other, "198.18.0.2")] == [False, False]
        assert other.run("one", ["cat", "/run/lab/one/whose"], limit=DEADLINE).stdout == "198.18.0.3"
        assert len([line for line in commands_in(other) if "timeout" in line]) == 1
    assert reached(sandbox, "198.18.0.2")


def test_the_machine_sees_no_named_namespace_and_no_mount(sandbox: Sandbox) -> None:
    assert not any(Path("/run/netns", name).exists() for name in ("one", "two"))
    mounts = Path("/proc/self/mounts").read_text()
    assert "/run/netns/one" not in mounts
    assert "/run/netns/one" in Path(f"/proc/{sandbox.pid}/mounts").read_text()


def test_orphans_inside_are_reaped(sandbox: Sandbox) -> None:
    sandbox.run("one", sh("setsid sh -c 'sleep 0.1 & exit' & sleep 0.3"), limit=DEADLINE).check()
    states = sandbox.run("one", ["ps", "-e", "-o", "stat="], limit=DEADLINE).stdout.split()
    assert not any(state.startswith("Z") for state in states)


def test_the_kernel_is_asked_for_what_the_lab_needs() -> None:
    requirements.check(requirements.SANDBOX_PROGRAMS)
    kinds = ("veth", "no-such-kind", "bridge", "vxlan", "nor-this")
    with pytest.raises(RequirementMissing) as caught:
        requirements.check(requirements.SANDBOX_PROGRAMS, link_kinds=kinds, probe_programs=())
    assert caught.value.what == (
        "the lab cannot run on this machine: the kernel makes no no-such-kind and nor-this devices"
    )
    assert caught.value.remedy == "load what makes them: modprobe -a no-such-kind nor-this"


# Endpoints


def endpoint(sandbox: Sandbox) -> LabEndpoint:
    return LabEndpoint(sandbox, "one", "pod bgp-node1-1", EndpointKind.POD, "node1", "198.19.1.1")


def test_an_endpoint_speaks_under_its_own_name(sandbox: Sandbox) -> None:
    pod = endpoint(sandbox)
    assert pod.run(["true"], limit=DEADLINE).endpoint == "pod bgp-node1-1"
    with (
        pod.start(["false"], limit=DEADLINE) as command,
        pytest.raises(ToolProblem, match=r"pod bgp-node1-1: false ended with status 1"),
    ):
        command.wait_for_output("anything", deadline=DEADLINE)


def test_an_endpoint_has_a_folder_to_write_in(sandbox: Sandbox) -> None:
    pod = endpoint(sandbox)
    pod.write_file(f"{pod.scratch}/page", "hello")
    assert pod.run(["cat", f"{pod.scratch}/page"], limit=DEADLINE).stdout == "hello"
    pod.run(["touch", f"{pod.scratch}/own"], limit=DEADLINE).check()


def test_an_endpoint_hands_out_no_port_twice(sandbox: Sandbox) -> None:
    pod = endpoint(sandbox)
    with ThreadPoolExecutor(8) as threads:
        ports = list(threads.map(lambda _: pod.allocate_port(), range(10_000)))
    assert sorted(ports) == list(range(20_000, 30_000))
    assert pod.allocate_port() == 20_000
    assert endpoint(sandbox).allocate_port() == 20_000
