"""What is ours goes, in the right order; what is not ours stays; what would not go is named with its command."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.kubernetes import gone, ours
from pytest_calico_perf.cluster.kubernetes.removal import Removal
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES as NAMESPACE_KIND
from pytest_calico_perf.cluster.kubernetes.resource import CalicoApi
from tests.kubernetes.fake import FakeApi, running_pod, status
from tests.kubernetes.transport import api_of
from tests.unit.kubernetes.objects import AGGREGATED_API, RAW_API

RAW = ("crd.projectcalico.org", "v1")
POOLS, BLOCKS, AFFINITIES = ((*RAW, plural) for plural in ("ippools", "ipamblocks", "blockaffinities"))
NAMESPACES, PODS = ("", "v1", "namespaces"), ("", "v1", "pods")
RUN, OTHER = "bcdfgh", "jkmnpq"
NAMESPACE, MINE = f"calico-perf-{RUN}", f"calico-perf-bgp-{RUN}"


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
    fake.store.create(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": dict(ours.labels(RUN))}})
    pool(fake, "calico-perf-bgp-theirs", "198.19.0.0/24", run="")
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, "default", "10.0.0.0/16", run="", **{ours.MANAGED_BY: "tigera-operator"})
    found = removal(fake, tmp_path).leftovers()
    assert {each.name for each in found} == {NAMESPACE, MINE}
    assert {each.run for each in found} == {RUN}


def test_a_run_is_told_from_another(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, f"calico-perf-bgp-{OTHER}", "198.19.2.0/24", run=OTHER)
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers(RUN)) == []
    assert names(fake, POOLS) == {f"calico-perf-bgp-{OTHER}"}


def test_pods_go_before_their_pool_and_a_pool_is_disabled_before_it_is_deleted(fake: FakeApi, tmp_path: Path):
    fake.store.create(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": dict(ours.labels(RUN))}})
    pool(fake, MINE, "198.19.1.0/24")
    remover = removal(fake, tmp_path, AGGREGATED_API)
    fake.requests.clear()
    assert remover.remove(remover.leftovers()) == []
    done = [(each.verb, each.resource) for each in fake.requests if each.verb in ("delete", "patch")]
    assert done == [("delete", "namespaces"), ("patch", "ippools"), ("delete", "ippools")]


def test_a_pool_in_use_is_left_alone_and_its_user_named(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28", "k8s-pod-network.abc123")
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "k8s-pod-network.abc123 still has an address of 198.19.1.0/24" in problem
    assert "--calico-cleanup" in problem
    assert names(fake, POOLS) == {MINE}
    assert "disabled" not in fake.store.get(POOLS, MINE)["spec"]


def test_addresses_of_tunnels_do_not_keep_a_pool_from_being_disabled(fake: FakeApi, tmp_path: Path):
    """They go because it is: calico-node gives them back then, here a subscription does."""
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28", "ipip-tunnel-addr-node1")

    def calico_node(type_: str, obj: dict[str, Any]) -> None:
        if type_ == "MODIFIED" and obj["kind"] == "IPPool" and obj["spec"].get("disabled"):
            fake.store.patch(BLOCKS, "198-19-1-0-28", {"spec": {"allocations": [None, None]}})

    fake.store.subscribe(calico_node)
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, POOLS) == set()


def test_empty_blocks_go_with_their_pool_where_the_api_does_nothing(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    block(fake, "10.0.0.0/26")
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, BLOCKS) == {"10-0-0-0-26"}
    assert names(fake, AFFINITIES) == {"node1-10-0-0-0-26"}


def test_without_the_permission_empty_blocks_are_left_to_calico_and_that_is_said(
    fake: FakeApi, tmp_path: Path
):
    pool(fake, MINE, "198.19.1.0/24")
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
    pool(fake, MINE, "198.19.1.0/24")
    fake.faults.add(("DELETE", rf"/ippools/{MINE}"), status(403), times=99)
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert f"kubectl delete ippools.crd.projectcalico.org {MINE}" in problem


def test_what_does_not_go_in_time_is_told(fake: FakeApi, tmp_path: Path):
    held = {
        "name": MINE,
        "labels": dict(ours.labels(RUN)),
        "finalizers": ["projectcalico.org/ippool-finalizer"],
    }
    fake.store.create(POOLS, {"metadata": held, "spec": {"cidr": "198.19.1.0/24"}})
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "still being deleted after 1 s" in problem


def test_another_object_of_the_same_name_is_not_taken_for_ours(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    remover = removal(fake, tmp_path)
    found = remover.leftovers()
    fake.store.delete(POOLS, MINE)
    pool(fake, MINE, "198.19.9.0/24", run="")
    remover.remove(found)
    assert names(fake, POOLS) == {MINE}


def test_in_a_namespace_of_the_users_only_our_pods_go(fake: FakeApi, tmp_path: Path):
    fake.store.create(NAMESPACES, {"metadata": {"name": "theirs"}})
    for name, labels in (("web", {}), (f"bgp-client-{RUN}", dict(ours.labels(RUN)))):
        body = running_pod(name)
        body["metadata"] = {"name": name, "labels": labels}
        fake.store.create(PODS, body, namespace="theirs")
    remover = removal(fake, tmp_path, namespace="theirs")
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, PODS) == {"web"}
    assert "theirs" in names(fake, NAMESPACES)


def test_hostile_names_and_owners_stay_on_one_line(fake: FakeApi, tmp_path: Path):
    labels = dict(ours.labels(RUN))
    annotations = {ours.OWNER: "me\n\x1b[31mred\x00" + "x" * 5000}
    fake.store.create(
        NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": labels, "annotations": annotations}}
    )
    (found,) = removal(fake, tmp_path).leftovers()
    assert str(found).isprintable()
    assert len(str(found)) < 300


def test_what_bears_our_label_and_not_our_name_stays_and_is_shown(fake: FakeApi, tmp_path: Path):
    labels = dict(ours.labels(RUN))
    for name in ("shop", f"calico-perf-{OTHER}", f"shop-{RUN}"):
        fake.store.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    fake.store.create(
        NAMESPACES, {"metadata": {"name": "unlabelled-run", "labels": {ours.MANAGED_BY: ours.MANAGER}}}
    )
    pool(fake, "default-ipv4-ippool", "10.0.0.0/16")
    pool(fake, "calico-perf-bgp-no-run", "198.19.3.0/24", **{ours.RUN: ""})
    said: list[str] = []
    assert removal(fake, tmp_path, tell=said.append).leftovers() == []
    assert len(said) == 5
    assert all(line.startswith("not removed: it bears our label but not our name: ") for line in said)


def test_the_owner_is_kept_whole_and_shown_short(fake: FakeApi, tmp_path: Path):
    owner = f"{'u' * 200} on {'h' * 60}, process 1 started at 2 of boot b in pid:[3]"
    metadata = {"name": NAMESPACE, "labels": dict(ours.labels(RUN)), "annotations": {ours.OWNER: owner}}
    fake.store.create(NAMESPACES, {"metadata": metadata})
    (found,) = removal(fake, tmp_path).leftovers()
    assert found.owner == owner
    assert owner not in str(found)


def test_all_pools_are_disabled_before_any_is_deleted(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, f"calico-perf-ipip-{RUN}", "198.19.2.0/24")
    remover = removal(fake, tmp_path)
    fake.requests.clear()
    assert remover.remove(remover.leftovers()) == []
    done = [
        each.verb for each in fake.requests if each.resource == "ippools" and each.verb in ("delete", "patch")
    ]
    assert done == ["patch", "patch", "delete", "delete"]


@pytest.mark.parametrize("calico", [RAW_API, AGGREGATED_API], ids=["raw", "aggregated"])
def test_a_pool_whose_addresses_tunnels_hold_is_disabled_and_not_deleted(
    fake: FakeApi, tmp_path: Path, calico: CalicoApi
):
    """Nobody gives them back on a node that is down; without its pool the address would be lost for good."""
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, f"calico-perf-ipip-{RUN}", "198.19.2.0/24")
    block(fake, "198.19.1.0/28", "vxlan-tunnel-addr-node7")
    remover = removal(fake, tmp_path, calico)
    (problem,) = remover.remove(remover.leftovers())
    assert (
        "disabled but not deleted: vxlan-tunnel-addr-node7 still has an address of 198.19.1.0/24" in problem
    )
    assert names(fake, POOLS) == {MINE}
    assert names(fake, BLOCKS) == {"198-19-1-0-28"}


@pytest.mark.parametrize("cidr", ["198.19.0.0/16", "198.19.1.16/28"], ids=["around it", "within it"])
def test_blocks_that_another_pool_overlaps_stay(fake: FakeApi, tmp_path: Path, cidr: str):
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, "theirs", cidr, run="")
    block(fake, "198.19.1.0/28")
    said: list[str] = []
    remover = removal(fake, tmp_path, tell=said.append)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, POOLS) == {"theirs"}
    assert names(fake, BLOCKS) == {"198-19-1-0-28"}
    assert names(fake, AFFINITIES) == {"node1-198-19-1-0-28"}
    assert "they are of theirs, too" in said[0]


def test_a_block_that_is_taken_after_all_is_a_problem_and_keeps_its_affinity(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    block(fake, "198.19.1.16/28")

    def at_the_last_moment(operation: str, obj: dict[str, Any], _: object) -> None:
        if obj["kind"] == "IPPool" and operation == "DELETE":
            taken = {"allocations": [0, None], "attributes": [{"handle_id": "k8s-pod-network.late"}]}
            fake.store.patch(BLOCKS, "198-19-1-0-28", {"spec": taken})

    fake.store.admit(at_the_last_moment)
    remover = removal(fake, tmp_path)
    (problem,) = remover.remove(remover.leftovers())
    assert "block 198-19-1-0-28 is left" in problem
    assert "k8s-pod-network.late still has an address of it" in problem
    assert names(fake, BLOCKS) == {"198-19-1-0-28"}
    assert names(fake, AFFINITIES) == {"node1-198-19-1-0-28"}


def test_an_affinity_stays_with_the_block_that_may_not_be_deleted(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    fake.faults.add(("DELETE", r"/ipamblocks/"), status(403), times=99)
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, AFFINITIES) == {"node1-198-19-1-0-28"}


def test_an_affinity_whose_block_is_gone_already_goes(fake: FakeApi, tmp_path: Path):
    pool(fake, MINE, "198.19.1.0/24")
    block(fake, "198.19.1.0/28")
    fake.store.delete(BLOCKS, "198-19-1-0-28")
    remover = removal(fake, tmp_path)
    assert remover.remove(remover.leftovers()) == []
    assert names(fake, AFFINITIES) == set()


def test_what_was_made_and_may_no_longer_be_listed_is_removed_by_name_or_told(fake: FakeApi, tmp_path: Path):
    fake.store.create(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": dict(ours.labels(RUN))}})
    pool(fake, MINE, "198.19.1.0/24")
    pool(fake, "default-ipv4-ippool", "10.0.0.0/16", run="")
    fake.faults.add(("GET", r"/namespaces\?"), status(403), times=99)
    fake.faults.add(("GET", r"/ippools"), status(403), times=99)
    remover = removal(fake, tmp_path)
    # A run that switches knows the cluster's own pool by name, too: it is not one of ours for that.
    made = [(NAMESPACE_KIND, NAMESPACE), (RAW_API.pools, MINE), (RAW_API.pools, "default-ipv4-ippool")]
    (problem,) = remover.remove(remover.leftovers(RUN, made))
    assert f"kubectl delete ippools.crd.projectcalico.org {MINE}" in problem
    assert NAMESPACE not in names(fake, NAMESPACES)
    assert names(fake, POOLS) == {MINE, "default-ipv4-ippool"}
    assert removal(fake, tmp_path).leftovers(RUN) == []  # of kinds it did not make it could have none


def test_a_long_wait_asks_ever_less_often(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    asked: list[float] = []
    monkeypatch.setattr(gone.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(gone.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    assert not gone.await_quietly(lambda: bool(asked.append(clock[0])), deadline=60.0)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] == 0.5
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == 5.0
    assert asked[-1] == 60.0  # and a last time at the deadline
