"""Commands on a host, over a real sshd: what comes back, and that nothing stays there."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.cluster.ssh import SshHost
from pytest_calico_perf.errors import HostProblem, ToolProblem
from pytest_calico_perf.model import EndpointKind
from tests.ssh.accounts import USER
from tests.ssh.daemon import Daemon, Keys
from tests.ssh.netns import inside
from tests.ssh.processes import Marked

HOSTILE = [
    "",
    " ",
    "two words",
    "it's",
    '"',
    "\\",
    "\\\\",
    "a\nb",
    "\t",
    "*",
    "~",
    "$HOME",
    "$(touch /tmp/calico-perf-owned)",
    "`touch /tmp/calico-perf-owned`",
    "; touch /tmp/calico-perf-owned",
    "| tee /tmp/calico-perf-owned",
    "&& false",
    "-n",
    "--help",
    "!!",
    "#x",
    "Grüße 你好",
    "%s\\n",
    "3>&1",
]


@pytest.fixture(scope="module")
def host(nodes: LabCluster, sshds: dict[str, Daemon], keys: Keys) -> Iterator[SshHost]:
    """One connection for all tests here."""
    with inside(nodes.sandbox, FABRIC):
        host = SshHost.connect(
            "node2",
            address=sshds["node2"].address,
            user="root",
            port=2222,
            key=keys.user,
            strict=False,
            config=Path("/dev/null"),
        )
    yield host
    host.close()


@pytest.fixture
def marked(sshds: dict[str, Daemon]) -> Marked:
    return Marked(sshds["node2"], f"{secrets.randbelow(10**9):09}")


def test_is_an_endpoint(host: SshHost) -> None:
    endpoint: Endpoint = host
    assert (endpoint.name, endpoint.node, endpoint.kind) == ("node2", "node2", EndpointKind.HOST)
    assert endpoint.address == endpoint.own_address == "198.18.0.3"


def test_output_and_status_come_back_apart(host: SshHost) -> None:
    result = host.run(["sh", "-c", "echo out; echo err >&2; exit 3"], limit=10)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert (result.endpoint, result.argv[0], result.timed_out) == ("node2", "sh", False)


@pytest.mark.parametrize(
    ("argv", "code"), [(["sh", "-c", "kill -9 $$"], 137), (["no-such-tool"], 127), (["/etc/passwd"], 126)]
)
def test_ends_that_are_none_of_the_commands_choosing(host: SshHost, argv: list[str], code: int) -> None:
    assert host.run(argv, limit=10).exit_code == code


def test_a_tool_that_is_not_there_is_named(host: SshHost) -> None:
    with pytest.raises(ToolProblem, match=r"^node2: no-such-tool is not installed there"):
        host.run(["no-such-tool"], limit=10).check()


def test_no_word_of_a_command_is_ever_parsed(host: SshHost) -> None:
    result = host.run(["printf", "%s\\0", *HOSTILE], limit=10)
    assert result.stdout.split("\0")[:-1] == HOSTILE
    assert not Path("/tmp/calico-perf-owned").exists()


def test_standard_input_is_empty(host: SshHost) -> None:
    assert host.run(["cat"], limit=10).exit_code == 0


def test_tools_speak_for_machines_and_are_found(host: SshHost) -> None:
    surroundings = dict(line.split("=", 1) for line in host.run(["env"], limit=10).stdout.splitlines())
    assert surroundings["LC_ALL"] == "C"
    assert "/usr/sbin" in surroundings["PATH"].split(":")


def test_a_user_without_rights(connect: Callable[..., SshHost]) -> None:
    host = connect(user=USER)
    assert host.run(["id", "-un"], limit=10).stdout == f"{USER}\n"
    host.write_file(f"{host.scratch}/x", "x")
    with pytest.raises(ToolProblem, match=r"cannot write /etc/x: .*Permission denied"):
        host.write_file("/etc/x", "x")
    assert host.missing(["nginx", "ethtool", "ss"]) == []
    assert host.allocate_port() in range(20000, 30000)


def test_much_output_on_both_streams(host: SshHost) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' o; head -c 3000000 /dev/zero | tr '\\0' e >&2"
    result = host.run(["sh", "-c", script], limit=30)
    assert (len(result.stdout), set(result.stdout)) == (5_000_000, {"o"})
    assert (len(result.stderr), set(result.stderr)) == (3_000_000, {"e"})


def test_bytes_that_are_no_text_are_replaced(host: SshHost) -> None:
    assert host.run(["printf", "a\\377b"], limit=10).stdout == "a\ufffdb"


def test_threads_share_the_connection(connect: Callable[..., SshHost]) -> None:
    host = connect(deadline=30.0)  # a busy machine may take long for a channel, and gets another connection

    def ask(number: int) -> str:
        return host.run(["sh", "-c", f"sleep 0.1; echo {number}; echo $SSH_CONNECTION"], limit=20).stdout

    with ThreadPoolExecutor(8) as executor:
        answers = [answer.splitlines() for answer in executor.map(ask, range(24))]
    assert [number for number, _ in answers] == [str(number) for number in range(24)]
    assert len({connection for _, connection in answers}) == 1


class TestLimits:
    def test_the_host_itself_ends_a_command(self, host: SshHost, marked: Marked) -> None:
        result = host.run(marked.sleep, limit=1)
        assert result.timed_out
        with pytest.raises(ToolProblem, match="node2: sleep ran out of its time limit"):
            result.check()
        marked.assert_gone()

    def test_even_one_that_does_not_want_to(self, host: SshHost, marked: Marked) -> None:
        result = host.run(marked.stubborn, limit=1)
        assert result.timed_out
        assert result.stdout == "here\n"
        marked.assert_gone()

    def test_a_status_of_124_within_the_limit_is_the_tools_own(self, host: SshHost) -> None:
        result = host.run(["sh", "-c", "exit 124"], limit=10)
        assert (result.exit_code, result.timed_out) == (124, False)

    def test_a_daemon_it_leaves_holds_nobody_up(self, host: SshHost, marked: Marked) -> None:
        script = f"setsid {' '.join(marked.sleep)} & echo started"
        result = host.run(["sh", "-c", script], limit=20)
        assert (result.stdout, result.exit_code, result.timed_out) == ("started\n", 0, False)
        assert result.seconds < 20
        marked.kill()


class TestBackground:
    def test_stopping_ends_it_there(self, host: SshHost, marked: Marked) -> None:
        with host.start(["sh", "-c", f"echo up >&2; exec {' '.join(marked.sleep)}"], limit=60) as server:
            server.wait_for_output("up", deadline=10)
            assert server.running
            assert marked.there
            server.stop()
            server.stop()
            assert not server.running
        result = server.finish(deadline=1)
        assert (result.exit_code, result.timed_out) == (128 + signal.SIGTERM, False)
        marked.assert_gone()

    def test_stopping_ends_one_that_does_not_want_to(self, host: SshHost, marked: Marked) -> None:
        with host.start(marked.stubborn, limit=60) as server:
            server.wait_for_output("here", deadline=10)
        marked.assert_gone()

    def test_finishing_one_that_ends_by_itself(self, host: SshHost) -> None:
        with host.start(["sh", "-c", "echo one; exit 4"], limit=10) as command:
            result = command.finish(deadline=10)
        assert (result.stdout, result.exit_code, result.timed_out) == ("one\n", 4, False)

    def test_finishing_one_that_does_not_is_a_timeout(self, host: SshHost, marked: Marked) -> None:
        with host.start(marked.sleep, limit=60) as command:
            assert command.finish(deadline=0.3).timed_out
        marked.assert_gone()

    def test_waiting_for_what_it_never_says(self, host: SshHost, marked: Marked) -> None:
        with (
            host.start(["sh", "-c", f"echo hm; exec {' '.join(marked.sleep)}"], limit=60) as command,
            pytest.raises(ToolProblem, match=r"node2: sh did not say 'up' within 0\.5 s; .*hm"),
        ):
            command.wait_for_output("up", deadline=0.5)

    def test_waiting_for_one_that_ends_instead(self, host: SshHost) -> None:
        with (
            host.start(["sh", "-c", "echo no room >&2; exit 1"], limit=10) as command,
            pytest.raises(ToolProblem, match="node2: sh ended with status 1: no room"),
        ):
            command.wait_for_output("up", deadline=10)


class TestFiles:
    def test_the_folder_is_private_and_goes_with_the_connection(
        self, connect: Callable[..., SshHost]
    ) -> None:
        host = connect()
        scratch = host.scratch
        mode = host.run(["stat", "--format=%a %F", scratch], limit=10).stdout
        assert mode == "700 directory\n"
        host.write_file(f"{scratch}/x", "x")
        host.close()
        host.close()
        assert not Path(scratch).exists()
        with pytest.raises(HostProblem, match="node2: the connection to it was closed"):
            host.run(["true"], limit=10)

    def test_a_file_arrives_as_it_is(self, host: SshHost) -> None:
        text = "".join(HOSTILE) * 1000
        path = f"{host.scratch}/new folder/it's; $(here)"
        host.write_file(path, text)
        assert host.run(["cat", path], limit=10).stdout == text

    def test_one_that_cannot_be_written(self, host: SshHost) -> None:
        with pytest.raises(ToolProblem, match=r"^node2: cannot write /proc/version/x: .*File exists"):
            host.write_file("/proc/version/x", "")


class TestWhatIsThere:
    def test_missing_programs_are_named(self, host: SshHost) -> None:
        assert host.missing(["sh", "no-such-tool", "ip", "nor;this"]) == ["no-such-tool", "nor;this"]

    def test_a_taken_port_is_passed_over(self, host: SshHost, sshds: dict[str, Daemon]) -> None:
        first = host.allocate_port()
        after = [(first + step - 20000) % 10000 + 20000 for step in (1, 2)]
        with sshds["node2"].node.start(
            ["iperf3", "-s", "--forceflush", "-p", str(after[0])], limit=30
        ) as server:
            server.wait_for_output("listening", deadline=10)
            assert host.allocate_port() == after[1]

    def test_every_port_is_another_one_for_every_thread(self, host: SshHost) -> None:
        with ThreadPoolExecutor(4) as executor:
            ports = list(executor.map(lambda _: host.allocate_port(), range(8)))
        assert len(set(ports)) == 8
        assert set(ports) <= set(range(20000, 30000))


class TestInterruptions:
    def test_ctrl_c_ends_the_command_there(self, host: SshHost, marked: Marked) -> None:
        def interrupt() -> None:
            marked.wait_until_asleep()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            host.run(marked.sleep, limit=60)
        assert time.monotonic() - begun < 30
        marked.assert_gone()
        assert host.run(["echo", "still here"], limit=10).stdout == "still here\n"

    def test_our_death_ends_everything_there(
        self, sshds: dict[str, Daemon], keys: Keys, known_hosts: Path, marked: Marked
    ) -> None:
        script = f"""
            from pathlib import Path
            from pytest_calico_perf.cluster.ssh import SshHost
            host = SshHost.connect("node2", address={sshds["node2"].address!r}, user="root", port=2222,
                key=Path({str(keys.user)!r}), known_hosts=Path({str(known_hosts)!r}), config=Path("/dev/null"))
            print(host.scratch, flush=True)
            server = host.start({marked.sleep!r}, limit=60)
            host.run({marked.sleep!r}, limit=60)
        """
        argv = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            scratch = process.stdout.readline().strip()
            marked.wait_until_asleep(2)
            assert Path(scratch).is_dir()
            process.kill()
        marked.assert_gone()
        end = time.monotonic() + 10
        while Path(scratch).exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not Path(scratch).exists()
