"""The IPIP programs we ship are what their source says: built anew, they are the same bytes."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from pytest_calico_perf.cluster.lab.ipip.tunnel import OBJECT

# No debug information and no unwind tables; the source is named without its folder. So the bytes depend
# on nothing but source and compiler.
COMPILE = (
    *(sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"),
    *("-O2", "-g0", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-addrsig"),
    *("-Wall", "-Wextra", "-Werror", "-c", "ipip.c", "-o", "ipip.o"),
)


@pytest.fixture
def built(tmp_path):
    shutil.copy(OBJECT.with_suffix(".c"), tmp_path)
    subprocess.run(
        COMPILE,
        cwd=tmp_path,
        check=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "cache")},
    )
    return tmp_path / "ipip.o"


@pytest.mark.unprivileged
def test_shipped_object_is_built_from_the_shipped_source(built):
    assert built.read_bytes() == OBJECT.read_bytes(), "rebuild it: " + " ".join(COMPILE[1:])
