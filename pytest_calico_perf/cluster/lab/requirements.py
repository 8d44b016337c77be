"""What a machine must have for the lab, and which Debian package has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pytest_calico_perf.errors import RequirementMissing

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "ip": "iproute2",
        "tc": "iproute2",
        "bridge": "iproute2",
        "bird": "bird2",
        "birdc": "bird2",
        "nsenter": "util-linux",
        "unshare": "util-linux",
        "mount": "mount",
        "timeout": "coreutils",
        "sysctl": "procps",
        "iperf3": "iperf3",
        "iperf": "iperf",
        "ab": "apache2-utils",
        "nginx": "nginx-light",
        "ethtool": "ethtool",
        "ping": "iputils-ping",
        "nft": "nftables",
    }
)
"""Program -> the Debian package that has it."""

SANDBOX_PROGRAMS = ("unshare", "nsenter", "mount", "timeout", "ip")
LAB_PROGRAMS = (*SANDBOX_PROGRAMS, "tc", "bird")
PROBE_PROGRAMS = ("ping", "iperf3", "iperf", "ab", "nginx", "ethtool")
LINK_KINDS = ("veth", "bridge", "vxlan")

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_CAP_SYS_ADMIN = 21  # include/uapi/linux/capability.h
_EVERY_USER = ["0", "0", str(2**32 - 1)]  # the identity map of the first user namespace (user_namespaces(7))
_PROBE_LIMIT = 10.0


def search_path() -> str:
    """The user's PATH and the system's folders, since users' PATHs lack /usr/sbin on Debian (bird, tc)."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys([*folders, *_SYSTEM_FOLDERS]))


def missing(programs: Iterable[str]) -> tuple[str, ...]:
    """Those of `programs` that are not installed."""
    path = search_path()
    return tuple(program for program in programs if shutil.which(program, path=path) is None)


def install_line(programs: Iterable[str]) -> str:
    """The command that installs the Debian packages of `programs`, as far as we know them."""
    packages = sorted({PACKAGES[program] for program in programs if program in PACKAGES})
    return f"apt-get install --yes {' '.join(packages)}" if packages else ""


def check(
    programs: Sequence[str] = LAB_PROGRAMS,
    *,
    link_kinds: Sequence[str] = LINK_KINDS,
    probe_programs: Sequence[str] = PROBE_PROGRAMS,
) -> None:
    """Make sure that a lab can run here.

    A tool that only a probe wants is no reason to stop: that probe's cells will say so. But whoever has
    to install something anyway is told about it in the same message.

    Args:
        programs: What nothing goes without.
        link_kinds: Kinds of network device the kernel must make (ip-link(8), TYPES); asking takes some ms.
        probe_programs: What is mentioned if something else is missing.

    Raises:
        RequirementMissing: Names all that is missing and how to get it.
    """
    absent = missing(programs)
    clauses = [f"{_listed(absent)} {_are(absent)} not installed"] if absent else []
    remedies = []
    if link_kinds and not missing(SANDBOX_PROGRAMS):
        refusal, refused_kinds = _ask_kernel(link_kinds)
        if refusal:
            clauses.append(refusal)
            remedies.append(namespace_remedy())
        if refused_kinds:
            clauses.append(f"the kernel makes no {_listed(refused_kinds)} devices")
            remedies.append(f"load what makes them: modprobe -a {' '.join(refused_kinds)}")
    if not clauses:
        return
    wished = missing(probe_programs)
    if wished:
        clauses.append(f"and some probes could not run without {_listed(wished)}")
    if line := install_line([*absent, *wished]):
        remedies.insert(0, line)
    raise RequirementMissing(
        f"the lab cannot run on this machine: {', '.join(clauses)}", remedy="; ".join(remedies)
    )


def may_make_namespaces() -> bool:
    """Whether this process may make namespaces as it is; else it needs a user namespace to be root in."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False


def in_first_user_namespace() -> bool:
    """Whether root here is the machine's root and not that of a user namespace (a rootless container)."""
    return Path("/proc/self/uid_map").read_text(encoding="ascii").split() == _EVERY_USER


def namespace_remedy() -> str:
    """What to do on a machine that does not let us make namespaces."""
    if may_make_namespaces():
        return "in a container: start it with --privileged"
    switches = {
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),  # Ubuntu 23.10 and later
        "/proc/sys/kernel/unprivileged_userns_clone": ("0", "1"),  # Debian's patch
        "/proc/sys/user/max_user_namespaces": ("0", "10000"),
    }
    for place, (shut, open_) in switches.items():
        file = Path(place)
        if file.exists() and file.read_text(encoding="ascii").strip() == shut:
            name = place.removeprefix("/proc/sys/").replace("/", ".")
            return f"run as root, or let users make namespaces: sysctl -w {name}={open_}"
    return "run as root; in a container: start it with --privileged"


def _ask_kernel(link_kinds: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Try to make each kind of device in a network namespace that is gone at once.

    Returns:
        The kernel's complaint if it makes no namespaces at all, and the kinds it does not make.
    """
    options = {"vxlan": " id 1 dstport 4789"}
    batch = "".join(
        f"link add probe{number} type {kind}{options.get(kind, '')}\n"
        for number, kind in enumerate(link_kinds)
    )
    user = () if may_make_namespaces() else ("--user", "--map-root-user")
    try:
        answer = subprocess.run(
            ["unshare", *user, "--net", "--", "ip", "-force", "-batch", "-"],
            input=batch,
            capture_output=True,
            text=True,
            timeout=_PROBE_LIMIT,
            check=False,
            env={"PATH": search_path(), "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return f"making a network namespace took more than {_PROBE_LIMIT:g} s", ()
    complaints = answer.stderr.splitlines()
    if answer.returncode != 0 and complaints and complaints[0].startswith("unshare: "):
        return f"it makes no namespaces for us ({complaints[0]})", ()
    # ip(8) reports a failed line of a batch as `Command failed -:3`, counting from 1.
    failed = {line.rpartition(":")[2] for line in complaints if line.startswith("Command failed -:")}
    return "", tuple(kind for number, kind in enumerate(link_kinds, 1) if str(number) in failed)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
