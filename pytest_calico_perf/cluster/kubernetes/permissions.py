"""What a run must be permitted to do, asked for before anything is made.

`docs/rbac.yaml` grants exactly this; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from pytest_calico_perf.cluster.kubernetes.calico import release
from pytest_calico_perf.cluster.kubernetes.detection import CALICO_CONFIG, CALICO_NODE
from pytest_calico_perf.cluster.kubernetes.effect import TIGERA_STATUSES
from pytest_calico_perf.cluster.kubernetes.reading import Reader
from pytest_calico_perf.cluster.kubernetes.resource import (
    CONFIG_MAPS,
    DAEMON_SETS,
    EVENTS,
    INSTALLATIONS,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICE_RANGES,
    SERVICES,
    CalicoApi,
    Resource,
)
from pytest_calico_perf.cluster.kubernetes.survey import Survey
from pytest_calico_perf.cluster.kubernetes.taken import KUBEADM_CONFIG
from pytest_calico_perf.clusterfile import KubernetesFile
from pytest_calico_perf.errors import ApiProblem
from pytest_calico_perf.model import Mode, Provision

_MANIFEST = "docs/rbac.yaml"


class Role(StrEnum):
    """The ClusterRoles of `docs/rbac.yaml`, one per need."""

    LOOK = "pytest-calico-perf-look"
    WORKLOAD = "pytest-calico-perf-workload"
    NAMESPACES = "pytest-calico-perf-namespaces"
    POOLS = "pytest-calico-perf-pools"
    SWITCH = "pytest-calico-perf-switch"
    DIAGNOSE = "pytest-calico-perf-diagnose"
    CALICO_NODE = "pytest-calico-perf-calico-node"


@dataclass(frozen=True)
class Rule:
    """Verbs on a kind of object.

    Attributes:
        role: The ClusterRole that grants it.
        resource: The kind.
        verbs: As RBAC spells them.
        why: What for, in words.
        subresource: `exec`.
        name: The only object it is about; empty for all.
        namespace: Where it is needed; empty for everywhere.
        optional: Whether a run goes on without it, and says what it could not see.
    """

    role: Role
    resource: Resource
    verbs: tuple[str, ...]
    why: str
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    optional: bool = False

    def lacking(self, api: Reader) -> Rule | None:
        """The same rule with the verbs that are not permitted; None when all are."""
        verbs = tuple(
            verb
            for verb in self.verbs
            if not api.allowed(
                verb, self.resource, namespace=self.namespace, name=self.name, subresource=self.subresource
            )
        )
        return replace(self, verbs=verbs) if verbs else None

    def __str__(self) -> str:
        thing = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        group = f".{self.resource.group}" if self.resource.group else ""
        name = f" {self.name}" if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace and self.resource.namespaced else ""
        return f"{', '.join(self.verbs)} {thing}{group}{name}{where} ({self.why})"


def needed(
    provision: Provision, file: KubernetesFile, modes: Iterable[Mode], survey: Survey
) -> tuple[Rule, ...]:
    """What a run needs, and what makes its page of facts complete (`optional`).

    Least privilege: only `current` needs nothing of Calico, an existing namespace needs no namespaces to be
    made, and switching makes no pools. Where hosts are reached by SSH or by pods makes no difference.
    """
    calico = survey.calico.api if survey.calico else None
    changes = calico is not None and any(mode is not Mode.CURRENT for mode in modes)
    rules = [*_LOOKING, *_workload(file.namespace or "", survey.version)]
    if not file.namespace:
        rules += _OWN_NAMESPACES
    if calico:
        rules += _looking_at_calico(calico, optional=not changes)
    if calico and changes:
        rules += _making_pools(calico) if provision is Provision.POOLS else _switching(calico, survey)
    return tuple(rules)


def looking_deeper(calico: CalicoApi) -> tuple[Rule, ...]:
    """What a diagnosis asks for to see why a path is dead. No run needs it: what it may not see, it says."""
    policies = "policies that choose the test pods"
    tiered = "the same, where Calico's API server asks by tier"
    rules = [
        *reporting_sessions(calico),
        _diagnose(
            calico.affinities, ("list",), "which node a block belongs to, where blocks may not be seen"
        ),
        _diagnose(calico.bgp_peers, ("list",), "sessions besides the mesh"),
        _diagnose(NETWORK_POLICIES, ("list",), policies),
        _diagnose(calico.network_policies, ("list",), policies),
        _diagnose(calico.global_network_policies, ("list",), policies),
    ]
    if calico.validates:
        rules += [
            _diagnose(Resource(calico.group, calico.version, plural, kind, namespaced=False), (verb,), tiered)
            for plural, kind, verb in (
                ("tiers", "Tier", "get"),
                ("tier.networkpolicies", "NetworkPolicy", "list"),
                ("tier.globalnetworkpolicies", "GlobalNetworkPolicy", "list"),
            )
        ]
    return (*rules, *entering_calico_node())


def reporting_sessions(calico: CalicoApi) -> tuple[Rule, ...]:
    """What it takes to have calico-node report its BGP sessions."""
    report = "have calico-node report its BGP sessions, by server-side apply, which needs both"
    return (
        _diagnose(calico.node_statuses, _APPLY, report),
        _diagnose(calico.node_statuses, (*_READ, "delete"), "read that report and take it away"),
    )


def entering_calico_node() -> tuple[Rule, ...]:
    """What it takes to ask the BIRD in calico-node's pods; the namespace they are in is enough."""
    return (
        _ask_agent(PODS, ("list",), "find calico-node's pod on a node"),
        _ask_agent(PODS, ("get", "create"), "ask its BIRD for its sessions (birdcl -r)", subresource="exec"),
        _ask_agent(EVENTS, ("list",), "why calico-node is not ready"),
    )


