"""The README's example is a test."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CHECKOUT / page).read_text(), re.DOTALL)


def test_no_page_has_a_gap() -> None:
    for page in ("README.md", *map(str, CHECKOUT.glob("docs/*.md"))):
        assert "@@" not in (CHECKOUT / page).read_text(), page


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")
@pytest.mark.parametrize("page", ["README.md", "docs/writing-tests.md"])
def test_examples_run(pytester: pytest.Pytester, page: str) -> None:
    blocks = python_blocks(page)
    assert blocks
    for number, block in enumerate(blocks):
        pytester.makepyfile(**{f"test_example_{number}": block})
    result = pytester.runpytest_subprocess(
        "--calico-mode=bgp,vxlan",
        "--calico-rounds=6",
        "--calico-path=pod-to-pod",
        "--calico-duration=0.2",
        timeout=120,
    )
    result.assert_outcomes(passed=2 * len(blocks))
