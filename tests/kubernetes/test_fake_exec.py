"""The fake's exec speaks the channels of a real one to the real client, and its commands really run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client
from kubernetes.client import ApiException

from tests.kubernetes.fake import FakeApi, LocalRuntime, cut, pod, running_pod, status
from tests.kubernetes.fake.clients import Ended, connect, ended, open_exec

PODS = ("", "v1", "pods")


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


@pytest.fixture
def api(fake: FakeApi) -> Iterator[client.ApiClient]:
    with connect(fake) as one:
        yield one


def sh(script: str, *args: str) -> list[str]:
    return ["sh", "-c", script, "sh", *args]


def alive(pid: int) -> bool:
    """Whether it runs; a process that its new parent has yet to reap does not (proc(5): state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(true: Callable[[], object], limit: float = 10) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def pid_of(path: Path) -> int:
    until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def test_streams_and_exit_code_come_apart(api: client.ApiClient) -> None:
    socket = open_exec(api, "tools", sh("echo out; echo err >&2; exit 3"))
    assert socket.subprotocol == "v5.channel.k8s.io"
    assert ended(socket) == Ended(3, "out\n", "err\n")


def test_words_arrive_as_they_are(api: client.ApiClient) -> None:
    words = ["a b", "$(id)", "'\"", "ü\n&%+"]
    assert ended(open_exec(api, "tools", ["printf", "%s|", *words])).out == "|".join(words) + "|"


def test_a_command_killed_by_a_signal_has_its_shells_code(api: client.ApiClient) -> None:
    assert ended(open_exec(api, "tools", sh("kill -9 $$"))).code == 137


def test_five_megabytes_arrive_whole(api: client.ApiClient) -> None:
    result = ended(open_exec(api, "tools", sh("head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2")))
    assert (result.code, len(result.out), set(result.out), result.err) == (0, 5_000_000, {"x"}, "end\n")


def test_input_ends_where_its_channel_is_closed(api: client.ApiClient) -> None:
    socket = open_exec(api, "tools", ["wc", "-c"], stdin=True)
    socket.write_stdin("x" * 200_000)
    socket.write_stdin(b"\xff\x00")
    socket.close_channel(0)
    assert ended(socket).out.strip() == "200002"


def test_without_input_a_command_reads_its_end_at_once(api: client.ApiClient) -> None:
    assert ended(open_exec(api, "tools", ["cat"])) == Ended(0, "", "")


def test_an_exec_lasts_as_long_as_somebody_holds_its_output(api: client.ApiClient) -> None:
    """As under containerd: the shell is gone, its child still writes."""
    result = ended(open_exec(api, "tools", sh("{ sleep 0.2; echo late; } & exit 4")))
    assert result == Ended(4, "late\n", "")


def test_a_command_goes_on_without_its_websocket(api: client.ApiClient, tmp_path: Path) -> None:
    """And learns of it by the end of its input alone."""
    script = 'echo $$ > "$1"; while read -r _; do :; done; echo over > "$2"; exec sleep 60'
    at, over = tmp_path / "pid", tmp_path / "over"
    socket = open_exec(api, "tools", sh(script, str(at), str(over)), stdin=True)
    pid = pid_of(at)
    assert not over.exists()
    socket.sock.sock.close()
    until(over.exists)
    assert alive(pid)


def test_commands_end_with_the_server(tmp_path: Path) -> None:
    at, before = tmp_path / "pid", set(threading.enumerate())
    files = set(Path("/proc/self/fd").iterdir())
    with FakeApi(LocalRuntime()) as fake, connect(fake) as api:
        fake.store.create(PODS, running_pod("tools"), namespace="default")
        socket = open_exec(
            api, "tools", sh('sh -c "echo \\$\\$ > \\"$1\\"; sleep 60" sh "$1"; true', str(at))
        )
        pid = pid_of(at)
        assert fake.running[0][:2] == ["sh", "-c"]
    socket.close()
    until(lambda: not alive(pid))
    # A request's thread and connection end by themselves, a moment later on a busy machine.
    until(lambda: set(threading.enumerate()) == before)
    until(lambda: set(Path("/proc/self/fd").iterdir()) <= files)


def test_commands_end_with_their_pod(fake: FakeApi, api: client.ApiClient, tmp_path: Path) -> None:
    at = tmp_path / "pid"
    socket = open_exec(api, "tools", sh('echo $$ > "$1"; exec sleep 60', str(at)))
    pid = pid_of(at)
    fake.store.delete(PODS, "tools", namespace="default", grace=0)
    assert ended(socket).code == 137
    until(lambda: not alive(pid))
    until(lambda: not fake.running)


def test_no_such_program_is_said_on_the_error_channel(api: client.ApiClient) -> None:
    socket = open_exec(api, "tools", ["no-such-program"])
    socket.run_forever(timeout=10)
    assert "executable file not found in $PATH" in socket.read_channel(3)


@pytest.mark.parametrize(
    ("name", "container", "message"),
    [
        ("none", "", "404 Not Found"),
        ("tools", "other", "container other is not valid for pod tools"),
        ("two", "", "a container name must be specified for pod two, choose one of: [one two]"),
        ("done", "", "cannot exec into a container in a completed pod; current phase is Succeeded"),
        ("unbound", "", "pod unbound does not have a host assigned"),
        ("pending", "", "container not found"),
    ],
)
def test_a_handshake_is_refused_where_no_command_can_run(
    fake: FakeApi, api: client.ApiClient, name: str, container: str, message: str
) -> None:
    store = fake.store
    store.create(PODS, running_pod("two", containers=("one", "two")), namespace="default")
    store.create(PODS, running_pod("done") | {"status": {"phase": "Succeeded"}}, namespace="default")
    store.create(PODS, pod("unbound"), namespace="default")
    store.create(PODS, pod("pending", node="node1"), namespace="default")
    options = {"container": container} if container else {}
    with pytest.raises(ApiException) as refused:
        open_exec(api, name, ["true"], **options)
    assert message in str(refused.value.reason)
    assert fake.commands == []


def test_a_handshake_fails_and_the_next_succeeds(fake: FakeApi, api: client.ApiClient) -> None:
    fault = fake.faults.add(("GET", r"/exec\?"), status(503))
    with pytest.raises(ApiException, match="503"):
        open_exec(api, "tools", ["true"])
    assert ended(open_exec(api, "tools", ["true"])).code == 0
    assert (fault.hits, fake.commands) == (1, [["true"]])


@pytest.mark.parametrize("limit", [{"after_bytes": 1000}, {"after_seconds": 0.05}], ids=str)
def test_an_exec_is_cut_under_way(fake: FakeApi, api: client.ApiClient, limit: dict[str, float]) -> None:
    fake.faults.add(("*", r"/exec"), cut(**limit))
    socket = open_exec(api, "tools", sh("head -c 1000 /dev/zero; exec sleep 60"))
    with pytest.raises(Exception, match=r"lost|reset|closed"):
        ended(socket)
    assert len(fake.running) == 1


def test_a_restart_cuts_execs_and_leaves_their_commands(fake: FakeApi, api: client.ApiClient) -> None:
    socket = open_exec(api, "tools", ["sleep", "60"])
    until(lambda: fake.running)
    url = fake.url
    fake.restart()
    with pytest.raises(Exception, match=r"lost|reset|closed"):
        ended(socket)
    assert fake.running == [["sleep", "60"]]
    assert fake.url == url
    with connect(fake) as again:
        assert ended(open_exec(again, "tools", ["true"])).code == 0


def test_a_command_that_is_just_beginning_outlives_its_websocket_but_not_the_server(tmp_path: Path) -> None:
    """However the start, the cut and the end fall together, no input is left open and no process."""
    script = 'echo $$ > "$1.pid"; cat; echo over > "$1"; exec sleep 60'
    for turn in range(20):
        over = tmp_path / str(turn)
        with FakeApi(LocalRuntime()) as fake, connect(fake) as api:
            fake.store.create(PODS, running_pod("tools"), namespace="default")
            socket = open_exec(api, "tools", sh(script, str(over)), stdin=True)
            fake.stop()
            if turn % 2:
                until(over.exists)
            socket.close()
    until(lambda: not [path for path in tmp_path.glob("*.pid") if alive(int(path.read_text() or 0))])


def test_many_at_once(fake: FakeApi) -> None:
    codes: list[int] = []

    def run(code: int) -> None:
        with connect(fake) as own:
            codes.append(ended(open_exec(own, "tools", sh(f"sleep 0.1; exit {code}"))).code)

    threads = [threading.Thread(target=run, args=(code,)) for code in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == list(range(20))
