"""Hosts over SSH, pods through the API: a whole run with `hosts: ssh`, sshd in the nodes."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_calico_perf.cluster.lab.endpoint import LabEndpoint
from pytest_calico_perf.cluster.lab.keeper import NAMESPACES
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.model import EndpointKind, Mode
from tests.kubernetes.conftest import MakeWorld
from tests.kubernetes.plane import CalicoSpec
from tests.kubernetes.plane.trying import needs_root
from tests.kubernetes.world import World
from tests.ssh.accounts import make_accounts
from tests.ssh.daemon import Daemon, Keys

pytestmark = needs_root

RELAY = Path(__file__).with_name("relay.py")
RUN = ("--calico-mode=bgp,ipip", "--calico-path=host-to-host,host-to-pod,pod-to-pod", "--calico-probe=ping",
       "--calico-rounds=2", "--calico-duration=0.2")  # fmt: skip


def start_sshd(world: World) -> tuple[Keys, list[Daemon]]:
    """One in each node, an ssh_config that leads there, and the hosts' keys."""
    keys = Keys.make(world.folder)
    daemons = []
    for node in world.plane.topology.nodes:
        endpoint = LabEndpoint(
            world.plane.sandbox, node.name, node.name, EndpointKind.HOST, node.name, str(node.address)
        )
        if not daemons:
            make_accounts(endpoint)
        daemons.append(Daemon(endpoint, keys, 22))
        daemons[-1].start()
    fabric = f"/proc/{world.plane.sandbox.pid}/root{NAMESPACES}/{FABRIC}"
    (world.folder / "ssh_config").write_text(
        f"Host *\n  ProxyCommand {sys.executable} {RELAY} {fabric} %h %p\n"
    )
    (world.folder / "known_hosts").write_text("".join(daemon.known_hosts_line for daemon in daemons))
    world.fields |= {
        "hosts": "ssh",
        "ssh": {
            "user": "root",
            "key": "user",
            "known-hosts": "known_hosts",
            "config": "ssh_config",
            "agent": False,
        },
    }
    return keys, daemons


def test_hosts_over_ssh(make_world: MakeWorld):
    world = make_world(CalicoSpec(mode=Mode.BGP))
    start_sshd(world)
    run = world.run(*RUN)
    assert run.code == 0, run.output
    assert run.cells["ping", "host-to-pod", "ipip"]["evidence"]["forward"]["device"] == "tunl0"
    assert run.record["cluster"]["hosts"] == "ssh"
    # No pod needs the host's network then, and none has it.
    namespaces = {
        each.name for each in world.fake.requests if (each.verb, each.resource) == ("patch", "namespaces")
    }
    assert not any(name.endswith("-hosts") for name in namespaces)
    assert world.ours() == []


def test_a_host_key_that_is_not_known_ends_the_run_before_a_pool_is_made(make_world: MakeWorld):
    world = make_world(CalicoSpec(mode=Mode.BGP))
    start_sshd(world)
    (world.folder / "known_hosts").write_text("")
    run = world.run(*RUN)
    assert run.code == 1
    assert "ssh-keyscan" in run.output
    assert "node1" in run.output
    assert not [each for each in world.fake.requests if each.resource == "ippools" and each.verb == "create"]
    assert world.ours() == []


def test_no_key_is_in_any_output(make_world: MakeWorld):
    world = make_world(CalicoSpec(mode=Mode.BGP))
    keys, _ = start_sshd(world)
    run = world.run(*RUN, "--html=report.html", "--self-contained-html", "-vv", "--log-level=DEBUG")
    secret = keys.user.read_text().splitlines()[1]
    for text in (
        run.output,
        (world.folder / "results.json").read_text(),
        (world.folder / "report.html").read_text(),
    ):
        assert secret not in text
        assert world.fake.token not in text