def refusal(api: Reader, rules: Sequence[Rule]) -> str:
    """Which of these are not permitted, in words; empty when all are.

    Raises:
        ApiProblem: The API cannot be reached, or fails.
    """
    refused = [lacking for rule in rules if (lacking := rule.lacking(api))]
    if not refused:
        return ""
    roles = sorted({str(rule.role) for rule in refused})
    return f"not permitted: {'; '.join(map(str, refused))}; {_MANIFEST} has it in {', '.join(roles)}"


def check(api: Reader, rules: Sequence[Rule]) -> None:
    """Ask the API server, verb by verb, whether we may (SelfSubjectAccessReview).

    Raises:
        ApiProblem: Something that is not optional is refused; lists all of it at once.
    """
    refused = [lacking for rule in rules if not rule.optional and (lacking := rule.lacking(api))]
    if not refused:
        return
    roles = sorted({str(rule.role) for rule in refused})
    raise ApiProblem(
        f"not permitted: {'; '.join(map(str, refused))}",
        status=403,
        where=api.server,
        remedy=f"an administrator can permit it: kubectl apply -f {_MANIFEST}, which also says how to bind "
        f"{', '.join(roles)} to somebody else than its ServiceAccount",
    )


_look = partial(Rule, Role.LOOK)
_glance = partial(Rule, Role.LOOK, optional=True)
_work = partial(Rule, Role.WORKLOAD)
_make_namespaces = partial(Rule, Role.NAMESPACES)
_make_pools = partial(Rule, Role.POOLS)
_switch = partial(Rule, Role.SWITCH)
_diagnose = partial(Rule, Role.DIAGNOSE, optional=True)
_ask_agent = partial(Rule, Role.CALICO_NODE, optional=True)

_READ = ("get", "list")
_APPLY = ("create", "patch")  # server-side apply of what is not there yet asks for both

_LOOKING = (
    _look(NODES, _READ, "choose two nodes, and see their tunnels come up"),
    _glance(DAEMON_SETS, ("get",), "the backend, and what its environment overrides", name=CALICO_NODE),
    _glance(CONFIG_MAPS, ("get",), "backend, IPAM and MTU of a manifest", name=CALICO_CONFIG),
    _glance(CONFIG_MAPS, ("get",), "ranges of pods and Services as kubeadm made them", name=KUBEADM_CONFIG),
    _glance(SERVICE_RANGES, ("list",), "ranges of Services that pools must not overlap"),
    _glance(SERVICES, ("list",), "their ranges where no ServiceCIDR or kubeadm tells them"),
    _glance(INSTALLATIONS, ("get",), "whether an operator keeps Calico, and how", name="default"),
)

