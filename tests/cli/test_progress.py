"""Progress: silent when quick, a line a step in a log, and a word about compiling on the first run only."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

import sjplan
from sjplan.cli import progress
from sjplan.cli.progress import Reporter, kernels_cached, part_of


def logged(monkeypatch: pytest.MonkeyPatch, quiet_s: float) -> str:
    monkeypatch.setattr(progress, "QUIET_S", quiet_s)
    stream = io.StringIO()
    with Reporter(Console(file=stream, width=80)).shown() as reporter:
        reporter("reading [a].nii", 0.1)
        part = part_of(reporter, 0.2, 0.8, "left: ")
        part("searching", 0.0)
        part("searching", 0.5)
    return stream.getvalue()


def test_a_quick_command_stays_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logged(monkeypatch, quiet_s=60.0) == ""


def test_a_log_gets_one_line_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = logged(monkeypatch, quiet_s=0.0).splitlines()
    assert [line.split("] ", 1)[1] for line in lines] == ["reading [a].nii", "left: searching"]


def test_a_log_stays_empty_while_input_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    stream = io.StringIO()
    with Reporter(Console(file=stream, width=80), intake=0.3, opening="compiling").shown() as reporter:
        reporter("reading", 0.1)
        part_of(reporter, 0.1, 0.3)("anatomy", 1.0)
        assert stream.getvalue() == ""
        reporter("searching", 0.31)
    lines = stream.getvalue().splitlines()
    assert [line.split("] ")[-1] for line in lines] == ["compiling", "reading", "anatomy", "searching"]


def test_a_terminal_gets_a_bar_that_is_cleared() -> None:
    stream = io.StringIO()
    with Reporter(Console(file=stream, force_terminal=True, width=80)).shown() as reporter:
        reporter("measuring", 0.5)
    assert "measuring" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_first_run_says_that_it_compiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with progress.progress("planning", intake=0.5) as reporter:
        reporter("reading", 0.5)
        assert capsys.readouterr().err == ""
        reporter("searching", 0.6)
    assert capsys.readouterr().err.splitlines()[0] == progress.COMPILING
    (tmp_path / "planning_0123").mkdir()
    (tmp_path / "planning_0123" / "triples.below-55.py311.nbi").touch()
    with progress.progress("planning") as reporter:
        reporter("searching", 0.6)
    assert capsys.readouterr().err == ""


def test_kernels_beside_the_modules_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sjplan, "__file__", str(tmp_path / "sjplan" / "__init__.py"))
    assert not kernels_cached(("xray",))
    cache = tmp_path / "sjplan" / "xray" / "__pycache__"
    cache.mkdir(parents=True)
    module = tmp_path / "sjplan" / "xray" / "projector.py"
    module.touch()
    index = cache / "projector.project-1.py311.nbi"
    index.touch()
    assert kernels_cached(("xray",))
    os.utime(index, (0, 0))
    assert not kernels_cached(("xray",)), "compiled from an earlier version of the module"
    os.utime(module, (0, 0))
    assert not kernels_cached(("xray", "planning"))
