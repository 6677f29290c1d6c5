"""The page of an experiment: it says what the tables say, of whatever an experiment may hold."""

import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_rows import synthetic_rows, write_experiment

from sjplan.anatomy.types import Anatomy
from sjplan.bench import hard_pictures
from sjplan.bench.report import PAGE, write_report
from sjplan.bench.rows import Row
from sjplan.bench.store import open_results, write_results
from sjplan.core.errors import SjplanError
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Problem
from sjplan.planning.upper_bound import UpperBound
from sjplan.testing.problems import IMPOSSIBLE_MM, phantom_anatomy

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")

HEADINGS = ("What was found", "Performance profiles", "Paired differences", "Margins", "By anatomy", "Over time",
            "Failures", "Hardest cases", "How to read the numbers", "Inputs and versions")  # fmt: skip

TABLES = ("summary", "differences", "profiles", "margins", "anatomy", "anytime", "failures", "hardest")

NO_PLAN = {"status": "crashed", "error_type": "ValueError", "error_message": "no", "accepted": None, "slack_mm": None,
           "margin_mm": None, "regret_mm": None, "bound_mm": None, "plan": None, "anytime": None, "binding": None,
           "breach_probability": None, "seconds": None, "first_safe_s": None, "traits": None}  # fmt: skip


