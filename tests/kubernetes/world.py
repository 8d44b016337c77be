"""A cluster on the wire and whole runs of the suite against it, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_calico_perf.cluster.kubernetes.ours import MANAGED_BY, MANAGER
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.plane import Plane
from tests.kubernetes.plane.trying import run_pods

QUICK = ("--calico-probe=ping", "--calico-rounds=2", "--calico-duration=0.04")
# What goes on counting by itself: revisions, and those of address blocks (libcalico-go/lib/backend/model/block.go).
_VOLATILE = (
    *("resourceVersion", "managedFields", "generation", "observedGeneration"),
    *(
        "lastHeartbeatTime",
        "lastTransitionTime",
        "lastUpdated",
        "sequenceNumber",
        "sequenceNumberForAllocation",
    ),
)


@dataclass(frozen=True)
class Run:
    """What a run left."""

    code: int
    output: str
    record: Mapping[str, Any]

    @property
    def cells(self) -> dict[tuple[str, str, str | None], dict[str, Any]]:
        return {(cell["probe"], cell["path"], cell["mode"]): cell for cell in self.record["cells"]}

    def outcomes(self) -> dict[tuple[str, str, str | None], str]:
        return {key: cell["outcome"] for key, cell in self.cells.items()}


@dataclass
class Runs:
    """A folder with a cluster file, and runs of the suite in it.

    Attributes:
        folder: The folder.
        fields: What the cluster file says beside its kind and name.
        started: Every run so far.
    """

    folder: Path
    fields: dict[str, Any] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def close(self) -> None:
        """Whatever the test did, no run of it goes on."""
        for process in self.started:
            process.kill()
            process.wait(10)

    @property
    def cluster_file(self) -> Path:
        return self.folder / "cluster.yaml"

    def write_files(self) -> None:
        self.cluster_file.write_text(yaml.safe_dump({"kind": "kubernetes", "name": "tried", **self.fields}))

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Begin a run; its output goes to output.txt."""
        self.write_files()
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--pyargs",
            "pytest_calico_perf.suite",
        ]
        argv += [f"--calico-cluster={self.cluster_file}", "--calico-json=results.json", *args]
        state = {"XDG_STATE_HOME": str(self.folder / "state")}
        with (self.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                argv, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **state}
            )
        self.started.append(process)
        return process

    def run(self, *args: str, timeout: float = 120) -> Run:
        """A run to its end."""
        return self.finish(self.start(*args), timeout=timeout)

    def finish(self, process: subprocess.Popen[bytes], *, timeout: float = 120) -> Run:
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            pytest.fail(f"the run did not end within {timeout} s:\n{self.output}")
        record = self.folder / "results.json"
        return Run(code, self.output, json.loads(record.read_text()) if record.exists() else {})

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def wait_for_line(self, words: str, deadline: float = 60) -> None:
        end = time.monotonic() + deadline
        while words not in self.output:
            assert time.monotonic() < end, f"{words!r} did not appear in:\n{self.output}"
            time.sleep(0.05)


@dataclass
class World(Runs):
    """A fake API server whose nodes and pods live in the lab, and runs against it."""

    fake: FakeApi = field(kw_only=True)
    plane: Plane = field(kw_only=True)

    def write_files(self) -> None:
        self.fake.kubeconfig(self.folder / "kubeconfig")
        self.fields.setdefault("kubeconfig", "kubeconfig")
        super().write_files()

    def ours(self) -> list[str]:
        """Every object that carries our label, by kind and name."""
        return [f"{obj['kind']} {obj['metadata']['name']}" for obj in self._everything() if _is_ours(obj)]

    def populate(self) -> None:
        """Have pods of the user's on every node, with addresses of the default pool."""
        nodes = [node["metadata"]["name"] for node in self.fake.store.list(("", "v1", "nodes"))]
        run_pods(self.plane, *((f"web-{node}", node, "") for node in nodes))
        self.plane.settle()

    def theirs(self) -> dict[str, Any]:
        """Every object of the cluster's, without what changes by itself: to be compared before and after."""
        shown = {}
        for obj in self._everything():
            if obj["kind"] == "Event" or _is_ours(obj):
                continue
            metadata = obj["metadata"]
            shown[f"{obj['kind']} {metadata.get('namespace', '')}/{metadata['name']}"] = _steady(obj)
        return shown

    def _everything(self) -> list[dict[str, Any]]:
        store = self.fake.store
        return [
            obj
            for kind in self.fake.kinds.stored()
            for obj in store.list((kind.group, kind.version, kind.plural))
        ]


def _is_ours(obj: Mapping[str, Any]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER


def _steady(obj: dict[str, Any]) -> dict[str, Any]:
    """Without what counts on and what is empty, and a block's free addresses in order: Calico appends to them."""

    def steady(fields: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in fields.items() if key not in _VOLATILE and value != {}}
        return kept | ({"unallocated": sorted(kept["unallocated"])} if "unallocated" in kept else {})

    return json.loads(json.dumps(obj), object_hook=steady)
