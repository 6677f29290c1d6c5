"""Fixtures that more than one room needs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Two workers, and the programs they start, share two cores: threads that wait for work must not spin on them. Measured
# on the planner's tests: a sixth less computing. Read once, when the first parallel kernel runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


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
