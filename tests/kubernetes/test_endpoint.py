"""A pod as an endpoint: commands with limits, servers on a leash, files, ports."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.kubernetes import channel as channels
from pytest_calico_perf.cluster.kubernetes import command as commands
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.command import PodCommand
from pytest_calico_perf.cluster.kubernetes.endpoint import PORTS, PodEndpoint, host_ports
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.errors import ApiProblem, ToolProblem
from tests.kubernetes.fake import FakeApi, LocalRuntime, cut, delay, running_pod, status
from tests.kubernetes.transport import alive, endpoint_of, until


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi(LocalRuntime()) as server:
        pod = running_pod("tools", containers=("main", "web"))
        server.store.create(PODS, pod, namespace="default")
        yield server
        # The fake kills a leash with its process group, of which timeout(1) is none: let leashes do their work.
        until(lambda: not server.running)


@pytest.fixture
def tools(api: Api, tmp_path: Path) -> PodEndpoint:
    return endpoint_of(api, tmp_path)


@pytest.fixture(params=["v5", "v4"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both protocols: Kubernetes before 1.30 knows the older one only."""
    if request.param == "v4":
        monkeypatch.setattr(channels, "_V5", "v5.not.offered")
    return request.param


def pid_in(path: Path) -> int:
    until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def sleeper(tmp_path: Path, *, deaf: bool = False) -> list[str]:
    """A command that notes its process id, says `ready` and goes on; deaf ones do not mind SIGTERM."""
    trap = "trap '' TERM; " if deaf else ""
    return [
        "sh",
        "-c",
        f'{trap}echo $$ >"$1"; echo ready; while :; do sleep 0.05; done',
        "sh",
        str(tmp_path / "pid"),
    ]


def test_it_is_an_endpoint(tools: PodEndpoint) -> None:
    endpoint: Endpoint = tools
    assert (endpoint.name, endpoint.node, endpoint.scratch) == ("pod tools", "node1", tools.scratch)


@pytest.mark.usefixtures("protocol")
def test_a_result_holds_what_the_command_left(tools: PodEndpoint) -> None:
    result = tools.run(["sh", "-c", "echo out; echo err >&2; exit 3"], limit=10)
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert (result.argv[0], result.endpoint, result.timed_out) == ("sh", "pod tools", False)
    assert 0 < result.seconds < 10


def test_nothing_of_a_command_is_parsed(tools: PodEndpoint) -> None:
    words = ["$(id)", "`id`", "; id", "a\nb", "*", "'", '"', "\\", "ü", ""]
    assert tools.run(["printf", "%s|", *words], limit=10).stdout == "|".join(words) + "|"


def test_a_missing_program_is_127(tools: PodEndpoint) -> None:
    result = tools.run(["no-such-program"], limit=10)
    assert result.exit_code == 127
    with pytest.raises(ToolProblem, match="no-such-program is not installed"):
        result.check()


def test_a_container_without_a_shell_is_127_too(tools: PodEndpoint, fake: FakeApi) -> None:
    class Distroless(LocalRuntime):
        def exec(self, namespace: str, pod: str, container: str, argv: object) -> object:
            raise FileNotFoundError(argv)

    fake.runtime = Distroless()
    result = tools.run(["iperf3"], limit=10)
    assert result.exit_code == 127
    assert "executable file not found" in result.stderr


def test_programs_run_in_their_containers(tools: PodEndpoint, fake: FakeApi) -> None:
    used: list[str] = []

    class Noting(LocalRuntime):
        def exec(self, namespace: str, pod: str, container: str, argv: list[str]) -> object:
            used.append(container)
            return super().exec(namespace, pod, container, argv)

    fake.runtime = Noting()
    both = replace(tools, containers={"*": "main", "nginx": "web"})
    for program in ("true", "nginx", "/usr/sbin/nginx"):
        both.run([program, "-v"], limit=10)
    assert used == ["main", "web", "web"]


@pytest.mark.usefixtures("protocol")
def test_the_far_side_ends_a_command_at_its_limit(tools: PodEndpoint, tmp_path: Path) -> None:
    result = tools.run(sleeper(tmp_path), limit=1)
    assert (result.timed_out, result.stdout) == (True, "ready\n")
    until(lambda: not alive(pid_in(tmp_path / "pid")))


def test_a_command_that_ends_like_timeout_in_time_did_not_time_out(tools: PodEndpoint) -> None:
    for code in (124, 137, 143):
        result = tools.run(["sh", "-c", f"exit {code}"], limit=10)
        assert (result.exit_code, result.timed_out) == (code, False)


