"""The fake API server speaks as a real one does, to the real client: objects and their ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from kubernetes import client, dynamic
from kubernetes.client import ApiException

from tests.kubernetes.fake import FakeApi, Refused, node, pod, running_pod
from tests.kubernetes.fake.clients import connect

PODS = ("", "v1", "pods")
NODES = ("", "v1", "nodes")
POOLS = ("crd.projectcalico.org", "v1", "ippools")
POOL = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool"}


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as server:
        server.register(*POOLS, "IPPool")
        yield server


@pytest.fixture
def api(fake: FakeApi) -> Iterator[client.ApiClient]:
    with connect(fake) as one:
        yield one


@pytest.fixture
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture
def custom(api: client.ApiClient) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(api)


def names(items: object) -> list[str]:
    return [item.metadata.name for item in items.items]


def code(refused: pytest.ExceptionInfo[ApiException]) -> int:
    return refused.value.status


def test_the_models_of_the_client_accept_pods_and_nodes(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.store.create(NODES, node("node1", address="198.18.0.7", pod_range="198.18.64.0/24"))
    fake.store.create(PODS, running_pod("web", address="198.18.64.2"), namespace="default")
    [shown] = core.list_node().items
    assert shown.status.addresses[0].address == "198.18.0.7"
    assert shown.status.node_info.architecture == "amd64"
    web = core.read_namespaced_pod("web", "default")
    assert (web.status.phase, web.status.pod_ip, web.kind) == ("Running", "198.18.64.2", "Pod")
    assert re.fullmatch(r"\d+", web.metadata.resource_version)
    assert core.list_pod_for_all_namespaces().items[0].kind is None


def test_create_answers_201_with_identity_and_defaults(core: client.CoreV1Api) -> None:
    made, status, _ = core.create_namespaced_pod_with_http_info("default", pod("web"))
    assert status == 201
    assert made.metadata.uid
    assert made.metadata.creation_timestamp
    assert (made.status.phase, made.spec.restart_policy) == ("Pending", "Always")


def test_custom_objects_come_and_go(fake: FakeApi, custom: client.CustomObjectsApi) -> None:
    body = POOL | {"metadata": {"name": "one"}, "spec": {"cidr": "198.19.0.0/24"}}
    made = custom.create_cluster_custom_object(*POOLS, body)
    assert made["metadata"]["generation"] == 1
    changed = custom.patch_cluster_custom_object(*POOLS, "one", {"spec": {"disabled": True}})
    assert changed["spec"] == {"cidr": "198.19.0.0/24", "disabled": True}
    assert changed["metadata"]["generation"] == 2
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert custom.delete_cluster_custom_object(*POOLS, "one")["status"] == "Success"
    assert fake.store.find(POOLS, "one") is None


REFUSALS = {
    "no such pod": (lambda core: core.read_namespaced_pod("none", "default"), 404, "NotFound"),
    "the name is taken": (
        lambda core: core.create_namespace({"metadata": {"name": "default"}}),
        409,
        "AlreadyExists",
    ),
    "no such namespace": (lambda core: core.create_namespaced_pod("nowhere", pod("web")), 404, "NotFound"),
    "no name": (lambda core: core.create_namespaced_pod("default", pod("No_Name")), 422, "Invalid"),
    "no container": (
        lambda core: core.create_namespaced_pod("default", pod("web", containers=())),
        422,
        "Invalid",
    ),
    "no label": (
        lambda core: core.create_namespaced_pod("default", pod("web", labels={"a": "b c"})),
        422,
        "Invalid",
    ),
    "labels": (lambda core: core.list_namespaced_pod("default", label_selector="a in b"), 400, "BadRequest"),
    "fields": (
        lambda core: core.list_namespaced_pod("default", field_selector="spec.volumes=x"),
        400,
        "BadRequest",
    ),
    "token": (lambda core: core.list_namespaced_pod("default", _continue="nonsense"), 400, "BadRequest"),
    "nothing to delete": (lambda core: core.delete_namespaced_pod("none", "default"), 404, "NotFound"),
}


@pytest.mark.parametrize(("provoke", "status", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_are_statuses(core: client.CoreV1Api, provoke: object, status: int, reason: str) -> None:
    with pytest.raises(ApiException) as refused:
        provoke(core)
    assert code(refused) == status
    assert f'"reason": "{reason}"' in refused.value.body


def test_a_group_that_is_not_served_is_a_page_not_found(custom: client.CustomObjectsApi) -> None:
    with pytest.raises(ApiException) as refused:
        custom.list_cluster_custom_object("projectcalico.org", "v3", "ippools")
    assert code(refused) == 404
    assert refused.value.body == "404 page not found\n"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", ["a", "b", "c"]),
        ("tier=front", ["a"]),
        ("tier==front", ["a"]),
        ("tier!=front", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier in (front, back)", ["a", "b"]),
        ("tier notin (front)", ["b", "c"]),
        ("tier in (front,back),example.com/zone=one", ["b"]),
    ],
)
def test_label_selectors(fake: FakeApi, core: client.CoreV1Api, selector: str, found: list[str]) -> None:
    for name, labels in {
        "a": {"tier": "front"},
        "b": {"tier": "back", "example.com/zone": "one"},
        "c": {},
    }.items():
        fake.store.create(PODS, pod(name, labels=labels), namespace="default")
    assert names(core.list_namespaced_pod("default", label_selector=selector)) == found


def test_field_selectors(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.store.create(PODS, running_pod("here", node="node1"), namespace="default")
    fake.store.create(PODS, running_pod("there", node="node2"), namespace="kube-system")
    fake.store.create(PODS, pod("waiting"), namespace="default")
    everywhere = core.list_pod_for_all_namespaces
    assert names(everywhere(field_selector="spec.nodeName=node2")) == ["there"]
    assert names(everywhere(field_selector="status.phase!=Running")) == ["waiting"]
    assert names(everywhere(field_selector="metadata.namespace=default,metadata.name=here")) == ["here"]


def test_lists_come_in_pages_until_their_version_is_compacted(fake: FakeApi, core: client.CoreV1Api) -> None:
    for name in "abcde":
        fake.store.create(PODS, pod(name), namespace="default")
    first = core.list_namespaced_pod("default", limit=2)
    assert (names(first), first.metadata.remaining_item_count) == (["a", "b"], 3)
    second = core.list_namespaced_pod("default", limit=2, _continue=first.metadata._continue)
    assert names(second) == ["c", "d"]
    fake.store.create(PODS, pod("f"), namespace="default")
    fake.store.compact()
    with pytest.raises(ApiException) as refused:
        core.list_namespaced_pod("default", limit=2, _continue=second.metadata._continue)
    assert code(refused) == 410


def test_patches_by_their_kind(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.store.create(PODS, pod("web", containers=("one", "two"), labels={"a": "1"}), namespace="default")
    strategic = {
        "spec": {"containers": [{"name": "two", "image": "other:2"}]},
        "metadata": {"labels": {"a": None}},
    }
    shown = core.patch_namespaced_pod(
        "web", "default", strategic, _content_type="application/strategic-merge-patch+json"
    )
    assert [container.image for container in shown.spec.containers] == ["registry.example/tools:1", "other:2"]
    assert not shown.metadata.labels
    steps = [
        {"op": "add", "path": "/metadata/labels", "value": {"x.y/z": "1"}},
        {"op": "replace", "path": "/metadata/labels/x.y~1z", "value": "2"},
    ]
    shown = core.patch_namespaced_pod("web", "default", steps, _content_type="application/json-patch+json")
    assert shown.metadata.labels == {"x.y/z": "2"}
    with pytest.raises(ApiException) as refused:
        test = [{"op": "test", "path": "/metadata/labels/x.y~1z", "value": "3"}]
        core.patch_namespaced_pod("web", "default", test, _content_type="application/json-patch+json")
    assert code(refused) == 422


def test_custom_resources_know_no_strategic_patch(fake: FakeApi, custom: client.CustomObjectsApi) -> None:
    fake.store.create(POOLS, {"metadata": {"name": "one"}})
    with pytest.raises(ApiException) as refused:
        custom.patch_cluster_custom_object(
            *POOLS, "one", {}, _content_type="application/strategic-merge-patch+json"
        )
    assert code(refused) == 415


def test_a_replace_from_an_old_version_is_a_conflict(fake: FakeApi, custom: client.CustomObjectsApi) -> None:
    old = fake.store.create(POOLS, {"metadata": {"name": "one"}, "spec": {"cidr": "198.19.0.0/24"}})
    fake.store.patch(POOLS, "one", {"spec": {"disabled": True}})
    with pytest.raises(ApiException) as refused:
        custom.replace_cluster_custom_object(*POOLS, "one", old)
    assert code(refused) == 409
    now = fake.store.get(POOLS, "one")
    assert custom.replace_cluster_custom_object(*POOLS, "one", now | {"spec": {}})["spec"] == {}


def test_status_is_written_by_its_subresource_alone(fake: FakeApi, core: client.CoreV1Api) -> None:
    core.create_namespaced_pod("default", pod("web") | {"status": {"phase": "Running"}})
    core.patch_namespaced_pod("web", "default", {"status": {"phase": "Running"}})
    assert fake.store.get(PODS, "web", namespace="default")["status"]["phase"] == "Pending"
    patch = {"status": {"phase": "Running"}, "metadata": {"labels": {"a": "1"}}}
    shown = core.patch_namespaced_pod_status("web", "default", patch)
    assert (shown.status.phase, shown.metadata.labels) == ("Running", None)


def test_a_dry_run_changes_nothing(fake: FakeApi, core: client.CoreV1Api) -> None:
    assert core.create_namespaced_pod("default", pod("web"), dry_run="All").metadata.name == "web"
    assert fake.store.find(PODS, "web", namespace="default") is None
    fake.store.create(PODS, pod("web"), namespace="default")
    core.patch_namespaced_pod("web", "default", {"metadata": {"labels": {"a": "1"}}}, dry_run="All")
    core.delete_namespaced_pod("web", "default", dry_run="All")
    assert "labels" not in fake.store.get(PODS, "web", namespace="default")["metadata"]


def test_a_patch_that_changes_nothing_makes_no_new_version(
    fake: FakeApi, custom: client.CustomObjectsApi
) -> None:
    made = fake.store.create(POOLS, {"metadata": {"name": "one"}, "spec": {"disabled": True}})
    same = custom.patch_cluster_custom_object(*POOLS, "one", {"spec": {"disabled": True}})
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generated_names_differ(core: client.CoreV1Api) -> None:
    body = pod("") | {"metadata": {"generateName": "web-"}}
    made = {core.create_namespaced_pod("default", body).metadata.name for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch(r"web-[a-z0-9]{5}", name) for name in made)


def test_delete_spares_another_object_of_the_same_name(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.store.create(PODS, pod("web"), namespace="default")
    with pytest.raises(ApiException) as refused:
        core.delete_namespaced_pod("web", "default", body={"preconditions": {"uid": "another"}})
    assert code(refused) == 409
    uid = fake.store.get(PODS, "web", namespace="default")["metadata"]["uid"]
    core.delete_namespaced_pod("web", "default", body={"preconditions": {"uid": uid}})
    assert fake.store.find(PODS, "web", namespace="default") is None


def test_a_finalizer_holds_a_deleted_object(fake: FakeApi, custom: client.CustomObjectsApi) -> None:
    fake.store.create(POOLS, {"metadata": {"name": "one", "finalizers": ["example.com/blocks"]}})
    held = custom.delete_cluster_custom_object(*POOLS, "one")
    assert held["metadata"]["deletionTimestamp"]
    with pytest.raises(ApiException, match="no new finalizers can be added if the object is being deleted"):
        custom.patch_cluster_custom_object(*POOLS, "one", {"metadata": {"finalizers": ["example.com/late"]}})
    custom.patch_cluster_custom_object(*POOLS, "one", {"metadata": {"finalizers": None}})
    assert fake.store.find(POOLS, "one") is None


def test_a_pod_on_a_node_waits_for_its_kubelet(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.graceful = True
    fake.store.create(PODS, running_pod("web"), namespace="default")
    fake.store.create(PODS, pod("waiting"), namespace="default")
    assert core.delete_namespaced_pod("web", "default").metadata.deletion_grace_period_seconds == 30
    core.delete_namespaced_pod("waiting", "default")
    assert names(core.list_namespaced_pod("default")) == ["web"]
    core.delete_namespaced_pod("web", "default", grace_period_seconds=0)
    assert names(core.list_namespaced_pod("default")) == []


def test_a_namespace_goes_after_its_content(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.graceful = True
    core.create_namespace({"metadata": {"name": "perf"}})
    fake.store.create(PODS, running_pod("web"), namespace="perf")
    core.create_namespaced_config_map("perf", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    assert core.delete_namespace("perf")["status"]["phase"] == "Terminating"
    assert names(core.list_namespaced_config_map("perf")) == []
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod("perf", pod("late"))
    assert code(refused) == 403
    assert "because it is being terminated" in refused.value.body
    fake.store.remove(PODS, "web", namespace="perf")
    fake.store.settle()
    with pytest.raises(ApiException) as refused:
        core.read_namespace("perf")
    assert code(refused) == 404


def test_what_an_object_owns_goes_with_it(fake: FakeApi, core: client.CoreV1Api) -> None:
    owner = core.create_namespaced_config_map("default", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}
    core.create_namespaced_pod("default", pod("owned", ownerReferences=[reference]))
    core.create_namespaced_pod("default", pod("free"))
    core.delete_namespaced_config_map("owner", "default")
    assert names(core.list_namespaced_pod("default")) == ["free"]


def test_a_collection_is_deleted_by_selector(core: client.CoreV1Api) -> None:
    for name, labels in {"a": {"mine": "yes"}, "b": {"mine": "yes"}, "c": {}}.items():
        core.create_namespaced_pod("default", pod(name, labels=labels))
    core.delete_collection_namespaced_pod("default", label_selector="mine=yes")
    assert names(core.list_namespaced_pod("default")) == ["c"]


def test_the_aggregated_api_shows_what_the_crds_hold(fake: FakeApi, custom: client.CustomObjectsApi) -> None:
    fake.register(
        "projectcalico.org", "v3", "ippools", "IPPool", storage=("crd.projectcalico.org", "ippools")
    )
    body = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "one"}}
    custom.create_cluster_custom_object("projectcalico.org", "v3", "ippools", body)
    stored = custom.get_cluster_custom_object(*POOLS, "one")
    assert stored["apiVersion"] == "crd.projectcalico.org/v1"
    fake.unregister("projectcalico.org")
    with pytest.raises(ApiException):
        custom.get_cluster_custom_object("projectcalico.org", "v3", "ippools", "one")


def test_discovery_finds_what_is_registered(fake: FakeApi, api: client.ApiClient, tmp_path: object) -> None:
    found = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery"))
    pools = found.resources.get(api_version="crd.projectcalico.org/v1", kind="IPPool")
    assert not pools.namespaced
    pools.create(
        body={"metadata": {"name": "one"}, "apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool"}
    )
    assert [item.metadata.name for item in pools.get().items] == ["one"]
    assert client.VersionApi(api).get_code().git_version.startswith("v1.")
    groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
    assert {"apps", "crd.projectcalico.org"} <= groups


def test_the_paths_of_namespaces_and_hostile_names(fake: FakeApi, core: client.CoreV1Api) -> None:
    assert core.read_namespace_status("default").status.phase == "Active"
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("../../nodes", "default")
    assert code(refused) == 404
    assert fake.requests[-1] == ("get", "", "pods", "", "default", "../../nodes")


def test_an_expired_token_is_unauthorized(fake: FakeApi, core: client.CoreV1Api) -> None:
    core.list_node()
    fake.expire_token()
    with pytest.raises(ApiException) as refused:
        core.list_node()
    assert code(refused) == 401
    with connect(fake) as again:
        assert client.CoreV1Api(again).list_node().items == []


def test_controllers_change_what_clients_see(fake: FakeApi, core: client.CoreV1Api) -> None:
    """A subscription is told everything in order; an admission may change and refuse."""
    told: list[tuple[str, str]] = []

    def kubelet(type_: str, obj: dict[str, object]) -> None:
        told.append((type_, obj["metadata"]["name"]))
        if type_ == "ADDED" and obj["kind"] == "Pod":
            fake.store.set_status(PODS, obj["metadata"]["name"], {"phase": "Running"}, namespace="default")

    def quota(operation: str, obj: dict[str, object], old: object) -> dict[str, object] | None:
        if operation == "CREATE" and obj["metadata"]["name"] == "big":
            raise Refused(403, 'pods "big" is forbidden: exceeded quota: small')
        if operation == "CREATE":
            return obj | {"spec": obj["spec"] | {"nodeName": "node1"}}
        return None

    fake.store.subscribe(kubelet)
    fake.store.admit(quota)
    core.create_namespaced_pod("default", pod("web"))
    fake.store.settle()
    web = core.read_namespaced_pod("web", "default")
    assert (web.status.phase, web.spec.node_name) == ("Running", "node1")
    assert told == [("ADDED", "web"), ("MODIFIED", "web")]
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod("default", pod("big"))
    assert code(refused) == 403
    assert "exceeded quota" in refused.value.body


def test_a_controllers_bug_is_raised_in_the_end() -> None:
    def broken(type_: str, obj: dict[str, object]) -> None:
        raise RuntimeError("no such bridge")

    with pytest.raises(RuntimeError, match="no such bridge"), FakeApi() as fake:
        fake.store.subscribe(broken)
        fake.store.create(PODS, pod("web"), namespace="default")
        fake.store.settle()
