"""Logging in over a real sshd: whom we trust and with which keys, and what is said when it fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ssh.daemon import Daemon, Keys, make_key, public
from tests.ssh.logins import Connect, agent, failure


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