def test_a_far_side_that_forgets_the_limit_is_told(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LOCAL_GRACE", 0.2)
    channel = api.exec("default", "tools", "main", ["cat"], stdin=True)
    command = PodCommand(channel, ["cat"], endpoint="pod tools", limit=0.1)
    command.follow()
    with pytest.raises(ApiProblem, match=r"cat has not ended .* after its limit") as problem:
        command.result()
    assert problem.value.where == "pod tools"


def test_a_cut_connection_is_told_and_the_command_ends(
    tools: PodEndpoint, fake: FakeApi, tmp_path: Path
) -> None:
    fake.faults.add(("GET", "/exec"), cut(after_seconds=0.3))
    with pytest.raises(ApiProblem, match="the connection to the pod default/tools was cut while sh ran"):
        tools.run(sleeper(tmp_path), limit=60)
    until(lambda: not alive(pid_in(tmp_path / "pid")))
    until(lambda: not fake.running)
    assert len(fake.commands) == 1


def test_a_pod_that_is_deleted_while_a_command_runs_is_no_success(
    tools: PodEndpoint, fake: FakeApi, tmp_path: Path
) -> None:
    class Container(LocalRuntime):
        """With a PID namespace, so that all of it ends at once, as a container does."""

        def exec(self, namespace: str, pod: str, container: str, argv: list[str]) -> object:
            wrapping = ["unshare", "--pid", "--fork", "--kill-child"]
            return super().exec(namespace, pod, container, [*wrapping, *argv])

    fake.runtime = Container()

    def delete() -> None:
        pid_in(tmp_path / "pid")
        fake.store.delete(PODS, "tools", namespace="default")

    deleting = threading.Thread(target=delete)
    deleting.start()
    with pytest.raises(ApiProblem, match="sh was killed: pod default/tools is gone"):
        tools.run(sleeper(tmp_path), limit=60)
    deleting.join()
    with pytest.raises(ApiProblem, match=r'pods "tools" not found'):
        tools.run(["true"], limit=5)


def test_a_pod_that_was_evicted_is_told_with_the_reason(tools: PodEndpoint, fake: FakeApi) -> None:
    conditions = [{"type": "Ready", "status": "False"}]
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
    evicted |= {"conditions": conditions}

    class Evicting(LocalRuntime):
        def exec(self, namespace: str, pod: str, container: str, argv: list[str]) -> object:
            fake.store.patch(PODS, "tools", {"status": evicted}, namespace="default")
            return super().exec(namespace, pod, container, ["sh", "-c", "kill -9 $$"])

    fake.runtime = Evicting()
    with pytest.raises(ApiProblem, match=r"iperf3 was killed: .*Evicted.*low on memory") as problem:
        tools.run(["iperf3"], limit=60)
    assert problem.value.where == "pod tools"


def test_a_command_that_kills_itself_is_its_own_affair(tools: PodEndpoint) -> None:
    assert tools.run(["sh", "-c", "kill -9 $$"], limit=60).exit_code == 137


def interrupt(when: threading.Event | None = None) -> threading.Thread:
    """Ctrl-C, soon or once something has happened."""

    def strike() -> None:
        if when:
            when.wait(10)
        else:
            time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=strike)
    thread.start()
    return thread


@pytest.mark.usefixtures("protocol")
def test_ctrl_c_ends_the_command_too(tools: PodEndpoint, fake: FakeApi, tmp_path: Path) -> None:
    begun = threading.Event()
    watching = threading.Thread(target=lambda: (pid_in(tmp_path / "pid"), begun.set()))
    watching.start()
    striking = interrupt(begun)
    with pytest.raises(KeyboardInterrupt):
        tools.run(sleeper(tmp_path, deaf=True), limit=60)
    striking.join()
    watching.join()
    until(lambda: not alive(pid_in(tmp_path / "pid")))
    until(lambda: not fake.running)


def test_ctrl_c_during_the_handshake_stays_ctrl_c(tools: PodEndpoint, fake: FakeApi) -> None:
    fake.faults.add(("GET", "/exec"), delay(2))
    striking = interrupt()
    with pytest.raises(KeyboardInterrupt):
        tools.run(["true"], limit=5)
    striking.join()


def test_ctrl_c_while_a_hiccup_is_waited_out_stays_ctrl_c(tools: PodEndpoint, fake: FakeApi) -> None:
    fake.faults.add(("GET", "/exec"), status(429, retry_after=9), times=9)
    striking = interrupt()
    with pytest.raises(KeyboardInterrupt):
        tools.run(["true"], limit=5)
    striking.join()


@pytest.mark.usefixtures("protocol")
def test_a_server_runs_until_it_is_stopped(tools: PodEndpoint, fake: FakeApi, tmp_path: Path) -> None:
    with tools.start(sleeper(tmp_path), limit=60) as server:
        server.wait_for_output("ready", deadline=10)
        assert server.running
        pid = pid_in(tmp_path / "pid")
        assert alive(pid)
        server.stop()
        server.stop()
        assert not server.running
    until(lambda: not alive(pid))
    until(lambda: not fake.running)
    result = server.finish(deadline=5)
    assert (result.exit_code, result.stdout, result.timed_out) == (143, "ready\n", False)


