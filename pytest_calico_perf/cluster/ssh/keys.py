"""Which keys a user is logged in with, and what to say when none of them will do."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fabric import Config
from paramiko import Agent, AuthenticationException, PasswordRequiredException, PKey, SSHException
from paramiko.auth_strategy import AuthFailure, AuthSource, AuthStrategy, InMemoryPrivateKey
from paramiko.config import SSHConfigDict

from pytest_calico_perf.errors import HostProblem

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # those of ssh(1) that paramiko can use


@dataclass
class Keys(AuthStrategy):  # type: ignore[misc]
    """Which keys are offered, in which order: as ssh(1) does it, without ever asking for a passphrase.

    Attributes:
        key: The file that was asked for.
        agent: Whether the agent is asked.
        ssh_config: What ssh_config has for the host.
        fabric_config: fabric's settings, unused.
        username: Who logs in.
        tried: What was offered, in words.
        locked: Encrypted files that could not be.
    """

    key: Path | None
    agent: bool
    ssh_config: SSHConfigDict
    fabric_config: Config
    username: str
    tried: list[str] = field(default_factory=list, init=False)
    locked: list[Path] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        super().__init__(self.ssh_config)

    def get_sources(self) -> Iterator[AuthSource]:
        named = [Path(name).expanduser() for name in self.ssh_config.get("identityfile", ())]
        if self.key is not None:
            yield from self._from_file(self.key, required=True)
        for file in named:
            yield from self._from_file(file)
        if self.agent and self.ssh_config.get("identitiesonly", "no").lower() != "yes":
            yield from self._from_agent()
        if self.key is None and not named:
            for name in _DEFAULT_KEYS:
                yield from self._from_file(Path("~/.ssh", name).expanduser())

    def _from_file(self, file: Path, *, required: bool = False) -> Iterator[AuthSource]:
        try:
            key = PKey.from_path(file)
        except FileNotFoundError:
            if required:
                raise HostProblem(f"there is no key file {file}") from None
        except OSError as error:
            if required:
                raise HostProblem(f"key file {file} cannot be read: {error.strerror}") from None
        except (TypeError, PasswordRequiredException):  # the former is cryptography's word for it
            self.locked.append(file)
        except Exception as error:  # noqa: BLE001  # readers of two libraries, each with a dozen of its own
            if required:
                raise HostProblem(
                    f"{file} holds no private key that can be used ({type(error).__name__})",
                    remedy="name the private half of an Ed25519, ECDSA or RSA key",
                ) from None
        else:
            self.tried.append(str(file))
            yield InMemoryPrivateKey(self.username, key)

    def _from_agent(self) -> Iterator[AuthSource]:
        if not os.environ.get("SSH_AUTH_SOCK"):
            return
        try:
            agent = Agent()
        except (SSHException, OSError):
            return
        try:
            for key in agent.get_keys():
                self.tried.append(f"{key.comment or key.get_name()} of the agent")
                yield InMemoryPrivateKey(self.username, key)
        finally:
            agent.close()


def not_let_in(user: str, error: AuthenticationException) -> HostProblem:
    """Why a user was refused: which keys were tried, by the names of their files."""
    keys = error.result.strategy if isinstance(error, AuthFailure) else None
    tried, locked = (keys.tried, keys.locked) if isinstance(keys, Keys) else ([], [])
    if tried:
        what = f"user {user} is not let in with {', '.join(tried)}"
    else:
        what = f"there is no key to log {user} in with"
    if locked:
        what += f"; not tried since encrypted: {', '.join(map(str, locked))}"
    remedies = [shlex.join(["ssh-add", *map(str, locked)])] if locked else []
    remedies.append(f"put a key's public half into ~{user}/.ssh/authorized_keys there, or name another key")
    return HostProblem(what, remedy="; or ".join(remedies))
