"""calico-node beside Felix and confd: what it reports of its BIRD, and its readiness probe.

Source: projectcalico/calico, node/pkg/status (CalicoNodeStatus) and node/pkg/health. BIRD itself is asked, by birdc.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from tests.kubernetes.fake.defaults import now
from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.plane.calico import readied
from tests.kubernetes.plane.reconciler import Reconciler
from tests.kubernetes.plane.resources import EVENTS, PODS, CalicoResources
from tests.kubernetes.plane.spec import CalicoSpec

Json = dict[str, Any]

_KIND = "CalicoNodeStatus"
# populators/peers.go, birdStateToBGPState: Passive and Down have no word.
_KNOWN = frozenset({"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established", "Close"})
_EMPTY = {
    "numberEstablishedV4": 0,
    "numberNotEstablishedV4": 0,
    "numberEstablishedV6": 0,
    "numberNotEstablishedV6": 0,
}


class Reporter:
    """Fills in CalicoNodeStatuses, once for each that is made: what is true later is not asked of it here.

    Attributes:
        deaf: Nodes whose calico-node does not hear of new ones.
    """

    def __init__(self, store: Store, resources: CalicoResources, spec: CalicoSpec, sandbox: Sandbox) -> None:
        self.deaf: set[str] = set()
        self._store = store
        self._resource = resources.of("caliconodestatuses")
        self._spec = spec
        self._sandbox = sandbox
        self._loop = Reconciler("node status", self._reconcile)

    def on_change(self, _type: str, obj: Json) -> None:
        """Look again if that kind of object matters."""
        if obj["kind"] == _KIND:
            self._loop.kick()

    def settle(self, timeout: float) -> bool:
        """Wait until all that was asked for has been reported."""
        return self._loop.settle(timeout)

    def close(self) -> None:
        """End; raise what it failed with."""
        self._loop.close()
        if self._loop.error:
            raise self._loop.error

    def probe(self, node: str) -> str:
        """The kubelet's readiness probe of a node's calico-node, three times in a row; returns its complaint."""
        sessions = self._sessions(node)
        if sessions is None:
            what = "dial unix /var/run/bird/bird.ctl: connect: no such file or directory"
            said = f"BIRD is not ready: error querying BIRD: unable to connect to BIRDv4 socket: {what}"
        elif sessions and not any(state == "Established" for _, state in sessions):
            said = f"BIRD is not ready: BGP not established with {','.join(peer for peer, _ in sessions)}"
        else:
            said = ""
        name = f"calico-node-{node}"
        pod = self._store.get(PODS, name, namespace=self._spec.namespace)
        if said:
            self._event(pod, f"Readiness probe failed: calico/node is not ready: {said}\n")
        self._change(name, lambda live: readied(live, ready=not said))
        return said

    def stop_agent(self, node: str, reason: str, message: str) -> None:
        """The container of a node's calico-node does not run: `CrashLoopBackOff`."""
        waiting = {"waiting": {"reason": reason, "message": message}}

        def stopped(live: Json) -> Json:
            for container in readied(live, ready=False)["status"]["containerStatuses"]:
                container["state"] = waiting
            return live

        self._change(f"calico-node-{node}", stopped)

    def _change(self, pod: str, change: Callable[[Json], Json]) -> None:
        self._store.update(PODS, pod, change, namespace=self._spec.namespace)

    def _event(self, pod: Json, message: str) -> None:
        metadata = pod["metadata"]
        self._store.create(
            EVENTS,
            {
                "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
                "involvedObject": {
                    "kind": "Pod",
                    **{key: metadata[key] for key in ("name", "namespace", "uid")},
                },
                "reason": "Unhealthy",
                "message": message,
                "type": "Warning",
                "count": 3,
                "lastTimestamp": now(),
            },
            namespace=metadata["namespace"],
        )

    def _reconcile(self) -> None:
        for status in self._store.list(self._resource):
            spec = status["spec"]
            if spec["node"] in self.deaf or (status.get("status") or {}).get("lastUpdated"):
                continue
            peers = [
                {"peerIP": peer, "type": "NodeMesh", "state": state, "since": "10:00:00"}
                for peer, state in self._sessions(spec["node"]) or ()
            ]
            up = sum(peer["state"] == "Established" for peer in peers)
            counted = {"numberEstablishedV4": up, "numberNotEstablishedV4": len(peers) - up}
            bgp = {**_EMPTY, **counted, **({"peersV4": peers} if peers else {})}
            found = {"lastUpdated": now(), "agent": {}, "bgp": bgp, "routes": {}}
            with suppress(Refused):  # gone meanwhile
                self._store.update(
                    self._resource,
                    status["metadata"]["name"],
                    lambda live, found=found: live | {"status": found},
                )

    def _sessions(self, node: str) -> list[tuple[str, str]] | None:
        """Peer and state of each session; None when BIRD does not answer."""
        answer = self._sandbox.run(
            node,
            ["birdc", "-r", "-s", f"{self._sandbox.scratch(node)}/bird.ctl", "show", "protocols", "all"],
            limit=10,
        )
        if not answer.stdout.startswith("BIRD "):
            return None
        words = [line.split(":", 1) for line in answer.stdout.splitlines() if ":" in line]
        told = [(key.strip(), value.strip()) for key, value in words]
        states = [value for key, value in told if key == "BGP state"]
        peers = [value for key, value in told if key == "Neighbor address"]
        return [(peer, state if state in _KNOWN else "") for peer, state in zip(peers, states, strict=True)]
