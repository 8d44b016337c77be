"""A pod's containers: process, mount and, if the pod has one, network namespaces around a process that sleeps.

Programs are the machine's own, whatever the image; one whose name says `lacks-iperf3` has no iperf3. All containers of a pod share their namespaces, and with
them /tmp; a container's own main process is not run. What limits a process does: user, capabilities, no new
privileges, a root that can only be read, safe sysctls. What does not: cgroups, seccomp, images.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_calico_perf.cluster.lab.sandbox import Sandbox

Json = Mapping[str, Any]

# The process that holds the namespaces, as `pause` does: number 1 there, whose orphans the kernel reaps (wait(2)).
# Programs have no capabilities of their own there, as in the images meant: Debian's ping, which has, could not be
# started at all without NET_RAW (capabilities(7), safety checking for capability-dumb binaries). A program that an
# image lacks is deleted in an overlay (Documentation/filesystems/overlayfs.rst, whiteouts).
_PAUSE = """\
set -e
scratch="$1" root="$2" tmp="$3" bird="$4"; shift 4
for program; do
    where="$(dirname "$program")"
    mkdir -p "$scratch-lacks$where"
    mknod "$scratch-lacks$program" c 0 0
    mount -t overlay -o "lowerdir=$scratch-lacks$where:$where" overlay "$where"
done
mount --bind "$scratch" /tmp
[ -z "$bird" ] || mount --bind "$bird" /mnt
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
[ -z "$bird" ] || { mkdir /run/calico; mount --bind /mnt /run/calico; umount /mnt; }
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs /sys
mount -o "remount,bind,nosuid,$root" /
[ "$tmp" = ro ] && mount -o remount,bind,ro /tmp
trap '' CHLD
echo ready
exec sleep infinity
"""
_LACKS = re.compile(r"lacks-([a-z0-9]+)")
# What containerd gives to a container that asks for nothing (oci/spec_opts.go, defaultUnixCaps).
_CAPABILITIES = frozenset(
    {
        *(
            "CHOWN",
            "DAC_OVERRIDE",
            "FSETID",
            "FOWNER",
            "MKNOD",
            "NET_RAW",
            "SETGID",
            "SETUID",
            "SETFCAP",
            "SETPCAP",
        ),
        *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    }
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as images have it
_START_LIMIT = 15.0


@dataclass(frozen=True)
class Containers:
    """The containers of a pod that runs.

    Attributes:
        pause: Popen of what entered the sandbox; its descendant is process 1 of the pod.
        pid: That process, as seen from outside.
        environment: What commands have.
        scratch: The pod's /tmp as seen from outside.
    """

    pause: subprocess.Popen[bytes]
    pid: int
    environment: Mapping[str, str]
    scratch: Path

    @classmethod
    def start(cls, sandbox: Sandbox, network: str, key: str, pod: Json) -> Containers:
        """Start the containers of a pod.

        Args:
            sandbox: Where.
            network: The network namespace: the pod's own, or a node's.
            key: Name of its files in the sandbox.
            pod: The Pod.
        """
        scratch = f"{sandbox.directory}/pods/{key}/tmp"
        sandbox.write_file(f"{scratch}/.made", "")
        outside = Path(f"/proc/{sandbox.pid}/root{scratch}")
        (outside / ".made").unlink()
        outside.chmod(0o1777)
        root = (
            "ro" if all(_security(pod, each).get("readOnlyRootFilesystem") for each in _specs(pod)) else "rw"
        )
        tmp = "rw" if root == "rw" or "/tmp" in _writable(pod) else "ro"
        # The one path of its host that a pod here may see: where its node's BIRD listens.
        bird = sandbox.scratch(network) if _sees_bird(pod) else ""
        environment = {
            name: value for name, value in sandbox.environment.items() if name not in ("HOME", "TMPDIR")
        } | {"HOME": "/", "HOSTNAME": pod["metadata"]["name"], "PATH": _PATH}
        pause = subprocess.Popen(
            [
                *(*sandbox.command_line(network), "--wd=/", "--"),
                *("unshare", "--fork", "--kill-child", "--pid", "--mount", "--"),
                *("sh", "-c", _PAUSE, "pause", scratch, root, tmp, bird, *_lacking(pod)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        said = pause.stdout.readline()
        if said != b"ready\n":
            pause.kill()
            raise RuntimeError(f"the pause of {key} did not start: {pause.communicate()[1].decode()}")
        pause.stdout.close()
        pause.stderr.close()
        unshare = _child(pause.pid)  # nsenter(1) forks to enter a PID namespace, unshare(1) to make one
        return cls(pause, _child(unshare), environment, outside)

    def run(self, pod: Json, container: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in a container, with pipes as its standard input, output and error.

        Raises:
            FileNotFoundError: There is no such program.
        """
        if shutil.which(argv[0], path=self.environment["PATH"]) is None:
            raise FileNotFoundError(argv[0])
        spec = next(each for each in _specs(pod) if each["name"] == container)
        enter = ["nsenter", "--target", str(self.pid), "--pid", "--mount", "--net", "--root", "--wd"]
        return subprocess.Popen(
            [*enter, "--", *_restricted(pod, spec), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self.environment)
            | {entry["name"]: entry.get("value", "") for entry in spec.get("env") or ()},
            start_new_session=True,
        )

    def stop(self) -> None:
        """Kill all its processes: those of a PID namespace go with its first."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.pause.wait(_START_LIMIT)
        shutil.rmtree(self.scratch.parent, ignore_errors=True)


def why_not_configured(pod: Json) -> tuple[str, str] | None:
    """Reason and message when a container cannot be made as its security context says (kubelet: kuberuntime)."""
    for spec in _specs(pod):
        context = _security(pod, spec)
        if context.get("runAsNonRoot") and not context.get("runAsUser"):
            what = "container has runAsNonRoot and image will run as root"
            name = f'"{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}({pod["metadata"]["uid"]})"'
            return "CreateContainerConfigError", f"{what} (pod: {name}, container: {spec['name']})"
    return None


def _specs(pod: Json) -> list[Json]:
    return pod["spec"]["containers"]


def _security(pod: Json, spec: Json) -> dict[str, Any]:
    """A container's security context: its own words before the pod's."""
    return {**(pod["spec"].get("securityContext") or {}), **(spec.get("securityContext") or {})}


def _writable(pod: Json) -> set[str]:
    """Where volumes that can be written to are mounted."""
    volumes = {volume["name"] for volume in pod["spec"].get("volumes") or () if "emptyDir" in volume}
    return {
        mount["mountPath"]
        for spec in _specs(pod)
        for mount in spec.get("volumeMounts") or ()
        if mount["name"] in volumes
    }


def _sees_bird(pod: Json) -> bool:
    """Whether it mounts the folder of its host in which BIRD's socket is."""
    return any(
        (volume.get("hostPath") or {}).get("path") == "/var/run/calico"
        for volume in pod["spec"].get("volumes") or ()
    )


