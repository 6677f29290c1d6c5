"""`bench report` and `bench compare` on the command line: exit codes, one JSON object, words with numbers."""

import json
import sys
from pathlib import Path

import pytest
from cyclopts import App

from sjplan.bench.store import write_results
from sjplan.cli.bench_report import compare, report
from sjplan.core.errors import SjplanError

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from bench_rows import synthetic_rows, write_experiment

pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")


def command(*words: str | Path) -> int:
    app = App(name="bench")
    for one in (report, compare):
        app.command(one)
    code = app([str(w) for w in words], exit_on_error=False, print_error=False, result_action="return_value")
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results of a version, and of one that gives half a millimetre less."""
    folder = tmp_path_factory.mktemp("compare")
    rows = synthetic_rows(25, {"p": 0.1, "q": 0.1})
    worse = [row | {"slack_mm": row["slack_mm"] - 0.5} if row["planner"] == "p" else row for row in rows]
    return write_results(folder / "a.duckdb", {}, rows), write_results(folder / "b.duckdb", {}, worse)


def test_report_says_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_experiment(tmp_path / "e", synthetic_rows(3, {"good": 0.0, "poor": 1.0}))
    assert command("report", folder, "--runs", "parquet") == 0
    out = capsys.readouterr().out
    assert f"report in {folder / 'report' / 'index.html'}" in out
    assert "good  accepted" in out
    assert (folder / "report" / "runs.parquet").stat().st_size > 1000
    assert command("report", folder, "--out", tmp_path / "other", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["page"] == str(tmp_path / "other" / "index.html")
    assert [row["planner"] for row in told["summary"]] == ["good", "poor"]
    assert told["experiment"]["name"] == "try"


def test_compare_shuts_on_a_loss_and_on_nothing_else(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = files
    assert command("compare", a, b, "--planner", "p") == 1
    out = capsys.readouterr().out
    assert "A p, B p: 50 pairs of runs on 25 cases" in out
    assert "LOSS worst slack: A " in out
    assert "B less A -0." in out
    assert "p for a loss < 0.0001 (corrected), n = 50 pairs on 25 cases" in out
    assert out.splitlines()[-1] == "LOST: worst slack"
    assert command("compare", b, a, "--planner", "p") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no significant loss"
    assert command("compare", a, b, "--planner", "q") == 0


def test_compare_as_json(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("compare", *files, "--planner", "p", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["lost"] is True
    assert told["changes"][0]["measure"] == "worst slack"
    assert told["changes"][0]["low"] < -0.4


def test_bad_input_is_an_error_that_main_turns_into_exit_2(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SjplanError, match="fix: name it with --planner"):
        command("compare", *files)
    with pytest.raises(SjplanError, match="no such file or folder"):
        command("report", tmp_path / "nothing")