def page_of(rows: list[Row], folder: Path) -> str:
    write_report(write_results(folder / "r.duckdb", {}, rows), folder / "report")
    return (folder / "report" / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Report of an experiment with a crash and a false accept, of a planner whose name would be a program."""
    rows = synthetic_rows(24, {"good": 0.1, "<script>poor": 0.6, "worst": 1.4})
    rows[0] = rows[0] | NO_PLAN
    rows[5] |= {"accepted": False, "false_accept": True}
    rows[6] |= {"true_breach": True}
    folder = write_experiment(tmp_path_factory.mktemp("bench") / "e", rows)
    write_report(folder, folder / "report", export="csv")
    return folder / "report"


@pytest.fixture(scope="module")
def html(report: Path) -> str:
    return (report / PAGE).read_text(encoding="utf-8")


def test_page_stands_alone_and_has_every_part(html: str) -> None:
    assert [h for h in HEADINGS if f">{h}</h2>" not in html] == []
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!data:|#)', html) == []
    assert html.count("Not for clinical use") == 2
    assert html.count("<img") == 5
    assert "the anatomies of these cases were not at hand" in html
    assert "&lt;script&gt;poor" in html


def test_page_minds_what_is_wrong(html: str) -> None:
    assert re.search(r"called 1 plan accepted that the judge rejects", html)
    assert "truly breach the phantom" in html
    assert "ValueError" in html
    assert "48 sides have a certified bound" in html


def test_sides_without_room_are_those_of_which_the_proof_found_no_plan(problem: Problem, tmp_path: Path) -> None:
    gap = replace(problem.limits, crossing_spacing_min_mm=IMPOSSIBLE_MM)
    proof = UpperBound(replace(problem, limits=gap), 0.0, SideFrame(problem.anatomy.frame, problem.side))
    bound = proof.prove(0.0, 10**6, lambda _: False, 3.0)
    assert not bound.cut
    rows = [row | {"bound_mm": bound.upper_mm if row["case_key"] == "case-00000" else 1.0}
            for row in synthetic_rows(2, {"p": 0.1})]  # fmt: skip
    assert "4 sides have a certified bound; on 2 of them it leaves no accepted plan any room" in page_of(rows, tmp_path)


def test_every_table_is_there_as_csv(report: Path, html: str) -> None:
    for name in TABLES:
        rows = list(csv.DictReader((report / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
        assert rows, name
        assert f"{name}.csv" in html
    summary = list(csv.DictReader((report / "summary.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["planner"] for row in summary] == ["good", "<script>poor", "worst"]
    for row in summary:
        assert f"{100 * float(row['accepted_share']):.0f} %" in html
        assert f"{float(row['regret_median_mm']):.2f} ({row['regret_n']})" in html
    assert len((report / "runs.csv").read_text(encoding="utf-8").splitlines()) == 1 + 24 * 2 * 3
    assert not list(report.parent.glob(".sjplan-*"))


@pytest.mark.slow
def test_the_hardest_cases_are_drawn_where_they_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = synthetic_rows(8, {"good": 0.1, "poor": 0.6})
    results, asked = write_results(tmp_path / "r.duckdb", {}, rows), list[str]()

    def anatomies(case: str) -> Anatomy | None:
        asked.append(case)
        return phantom_anatomy() if len(asked) > 1 else None

    monkeypatch.setattr(hard_pictures, "MOST", 2)
    found = write_report(results, tmp_path / "report", anatomies=anatomies)
    html = (tmp_path / "report" / PAGE).read_text(encoding="utf-8")
    assert html.count("<img") == 5 + 2
    assert len(asked) == 3, "a case that is not at hand is left out, and no more are asked for than are drawn"
    assert asked == [row["case"] for row in found.hardest[:3]]
    second = found.hardest[1]
    assert f"{second['case']}, {second['side']}: 0 of 2 runs accepted. Best plan (by good, not accepted): worst" in html
    assert "not drawn" not in html


def test_an_unfinished_or_damaged_experiment_says_so(tmp_path: Path) -> None:
    rows = synthetic_rows(3, {"a": 0.0, "b": 0.4})
    results = write_results(tmp_path / "r.duckdb", {"wanted": 20, "name": "half"}, rows, damaged=[tmp_path])
    write_report(results, tmp_path / "report")
    html = (tmp_path / "report" / PAGE).read_text(encoding="utf-8")
    assert "8 of 20 runs are not done yet" in html
    assert "1 damaged part left out" in html
    assert "3 cases and 1 pair of planners: no difference can be significant" in html
    assert "<h1>Planner benchmark: half</h1>" in html


@pytest.mark.parametrize(
    "rows",
    [
        [synthetic_rows(1, {"only": 0.0})[0]],
        [row | NO_PLAN for row in synthetic_rows(3, {"a": 0.0, "b": 0.0})],
        [row | {"budget_evaluations": len(row["planner"])} for row in synthetic_rows(3, {"a": 0.0, "bb": 0.0})],
        [row | {"slack_mm": 2.0, "accepted": True} for row in synthetic_rows(2, {"a": 0.0, "b": 0.0})],
        synthetic_rows(2, {f"planner {k}": 0.05 * k for k in range(14)}),
    ],
    ids=["one run", "nothing but crashes", "nothing in common", "all alike", "fourteen planners"],
)
def test_whatever_an_experiment_holds_has_a_page(rows: list[Row], tmp_path: Path) -> None:
    html = page_of(rows, tmp_path)
    assert "What was found" in html
    assert not re.search(r"\bnan\b|\binf\b|None", html)


def test_no_results_leave_no_report(tmp_path: Path) -> None:
    with pytest.raises(SjplanError, match="no such file or folder"):
        write_report(tmp_path / "nothing", tmp_path / "report")
    assert not (tmp_path / "report").exists()


REPORT_IN_A_PROCESS = """
import re, sys, time
from pathlib import Path
from sjplan.bench.report import write_report
begun = time.process_time()
write_report(sys.argv[1], sys.argv[2])
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # ru_maxrss would hold the parent's
print(time.process_time() - begun, int(peak[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_hundred_thousand_rows_take_seconds_and_little_memory(tmp_path: Path) -> None:
    """20 s and 1 GB are promised, imports and all (on a machine that does nothing else)."""
    file = write_results(tmp_path / "big.duckdb", {}, synthetic_rows(50, {f"p{k}": 0.1 * k for k in range(10)}))
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE more AS SELECT * REPLACE (run || '-' || n AS run, case_key || '-' || n AS case_key, "
            "slack_mm + 0.001 * (n % 7) AS slack_mm) FROM runs, range(100) AS copies(n)"
        )
        connection.execute("DROP TABLE runs")
        connection.execute("ALTER TABLE more RENAME TO runs")
    assert len(open_results(file).columns("run")["run"]) == 100_000
    done = subprocess.run(
        [sys.executable, "-c", REPORT_IN_A_PROCESS, str(file), str(tmp_path / "report")],
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 20
    assert megabytes < 1000
