"""What must be true of any cluster: of the one on the wire, and of a real one named by CALICO_PERF_KUBECONFIG.

`make test-cluster` runs this file (docs/real-cluster.md). Both go by the same API, so what passes on the wire and
fails here is a lie of the wire.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_calico_perf.cluster.base import Endpoint
from pytest_calico_perf.cluster.kubernetes import open_cluster
from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.detection import find_api
from pytest_calico_perf.cluster.kubernetes.ours import SELECTOR
from pytest_calico_perf.cluster.kubernetes.reading import Look
from pytest_calico_perf.cluster.kubernetes.resource import NAMESPACES, NODES, PODS, Json
from pytest_calico_perf.clusterfile import KubernetesFile, load
from pytest_calico_perf.model import Mode, Provision
from pytest_calico_perf.model import Path as NetworkPath
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import QUICK, Runs

KUBECONFIG = os.environ.get("CALICO_PERF_KUBECONFIG", "")
CURRENT = ("--calico-mode=current", *QUICK)
PATHS = ",".join(NetworkPath)
PROBES = (
    "ping,connect,tcp,http,link" if KUBECONFIG else "ping,connect,link"
)  # the others have tests of their own


@dataclass
class Cluster:
    """A cluster as its API shows it, and runs against it."""

    runs: Runs
    look_around: Callable[[], None] = field(default=lambda: None)

    @property
    def file(self) -> KubernetesFile:
        self.runs.write_files()
        file = load(str(self.runs.cluster_file))
        assert isinstance(file, KubernetesFile)
        return file

    @property
    def api(self) -> Api:
        return Api(Access.of(self.file))

    def seen(self) -> tuple[list[str], dict[str, Any]]:
        """Everything of ours, and what of the user's must stay as it is."""
        api = self.api
        calico = find_api(Look(api))
        kinds = [NAMESPACES, *([calico.pools] if calico else [])]
        ours = [_name(each) for kind in kinds for each in api.list(kind, labels=SELECTOR)]
        theirs = {
            f"{kind} {_name(each)}": _steady(each) for kind in (*kinds, NODES) for each in api.list(kind)
        }
        theirs |= {f"pod {_name(each)}": each["spec"].get("nodeName") for each in api.list(PODS)}
        api.close()
        return ours, theirs


def _name(each: Json) -> str:
    return f"{each['metadata'].get('namespace', '')}/{each['metadata']['name']}"


def _steady(each: Json) -> Json:
    metadata = each["metadata"]
    return {key: metadata.get(key) for key in ("labels", "annotations", "uid")} | {"spec": each.get("spec")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" in metafunc.fixturenames:
        wired = pytest.param("wired", marks=needs_root)
        metafunc.parametrize("cluster", ["real"] if KUBECONFIG else [wired], indirect=True)


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path, make_world: MakeWorld) -> Iterator[Cluster]:
    if request.param == "wired":
        yield Cluster(make_world(CalicoSpec(mode=Mode.BGP)))
        return
    image = os.environ.get("CALICO_PERF_IMAGE")
    fields: dict[str, Any] = {"kubeconfig": str(Path(KUBECONFIG).absolute())}
    fields |= {"context": os.environ["CALICO_PERF_CONTEXT"]} if "CALICO_PERF_CONTEXT" in os.environ else {}
    fields |= {"images": {"tools": image, "web": image}} if image else {}
    runs = Runs(tmp_path, fields)
    yield Cluster(runs)
    runs.close()


def test_every_path_as_it_is_and_nothing_is_left(cluster: Cluster):
    before = cluster.seen()
    run = cluster.runs.run(
        "--calico-mode=current", f"--calico-path={PATHS}", f"--calico-probe={PROBES}", "--calico-rounds=1",
        "--calico-duration=0.5", "-k", "ping or pod-to-service or link", timeout=240,
    )  # fmt: skip
    assert run.code == 0, run.output
    assert set(run.outcomes().values()) == {"ok"}
    assert {path for _, path, _ in run.cells} == set(NetworkPath)
    nodes = {
        run.cells["ping", "pod-to-pod", "current"]["evidence"][end]["node"] for end in ("client", "server")
    }
    assert len(nodes) == 2
    assert cluster.seen() == before


def test_kill_9_is_cleaned_up_after(cluster: Cluster):
    before = cluster.seen()
    process = cluster.runs.start(*CURRENT, "--calico-path=pod-to-pod", "--calico-rounds=500")
    cluster.runs.wait_for_line("round 2/500")
    process.kill()
    process.wait(10)
    left, _ = cluster.seen()
    assert len(left) == 2
    shown = cluster.runs.run("--calico-cleanup", "--collect-only")
    assert shown.output.count("would remove") == 2
    assert cluster.seen()[0] == left
    assert cluster.runs.run("--calico-cleanup").code == 0
    assert cluster.seen() == before


def test_an_interrupt_leaves_nothing(cluster: Cluster):
    before = cluster.seen()
    process = cluster.runs.start(*CURRENT, "--calico-path=pod-to-pod", "--calico-rounds=500")
    cluster.runs.wait_for_line("round 2/500")
    process.send_signal(signal.SIGTERM)
    run = cluster.runs.finish(process)
    assert run.code == pytest.ExitCode.INTERRUPTED
    assert len(run.cells["ping", "pod-to-pod", "current"]["samples"]) >= 1
    assert cluster.seen() == before


def test_a_missing_image_is_told(cluster: Cluster):
    image = "registry.invalid/missing:1"
    cluster.runs.fields |= {"images": {"tools": image, "web": image}, "timeouts": {"pods": 8.0}}
    run = cluster.runs.run(*CURRENT, "--calico-path=pod-to-pod")
    assert run.code == 1
    assert image in run.output
    assert "ErrImagePull" in run.output or "ImagePullBackOff" in run.output
    assert cluster.seen()[0] == []


def test_commands_in_pods(cluster: Cluster):
    with open_cluster(
        cluster.file, (Mode.CURRENT,), paths=(NetworkPath.POD_TO_POD,), provision=Provision.POOLS, tell=print
    ) as opened:
        pair = opened.pair(NetworkPath.POD_TO_POD, Mode.CURRENT)
        for endpoint in (pair.client, opened.host(pair.server.node)):
            check_commands(endpoint)


def check_commands(endpoint: Endpoint) -> None:
    both = endpoint.run(["sh", "-c", "echo out; echo err >&2; exit 3"], limit=5)
    assert (both.exit_code, both.stdout, both.stderr) == (3, "out\n", "err\n")
    hostile = "a b; $(touch pwned) `x` 'q' \"d\" \\ \n*"
    assert endpoint.run(["printf", "%s", hostile], limit=5).stdout == hostile
    assert endpoint.run(["no-such-program"], limit=5).exit_code == 127
    assert len(endpoint.run(["head", "-c", "2000000", "/dev/zero"], limit=10).stdout) == 2_000_000
    late = endpoint.run(["sleep", "77"], limit=1)
    assert late.timed_out
    endpoint.write_file(f"{endpoint.scratch}/note", hostile)
    assert endpoint.run(["cat", f"{endpoint.scratch}/note"], limit=5).stdout == hostile
    with endpoint.start(["sh", "-c", "echo ready; sleep 78"], limit=60) as server:
        server.wait_for_output("ready", deadline=5)
        assert server.running
    running = endpoint.run(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], limit=5).stdout
    assert "sleep 77" not in running
    assert "sleep 78" not in running
    assert endpoint.run(["ping", "-n", "-c", "1", "-W", "2", endpoint.own_address], limit=5).exit_code == 0
