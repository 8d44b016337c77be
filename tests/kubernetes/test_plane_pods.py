"""Pods live: scheduled, wired, run commands as their security says, fail as pods fail, and go without a trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi, Refused
from tests.kubernetes.plane import NodeSpec, Plane
from tests.kubernetes.plane.resources import NAMESPACES, NODES, PODS, QUOTAS, SERVICES
from tests.kubernetes.plane.trying import (
    Said,
    events,
    make_pod,
    make_pool,
    needs_root,
    reaches,
    run_pods,
    say,
    until,
)

pytestmark = needs_root

# Not the virtual environment's: a checkout below /tmp is out of sight of a pod, which has a /tmp of its own.
PYTHON = str(Path(sys.executable).resolve())

NOBODY = 65532
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
NON_ROOT = {
    "runAsNonRoot": True,
    "runAsUser": NOBODY,
    "runAsGroup": NOBODY,
    "fsGroup": NOBODY,
    "seccompProfile": {"type": "RuntimeDefault"},
    "sysctls": [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}],
}


@pytest.fixture
def plane(fake: FakeApi) -> Iterator[Plane]:
    with Plane(fake) as one:
        yield one


def hardened(**more: object) -> dict:
    """A spec that passes the level `restricted`."""
    mounted = {"securityContext": RESTRICTED, "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]}
    containers = [
        {"name": each, "image": f"registry.example/{each}:1"} | mounted for each in ("tools", "web")
    ]
    volumes = [{"name": "scratch", "emptyDir": {}}]
    return {"containers": containers, "securityContext": NON_ROOT, "volumes": volumes} | more


def reason(plane: Plane, pod: str) -> str:
    """Why its first container waits."""
    found = plane.fake.store.get(PODS, pod, namespace="default")["status"]
    states = [each["state"].get("waiting", {}) for each in found.get("containerStatuses") or []]
    return states[0].get("reason", "") if states else ""


class TestExec:
    def test_output_status_and_input(self, plane):
        run_pods(plane, ("web", "node1"))
        script = "cat; echo err >&2; exit 3"
        assert say(plane, "web", "sh", "-c", script, stdin="in\n") == Said(3, "in\n", "err\n")

    def test_what_is_not_installed(self, plane):
        run_pods(plane, ("web", "node1"))
        with pytest.raises(FileNotFoundError):
            plane.exec("default", "web", "tools", ["no-such-program"])

    def test_what_the_image_lacks(self, plane):
        make_pod(
            plane,
            "bare",
            "node1",
            **hardened(containers=[{"name": "tools", "image": "x/tools-lacks-iperf3-lacks-ping:1"}]),
        )
        plane.wait_ready("default", "bare")
        run_pods(plane, ("whole", "node1"))
        for program in ("iperf3", "ping"):
            assert say(plane, "bare", "sh", "-c", f"command -v {program}").code == 127
            assert say(plane, "bare", program, "-V").code == 127
            assert say(plane, "whole", "sh", "-c", f"command -v {program}").code == 0

    def test_containers_share_a_tmp_that_is_nobody_elses(self, plane):
        run_pods(plane, ("one", "node1"), ("two", "node1"))
        say(plane, "one", "sh", "-c", "echo mine > /tmp/file", container="tools")
        assert say(plane, "one", "cat", "/tmp/file", container="web").out == "mine\n"
        assert say(plane, "two", "ls", "-A", "/tmp").out == ""
        assert not any("mine" in line for line in plane.run("node1", "ls", "/tmp").stdout.splitlines())

    def test_processes_and_network_are_the_pods_own(self, plane):
        (address,) = run_pods(plane, ("web", "node1"))
        assert say(plane, "web", "cat", "/proc/1/comm").out == "sleep\n"
        links = json.loads(say(plane, "web", "ip", "-j", "address").out)
        assert [link["ifname"] for link in links] == ["lo", "eth0"]
        assert links[1]["addr_info"][0]["local"] == address

    def test_a_restricted_pod_can_ping_and_write_to_tmp_and_no_more(self, plane):
        make_pod(plane, "safe", "node1", **hardened())
        plane.wait_ready("default", "safe")
        (other,) = run_pods(plane, ("other", "node2"))
        until(lambda: reaches(plane, "safe", other))
        assert say(plane, "safe", "id", "-u").out == f"{NOBODY}\n"
        assert "CapBnd:\t0000000000000000" in say(plane, "safe", "cat", "/proc/self/status").out
        assert say(plane, "safe", "touch", "/tmp/mine").code == 0
        assert "Read-only file system" in say(plane, "safe", "touch", "/mine").err
        assert say(plane, "safe", "ip", "link", "set", "eth0", "down").code != 0

    def test_without_the_sysctl_a_restricted_pod_cannot_ping(self, plane):
        security = {key: value for key, value in NON_ROOT.items() if key != "sysctls"}
        make_pod(plane, "mute", "node1", **hardened(securityContext=security))
        plane.wait_ready("default", "mute")
        assert "permitted" in say(plane, "mute", "ping", "-c", "1", "169.254.1.1").err

    def test_a_hosts_pod_with_raw_sockets_pings(self, plane):
        security = {
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
            "allowPrivilegeEscalation": False,
            "runAsUser": 0,
        }
        containers = [{"name": "tools", "image": "registry.example/tools:1", "securityContext": security}]
        make_pod(plane, "host", "node1", hostNetwork=True, containers=containers)
        plane.wait_ready("default", "host")
        assert reaches(plane, "host", str(plane.topology.node("node2").address))
        assert say(plane, "host", "ip", "link", "set", "eth0", "down").code != 0


class TestEnd:
    def test_nothing_of_a_deleted_pod_is_left(self, plane):
        (address,) = run_pods(plane, ("web", "node1"))
        sleeping = plane.exec("default", "web", "tools", ["sleep", "1000"])
        plane.fake.store.delete(PODS, "web", namespace="default")
        plane.wait_gone("default", "web")
        with sleeping:
            assert sleeping.wait(5) != 0
        assert f"{address} dev" not in "\n".join(plane.routes("node1"))
        assert "pod-" not in plane.run("node1", "ls", "/run/netns").stdout
        assert "sleep 1000" not in plane.run("node1", "ps", "-eo", "args").stdout
        with pytest.raises(FileNotFoundError):
            say(plane, "web", "true")

    def test_it_is_seen_terminating_first(self, plane):
        run_pods(plane, ("web", "node1"))
        going = plane.fake.store.delete(PODS, "web", namespace="default")
        assert "deletionTimestamp" in going["metadata"]

    def test_a_namespace_goes_when_its_pods_have(self, plane):
        plane.fake.store.create(NAMESPACES, {"metadata": {"name": "apart"}})
        make_pod(plane, "web", "node1", namespace="apart")
        plane.wait_ready("apart", "web")
        plane.fake.store.delete(NAMESPACES, "apart")
        until(lambda: plane.fake.store.find(NAMESPACES, "apart") is None)
        assert plane.fake.store.list(PODS, namespace="apart") == []

    def test_a_pod_that_never_ran_goes_at_once(self, plane):
        make_pod(plane, "web", nodeSelector={"no": "where"})
        plane.fake.store.delete(PODS, "web", namespace="default")
        plane.wait_gone("default", "web")

    def test_the_same_name_again(self, plane):
        for _ in range(3):
            run_pods(plane, ("web", "node1"))
            plane.fake.store.delete(PODS, "web", namespace="default")
            plane.wait_gone("default", "web")


class TestScheduling:
    def test_by_the_name_of_the_node(self, plane):
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node2"]}]}
        affinity = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        }
        make_pod(plane, "web", affinity=affinity)
        assert plane.wait_ready("default", "web")["spec"]["nodeName"] == "node2"
        assert events(plane, "web")["Scheduled"] == "Successfully assigned default/web to node2"

    def test_taints_keep_it_off_and_are_named(self, fake):
        dedicated = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        nodes = [NodeSpec("master1", control_plane=True), NodeSpec("node2", taints=[dedicated])]
        with Plane(fake, nodes=nodes) as plane:
            make_pod(plane, "web")
            until(lambda: "FailedScheduling" in events(plane, "web"))
            assert events(plane, "web")["FailedScheduling"].startswith(
                "0/2 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, "
                "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }."
            )
            (condition,) = plane.fake.store.get(PODS, "web", namespace="default")["status"]["conditions"]
            assert (condition["type"], condition["status"], condition["reason"]) == (
                "PodScheduled",
                "False",
                "Unschedulable",
            )
            make_pod(plane, "tolerant", tolerations=[{"operator": "Exists", "effect": "NoSchedule"}])
            plane.wait_ready("default", "tolerant")

    def test_cordoned_and_uncordoned(self, fake):
        with Plane(
            fake, nodes=[NodeSpec("node1", unschedulable=True), NodeSpec("node2", unschedulable=True)]
        ) as plane:
            make_pod(plane, "web")
            until(lambda: "FailedScheduling" in events(plane, "web"))
            assert "2 node(s) were unschedulable" in events(plane, "web")["FailedScheduling"]
            fake.store.update(NODES, "node2", lambda node: node | {"spec": {}})
            assert plane.wait_ready("default", "web")["spec"]["nodeName"] == "node2"

    def test_too_much_is_asked_for(self, plane):
        containers = [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "64", "memory": "1Ti"}}}]
        make_pod(plane, "web", containers=containers)
        until(lambda: "FailedScheduling" in events(plane, "web"))
        assert "2 Insufficient cpu, 2 Insufficient memory" in events(plane, "web")["FailedScheduling"]


class TestFailures:
    @pytest.mark.parametrize(
        ("image", "policy", "expected", "message"),
        [
            ("registry.example/missing:1", "IfNotPresent", "ImagePullBackOff", "missing:1: not found"),
            ("registry.example/private:1", "Always", "ImagePullBackOff", "pull access denied"),
            (
                "registry.example/missing:1",
                "Never",
                "ErrImageNeverPull",
                "not present with pull policy of Never",
            ),
            ("Bad Name", "Always", "InvalidImageName", "invalid reference format"),
        ],
    )
    def test_images(self, plane, image, policy, expected, message):
        make_pod(plane, "web", "node1", containers=[{"name": "a", "image": image, "imagePullPolicy": policy}])
        until(lambda: reason(plane, "web") == expected)
        state = plane.fake.store.get(PODS, "web", namespace="default")["status"]["containerStatuses"][0][
            "state"
        ]
        assert message in state["waiting"]["message"]
        assert "Failed" in events(plane, "web")
        plane.fake.store.delete(PODS, "web", namespace="default")
        plane.wait_gone("default", "web")

    def test_a_pull_secret_opens_a_private_registry(self, plane):
        plane.fake.store.create(("", "v1", "secrets"), {"metadata": {"name": "key", "namespace": "default"}})
        containers = [{"name": "a", "image": "registry.example/private:1"}]
        make_pod(plane, "web", "node1", containers=containers, imagePullSecrets=[{"name": "key"}])
        plane.wait_ready("default", "web")

    def test_root_where_none_may_be(self, plane):
        make_pod(plane, "web", "node1", securityContext={"runAsNonRoot": True})
        until(lambda: reason(plane, "web") == "CreateContainerConfigError")
        assert "image will run as root" in events(plane, "web")["Failed"]

    def test_an_unsafe_sysctl(self, plane):
        sysctls = [{"name": "net.core.somaxconn", "value": "1024"}]
        make_pod(plane, "web", "node1", securityContext={"sysctls": sysctls})
        found = plane.wait_pod("default", "web", lambda pod: pod["status"]["phase"] == "Failed")
        assert found["status"]["reason"] == "SysctlForbidden"

    def test_quota(self, plane):
        quota = {"metadata": {"name": "few", "namespace": "default"}, "spec": {"hard": {"pods": "1"}}}
        plane.fake.store.create(QUOTAS, quota)
        make_pod(plane, "one", "node1")
        with pytest.raises(
            Refused, match="exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"
        ):
            make_pod(plane, "two", "node1")

    def test_quota_that_wants_requests(self, plane):
        quota = {"metadata": {"name": "cpu", "namespace": "default"}, "spec": {"hard": {"requests.cpu": "1"}}}
        plane.fake.store.create(QUOTAS, quota)
        with pytest.raises(Refused, match=r"failed quota: cpu: must specify requests.cpu for: tools,web"):
            make_pod(plane, "web", "node1")

    def test_a_priority_nobody_knows(self, plane):
        with pytest.raises(Refused, match="no PriorityClass with name urgent was found"):
            make_pod(plane, "web", "node1", priorityClassName="urgent")

    @pytest.mark.parametrize(
        ("level", "spec", "message"),
        [
            ("baseline", {"hostNetwork": True}, r"host namespaces \(hostNetwork=true\)"),
            ("restricted", {}, r"allowPrivilegeEscalation != false \(containers \"tools\", \"web\" must set"),
            ("restricted", {}, r"must set securityContext.capabilities.drop=\[\"ALL\"\]"),
            ("restricted", {}, "runAsNonRoot != true"),
            ("restricted", {}, "seccompProfile"),
        ],
    )
    def test_pod_security(self, plane, level, spec, message):
        labels = {"pod-security.kubernetes.io/enforce": level}
        plane.fake.store.create(NAMESPACES, {"metadata": {"name": "safe", "labels": labels}})
        with pytest.raises(Refused, match=message) as caught:
            make_pod(plane, "web", "node1", namespace="safe", **spec)
        assert caught.value.code == 403
        assert f'violates PodSecurity "{level}:latest"' in caught.value.message
        make_pod(plane, "web", "node1", namespace="safe", **hardened())
        plane.wait_ready("safe", "web")


class TestServices:
    def make(self, plane: Plane, name: str, **spec: object) -> str:
        body = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        return plane.fake.store.create(SERVICES, body)["spec"]["clusterIP"]

    def ask(self, plane: Plane, pod: str, address: str, port: int) -> str:
        return say(plane, pod, PYTHON, "-c", _CLIENT, address, str(port)).out

    def test_a_cluster_ip_leads_to_the_pods_behind_it(self, plane):
        run_pods(plane, ("client", "node1"), ("near", "node1"), ("far", "node2"))
        for name in ("near", "far"):
            plane.fake.store.patch(PODS, name, {"metadata": {"labels": {"app": "web"}}}, namespace="default")
        ports = [{"name": "web", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
        address = self.make(plane, "web", selector={"app": "web"}, ports=ports)
        servers = [
            plane.exec("default", each, "web", [PYTHON, "-c", _SERVER, each, "8080"])
            for each in ("near", "far")
        ]
        plane.settle()
        seen: set[str] = set()
        until(lambda: seen.add(self.ask(plane, "client", address, 80)) or {"near", "far"} <= seen)
        plane.fake.store.delete(PODS, "near", namespace="default")
        plane.wait_gone("default", "near")
        plane.settle()
        assert {self.ask(plane, "client", address, 80) for _ in range(8)} == {"far"}
        slices = plane.fake.store.list(("discovery.k8s.io", "v1", "endpointslices"), namespace="default")
        assert [len(each["endpoints"]) for each in slices if each["metadata"]["name"] == "web"] == [1]
        plane.fake.store.delete(PODS, "far", namespace="default")
        plane.wait_gone("default", "far")
        for server in servers:
            with server:
                server.wait(5)

    def test_addresses_are_given_out_once_and_stay(self, plane):
        ports = [{"port": 80}]
        one, two = (self.make(plane, name, selector={"app": name}, ports=ports) for name in ("one", "two"))
        assert one != two
        plane.fake.store.patch(SERVICES, "one", {"spec": {"ports": [{"port": 81}]}}, namespace="default")
        assert plane.fake.store.get(SERVICES, "one", namespace="default")["spec"]["clusterIP"] == one
        with pytest.raises(Refused, match="not in the valid range"):
            self.make(plane, "three", clusterIP="10.0.0.1", ports=ports)

    def test_clients_outside_the_clusters_range_are_masqueraded(self, plane):
        """calico.md 1.2: pods of a pool outside clusterCIDR look off-cluster to kube-proxy."""
        make_pool(plane, Mode.BGP)
        inside, outside, server = run_pods(
            plane, ("inside", "node1"), ("outside", "node1", "bgp"), ("server", "node2")
        )
        address = self.make(plane, "web", selector={"app": "server"}, ports=[{"port": 8080}])
        plane.settle()
        with plane.exec("default", "server", "web", [PYTHON, "-c", _SERVER, "", "8080"]) as listening:
            until(lambda: self.ask(plane, "inside", address, 8080) == inside)
            assert self.ask(plane, "outside", address, 8080) not in (outside, "")
            assert self.ask(plane, "outside", server, 8080) == outside
            plane.fake.store.delete(PODS, "server", namespace="default")
            listening.wait(10)


# Answers with its name, or with its client's address if it has none.
_SERVER = """
import socket, sys
with socket.create_server(("", int(sys.argv[2]))) as listener:
    while True:
        connection, (client, _) = listener.accept()
        with connection:
            connection.sendall((sys.argv[1] or client).encode())
"""
_CLIENT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as connection:
        print(connection.recv(100).decode(), end="")
except OSError:
    pass
"""
