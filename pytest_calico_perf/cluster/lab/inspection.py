"""What the lab knows of its own Calico: the plan, and what each node's BIRD has and says at the moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pytest_calico_perf.cluster.bird_protocols import SHOW_SESSIONS, read_sessions
from pytest_calico_perf.cluster.inspection import BlockState, Look, NodeState, PoolState, SessionState
from pytest_calico_perf.cluster.lab.bird import NODE_AS
from pytest_calico_perf.cluster.lab.builder import bird_config, bird_pid, control_socket
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.topology import Node, Topology
from pytest_calico_perf.errors import ClusterProblem
from pytest_calico_perf.model import Encapsulation

_LIMIT = 5.0
_PLAN = "the lab's plan"
_NEIGHBOR = re.compile(r"^\s*neighbor\s+([0-9.]+)\s+as\s+\d+;", re.MULTILINE)
_LOCAL_AS = re.compile(r"^\s*local\s+[0-9.]+\s+as\s+(\d+);", re.MULTILINE)


class _Unseen(Exception):
    """Somebody could not be asked; says why, a sentence without a full stop."""


class LabInspector:
    """Answers as `cluster.inspection.Inspector` wants them.

    Pools, blocks and addresses are what the lab gave out, as in Calico's datastore. Sessions, mesh and AS
    numbers are BIRD's of this moment, since that is what somebody may have changed.

    Args:
        sandbox: Where the lab lives.
        topology: Its plan.
    """

    def __init__(self, sandbox: Sandbox, topology: Topology) -> None:
        self._sandbox = sandbox
        self._topology = topology

    def nodes(self) -> Look[tuple[NodeState, ...]]:
        states = tuple(self._node(node) for node in self._topology.nodes)
        return Look(states, f"{_PLAN}, AS numbers from bird.conf on each node")

    def _node(self, node: Node) -> NodeState:
        try:
            own_as = _LOCAL_AS.search(self._config(node.name))
        except _Unseen:
            own_as = None
        number = int(own_as[1]) if own_as else NODE_AS
        return NodeState(
            name=node.name,
            address=str(node.address),
            subnet=str(node.subnet.range),
            as_number=None if number == NODE_AS else number,
            tunnels=MappingProxyType({kind: str(address) for kind, address in node.tunnels.items()}),
            vxlan_mac=node.vxlan_mac if Encapsulation.VXLAN in node.tunnels else "",
        )

    def pools(self) -> Look[tuple[PoolState, ...]]:
        pools = (PoolState(pool.name, str(pool.range), pool.carried_as) for pool in self._topology.pools)
        return Look(tuple(pools), _PLAN)

    def blocks(self) -> Look[tuple[BlockState, ...]]:
        blocks = (
            BlockState(str(block), node.name)
            for node in self._topology.nodes
            for block in node.blocks.values()
        )
        return Look(tuple(blocks), _PLAN)

    def mesh(self) -> Look[bool]:
        source = "bird.conf on each node"
        nodes = self._topology.nodes
        try:
            told = {node.name: set(_NEIGHBOR.findall(self._config(node.name))) for node in nodes}
        except _Unseen as reason:
            return Look(None, source, str(reason))
        # A session is meant to be where one end is told to have it: its other end was forgotten.
        full = all(
            str(peer.address) in told[node.name] or str(node.address) in told[peer.name]
            for node in nodes
            for peer in self._topology.peers(node)
        )
        return Look(full, source)

    def sessions(self, node: str) -> Look[tuple[SessionState, ...]]:
        source = f"birdc {' '.join(SHOW_SESSIONS)} on {node}"
        argv = ["birdc", "-s", control_socket(self._sandbox, node), *SHOW_SESSIONS]
        names = {str(each.address): each.name for each in self._topology.nodes}
        try:
            said = self._ask(node, argv)
        except _Unseen as reason:
            return Look(None, source, str(reason))
        if not said.startswith("BIRD "):  # birdc ends with 0 whatever happens
            return Look(None, source, f"birdc on {node} reaches no BIRD: {said.strip()[:200]}")
        return Look(read_sessions(said, names), source)

    def daemons(self, node: str) -> Look[Mapping[str, bool]]:
        """As the protocol says. No Felix should run here: the lab itself writes what Felix would."""
        source = f"the process named in bird.pid on {node}"
        try:
            number = self._ask(node, ["cat", bird_pid(self._sandbox, node)]).strip()
            runs = self._runs_bird(node, number)
        except _Unseen as reason:
            return Look(None, source, str(reason))
        return Look(MappingProxyType({"bird": runs}), source)

    def _runs_bird(self, node: str, number: str) -> bool:
        """Whether that process is a BIRD in this node's network, and not one that got its number later."""
        process = f"/proc/{number}"
        argv = ["readlink", f"{process}/exe", f"{process}/ns/net", "/proc/self/ns/net"]
        try:
            # readlink(1) says nothing of what is not there; of a process that ended, only our own link is.
            program, network, ours = self._answer(node, argv).splitlines()
        except ValueError:
            return False
        return network == ours and program.rpartition("/")[2].startswith("bird")

    def route_writer(self, encapsulation: Encapsulation) -> Look[str]:
        if encapsulation in self._topology.felix_routes:
            return Look("felix", _PLAN)
        if encapsulation in self._topology.bird_routes:
            return Look("bird", _PLAN)
        return Look(None, _PLAN, f"nobody is meant to write routes for {encapsulation} in this lab")

    def policies(self, node: str, address: str) -> Look[tuple[str, ...]]:
        """As the protocol says: none. What filters packets all the same is in the node's own rules."""
        return Look((), f"the lab makes no network policies, so none for {address} on {node}")

    def _config(self, node: str) -> str:
        return self._ask(node, ["cat", bird_config(self._sandbox, node)])

    def _ask(self, node: str, argv: Sequence[str]) -> str:
        said = self._answer(node, argv, must_succeed=True)
        if not said:
            raise _Unseen(f"{argv[0]} on {node} printed nothing")
        return said

    def _answer(self, node: str, argv: Sequence[str], *, must_succeed: bool = False) -> str:
        """What a command prints on stdout.

        Raises:
            _Unseen: It could not be run, ran out of time, or failed where it must not.
        """
        try:
            result = self._sandbox.run(node, argv, limit=_LIMIT)
        except ClusterProblem as problem:
            raise _Unseen(str(problem)) from None
        if result.timed_out:
            raise _Unseen(f"{argv[0]} on {node} gave no answer within {_LIMIT:.0f} s")
        if must_succeed and result.exit_code != 0:
            raise _Unseen(f"{argv[0]} on {node} says: {result.last_words}")
        return result.stdout