def test_a_deaf_server_is_killed(tools: PodEndpoint, fake: FakeApi, tmp_path: Path) -> None:
    """Also when it is told to end while timeout(1) is hardly there, and goes without its child."""
    for _ in range(3):
        (tmp_path / "pid").unlink(missing_ok=True)
        with tools.start(sleeper(tmp_path, deaf=True), limit=60) as server:
            server.wait_for_output("ready", deadline=10)
        assert server.result().exit_code in (137, 143)
        until(lambda: not alive(pid_in(tmp_path / "pid")))
    until(lambda: not fake.running)


def test_a_server_without_a_leash_is_hung_up_on(
    api: Api, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_STOPPING", 0.2)
    channel = api.exec("default", "tools", "main", ["sleep", "2"], stdin=True)
    server = PodCommand(channel, ["sleep"], endpoint="pod tools", limit=60).follow_in_background()
    server.stop()
    assert (server.running, server.result().exit_code) == (False, 143)


def test_many_servers_run_at_once(tools: PodEndpoint, fake: FakeApi) -> None:
    servers = [tools.start(["sh", "-c", "echo ready; exec sleep 60"], limit=60) for _ in range(8)]
    for server in servers:
        server.wait_for_output("ready", deadline=10)
    assert tools.run(["echo", "meanwhile"], limit=5).stdout == "meanwhile\n"
    for server in servers:
        server.stop()
    until(lambda: not fake.running)


def test_what_a_server_says_late_is_waited_for(tools: PodEndpoint) -> None:
    with tools.start(["sh", "-c", "sleep 0.2; echo listening >&2; sleep 60"], limit=60) as server:
        server.wait_for_output("listening", deadline=10)


def test_a_server_that_never_says_it_is_told(tools: PodEndpoint) -> None:
    with tools.start(["sh", "-c", "echo something; sleep 60"], limit=60) as server:
        server.wait_for_output("something", deadline=10)
        with pytest.raises(ToolProblem, match=r"did not say 'ready' within 0.1 s; its last words: something"):
            server.wait_for_output("ready", deadline=0.1)


def test_a_server_that_ends_first_is_told(tools: PodEndpoint) -> None:
    server = tools.start(["sh", "-c", "echo no room >&2; exit 1"], limit=60)
    with server, pytest.raises(ToolProblem, match="ended with status 1: no room"):
        server.wait_for_output("ready", deadline=10)


def test_a_server_whose_connection_is_cut_is_told(tools: PodEndpoint, fake: FakeApi) -> None:
    fake.faults.add(("GET", "/exec"), cut(after_seconds=0.2))
    with tools.start(["sleep", "60"], limit=60) as server:
        with pytest.raises(ApiProblem, match="was cut while sleep ran"):
            server.wait_for_output("ready", deadline=10)
        with pytest.raises(ApiProblem, match="was cut"):
            server.finish(deadline=5)


def test_finishing_awaits_the_end_or_brings_it_about(tools: PodEndpoint) -> None:
    with tools.start(["sh", "-c", "sleep 0.2; echo done"], limit=60) as short:
        result = short.finish(deadline=10)
        assert (result.exit_code, result.stdout, result.timed_out) == (0, "done\n", False)
    with tools.start(["sleep", "60"], limit=60) as long:
        assert long.finish(deadline=0.1).timed_out


@pytest.mark.usefixtures("protocol")
@pytest.mark.parametrize("text", ["", "one\n", "no newline", "ü\n" * 100_000, "$(id) `id` '\"\\\n"], ids=len)
def test_files_are_written_as_they_are(tools: PodEndpoint, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a file; $(id)"
    path.write_text("something longer that was there before")
    tools.write_file(str(path), text)
    assert path.read_text() == text


def test_a_file_that_cannot_be_written_is_told(tools: PodEndpoint) -> None:
    with pytest.raises(ToolProblem, match="pod tools: sh ended with status"):
        tools.write_file("/nowhere/at/all", "text")


def test_ports_are_each_times_another_and_shared_where_the_network_is(tools: PodEndpoint) -> None:
    sharing = replace(tools, name="host node1")
    ports = [endpoint.allocate_port() for endpoint in (tools, sharing) for _ in range(50)]
    assert len(set(ports)) == 100
    assert all(1024 < port < 30000 for port in ports)


def test_ports_of_hosts_are_all_of_them_in_turn_from_a_place_chosen_by_chance() -> None:
    numbers = host_ports()
    ports = [next(numbers) for _ in range(len(PORTS) + 1)]
    assert set(ports) == set(PORTS)
    assert ports[-1] == ports[0]
    assert len({next(host_ports()) for _ in range(20)}) > 1
