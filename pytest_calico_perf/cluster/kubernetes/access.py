"""How to get at the API: kubeconfig or service account, as a client of the kubernetes package.

What the package says about a broken kubeconfig may quote the user entries with their tokens
(`KubeConfigMerger` names nodes after them), so none of its messages is repeated unread.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3.exceptions import HTTPError

from pytest_calico_perf.cluster.kubernetes.refusal import words
from pytest_calico_perf.errors import ApiProblem

_CONNECTIONS = 32  # more at once are opened as well, but not kept


class AccessSettings(Protocol):
    """What a cluster file says about access (`clusterfile.kubernetes.KubernetesFile`)."""

    @property
    def kubeconfig(self) -> str | None: ...

    @property
    def context(self) -> str | None: ...

    @property
    def in_cluster(self) -> bool: ...


class Access:
    """A way to the API server and the credentials for it, read anew whenever they are asked for."""

    def __init__(
        self, *, kubeconfig: str | None = None, context: str | None = None, in_cluster: bool = False
    ) -> None:
        """Nothing is read yet.

        Args:
            kubeconfig: Its file, or several joined by colons; else `$KUBECONFIG`, else `~/.kube/config`.
            context: One of its contexts; else its current one.
            in_cluster: Use the service account of the pod we run in instead.
        """
        self._kubeconfig = kubeconfig
        self._context = context
        self._in_cluster = in_cluster

    @classmethod
    def of(cls, file: AccessSettings) -> Self:
        """The access a cluster file describes."""
        return cls(kubeconfig=file.kubeconfig, context=file.context, in_cluster=file.in_cluster)

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
            ApiProblem: The kubeconfig cannot be used, or its plugin gave no credentials.
        """
        configuration = Configuration(host="")  # else a kubeconfig without a server means localhost
        with _listening_to_the_loader() as complaints:
            self._load_into(configuration)
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
