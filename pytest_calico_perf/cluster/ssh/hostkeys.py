"""Whether a host is who it says: its key against known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

fabric accepts any key (its client's policy is AutoAddPolicy), and paramiko's reader of known_hosts knows no
patterns, ignores revocations and stumbles over certificate authorities. So the lines are read here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, SSHException
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from pytest_calico_perf.errors import HostProblem

_SSH_PORT = 22
_REVOKED = "@revoked"


@dataclass(frozen=True)
class HostKeyCheck:
    """What is known of one host, and what to say when its key is not that.

    Attributes:
        host: Its name or address, as known_hosts spells it.
        port: Its port.
        files: The known_hosts files, in the order they are searched; those that are missing know nobody.
        strict: Whether a host that no file knows is refused. A key that differs from a known one always is.
    """

    host: str
    port: int
    files: Sequence[Path]
    strict: bool

    @property
    def name(self) -> str:
        """How a known_hosts file names the host: `[host]:port` unless the port is SSH's own."""
        return self.host if self.port == _SSH_PORT else f"[{self.host}]:{self.port}"

    def apply(self, client: SSHClient) -> None:
        """Have a client that is not connected yet check the host by the files.

        Raises:
            HostProblem: A file cannot be read.
        """
        revoked = set()
        known: list[PKey] = []
        for file in self.files:
            for marker, key in self._keys(file):
                if marker == _REVOKED:
                    revoked.add(key)
                elif not marker:
                    known.append(key)
        for key in known:
            if key not in revoked:
                client.get_host_keys().add(self.name, key.get_name(), key)
        client.set_missing_host_key_policy(_Policy(self, revoked))

    def _keys(self, file: Path) -> Iterator[tuple[str, PKey]]:
        """The keys a file has for the host, each with its marker; lines nobody understands say nothing."""
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostProblem(f"{file} cannot be read: {error.strerror}", where=self.host) from None
        for line in lines:
            marker, words = "", line.split()
            if words and words[0].startswith("@"):
                marker, *words = words
            if len(words) >= 3 and _matches(self.name, words[0]):
                with suppress(InvalidHostKey, SSHException, ValueError):
                    if entry := HostKeyEntry.from_line(" ".join(words[:3])):
                        yield marker, entry.key

    def unknown(self, key: PKey) -> HostProblem:
        """The problem of a host that no file knows."""
        return HostProblem(
            f"its host key is unknown: {_show(key)} of {self.name} is not in {self._file_names()}",
            remedy=f"compare it with `ssh-keygen -lf` of the host's own key, then: {self._scan(key)}",
        )

    def changed(self, key: PKey, known: PKey) -> HostProblem:
        """The problem of a host that shows another key than the known one."""
        file = next((file for file in self.files if ("", known) in self._keys(file)), self.files[0])
        if key.get_name() != known.get_name():
            return HostProblem(
                f"its host key is unknown: it shows {_show(key)}, and {file} has only {_show(known)}",
                remedy=f"compare it with `ssh-keygen -lf` of the host's own key, then: {self._scan(key)}",
            )
        forget = shlex.join(["ssh-keygen", "-f", str(file), "-R", self.name])
        return HostProblem(
            f"its host key has changed: {file} has {_show(known)} for {self.name}, it shows {_show(key)}",
            remedy="somebody may sit in between; only if the host was set up anew: "
            f"{forget}, then {self._scan(key)}",
        )

    def revoked(self, key: PKey) -> HostProblem:
        """The problem of a host whose key a file calls revoked."""
        return HostProblem(
            f"its host key {_show(key)} is marked as revoked in {self._file_names()}",
            remedy="give the host a new key",
        )

    def _scan(self, key: PKey) -> str:
        kind = key.get_name().removeprefix("ssh-").partition("-")[0]  # ssh-keyscan says ed25519, ecdsa, rsa
        scan = shlex.join(["ssh-keyscan", "-p", str(self.port), "-t", kind, self.host])
        return f"{scan} >> {shlex.quote(str(self.files[0]))}"

    def _file_names(self) -> str:
        return " or ".join(str(file) for file in self.files)


class _Policy(MissingHostKeyPolicy):  # type: ignore[misc]
    """Asked by paramiko when it has no key for a host; accepting one writes it nowhere."""

    def __init__(self, check: HostKeyCheck, revoked: set[PKey]) -> None:
        self._check = check
        self._revoked = revoked

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        if key in self._revoked:
            raise self._check.revoked(key)
        if self._check.strict:
            raise self._check.unknown(key)


def _matches(name: str, patterns: str) -> bool:
    """Whether the first field of a line is about a host: names, hashed names, patterns, exceptions."""
    matched = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            with suppress(ValueError):
                matched |= HostKeys.hash_host(name, pattern) == pattern
        elif pattern.startswith("!"):
            if _like(name, pattern[1:]):
                return False
        else:
            matched |= _like(name, pattern)
    return matched


def _like(name: str, pattern: str) -> bool:
    # Brackets are part of a name here, as in [host]:port, and no set of characters.
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _show(key: PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"
