"""Server-side apply on the fake: who owns what, and what goes when nobody says it any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client import ApiException

from tests.kubernetes.fake import FakeApi, pod
from tests.kubernetes.fake.clients import connect

APPLY = "application/apply-patch+yaml"
PODS = ("", "v1", "pods")
POOLS = ("crd.projectcalico.org", "v1", "ippools")


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as server:
        server.register(*POOLS, "IPPool")
        yield server


@pytest.fixture
def api(fake: FakeApi) -> Iterator[client.ApiClient]:
    with connect(fake) as one:
        yield one


def apply_pool(
    api: client.ApiClient, spec: dict[str, Any], manager: str, **options: object
) -> dict[str, Any]:
    body = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": "one"},
        "spec": spec,
    }
    custom = client.CustomObjectsApi(api)
    options |= {"field_manager": manager, "_content_type": APPLY, "_preload_content": False}
    # Read raw: CustomObjectsApi knows no 201 of a patch, which is what an apply that creates is answered by.
    return json.loads(custom.patch_cluster_custom_object(*POOLS, "one", body, **options).data)


def apply_pod(api: client.ApiClient, body: dict[str, Any], manager: str, **options: object) -> client.V1Pod:
    call = client.CoreV1Api(api).patch_namespaced_pod
    name = body["metadata"]["name"]
    return call(name, "default", body, field_manager=manager, _content_type=APPLY, **options)


def managers(obj: dict[str, Any]) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in obj["metadata"]["managedFields"]}


def test_it_creates_what_is_not_there(fake: FakeApi, api: client.ApiClient) -> None:
    made = apply_pool(api, {"cidr": "198.19.0.0/24", "nodeSelector": "all()"}, "us")
    [entry] = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("us", "Apply", "FieldsV1")
    assert entry["fieldsV1"] == {"f:spec": {"f:cidr": {}, "f:nodeSelector": {}}}
    assert fake.store.get(POOLS, "one")["spec"]["cidr"] == "198.19.0.0/24"


def test_applied_again_it_changes_nothing(api: client.ApiClient) -> None:
    first = apply_pool(api, {"cidr": "198.19.0.0/24"}, "us")
    assert apply_pool(api, {"cidr": "198.19.0.0/24"}, "us") == first


def test_what_is_not_said_again_goes_unless_another_owns_it(api: client.ApiClient) -> None:
    apply_pool(api, {"cidr": "198.19.0.0/24", "disabled": True, "natOutgoing": True}, "us")
    apply_pool(api, {"natOutgoing": True}, "them")
    left = apply_pool(api, {"cidr": "198.19.0.0/24"}, "us")
    assert left["spec"] == {"cidr": "198.19.0.0/24", "natOutgoing": True}
    assert managers(left) == {("us", "Apply"), ("them", "Apply")}


def test_anothers_field_is_a_conflict_unless_forced(api: client.ApiClient) -> None:
    apply_pool(api, {"cidr": "198.19.0.0/24", "disabled": False}, "them")
    with pytest.raises(ApiException) as refused:
        apply_pool(api, {"disabled": True}, "us")
    assert refused.value.status == 409
    assert 'Apply failed with 1 conflict: conflict with \\"them\\": .spec.disabled' in refused.value.body
    won = apply_pool(api, {"disabled": True}, "us", force=True)
    assert won["spec"] == {"cidr": "198.19.0.0/24", "disabled": True}
    again = apply_pool(api, {"cidr": "198.19.0.0/24"}, "them")
    assert again["spec"]["disabled"] is True


def test_a_patch_takes_over_the_fields_it_changes(api: client.ApiClient) -> None:
    apply_pool(api, {"cidr": "198.19.0.0/24", "disabled": False}, "us")
    custom = client.CustomObjectsApi(api)
    patched = custom.patch_cluster_custom_object(
        *POOLS, "one", {"spec": {"disabled": True}}, field_manager="kubectl"
    )
    assert managers(patched) == {("us", "Apply"), ("kubectl", "Update")}
    with pytest.raises(ApiException, match="Conflict") as refused:
        apply_pool(api, {"cidr": "198.19.0.0/24", "disabled": False}, "us")
    assert 'conflict with \\"kubectl\\" using crd.projectcalico.org/v1' in refused.value.body


def test_lists_of_pods_are_merged_by_their_keys(fake: FakeApi, api: client.ApiClient) -> None:
    body = pod("web", containers=("main", "side"), labels={"a": "1"}, finalizers=["example.com/a"])
    apply_pod(api, body, "us")
    side = {"name": "side", "image": "registry.example/side:2", "env": [{"name": "A", "value": "1"}]}
    theirs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "finalizers": ["example.com/b"]}}
    shown = apply_pod(api, theirs | {"spec": {"containers": [side]}}, "them", force=True)
    assert [(one.name, one.image) for one in shown.spec.containers] == [
        ("main", "registry.example/tools:1"),
        ("side", "registry.example/side:2"),
    ]
    assert shown.metadata.finalizers == ["example.com/a", "example.com/b"]
    shown = apply_pod(
        api, theirs | {"spec": {"containers": [{"name": "side", "image": side["image"]}]}}, "them"
    )
    assert shown.spec.containers[1].env in (None, [])
    shown = apply_pod(api, pod("web"), "us")
    assert shown.metadata.labels is None
    assert shown.metadata.finalizers == ["example.com/b"]
    fake.store.patch(PODS, "web", {"metadata": {"finalizers": None}}, namespace="default")


def test_the_status_is_applied_by_its_subresource(fake: FakeApi, api: client.ApiClient) -> None:
    apply_pod(api, pod("web") | {"status": {"phase": "Running"}}, "us")
    assert fake.store.get(PODS, "web", namespace="default")["status"]["phase"] == "Pending"
    call = client.CoreV1Api(api).patch_namespaced_pod_status
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "status": {"phase": "Running"}}
    call("web", "default", body, field_manager="kubelet", _content_type=APPLY)
    shown = fake.store.get(PODS, "web", namespace="default")
    assert shown["status"]["phase"] == "Running"
    assert "kubelet" in {entry["manager"] for entry in shown["metadata"]["managedFields"]}


def test_a_dry_run_shows_and_keeps_nothing(fake: FakeApi, api: client.ApiClient) -> None:
    assert apply_pool(api, {"cidr": "198.19.0.0/24"}, "us", dry_run="All")["spec"]["cidr"] == "198.19.0.0/24"
    assert fake.store.find(POOLS, "one") is None


def test_without_a_manager_or_a_kind_it_is_refused(api: client.ApiClient) -> None:
    custom = client.CustomObjectsApi(api).patch_cluster_custom_object
    for body, manager, code in (
        ({}, "us", 400),
        ({"kind": "IPPool", "apiVersion": "crd.projectcalico.org/v1"}, "", 422),
    ):
        with pytest.raises(ApiException) as refused:
            custom(*POOLS, "one", body, field_manager=manager, _content_type=APPLY)
        assert refused.value.status == code
