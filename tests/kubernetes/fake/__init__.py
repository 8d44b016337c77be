"""A Kubernetes API server on a socket of this machine, for tests: real HTTP, watches and exec websockets.

    with FakeApi(LocalRuntime()) as fake:
        fake.register("crd.projectcalico.org", "v1", "ippools", "IPPool")
        fake.store.create(("", "v1", "pods"), running_pod("web"), namespace="default")
        config = fake.kubeconfig(tmp_path / "kubeconfig")
        ...
        fake.faults.add(("GET", r"/ippools"), status(503), times=2)

What is here follows the real server in its status codes, messages and order of things, as far as this project's
code can notice; what is not here answers 404. Semantics worth knowing:

- The store is the controllers' way in: its writes may change the status, need no permission, and are told to
  watches and subscriptions like any other. Resources are (group, version, plural) or the product's `Resource`.
- A pod that runs on a node and is deleted gets a deletionTimestamp and stays until `store.remove`, if there is a
  runtime other than `LocalRuntime`; without, it goes at once. Finalizers hold everything else.
- A deleted namespace is emptied at once, and goes by itself soon after its last object: wait for it, as in a
  real cluster (`store.settle()` in a test).
- Execs run wherever the runtime puts them, in pods that are Running on a node. A command whose websocket is cut
  goes on with its input closed; it is killed when its pod goes and when the server closes.
- Whatever a subscription's callback raises is raised by `FakeApi.__exit__`.
"""

from tests.kubernetes.fake.api import FakeApi, Request
from tests.kubernetes.fake.faults import Faults, cut, delay, drop, gone, reset, status, truncate
from tests.kubernetes.fake.objects import node, pod, running_pod
from tests.kubernetes.fake.refusal import Refused, forbidden
from tests.kubernetes.fake.runtime import LocalRuntime, Runtime
from tests.kubernetes.fake.store import Store

__all__ = [
    "FakeApi",
    "Faults",
    "LocalRuntime",
    "Refused",
    "Request",
    "Runtime",
    "Store",
    "cut",
    "delay",
    "drop",
    "forbidden",
    "gone",
    "node",
    "pod",
    "reset",
    "running_pod",
    "status",
    "truncate",
]
