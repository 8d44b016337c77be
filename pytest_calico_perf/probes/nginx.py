"""The HTTP server of `http`, `http-keepalive` and `connect`: one nginx process for the length of a block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_calico_perf.cluster.base import Endpoint, RunningCommand
from pytest_calico_perf.probes.serving import BLOCK_LIMIT, serving

# As many bytes as the welcome page that the published comparison fetched.
PAGE = "x" * 611 + "\n"
# The last line at start-up, after the sockets listen (nginx.c: ngx_os_status() follows ngx_init_cycle()).
_LISTENING = "getrlimit(RLIMIT_NOFILE)"

# One process, as published, so that the client's share of the work is the same everywhere. Answers come from
# memory: a disk has no place in a network's figures. Every file nginx may write has a name of its own, since
# pods can share a file system; the temporary folders are never used and must exist all the same.
_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {base}.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {base}.tmp;
    proxy_temp_path {base}.tmp;
    fastcgi_temp_path {base}.tmp;
    uwsgi_temp_path {base}.tmp;
    scgi_temp_path {base}.tmp;
    default_type text/plain;
    server {{
        listen {address}:{port} backlog=4096;
        location = / {{ return 200 "{page}"; }}
        location = /empty {{ return 204; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running server.

    Attributes:
        process: Its process.
        page: URL of a page of 612 bytes.
        empty: URL that answers 204 without a body.
    """

    process: RunningCommand
    page: str
    empty: str


def configuration(base: str, address: str, port: int) -> str:
    """The configuration file's text; every file nginx writes begins with `base`, an absolute path."""
    return _CONFIGURATION.format(base=base, address=address, port=port, page=PAGE.replace("\n", "\\n"))


@contextmanager
def nginx(endpoint: Endpoint) -> Iterator[Nginx]:
    """Serve on a port of its own for the length of a `with` block.

    Raises:
        ToolProblem: nginx is not installed there or does not come up.
    """
    port = endpoint.allocate_port()
    base = file_base(endpoint, "nginx", port)
    endpoint.write_file(f"{base}.conf", configuration(base, endpoint.own_address, port))
    # -e stderr: from its start on, not only once it has read error_log; /var/log may be closed to us.
    argv = ["nginx", "-e", "stderr", "-p", endpoint.scratch, "-c", f"{base}.conf"]
    with serving(endpoint, argv, ready=_LISTENING, limit=BLOCK_LIMIT) as process:
        url = f"http://{endpoint.address}:{port}"
        yield Nginx(process, page=f"{url}/", empty=f"{url}/empty")


def file_base(endpoint: Endpoint, tool: str, port: int) -> str:
    """Beginning of the names of a tool's files there: apart per endpoint and port, free of odd characters."""
    owner = re.sub(r"[^A-Za-z0-9]+", "-", endpoint.name).strip("-")
    return f"{endpoint.scratch}/{tool}-{owner}-{port}"
