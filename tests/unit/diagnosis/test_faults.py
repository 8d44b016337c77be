"""The catalogue: its words, its table in the docs, and that the engine names each of its faults and no other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_calico_perf import diagnosis
from pytest_calico_perf.diagnosis.faults import FAULTS, table
from pytest_calico_perf.diagnosis.finding import Fault, Link

ROOM = Path(diagnosis.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "diagnosis.md"


def test_the_docs_have_the_table_that_the_code_makes():
    assert PAGE.read_text().endswith(f"\n\n{table()}")


def test_the_module_prints_the_table():
    argv = [sys.executable, "-m", "pytest_calico_perf.diagnosis"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout == table()


def test_every_fault_has_words_for_people_that_fit_a_table():
    for fault in FAULTS.values():
        assert re.fullmatch(r"[a-z0-9-]+", fault.key)
        words = (fault.title, fault.shows, fault.meaning, fault.remedy, fault.works)
        assert all(text.strip() == text and "|" not in text and "\n" not in text for text in words)
        assert all(words[:4]), fault.key
        assert not fault.title.endswith(".")
        assert fault.meaning.endswith(".")


def test_faults_stand_in_the_order_of_the_chain():
    order = list(Link)
    places = [order.index(fault.link) for fault in FAULTS.values()]
    assert places == sorted(places)


def keys_in_code() -> set[str]:
    """Every string of the engine that is written like a key and is one, outside of the catalogue."""
    modules = [path for path in ROOM.glob("*.py") if not path.name.startswith("faults")]
    trees = [ast.parse(path.read_text()) for path in modules]
    words = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return words & set(FAULTS)


def test_the_engine_can_name_every_fault_of_the_catalogue():
    assert keys_in_code() == set(FAULTS)


@pytest.mark.parametrize("key", list(FAULTS))
def test_a_fault_is_the_entry_of_its_key(key: str):
    assert isinstance(FAULTS[key], Fault)
    assert FAULTS[key].key == key
