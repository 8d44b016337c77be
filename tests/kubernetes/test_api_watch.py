"""Waiting for objects: by watches that may break in every way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes import watching
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.resource import PODS, Json
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.parsing import lookup
from tests.kubernetes.fake import FakeApi, cut, delay, drop, gone, pod, running_pod, status
from tests.kubernetes.fake.faults import Action
from tests.kubernetes.transport import api_of, until


@pytest.fixture
def api(fake: FakeApi, tmp_path: Path) -> Iterator[Api]:
    one = api_of(fake, tmp_path)
    yield one
    one.close()


def watches(fake: FakeApi) -> int:
    return sum(request.verb == "watch" for request in fake.requests)


def running(pods: list[Json]) -> str | None:
    """The name of a pod that runs."""
    for each in pods:
        if lookup(each, "status", "phase") == "Running":
            return str(lookup(each, "metadata", "name"))
    return None


class Waiting:
    """A wait in a thread of its own, so that a test can change the world meanwhile."""

    def __init__(self, api: Api, fake: FakeApi, **selection: str) -> None:
        self.result: object = "still waiting"
        self._before = watches(fake)
        self._fake = fake
        self._thread = threading.Thread(target=self._wait, args=(api,), kwargs=selection)
        self._thread.start()

    def _wait(self, api: Api, **selection: str) -> None:
        try:
            self.result = api.wait_for(PODS, running, namespace="default", deadline=20, **selection)
        except ApiProblem as problem:
            self.result = problem

    def until_watching(self, times: int = 1) -> None:
        until(lambda: watches(self._fake) >= self._before + times)

    def end(self) -> object:
        self._thread.join(30)
        return self.result


def test_what_is_there_already_ends_it_without_a_watch(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, running_pod("web"), namespace="default")
    assert api.wait_for(PODS, running, namespace="default", deadline=5) == "web"
    assert watches(fake) == 0


def test_a_change_ends_it(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.store.create(PODS, running_pod("elsewhere"), namespace="kube-system")
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    assert (waiting.end(), watches(fake)) == ("web", 1)


def test_only_what_the_selectors_match_counts(api: Api, fake: FakeApi) -> None:
    waiting = Waiting(api, fake, labels="role=server")
    waiting.until_watching()
    fake.store.create(PODS, running_pod("client", labels={"role": "client"}), namespace="default")
    fake.store.create(PODS, running_pod("server", labels={"role": "server"}), namespace="default")
    assert waiting.end() == "server"


def test_deleted_objects_leave_the_list(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    seen: list[list[str]] = []
    ready = threading.Event()

    def none_left(pods: list[Json]) -> bool | None:
        seen.append([str(lookup(each, "metadata", "name")) for each in pods])
        ready.set()
        return True if not pods else None

    def delete() -> None:
        ready.wait(10)
        api.delete(PODS, "web", namespace="default")

    deleting = threading.Thread(target=delete)
    deleting.start()
    assert api.wait_for(PODS, none_left, namespace="default", deadline=20) is True
    deleting.join()
    assert (seen[0], seen[-1]) == (["web"], [])


def test_nothing_is_returned_at_the_deadline(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    assert api.wait_for(PODS, running, namespace="default", deadline=0.3) is None
    assert api.wait_for(PODS, running, namespace="default", deadline=0) is None


def test_a_false_answer_is_an_answer(api: Api) -> None:
    assert api.wait_for(PODS, len, namespace="default", deadline=5) == 0


BREAKS = {
    "410 in the stream": gone(),
    "410 as status": status(410),
    "dropped": drop(),
    "500": status(500),
    "429": status(429, retry_after=1),
    "cut before an event": cut(after_seconds=0.1),
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_a_watch_that_breaks_is_begun_anew(api: Api, fake: FakeApi, broken: Action) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    fault = fake.faults.add(("GET", r"/pods\?.*watch=true"), broken, times=2)
    waiting = Waiting(api, fake)
    until(lambda: fault.hits == 2)
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    assert waiting.end() == "web"


def test_a_change_while_no_watch_is_there_is_seen(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    fake.faults.add(("GET", r"/pods\?.*watch=true"), cut(after_events=1))
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.store.create(PODS, pod("other"), namespace="default")
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    assert waiting.end() == "web"


def test_a_watch_that_died_without_a_word_is_noticed(
    api: Api, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LONGEST_WATCH", 0.2)
    monkeypatch.setattr(watching, "_SLACK", 0.1)
    fake.store.create(PODS, pod("web"), namespace="default")
    fake.faults.add(("GET", r"/pods\?.*watch=true"), delay(60))
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    assert waiting.end() == "web"


def test_a_restart_of_the_server_is_survived(api: Api, fake: FakeApi) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.stop()
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    fake.start()
    assert waiting.end() == "web"


def test_a_server_that_stays_away_is_told(fake: FakeApi, tmp_path: Path) -> None:
    api = api_of(fake, tmp_path, patience=0.3)
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.stop()
    problem = waiting.end()
    assert isinstance(problem, ApiProblem)
    assert "cannot list pods in default" in problem.what
    fake.start()
    api.close()


def test_a_watch_that_is_forbidden_is_told(api: Api, fake: FakeApi) -> None:
    fake.rbac.rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    with pytest.raises(ApiProblem, match="cannot watch") as problem:
        api.wait_for(PODS, running, namespace="default", deadline=5)
    assert problem.value.status == 403


def test_credentials_renewed_while_waiting(api: Api, fake: FakeApi, tmp_path: Path) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    fake.faults.add(("GET", r"/pods\?.*watch=true"), cut(after_seconds=0.1))
    waiting = Waiting(api, fake)
    waiting.until_watching()
    fake.expire_token()
    fake.kubeconfig(tmp_path / "kubeconfig")
    fake.store.patch(PODS, "web", {"status": {"phase": "Running"}}, namespace="default")
    assert waiting.end() == "web"
