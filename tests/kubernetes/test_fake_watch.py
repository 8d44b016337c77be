"""Watches of the fake, read by the real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from kubernetes import client, watch
from kubernetes.client import ApiException

from tests.kubernetes.fake import FakeApi, cut, gone, pod, status
from tests.kubernetes.fake.clients import connect

PODS = ("", "v1", "pods")


@pytest.fixture
def core(fake: FakeApi) -> Iterator[client.CoreV1Api]:
    with connect(fake) as one:
        yield client.CoreV1Api(one)


def create(fake: FakeApi, name: str, **metadata: object) -> str:
    """A pod; returns its version."""
    return fake.store.create(PODS, pod(name, **metadata), namespace="default")["metadata"]["resourceVersion"]


def events(core: client.CoreV1Api, seconds: int = 1, **options: object) -> list[tuple[str, str]]:
    stream = watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=seconds, **options)
    return [(event["type"], event["object"].metadata.name) for event in stream]


def test_it_begins_with_what_is_there_and_ends_in_time(fake: FakeApi, core: client.CoreV1Api) -> None:
    create(fake, "there")
    later = threading.Timer(0.2, create, (fake, "later"))
    later.start()
    assert events(core) == [("ADDED", "there"), ("ADDED", "later")]
    later.join()


def test_it_tells_what_came_after_a_version(fake: FakeApi, core: client.CoreV1Api) -> None:
    create(fake, "before")
    version = core.list_namespaced_pod("default").metadata.resource_version
    create(fake, "one")
    fake.store.patch(PODS, "one", {"metadata": {"labels": {"a": "1"}}}, namespace="default")
    fake.store.delete(PODS, "one", namespace="default")
    fake.store.create(("", "v1", "configmaps"), {"metadata": {"name": "other"}}, namespace="default")
    fake.store.create(PODS, pod("elsewhere"), namespace="kube-system")
    assert events(core, resource_version=version) == [
        ("ADDED", "one"),
        ("MODIFIED", "one"),
        ("DELETED", "one"),
    ]


def test_an_object_that_stops_to_match_is_deleted_to_it(fake: FakeApi, core: client.CoreV1Api) -> None:
    version = create(fake, "web")
    for label in ("yes", "no", "yes"):
        fake.store.patch(PODS, "web", {"metadata": {"labels": {"mine": label}}}, namespace="default")
    told = events(core, resource_version=version, label_selector="mine=yes")
    assert told == [("ADDED", "web"), ("DELETED", "web"), ("ADDED", "web")]


def test_too_old_a_version_is_gone_in_stream(fake: FakeApi, core: client.CoreV1Api) -> None:
    version = create(fake, "one")
    create(fake, "two")
    fake.store.compact()
    with pytest.raises(ApiException, match="Expired: too old resource version") as refused:
        events(core, resource_version=version)
    assert refused.value.status == 410


def test_gone_by_fault_in_stream_and_outright(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.faults.add(("GET", r"watch=true"), gone())
    fake.faults.add(("GET", r"watch=true"), status(410))
    for _ in range(2):
        with pytest.raises(ApiException) as refused:
            events(core)
        assert refused.value.status == 410
    assert events(core) == []


def test_a_watch_is_cut_after_an_event(fake: FakeApi, core: client.CoreV1Api) -> None:
    create(fake, "one")
    create(fake, "two")
    fake.faults.add(("GET", r"watch=true"), cut(after_events=1))
    stream = watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=5)
    assert next(stream)["object"].metadata.name == "one"
    with pytest.raises(Exception, match=r"broken|reset|ended prematurely|IncompleteRead"):
        next(stream)


def test_the_end_of_the_server_ends_its_watches() -> None:
    with FakeApi() as fake, connect(fake) as api:
        answer = client.CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
        fake.store.create(PODS, pod("web"), namespace="default")
        line = answer.readline() if hasattr(answer, "readline") else next(answer.stream())
        assert json.loads(line)["object"]["metadata"]["name"] == "web"
    with pytest.raises(Exception, match=r"broken|reset|closed|IncompleteRead"):
        list(answer.stream())
