"""The execs under way: their handshakes, and their end with the pod or the server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from tests.kubernetes.fake.execution import V4, V5, Execution, Session, kill, not_started, reap
from tests.kubernetes.fake.faults import Cut
from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.runtime import Runtime

_TRUE = {"1", "true", "True"}
_STOPPED = {"Succeeded", "Failed"}


class Executions:
    """Starts commands in pods and keeps them; used in the server's loop."""

    def __init__(self) -> None:
        self.started: list[list[str]] = []
        self.running: list[Execution] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(
        self,
        request: web.BaseRequest,
        pod: dict[str, Any],
        runtime: Runtime | None,
        fault: Cut | None,
        abort: Callable[[], None],
    ) -> web.StreamResponse:
        """Upgrade the connection and run the command.

        Raises:
            Refused: 400 for what a kubelet would not take, 404 when it finds no container.
        """
        container = _container(pod, request.query.get("container", ""))
        argv = request.query.getall("command", [])
        if not argv:
            raise Refused(400, "you must specify at least 1 command for the container")
        wanted = {stream: request.query.get(stream, "") in _TRUE for stream in ("stdin", "stdout", "stderr")}
        if not any(wanted.values()):
            raise Refused(400, "you must specify at least one of stdin, stdout, stderr")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused(400, "unable to upgrade: missing upgrade headers in request")
        if runtime is None:
            raise Refused(500, f'unable to upgrade connection: container not found ("{container}")')
        socket = web.WebSocketResponse(protocols=(V5, V4), timeout=2, max_msg_size=0)
        await socket.prepare(request)
        session = Session(socket, wanted, fault, abort)
        self.started.append(argv)
        # A task of its own: the request's is cancelled as soon as its connection is gone.
        task = asyncio.get_running_loop().create_task(
            self._run(session, pod["metadata"], container, argv, runtime)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)
        return socket

    def end_of(self, uid: str) -> None:
        """A pod is gone, and with it what ran in it."""
        for execution in self.running:
            if execution.uid == uid:
                kill(execution.process)

    async def close(self) -> None:
        """Kill what runs still, and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self, session: Session, metadata: dict[str, Any], container: str, argv: list[str], runtime: Runtime
    ) -> None:
        pod = (metadata["namespace"], metadata["name"])
        try:
            process = await _started(partial(runtime.exec, *pod, container, argv))
        except OSError as error:
            await session.finish(not_started(argv, error))
            return
        execution = Execution(pod, metadata["uid"], argv, process)
        self.running.append(execution)
        feeding = asyncio.get_running_loop().create_task(session.feed(execution))
        try:
            await execution.supervise(session.send)
            await session.finish(execution.status())
        finally:
            self.running.remove(execution)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def _started(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The process that `start` starts in a thread; when cancelled meanwhile, none is left."""
    starting = asyncio.get_running_loop().run_in_executor(None, start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            process = await starting
            kill(process)
            reap(process)
        raise


def _container(pod: dict[str, Any], asked: str) -> str:
    """The container to run in, if the pod has one that runs.

    Raises:
        Refused: In the words of apiserver (registry/core/pod/strategy.go) and kubelet.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [container["name"] for container in spec["containers"]]
    if asked and asked not in names:
        raise Refused(400, f"container {asked} is not valid for pod {name}")
    if not asked and len(names) > 1:
        raise Refused(
            400, f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        )
    phase = pod.get("status", {}).get("phase")
    if phase in _STOPPED:
        raise Refused(400, f"cannot exec into a container in a completed pod; current phase is {phase}")
    if not spec.get("nodeName"):
        raise Refused(400, f"pod {name} does not have a host assigned")
    if phase != "Running":
        raise Refused(500, f'unable to upgrade connection: container not found ("{asked or names[0]}")')
    return asked or names[0]
