"""The way to a real sshd: jump hosts, ssh_config, nobody there, and servers of another mind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.ssh import SshHost, session
from pytest_calico_perf.errors import HostProblem
from tests.ssh.daemon import Daemon, Keys
from tests.ssh.logins import Connect, came_from, failure, listener


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