def _lacking(pod: Json) -> list[str]:
    """Where the programs are that a pod's images say they lack: `registry.example/tools-lacks-iperf3:1`."""
    lacking = {name for spec in _specs(pod) for name in _LACKS.findall(spec["image"])}
    return sorted(os.path.realpath(found) for name in lacking if (found := shutil.which(name, path=_PATH)))


def _restricted(pod: Json, spec: Json) -> list[str]:
    """setpriv(1), as the container runtime restricts a process."""
    context = _security(pod, spec)
    if context.get("privileged"):
        return []
    wanted = context.get("capabilities") or {}
    dropped, added = set(wanted.get("drop") or ()), set(wanted.get("add") or ())
    left = sorted((frozenset() if "ALL" in dropped else _CAPABILITIES - dropped) | added)
    bounded = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in left)])
    argv = ["setpriv", f"--bounding-set={bounded}", "--inh-caps=-all"]
    user = context.get("runAsUser") or 0
    group = context.get("runAsGroup", user)
    argv += [f"--reuid={user}", f"--regid={group}"]
    groups = [
        str(each) for each in (context.get("fsGroup"), *(context.get("supplementalGroups") or ())) if each
    ]
    argv += [f"--groups={','.join(groups)}"] if groups else ["--clear-groups"]
    if context.get("allowPrivilegeEscalation") is False:
        argv += ["--no-new-privs"]
    return [*argv, "--"]


def _child(pid: int) -> int:
    """The one child of a process of a single thread (proc_pid_task(5), children)."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)
