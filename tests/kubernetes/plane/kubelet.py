"""Scheduler and kubelets: pods of the API become namespaces and processes, and go again.

A pod has a thread of its own that brings it up, tries again what failed, and takes it down. Left out: restarts,
probes, init and ephemeral containers, volumes but emptyDir at /tmp, the grace between SIGTERM and SIGKILL.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any

from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane import podstatus, scheduler
from tests.kubernetes.plane.cni import Attachment, Cni, CniProblem
from tests.kubernetes.plane.containers import Containers, why_not_configured
from tests.kubernetes.plane.images import why_not_pulled
from tests.kubernetes.plane.resources import EVENTS, NODES, PODS

Json = dict[str, Any]

_AGAIN = 0.4  # seconds between two tries at bringing up a pod
_SAFE_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
        *(
            "net.ipv4.ping_group_range",
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.ip_local_reserved_ports",
        ),
        *(
            "net.ipv4.tcp_keepalive_time",
            "net.ipv4.tcp_fin_timeout",
            "net.ipv4.tcp_rmem",
            "net.ipv4.tcp_wmem",
        ),
    }
)


class Recorder:
    """Writes events; one that comes again is counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()

    def say(
        self,
        about: Json,
        reason: str,
        message: str,
        *,
        kind: str = "Normal",
        component: str = "kubelet",
        host: str = "",
    ) -> None:
        """Write an event about an object; a namespace that is going takes none."""
        new = podstatus.event(about, reason, message, kind=kind, component=component, host=host)
        key, namespace = (about["metadata"]["uid"], reason, message), new["metadata"]["namespace"]
        with self._lock, suppress(Refused):
            if key in self._known:
                self._store.update(
                    EVENTS, self._known[key], lambda old: _again(old, new), namespace=namespace
                )
            else:
                self._known[key] = self._store.create(EVENTS, new, namespace=namespace)["metadata"]["name"]


