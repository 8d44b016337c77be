"""Faults of BGP: what BIRD is told, whether it runs, and whether its peers can be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pytest_calico_perf.cluster.lab.builder import bird_config, bird_pid, start_bird
from pytest_calico_perf.cluster.lab.topology import Node
from tests.lab.faults.site import Site

_MESH_PEER = r"protocol bgp mesh_{name} from peer \{{.*?\n\}}\n"


@contextmanager
def port_blocked(site: Site) -> Iterator[None]:
    """A firewall between the nodes lets no BGP pass (TCP 179); nobody answers."""
    with site.dropped_in_fabric("bgp", "tcp dport 179", "tcp sport 179"):
        site.restart_sessions(*site.cluster.topology.nodes)
        site.await_no_route(site.client, site.server)
        yield
    site.restart_sessions(*site.cluster.topology.nodes)


@contextmanager
def port_closed_on_node(site: Site) -> Iterator[None]:
    """The firewall of the server's node refuses BGP, in and out."""
    rules = """\
  chain input { type filter hook input priority 0; tcp dport 179 counter reject with tcp reset; }
  chain output { type filter hook output priority 0; tcp dport 179 counter reject with tcp reset; }
"""
    with site.table(site.server.name, "inet firewall", rules):
        site.restart_sessions(site.server)
        site.await_no_route(site.client, site.server)
        yield
    site.restart_sessions(site.server)


@contextmanager
def wrong_as(site: Site) -> Iterator[None]:
    """The server's node believes to be in another AS than its peers are told."""

    def change(config: str) -> str:
        return re.sub(r"(local [0-9.]+ as) \d+;", r"\1 65099;", config)

    def refused() -> bool:
        sessions = site.cluster.inspector().sessions(site.server.name).value or ()
        return any("Bad peer AS" in session.info for session in sessions)

    with site.bird_told(site.server, change):
        site.await_no_route(site.client, site.server)
        site.await_("the refusal by a peer", refused)
        yield
    site.restart_sessions(site.server)


@contextmanager
def session_off(site: Site) -> Iterator[None]:
    """Somebody switched the server's session with the client's node off; all others are up."""
    name = f"mesh_{site.client.name}"
    site.birdc(site.server, "disable", name)
    try:
        site.await_no_route(site.client, site.server)
        yield
    finally:
        site.birdc(site.server, "enable", name)
        site.restart_sessions(site.server)


@contextmanager
def session_not_configured(site: Site) -> Iterator[None]:
    """The client's node was not told of the server's; all other sessions are up."""
    with site.bird_told(site.client, lambda config: _without_peers(config, site.server)):
        site.await_no_route(site.client, site.server)
        yield
    site.restart_sessions(site.server)


@contextmanager
def mesh_off(site: Site) -> Iterator[None]:
    """No node is told of any other."""
    topology = site.cluster.topology
    with ExitStack() as stack:
        for node in topology.nodes:
            peers = topology.peers(node)
            stack.enter_context(
                site.bird_told(node, lambda config, peers=peers: _without_peers(config, *peers))
            )
        site.await_no_route(site.client, site.server)
        yield


def _without_peers(config: str, *peers: Node) -> str:
    for peer in peers:
        config = re.sub(_MESH_PEER.format(name=peer.name), "", config, flags=re.DOTALL)
    return config


@contextmanager
def daemon_dead(site: Site) -> Iterator[None]:
    """The server's BIRD was killed, and its peers have waited long enough for it to come back."""
    sandbox, node = site.cluster.sandbox, site.server
    config = site.ask(node.name, "cat", bird_config(sandbox, node.name)).partition("\n")[2]
    site.run(node.name, "kill", "-9", site.ask(node.name, "cat", bird_pid(sandbox, node.name)).strip())
    try:
        site.restart_sessions(node)
        site.await_no_route(site.client)
        yield
    finally:
        start_bird(sandbox, node.name, config)
        site.restart_sessions(node)


@contextmanager
def route_rejected(site: Site, node: Node) -> Iterator[None]:
    """A filter of the node's BIRD keeps the route to the other one's block out of the kernel."""
    rule = f"filter to_kernel {{\n  if (net = {site.block(site.other(node))}) then reject;"
    with site.bird_told(node, lambda config: config.replace("filter to_kernel {", rule)):
        site.await_no_route(node)
        yield
