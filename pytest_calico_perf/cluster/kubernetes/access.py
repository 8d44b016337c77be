"""How to get at the API: kubeconfig or service account, as a client of the kubernetes package.

What the package says about a broken kubeconfig may quote the user entries with their tokens
(`KubeConfigMerger` names nodes after them), so none of its messages is repeated unread.
"""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3.exceptions import HTTPError

from pytest_calico_perf.cluster.kubernetes.in_time import in_time
from pytest_calico_perf.cluster.kubernetes.refusal import words
from pytest_calico_perf.clusterfile.kubeconfig import Kubeconfig, usual_files
from pytest_calico_perf.errors import ApiProblem, ClusterFileProblem

_CONNECTIONS = 32  # more at once are opened as well, but not kept
_PLUGIN_SECONDS = 60.0  # a person may have to log in by a browser


class AccessSettings(Protocol):
    """What a cluster file says about access (`clusterfile.kubernetes.KubernetesFile`)."""

    @property
    def kubeconfig(self) -> str | None: ...

    @property
    def chosen_context(self) -> str | None: ...

    @property
    def in_cluster(self) -> bool: ...


class Access:
    """A way to the API server and the credentials for it, read anew whenever they are asked for."""

    def __init__(
        self,
        *,
        kubeconfig: str | None = None,
        context: str | None = None,
        in_cluster: bool = False,
        plugin_seconds: float = _PLUGIN_SECONDS,
    ) -> None:
        """Nothing is read yet.

        Args:
            kubeconfig: Its file, or several joined by colons; else `$KUBECONFIG`, else `~/.kube/config`.
            context: One of its contexts; else its current one: of several files the last one's, unlike
                kubectl.
            in_cluster: Use the service account of the pod we run in instead.
            plugin_seconds: How long a credential plugin may take. One that took longer is not asked again
                for as long, lest all who wait for it wait one after the other.
        """
        self._kubeconfig = kubeconfig
        self._context = context
        self._in_cluster = in_cluster
        self._plugin_seconds = plugin_seconds
        self._given_up = float("-inf")

    @classmethod
    def of(cls, file: AccessSettings) -> Self:
        """The access a cluster file describes.

        The context is settled now and for good: nobody who makes another one current meanwhile turns the
        rest of a run, or its removal, to another cluster.

        Raises:
            ClusterFileProblem: There is no such context.
        """
        return cls(kubeconfig=file.kubeconfig, context=file.chosen_context, in_cluster=file.in_cluster)

    def client(self) -> Any:
        """A kubernetes `ApiClient` with fresh credentials.

        Raises:
            ApiProblem: As `configuration`.
        """
        configuration = self.configuration()
        try:
            return ApiClient(configuration)
        except (HTTPError, ValueError) as error:
            raise self._unusable(words(error)) from None
        except ImportError:
            raise self._unusable("a SOCKS proxy needs the packages PySocks and python-socks") from None

    def configuration(self) -> Any:
        """A kubernetes `Configuration` with fresh credentials; runs the credential plugin, if any.

        Raises:
            ApiProblem: The kubeconfig cannot be used, or its plugin gave no credentials, or not in time.
        """
        configuration = Configuration(host="")  # else a kubeconfig without a server means localhost
        if time.monotonic() - self._given_up < self._plugin_seconds:
            raise self._too_slow()
        with _listening_to_the_loader() as complaints:
            try:
                in_time(lambda: self._load_into(configuration), self._plugin_seconds)
            except TimeoutError:
                self._given_up = time.monotonic()
                raise self._too_slow() from None
        if complaints:
            raise ApiProblem(
                f"the credential plugin failed: {_safe(complaints[0])}",
                where=self._source,
                remedy="see what kubectl says with the same kubeconfig",
            )
        # Its hook would read credentials again by itself, but only where it knows their expiry, only some
        # kinds, and not safely with several threads. We read them again when the server refuses them.
        configuration.refresh_api_key_hook = None
        configuration.retries = False  # urllib3's know no deadline; ours do
        configuration.connection_pool_maxsize = _CONNECTIONS
        if not _is_url(configuration.host, "http", "https"):
            raise self._unusable("its server is no URL of http or https")
        if configuration.proxy and not _is_url(configuration.proxy, "http", "https", "socks5", "socks5h"):
            raise self._unusable("its proxy is no URL of http, https or socks5")
        _strip(configuration.api_key)
        _authenticate_to_proxy(configuration)
        return configuration

    @property
    def server(self) -> str:
        """The API server's URL for messages: without user, password or path.

        Raises:
            ApiProblem: As `configuration`.
        """
        return server_of(self.configuration())

    @property
    def _source(self) -> str:
        if self._in_cluster:
            return "the pod's service account"
        return self._kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"

    def _load_into(self, configuration: Any) -> None:
        try:
            if self._in_cluster:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                return
            # Written back only when an OIDC refresh token was used up, or kubectl could not use it any more.
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=self._source,
                context=self._context,
                client_configuration=configuration,
                persist_config=True,
            )
        except config.ConfigException as error:
            raise self._unusable(_safe(error)) from None
        except yaml.MarkedYAMLError as error:  # its text quotes the line, which may hold a token
            mark = error.problem_mark
            line = f" in line {mark.line + 1}" if mark else ""
            raise self._unusable(f"no YAML: {error.problem}{line}") from None
        except OSError as error:
            raise self._unusable(f"{error.filename}: {error.strerror}") from None
        except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._unusable(f"it is malformed ({type(error).__name__})") from None

    def _too_slow(self) -> ApiProblem:
        program = self._program()
        what = f"the credential plugin {words(program)}" if program else "what it gets credentials from"
        context = ["--context", self._context] if self._context else []
        by_hand = words(shlex.join(["kubectl", *context, "get", "nodes"]))
        return ApiProblem(
            f"no way to the API server: {what} did not answer within {self._plugin_seconds:g} s",
            where=self._source,
            remedy=f"log in again if it waits for that; see what it does in: {by_hand}",
        )

    def _program(self) -> str:
        """The program that gives credentials; empty if there is none, or nobody can tell."""
        with suppress(ClusterFileProblem):
            named = [Path(text).expanduser() for text in (self._kubeconfig or "").split(os.pathsep) if text]
            found = Kubeconfig.read(
                named or usual_files(), lambda what, remedy: ClusterFileProblem(what, remedy=remedy)
            )
            return found.program(self._context or found.current)
        return ""

    def _unusable(self, why: str) -> ApiProblem:
        return ApiProblem(
            f"no way to the API server: {why}",
            where=self._source,
            remedy="name a kubeconfig in the cluster file (kubeconfig:, context:) or in $KUBECONFIG",
        )


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def server_of(configuration: Any) -> str:
    """The URL a configuration leads to, without user, password or path."""
    parts = urlsplit(configuration.host)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _safe(complaint: object) -> str:
    """The first line of a complaint, up to where it might begin to quote a kubeconfig's entry."""
    first = (str(complaint).splitlines() or [""])[0]
    return words(first.partition("{")[0]) or "no reason given"


def _strip(keys: dict[str, str]) -> None:
    """Take the last newline of a token file off its token: no header may hold it."""
    for name, key in keys.items():
        keys[name] = key.strip()


def _authenticate_to_proxy(configuration: Any) -> None:
    """Turn the user and password of a proxy's URL into a header, which urllib3 does not do by itself."""
    proxy = urlsplit(configuration.proxy or "")
    if proxy.username and not configuration.proxy_headers:
        credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=credentials)


@contextmanager
def _listening_to_the_loader() -> Iterator[list[str]]:
    """Collect what the loader of kubeconfigs says through the root logger: why a credential plugin failed.

    It logs that, goes on without credentials, and leaves the terminal with a message of its own format.
    """
    complaints: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.module != "kube_config":
            return True
        complaints.append(record.getMessage())
        return False

    root = logging.getLogger()
    silence = logging.NullHandler()  # or logging.error would install a handler for good
    root.addHandler(silence)
    root.addFilter(take)
    try:
        yield complaints
    finally:
        root.removeFilter(take)
        root.removeHandler(silence)
