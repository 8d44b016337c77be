"""What being installed costs other people's pytest runs, in a folder that does not use us.

Runs `pytest` on one trivial test with and without the plugin (`-p no:calico-perf`), in turn, and prints the
difference of the medians. Claim: at most 20 ms.

    python benchmarks/import_cost.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_trivial.py").write_text("def test_trivial(): pass\n")
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        times: dict[str, list[float]] = {"with": [], "without": []}
        for turn in range(runs + 1):
            for name in ("with", "without") if turn % 2 else ("without", "with"):
                extra = [] if name == "with" else ["-p", "no:calico-perf"]
                start = time.perf_counter()
                subprocess.run([*command, *extra], cwd=folder, check=True, capture_output=True, timeout=60)
                if turn:  # the first turn warms the file cache
                    times[name].append(time.perf_counter() - start)
    differences = [a - b for a, b in zip(times["with"], times["without"], strict=True)]
    print(f"without: median {statistics.median(times['without']) * 1e3:.1f} ms of {runs} runs")
    print(f"with:    median {statistics.median(times['with']) * 1e3:.1f} ms")
    print(
        f"cost:    median of paired differences {statistics.median(differences) * 1e3:+.1f} ms (claim: <= 20)"
    )


if __name__ == "__main__":
    main()