class Kubelets:
    """The scheduler and the kubelets of all nodes.

    Args:
        store: The API's objects.
        cni: Wires pods.
        addresses: Node -> its address.
    """

    def __init__(self, store: Store, cni: Cni, addresses: Mapping[str, IPv4Address]) -> None:
        self._store = store
        self._cni = cni
        self._addresses = addresses
        self._alive = {node: threading.Event() for node in addresses}
        for each in self._alive.values():
            each.set()
        self._workers: dict[str, PodWorker] = {}
        self._pending: dict[str, Json] = {}
        self._lock = threading.RLock()
        self.recorder = Recorder(store)

    def on_change(self, type_: str, obj: Json) -> None:
        """Act on a change of a pod or a node."""
        if obj["kind"] == "Pod":
            self._on_pod(type_, obj)
        elif obj["kind"] == "Node":
            self._schedule_pending()
            self._evict_intolerant(obj)

    def worker_of(self, namespace: str, pod: str) -> PodWorker:
        """Who runs a pod.

        Raises:
            FileNotFoundError: Nobody does.
        """
        with self._lock:
            for worker in self._workers.values():
                if (worker.namespace, worker.pod_name) == (namespace, pod) and worker.containers:
                    return worker
        raise FileNotFoundError(f"container of {namespace}/{pod}")

    def set_alive(self, node: str, *, alive: bool) -> None:
        """Stop or start a node's kubelet. One that is stopped neither starts pods nor ends them."""
        if alive:
            self._alive[node].set()
        else:
            self._alive[node].clear()

    def close(self) -> None:
        """End every pod, without a word to the API."""
        with self._lock:
            workers = list(self._workers.values())
        for event in self._alive.values():
            event.set()
        for worker in workers:
            worker.stop(final=True)
        for worker in workers:
            worker.join(15)
        for worker in workers:
            if worker.error:
                raise worker.error

    def _on_pod(self, type_: str, pod: Json) -> None:
        metadata = pod["metadata"]
        uid, node = metadata["uid"], pod["spec"].get("nodeName")
        with self._lock:
            worker = self._workers.get(uid)
            if type_ == "DELETED":
                self._pending.pop(uid, None)
                if worker:
                    worker.stop()
                    del self._workers[uid]
                self._schedule_pending()
            elif "deletionTimestamp" in metadata:
                if worker:
                    worker.stop()
                elif node not in self._addresses:
                    self._store.remove(PODS, metadata["name"], namespace=metadata["namespace"])
            elif (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
                return
            elif not node:
                self._schedule(pod)
            elif worker is None and node in self._addresses:
                self._workers[uid] = PodWorker(
                    self._store, self._cni, self.recorder, pod, self._addresses[node], self._alive[node]
                )

    def _schedule(self, pod: Json) -> None:
        metadata = pod["metadata"]
        name, why = scheduler.place(pod, self._store.list(NODES), self._store.list(PODS))
        with suppress(Refused):  # deleted meanwhile
            if name:
                self._pending.pop(metadata["uid"], None)
                self._store.update(
                    PODS, metadata["name"], lambda live: _bound(live, name), namespace=metadata["namespace"]
                )
                full = f"{metadata['namespace']}/{metadata['name']}"
                message = f"Successfully assigned {full} to {name}"
                self.recorder.say(pod, "Scheduled", message, component="default-scheduler")
                return
            self._pending[metadata["uid"]] = pod
            conditions = (pod.get("status") or {}).get("conditions") or []
            if not any(each.get("message") == why for each in conditions):
                self.recorder.say(pod, "FailedScheduling", why, kind="Warning", component="default-scheduler")
                status = podstatus.unscheduled(pod, why)
                self._store.set_status(PODS, metadata["name"], status, namespace=metadata["namespace"])

    def _schedule_pending(self) -> None:
        with self._lock:
            for pod in list(self._pending.values()):
                found = self._store.find(
                    PODS, pod["metadata"]["name"], namespace=pod["metadata"]["namespace"]
                )
                if (
                    found
                    and found["metadata"]["uid"] == pod["metadata"]["uid"]
                    and not found["spec"].get("nodeName")
                ):
                    self._schedule(found)
                else:
                    self._pending.pop(pod["metadata"]["uid"], None)

    def _evict_intolerant(self, node: Json) -> None:
        """What NoExecute taints do at once; a toleration with seconds outlives our tests."""
        for pod in self._store.list(PODS, fields=f"spec.nodeName={node['metadata']['name']}"):
            if "deletionTimestamp" not in pod["metadata"] and scheduler.untolerated(
                pod, node, ("NoExecute",)
            ):
                metadata = pod["metadata"]
                message = f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}"
                self.recorder.say(pod, "TaintManagerEviction", message, component="taint-eviction-controller")
                with suppress(Refused):
                    self._store.delete(PODS, metadata["name"], namespace=metadata["namespace"])


