"""Exec: a websocket with channels, and a process that outlives it.

Protocols `v5.channel.k8s.io` and `v4.channel.k8s.io` (apimachinery: pkg/util/remotecommand): every message begins
with its channel; the last one, on channel 3, is a Status. As in a real cluster a command whose websocket is gone goes
on, with its input closed, and an exec ends only when nobody holds the command's output any more (containerd).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSMsgType, web

from tests.kubernetes.fake.faults import Cut
from tests.kubernetes.fake.refusal import failure

STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_CHUNK = 32 * 1024  # what a kubelet's copy loop reads at once


class Execution:
    """A command under way in a container.

    Attributes:
        pod: (namespace, name) of its pod.
        uid: The pod's uid.
        argv: The command.
        process: As the runtime started it.
    """

    def __init__(
        self, pod: tuple[str, str], uid: str, argv: list[str], process: subprocess.Popen[bytes]
    ) -> None:
        self.pod = pod
        self.uid = uid
        self.argv = argv
        self.process = process

    async def supervise(self, send: Callable[[int, bytes], Any]) -> None:
        """Carry the output to `send(channel, data)` to its end, and wait for the process."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(self.process.stdout, STDOUT, send))
                group.create_task(self._carry(self.process.stderr, STDERR, send))
                group.create_task(self._exit())
        except BaseException:
            kill(self.process)
            raise
        finally:
            reap(self.process)

    async def _carry(self, pipe: Any, channel: int, send: Callable[[int, bytes], Any]) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        # A duplicate, since asyncio closes its own and the runtime's Popen still has one.
        own = os.fdopen(os.dup(pipe.fileno()), "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own)
        pipe.close()
        try:
            while data := await reader.read(_CHUNK):
                await send(channel, data)
        finally:
            transport.close()

    async def _exit(self) -> None:
        """The process's end: a pidfd is readable then (pidfd_open(2)).

        It is reaped last of all, so that until then its number, and its group's, can be no other's.
        """
        if self.process.returncode is not None:
            return
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.pidfd_open(self.process.pid)
        loop.add_reader(descriptor, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def status(self) -> dict[str, Any]:
        """What the error channel says of an ended process (kubelet: pkg/kubelet/cri/streaming)."""
        code = self.process.returncode
        if code == 0:
            return {"metadata": {}, "status": "Success"}
        code = 128 - code if code < 0 else code
        return {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and its group if it leads one."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)


def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has ended, and let go of its pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def not_started(argv: list[str], error: OSError) -> dict[str, Any]:
    """What the error channel says when there is no such program (runc, by way of containerd and kubelet)."""
    what = (
        "executable file not found in $PATH" if isinstance(error, FileNotFoundError) else "permission denied"
    )
    message = (
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start "
        f'exec "0123456789abcdef": OCI runtime exec failed: exec failed: unable to start container process: exec: '
        f'"{argv[0]}": {what}: unknown'
    )
    status = failure(500, message, details={"causes": [{"message": message.partition(": ")[2]}]})
    return {key: value for key, value in status.items() if key not in {"kind", "apiVersion"}}


class Session:
    """The websocket of an exec, and what a fault does to it."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        wanted: Mapping[str, bool],
        fault: Cut | None,
        abort: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._wanted = wanted
        self._abort = abort
        self._left = fault.after_bytes if fault else None
        self._timer: asyncio.TimerHandle | None = None
        if fault and fault.after_seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(fault.after_seconds, abort)

    async def send(self, channel: int, data: bytes) -> None:
        """A message to the client; nothing when it is gone or did not ask for that channel."""
        if not self._wanted.get({STDOUT: "stdout", STDERR: "stderr"}.get(channel, ""), True):
            return
        cut = False
        if self._left is not None and channel != ERROR:
            data, cut = data[: self._left], len(data) >= self._left
            self._left -= len(data)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.send_bytes(bytes([channel]) + data)
        if cut:
            self._abort()

    async def finish(self, status: dict[str, Any]) -> None:
        """Say how it ended, and goodbye."""
        if self._timer:
            self._timer.cancel()
        await self.send(ERROR, json.dumps(status).encode())
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close()

    async def feed(self, execution: Execution) -> None:
        """Carry the client's input to the command until either ends; then close it."""
        loop = asyncio.get_running_loop()
        pipe = execution.process.stdin
        assert pipe is not None, "the runtime gave no pipe for input"
        own = os.fdopen(os.dup(pipe.fileno()), "wb", buffering=0)
        pipe.close()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, own)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        try:
            if not self._wanted["stdin"]:
                transport.close()
            async for message in self._socket:
                if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                    break
                data = message.data if isinstance(message.data, bytes) else message.data.encode()
                if data[:2] == bytes([CLOSE, STDIN]) and self._socket.ws_protocol == V5:
                    transport.close()
                elif data[:1] == bytes([STDIN]) and not transport.is_closing():
                    writer.write(data[1:])
                    with contextlib.suppress(ConnectionError):
                        await writer.drain()
        finally:
            transport.close()
