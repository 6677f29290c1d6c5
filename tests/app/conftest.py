"""One trainer for the tests of the app, with one small phantom."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_support import SJPLAN, Trainer, start

MONDAY = """
schema = "sjplan.exercise/1"
id = "monday"
title = "Monday's lateral"
text = "Find it."
level = 1
kind = "view"
[task]
views = ["lateral"]
"""
"""A teacher's exercise."""


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a phantom at 2 mm, the coarsest that can be planned on."""
    folder = tmp_path_factory.mktemp("app case") / "phantom"
    words = [*SJPLAN, "phantom", "build", "default", "--out", str(folder), "--spacing", "2"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    return folder


@pytest.fixture(scope="session")
def trainer(case: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    exercises = tmp_path_factory.mktemp("exercises")
    (exercises / "monday.toml").write_text(MONDAY, encoding="utf-8")
    (exercises / "broken.toml").write_text(MONDAY.replace("level = 1", "level = 9"), encoding="utf-8")
    running = start(tmp_path_factory.mktemp("trainer"), case, "--exercises", str(exercises))
    yield running
    running.stop()
