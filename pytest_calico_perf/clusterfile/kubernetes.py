"""The cluster file of a real cluster, reached through the Kubernetes API."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path as FilePath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from pytest_calico_perf.clusterfile.fields import Blame, ClusterFile, Model, Network, Seconds, misfit
from pytest_calico_perf.clusterfile.images import Images
from pytest_calico_perf.clusterfile.kubeconfig import (
    SERVICE_ACCOUNT,
    Kubeconfig,
    usual_files,
)
from pytest_calico_perf.clusterfile.local_file import absolute, unreadable
from pytest_calico_perf.clusterfile.names import NamespaceName, ObjectName, Selector
from pytest_calico_perf.clusterfile.ssh import Ssh
from pytest_calico_perf.clusterfile.workload import Resources, Toleration
from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.model import Mode

UNROUTED_RANGES = tuple(
    IPv4Network(text)
    for text in ("198.18.0.0/15", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Where test pools may lie, being nobody's: benchmarks (RFC 2544), private (RFC 1918), shared (RFC 6598)."""

_LONGEST_TIMEOUT = 3600


def _one_file(file: FilePath) -> str:
    if os.pathsep in str(file):
        raise ValueError("should be the path of one file, without a colon: KUBECONFIG may name several")
    return str(file)


class Hosts(StrEnum):
    """How commands run on a node itself."""

    POD = "pod"
    SSH = "ssh"


class Nodes(Model):
    """Where the two ends of every path are. Neither leaves the choice to us.

    Attributes:
        pair: The client's node and the server's.
        selector: Label selector of the nodes to choose two from.
    """

    pair: tuple[ObjectName, ObjectName] | None = None
    selector: Selector = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.pair is None:
            return self
        if self.pair[0] == self.pair[1]:
            raise misfit(("pair",), "client and server must be on different nodes")
        if self.selector:
            raise misfit(("selector",), "chooses nodes, but pair in line {line} names them", other=("pair",))
        return self


class Pools(Model):
    """The address pools made for a run, one per mode.

    Attributes:
        range: Where they lie; none overlaps a range of the cluster's.
        prefix: Prefix length of each.
        block_size: Prefix length of a node's share of each.
        nat_outgoing: Whether pods reach what is outside all pools by their node's address.
    """

    range: Network = IPv4Network("198.19.0.0/16")
    prefix: Annotated[StrictInt, Field(ge=16, le=31)] = 24
    # 20 to 32 is what Calico takes (api/pkg/apis/projectcalico/v3/ippool.go).
    block_size: Annotated[StrictInt, Field(ge=20, le=32)] = 28
    nat_outgoing: StrictBool = True

    @property
    def room(self) -> int:
        """How many pools fit into the range."""
        return 1 << (self.prefix - self.range.prefixlen)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not any(self.range.subnet_of(each) for each in UNROUTED_RANGES):
            known = ", ".join(map(str, UNROUTED_RANGES))
            raise misfit(("range",), f"{self.range} holds addresses of the Internet: choose it from {known}")
        if self.prefix < self.range.prefixlen:
            raise misfit(("prefix",), f"a pool of /{self.prefix} does not fit into {self.range}")
        if self.block_size <= self.prefix:
            raise misfit(
                ("block-size",),
                f"a pool of /{self.prefix} has no room for blocks of /{self.block_size} on two nodes",
            )
        return self


class Timeouts(Model):
    """Deadlines in seconds.

    Attributes:
        request: One request to the API.
        pods: Test pods ready.
        pools: Tunnel addresses and routes of the pools there, Felix back.
        switch: The cluster's own pool in another mode, routes included.
        removal: Everything of ours gone.
    """

    request: Annotated[Seconds, Field(le=_LONGEST_TIMEOUT)] = 30.0
    pods: Annotated[Seconds, Field(le=_LONGEST_TIMEOUT)] = 180.0
    pools: Annotated[Seconds, Field(le=_LONGEST_TIMEOUT)] = 120.0
    switch: Annotated[Seconds, Field(le=_LONGEST_TIMEOUT)] = 180.0
    removal: Annotated[Seconds, Field(le=_LONGEST_TIMEOUT)] = 180.0


