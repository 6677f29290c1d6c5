"""Fixtures that more than one room needs."""

import os
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
