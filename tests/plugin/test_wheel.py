"""What `pip install` of the wheel gives: the same suite under the same names, from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked into it, as pip would into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_has_what_is_no_python(installed: Path) -> None:
    package = installed / "pytest_calico_perf"
    for name in (
        "py.typed", "clusters/lab.yaml", "clusters/lab-two-subnets.yaml", "report/style.css",
        "references/article.yaml", "references/cni-2024-40g.yaml",
        "cluster/lab/ipip/ipip.c", "cluster/lab/ipip/ipip.o",
    ):  # fmt: skip
        assert (package / name).is_file(), name
    licenses = {path.name for path in installed.glob("*.dist-info/licenses/*")}
    assert {"LICENSE", "NOTICE"} <= licenses


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")
def test_the_same_suite_under_the_same_names(
    installed: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = (
        "--calico-mode=bgp", "--calico-probe=ping", "--calico-path=pod-to-pod", "--calico-rounds=1",
        "--calico-duration=0.04",
    )  # fmt: skip

    def names(*args: str, cwd: Path, file: Path, home: Path) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *args, *small, f"--benchmark-json={file}"],
            cwd=cwd, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert f"cluster lab ({home}" in done.stdout
        return [row["fullname"] for row in json.loads(file.read_text())["benchmarks"]]

    empty = pytester.mkdir("empty")
    in_checkout = names(
        "-p", "no:cacheprovider", cwd=CHECKOUT, file=pytester.path / "checkout.json", home=Path("clusters")
    )
    monkeypatch.setenv("PYTHONPATH", str(installed))
    from_wheel = names(
        "--pyargs", "pytest_calico_perf.suite", cwd=empty, file=pytester.path / "wheel.json", home=installed
    )  # fmt: skip
    assert in_checkout == from_wheel == ["pytest_calico_perf.suite.test_latency::test_ping[pod-to-pod-bgp]"]
