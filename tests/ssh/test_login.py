"""Logging in over a real sshd: whom we trust, with which keys, by which way, and what is said when it fails."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.ssh import SshHost, session
from pytest_calico_perf.errors import HostProblem
from tests.ssh.daemon import PASSPHRASE, Daemon, Keys, make_key, public

Connect = Callable[..., SshHost]


def failure(connect: Connect, node: str = "node2", **changes: object) -> HostProblem:
    with pytest.raises(HostProblem) as caught:
        connect(node, **changes)
    assert node in caught.value.where
    return caught.value


def came_from(host: SshHost) -> str:
    """The address the host's sshd saw."""
    return host.run(["sh", "-c", "echo $SSH_CONNECTION"], limit=10).stdout.split()[0]


class TestHostKeys:
    @pytest.mark.parametrize("text", [None, "", "# nothing\nrubbish\n@cert-authority * ssh-rsa AAAA\n"])
    def test_an_unknown_one_is_refused(self, connect: Connect, tmp_path: Path, text: str | None) -> None:
        file = tmp_path / "empty file"
        if text is not None:
            file.write_text(text)
        problem = failure(connect, known_hosts=file)
        assert problem.what.startswith("its host key is unknown: ssh-ed25519 SHA256:")
        assert problem.what.endswith(f"of [198.18.0.3]:2222 is not in {file}")
        assert f"ssh-keyscan -p 2222 -t ed25519 198.18.0.3 >> '{file}'" in problem.remedy
        assert file.exists() == (text is not None)  # nobody wrote to it

    def test_the_remedy_for_an_unknown_one_works(self, connect: Connect, tmp_path: Path) -> None:
        file = tmp_path / "fresh file"
        remedy = failure(connect, known_hosts=file).remedy.partition("then: ")[2]
        subprocess.run(["sh", "-c", remedy], check=True, timeout=20, capture_output=True)
        assert connect(known_hosts=file).run(["true"], limit=10).exit_code == 0

    def test_a_changed_one_is_refused(
        self, connect: Connect, sshds: dict[str, Daemon], known_hosts: Path
    ) -> None:
        sshds["node2"].stop()
        sshds["node2"].new_host_key()
        sshds["node2"].start()
        for strict in (True, False):
            problem = failure(connect, strict=strict)
            assert problem.what.startswith(f"its host key has changed: {known_hosts} has ssh-ed25519 SHA256:")
            assert problem.what.count("SHA256:") == 2
            assert f"ssh-keygen -f '{known_hosts}' -R '[198.18.0.3]:2222'" in problem.remedy
        commands = problem.remedy.partition("anew: ")[2].replace(", then", " &&")
        subprocess.run(["sh", "-c", commands], check=True, timeout=20, capture_output=True)
        assert connect().run(["true"], limit=10).exit_code == 0

    def test_one_of_a_kind_that_is_not_known_is_refused(self, connect: Connect, tmp_path: Path) -> None:
        kind, key, *_ = public(make_key(tmp_path / "other", kind="ecdsa")).split()
        file = tmp_path / "other kind"
        file.write_text(f"[198.18.0.3]:2222 {kind} {key}\n")
        problem = failure(connect, known_hosts=file)
        assert "its host key is unknown: it shows ssh-ed25519 SHA256:" in problem.what
        assert f"{file} has only ecdsa-sha2-nistp256" in problem.what

    def test_a_revoked_one_is_refused(
        self, connect: Connect, sshds: dict[str, Daemon], known_hosts: Path
    ) -> None:
        line = sshds["node2"].known_hosts_line
        known_hosts.write_text(f"{line}@revoked {line}")
        for strict in (True, False):
            problem = failure(connect, strict=strict)
            assert "marked as revoked" in problem.what

    def test_a_hashed_one_is_known(self, connect: Connect, known_hosts: Path) -> None:
        subprocess.run(
            ["ssh-keygen", "-H", "-f", str(known_hosts)], check=True, timeout=20, capture_output=True
        )
        assert "198.18" not in known_hosts.read_text()
        connect()
        connect("node1")

    @pytest.mark.parametrize(
        ("names", "known"),
        [
            ("[198.18.*]:2222", True),
            ("nobody,[198.18.0.?]:2222", True),
            ("[198.18.*]:2222,![198.18.0.3]:2222", False),
            ("198.18.0.3", False),
        ],
    )
    def test_patterns(
        self, connect: Connect, sshds: dict[str, Daemon], tmp_path: Path, names: str, known: bool
    ) -> None:
        file = tmp_path / "patterns"
        file.write_text(f"{names} {sshds['node2'].known_hosts_line.partition(' ')[2]}")
        if known:
            connect(known_hosts=file)
        else:
            assert "unknown" in failure(connect, known_hosts=file).what

    def test_unless_strict_is_off(self, connect: Connect, tmp_path: Path) -> None:
        file = tmp_path / "none"
        assert connect(known_hosts=file, strict=False).run(["true"], limit=10).exit_code == 0
        assert not file.exists()

    def test_the_users_own_file_counts_when_none_is_named(self, connect: Connect, known_hosts: Path) -> None:
        own = Path.home() / ".ssh" / "known_hosts"
        own.parent.mkdir()
        shutil.copy(known_hosts, own)
        connect(known_hosts=None)


