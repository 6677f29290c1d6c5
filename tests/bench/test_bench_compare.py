"""The gate: it finds half a millimetre, and it is not shut by chance more often than it says."""

from pathlib import Path

import numpy as np
import pytest
from bench_rows import synthetic_rows

from sjplan.bench.compare import Comparison, compare
from sjplan.bench.rows import Row
from sjplan.bench.statistics import ALPHA, bootstrap_means
from sjplan.bench.store import write_results
from sjplan.core.errors import SjplanError

pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")


def compared(folder: Path, a: list[Row], b: list[Row], planner: str | None = None) -> Comparison:
    return compare(write_results(folder / "a.duckdb", {}, a), write_results(folder / "b.duckdb", {}, b), planner)


def changed(found: Comparison, measure: str) -> tuple[float, float, float, bool]:
    change = next(c for c in found.changes if c.measure == measure)
    return change.change, change.low, change.high, change.lost


def regressed(rows: list[Row], mm: float, share: float = 1.0) -> list[Row]:
    """The same runs of a version that gives `mm` less slack on a share of the cases."""
    found = []
    for row in rows:
        slack = row["slack_mm"] - (mm if int(row["case_key"][-5:]) < share * 1000 else 0.0)
        accepted = slack >= 0
        found.append(row | {"slack_mm": slack, "accepted": accepted, "status": "found" if accepted else "infeasible"})
    return found


def test_a_planted_regression_of_half_a_millimetre_is_found(tmp_path: Path) -> None:
    """Both versions are noisy: 0.3 mm a run, other draws in each."""
    a = synthetic_rows(40, {"p": 0.2})
    noise = np.random.default_rng(1).normal(0.0, 0.3, len(a))
    b = [row | {"slack_mm": row["slack_mm"] - 0.5 + x} for row, x in zip(a, noise, strict=True)]
    found = compared(tmp_path, a, b)
    change, low, high, lost = changed(found, "worst slack")
    assert found.lost
    assert lost
    assert low < -0.5 < high < -0.3
    assert change == pytest.approx(-0.5, abs=0.1)
    assert (found.pairs, found.cases, found.only_a, found.only_b) == (80, 40, 0, 0)


def test_no_difference_is_none_and_a_gain_is_no_loss(tmp_path: Path) -> None:
    rows = synthetic_rows(40, {"p": 0.2})
    same = compared(tmp_path, rows, rows)
    assert not same.lost
    assert changed(same, "worst slack") == (0.0, 0.0, 0.0, False)
    assert not compared(tmp_path, regressed(rows, 0.5), rows).lost
    rounding = [row | {"slack_mm": row["slack_mm"] - 1e-7} for row in rows]
    assert not compared(tmp_path, rows, rounding).lost


def test_slack_beyond_the_cap_counts_no_further(tmp_path: Path) -> None:
    rows = [row | {"slack_mm": 4.0, "accepted": True} for row in synthetic_rows(20, {"p": 0.0})]
    assert not compared(tmp_path, rows, [row | {"slack_mm": 3.2} for row in rows]).lost
    assert compared(tmp_path, rows, [row | {"slack_mm": 2.8} for row in rows]).lost


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("accepted", {"accepted": None, "status": "timeout", "slack_mm": None}),
        ("false accepts", {"accepted": False, "false_accept": True}),
        ("no answer", {"accepted": None, "status": "crashed", "slack_mm": None}),
    ],
)
def test_losses_that_no_slack_shows(tmp_path: Path, measure: str, change: dict[str, object]) -> None:
    rows = synthetic_rows(40, {"p": 0.0})
    worse = [row | (change if n % 4 == 0 else {}) for n, row in enumerate(rows)]
    found = compared(tmp_path, rows, worse)
    assert changed(found, measure)[3]
    assert changed(found, "worst slack")[0] == 0.0


def test_two_equal_versions_are_told_apart_as_rarely_as_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A and B draw their noise apart, four runs a case; 200 experiments on 25 cases of unlike difficulty."""
    from sjplan.bench import compare as module

    monkeypatch.setattr(module, "bootstrap_means", lambda values: bootstrap_means(values, resamples=2))
    rng, alarms = np.random.default_rng(0), 0
    case = np.repeat([f"case-{n}" for n in range(25)], 4).astype(object)
    for _ in range(200):
        of_case = np.repeat(rng.normal(0.6, 0.8, 25), 4)

        def version(of_case: np.ndarray = of_case) -> dict[str, np.ndarray]:
            moods = np.repeat(rng.normal(0.0, 0.4, 25), 4)  # what a version makes of a case, on all its runs
            slack = of_case + moods + rng.normal(0.0, 0.2, 100)
            return {
                "case_key": case, "slack_mm": slack, "cap_mm": np.full(100, 3.0),
                "accepted": (slack >= 0).astype(float), "false_accept": (rng.random(100) < 0.05).astype(float),
                "status": np.where(rng.random(100) < 0.05, "crashed", "found").astype(object),
            }  # fmt: skip

        alarms += any(change.lost for change in module._changes(version(), version()))
    assert 0.25 * ALPHA * 200 <= alarms <= (ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 200)) * 200


def test_a_crash_is_not_fast(tmp_path: Path) -> None:
    a = synthetic_rows(40, {"p": 0.2})
    crashed = {"status": "crashed", "accepted": None, "slack_mm": None, "seconds": 0.001}
    b = [row | crashed if n % 2 else row for n, row in enumerate(a)]
    assert compared(tmp_path, a, b).time_ratio == pytest.approx((1.0, 1.0, 1.0))


def test_only_runs_of_both_count(tmp_path: Path) -> None:
    rows = synthetic_rows(20, {"p": 0.2, "other": 0.1})
    found = compared(
        tmp_path, rows, [r | {"bound_mm": 0.1} if r["case_key"] == "case-00003" else r for r in rows[4:]], "p"
    )
    assert (found.pairs, found.only_a, found.only_b, found.other_bounds) == (38, 2, 0, 2)
    few = compared(tmp_path, rows[:8], regressed(rows[:8], 2.0), "p")
    assert few.blind
    assert not few.lost


def test_what_cannot_be_compared_gets_one_line(tmp_path: Path) -> None:
    rows = synthetic_rows(3, {"p": 0.2, "other": 0.1})
    with pytest.raises(
        SjplanError, match=r"found 2 planners \(other, p\); wanted one planner; fix: name it with --planner"
    ):
        compared(tmp_path, rows, rows)
    with pytest.raises(SjplanError, match="did you mean 'other'"):
        compared(tmp_path, rows, rows, "othr")
    with pytest.raises(SjplanError, match="no run that stands in both"):
        compared(tmp_path, rows, [row | {"budget_evaluations": 7} for row in rows], "p")
    with pytest.raises(SjplanError, match="several runs of"):
        compared(tmp_path, rows, [*rows, rows[0] | {"run": "other"}], rows[0]["planner"])
