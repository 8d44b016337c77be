"""What goes wrong in a cluster while somebody measures: silent nodes, evicted pods, ended agents."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes.client import ApiException

from pytest_calico_perf.model import Mode
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.fake.clients import connect, ended, open_exec
from tests.kubernetes.plane import Plane
from tests.kubernetes.plane.calico import is_ready
from tests.kubernetes.plane.resources import NODES, PODS
from tests.kubernetes.plane.trying import (
    events,
    make_pod,
    make_pool,
    needs_root,
    reaches,
    run_pods,
    say,
    until,
)
from tests.lab.runs import assert_nothing_left, processes_of

pytestmark = needs_root

ROOT = Path(__file__).parents[2]


class TestSilentNode:
    def ready(self, plane: Plane) -> str:
        conditions = plane.fake.store.get(NODES, "node2")["status"]["conditions"]
        return next(each["status"] for each in conditions if each["type"] == "Ready")

    def test_it_says_nothing_and_its_pods_go_on(self, plane):
        _, server = run_pods(plane, ("client", "node1"), ("server", "node2"))
        until(lambda: reaches(plane, "client", server))
        plane.silence("node2")
        assert self.ready(plane) == "Unknown"
        assert not is_ready(plane.fake.store.get(PODS, "server", namespace="default"))
        assert reaches(plane, "client", server)

    def test_nobody_gets_into_its_pods(self, plane):
        run_pods(plane, ("web", "node2"))
        plane.silence("node2")
        with (
            connect(plane.fake) as api,
            pytest.raises(ApiException, match=r"error dialing backend: dial tcp 198\.18\.0\.12:10250"),
        ):
            open_exec(api, "web", ["true"], container="tools")
        plane.restore("node2")
        with connect(plane.fake) as api:
            assert ended(open_exec(api, "web", ["true"], container="tools")).code == 0

    def test_its_pods_neither_start_nor_end_until_it_is_back(self, plane):
        run_pods(plane, ("old", "node2"))
        plane.silence("node2")
        make_pod(plane, "new", "node2")
        plane.fake.store.delete(PODS, "old", namespace="default")
        run_pods(plane, ("other", "node1"))
        assert "deletionTimestamp" in plane.fake.store.get(PODS, "old", namespace="default")["metadata"]
        assert plane.fake.store.get(PODS, "new", namespace="default")["status"]["phase"] == "Pending"
        plane.restore("node2")
        assert self.ready(plane) == "True"
        plane.wait_gone("default", "old")
        plane.wait_ready("default", "new")

    def test_the_scheduler_shuns_it(self, plane):
        plane.silence("node2")
        make_pod(plane, "web")
        assert plane.wait_ready("default", "web")["spec"]["nodeName"] == "node1"

    def test_cut_off_it_is_out_of_reach(self, plane):
        _, server = run_pods(plane, ("client", "node1"), ("server", "node2"))
        until(lambda: reaches(plane, "client", server))
        plane.silence("node2", cut=True)
        assert not reaches(plane, "client", server)
        plane.restore("node2")
        until(lambda: reaches(plane, "client", server))


class TestEviction:
    def test_its_processes_die_and_it_says_why(self, plane):
        (address,) = run_pods(plane, ("web", "node1"))
        running = plane.exec("default", "web", "tools", ["sleep", "1000"])
        plane.evict("default", "web")
        with running:
            assert running.wait(5) != 0
        status = plane.fake.store.get(PODS, "web", namespace="default")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
        assert "low on resource: memory" in events(plane, "web")["Evicted"]
        assert f"{address} dev" not in "\n".join(plane.routes("node1"))
        plane.fake.store.delete(PODS, "web", namespace="default")
        plane.wait_gone("default", "web")

    def test_an_exec_under_way_ends_with_137(self, plane):
        run_pods(plane, ("web", "node1"))
        with connect(plane.fake) as api:
            socket = open_exec(api, "web", ["sh", "-c", "echo on; sleep 1000"], container="tools")
            until(lambda: "on" in socket.peek_stdout(timeout=1))
            plane.evict("default", "web")
            assert ended(socket).code == 137

    def test_by_a_taint(self, plane):
        run_pods(plane, ("web", "node1"))
        taint = {"key": "maintenance", "effect": "NoExecute"}
        plane.fake.store.update(NODES, "node1", lambda node: node | {"spec": {"taints": [taint]}})
        plane.wait_gone("default", "web")
        assert is_ready(plane.fake.store.get(PODS, "calico-node-node1", namespace="kube-system"))


def test_without_its_bird_a_nodes_blocks_are_withdrawn(plane):
    make_pool(plane, Mode.VXLAN)
    _, bare, _, wrapped = run_pods(
        plane, ("c1", "node1"), ("s1", "node2"), ("c2", "node1", "vxlan"), ("s2", "node2", "vxlan")
    )
    until(lambda: reaches(plane, "c1", bare) and reaches(plane, "c2", wrapped))
    plane.stop_bird("node2")
    until(lambda: not reaches(plane, "c1", bare))
    assert reaches(plane, "c2", wrapped)


def test_everything_ends_with_the_plane():
    with FakeApi() as fake:
        with Plane(fake) as plane:
            run_pods(plane, ("web", "node1"))
            process = plane.exec("default", "web", "tools", ["sleep", "1000"])
            assert say(plane, "web", "true").code == 0
        with process:
            assert process.wait(5) != 0


def test_nothing_is_left_when_its_process_is_killed():
    script = """
import time
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.plane import Plane
from tests.kubernetes.plane.trying import run_pods
with FakeApi() as fake, Plane(fake) as plane:
    run_pods(plane, ("web", "node1"))
    running = plane.exec("default", "web", "tools", ["sleep", "1000"])
    print("up", flush=True)
    time.sleep(60)
"""
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout.readline() == b"up\n"
        assert len(processes_of(process.pid)) > 5
        process.kill()
    assert_nothing_left(process.pid, deadline=10)
