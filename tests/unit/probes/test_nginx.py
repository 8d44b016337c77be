import os
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.probes.nginx import nginx


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status, answer.read()


def test_pages(pair):
    with nginx(pair.server) as server:
        assert get(server.page) == (200, b"x" * 611 + b"\n")
        assert get(server.empty) == (204, b"")
    assert not pair.server.started[0].running


def test_one_process(pair):
    with nginx(pair.server) as server:
        get(server.page)
        wrapper = pair.server.started[0]._process.pid
        tree = subprocess.run(
            ["pgrep", "-P", str(wrapper)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(tree) == 1
        assert Path(f"/proc/{tree[0]}/task/{tree[0]}/children").read_text() == ""


def test_several_in_one_folder(pair):
    """Pods can share a file system."""
    with ExitStack() as stack:
        servers = [stack.enter_context(nginx(pair.server)) for _ in range(3)]
        assert len({server.page for server in servers}) == 3
        assert all(get(server.page)[0] == 200 for server in servers)
    assert not any(command.running for command in pair.server.started)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_nobody(make_pair):
    pair = make_pair(server={"prefix": ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")})
    with nginx(pair.server) as server:
        assert get(server.page)[0] == 200
        child = Path(
            f"/proc/{pair.server.started[0]._process.pid}/task/{pair.server.started[0]._process.pid}/children"
        )
        status = Path(f"/proc/{child.read_text().split()[0]}/status").read_text()
        assert "Uid:\t65534" in status


def test_odd_names_of_endpoints(pair):
    pair.server.name = "pod bgp/../node2 1"
    with nginx(pair.server) as server:
        assert get(server.page)[0] == 200
    assert any(Path(pair.server.scratch).glob("nginx-pod-bgp-node2-1-*.conf"))


def test_taken_port(pair, monkeypatch):
    with nginx(pair.server) as server:
        port = int(server.page.split(":")[2].strip("/"))
        monkeypatch.setattr(pair.server, "allocate_port", lambda: port)
        with (
            pytest.raises(ToolProblem, match=r"node2: nginx ended before it listened.*in use"),
            nginx(pair.server),
        ):
            pass


def test_readiness_is_printed_after_listening(recording):
    """Where it does not come to listening, it does not come to the line we wait for."""
    assert "getrlimit(RLIMIT_NOFILE)" in recording("nginx/start.txt")
    assert "getrlimit" not in recording("nginx/in-use.txt")
    assert "getrlimit" not in recording("nginx/no-file.txt")
