"""A look into the user's kubeconfig before anything is done with it: can this context be used at all?

Which files are read, and how several become one, is as in kubectl. Nothing of a file but the names of its
contexts, clusters and programs ever gets into a message: the rest may be a secret.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from pytest_calico_perf.clusterfile.fields import Blame
from pytest_calico_perf.clusterfile.local_file import unreadable
from pytest_calico_perf.clusterfile.located_yaml import plain
from pytest_calico_perf.errors import did_you_mean
from pytest_calico_perf.parsing import lookup, mappings

SERVICE_ACCOUNT = FilePath("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds the token and the certificate authority of its cluster."""

_LARGEST_FILE = 16 << 20
_LISTED = 10
_MEND = "mend the kubeconfig, or choose another context"


@dataclass(frozen=True)
class _Entry:
    """A context, cluster or user, and the folder its relative paths start from."""

    body: Mapping[str, Any]
    folder: FilePath

    def text(self, *keys: str) -> str:
        """The text under nested keys; empty if there is none."""
        value = lookup(self.body, *keys)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Kubeconfig:
    """All files in one; of entries with the same name the first counts.

    Attributes:
        source: The files, for messages.
        current: Name of the current context; empty if there is none.
        contexts: Name -> context.
        clusters: Name -> cluster.
        users: Name -> credentials.
    """

    source: str
    current: str
    contexts: Mapping[str, _Entry]
    clusters: Mapping[str, _Entry]
    users: Mapping[str, _Entry]

    @classmethod
    def read(cls, files: Sequence[FilePath], blame: Blame) -> Self:
        """Read and merge the files.

        Raises:
            ClusterFileProblem: One of them cannot be read or is no kubeconfig.
        """
        documents = [(file, _document(file, blame)) for file in files]

        def entries(section: str, word: str) -> dict[str, _Entry]:
            found: dict[str, _Entry] = {}
            for file, document in documents:
                for entry in mappings(document.get(section)):
                    name, body = entry.get("name"), entry.get(word)
                    if isinstance(name, str) and isinstance(body, Mapping):
                        found.setdefault(name, _Entry(body, file.absolute().parent))
            return found

        current = (document.get("current-context") for _, document in documents)
        return cls(
            source=", ".join(plain(str(file)) for file in files),
            current=next((name for name in current if isinstance(name, str) and name), ""),
            contexts=entries("contexts", "context"),
            clusters=entries("clusters", "cluster"),
            users=entries("users", "user"),
        )

    def choose(self, name: str | None, blame: Blame) -> str:
        """The context of that name, or the current one.

        Raises:
            ClusterFileProblem: There is none.
        """
        chosen = name or self.current
        if not self.contexts:
            raise blame(f"{self.source} holds no context", "give the kubeconfig of a cluster")
        known = f"known: {_listed(self.contexts)}"
        if not chosen:
            raise blame(f"{self.source} has no current context", f"say which one; {known}")
        if chosen not in self.contexts:
            whose = "" if name else ", its current context,"
            hint = did_you_mean(chosen, self.contexts)
            raise blame(f"{chosen!r}{whose} is not a context of {self.source}{hint}", known)
        return chosen

    def server(self, context: str, blame: Blame) -> str:
        """Host of the API server a context leads to; checks all that the context names on the way.

        Raises:
            ClusterFileProblem: Its cluster or its credentials cannot be used.
        """
        name = self.contexts[context].text("cluster")
        cluster = self.clusters.get(name)
        where = f"context {context!r} of {self.source}"
        if cluster is None:
            raise blame(
                f"{where} names {f'cluster {name!r}, which is not there' if name else 'no cluster'}", _MEND
            )
        host = _host(cluster.text("server"))
        if not host:
            raise blame(f"cluster {name!r} in {self.source} has no server's URL", _MEND)
        _check_files(cluster, f"cluster {name!r}", ("certificate-authority",), blame)
        self._check_user(self.contexts[context].text("user"), where, blame)
        return host

    def program(self, context: str) -> str:
        """The program a context's credentials come from; empty if there is none."""
        entry = self.contexts.get(context)
        user = self.users.get(entry.text("user")) if entry else None
        if user is None:
            return ""
        return user.text("exec", "command") or user.text("auth-provider", "config", "cmd-path")

    def _check_user(self, name: str, where: str, blame: Blame) -> None:
        if not name:
            return  # an API server may let everybody in: a proxy on loopback does
        user = self.users.get(name)
        if user is None:
            raise blame(f"{where} names user {name!r}, who is not there", _MEND)
        _check_files(user, f"user {name!r}", ("client-certificate", "client-key", "tokenFile"), blame)
        command = user.text("exec", "command")
        # As kubectl does: a name is looked up in PATH, a relative path starts at the kubeconfig.
        path = str(user.folder / command) if "/" in command else command
        if command and ("\0" in command or shutil.which(path) is None):
            raise blame(
                f"user {name!r} logs in by the program {command!r}, which is not installed here",
                "install it, or choose another context",
            )


def usual_files() -> tuple[FilePath, ...]:
    """Those of $KUBECONFIG that are there, else `~/.kube/config`."""
    named = [FilePath(text) for text in os.environ.get("KUBECONFIG", "").split(os.pathsep) if text]
    if named:
        return tuple(file for file in named if file.exists())
    file = FilePath("~/.kube/config").expanduser()
    return (file,) if file.exists() else ()


def _document(file: FilePath, blame: Blame) -> Mapping[str, Any]:
    source = plain(str(file))
    if reason := unreadable(file):
        raise blame(f"{source} {reason}", "give the path of a kubeconfig that can be read")
    with file.open("rb") as opened:
        raw = opened.read(_LARGEST_FILE + 1)
    if len(raw) > _LARGEST_FILE:
        raise blame(f"{source} is larger than {_LARGEST_FILE} bytes", "give the path of a kubeconfig")
    try:
        document = yaml.safe_load(raw)
    except yaml.MarkedYAMLError as error:
        # Its own words only: what it found there may be half a token.
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise blame(f"{source} is not YAML{line}", "give the path of a kubeconfig") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, KeyError, AttributeError, TypeError):
        raise blame(f"{source} is not YAML", "give the path of a kubeconfig") from None
    if not isinstance(document, Mapping):
        raise blame(f"{source} is no kubeconfig", "give the path of a kubeconfig")
    return document


def _host(server: str) -> str:
    try:
        url = urlsplit(server)
        _ = url.port
    except ValueError:
        return ""
    return (url.hostname or "") if url.scheme in ("http", "https") else ""


def _check_files(entry: _Entry, whose: str, keys: Iterable[str], blame: Blame) -> None:
    for key in keys:
        path = entry.text(key)
        # The data itself wins over a file, in kubectl as in its Python sibling.
        if not path or entry.text(f"{key}-data") or (key == "tokenFile" and entry.text("token")):
            continue
        file = entry.folder / path.replace("\0", "")
        if reason := unreadable(file):
            raise blame(
                f"{key} of {whose}, {plain(str(file))}, {reason}", "put it there, or mend the kubeconfig"
            )


def _listed(names: Iterable[str]) -> str:
    shown = [plain(name) for name in names]
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    return ", ".join(shown[:_LISTED]) + more
