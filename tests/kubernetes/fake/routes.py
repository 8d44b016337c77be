"""From a request to its answer: authentication, faults, authorization, and the verbs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import yaml
from aiohttp import web

from tests.kubernetes.fake import faults, listener
from tests.kubernetes.fake.executions import Executions
from tests.kubernetes.fake.kinds import Kinds
from tests.kubernetes.fake.listing import page
from tests.kubernetes.fake.rbac import Rbac
from tests.kubernetes.fake.refusal import Refused, failure, success, unknown
from tests.kubernetes.fake.runtime import Runtime
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.targets import Target, target
from tests.kubernetes.fake.watching import Watched, watch
from tests.kubernetes.fake.writing import Writer

_HEALTH = {"/healthz", "/livez", "/readyz"}
# Built-in collections whose deletion answers with the object instead of a Status (`ReturnDeletedObject`).
_SHOWN_WHEN_DELETED = {"namespaces", "pods", "services", "serviceaccounts", "resourcequotas"}


class Server(Protocol):
    """What the routes need of the server."""

    store: Store
    kinds: Kinds
    faults: faults.Faults
    rbac: Rbac
    runtime: Runtime | None
    token: str

    def note(self, wanted: Target) -> None: ...


class Routes:
    """Handles requests in the server's loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._writer = Writer(server.store)
        self.executions = Executions()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, or let it go wrong as the faults say."""
        body = await request.read() if request.can_read_body else b""
        fault = self._server.faults.strike(request.method, request.path_qs)
        match fault:
            case faults.Answer():
                return _refusal(_status(fault), fault.code, fault.retry_after)
            case faults.Drop(done=False):
                listener.abort(request, reset=fault.reset)
                return web.Response()
            case faults.Delay():
                await asyncio.sleep(fault.seconds)
        try:
            response = await self._answer(request, body, fault)
        except Refused as refused:
            response = _refusal(refused.status(), refused.code)
        except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            response = _refusal(failure(400, f"the object provided is unrecognized: {error!r}"), 400)
        match fault:
            case faults.Drop():
                listener.abort(request, reset=fault.reset)
            case faults.Truncate() if isinstance(response, web.Response):
                return await _truncated(request, response, fault.size)
        return response

    async def _answer(
        self, request: web.BaseRequest, body: bytes, fault: faults.Action | None
    ) -> web.StreamResponse:
        if request.path in _HEALTH:
            return web.Response(text="ok")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token != self._server.token:
            raise Refused(401, "Unauthorized")
        if request.method == "GET" and (document := self._server.kinds.discovery(request.path)):
            return web.json_response(document)
        raw_path = request.rel_url.raw_path
        wanted = target(self._server.kinds, request.method, raw_path, request.query)
        if wanted is None:
            return web.Response(status=404, text="404 page not found\n")
        asked = wanted.attributes
        self._server.note(wanted)
        if wanted.kind.plural == "selfsubjectaccessreviews":
            return web.json_response(self._server.rbac.review(_document(body)), status=201)
        self._server.rbac.check(asked)
        if wanted.subresource in {"", "status"}:
            return await self._serve(request, wanted, body, fault)
        if wanted.kind.plural == "pods" and wanted.subresource == "exec":
            # A websocket's upgrade is a GET, but what it does is a create; servers since 1.35 ask for both.
            self._server.rbac.check(wanted.asking("create"))
            return await self._exec(request, wanted, fault)
        raise unknown()

    async def _serve(
        self, request: web.BaseRequest, wanted: Target, body: bytes, fault: faults.Action | None
    ) -> web.StreamResponse:
        store, kind, query = self._server.store, wanted.kind, request.query
        resource = (kind.group, kind.version, kind.plural)
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        agent = request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
        match wanted.verb:
            case "watch":
                about = Watched(kind, wanted.namespace, labels, fields)
                strikes = fault if isinstance(fault, faults.Gone | faults.Cut) else None
                return await watch(request, store, about, strikes, partial(listener.abort, request))
            case "list":
                return web.json_response(page(store, wanted, query))
            case "get":
                return web.json_response(store.get(resource, wanted.name, namespace=wanted.namespace))
            case "create":
                created = self._writer.create(wanted, _document(body), query, agent)
                return web.json_response(created, status=201)
            case "update":
                return web.json_response(self._writer.replace(wanted, _document(body), query, agent))
            case "patch":
                type_ = request.content_type
                obj, new = self._writer.patch(wanted, _document(body), type_, query, agent)
                return web.json_response(obj, status=201 if new else 200)
            case "delete":
                return self._deleted(wanted, self._writer.delete(wanted, _options(body), query))
        self._writer.delete_collection(wanted, _options(body), query, labels, fields)
        return web.json_response(page(store, wanted, {}) | {"items": []})

    def _deleted(self, wanted: Target, last: dict[str, Any]) -> web.Response:
        kind, metadata = wanted.kind, last["metadata"]
        there = self._server.store.find(
            (kind.group, kind.version, kind.plural), wanted.name, namespace=wanted.namespace
        )
        if there or (kind.builtin and kind.plural in _SHOWN_WHEN_DELETED):
            return web.json_response(last)
        details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural, "uid": metadata["uid"]}
        return web.json_response(success({key: value for key, value in details.items() if value}))

    async def _exec(
        self, request: web.BaseRequest, wanted: Target, fault: faults.Action | None
    ) -> web.StreamResponse:
        pod = self._server.store.get(("", "v1", "pods"), wanted.name, namespace=wanted.namespace)
        strikes = fault if isinstance(fault, faults.Cut) else None
        abort = partial(listener.abort, request)
        return await self.executions.serve(request, pod, self._server.runtime, strikes, abort)


def _document(body: bytes) -> Any:
    """JSON, or YAML as apply-patches may be (of which JSON is a part)."""
    try:
        return json.loads(body)
    except ValueError:
        return yaml.safe_load(body)


def _options(body: bytes) -> Mapping[str, Any]:
    return (_document(body) if body else None) or {}


def _status(fault: faults.Answer) -> dict[str, Any]:
    words = {
        401: "Unauthorized",
        429: "the server has received too many requests and has asked us to try again later",
        500: "Internal error occurred: etcdserver: request timed out",
        503: "the server is currently unable to handle the request",
    }
    message = fault.message or words.get(fault.code, "the fake server was told to refuse this")
    details = {"retryAfterSeconds": fault.retry_after} if fault.retry_after is not None else None
    return failure(fault.code, message, reason=fault.reason, details=details)


def _refusal(status: Mapping[str, Any], code: int, retry_after: int | None = None) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    return web.json_response(status, status=code, headers=headers)


async def _truncated(request: web.BaseRequest, response: web.Response, size: int) -> web.StreamResponse:
    assert isinstance(response.body, bytes)
    whole = response.body
    part = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    part.content_length = len(whole)
    await part.prepare(request)
    await part.write(whole[:size])
    # Let what was written reach the socket: abort() would drop it.
    await asyncio.sleep(0)
    if request.transport:
        request.transport.close()
    return part
