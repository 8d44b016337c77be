"""The keeper: process 1 of a lab's own PID namespace.

What lives in a lab hangs on this one process. When it ends, the kernel ends every process of its PID
namespace (pid_namespaces(7)); with the last of them goes the mount namespace, with that the tmpfs on /run
and every network namespace mounted there. So the keeper only has to end when its owner does, and the
kernel tells it, however the owner dies, through a pidfd (pidfd_open(2)).

It runs by file path under unshare(1), with the standard library only. `os` instead of `pathlib` saves half
of its start and its memory.
"""

# ruff: noqa: PTH102, PTH110, PTH115

import os
import select
import signal
import sys

KEPT = "/run/kept"  # the owner makes it when the lab is to outlive it
NAMESPACES = "/run/netns"  # where ip-netns(8) mounts them
FILES = "/run/lab"
TEMPORARY = "/run/tmp"


def mount(kind: str, place: str, options: str) -> None:
    """Put one of the kernel's own file systems there, or end; the tool has complained then."""
    argv = ["mount", "-t", kind, "-o", options, kind, place]
    if os.spawnvp(os.P_WAIT, "mount", argv) != 0:  # noqa: S606 - no shell is the point
        sys.exit(f"cannot mount {kind} on {place}")


def main(owner: int) -> None:
    """Furnish the namespaces, say `ready <process id as seen from outside>`, and wait for the end.

    Args:
        owner: Descriptor of the owner's pidfd.
    """
    # Until /proc is ours it is the outside's, and so is the process id in it.
    outside_pid = os.readlink("/proc/self")
    mount("proc", "/proc", "nosuid,nodev,noexec")
    mount("tmpfs", "/run", "nosuid,nodev,mode=755")
    os.umask(0o022)
    for folder in (NAMESPACES, FILES, TEMPORARY):
        os.mkdir(folder)

    # The kernel reaps the orphans that fall to process 1 if it ignores their ends (wait(2), NOTES).
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Process 1 gets no signal that it does not handle, from outside either, but SIGKILL and SIGSTOP.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    os.write(1, f"ready {outside_pid}\n".encode())
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)  # else a kept lab would hold the owner's pipes open
    os.dup2(silence, 2)

    # A word on standard input, or its end, is the owner letting go. Its end alone would not do: a process
    # that the owner forked may hold the other end for longer than the owner lives.
    end = select.poll()
    end.register(0, select.POLLIN)
    end.register(owner, select.POLLIN)
    end.poll()
    while os.path.exists(KEPT):
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
