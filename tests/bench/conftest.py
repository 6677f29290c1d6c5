"""What the benchmark's tests share: the contract's phantom, and an experiment's folder whose anatomies are made."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_support import CASES, bench_text

from sjplan.bench.cases import anatomy_of
from sjplan.bench.plan_runs import cases_of
from sjplan.bench.worker import ANATOMIES
from sjplan.io.benchfiles import read_bench
from sjplan.planning.protocol import Problem
from sjplan.testing.problems import phantom_problem

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def problem() -> Problem:
    return phantom_problem()


@pytest.fixture(scope="session")
def anatomies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the anatomies of `CASES`."""
    folder = tmp_path_factory.mktemp("anatomies")
    file = folder / "all.toml"
    file.write_text(bench_text([], CASES), encoding="utf-8")
    for case in cases_of(read_bench(file)):
        anatomy_of(case, folder / ANATOMIES)
    return folder / ANATOMIES


@pytest.fixture
def experiment(anatomies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder to give as --out, with the anatomies in it; planners of these tests can be named."""
    monkeypatch.chdir(HERE)

    def make(name: str = "out") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copytree(anatomies, folder / ANATOMIES)
        return folder

    return make
