"""Fixtures that more than one room needs."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Two workers, and the programs they start, share two cores: threads that wait for work must not spin on them. Measured
# on the planner's tests: a sixth less computing. Read once, when the first parallel kernel runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell starts jobs in the background with Ctrl-C ignored, and what they start inherits that: tests of it would wait
# for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real pelves: the one named by SJPLAN_REAL_DATA, else ../shared/data beside the project."""
    named = os.environ.get("SJPLAN_REAL_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "vsd_pelvis").is_dir():
        pytest.skip(f"real pelves not found in {folder}; set SJPLAN_REAL_DATA to the folder that holds vsd_pelvis")
    return folder


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is the current one; modules that are imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def page() -> Iterator["Page"]:
    """A page of a real browser, for files that are opened in it."""
    from playwright.sync_api import sync_playwright

    chromium = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if chromium is None:
        pytest.skip("no Chromium found: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()
