"""What goes wrong on the wire or in the cluster in the middle of a run: survived, or told, and never a number."""

from __future__ import annotations

import time

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.model import Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.fake import cut, drop, gone, reset, status
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import QUICK, World

pytestmark = needs_root

RAW = CalicoSpec(group="crd", mode=Mode.BGP)
BGP = ("--calico-mode=bgp", "--calico-path=pod-to-pod")


def pod(world: World, mode: str, role: str) -> tuple[str, str]:
    """Namespace and name of a pod of the run."""
    wanted = {ours.MODE: mode, ours.ROLE: role}
    found = (each["metadata"] for each in world.fake.store.list(("", "v1", "pods")))
    return next(
        (each["namespace"], each["name"]) for each in found if wanted.items() <= each["labels"].items()
    )


def test_hiccups_of_the_api_do_not_show(make_world: MakeWorld):
    world = make_world(RAW)
    faults = world.fake.faults
    faults.add(("GET", r"/nodes"), status(429, retry_after=1))
    faults.add(("PATCH", r"/namespaces"), status(500))
    faults.add(("PATCH", r"/pods"), drop(done=True))  # made, and the answer lost
    faults.add(("GET", r"/pods\?.*watch"), gone(), times=2)
    faults.add(("PATCH", r"/ippools"), status(503))
    faults.add(("GET", r"/exec"), status(500), times=2, skip=3)
    faults.add(("GET", r"/ipamblocks"), reset())
    faults.add(("DELETE", r"/namespaces"), status(500))
    run = world.run(*BGP, *QUICK)
    assert run.code == 0, run.output
    assert run.outcomes()["ping", "pod-to-pod", "bgp"] == "ok"
    assert len(run.cells["ping", "pod-to-pod", "bgp"]["samples"]) == 2
    assert world.ours() == []


def test_a_dropped_websocket_costs_one_round(make_world: MakeWorld):
    world = make_world(RAW)
    process = world.start(*BGP, "--calico-probe=ping", "--calico-duration=1", "--calico-rounds=5")
    world.wait_for_line("round 1/5")
    world.fake.faults.add(("GET", r"/pods/bgp-client-[a-z]+/exec"), cut(after_seconds=0.3))
    run = world.finish(process)
    cell = run.cells["ping", "pod-to-pod", "bgp"]
    assert cell["outcome"] == "ok", run.output
    assert len(cell["samples"]) == 4
    (lost,) = cell["details"]["lost_rounds"]
    assert "bgp-client" in lost["reason"]
    assert "cut" in lost["reason"]
    assert world.ours() == []


def test_a_restart_of_the_api_server_in_the_middle(make_world: MakeWorld):
    world = make_world(RAW)
    process = world.start(*BGP, "--calico-probe=ping", "--calico-rounds=8")
    world.wait_for_line("round 2/8")
    world.fake.stop()
    time.sleep(2)
    world.fake.start()
    run = world.finish(process)
    assert run.outcomes()["ping", "pod-to-pod", "bgp"] == "ok", run.output
    assert len(run.cells["ping", "pod-to-pod", "bgp"]["samples"]) >= 6
    assert world.ours() == []


def test_a_token_that_expires_in_the_middle(make_world: MakeWorld):
    world = make_world(RAW)
    process = world.start(*BGP, "--calico-probe=ping", "--calico-rounds=6")
    world.wait_for_line("round 2/6")
    world.fake.expire_token()
    world.fake.kubeconfig(world.folder / "kubeconfig")  # as a login helper renews it
    run = world.finish(process)
    assert run.code == 0, run.output
    assert len(run.cells["ping", "pod-to-pod", "bgp"]["samples"]) == 6
    assert world.fake.token not in run.output
    assert world.ours() == []


def test_an_evicted_pod_is_named_with_its_reason(make_world: MakeWorld):
    world = make_world(RAW)
    process = world.start(
        "--calico-mode=bgp,ipip", "--calico-path=pod-to-pod", "--calico-probe=ping", "--calico-rounds=6"
    )
    world.wait_for_line("round 2/6")
    world.plane.evict(*pod(world, "bgp", "client"))
    run = world.finish(process)
    assert run.outcomes()["ping", "pod-to-pod", "bgp"] == "tool-error"
    reason = run.cells["ping", "pod-to-pod", "bgp"]["reason"]
    assert "bgp-client" in reason
    assert "Evicted" in reason
    assert "low on resource: memory" in reason
    assert run.outcomes()["ping", "pod-to-pod", "ipip"] == "ok"
    assert len(run.cells["ping", "pod-to-pod", "ipip"]["samples"]) == 6
    assert world.ours() == []


