"""A cluster for the fake API server: its nodes and pods live in the lab, with Calico's data plane.

    with FakeApi() as fake, Plane(fake, nodes=2, calico=CalicoSpec(group="aggregated", managed_by="operator")) as plane:
        ...

What a kubelet, a scheduler, kube-proxy, calico-node and Tigera's operator do to the objects of the API and to the
network is done here, as far as their clients can tell; the docstring of each module says what is left out.
"""

from tests.kubernetes.plane.calico import FINALIZER, TUNNEL_ANNOTATION
from tests.kubernetes.plane.plane import Plane
from tests.kubernetes.plane.pools import encapsulation, spec_of
from tests.kubernetes.plane.resources import CalicoResources
from tests.kubernetes.plane.spec import DEFAULT_RANGE, SERVICE_RANGE, CalicoSpec, Group, NodeSpec

__all__ = [
    "DEFAULT_RANGE",
    "FINALIZER",
    "SERVICE_RANGE",
    "TUNNEL_ANNOTATION",
    "CalicoResources",
    "CalicoSpec",
    "Group",
    "NodeSpec",
    "Plane",
    "encapsulation",
    "spec_of",
]