_OWN_NAMESPACES = (
    _make_namespaces(NAMESPACES, _APPLY, "make the run's own, by server-side apply, which needs both"),
    _make_namespaces(NAMESPACES, _READ, "find them again, and see them gone"),
    _make_namespaces(NAMESPACES, ("delete",), "take them away"),
)


def _looking_at_calico(calico: CalicoApi, *, optional: bool) -> tuple[Rule, ...]:
    felix = "settings that change figures: data plane, WireGuard, MTU"
    return (
        _look(calico.pools, _READ, "the cluster's pools and their modes", optional=optional),
        _glance(calico.cluster_informations, ("get",), "Calico's version", name="default"),
        _glance(calico.felix_configurations, ("get",), felix, name="default"),
        _glance(calico.bgp_configurations, ("get",), "who writes routes", name="default"),
        _glance(calico.blocks, ("list",), "left-over blocks that pools must not overlap"),
    )


def _workload(namespace: str, version: str) -> tuple[Rule, ...]:
    """Pods and Services, in a namespace of the user's or in own ones, whose names nobody knows yet."""
    # From 1.35 on exec by websocket, an HTTP GET, needs `create` too (kubernetes/kubernetes pull 134577,
    # AuthorizePodWebsocketUpgradeCreatePermission); before, that was for POST alone.
    known = release(version)
    before = known is not None and known < (1, 35)
    newer = "run the tools in them, from Kubernetes 1.35 on"
    rules = [
        _work(PODS, _APPLY, "make the test pods, by server-side apply, which needs both"),
        _work(PODS, (*_READ, "watch"), "see them become ready, and gone"),
        _work(PODS, ("delete",), "take them away"),
        _work(PODS, ("get",), "run the tools in them, over a websocket", subresource="exec"),
        _work(PODS, ("create",), newer, subresource="exec", optional=before),
        _work(SERVICES, _APPLY, "make the ClusterIPs of pod-to-service, by server-side apply"),
        _work(SERVICES, (*_READ, "delete"), "find them again and take them away"),
        _work(EVENTS, ("list",), "why a pod does not become ready", optional=True),
    ]
    if namespace:
        rules.append(_work(NAMESPACES, ("get",), "see that it is there", name=namespace))
    return tuple(replace(rule, namespace=namespace) for rule in rules)


def _making_pools(calico: CalicoApi) -> tuple[Rule, ...]:
    return (
        _make_pools(calico.pools, _APPLY, "make a pool per mode, by server-side apply, and disable it"),
        _make_pools(calico.pools, (*_READ, "delete"), "find them again and take them away"),
        _make_pools(calico.blocks, ("list",), "see that no address is in use before a pool goes"),
        _make_pools(calico.affinities, ("list",), "see that nothing is left of a pool"),
    )


def _switching(calico: CalicoApi, survey: Survey) -> tuple[Rule, ...]:
    """Patching the one object that holds the mode: the Installation where the operator keeps the pool."""
    assert survey.calico is not None
    same = "know the cluster again by its uid before anything is put back"
    changed = "change the mode of the cluster's own pool, and back"
    by_operator = "change the mode where the operator keeps it, and back"
    rules = [_switch(NAMESPACES, ("get",), same, name="kube-system")]
    if any(survey.calico.in_installation(pool) for pool in survey.calico.default_pools):
        rules.append(_switch(INSTALLATIONS, ("get", "patch"), by_operator, name="default"))
        rules.append(_switch(calico.pools, _READ, "see the operator change the pool"))
        content = "see whether the operator is content with it"
        rules.append(_switch(TIGERA_STATUSES, ("get",), content, name="calico", optional=True))
    else:
        rules.append(_switch(calico.pools, (*_READ, "patch"), changed))
    return tuple(rules)
