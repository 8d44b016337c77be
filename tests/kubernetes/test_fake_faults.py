"""The wire goes wrong when told so, and permissions are kept."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from kubernetes import client
from kubernetes.client import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from tests.kubernetes.fake import (
    FakeApi,
    LocalRuntime,
    delay,
    drop,
    node,
    pod,
    reset,
    running_pod,
    status,
    truncate,
)
from tests.kubernetes.fake.clients import connect, ended, open_exec

PODS = ("", "v1", "pods")


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi(LocalRuntime()) as server:
        server.store.create(("", "v1", "nodes"), node("node1"))
        yield server


@pytest.fixture
def core(fake: FakeApi) -> Iterator[client.CoreV1Api]:
    with connect(fake) as one:
        # What the wire does is to be seen once, not retried by urllib3.
        one.rest_client.pool_manager.connection_pool_kw["retries"] = Retry(0)
        yield client.CoreV1Api(one)


@pytest.mark.parametrize("code", [401, 403, 429, 500, 502, 503])
def test_a_status_strikes_as_often_as_told(fake: FakeApi, core: client.CoreV1Api, code: int) -> None:
    fault = fake.faults.add(("GET", r"/nodes"), status(code, retry_after=7), times=2, skip=1)
    core.list_node()
    for _ in range(2):
        with pytest.raises(ApiException) as refused:
            core.list_node()
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (code, "7")
    assert core.list_node().items[0].metadata.name == "node1"
    assert fault.hits == 2


@pytest.mark.parametrize("action", [drop(), reset(), truncate()], ids=["drop", "reset", "truncate"])
def test_connections_break(fake: FakeApi, core: client.CoreV1Api, action: object) -> None:
    fake.faults.add(("GET", r"/nodes"), action)
    with pytest.raises(HTTPError, match=r"[Rr]emote end closed|reset|IncompleteRead|aborted"):
        core.list_node()
    assert len(core.list_node().items) == 1


@pytest.mark.parametrize(
    ("action", "done"),
    [(drop(), False), (reset(), False), (drop(done=True), True), (reset(done=True), True)],
    ids=["drop before", "reset before", "drop after", "reset after"],
)
def test_a_create_whose_answer_is_lost(
    fake: FakeApi, core: client.CoreV1Api, action: object, done: bool
) -> None:
    fake.faults.add(("POST", r"/pods$"), action)
    with pytest.raises(HTTPError):
        core.create_namespaced_pod("default", pod("web"))
    assert bool(fake.store.find(PODS, "web", namespace="default")) is done


def test_an_answer_comes_late(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.faults.add(("GET", r"/nodes"), delay(30))
    with pytest.raises(HTTPError, match="timed out"):
        core.list_node(_request_timeout=0.2)
    fake.faults.add(("GET", r"/nodes"), delay(0.01))
    assert len(core.list_node().items) == 1


def test_a_server_that_is_down_refuses_connections_and_comes_back(
    fake: FakeApi, core: client.CoreV1Api
) -> None:
    core.list_node()
    fake.stop()
    port = int(fake.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    fake.start()
    assert len(core.list_node().items) == 1


def test_the_port_is_closed_in_the_end() -> None:
    with FakeApi() as fake:
        port = int(fake.url.rpartition(":")[2])
        idle = socket.create_connection(("127.0.0.1", port), timeout=1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    idle.settimeout(5)
    with idle, contextlib.suppress(ConnectionResetError):
        assert idle.recv(1) == b""


RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"], "resourceNames": ["web"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "create"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"], "namespace": "default"},
]


def test_rules_are_kept(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.rbac.rules = RULES
    core.list_pod_for_all_namespaces()
    core.create_namespaced_pod("default", pod("web"))
    core.read_namespaced_pod("web", "default")
    core.list_namespaced_config_map("default")
    user = "system:serviceaccount:default:calico-perf"
    for call, message in (
        (core.list_node, f'nodes is forbidden: User \\"{user}\\" cannot list resource \\"nodes\\" in API group \\"\\" at the cluster scope'),
        (lambda: core.read_namespaced_pod("other", "default"), f'pods \\"other\\" is forbidden: User \\"{user}\\" cannot get resource \\"pods\\" in API group \\"\\" in the namespace \\"default\\"'),
        (lambda: core.delete_namespaced_pod("web", "default"), "cannot delete resource"),
        (lambda: core.patch_namespaced_pod_status("web", "default", {}), 'resource \\"pods/status\\"'),
        (lambda: core.list_namespaced_config_map("kube-system"), 'in the namespace \\"kube-system\\"'),
    ):  # fmt: skip
        with pytest.raises(ApiException) as refused:
            call()
        assert refused.value.status == 403
        assert message in refused.value.body


def test_exec_by_websocket_needs_create_too(fake: FakeApi, core: client.CoreV1Api) -> None:
    fake.store.create(PODS, running_pod("tools"), namespace="default")
    fake.rbac.rules = RULES
    with connect(fake) as api:
        with pytest.raises(ApiException, match=r"cannot create resource .*pods/exec"):
            open_exec(api, "tools", ["true"])
        fake.rbac.rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}]
        assert ended(open_exec(api, "tools", ["true"])).code == 0


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "list", "resource": "pods"}, True),
        ({"verb": "get", "resource": "pods", "name": "web", "namespace": "default"}, True),
        ({"verb": "get", "resource": "pods"}, False),
        ({"verb": "delete", "resource": "pods"}, False),
        ({"verb": "get", "resource": "pods", "subresource": "exec"}, True),
        ({"verb": "get", "resource": "configmaps", "namespace": "default"}, True),
        ({"verb": "get", "resource": "configmaps", "namespace": "other"}, False),
        ({"verb": "list", "resource": "pods", "group": "metrics.k8s.io"}, False),
    ],
    ids=str,
)
def test_access_reviews_tell_the_rules(
    fake: FakeApi, core: client.CoreV1Api, attributes: dict[str, str], allowed: bool
) -> None:
    fake.rbac.rules = RULES
    reviews = client.AuthorizationV1Api(core.api_client)
    answer = reviews.create_self_subject_access_review({"spec": {"resourceAttributes": attributes}})
    assert answer.status.allowed is allowed