class PodWorker(threading.Thread):
    """A pod on its node, from its start to its end.

    Attributes:
        namespace: Of the pod.
        pod_name: Its name.
        uid: Its identity.
        containers: Where commands run; None while there are none.
        error: A bug of ours that ended it.
    """

    def __init__(
        self,
        store: Store,
        cni: Cni,
        recorder: Recorder,
        pod: Json,
        host: IPv4Address,
        alive: threading.Event,
    ) -> None:
        metadata = pod["metadata"]
        super().__init__(name=f"pod {metadata['namespace']}/{metadata['name']}", daemon=True)
        self.namespace, self.pod_name, self.uid = metadata["namespace"], metadata["name"], metadata["uid"]
        self.containers: Containers | None = None
        self.error: BaseException | None = None
        self._store, self._cni, self._recorder = store, cni, recorder
        self._pod, self._host, self._alive = pod, str(host), alive
        self._attachment: Attachment | None = None
        self._stopping = threading.Event()
        self._final = False
        self._lock = threading.RLock()
        self.start()

    def run(self) -> None:
        try:
            self._live()
        except Exception as error:  # noqa: BLE001 - it must fail its test, not end in silence
            self.error = error

    def exec(self, container: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in one of its containers."""
        with self._lock:
            if self.containers is None:
                raise FileNotFoundError(container)
            return self.containers.run(self._pod, container, argv)

    def stop(self, *, final: bool = False) -> None:
        """Take the pod down; `final`ly without a word to the API."""
        self._final = self._final or final
        self._stopping.set()

    def evict(self, reason: str, message: str) -> None:
        """End its processes now and say that it failed."""
        with self._lock:
            self._take_down()
            self._say(reason, message, kind="Warning")
            self._write(lambda pod: podstatus.failed(pod, reason, message))
            self._stopping.set()

    def _live(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if self._alive.is_set() and not self._stopping.is_set() and self._try():
                    break
            self._stopping.wait(_AGAIN if self._alive.is_set() else 0.05)
        self._stopping.wait()
        self._alive.wait()
        with self._lock:
            self._take_down()
        if self._final:
            return
        live = self._store.find(PODS, self.pod_name, namespace=self.namespace)
        if live and live["metadata"]["uid"] == self.uid and "deletionTimestamp" in live["metadata"]:
            self._store.remove(PODS, self.pod_name, namespace=self.namespace)

    def _try(self) -> bool:
        """Go one step on; return whether there is none left."""
        if unsafe := self._unsafe_sysctl():
            self._write(
                lambda pod: podstatus.failed(
                    pod, "SysctlForbidden", f'forbidden sysctl: "{unsafe}" not allowlisted'
                )
            )
            return True
        if self._attachment is None:
            self._write(lambda pod: podstatus.waiting(pod, self._host, {}))
            try:
                self._attachment = self._cni.add(self._pod)
            except CniProblem as problem:
                self._say("FailedCreatePodSandBox", problem.sandbox_message(self.uid), kind="Warning")
                return False
        attachment = self._attachment
        if waiting := self._image_problems() or self._configuration_problem():
            self._write(lambda pod: podstatus.waiting(pod, self._host, waiting, attachment.addresses))
            return False
        self.containers = self._cni.start_containers(attachment, self._pod)
        for spec in self._pod["spec"]["containers"]:
            self._say("Pulled", f'Container image "{spec["image"]}" already present on machine')
            self._say("Created", f"Created container: {spec['name']}")
            self._say("Started", f"Started container {spec['name']}")
        self._write(lambda pod: podstatus.running(pod, self._host, attachment.addresses))
        return True

    def _take_down(self) -> None:
        if self.containers:
            self.containers.stop()
            self.containers = None
        if self._attachment:
            self._cni.remove(self._attachment)
            self._attachment = None

    def _image_problems(self) -> dict[str, tuple[str, str]]:
        found = {}
        for spec in self._pod["spec"]["containers"]:
            if problem := why_not_pulled(self._store, self._pod, spec):
                found[spec["name"]] = problem.state()
                for reason, message, kind in problem.events():
                    self._say(reason, message, kind=kind)
        return found

    def _configuration_problem(self) -> dict[str, tuple[str, str]]:
        problem = why_not_configured(self._pod)
        if not problem:
            return {}
        self._say("Failed", f"Error: {problem[1]}", kind="Warning")
        return {self._pod["spec"]["containers"][0]["name"]: problem}

    def _unsafe_sysctl(self) -> str:
        asked = (self._pod["spec"].get("securityContext") or {}).get("sysctls") or ()
        return next((each["name"] for each in asked if each["name"] not in _SAFE_SYSCTLS), "")

    def _say(self, reason: str, message: str, *, kind: str = "Normal") -> None:
        self._recorder.say(self._pod, reason, message, kind=kind, host=self._pod["spec"]["nodeName"])

    def _write(self, status: Callable[[Json], Json]) -> None:
        """Change the pod's status, if it is there still."""

        def change(pod: Json) -> Json:
            return pod | {"status": status(pod)} if pod["metadata"]["uid"] == self.uid else pod

        with suppress(Refused):
            self._store.update(PODS, self.pod_name, change, namespace=self.namespace)


def _bound(pod: Json, node: str) -> Json:
    return pod | {"spec": pod["spec"] | {"nodeName": node}, "status": podstatus.scheduled(pod)}


def _again(old: Json, new: Json) -> Json:
    return old | {"count": old["count"] + 1, "lastTimestamp": new["lastTimestamp"]}
