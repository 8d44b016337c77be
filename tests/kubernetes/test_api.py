"""What the API client asks of a server, and what it makes of the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from pytest_calico_perf.cluster.kubernetes import watching
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.ours import MANAGER
from pytest_calico_perf.cluster.kubernetes.resource import CONFIG_MAPS, NAMESPACES, NODES, PODS, Resource
from pytest_calico_perf.errors import ApiProblem
from tests.kubernetes.fake import FakeApi, LocalRuntime, node, pod, running_pod, status
from tests.kubernetes.transport import api_of, endpoint_of

POOLS = Resource("crd.projectcalico.org", "v1", "ippools", "IPPool", namespaced=False)


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi(LocalRuntime()) as server:
        server.register("crd.projectcalico.org", "v1", "ippools", "IPPool")
        yield server


@pytest.fixture
def api(fake: FakeApi, tmp_path: Path) -> Iterator[Api]:
    one = api_of(fake, tmp_path)
    yield one
    one.close()


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def names(objects: list) -> list[str]:
    return [each["metadata"]["name"] for each in objects]


def test_objects_are_made_found_changed_and_deleted(api: Api) -> None:
    made = api.apply(CONFIG_MAPS, config_map("one", a="1"), namespace="default")
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"a": "1"})
    changed = api.patch(CONFIG_MAPS, "one", {"data": {"a": None, "b": "2"}}, namespace="default")
    assert changed["data"] == {"b": "2"}
    assert api.get(CONFIG_MAPS, "one", namespace="default")["data"] == {"b": "2"}
    assert api.delete(CONFIG_MAPS, "one", namespace="default")
    assert api.find(CONFIG_MAPS, "one", namespace="default") is None
    assert not api.delete(CONFIG_MAPS, "one", namespace="default")


def test_applying_makes_or_changes_under_our_name(api: Api) -> None:
    body = MappingProxyType(config_map("one", a="1"))
    first = api.apply(CONFIG_MAPS, body, namespace="default")
    second = api.apply(CONFIG_MAPS, config_map("one", a="2"), namespace="default")
    assert (second["data"], second["metadata"]["uid"]) == ({"a": "2"}, first["metadata"]["uid"])
    assert {each["manager"] for each in second["metadata"]["managedFields"]} == {MANAGER}


def test_getting_what_is_not_there_says_so_in_the_words_of_kubectl(api: Api, fake: FakeApi) -> None:
    with pytest.raises(ApiProblem, match=r'pods "web" not found \(NotFound\)') as problem:
        api.get(PODS, "web", namespace="default")
    assert (problem.value.status, problem.value.where) == (404, fake.url)


def test_a_name_is_never_a_path(api: Api, fake: FakeApi) -> None:
    assert api.find(PODS, "../secrets/x?watch=1", namespace="default") is None
    assert fake.requests[-1].name == "../secrets/x?watch=1"


def test_lists_are_narrowed_by_selectors_and_namespace(api: Api, fake: FakeApi) -> None:
    for name, labels in (("one", {"role": "a"}), ("two", {"role": "b"}), ("three", {"role": "a"})):
        api.apply(CONFIG_MAPS, config_map(name, labels=labels), namespace="default")
    assert sorted(names(api.list(CONFIG_MAPS, namespace="default", labels="role=a"))) == ["one", "three"]
    fake.store.create(NODES, node("node1"))
    fake.store.create(PODS, running_pod("web", node="node1"), namespace="default")
    fake.store.create(PODS, running_pod("other", node="node2"), namespace="kube-system")
    assert names(api.list(PODS, fields="spec.nodeName=node1")) == ["web"]
    assert sorted(names(api.list(PODS))) == ["other", "web"]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAGE", 2)


@pytest.mark.usefixtures("small_pages")
def test_long_lists_come_in_pages(api: Api, fake: FakeApi) -> None:
    for number in range(5):
        api.apply(CONFIG_MAPS, config_map(f"c{number}"), namespace="default")
    before = len(fake.requests)
    found = names(api.list(CONFIG_MAPS, namespace="default"))
    assert (sorted(found), len(fake.requests) - before) == ([f"c{number}" for number in range(5)], 3)


@pytest.mark.usefixtures("small_pages")
def test_a_list_whose_next_page_is_forgotten_begins_anew(api: Api, fake: FakeApi) -> None:
    for number in range(5):
        api.apply(CONFIG_MAPS, config_map(f"c{number}"), namespace="default")
    forgotten = fake.faults.add(("GET", r"/configmaps\?.*continue="), status(410), skip=1)
    found = names(api.list(CONFIG_MAPS, namespace="default"))
    assert (sorted(found), forgotten.hits) == ([f"c{number}" for number in range(5)], 1)


def test_an_object_of_another_uid_is_left_alone(api: Api) -> None:
    made = api.apply(CONFIG_MAPS, config_map("one"), namespace="default")
    assert not api.delete(CONFIG_MAPS, "one", namespace="default", uid="00000000-not-it")
    assert api.find(CONFIG_MAPS, "one", namespace="default")
    assert api.delete(CONFIG_MAPS, "one", namespace="default", uid=made["metadata"]["uid"])


def test_what_is_being_deleted_already_may_be_deleted_again(api: Api, fake: FakeApi) -> None:
    fake.store.create(NAMESPACES, {"metadata": {"name": "perf", "finalizers": ["example.org/wait"]}})
    assert api.delete(NAMESPACES, "perf")
    assert api.get(NAMESPACES, "perf")["metadata"]["deletionTimestamp"]
    fake.faults.add(
        ("DELETE", r"/namespaces/perf"),
        status(409, message="The system is ensuring all content is removed from this namespace."),
    )
    assert api.delete(NAMESPACES, "perf")
    fake.store.patch(NAMESPACES, "perf", {"metadata": {"finalizers": None}})


def test_a_refused_deletion_is_told(api: Api, fake: FakeApi) -> None:
    api.apply(POOLS, {"metadata": {"name": "p"}, "spec": {}})
    fake.faults.add(("DELETE", r"/ippools/p"), status(409, message="still in use"))
    with pytest.raises(ApiProblem, match=r"cannot delete ippools.crd.projectcalico.org p: still in use"):
        api.delete(POOLS, "p")


def test_discovery_tells_what_is_served(api: Api) -> None:
    assert "pods" in api.serves("", "v1")
    assert not any("/" in plural for plural in api.serves("", "v1"))
    assert api.serves("crd.projectcalico.org", "v1") == {"ippools"}
    assert api.serves("projectcalico.org", "v3") == frozenset()
    assert api.version().startswith("v1.")


def test_a_kind_that_is_not_served_is_not_found(api: Api) -> None:
    assert api.find(Resource("example.org", "v1", "things", "Thing"), "x", namespace="default") is None


def test_permission_is_asked_for_and_its_lack_names_the_verb_and_the_remedy(api: Api, fake: FakeApi) -> None:
    fake.rbac.rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    assert api.allowed("get", PODS, namespace="default")
    assert not api.allowed("create", PODS, namespace="default")
    assert not api.allowed("create", PODS, namespace="default", subresource="exec")
    with pytest.raises(ApiProblem, match=r"not allowed to list nodes: .*cannot list") as problem:
        api.list(NODES)
    assert (problem.value.status, "docs/rbac.yaml" in problem.value.remedy) == (403, True)


def test_a_refusal_by_admission_is_not_taken_for_a_lack_of_permission(api: Api, fake: FakeApi) -> None:
    said = 'pods "web" is forbidden: exceeded quota: small, requested: pods=1'
    fake.faults.add(("PATCH", r"/pods"), status(403, reason="Forbidden", message=said))
    with pytest.raises(ApiProblem, match=r"cannot apply pods web in default: .*exceeded quota") as problem:
        api.apply(PODS, pod("web"), namespace="default")
    assert problem.value.remedy == ""


def test_threads_share_one_client(api: Api, fake: FakeApi, tmp_path: Path) -> None:
    fake.store.create(PODS, running_pod("tools"), namespace="default")
    tools = endpoint_of(api, tmp_path)
    failures: list[object] = []

    def read() -> None:
        for _ in range(30):
            found = api.list(PODS, namespace="default")
            if names(found) != ["tools"]:
                failures.append(found)

    def run(word: str) -> None:
        for _ in range(15):
            result = tools.run(["echo", word], limit=10)
            if (result.exit_code, result.stdout) != (0, f"{word}\n"):
                failures.append(result)

    threads = [threading.Thread(target=read) for _ in range(4)]
    threads += [threading.Thread(target=run, args=(f"word{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (failures, any(thread.is_alive() for thread in threads)) == ([], False)
