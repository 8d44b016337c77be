"""Finding out what Calico a cluster has. Operator and manifest keep the same facts in different places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_calico_perf.cluster.kubernetes.calico import (
    FELIX_FIELDS,
    Backend,
    CalicoFacts,
    ManagedBy,
    PoolFacts,
    pool_mode,
)
from pytest_calico_perf.cluster.kubernetes.reading import (
    Look,
    document,
    labels_of,
    name_of,
    network,
    text,
    truth,
)
from pytest_calico_perf.cluster.kubernetes.resource import (
    CONFIG_MAPS,
    DAEMON_SETS,
    INSTALLATIONS,
    CalicoApi,
    Json,
)
from pytest_calico_perf.parsing import lookup, mappings

AGGREGATED_OR_NATIVE = ("projectcalico.org", "v3")
RAW = ("crd.projectcalico.org", "v1")

CALICO_NODE = "calico-node"
"""Name of the DaemonSet, and of its container."""

CALICO_NODE_NAMESPACES = ("calico-system", "kube-system")
"""Where the operator puts calico-node, and where the manifests do."""

CALICO_CONFIG = "calico-config"
"""ConfigMap of the manifests, in kube-system."""

_NOTHING: Json = {}
_CNI_IPAM = re.compile(r'"ipam"\s*:\s*\{\s*"type"\s*:\s*"([a-z0-9-]{1,40})"')
# The operator's words (api/v1/installation_types.go) for what the CNI's configuration calls it.
_IPAM = {"Calico": "calico-ipam", "HostLocal": "host-local"}
_DATAPLANES = {"Iptables": "iptables", "Nftables": "nftables", "BPF": "bpf"}
# Felix reads its environment before the datastore; these two it calls differently there.
_ENVIRONMENT = {f"FELIX_{name.upper()}": name for name in FELIX_FIELDS} | {
    "FELIX_IPINIPENABLED": "ipipEnabled",
    "FELIX_IPINIPMTU": "ipipMTU",
}


def find_api(look: Look) -> CalicoApi | None:
    """How Calico's objects are reached; None where there are none.

    Calico's own rule (libcalico-go/lib/backend/k8s/discovery.go): v3 without v1 is the storage itself.
    Both: an API server of Calico's stands before the v1 CRDs, checks what is written and deletes properly.
    """
    validated = look.serves(*AGGREGATED_OR_NATIVE, "ippools")
    raw = look.serves(*RAW, "ippools")
    if not validated and not raw:
        return None
    return CalicoApi(
        *(AGGREGATED_OR_NATIVE if validated else RAW), storage=RAW if raw else AGGREGATED_OR_NATIVE
    )


def find_calico(look: Look) -> CalicoFacts | None:
    """Calico as it is in the cluster; None where there is none."""
    api = find_api(look)
    if api is None:
        return None
    information = _spec(look.find(api.cluster_informations, "default"))
    installation = _installation(look)
    config = lookup(look.find(CONFIG_MAPS, CALICO_CONFIG, namespace="kube-system"), "data")
    container = _calico_node(look)
    environment = dict(_environment(container))
    overridden = {name: environment[key] for key, name in _ENVIRONMENT.items() if key in environment}
    felix = {**_spec(look.find(api.felix_configurations, "default")), **overridden}
    ready = lookup(information, "datastoreReady")
    return CalicoFacts(
        api=api,
        version=text(lookup(information, "calicoVersion")) or _tag(lookup(container, "image")),
        cluster_type=text(lookup(information, "clusterType")),
        datastore_ready=ready if isinstance(ready, bool) else None,
        managed_by=(
            ManagedBy.OPERATOR
            if installation
            else ManagedBy.MANIFEST
            if container or config
            else ManagedBy.UNKNOWN
        ),
        backend=_backend(environment, config, installation),
        dataplane=_dataplane(felix, installation),
        ipam=_ipam(config, installation),
        pools=tuple(sorted(map(read_pool, look.list(api.pools)), key=lambda pool: pool.name)),
        felix=felix,
        bgp=_spec(look.find(api.bgp_configurations, "default")),
        installation=installation,
        veth_mtu=text(lookup(config, "veth_mtu")),
    )


def _spec(found: Json | None) -> Json:
    spec = lookup(found, "spec")
    return spec if isinstance(spec, Mapping) else _NOTHING


def _installation(look: Look) -> Json:
    """The Installation as the operator understands it: `status.computed` has the defaults filled in."""
    if not look.serves(INSTALLATIONS.group, INSTALLATIONS.version, INSTALLATIONS.plural):
        return _NOTHING
    found = look.find(INSTALLATIONS, "default")
    computed = lookup(found, "status", "computed")
    return computed if isinstance(computed, Mapping) and computed else _spec(found)


def _calico_node(look: Look) -> Json:
    """The calico-node container as its DaemonSet wants it."""
    for namespace in CALICO_NODE_NAMESPACES:
        daemon_set = look.find(DAEMON_SETS, CALICO_NODE, namespace=namespace)
        for container in mappings(lookup(daemon_set, "spec", "template", "spec", "containers")):
            if container.get("name") == CALICO_NODE:
                return container
    return _NOTHING


def _environment(container: Json) -> Iterator[tuple[str, str]]:
    """Variables that are written out; those taken from elsewhere are not."""
    for variable in mappings(lookup(container, "env")):
        if text(variable.get("name")) and text(variable.get("value")):
            yield text(variable.get("name")), text(variable.get("value"))


def _backend(environment: Mapping[str, str], config: object, installation: Json) -> Backend:
    bgp = text(lookup(installation, "calicoNetwork", "bgp"))
    by_operator = {"Disabled": "vxlan", "Enabled": "bird"}.get(bgp, "")
    word = (
        environment.get("CALICO_NETWORKING_BACKEND") or text(lookup(config, "calico_backend")) or by_operator
    )
    return Backend(word) if word in list(Backend) else Backend.UNKNOWN


def _dataplane(felix: Json, installation: Json) -> str:
    if truth(felix.get("bpfEnabled")):
        return "bpf"
    if felix.get("nftablesMode") == "Enabled":
        return "nftables"
    word = text(lookup(installation, "calicoNetwork", "linuxDataplane"))
    return _DATAPLANES.get(word, word.lower()) or "iptables"


def _ipam(config: object, installation: Json) -> str:
    word = text(lookup(installation, "cni", "ipam", "type"))
    if word:
        return _IPAM.get(word, word)
    match = _CNI_IPAM.search(document(lookup(config, "cni_network_config")))
    return match[1] if match else ""


def _tag(image: object) -> str:
    """Version out of an image's name, where ClusterInformation may not be read."""
    name = text(image).partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def read_pool(found: Json) -> PoolFacts:
    """A pool out of the API's object."""
    spec = _spec(found)
    return PoolFacts(
        name=name_of(found),
        range=network(spec.get("cidr")),
        mode=pool_mode(spec),
        disabled=truth(spec.get("disabled")),
        labels=labels_of(found),
        spec=spec,
    )
