"""However the owner of a lab dies, nothing of the lab is left; and nobody else's lab is ever touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import pytest_calico_perf
from pytest_calico_perf.cluster.lab import __main__ as cli
from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.sandbox import Sandbox
from pytest_calico_perf.cluster.lab.tag import LabTag, started_at
from pytest_calico_perf.errors import ClusterProblem

DEADLINE = 15.0
CHECKOUT = Path(pytest_calico_perf.__file__).parent.parent
# A run of pytest in small: it has a daemon and a server up, says so, and measures until it dies.
OWNER = """
import os, time
from pytest_calico_perf.cluster.lab.sandbox import Sandbox

sandbox = Sandbox.start()
names = [f"{{sandbox.run_id}}-{{number}}" for number in range(10)]
sandbox.add_namespaces(names)
sandbox.run(names[0], ["sh", "-c", "sleep 1001 &"], limit=5).check()
server = sandbox.start_command(names[1], ["iperf3", "--server", "--forceflush"], limit=600)
server.wait_for_output("Server listening", deadline=10)
{extra}
print(sandbox.run_id, sandbox.pid, *sandbox.command_line(names[2]), flush=True)
{then}
"""
MEASURE = 'sandbox.run(names[2], ["sleep", "1001"], limit=600)'


@dataclass
class Owner:
    """A Python process with a lab."""

    process: subprocess.Popen[str]
    run_id: str
    keeper: int
    command_line: list[str]

    def processes(self) -> list[int]:
        """All that carries the lab's tag."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        tags = {pid: LabTag.of_process(pid) for pid in pids}
        return [pid for pid, tag in tags.items() if tag and tag.run_id == self.run_id]

    def inhabitants(self) -> dict[int, int | None]:
        """When each process began that is in one of the lab's namespaces, tagged or not."""
        named = Path(f"/proc/{self.keeper}/root/run/netns")
        kinds = [Path(f"/proc/{self.keeper}/ns/{kind}") for kind in ("pid", "mnt", "net", "ipc", "uts")]
        inodes = {path.stat().st_ino for path in (*kinds, *named.iterdir())}
        assert len(inodes) == 5 + 10
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if inodes & {link.stat().st_ino for link in (place / "ns").iterdir()}:
                    found[int(place.name)] = started_at(int(place.name))
        return found

    def mounted(self) -> bool:
        """Whether any mount namespace of the machine has one of the lab's network namespaces mounted."""
        for file in Path("/proc").glob("[0-9]*/mountinfo"):
            with suppress(OSError):
                if f"/run/netns/{self.run_id}-" in file.read_text():
                    return True
        return False

    def lab(self) -> janitor.RunningLab | None:
        """The lab as the janitor sees it."""
        return next((lab for lab in janitor.labs() if lab.tag.run_id == self.run_id), None)

    def die(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(DEADLINE)


@contextmanager
def owner(*, extra: str = "", then: str = MEASURE) -> Iterator[Owner]:
    script = OWNER.format(extra=extra, then=then)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        run_id, keeper, *command_line = process.stdout.readline().split()
        started = Owner(process, run_id, int(keeper), command_line)
        try:
            yield started
        finally:
            process.kill()
            process.wait()
            if lab := started.lab():
                janitor.remove(lab)
            wait_until(lambda: not started.processes())


def wait_until(true: Callable[[], bool], *, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_owner_dies(number: signal.Signals) -> None:
    with owner() as owned:
        # unshare and keeper; the daemon; the server and the measurement, each in nsenter and timeout
        wait_until(lambda: len(owned.processes()) == 2 + 1 + 3 + 3)
        inhabitants = owned.inhabitants()
        assert inhabitants.keys() == set(owned.processes())
        assert owned.mounted()
        owned.die(number)
        wait_until(lambda: not owned.processes())
        assert not any(started_at(pid) == started for pid, started in inhabitants.items())
        assert not owned.mounted()
        assert owned.lab() is None


def test_nothing_is_left_when_the_owner_forgets_to_close() -> None:
    with owner(then="") as owned:
        owned.process.wait(DEADLINE)
        wait_until(lambda: not owned.processes())


def test_a_fork_that_outlives_the_owner_does_not_keep_the_lab() -> None:
    fork = "child = os.fork()\nif not child: time.sleep(1001)"
    with owner(extra=fork + "\nsandbox.write_file('fork', str(child))") as owned:
        child = int(Path(f"/proc/{owned.keeper}/root/run/lab/fork").read_text())
        try:
            owned.die()
            wait_until(lambda: not owned.processes())
        finally:
            os.kill(child, signal.SIGKILL)


def test_nothing_is_left_when_unshare_is_killed() -> None:
    with owner() as owned:
        lab = owned.lab()
        assert lab
        os.kill(min(lab.helpers), signal.SIGKILL)
        wait_until(lambda: started_at(owned.keeper) is None)


def test_close_takes_all_down(sandbox: Sandbox) -> None:
    sandbox.run("one", ["sh", "-c", "sleep 1001 &"], limit=5).check()
    server = sandbox.start_command("two", ["sleep", "1001"], limit=60)
    sandbox.close()
    sandbox.close()
    assert not server.running
    assert not Path(f"/proc/{sandbox.pid}").exists()
    for use in (
        lambda: sandbox.run("one", ["true"], limit=5),
        lambda: sandbox.write_file("x", "x"),
        sandbox.keep,
    ):
        with pytest.raises(ClusterProblem, match="the lab is down"):
            use()


def test_close_does_not_wait_for_what_is_stopped(sandbox: Sandbox) -> None:
    sandbox.start_command("one", ["sh", "-c", "kill -STOP $PPID $$"], limit=60)
    os.kill(sandbox.pid, signal.SIGSTOP)
    sandbox.close()
    assert started_at(sandbox.pid) is None


def test_a_lab_taken_down_under_its_run_is_a_cluster_problem(sandbox: Sandbox) -> None:
    assert cli.main(["down", str(sandbox.pid)]) == 0
    with pytest.raises(ClusterProblem, match="the lab is down"):
        sandbox.run("one", ["true"], limit=5)


CONTAINED = """
import os, sys, time
from pathlib import Path
from pytest_calico_perf.cluster.lab import janitor
from pytest_calico_perf.cluster.lab.sandbox import Sandbox

assert os.getpid() == 1
with Sandbox.start("contained") as sandbox:
    sandbox.add_namespaces(["one"])
    command = sandbox.start_command("one", ["sh", "-c", "echo begun; sleep 1001"], limit=60)
    command.wait_for_output("begun", deadline=10)
    print("up", flush=True)
    sys.stdin.readline()
    assert [lab.keeper for lab in janitor.labs()] == [sandbox.pid]
    assert not janitor.remove_orphans()
    command.stop()
    assert "defunct" not in sandbox.run("one", ["ps", "-e"], limit=5).check().stdout
    sandbox.start_command("one", ["sleep", "1001"], limit=60)
print("down", *(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()), flush=True)
"""


def test_a_run_that_is_process_1_of_a_container() -> None:
    """Its orphans fall to it, it never reaps them; and its process id is somebody else's outside."""
    with subprocess.Popen(
        ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", sys.executable, "-c", CONTAINED],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as container:
        assert container.stdout
        assert container.stdin
        try:
            assert container.stdout.readline() == "up\n"
            assert "contained" not in [lab.tag.run_id for lab in janitor.labs()]
            container.stdin.write("\n")
            container.stdin.flush()
            assert container.stdout.readline() == "down 1\n"
        finally:
            container.kill()


# The janitor


def test_the_janitor_removes_an_orphan_and_no_living_lab(sandbox: Sandbox) -> None:
    with owner() as owned, owner() as living:
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.die()
        lab = owned.lab()
        assert lab
        assert lab.orphan
        assert owned.processes()

        removed = [lab.tag.run_id for lab in janitor.remove_orphans()]

        assert owned.run_id in removed
        assert living.run_id not in removed
        assert sandbox.run_id not in removed
        assert not owned.processes()
        assert not owned.mounted()
        assert sandbox.run("one", ["echo", "alive"], limit=5).check().stdout == "alive\n"
        wait_until(lambda: len(living.processes()) == 2 + 1 + 3 + 3)


def test_the_janitor_clears_up_what_a_stopped_tool_holds_back() -> None:
    """Its nsenter(1) stopped with it and reaps nothing, so the keeper cannot end, though it has begun to."""
    stopping = 'stopped = sandbox.start_command(names[3], ["sh", "-c", "kill -STOP $PPID $$"], limit=600)'
    with owner(extra=stopping) as owned:
        wait_until(lambda: any(state(pid) == "T" for pid in owned.lab().helpers))
        owned.die()
        wait_until(lambda: bool((lab := owned.lab()) and lab.keeper is None))
        assert owned.run_id in [lab.tag.run_id for lab in janitor.remove_orphans()]
        assert started_at(owned.keeper) is None
        assert not owned.processes()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_an_owner_that_nobody_has_reaped_is_dead_all_the_same() -> None:
    with owner() as owned:
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.process.send_signal(signal.SIGKILL)
        wait_until(lambda: not LabTag(owned.run_id, owned.process.pid, 0).owner_alive)
        wait_until(lambda: bool((lab := owned.lab()) and lab.orphan))
        assert owned.run_id in [lab.tag.run_id for lab in janitor.remove_orphans()]


def test_a_process_id_that_came_again_is_no_owner() -> None:
    mine = LabTag.of_this_process("run")
    assert mine.owner_alive
    assert not LabTag("run", mine.owner, mine.owner_started - 1).owner_alive


def test_foreign_values_of_the_variable_are_nobodys_lab() -> None:
    for value in ("", "x", "run:1", "run:a:b", "run id:1:2", ":1:2", "run:1:2:3"):
        with subprocess.Popen(
            ["sleep", "1001"], env={"PATH": os.environ["PATH"], "CALICO_PERF_LAB": value}
        ) as other:
            try:
                assert LabTag.of_process(other.pid) is None
            finally:
                other.kill()


# Keeping


def test_a_kept_lab_stays_until_it_is_taken_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner(then="sandbox.keep(); sandbox.close()") as owned:
        assert owned.process.wait(DEADLINE) == 0
        only_this_lab(owned, monkeypatch)

        entered = subprocess.run(
            [*owned.command_line, "ip", "-br", "link"],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        assert "lo" in entered.stdout

        assert cli.main(["list"]) == 0
        assert f"lab {owned.run_id} (keeper {owned.keeper}): kept; " in capsys.readouterr().out
        assert cli.main(["clean"]) == 0
        assert capsys.readouterr().out == "no orphan was left\n"
        assert owned.processes()

        assert cli.main(["down", str(owned.keeper)]) == 0
        assert capsys.readouterr().out == f"lab {owned.run_id} (keeper {owned.keeper}) is down\n"
        assert not owned.processes()
        assert not owned.mounted()

        assert cli.main(["down", str(owned.keeper)]) == 1
        assert f"no lab has the keeper {owned.keeper}" in capsys.readouterr().err
        assert cli.main(["list"]) == 0
        assert capsys.readouterr().out == "no lab is up\n"


def test_a_kept_lab_outlives_a_killed_owner_and_ends_by_sigterm() -> None:
    with owner(extra="sandbox.keep()") as owned:
        owned.die()
        lab = owned.lab()
        assert lab
        assert (lab.kept, lab.orphan) == (True, False)
        os.kill(owned.keeper, signal.SIGTERM)
        wait_until(lambda: not owned.processes())


def test_down_all_spares_a_lab_in_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner() as owned:
        only_this_lab(owned, monkeypatch)
        assert cli.main(["down", "--all"]) == 0
        assert f"stays up: in use by process {owned.process.pid}" in capsys.readouterr().out
        os.kill(owned.keeper, signal.SIGSTOP)
        owned.die()
        assert cli.main(["list"]) == 0
        assert f"orphan of process {owned.process.pid}" in capsys.readouterr().out
        assert cli.main(["down", "--all"]) == 0
        assert "is down" in capsys.readouterr().out
        assert not owned.processes()


def test_the_command_explains_itself() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "pytest_calico_perf.cluster.lab", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    ).stdout
    assert all(action in said for action in ("list", "down", "clean"))


def only_this_lab(owned: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests, and people, may have labs on this machine."""
    everybody = janitor.labs
    monkeypatch.setattr(
        janitor, "labs", lambda: tuple(lab for lab in everybody() if lab.tag.run_id == owned.run_id)
    )


# Without root

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
        assert [lab.keeper for lab in janitor.labs()] == [sandbox.pid]
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
