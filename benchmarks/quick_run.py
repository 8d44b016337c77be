"""What a run costs: time, share of it spent measuring, and the memory of the pytest process.

Runs the suite once on the lab in a process of its own. Claims for `quick` and three modes: at most
3 minutes, at least 80 % measuring, at most 200 MB. For `standard`: at least 95 % (all of it takes an hour).

    python benchmarks/quick_run.py [OPTIONS OF THE RUN...]
    python benchmarks/quick_run.py --calico-profile=standard --calico-probe=ping,tcp --calico-path=pod-to-pod
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    options = sys.argv[1:] or ["--calico-profile=quick"]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.json")
        command = [
            sys.executable, "-m", "pytest", "--pyargs", "pytest_calico_perf.suite", "-q",
            "--calico-mode=ipip,bgp,vxlan", f"--calico-json={record}", *options,
        ]  # fmt: skip
        start = time.monotonic()
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
            peak = watch(process)
        seconds = time.monotonic() - start
        found = json.loads(record.read_text())
    outcomes = [cell["outcome"] for cell in found["cells"]]
    print(f"{' '.join(options)}: exit {process.returncode}, {len(outcomes)} cells, {set(outcomes)}")
    print(f"  wall time {seconds:.1f} s, of which pytest's session {found['wall_seconds']:.1f} s")
    print(f"  measuring {found['measuring_seconds'] / seconds:.1%} of it")
    print(f"  peak memory of the pytest process {peak / 1e6:.0f} MB")


def watch(process: subprocess.Popen[bytes]) -> int:
    """The greatest resident size the process itself had (VmHWM, proc_pid_status(5)), in bytes."""
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = status.read_text().splitlines()
        peak = max([peak, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.5)
    return peak


if __name__ == "__main__":
    main()
