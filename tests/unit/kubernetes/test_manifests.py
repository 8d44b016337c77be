"""What we ask the API for: no more rights than needed, pinned to its node and to its pool."""

import json

import pytest

from pytest_calico_perf.cluster.kubernetes import manifests, ours
from pytest_calico_perf.cluster.kubernetes.manifests import PodPlan
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.clusterfile import parse
from pytest_calico_perf.model import Mode

SAFE_SYSCTLS = {"net.ipv4.ping_group_range"}  # of those Pod Security Standards allow, the one we use
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def cluster_file(**fields: object):
    return parse(json.dumps({"kind": "kubernetes", "name": "test", **fields}), "test.yaml")


def pod(plan: PodPlan, **fields: object):
    return manifests.pod(plan, "bcdfgh", OWNER, cluster_file(**fields))


OWNER = "tester on here"
CLIENT = PodPlan(
    "bgp-client-bcdfgh", "calico-perf-bcdfgh", "node1", "client", Mode.BGP, "calico-perf-bgp-bcdfgh"
)
HOST = PodPlan("host-1-bcdfgh", "calico-perf-bcdfgh-hosts", "node1", "host")


def everything() -> tuple[Json, ...]:
    return (
        pod(CLIENT),
        pod(HOST),
        manifests.namespace("n", "bcdfgh", OWNER, level="restricted"),
        manifests.service("s", "n", "bcdfgh", OWNER, Mode.IPIP),
    )


def test_a_pod_under_test_keeps_to_the_restricted_level():
    """The controls of kubernetes.io's Pod Security Standards, level restricted, one by one."""
    spec = pod(CLIENT)["spec"]
    assert spec["hostNetwork"] is False
    assert not spec.get("hostPID")
    assert not spec.get("hostIPC")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {sysctl["name"] for sysctl in spec["securityContext"]["sysctls"]} <= SAFE_SYSCTLS
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= ALLOWED_VOLUMES
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] != 0
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in security
        assert not any("hostPort" in port for port in container.get("ports", ()))


def test_a_host_pod_has_the_network_and_one_capability_and_nothing_else():
    spec = pod(HOST)["spec"]
    assert spec["hostNetwork"] is True
    assert "hostPID" not in spec
    assert "sysctls" not in spec["securityContext"]
    tools, web = spec["containers"]
    assert tools["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert web["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert web["securityContext"]["runAsNonRoot"] is True
    assert not any("privileged" in container["securityContext"] for container in spec["containers"])


@pytest.mark.parametrize("plan", [CLIENT, HOST], ids=lambda plan: plan.role)
def test_no_pod_gets_a_token_or_a_writable_image(plan: PodPlan):
    spec = pod(plan)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in spec["containers"])


def test_a_pod_is_pinned_to_its_node_and_its_pool():
    made = pod(CLIENT)
    terms = made["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchFields"] == [
        {"key": "metadata.name", "operator": "In", "values": ["node1"]}
    ]
    assert json.loads(made["metadata"]["annotations"]["cni.projectcalico.org/ipv4pools"]) == [
        "calico-perf-bgp-bcdfgh"
    ]
    assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pytest-calico-perf"


def test_a_pod_of_mode_current_asks_for_no_pool():
    plan = PodPlan("current-client-bcdfgh", "ns", "node1", "client", Mode.CURRENT)
    assert pod(plan)["metadata"]["annotations"] == {ours.OWNER: OWNER}


def test_the_cluster_files_wishes_reach_the_pod():
    made = pod(
        CLIENT,
        namespace="perf",
        images={
            "pull-secrets": ["registry"],
            "pull-policy": "Always",
            "mirrors": {"docker.io": "mirror.example.com/hub"},
        },
        tolerations=[{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        resources={"requests": {"cpu": "500m"}},
        **{"priority-class": "low"},
    )["spec"]
    assert made["imagePullSecrets"] == [{"name": "registry"}]
    assert made["tolerations"] == [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]
    assert made["priorityClassName"] == "low"
    tools = made["containers"][0]
    assert tools["image"] == "mirror.example.com/hub/nicolaka/netshoot:v0.14"
    assert tools["imagePullPolicy"] == "Always"
    assert tools["resources"] == {"requests": {"cpu": "500m"}}


def test_a_service_stands_before_the_server_of_its_mode_only():
    made = manifests.service("bgp-server-bcdfgh", "ns", "bcdfgh", OWNER, Mode.BGP)
    server = pod(PodPlan("bgp-server-bcdfgh", "ns", "node2", "server", Mode.BGP))["metadata"]["labels"]
    client = pod(CLIENT)["metadata"]["labels"]
    other = pod(PodPlan("ipip-server-bcdfgh", "ns", "node2", "server", Mode.IPIP))["metadata"]["labels"]
    selector = made["spec"]["selector"]
    assert selector.items() <= server.items()
    assert not selector.items() <= client.items()
    assert not selector.items() <= other.items()
    names = [port["name"] for port in made["spec"]["ports"]]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 15 for name in names)  # IANA_SVC_NAME
    assert {port["protocol"] for port in made["spec"]["ports"]} == {"TCP", "UDP"}


def test_everything_is_json():
    for made in everything():
        assert json.loads(json.dumps(made)) == made


def test_everything_says_who_made_it():
    for made in everything():
        assert made["metadata"]["annotations"][ours.OWNER] == OWNER
        assert made["metadata"]["labels"].items() >= dict(ours.labels("bcdfgh")).items()


def test_people_call_a_host_by_its_node_and_a_pod_by_mode_and_role():
    assert (HOST.title, CLIENT.title) == ("node1", "bgp-client")
