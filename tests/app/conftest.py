"""One trainer for the tests of the app, with one small phantom."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_support import SJPLAN, Trainer, start


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a phantom at 2 mm, the coarsest that can be planned on."""
    folder = tmp_path_factory.mktemp("app case") / "phantom"
    words = [*SJPLAN, "phantom", "build", "default", "--out", str(folder), "--spacing", "2"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    return folder


@pytest.fixture(scope="session")
def trainer(case: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    running = start(tmp_path_factory.mktemp("trainer"), case)
    yield running
    running.stop()
