"""One exec over a websocket, with a real command behind it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes import channel as channels
from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.channel import Channel
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.errors import ApiProblem
from tests.kubernetes import tls
from tests.kubernetes.fake import FakeApi, cut, pod, reset, running_pod, status
from tests.kubernetes.transport import until


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


@pytest.fixture(params=["v5", "v4"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both protocols: Kubernetes before 1.30 knows the older one only."""
    if request.param == "v4":
        monkeypatch.setattr(channels, "_V5", "v5.not.offered")
    return request.param


def begin(api: Api, *argv: str, stdin: bool = False) -> Channel:
    return api.exec("default", "tools", "main", argv, stdin=stdin)


def end(channel: Channel) -> Channel:
    """Read to its end."""
    with channel:
        until(lambda: channel.pump(10), limit=30)
    return channel


@pytest.mark.usefixtures("protocol")
def test_streams_and_exit_code_come_apart(api: Api) -> None:
    ended = end(begin(api, "sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (ended.exit_code, bytes(ended.stdout), bytes(ended.stderr)) == (3, b"out\n", b"err\n")


def test_words_reach_the_command_as_they_are(api: Api) -> None:
    words = ["", "a b", "$(id)", "'\"", "ü\n&%+;#", "../x"]
    assert end(begin(api, "printf", "%s|", *words)).stdout.decode() == "|".join(words) + "|"


@pytest.mark.usefixtures("protocol")
def test_five_megabytes_of_any_bytes_arrive_whole(api: Api, tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "data").write_bytes(data)
    assert end(begin(api, "cat", str(tmp_path / "data"))).stdout == data


def test_a_command_ended_by_a_signal_has_its_shells_code(api: Api) -> None:
    assert end(begin(api, "sh", "-c", "kill -9 $$")).exit_code == 137


def test_a_program_that_is_not_there_is_127_as_in_a_shell(api: Api) -> None:
    ended = end(begin(api, "no-such-program"))
    assert ended.exit_code == 127
    assert b"executable file not found" in ended.stderr


def test_standard_input_is_written_and_closed(api: Api) -> None:
    channel = begin(api, "sha256sum", stdin=True)
    data = b"\x00\xff" * 100_000
    channel.write(data)
    channel.close_stdin()
    channel.close_stdin()
    assert end(channel).stdout.decode().split()[0] == hashlib.sha256(data).hexdigest()


def test_on_v4_closing_standard_input_drops_the_connection(
    api: Api, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_V5", "v5.not.offered")
    channel = begin(api, "sh", "-c", "read -r line; sleep 0.1", stdin=True)
    channel.close_stdin()
    with pytest.raises(ApiProblem, match="closed"):
        channel.pump(5)
    until(lambda: not fake.running)


def test_waiting_ends_with_its_time(api: Api) -> None:
    with begin(api, "sleep", "60") as channel:
        assert not channel.pump(0)
        assert not channel.pump(0.05)
        assert (channel.exit_code, bytes(channel.stdout)) == (None, b"")


def test_output_comes_as_it_is_said(api: Api) -> None:
    with begin(api, "sh", "-c", "echo ready; read -r line; echo got $line", stdin=True) as channel:
        until(lambda: channel.pump(5) or b"ready" in channel.stdout)
        assert channel.exit_code is None
        channel.write(b"this\n")
        assert end(channel).stdout == b"ready\ngot this\n"


def test_a_quiet_connection_is_kept_alive(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the answers not counted, or the pings wrong, it would be cut."""
    monkeypatch.setattr(channels, "_BEAT", 0.02)
    assert end(begin(api, "sleep", "0.5")).exit_code == 0


def test_a_connection_that_died_without_a_word_is_noticed(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_BEAT", 0.05)
    dead = threading.Event()
    with tls.relay(fake.url, dead) as url:
        path = fake.kubeconfig(tmp_path / "kubeconfig")
        path.write_text(path.read_text().replace(fake.url, url))
        api = Api(Access(kubeconfig=str(path)), request_seconds=5)
        with begin(api, "sh", "-c", "echo ready; sleep 60") as channel:
            until(lambda: channel.pump(5) or channel.stdout)
            dead.set()
            with pytest.raises(ApiProblem, match="the connection to the pod default/tools is dead"):
                until(lambda: channel.pump(5))
        api.close()


def test_a_flood_does_not_hide_the_deadline(api: Api) -> None:
    with begin(api, "timeout", "20", "yes") as channel:
        for _ in range(5):
            assert not channel.pump(1)
        assert len(channel.stdout) > 0


@pytest.mark.parametrize(
    "fault", [cut(after_bytes=3), cut(after_bytes=100_000), cut(after_seconds=0.1)], ids=str
)
def test_a_cut_connection_is_told_and_names_the_pod(api: Api, fake: FakeApi, fault: object) -> None:
    fake.faults.add(("GET", "/exec"), fault)
    with pytest.raises(ApiProblem, match="the connection to the pod default/tools was cut"):
        end(begin(api, "sh", "-c", "head -c 200000 /dev/zero; sleep 60"))


def test_a_server_that_stops_cuts_the_connection(api: Api, fake: FakeApi) -> None:
    channel = begin(api, "sh", "-c", "echo ready; sleep 2")
    until(lambda: channel.pump(5) or channel.stdout)
    fake.restart()
    with pytest.raises(ApiProblem, match="was cut"):
        end(channel)


def test_a_status_cut_in_two_is_no_end(api: Api) -> None:
    """A server may send it in pieces; without its end, nobody knows how the command ended."""
    with begin(api, "true") as channel:
        channel._sort(3, b'{"status": "Suc')
        assert channel.exit_code is None
        channel._sort(3, b'cess"}')
        assert channel.exit_code == 0


def test_a_hiccup_of_the_handshake_is_repeated(api: Api, fake: FakeApi) -> None:
    for hiccup in (status(429, retry_after=1), status(500), status(503), reset()):
        fault = fake.faults.add(("GET", "/exec"), hiccup)
        assert (end(begin(api, "echo", "x")).exit_code, fault.hits) == (0, 1)


def test_a_pod_that_is_gone_is_told_in_the_words_of_kubectl(api: Api) -> None:
    with pytest.raises(ApiProblem, match=r'pods "gone" not found \(NotFound\)') as problem:
        api.exec("default", "gone", "main", ["true"], stdin=False)
    assert problem.value.status == 404


def test_a_container_that_is_not_there_is_told(api: Api, fake: FakeApi) -> None:
    with pytest.raises(ApiProblem, match="container other is not valid for pod tools"):
        api.exec("default", "tools", "other", ["true"], stdin=False)
    fake.runtime = None
    with pytest.raises(ApiProblem, match=r'container not found \("main"\)'):
        api.exec("default", "tools", "main", ["true"], stdin=False)


def test_a_pod_that_does_not_run_is_told(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("pending"), namespace="default")
    with pytest.raises(ApiProblem, match=r"pending.*does not have a host assigned"):
        api.exec("default", "pending", "main", ["true"], stdin=False)
    fake.store.create(PODS, running_pod("done") | {"status": {"phase": "Succeeded"}}, namespace="default")
    with pytest.raises(ApiProblem, match="completed pod"):
        api.exec("default", "done", "main", ["true"], stdin=False)


def test_a_failure_to_begin_that_comes_on_the_error_channel_is_told(api: Api) -> None:
    """So does an API server that translates websockets itself, since 1.30."""
    said = b'{"status":"Failure","message":"Internal error occurred: error dialing backend","code":500}'
    with begin(api, "true") as channel, pytest.raises(ApiProblem, match="error dialing backend") as problem:
        channel._sort(3, said)
    assert (problem.value.status, problem.value.where) == (500, "pod default/tools")


def test_exec_without_permission_is_told(api: Api, fake: FakeApi) -> None:
    fake.rbac.rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    with pytest.raises(ApiProblem, match="not allowed to run a command in pod default/tools") as problem:
        begin(api, "true")
    assert (problem.value.status, "docs/rbac.yaml" in problem.value.remedy) == (403, True)


def test_closing_wakes_whoever_waits(api: Api, fake: FakeApi) -> None:
    channel = begin(api, "sh", "-c", "read -r line", stdin=True)
    problems: list[ApiProblem] = []

    def wait() -> None:
        try:
            channel.pump(30)
        except ApiProblem as problem:
            problems.append(problem)

    waiting = threading.Thread(target=wait)
    waiting.start()
    channel.close()
    waiting.join(10)
    channel.close()
    assert not waiting.is_alive()
    assert ["was closed" in problem.what for problem in problems] == [True]
    with pytest.raises(ApiProblem, match="was closed"):
        channel.write(b"x")
    until(lambda: not fake.running)


def test_over_tls_two_threads_write_and_read_at_once(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url:
        path = fake.kubeconfig(tmp_path / "kubeconfig")
        path.write_text(
            path.read_text().replace(
                f"server: {fake.url}", f"server: {url}\n    certificate-authority: {files.ca}"
            )
        )
        api = Api(Access(kubeconfig=str(path)), request_seconds=5)
        data = bytes(range(256)) * 8_000
        with begin(api, "cat", stdin=True) as channel:

            def write() -> None:
                channel.write(data)
                channel.close_stdin()

            writing = threading.Thread(target=write)
            writing.start()
            assert end(channel).stdout == data
            writing.join()
        api.close()
