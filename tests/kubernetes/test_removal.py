"""What is ours goes, in the right order; what is not ours stays; what would not go is named with its command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes import ours
from pytest_calico_perf.cluster.kubernetes.removal import Removal
from pytest_calico_perf.cluster.kubernetes.resource import CalicoApi
from tests.kubernetes.fake import FakeApi, running_pod, status
from tests.kubernetes.transport import api_of
from tests.unit.kubernetes.objects import AGGREGATED_API, RAW_API

RAW = ("crd.projectcalico.org", "v1")
POOLS, BLOCKS, AFFINITIES = ((*RAW, plural) for plural in ("ippools", "ipamblocks", "blockaffinities"))
NAMESPACES, PODS = ("", "v1", "namespaces"), ("", "v1", "pods")
RUN, OTHER = "bcdfgh", "jkmnpq"


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as server:
        for plural, kind in (
            ("ippools", "IPPool"),
            ("ipamblocks", "IPAMBlock"),
            ("blockaffinities", "BlockAffinity"),
        ):
            server.register(*RAW, plural, kind)
        server.register("projectcalico.org", "v3", "ippools", "IPPool", storage=(RAW[0], "ippools"))
        yield server


def removal(fake: FakeApi, folder: Path, calico: CalicoApi | None = RAW_API, **more: Any) -> Removal:
    return Removal(
        api_of(fake, folder), calico, **{"namespace": None, "deadline": 1.0, "tell": lambda _: None, **more}
    )


def pool(fake: FakeApi, name: str, cidr: str, run: str = RUN, **labels: str) -> None:
    found = {**ours.labels(run), **labels} if run else labels
    fake.store.create(POOLS, {"metadata": {"name": name, "labels": found}, "spec": {"cidr": cidr}})


def block(fake: FakeApi, cidr: str, *handles: str) -> None:
    name = cidr.replace(".", "-").replace("/", "-")
    allocations = [*range(len(handles)), None, None]
    attributes = [{"handle_id": handle} for handle in handles]
    spec = {"cidr": cidr, "allocations": allocations, "attributes": attributes}
    fake.store.create(BLOCKS, {"metadata": {"name": name}, "spec": spec})
    fake.store.create(
        AFFINITIES, {"metadata": {"name": f"node1-{name}"}, "spec": {"cidr": cidr, "node": "node1"}}
    )


def names(fake: FakeApi, resource: tuple[str, str, str]) -> set[str]:
    return {each["metadata"]["name"] for each in fake.store.list(resource)}


def test_only_what_carries_our_labels_is_found(fake: FakeApi, tmp_path: Path):
    fake.store.create(NAMESPACES, {"metadata": {"name": "calico-perf-theirs"}})
    fake.store.create(
        NAMESPACES, {"metadata": {"name": "calico-perf-mine", "labels": dict(ours.labels(RUN))}}
    )
    pool(fake, "calico-perf-bgp-theirs", "198.19.0.0/24", run="")
    pool(fake, "calico-perf-bgp-mine", "198.19.1.0/24")
    pool(fake, "default", "10.0.0.0/16", run="", **{ours.MANAGED_BY: "tigera-operator"})
    found = removal(fake, tmp_path).leftovers()
    assert {each.name for each in found} == {"calico-perf-mine", "calico-perf-bgp-mine"}
    assert {each.run for each in found} == {RUN}


def test_a_run_is_told_from_another(fake: FakeApi, tmp_path: Path):
    pool(fake, "mine", "198.19.1.0/24")
    pool(fake, "other", "198.19.2.0/24", run=OTHER)
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers(RUN)) == []
    assert names(fake, POOLS) == {"other"}


def test_pods_go_before_their_pool_and_a_pool_is_disabled_before_it_is_deleted(fake: FakeApi, tmp_path: Path):
    fake.store.create(
        NAMESPACES, {"metadata": {"name": "calico-perf-mine", "labels": dict(ours.labels(RUN))}}
    )
    pool(fake, "mine", "198.19.1.0/24")
    remover = removal(fake, tmp_path, AGGREGATED_API)
    fake.requests.clear()
    assert remover.remove(remover.leftovers()) == []
    done = [(each.verb, each.resource) for each in fake.requests if each.verb in ("delete", "patch")]
    assert done == [("delete", "namespaces"), ("patch", "ippools"), ("delete", "ippools")]


def test_a_pool_in_use_is_left_alone_and_its_user_named(fake: FakeApi, tmp_path: Path):
    pool(fake, "mine", "198.19.1.0/24")
    block(fake, "198.19.1.0/28", "k8s-pod-network.abc123")
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "k8s-pod-network.abc123 still has an address of 198.19.1.0/24" in problem
    assert "--calico-cleanup" in problem
    assert names(fake, POOLS) == {"mine"}
    assert "disabled" not in fake.store.get(POOLS, "mine")["spec"]


def test_addresses_of_tunnels_do_not_keep_a_pool_from_being_disabled(fake: FakeApi, tmp_path: Path):
    """They go because it is: calico-node gives them back then, here a subscription does."""
    pool(fake, "mine", "198.19.1.0/24")
    block(fake, "198.19.1.0/28", "ipip-tunnel-addr-node1")

    def calico_node(_: str, obj: dict[str, Any]) -> None:
        if obj["kind"] == "IPPool" and obj["spec"].get("disabled"):
            fake.store.patch(BLOCKS, "198-19-1-0-28", {"spec": {"allocations": [None, None]}})

    fake.store.subscribe(calico_node)
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, POOLS) == set()


def test_empty_blocks_go_with_their_pool_where_the_api_does_nothing(fake: FakeApi, tmp_path: Path):
    pool(fake, "mine", "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    block(fake, "10.0.0.0/26")
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, BLOCKS) == {"10-0-0-0-26"}
    assert names(fake, AFFINITIES) == {"node1-10-0-0-0-26"}


def test_without_the_permission_empty_blocks_are_left_to_calico_and_that_is_said(
    fake: FakeApi, tmp_path: Path
):
    pool(fake, "mine", "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch", "patch"]}
    deleting = {"apiGroups": ["*"], "resources": ["ippools"], "verbs": ["delete"]}
    fake.rbac.rules = [everything, deleting]
    said: list[str] = []
    remover = removal(fake, tmp_path, tell=said.append)
    assert remover.remove(remover.leftovers()) == []
    assert "198-19-1-0-28" in said[0]
    assert "garbage collection" in said[0]


def test_a_deletion_that_is_refused_is_told_with_its_command(fake: FakeApi, tmp_path: Path):
    pool(fake, "mine", "198.19.1.0/24")
    fake.faults.add(("DELETE", r"/ippools/mine"), status(403), times=99)
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "kubectl delete ippools.crd.projectcalico.org mine" in problem


def test_what_does_not_go_in_time_is_told(fake: FakeApi, tmp_path: Path):
    held = {
        "name": "mine",
        "labels": dict(ours.labels(RUN)),
        "finalizers": ["projectcalico.org/ippool-finalizer"],
    }
    fake.store.create(POOLS, {"metadata": held, "spec": {"cidr": "198.19.1.0/24"}})
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "still being deleted after 1 s" in problem


def test_another_object_of_the_same_name_is_not_taken_for_ours(fake: FakeApi, tmp_path: Path):
    pool(fake, "mine", "198.19.1.0/24")
    remover = removal(fake, tmp_path)
    found = remover.leftovers()
    fake.store.delete(POOLS, "mine")
    pool(fake, "mine", "198.19.9.0/24", run="")
    remover.remove(found)
    assert names(fake, POOLS) == {"mine"}


def test_in_a_namespace_of_the_users_only_our_pods_go(fake: FakeApi, tmp_path: Path):
    fake.store.create(NAMESPACES, {"metadata": {"name": "theirs"}})
    for name, labels in (("web", {}), ("bgp-client", dict(ours.labels(RUN)))):
        body = running_pod(name)
        body["metadata"] = {"name": name, "labels": labels}
        fake.store.create(PODS, body, namespace="theirs")
    remover = removal(fake, tmp_path, namespace="theirs")
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, PODS) == {"web"}
    assert "theirs" in names(fake, NAMESPACES)


def test_hostile_names_and_owners_stay_on_one_line(fake: FakeApi, tmp_path: Path):
    labels = dict(ours.labels(RUN))
    annotations = {"pytest-calico-perf/owner": "me\n\x1b[31mred\x00" + "x" * 5000}
    fake.store.create(
        NAMESPACES, {"metadata": {"name": "calico-perf-x", "labels": labels, "annotations": annotations}}
    )
    (found,) = removal(fake, tmp_path).leftovers()
    assert str(found).isprintable()
    assert len(str(found)) < 300