class TestKeys:
    def test_a_wrong_one_is_named_and_never_shown(self, connect: Connect, keys: Keys) -> None:
        problem = failure(connect, key=keys.stranger)
        assert problem.what == f"user root is not let in with {keys.stranger}"
        assert problem.where == "node2 (root@198.18.0.3:2222)"
        secret = keys.stranger.read_text().splitlines()[1:-1]
        assert not any(line in f"{problem} {problem!r}" for line in secret)

    def test_no_key_at_all(self, connect: Connect) -> None:
        problem = failure(connect, key=None)
        assert problem.what == "there is no key to log root in with"

    def test_the_users_own_key_counts_when_none_is_named(self, connect: Connect, keys: Keys) -> None:
        own = Path.home() / ".ssh" / "id_ed25519"
        own.parent.mkdir()
        shutil.copy(keys.user, own)
        connect(key=None)

    def test_an_encrypted_one_without_an_agent(self, connect: Connect, keys: Keys) -> None:
        problem = failure(connect, key=keys.encrypted)
        assert problem.what.endswith(f"not tried since encrypted: {keys.encrypted}")
        assert problem.remedy.startswith(f"ssh-add {keys.encrypted}")

    def test_an_encrypted_one_with_an_agent(
        self, connect: Connect, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with agent(tmp_path, keys.encrypted) as where:
            monkeypatch.setenv("SSH_AUTH_SOCK", where)
            connect(key=keys.encrypted)
            connect(key=None)
            problem = failure(connect, key=keys.encrypted, agent=False)
            assert "not tried since encrypted" in problem.what
        with agent(tmp_path, keys.stranger) as where:
            monkeypatch.setenv("SSH_AUTH_SOCK", where)
            assert "not let in with stranger of the agent" in failure(connect, key=None).what

    @pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
    def test_other_kinds_of_key(
        self, connect: Connect, sshds: dict[str, Daemon], keys: Keys, tmp_path: Path, kind: str
    ) -> None:
        key = make_key(tmp_path / kind, kind=kind)
        sshds["node2"].authorize(keys.authorized + public(key))
        connect(key=key)

    def test_one_that_is_not_there(self, connect: Connect, tmp_path: Path) -> None:
        assert failure(connect, key=tmp_path / "no").what == f"there is no key file {tmp_path / 'no'}"

    def test_one_that_is_none(self, connect: Connect, tmp_path: Path, keys: Keys) -> None:
        for text in ("rubbish", public(keys.user), "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"):
            file = tmp_path / "not a key"
            file.write_text(text)
            problem = failure(connect, key=file)
            assert f"{file} holds no private key that can be used" in problem.what
            assert "hunter2" not in str(problem)

    def test_another_user(self, connect: Connect, keys: Keys) -> None:
        problem = failure(connect, user="nobody-of-that-name")
        assert problem.what == f"user nobody-of-that-name is not let in with {keys.user}"


@contextmanager
def agent(folder: Path, key: Path) -> Iterator[str]:
    """An SSH agent that holds a key; ssh-add is told the passphrase as a desktop would tell it."""
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    ask.chmod(0o700)
    where = str(folder / "agent.sock")
    with subprocess.Popen(["ssh-agent", "-D", "-a", where], stdout=subprocess.DEVNULL) as process:
        try:
            environment = os.environ | {
                "SSH_AUTH_SOCK": where,
                "SSH_ASKPASS": str(ask),
                "SSH_ASKPASS_REQUIRE": "force",
            }
            end = time.monotonic() + 10
            while not Path(where).exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            subprocess.run(
                ["ssh-add", str(key)], env=environment, check=True, timeout=20, capture_output=True
            )
            yield where
        finally:
            process.terminate()


class TestWays:
    def test_a_jump_host(self, connect: Connect, sshds: dict[str, Daemon]) -> None:
        assert came_from(connect()) == "198.18.0.1"
        assert came_from(connect(jump="root@198.18.0.2")) == sshds["node1"].address

    def test_two_jump_hosts(self, connect: Connect, sshds: dict[str, Daemon]) -> None:
        host = connect("node3", jump="root@198.18.0.2:22, root@198.18.0.3:2222")
        assert came_from(host) == sshds["node2"].address

    def test_a_jump_host_nobody_knows(
        self, connect: Connect, sshds: dict[str, Daemon], tmp_path: Path
    ) -> None:
        file = tmp_path / "target only"
        file.write_text(sshds["node2"].known_hosts_line)
        problem = failure(connect, jump="root@198.18.0.2", known_hosts=file)
        assert problem.where == "node2 (jump host root@198.18.0.2:22 on the way to root@198.18.0.3:2222)"
        assert "of 198.18.0.2 is not in" in problem.what

    def test_a_jump_host_that_does_not_let_us_in(self, connect: Connect, keys: Keys) -> None:
        problem = failure(connect, jump="no-such-user@198.18.0.2")
        assert "jump host no-such-user@198.18.0.2:22" in problem.where
        assert problem.what == f"user no-such-user is not let in with {keys.user}"

    def test_a_jump_host_that_does_not_get_through(self, connect: Connect) -> None:
        problem = failure(connect, jump="root@198.18.0.2", port=2223)
        assert problem.where == "node2 (root@198.18.0.3:2223)"
        assert problem.what.startswith(
            "jump host root@198.18.0.2:22 does not get through to root@198.18.0.3:2223"
        )

    def test_ssh_config(
        self, connect: Connect, sshds: dict[str, Daemon], keys: Keys, known_hosts: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "ssh config"
        file.write_text(
            f"""
            Host the-second
                HostName {sshds["node2"].address}
                Port {sshds["node2"].port}
                ProxyJump the-first
            Host the-first
                HostName {sshds["node1"].address}
            Host the-*
                User root
                IdentityFile {tmp_path}/missing
                IdentityFile {keys.user}
                UserKnownHostsFile {tmp_path}/none {shutil.copy(known_hosts, tmp_path / "known")}
            """
        )
        host = connect(host="the-second", user=None, port=None, key=None, known_hosts=None, config=file)
        assert came_from(host) == sshds["node1"].address
        assert host.address == sshds["node2"].address
        # What is given counts, whatever ssh_config says.
        assert came_from(connect(host="the-second", jump="root@198.18.0.4", config=file)) == "198.18.0.4"
        assert (
            "user no-such-user" in failure(connect, host="the-second", user="no-such-user", config=file).what
        )
        # And the user's own file when none is given.
        own = Path.home() / ".ssh" / "config"
        own.parent.mkdir()
        shutil.copy(file, own)
        connect(host="the-second", user=None, port=None, key=None, known_hosts=None, config=None)

    def test_a_proxy_command(self, connect: Connect, tmp_path: Path, keys: Keys, known_hosts: Path) -> None:
        file = tmp_path / "config"
        ssh = f"ssh -F none -i {keys.user} -o 'UserKnownHostsFile=\"{known_hosts}\"' -W %h:%p root@198.18.0.2"
        file.write_text(f"Host *\n  ProxyCommand {ssh}\n")
        assert came_from(connect(config=file)) == "198.18.0.2"
        for command, words in [
            (f"{ssh}-nowhere.invalid", "Could not resolve hostname"),
            ("sh -c 'echo no way >&2'", "no way"),
            ("no-such-tool %h", "its ProxyCommand no-such-tool cannot be run: No such file"),
        ]:
            file.write_text(f"Host *\n  ProxyCommand {command}\n")
            assert words in failure(connect, config=file).what

    @pytest.mark.parametrize("text", [None, "Match nonsense\n"])
    def test_an_ssh_config_that_cannot_be_used(
        self, connect: Connect, tmp_path: Path, text: str | None
    ) -> None:
        file = tmp_path / "config"
        if text:
            file.write_text(text)
        assert "ssh_config" in failure(connect, config=file).what


class TestNobodyThere:
    def test_a_name_that_does_not_resolve(self, connect: Connect) -> None:
        problem = failure(connect, host="no-such-host.invalid")
        assert "the name no-such-host.invalid does not resolve here" in problem.what

    def test_a_closed_port(self, connect: Connect) -> None:
        assert "no connection to 198.18.0.3 port 23: Connection refused" in failure(connect, port=23).what

    def test_silence(self, connect: Connect) -> None:
        with listener() as port:  # greets nobody
            problem = failure(connect, host="198.18.0.1", port=port, deadline=1.0)
        assert f"198.18.0.1 port {port}" in problem.what

    def test_an_address_without_a_host(self, connect: Connect) -> None:
        problem = failure(connect, host="198.18.0.99", deadline=1.0)
        assert problem.what == "no answer from 198.18.0.99 port 2222 within 1 s"

    def test_another_protocol(self, connect: Connect) -> None:
        with listener(b"220 mail.example.org ESMTP\r\n" * 200) as port:
            problem = failure(connect, host="198.18.0.1", port=port)
        assert f"198.18.0.1 port {port} does not speak SSH" in problem.what

    @pytest.mark.parametrize(
        "settings",
        [
            {"host": "$(touch /tmp/calico-perf-owned)"},
            {"host": "-oProxyCommand=true"},
            {"host": "x y"},
            {"user": "`id`"},
            {"user": "-l"},
            {"jump": "$(id)@198.18.0.2"},
            {"jump": "root@-x"},
            {"jump": "a:b:c"},
        ],
        ids=str,
    )
    def test_names_that_are_none(self, connect: Connect, settings: dict[str, str]) -> None:
        assert " is no " in failure(connect, **settings).what


@contextmanager
def listener(greeting: bytes = b"") -> Iterator[int]:
    with socket.create_server(("198.18.0.1", 0)) as server:
        clients = []

        def serve() -> None:
            client, _ = server.accept()
            clients.append(client)
            client.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for client in clients:
            client.close()


class TestServersOfAnotherMind:
    @pytest.fixture
    def odd(self, nodes: LabCluster, keys: Keys, connect: Connect, tmp_path: Path) -> Iterator[Callable]:
        """Connect to an sshd that has more lines in its configuration."""
        daemons = []

        def odd(*lines: str) -> SshHost:
            daemons.append(Daemon(nodes.host("node3"), keys, 2022, *lines))
            daemons[0].start()
            file = tmp_path / "odd"
            file.write_text(daemons[0].known_hosts_line)
            return connect("node3", port=2022, known_hosts=file)

        yield odd
        for daemon in daemons:
            daemon.stop()

    def test_a_login_shell_that_talks(self, odd: Callable) -> None:
        with pytest.raises(HostProblem, match=r"node3: its login shell .* prints words of its own: 'Welcome"):
            odd("""ForceCommand sh -c 'echo Welcome; eval "$SSH_ORIGINAL_COMMAND"'""")

    def test_a_login_shell_that_runs_nothing(self, odd: Callable) -> None:
        with pytest.raises(HostProblem, match="node3: no private folder can be made there: go away"):
            odd("ForceCommand echo go away >&2; exit 1")

    @pytest.mark.parametrize(
        "folder",
        ["/", "/etc", "/tmp", "/tmp/calico-perf-", "/tmp/calico-perf-x/../..", "/tmp/calico-perf-abcdef/",
         "/home/calico-perf-abcdef", "/tmp/calico-perf-abcdef /etc", "tmp/calico-perf-abcdef", "*"],
    )  # fmt: skip
    def test_one_that_lies_about_its_folder(
        self, odd: Callable, sshds: dict[str, Daemon], folder: str
    ) -> None:
        """What it names would be removed with all that is in it."""
        node = sshds["node3"].node
        lie = f"{node.scratch}/lie"
        node.write_file(lie, f"{session._ODD}\n{folder}\n")
        with pytest.raises(HostProblem, match="node3: no private folder of ours is there") as problem:
            odd(f"ForceCommand cat {lie} -")
        assert repr(folder) in problem.value.what

    @pytest.mark.parametrize("folder", ["{victim}", "/tmp/calico-perf-abcdef/../..{victim}", ""])
    def test_one_whose_mktemp_lies(self, odd: Callable, sshds: dict[str, Daemon], folder: str) -> None:
        """It removes nothing there either, being asked to remove what mktemp made."""
        node = sshds["node3"].node
        victim = f"{node.scratch}/victim"
        told = folder.format(victim=victim)
        node.write_file(f"{victim}/dear", "")
        node.write_file(f"{node.scratch}/mktemp", f"#!/bin/sh\nprintf '%s\\n' '{told}'\n")
        node.run(["chmod", "755", f"{node.scratch}/mktemp"], limit=10).check()
        real = shutil.which("mktemp")
        assert real
        # Seen in the lab only: it has a mount namespace of its own.
        node.run(["mount", "--bind", f"{node.scratch}/mktemp", real], limit=10).check()
        try:
            with pytest.raises(HostProblem, match=f'mktemp made "{told}"'):
                odd()
        finally:
            node.run(["umount", real], limit=10).check()
        assert node.run(["ls", victim], limit=10).check().stdout == "dear\n"

    def test_one_that_wants_more_than_a_key(self, odd: Callable) -> None:
        with pytest.raises(HostProblem, match=r"node3 \(root@198.18.0.4:2022\): it wants more of root than"):
            odd(
                "PasswordAuthentication yes",
                "AuthenticationMethods publickey,password",
            )

    def test_one_that_allows_few_sessions(self, odd: Callable) -> None:
        host = odd("MaxSessions 2")
        with (
            host.start(["sleep", "60"], limit=60),
            pytest.raises(HostProblem, match=r"node3: it refuses another session.*MaxSessions"),
        ):
            host.run(["true"], limit=10)
        assert host.run(["true"], limit=10).exit_code == 0


def test_nothing_is_printed(sshds: dict[str, Daemon], keys: Keys, known_hosts: Path) -> None:
    """In a process without pytest, which would take up what the libraries log."""
    with listener(b"rubbish\r\n" * 200) as port:
        script = f"""
            from pathlib import Path
            from pytest_calico_perf.cluster.ssh import SshHost
            from pytest_calico_perf.errors import HostProblem
            rest = dict(user="root", known_hosts=Path({str(known_hosts)!r}), config=Path("/dev/null"))
            for address, port, key in [
                ("198.18.0.1", {port}, {str(keys.user)!r}),
                ("198.18.0.3", 2222, {str(keys.stranger)!r}),
                ("198.18.0.3", 2222, {str(keys.user)!r}),
            ]:
                try:
                    with SshHost.connect("node", address=address, port=port, key=Path(key), **rest) as host:
                        host.run(["echo", "word"], limit=10)
                except HostProblem:
                    pass
        """
        argv = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
