"""Hiccups of a server: repeated where that is safe, reported where it is not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pytest_calico_perf.cluster.kubernetes import wire
from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, PODS
from pytest_calico_perf.errors import ApiProblem
from tests.kubernetes.fake import FakeApi, delay, drop, reset, status, truncate
from tests.kubernetes.fake.faults import Action
from tests.kubernetes.transport import api_of, endpoint_of, told, until

HICCUPS = {
    "429": status(429, retry_after=1),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "504": status(504),
    "dropped": drop(),
    "dropped after the fact": drop(done=True),
    "reset": reset(),
    "truncated": truncate(),
}
BODY = {"metadata": {"name": "one"}, "data": {"a": "1"}}


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


@pytest.mark.parametrize("hiccup", HICCUPS.values(), ids=HICCUPS)
def test_reading_is_repeated(api: Api, fake: FakeApi, hiccup: Action) -> None:
    fault = fake.faults.add(("GET", r"/pods"), hiccup, times=2)
    assert api.get(PODS, "tools", namespace="default")["metadata"]["name"] == "tools"
    assert fault.hits == 2


@pytest.mark.parametrize("hiccup", HICCUPS.values(), ids=HICCUPS)
def test_what_can_be_done_twice_is_repeated(api: Api, fake: FakeApi, hiccup: Action) -> None:
    fault = fake.faults.add(("*", r"/configmaps"), hiccup, times=1)
    assert api.apply(CONFIG_MAPS, BODY, namespace="default")["data"] == {"a": "1"}
    fake.faults.add(("PATCH", r"/configmaps"), hiccup)
    assert api.patch(CONFIG_MAPS, "one", {"data": {"a": "2"}}, namespace="default")["data"] == {"a": "2"}
    api.delete(CONFIG_MAPS, "one", namespace="default")
    assert (api.find(CONFIG_MAPS, "one", namespace="default"), fault.hits) == (None, 1)


@pytest.mark.parametrize("hiccup", HICCUPS.values(), ids=HICCUPS)
def test_a_deletion_is_repeated(api: Api, fake: FakeApi, hiccup: Action) -> None:
    api.apply(CONFIG_MAPS, BODY, namespace="default")
    fault = fake.faults.add(("DELETE", r"/configmaps"), hiccup)
    api.delete(CONFIG_MAPS, "one", namespace="default")
    assert (api.find(CONFIG_MAPS, "one", namespace="default"), fault.hits) == (None, 1)


def test_a_server_that_comes_back_is_waited_for(api: Api, fake: FakeApi) -> None:
    fake.stop()
    back = threading.Timer(0.7, fake.start)
    back.start()
    try:
        assert api.apply(CONFIG_MAPS, BODY, namespace="default")["data"] == {"a": "1"}
        assert [each["metadata"]["name"] for each in api.list(PODS)] == ["tools"]
    finally:
        back.join()


def test_patience_ends(fake: FakeApi, tmp_path: Path) -> None:
    api = api_of(fake, tmp_path, patience=0.5)
    api.version()
    fault = fake.faults.add(("GET", r"/pods"), status(503, message="etcd is away"), times=99)
    with pytest.raises(ApiProblem, match=r"cannot list pods: etcd is away .*\(3 times in 0 s\)") as problem:
        api.list(PODS)
    assert (problem.value.status, problem.value.where, fault.hits) == (503, fake.url, 3)
    api.close()


def test_a_server_that_never_answered_gets_less_patience(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_FIRST_CONTACT", 0.2)
    api = api_of(fake, tmp_path, patience=3600)
    fake.stop()
    with pytest.raises(ApiProblem, match="cannot list pods: Connection refused") as problem:
        api.list(PODS)
    assert (problem.value.status, problem.value.where) == (None, fake.url)
    fake.start()


def test_a_server_that_does_not_answer_is_given_up(fake: FakeApi, tmp_path: Path) -> None:
    api = api_of(fake, tmp_path, patience=0.5, request_seconds=0.3)
    api.version()
    fake.faults.add(("GET", r"/pods"), delay(20), times=9)
    with pytest.raises(ApiProblem, match=r"cannot list pods: no answer for 0.3 s"):
        api.list(PODS)
    with pytest.raises(ApiProblem, match=r"cannot run a command in pod default/tools: no answer in time"):
        endpoint_of(api, tmp_path).run(["true"], limit=5)
    api.close()


def test_a_name_that_does_not_resolve_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_FIRST_CONTACT", 0.0)
    api = Api(Access(kubeconfig=str(kubeconfig(tmp_path, "https://nowhere.invalid:6443"))))
    with pytest.raises(
        ApiProblem, match=r"https://nowhere\.invalid:6443: cannot list pods: .*(resolution|known)"
    ):
        api.list(PODS)


@pytest.mark.parametrize("url", ["http://[::1", "ftp://127.0.0.1", "http://127.0.0.1:notaport", ""])
def test_a_malformed_url_is_a_problem_and_no_crash(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_FIRST_CONTACT", 0.0)
    api = Api(Access(kubeconfig=str(kubeconfig(tmp_path, url))))
    with pytest.raises(ApiProblem):
        api.list(PODS)


def test_a_login_page_is_no_answer(tmp_path: Path) -> None:
    with website(200, b"<html>Log in</html>") as (url, _):
        api = Api(Access(kubeconfig=str(kubeconfig(tmp_path, url))))
        with pytest.raises(ApiProblem, match="no JSON object: <html>Log in") as problem:
            api.list(PODS)
        assert "login page" in problem.value.remedy
        with pytest.raises(ApiProblem, match="cannot run a command"):
            api.exec("default", "tools", "main", ["true"], stdin=False)
        api.close()


def test_no_other_host_gets_our_token(tmp_path: Path) -> None:
    with website(200, b"{}") as (thief, stolen), website(302, b"", location=f"{thief}/") as (url, _):
        api = Api(Access(kubeconfig=str(kubeconfig(tmp_path, url))))
        with pytest.raises(ApiProblem):
            api.list(PODS)
        with pytest.raises(ApiProblem, match=r"cannot run a command in pod default/tools: .*[Rr]edirect"):
            api.exec("default", "tools", "main", ["true"], stdin=False)
        assert [headers for headers in stolen if "authorization" in headers.lower()] == []
        api.close()


@pytest.mark.parametrize("message", ["x" * 100_000, "a\x1b[31m\nb", "<b>&amp;"])
def test_what_a_server_says_cannot_flood_or_colour_a_terminal(api: Api, fake: FakeApi, message: str) -> None:
    fake.faults.add(("GET", r"/pods"), status(404, message=message))
    with pytest.raises(ApiProblem) as problem:
        api.get(PODS, "tools", namespace="default")
    text = str(problem.value)
    assert text.isprintable()
    assert len(text) < 1000


def test_no_error_shows_a_token(fake: FakeApi, tmp_path: Path) -> None:
    api = api_of(fake, tmp_path, patience=0.0, request_seconds=0.3)
    tools = endpoint_of(api, tmp_path)
    for fault in (status(403), status(500), drop(), delay(2), status(401)):
        for act in (
            lambda: api.get(PODS, "tools", namespace="default"),
            lambda: tools.run(["true"], limit=5),
        ):
            fake.faults.clear()
            fake.faults.add(("*", "/pods"), fault, times=2)
            with pytest.raises(ApiProblem) as problem:
                act()
            assert fake.token not in told(problem.value)
    fake.faults.clear()
    fake.stop()
    for act in (lambda: api.get(PODS, "tools", namespace="default"), lambda: tools.run(["true"], limit=5)):
        with pytest.raises(ApiProblem) as problem:
            act()
        assert fake.token not in told(problem.value)
    fake.start()
    api.close()


def test_an_idle_connection_that_the_server_closed_is_not_noticed(api: Api, fake: FakeApi) -> None:
    api.apply(CONFIG_MAPS, BODY, namespace="default")
    fake.restart()
    api.apply(CONFIG_MAPS, BODY | {"metadata": {"name": "two"}}, namespace="default")
    until(lambda: len(api.list(CONFIG_MAPS, namespace="default")) >= 2)


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "elsewhere"
    document = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def website(code: int, body: bytes, *, location: str = "") -> Iterator[tuple[str, list[str]]]:
    """A server that is no API server: its URL, and the headers of all requests."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(str(self.headers))
            self.send_response(code)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
