"""How hosts are logged in to: the `ssh` section of a cluster file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from pytest_calico_perf.clusterfile.fields import Blame, Model
from pytest_calico_perf.clusterfile.local_file import LocalFile, unreadable
from pytest_calico_perf.clusterfile.located_yaml import plain
from pytest_calico_perf.clusterfile.names import LAST_PORT, Hop, HostName, ObjectName, UserName, is_port

_NO_CONFIG = FilePath(os.devnull)  # as `ssh -F none` is


def _jump(text: str) -> str:
    for hop in text.split(","):
        parsed = Hop.parse(hop.strip(" "))
        if parsed is None:
            raise ValueError("should be a jump host such as bastion or ann@bastion.example.com:2222")
        if parsed.port is not None and not is_port(parsed.port):
            raise ValueError(f"should have a port of 1 to {LAST_PORT}")
    return text


def _config(value: object) -> object:
    if value is None:
        raise ValueError("should be the path of a file, or false")
    return str(_NO_CONFIG) if value is False else value


class Ssh(Model):
    """How hosts are logged in to. What is None is as ssh_config has it, else as ssh(1) does it.

    Passwords have no place here: a key, the agent, or both.

    Attributes:
        user: Who logs in.
        port: Where sshd listens.
        key: Private key file.
        agent: Whether the keys of a running agent are tried.
        known_hosts: The one file with the hosts' keys.
        strict: Whether a host whose key is not known is refused; one whose key has changed always is.
        jump: Host on the way, `bastion`, `user@bastion:2222`; several with commas, the first one first.
        config: The one ssh_config file, an empty one where the cluster file says false; None: the user's and
            the system's.
        addresses: Node -> name or address to connect to; else a node's InternalIP is.
    """

    user: UserName | None = None
    port: Annotated[StrictInt, Field(ge=1, le=LAST_PORT)] | None = None
    key: LocalFile | None = None
    agent: StrictBool = True
    known_hosts: LocalFile | None = None
    strict: StrictBool = True
    jump: Annotated[StrictStr, AfterValidator(_jump)] | None = None
    config: Annotated[LocalFile | None, BeforeValidator(_config)] = None
    addresses: Mapping[ObjectName, HostName] = Field(default_factory=dict)

    def check(self, blame: Callable[[str], Blame]) -> None:
        """Check that the files it names are there.

        Args:
            blame: Field of this section -> maker of a problem with it.

        Raises:
            ClusterFileProblem: One of them is missing or cannot be what it is said to be.
        """
        if self.key is not None:
            reason = unreadable(self.key)
            if not reason and _is_public_key(self.key):
                reason = "is a public key"
            if reason:
                raise blame("key")(f"{plain(str(self.key))} {reason}", "give the path of the private key")
        if self.known_hosts is not None and self.strict and (reason := unreadable(self.known_hosts)):
            raise blame("known-hosts")(
                f"{plain(str(self.known_hosts))} {reason}, so no host would be trusted",
                "log in to each host by ssh once and look at its key, or name the file that has the keys",
            )
        if self.config is not None and self.config != _NO_CONFIG and (reason := unreadable(self.config)):
            raise blame("config")(
                f"{plain(str(self.config))} {reason}",
                "give the path of an ssh_config file, or false for none",
            )


def _is_public_key(file: FilePath) -> bool:
    """Whether a file is the public half of a key: a line such as `ssh-ed25519 AAAA... ann@desk`."""
    with file.open("rb") as opened:
        return opened.read(len("ecdsa-")).startswith((b"ssh-", b"ecdsa-", b"sk-"))
