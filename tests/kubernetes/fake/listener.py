"""The socket: connections that come, and that end when the server or a fault says so."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def abort(request: web.BaseRequest, *, reset: bool = False) -> None:
    """End a request's connection without another word: by FIN, or by RST (SO_LINGER of 0 s, socket(7))."""
    transport = request.transport
    if transport is None:
        return
    if reset and (own := transport.get_extra_info("socket")):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Server(web.Server):
    """aiohttp's server, which also knows its transports, to abort them."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._transports[handler] = transport

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._transports.pop(handler, None)

    async def abort(self) -> None:
        """End every connection, and the handlers of their requests."""
        self.pre_shutdown()
        for transport in self._transports.values():
            transport.abort()
        # A transport closes its socket in the turn after it was told to.
        await _turns(2)
        await self.shutdown(0.1)


class Listener:
    """A port of 127.0.0.1, the same one after a restart."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._port = 0
        self._server: asyncio.Server | None = None
        self._http: _Server | None = None

    async def start(self) -> str:
        """Listen; returns the URL."""
        self._http = _Server(self._handler)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._http, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None or self._http is None:
            return
        # A connection is the server's three turns of the loop after it was accepted (asyncio's
        # _accept_connection, _accept_connection2, connection_made); a server that is closed meanwhile
        # loses it, open, to an assertion of Python 3.11's. So: accept none, let them arrive, then close.
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening.fileno())
        await _turns(3)
        self._server.close()
        await self._http.abort()
        self._server = self._http = None


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
