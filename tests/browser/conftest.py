"""A real browser, Debian's chromium, and pages written by pytest-html and by ourselves for it to open."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pytest_calico_perf.report import html
from pytest_calico_perf.report.standalone import standalone
from tests.browser import records

ROOT = Path(__file__).parents[2]
# Where a CI server picks the screenshots up.
SCREENSHOTS = Path(os.environ.get("CALICO_PERF_SCREENSHOTS") or ROOT / ".artifacts" / "screenshots")

# pytest-html writes the page, fed with a run of ours: what hooks.py does, without measuring for minutes.
CONFTEST = """
import pytest
from pytest_html import extras
from pytest_calico_perf.report import html
from tests.browser import records

RECORD = records.{record}()

def pytest_generate_tests(metafunc):
    ids = [f"{{r.cell.probe}}-{{r.cell.id}}" for r in RECORD.results]
    metafunc.parametrize("number", range(len(RECORD.results)), ids=ids)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        report.result = RECORD.results[item.callspec.params["number"]]
        report.extras = [extras.html(html.details_html(report.result))]
    return report

def pytest_html_results_summary(prefix):
    prefix.append(html.render(RECORD, titled=False))

def pytest_html_results_table_header(cells):
    cells[2:2] = html.header_cells()

def pytest_html_results_table_row(report, cells):
    cells[1] = html.test_id_cell(report.nodeid)
    cells[2:2] = html.row_cells(getattr(report, "result", None))
"""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> file: the recorded run and the large one in pytest-html's frame, the large one in our own."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for record in ("recorded", "hundred_cells"):
        place = folder / record
        place.mkdir()
        (place / "conftest.py").write_text(CONFTEST.format(record=record))
        (place / "test_cells.py").write_text("def test_cell(number): pass\n")
        made[record] = place / "page.html"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:calico-perf", "-p", "no:cacheprovider",
             f"--html={made[record]}", "--self-contained-html", str(place)],
            cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    made["standalone"] = folder / "standalone.html"
    made["standalone"].write_text(standalone("A run", html.render(records.hundred_cells())), encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium. Its profile, caches and crash reports live and die in a folder of pytest's."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not installed: apt-get install --yes chromium")
    home = str(tmp_path_factory.mktemp("home"))
    places = {"HOME": home, "TMPDIR": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in places.items():  # before the driver starts: it makes the profile
            patch.setenv(name, value)
        with sync_playwright() as playwright:
            # Root has no user namespace to put a sandbox in, and the page is our own.
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            yield browser
            browser.close()


class Heard:
    """What a page said and asked for while it was open."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Iterator[Callable[..., Page]]:
    """Open a page: `opened("recorded", width=390, dark=True, scripts=False)`; its `heard` is what it said."""
    contexts = []

    def opened(name: str, width: int = 1280, *, dark: bool = False, scripts: bool = True) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.heard = Heard(page)
        page.goto(pages[name].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
