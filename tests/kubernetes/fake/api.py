"""A Kubernetes API server on a socket of this machine: see `FakeApi`."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from tests.kubernetes.fake.faults import Faults
from tests.kubernetes.fake.kinds import Kind, Kinds
from tests.kubernetes.fake.listener import Listener
from tests.kubernetes.fake.rbac import USER, Rbac
from tests.kubernetes.fake.routes import Routes
from tests.kubernetes.fake.runtime import LocalRuntime, Runtime
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.targets import Target

_LIMIT = 15.0


class Request(NamedTuple):
    """A request that came through, in the order of their coming: `verb` as in RBAC."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str


class FakeApi:
    """The server: a context manager with a thread and an event loop of its own.

    Attributes:
        url: `http://127.0.0.1:PORT`; the same after `restart()`.
        token: The bearer token in force; whoever has none or another gets 401.
        store: The objects, for tests and controllers.
        faults: What goes wrong on the wire.
        rbac: The rules of the user. `fake.rbac.rules = [...]` narrows them, None allows everything.
        requests: Of every request that was authenticated, what it asked for.
        runtime: Where execs run; may be set later. None: no container is found.
        graceful: Whether deleted pods that run on a node wait until a controller `store.remove`s them. None:
            just when a runtime other than `LocalRuntime` is there.
    """

    def __init__(
        self,
        runtime: Runtime | None = None,
        *,
        rules: Iterable[Mapping[str, Any]] | None = None,
        graceful: bool | None = None,
    ) -> None:
        self.runtime = runtime
        self.graceful = graceful
        self.token = secrets.token_urlsafe(24)
        self.kinds = Kinds()
        self.store = Store(self.kinds, self._waits_for_kubelet)
        self.faults = Faults()
        self.rbac = Rbac(rules)
        self.requests: list[Request] = []
        self.url = ""
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._routes = Routes(self)
        self._listener = Listener(self._routes.handle)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-api")
        self._thread.start()
        try:
            self.url = self._call(self._listener.start())
            self.store.subscribe(self._control)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            subscriptions = self.store.journal.subscriptions
            for subscription in subscriptions:
                subscription.close()
            self._call(self._listener.stop())
            self._call(self._routes.executions.close())
            self._call(self._loop.shutdown_default_executor())
        finally:
            self._end()
        for subscription in subscriptions:
            if subscription.error:
                raise subscription.error

    def register(
        self,
        group: str,
        version: str,
        plural: str,
        kind: str,
        namespaced: bool = False,
        *,
        storage: tuple[str, str] | None = None,
        status: bool = False,
    ) -> Kind:
        """Serve a custom resource: from now on discovery tells of it.

        Args:
            storage: (group, plural) of the collection whose objects it shows in its own version: so
                `projectcalico.org/v3` of Calico's aggregated API shows those of `crd.projectcalico.org`.
            status: With a status subresource, so that plain writes leave the status alone.
        """
        return self.kinds.register(
            group, version, plural, kind, namespaced=namespaced, storage=storage, status=status
        )

    def unregister(self, group: str, version: str = "") -> None:
        """Serve a group, or one of its versions, no more: requests get 404 as for a missing CRD."""
        self.kinds.unregister(group, version)

    def kubeconfig(self, path: Path, *, token: str | None = None, namespace: str = "default") -> Path:
        """Write a kubeconfig with the contexts `fake` (current) and `nobody` (a token that is never valid).

        Args:
            token: Instead of the one in force.
        """
        users = {"fake": token or self.token, "nobody": "expired"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": name, "user": {"token": secret}} for name, secret in users.items()],
            "contexts": [
                {"name": name, "context": {"cluster": "fake", "user": name, "namespace": namespace}}
                for name in users
            ],
        }
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def expire_token(self) -> str:
        """From now on only a new token is valid: the one returned. Write another kubeconfig to hand it out."""
        self.token = secrets.token_urlsafe(24)
        return self.token

    def stop(self) -> None:
        """Go down as an API server does: connections are reset and refused; objects and commands stay."""
        self._call(self._listener.stop())

    def start(self) -> None:
        """Come back on the same port."""
        self._call(self._listener.start())

    def restart(self) -> None:
        """Go down and come back."""
        self.stop()
        self.start()

    @property
    def user(self) -> str:
        """Whom the token stands for."""
        return USER

    @property
    def commands(self) -> list[list[str]]:
        """The argv of every exec so far."""
        return [list(argv) for argv in self._routes.executions.started]

    @property
    def running(self) -> list[list[str]]:
        """The argv of the execs whose processes run still."""
        return [list(execution.argv) for execution in self._routes.executions.running]

    def _control(self, type_: str, obj: Mapping[str, Any]) -> None:
        """A pod that is gone takes its commands along, and a deleted namespace goes when it is empty."""
        if type_ == "DELETED" or (type_ == "MODIFIED" and obj["kind"] == "Namespace"):
            self.store.sweep()
        if type_ == "DELETED" and obj["kind"] == "Pod":
            self._loop.call_soon_threadsafe(self._routes.executions.end_of, obj["metadata"]["uid"])

    def note(self, wanted: Target) -> None:
        """Keep what a request asked for."""
        kind = wanted.kind
        self.requests.append(
            Request(wanted.verb, kind.group, kind.plural, wanted.subresource, wanted.namespace, wanted.name)
        )

    def _waits_for_kubelet(self) -> bool:
        if self.graceful is not None:
            return self.graceful
        return self.runtime is not None and not isinstance(self.runtime, LocalRuntime)

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT)
        if self._thread.is_alive():
            raise TimeoutError("the fake API server's thread did not end")
        self._loop.close()
