"""Without root there is a lab in a user namespace, or one message that says what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import pytest_calico_perf

UNPRIVILEGED = textwrap.dedent(
    """
    import os, sys
    from pytest_calico_perf.cluster.lab import janitor
    from pytest_calico_perf.cluster.lab.sandbox import Sandbox
    from pytest_calico_perf.errors import RequirementMissing

    try:
        sandbox = Sandbox.start()
    except RequirementMissing as problem:
        sys.exit(f"REFUSED {problem}")
    with sandbox:
        sandbox.add_namespaces(["one", "two"])
        assert not sandbox.privileged
        def run(namespace, line, **more):
            return sandbox.run(namespace, line.split(), limit=5, **more).check().stdout
        run("one", "ip link add eth0 type veth peer eth0 netns two")
        for number, namespace in enumerate(("one", "two"), 1):
            run(namespace, f"ip address add 198.18.0.{number}/24 dev eth0")
            run(namespace, "ip link set eth0 up")
            run(namespace, "ip link add fabric type bridge")
            run(namespace, "ip link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0 nolearning")
        run("one", "ping -c 1 -W 2 198.18.0.2")
        run("one", "tee /proc/sys/net/ipv4/ip_forward", stdin="1")
        sandbox.write_file("one/file", "text")
        assert run("one", "cat /run/lab/one/file") == "text"
        assert sandbox.run("one", ["sleep", "1001"], limit=0.2).timed_out
        assert sandbox.pid in [lab.keeper for lab in janitor.labs()]
        server = sandbox.start_command("one", ["sleep", "1001"], limit=60)
        server.stop()
        assert "sleep" not in run("one", "ps -e")
    print("WELL")
    """
)
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
AS_ROOT_WITHOUT_POWER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]  # as in a plain container


@pytest.fixture
def nobodys_python() -> Iterator[Callable[[list[str]], subprocess.CompletedProcess[str]]]:
    """Runs the script above as an ordinary user, who can read neither root's home nor its checkout."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))  # tmp_path is for its owner only
    shutil.copytree(
        Path(pytest_calico_perf.__file__).parent,
        folder / "pytest_calico_perf",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)

    def run(prefix: list[str]) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
        for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
            new_enough = [*AS_NOBODY, "env", python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            with suppress(FileNotFoundError, PermissionError):
                if subprocess.run(new_enough, env=clean, capture_output=True, check=False).returncode == 0:
                    return subprocess.run(
                        [*prefix, python, "-c", UNPRIVILEGED],
                        cwd=folder,
                        env=clean,
                        capture_output=True,
                        text=True,
                        check=False,
                        timeout=60,
                    )
        pytest.skip("no Python 3.11 or later that an ordinary user may run")

    try:
        yield run
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("user", [AS_NOBODY, AS_ROOT_WITHOUT_POWER], ids=["nobody", "root-without-power"])
def test_an_ordinary_user_gets_a_lab_or_one_message(
    user: list[str],
    nobodys_python: Callable[[list[str]], subprocess.CompletedProcess[str]],
) -> None:
    allowed = subprocess.run(
        [*user, "unshare", "--user", "--map-root-user", "--net", "true"],
        check=False,
        capture_output=True,
    )
    ended = nobodys_python(user)
    if allowed.returncode == 0:
        assert ended.stdout == "WELL\n", ended.stderr
    else:
        assert ended.stderr.startswith("REFUSED the lab: this machine does not let us make namespaces: ")
        assert "run as root" in ended.stderr


def test_a_machine_without_user_namespaces_is_told_from_one_with(
    nobodys_python: Callable[[list[str]], subprocess.CompletedProcess[str]],
) -> None:
    """Inside a user namespace that allows no further ones: the switch is per user namespace (namespaces(7))."""
    no_more = [
        *("unshare", "--user", "--map-root-user", "sh", "-c"),
        'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"',
        "sh",
    ]
    ended = nobodys_python(no_more)
    assert ended.stderr.startswith(
        "REFUSED the lab: this machine does not let us make namespaces: unshare"
    ), ended
    assert ended.stderr.strip().endswith(
        "let users make namespaces: sysctl -w user.max_user_namespaces=10000"
    )
    assert len(ended.stderr.splitlines()) == 1