class KubernetesFile(ClusterFile):
    """A real cluster.

    Attributes:
        kind: `kubernetes`.
        kubeconfig: Absolute path of a kubeconfig; None: those of $KUBECONFIG, else `~/.kube/config`.
        context: Its context; None: the current one.
        in_cluster: Whether we run in a pod of the cluster, with its service account.
        nodes: Where the two ends of every path are.
        hosts: How commands run on a node itself.
        ssh: How hosts are logged in to; there exactly with `hosts: ssh`.
        images: Images of the test pods.
        namespace: An existing namespace for the test pods; None: an own one for the run.
        tolerations: Taints they do not mind.
        resources: What each of their containers asks for.
        priority_class: Their PriorityClass.
        pools: The address pools made for a run.
        timeouts: Deadlines.
    """

    kind: Literal["kubernetes"]
    kubeconfig: Annotated[str, BeforeValidator(_one_file), BeforeValidator(absolute)] | None = None
    context: Annotated[StrictStr, Field(min_length=1)] | None = None
    in_cluster: StrictBool = False
    nodes: Nodes = Nodes()
    hosts: Hosts = Hosts.POD
    ssh: Ssh | None = None
    images: Images = Images()
    namespace: NamespaceName | None = None
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=100)] = ()
    resources: Resources = Resources()
    priority_class: ObjectName | None = None
    pools: Pools = Pools()
    timeouts: Timeouts = Timeouts()

    @property
    def kubeconfig_files(self) -> tuple[FilePath, ...]:
        """The kubeconfig files to read; several are merged as kubectl does. Empty inside the cluster."""
        if self.in_cluster:
            return ()
        return (FilePath(self.kubeconfig),) if self.kubeconfig else usual_files()

    @property
    def chosen_context(self) -> str | None:
        """The context named, or the current one as kubectl sees it; None inside the cluster.

        To be told to the kubernetes client, which takes the current context of the last of several files
        (KubeConfigMerger.load_config), where kubectl takes that of the first.

        Raises:
            ClusterFileProblem: There is none.
        """
        return None if self.in_cluster else self._context_in(self._read_kubeconfig())

    def check(self) -> None:
        if self.in_cluster:
            self._check_service_account()
        else:
            self._check_kubeconfig()
        if self.ssh:
            self.ssh.check(lambda field: self._blame("ssh", field))

    def _blame(self, *field: str) -> Blame:
        return lambda message, remedy: self.problem(field, message, remedy=remedy)

    def _check_service_account(self) -> None:
        reason = unreadable(SERVICE_ACCOUNT / "token")
        if not reason and not os.environ.get("KUBERNETES_SERVICE_HOST"):
            reason = "is there, but KUBERNETES_SERVICE_HOST is not set"
        if reason:
            raise self.problem(
                ("in-cluster",),
                f"this is no pod with a service account: {SERVICE_ACCOUNT / 'token'} {reason}",
                remedy="run in a pod of the cluster, or name a kubeconfig instead",
            )

    def _read_kubeconfig(self) -> Kubeconfig:
        files = self.kubeconfig_files
        if not files:
            named = "none of the files in KUBECONFIG" if os.environ.get("KUBECONFIG") else "no ~/.kube/config"
            raise self.problem(
                ("kubeconfig",), f"there is {named}", remedy="name a kubeconfig here or in KUBECONFIG"
            )
        return Kubeconfig.read(files, self._blame("kubeconfig"))

    def _context_in(self, config: Kubeconfig) -> str:
        return config.choose(self.context, self._blame("context" if self.context else "kubeconfig"))

    def _check_kubeconfig(self) -> None:
        config = self._read_kubeconfig()
        context = self._context_in(config)
        server = config.server(context, self._blame("context" if self.context else "kubeconfig"))
        if self._in_pools(server):
            raise self.problem(
                ("pools", "range"),
                f"{self.pools.range} holds the address of the API server, {server}",
                remedy="choose one that is free in the cluster",
            )

    def check_modes(self, modes: Iterable[Mode]) -> None:
        if message := self._too_many(tuple(modes)):
            raise UsageProblem(
                f"cluster {self.name}: {message}",
                where=self.source,
                remedy="widen pools.range, lengthen pools.prefix, or ask for fewer modes",
            )

    def _too_many(self, modes: Sequence[Mode]) -> str:
        """Why the pools' range cannot hold a pool for each mode; empty if it can."""
        count = len(set(modes) - {Mode.CURRENT})
        if count <= self.pools.room:
            return ""
        pools = self.pools
        return f"{pools.range} has room for {pools.room} pools of /{pools.prefix}, not for {count}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.in_cluster:
            for field, value in (("kubeconfig", self.kubeconfig), ("context", self.context)):
                if value is not None:
                    raise misfit(
                        (field,), "means nothing with in-cluster in line {line}", other=("in-cluster",)
                    )
        if self.hosts is Hosts.SSH and self.ssh is None:
            raise misfit(("hosts",), "needs an ssh section, if only `ssh: {}`")
        if self.hosts is not Hosts.SSH and self.ssh is not None:
            raise misfit(("ssh",), f"is for `hosts: ssh`, and hosts is {self.hosts}")
        if self.images.pull_secrets and self.namespace is None:
            raise misfit(
                ("images", "pull-secrets"),
                "are secrets of a namespace: name the existing one they are in under namespace",
            )
        if self.namespace is not None and self.namespace.startswith("kube-"):
            raise misfit(("namespace",), "belongs to Kubernetes itself: make one for the test pods")
        if message := self._too_many(self.defaults.modes or ()):
            raise misfit(
                ("pools", "range"),
                f"{message}, as many as defaults.modes in line {{line}} needs",
                other=("defaults", "modes"),
            )
        self._check_addresses()
        return self

    def _check_addresses(self) -> None:
        for node, host in (self.ssh.addresses if self.ssh else {}).items():
            if self._in_pools(host):
                raise misfit(
                    ("ssh", "addresses", node),
                    f"{host} is inside pools.range {self.pools.range}, which must be free",
                )

    def _in_pools(self, host: str) -> bool:
        try:
            return IPv4Address(host) in self.pools.range
        except ValueError:
            return False
