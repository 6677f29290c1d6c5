"""One trainer and one house for the tests of the app, each with one small phantom."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_support import SJPLAN, Trainer, start

from sjplan.app.house import Bed, House
from sjplan.io.cases import Case
from sjplan.io.exercises import read_exercises
from sjplan.io.scoring import read_scoring
from sjplan.testing.problems import phantom_labels
from sjplan.training.history import History

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


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("bed")
    bed = Bed("own", "a pelvis", "", lambda: Case(None, phantom_labels()), folder, None, folder, ("false",))
    history = History(tmp_path_factory.mktemp("h") / "history.sqlite")
    made = House({bed.id: bed}, history, read_scoring(), read_exercises(), ("monday.toml: level: found 9",))
    yield made
    made.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running