def test_a_node_that_goes_away_ends_its_cells_and_is_named(make_world: MakeWorld):
    world = make_world(RAW, fields={"timeouts": {"removal": 4.0, "pools": 4.0, "request": 2.0}})
    process = world.start(*BGP, "--calico-probe=ping", "--calico-rounds=20")
    world.wait_for_line("round 2/20")
    world.plane.silence("node2", cut=True)
    run = world.finish(process)
    cell = run.cells["ping", "pod-to-pod", "bgp"]
    assert cell["outcome"] in ("unreachable", "tool-error"), run.output
    assert len(cell["samples"]) >= 1
    assert run.code == 1
    # Its pods cannot go while nobody hears of it: said, with the command that will.
    assert "is still there after 4 s; kubectl delete namespaces" in run.output
    world.plane.restore("node2")
    cleaned = world.run("--calico-cleanup", timeout=60)
    assert cleaned.code == 0, cleaned.output
    assert world.ours() == []


def explain(world: World, **fields: object) -> str:
    world.fields |= {"timeouts": {"pods": 4.0}, **fields}
    run = world.run(*BGP, *QUICK)
    assert run.code == 1
    assert world.ours() == []
    return run.output


def test_a_missing_image_is_told_as_kubectl_would(make_world: MakeWorld):
    output = explain(make_world(RAW), images={"tools": "registry.example.com/missing:1"})
    assert "registry.example.com/missing:1" in output
    assert "ImagePullBackOff" in output or "ErrImagePull" in output
    assert "describe pod" in output


def test_a_tainted_node_is_refused_by_name(make_world: MakeWorld):
    world = make_world(RAW)
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    world.fake.store.patch(("", "v1", "nodes"), "node2", {"spec": {"taints": [taint]}})
    assert "node2 is tainted (dedicated=db:NoSchedule)" in explain(world)
    world.fields["tolerations"] = [{"key": "dedicated", "operator": "Exists"}]
    run = world.run(*BGP, *QUICK)
    assert run.code == 0, run.output


def test_a_quota_is_told_with_its_remedy(make_world: MakeWorld):
    world = make_world(RAW)
    world.fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": "perf"}})
    world.fake.store.create(
        ("", "v1", "resourcequotas"),
        {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}},
        namespace="perf",
    )
    output = explain(world, namespace="perf")
    assert "exceeded quota: small" in output
    assert "raise the quota" in output


def test_a_namespace_that_allows_too_little_is_told(make_world: MakeWorld):
    world = make_world(RAW)
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    world.fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": "perf", "labels": labels}})
    output = explain(world, namespace="perf")
    assert "violates PodSecurity" in output
    assert "docs/security.md" in output


def test_without_permission_nothing_is_made_and_all_that_is_missing_is_listed(make_world: MakeWorld):
    world = make_world(RAW)
    world.fake.rbac.rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    run = world.run(*BGP, *QUICK)
    assert run.code == 1
    for missing in ("create, patch pods", "create, patch namespaces", "create, patch ippools"):
        assert missing in run.output
    assert "kubectl apply -f docs/rbac.yaml" in run.output
    assert {each.verb for each in world.fake.requests} <= {"get", "list", "watch", "create"}
    assert {each.resource for each in world.fake.requests if each.verb == "create"} == {
        "selfsubjectaccessreviews"
    }


def test_two_runs_at_once_do_not_touch_each_other(make_world: MakeWorld):
    world = make_world(RAW)
    first = world.start(*BGP, "--calico-probe=ping", "--calico-rounds=8")
    world.wait_for_line("round 1/8")
    other = World(world.folder / "other", fake=world.fake, plane=world.plane)
    other.folder.mkdir()
    run = other.run("--calico-mode=bgp", "--calico-path=pod-to-pod", *QUICK)
    assert run.code == 0, run.output
    finished = world.finish(first)
    assert finished.code == 0, finished.output
    pools = [
        each["range"]
        for each in (*run.record["cluster"]["test_pools"], *finished.record["cluster"]["test_pools"])
    ]
    assert len(set(pools)) == 2
    assert world.ours() == []
