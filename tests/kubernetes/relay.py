"""An ssh ProxyCommand: from this machine into a network namespace of the lab. `relay.py NAMESPACE_FILE HOST PORT`."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys

_CLONE_NEWNET = 0x40000000


def main(namespace: str, host: str, port: str) -> None:
    descriptor = os.open(namespace, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.settimeout(None)
        while True:
            ready, _, _ = select.select([connection, 0], [], [])
            if connection in ready:
                data = connection.recv(65536)
                if not data:
                    return
                os.write(1, data)
            if 0 in ready:
                data = os.read(0, 65536)
                if not data:
                    return
                connection.sendall(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
