"""What a client sees of a plane over the wire: the shapes its models demand, and the facts in their usual places."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from kubernetes import client

from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.fake.clients import connect, ended, open_exec
from tests.kubernetes.plane import DEFAULT_RANGE, SERVICE_RANGE, CalicoSpec, NodeSpec, Plane
from tests.kubernetes.plane.resources import CONFIG_MAPS, DAEMON_SETS, NODES, PODS
from tests.kubernetes.plane.trying import make_pod, needs_root, reaches, run_pods, until

pytestmark = needs_root


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeApi]:
    with FakeApi() as server:
        yield server


@pytest.fixture(scope="module")
def plane(fake: FakeApi) -> Iterator[Plane]:
    nodes = [
        NodeSpec("master1", zone="a", control_plane=True),
        NodeSpec("node2", zone="a", labels={"disk": "ssd"}),
        NodeSpec("node3", subnet=1, zone="b"),
    ]
    with Plane(fake, nodes=nodes, calico=CalicoSpec(group="aggregated", managed_by="operator")) as one:
        run_pods(one, ("web", "node2"))
        yield one


@pytest.fixture
def api(fake: FakeApi) -> Iterator[client.ApiClient]:
    with connect(fake) as one:
        yield one


def test_nodes(plane, api):
    nodes = {node.metadata.name: node for node in client.CoreV1Api(api).list_node().items}
    assert list(nodes) == ["master1", "node2", "node3"]
    assert nodes["master1"].spec.taints[0].key == "node-role.kubernetes.io/control-plane"
    assert nodes["node2"].metadata.labels["disk"] == "ssd"
    assert nodes["node2"].metadata.labels["topology.kubernetes.io/zone"] == "a"
    annotations = {name: node.metadata.annotations for name, node in nodes.items()}
    assert annotations["node2"]["projectcalico.org/IPv4Address"] == "198.18.0.12/24"
    assert annotations["node3"]["projectcalico.org/IPv4Address"] == "198.18.1.11/24"
    assert all("projectcalico.org/IPv4IPIPTunnelAddr" in each for each in annotations.values())
    assert all(node.status.node_info.kernel_version for node in nodes.values())


def test_pods_services_and_what_belongs_to_them(plane, api):
    core = client.CoreV1Api(api)
    pods = {pod.metadata.name: pod for pod in core.list_pod_for_all_namespaces().items}
    assert {f"calico-node-{node}" for node in ("master1", "node2", "node3")} < set(pods)
    assert all(pod.status.phase == "Running" for pod in pods.values())
    assert pods["web"].status.host_ip == "198.18.0.12"
    assert [each.ready for each in pods["web"].status.container_statuses] == [True, True]
    assert core.read_namespaced_service("kubernetes", "default").spec.cluster_ip == str(SERVICE_RANGE[1])
    assert core.list_event_for_all_namespaces().items
    assert client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces() is not None
    assert core.list_endpoints_for_all_namespaces() is not None


def test_daemons(plane, api):
    daemons = {
        each.metadata.name: each for each in client.AppsV1Api(api).list_daemon_set_for_all_namespaces().items
    }
    assert set(daemons) == {"calico-node", "kube-proxy"}
    assert daemons["calico-node"].metadata.namespace == "calico-system"
    assert daemons["calico-node"].status.number_ready == 3
    environment = {
        each.name: each.value for each in daemons["calico-node"].spec.template.spec.containers[0].env
    }
    assert environment["CALICO_NETWORKING_BACKEND"] == "bird"


def test_ranges_are_told_where_kubeadm_tells_them(plane, api):
    config = client.CoreV1Api(api).read_namespaced_config_map("kubeadm-config", "kube-system")
    networking = yaml.safe_load(config.data["ClusterConfiguration"])["networking"]
    assert networking["podSubnet"] == str(DEFAULT_RANGE)
    assert networking["serviceSubnet"] == str(SERVICE_RANGE)
    (services,) = client.NetworkingV1Api(api).list_service_cidr().items
    assert services.spec.cidrs == [str(SERVICE_RANGE)]


def test_calico_tells_of_itself(plane, api):
    custom = client.CustomObjectsApi(api)
    information = custom.get_cluster_custom_object(
        "projectcalico.org", "v3", "clusterinformations", "default"
    )
    assert information["spec"]["calicoVersion"] == "v3.32.1"
    felix = custom.get_cluster_custom_object("projectcalico.org", "v3", "felixconfigurations", "default")
    assert felix["spec"]["bpfEnabled"] is False
    installation = custom.get_cluster_custom_object("operator.tigera.io", "v1", "installations", "default")
    assert installation["spec"]["calicoNetwork"]["ipPools"][0]["encapsulation"] == "IPIP"
    assert installation["status"]["computed"]["calicoNetwork"]["bgp"] == "Enabled"
    blocks = custom.list_cluster_custom_object("crd.projectcalico.org", "v1", "ipamblocks")["items"]
    assert {block["spec"]["affinity"] for block in blocks} == {"host:master1", "host:node2", "host:node3"}
    affinities = custom.list_cluster_custom_object("projectcalico.org", "v3", "blockaffinities")["items"]
    assert len(affinities) == len(blocks)


def test_a_manifest_installation_tells_of_itself_elsewhere():
    spec = CalicoSpec(backend="vxlan", mode=Mode.VXLAN, dataplane="nftables", wireguard=True)
    with FakeApi() as fake, Plane(fake, calico=spec), connect(fake) as api:
        config = client.CoreV1Api(api).read_namespaced_config_map("calico-config", "kube-system")
        assert config.data["calico_backend"] == "vxlan"
        daemon_set = client.AppsV1Api(api).read_namespaced_daemon_set("calico-node", "kube-system")
        variables = {each.name: each for each in daemon_set.spec.template.spec.containers[0].env}
        assert variables["CALICO_NETWORKING_BACKEND"].value_from.config_map_key_ref.key == "calico_backend"
        custom = client.CustomObjectsApi(api)
        felix = custom.get_cluster_custom_object(
            "crd.projectcalico.org", "v1", "felixconfigurations", "default"
        )
        assert (felix["spec"]["nftablesMode"], felix["spec"]["wireguardEnabled"]) == ("Enabled", True)
        node = client.CoreV1Api(api).read_node("node1")
        assert node.metadata.annotations["projectcalico.org/WireguardPublicKey"]
        with pytest.raises(client.ApiException, match="404"):
            custom.list_cluster_custom_object("operator.tigera.io", "v1", "installations")


def test_exec_over_the_wire_runs_in_the_pod(plane, api):
    address = client.CoreV1Api(api).read_namespaced_pod("web", "default").status.pod_ip
    said = ended(open_exec(api, "web", ["ip", "-br", "address", "show", "eth0"], container="tools"))
    assert said.code == 0
    assert f"{address}/32" in said.out
    said = ended(open_exec(api, "web", ["sh", "-c", "echo err >&2; exit 7"], container="web"))
    assert (said.code, said.out, said.err) == (7, "", "err\n")


def test_exec_in_calico_node_sees_the_node(plane):
    with plane.exec(
        "calico-system", "calico-node-node2", "calico-node", ["ip", "-j", "route", "show"]
    ) as process:
        out, _ = process.communicate(timeout=10)
    assert b'"dev":"eth0"' in out


def test_a_pod_made_over_the_wire_is_deleted_over_the_wire(plane, api):
    core = client.CoreV1Api(api)
    body = {
        "metadata": {"name": "wired"},
        "spec": {"containers": [{"name": "a", "image": "x"}], "nodeName": "node3"},
    }
    core.create_namespaced_pod("default", body)
    assert plane.wait_ready("default", "wired")["spec"]["nodeName"] == "node3"
    core.delete_namespaced_pod("wired", "default", grace_period_seconds=1)
    plane.wait_gone("default", "wired")


def test_a_pool_made_over_the_wire_is_in_the_network(plane, api):
    custom = client.CustomObjectsApi(api)
    spec = {"cidr": "198.19.40.0/24", "vxlanMode": "Always", "assignmentMode": "Manual", "blockSize": 28}
    body = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "wired"},
        "spec": spec,
    }
    custom.create_cluster_custom_object("projectcalico.org", "v3", "ippools", body)
    make_pod(plane, "in-pool", "node3", "wired")
    plane.wait_ready("default", "in-pool")
    until(lambda: any("198.19.40." in route and "vxlan.calico" in route for route in plane.routes("node2")))
    plane.fake.store.delete(("", "v1", "pods"), "in-pool", namespace="default")
    plane.wait_gone("default", "in-pool")
    custom.delete_cluster_custom_object("projectcalico.org", "v3", "ippools", "wired")
    plane.settle()
    until(lambda: not any("198.19.40." in route for route in plane.routes("node2")))


def test_without_calico_nothing_tells_of_it_and_pods_reach_each_other():
    with FakeApi() as fake, Plane(fake, calico=CalicoSpec(absent=True)) as plane, connect(fake) as api:
        groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
        assert not any("calico" in name or "tigera" in name for name in groups)
        _, server = run_pods(plane, ("client", "node1"), ("server", "node2"))
        until(lambda: reaches(plane, "client", server))
        told = [fake.store.list(resource) for resource in (NODES, PODS, DAEMON_SETS, CONFIG_MAPS)]
        assert "calico" not in str(told)
