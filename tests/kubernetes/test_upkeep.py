"""What cleaning up takes away, what it leaves to a run that may go on, and what it says about that."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.kubernetes import leftover, ours, upkeep
from pytest_calico_perf.clusterfile import KubernetesFile, load
from tests.kubernetes.fake import FakeApi, running_pod, status
from tests.unit.kubernetes.switchable import DEAD, ELSEWHERE

RUN = "bcdfgh"
NAMESPACE = f"calico-perf-{RUN}"
OTHER_CONTAINER = ours.owner().rpartition(" in ")[0] + " in pid:[1]"
UNKNOWN = pytest.mark.parametrize(
    "owner",
    [ELSEWHERE, OTHER_CONTAINER, "x" * 5000, ""],
    ids=["elsewhere", "other-container", "long", "none"],
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def file_of(fake: FakeApi, folder: Path, text: str = "") -> KubernetesFile:
    fake.kubeconfig(folder / "kubeconfig")
    path = folder / "cluster.yaml"
    path.write_text(f"kind: kubernetes\nname: tried\nkubeconfig: kubeconfig\n{text}")
    file = load(path)
    assert isinstance(file, KubernetesFile)
    return file


def leave(fake: FakeApi, owner: str) -> None:
    metadata = {"name": NAMESPACE, "labels": dict(ours.labels(RUN)), "annotations": {ours.OWNER: owner}}
    fake.store.create(("", "v1", "namespaces"), {"metadata": metadata})


def is_left(fake: FakeApi) -> bool:
    return NAMESPACE in {each["metadata"]["name"] for each in fake.store.list(("", "v1", "namespaces"))}


def test_what_is_over_goes(fake: FakeApi, tmp_path: Path, said: list[str]):
    leave(fake, DEAD)
    assert upkeep.clean_up(file_of(fake, tmp_path), show_only=True, tell=said.append)
    assert is_left(fake)
    assert upkeep.clean_up(file_of(fake, tmp_path), show_only=False, tell=said.append)
    assert not is_left(fake)


def test_what_goes_on_stays(fake: FakeApi, tmp_path: Path, said: list[str]):
    leave(fake, ours.owner())
    assert upkeep.clean_up(file_of(fake, tmp_path), show_only=False, tell=said.append)
    assert is_left(fake)
    assert said[-1].startswith("left alone, its run goes on: namespaces ")


@UNKNOWN
def test_of_whose_run_nobody_knows_it_stays_for_a_day(
    owner: str, fake: FakeApi, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
):
    leave(fake, owner)
    begun = leftover.now()
    for hours in (0, 23):
        monkeypatch.setattr(upkeep, "now", lambda hours=hours: begun + timedelta(hours=hours))
        assert upkeep.clean_up(file_of(fake, tmp_path), show_only=False, tell=said.append)
        assert is_left(fake)
        assert said[-1].startswith("left alone, nobody here knows whether its run goes on: ")
        assert f"24 h old, or by kubectl delete namespaces {NAMESPACE}" in said[-1]
    monkeypatch.setattr(upkeep, "now", lambda: begun + timedelta(hours=25))
    assert upkeep.clean_up(file_of(fake, tmp_path), show_only=False, tell=said.append)
    assert not is_left(fake)


def test_pods_of_a_run_that_goes_on_stay_in_a_namespace_of_the_users(
    fake: FakeApi, tmp_path: Path, said: list[str]
):
    fake.store.create(("", "v1", "namespaces"), {"metadata": {"name": "perf"}})
    for run, owner in ((RUN, ours.owner()), ("jkmnpq", DEAD)):
        name = f"bgp-client-{run}"
        metadata = {"name": name, "labels": dict(ours.labels(run)), "annotations": {ours.OWNER: owner}}
        fake.store.create(("", "v1", "pods"), running_pod(name) | {"metadata": metadata}, namespace="perf")
    assert upkeep.clean_up(file_of(fake, tmp_path, "namespace: perf\n"), show_only=False, tell=said.append)
    left = [each["metadata"]["name"] for each in fake.store.list(("", "v1", "pods"))]
    assert left == [f"bgp-client-{RUN}"]


def test_without_permission_to_tell_the_cluster_the_rest_is_cleaned_up(
    fake: FakeApi, tmp_path: Path, said: list[str]
):
    leave(fake, DEAD)
    fake.faults.add(("GET", r"/namespaces/kube-system"), status(403), times=99)
    assert upkeep.clean_up(file_of(fake, tmp_path), show_only=False, tell=said.append)
    assert "could not look for switches" in said[0]
    assert not is_left(fake)


@pytest.mark.parametrize(
    ("created", "hours"),
    [("2026-01-01T00:00:00Z", 24), ("2027-01-01T00:00:00Z", 0), ("yesterday", 0), ("", 0), ("2026-01-01", 0)],
)
def test_an_age_that_nobody_can_tell_is_none(created: str, hours: float):
    now = leftover.datetime.fromisoformat("2026-01-02T00:00:00Z")
    thing = {"metadata": {"name": NAMESPACE, "creationTimestamp": created}}
    found = leftover.Leftover.of(leftover.Resource("", "v1", "namespaces", "Namespace"), thing, "")
    assert found.age(now) == hours * 3600
