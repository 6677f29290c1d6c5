"""Tables and curves of an experiment against counting by hand."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from bench_rows import CAP_MM, synthetic_rows

from sjplan.bench.curves import Curve, anytime, curve_rows, profiles
from sjplan.bench.rows import Row
from sjplan.bench.store import open_results, write_results
from sjplan.bench.tables import (
    Runs,
    breakdown,
    distributions,
    failures,
    hardest,
    load_runs,
    pairs,
    summary,
    trait_groups,
)
from sjplan.core.errors import SjplanError

pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")

ROWS = synthetic_rows(30, {"poor": 0.7, "good": 0.1, "middle": 0.3}, seeds=2)


def runs_of(rows: list[Row], folder: Path) -> Runs:
    return load_runs(open_results(write_results(folder / "r.duckdb", {}, rows)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return runs_of(ROWS, tmp_path_factory.mktemp("tables"))


def mine(planner: str, **wanted: object) -> list[Row]:
    return [r for r in ROWS if r["planner"] == planner and all(r[k] == v for k, v in wanted.items())]


def test_summary_is_what_counting_gives(runs: Runs) -> None:
    rows = summary(runs)
    assert [row["planner"] for row in rows] == ["good", "middle", "poor"]
    for row in rows:
        accepted = mine(row["planner"], accepted=True)
        assert (row["runs"], row["cases"], row["accepted"]) == (120, 30, len(accepted))
        assert row["accepted_low"] < row["accepted_share"] == len(accepted) / 120 < row["accepted_high"]
        assert row["regret_median_mm"] == pytest.approx(np.median([r["regret_mm"] for r in accepted]))
        assert row["regret_worst_mm"] == pytest.approx(max(r["regret_mm"] for r in accepted))
        slack = [min(r["slack_mm"], CAP_MM) for r in mine(row["planner"])]
        assert (row["slack_n"], row["slack_median_mm"]) == (120, pytest.approx(np.median(slack)))
        assert (row["found"], row["infeasible"], row["true_known"]) == (len(accepted), 120 - len(accepted), 0)


def test_pairs_find_what_was_put_in_and_nothing_else(tmp_path: Path) -> None:
    rows = synthetic_rows(60, {"a": 0.0, "b": 0.0, "c": 0.5})
    found = pairs(runs_of(rows, tmp_path))
    slack = {tuple(sorted((r["a"], r["b"]))): r for r in found if r["measure"] == "slack_mm"}
    assert slack["a", "b"]["p_corrected"] > 0.05
    for other in ("a", "b"):
        row = slack[other, "c"]
        assert row["difference"] == pytest.approx(0.5 if row["b"] == "c" else -0.5, abs=0.12)
        assert row["low"] < row["difference"] < row["high"]
        assert row["p_corrected"] < 1e-6
        assert (row["pairs"], row["cases"]) == (120, 60)
    times = [r for r in found if r["measure"] == "seconds_ratio"]
    assert all(r["low"] < 1.0 < r["high"] or r["p_corrected"] < 0.5 for r in times)
    assert {r["measure"] for r in found} == {"slack_mm", "accepted", "seconds_ratio"}
    assert all(r["p_corrected"] >= r["p"] for r in found)


def test_a_crash_is_not_fast(tmp_path: Path) -> None:
    rows = synthetic_rows(6, {"a": 0.0, "b": 0.0})
    for n, row in enumerate(rows):
        row["seconds"] = 2.0
        if row["planner"] == "b" and n % 3 == 0:
            rows[n] = row | {"status": "crashed", "accepted": None, "slack_mm": None, "seconds": 0.001}
    found = runs_of(rows, tmp_path)
    assert [row["seconds_median"] for row in summary(found)] == [2.0, 2.0]
    times = next(row for row in pairs(found) if row["measure"] == "seconds_ratio")
    assert times["difference"] == pytest.approx(1.0)
    assert times["pairs"] < 12


def test_only_problems_of_both_are_paired(tmp_path: Path) -> None:
    rows = [r for r in ROWS if r["planner"] != "poor" or r["side"] == "left"]
    rows = [r | {"slack_mm": None, "accepted": None} if r["planner"] == "middle" and r["seed"] else r for r in rows]
    rows.append(ROWS[0] | {"run": "other", "planner": "lonely", "budget_evaluations": 9})
    found = {(r["measure"], *sorted((r["a"], r["b"]))): r for r in pairs(runs_of(rows, tmp_path))}
    assert found["slack_mm", "good", "middle"]["pairs"] == 60
    assert found["accepted", "good", "middle"]["pairs"] == 120
    assert found["accepted", "good", "poor"]["pairs"] == 60
    lonely = found["slack_mm", "good", "lonely"]
    assert (lonely["pairs"], lonely["difference"], lonely["p_corrected"]) == (0, None, 1.0)


def test_the_order_of_rows_changes_nothing(runs: Runs, tmp_path: Path) -> None:
    shuffled = list(ROWS)
    random.Random(0).shuffle(shuffled)
    again = runs_of(shuffled, tmp_path)
    for table in (summary, pairs, distributions, breakdown, failures, hardest):
        assert json.dumps(table(again)) == json.dumps(table(runs))  # type: ignore[operator]
    for curves in (profiles, anytime):
        assert curve_rows(again, curves(again)) == curve_rows(runs, curves(runs))


def test_breakdown_covers_every_run_in_order_of_degree(runs: Runs) -> None:
    groups = trait_groups(runs)
    assert list(groups) == ["sex", "age", "dysmorphism"]
    assert groups["dysmorphism"].groups == ("none", "some", "marked")
    assert len(groups["age"].groups) == 3
    rows = breakdown(runs)
    for trait in groups:
        for planner in runs.planners:
            mine = [r for r in rows if r["trait"] == trait and r["planner"] == planner]
            assert sum(r["runs"] for r in mine) == 120
            assert sum(r["cases"] for r in mine) == 30
    row = next(r for r in rows if (r["group"], r["planner"]) == ("female", "good"))
    female = [r for r in ROWS if r["planner"] == "good" and r["traits"]["sex"] == "female"]
    assert row["accepted_share"] == pytest.approx(np.mean([r["accepted"] for r in female]))


def test_cases_without_a_trait_are_in_no_group_of_it(tmp_path: Path) -> None:
    rows = [r | {"traits": {} if r["case_key"] < "case-00010" else {"bone": 1.5}} for r in ROWS]
    rows[0] = rows[0] | {"traits": None}
    found = breakdown(runs_of(rows, tmp_path))
    assert {(r["trait"], r["group"], r["cases"]) for r in found} == {("bone", "1.5", 20)}


def test_failures_are_counted_by_what_they_say(tmp_path: Path) -> None:
    broken = {
        "status": "crashed",
        "error_type": "ValueError",
        "error_message": "no",
        "accepted": None,
        "slack_mm": None,
    }
    rows = [r | broken if n % 9 == 0 else r for n, r in enumerate(ROWS)]
    rows[1] |= {"false_accept": True, "accepted": False}
    found = failures(runs_of(rows, tmp_path))
    assert sum(r["runs"] for r in found if r["status"] == "crashed") == sum(r["status"] == "crashed" for r in rows)
    assert [r["runs"] for r in found] == sorted((r["runs"] for r in found), reverse=True)
    lie = next(r for r in found if r["status"] == "false accept")
    assert (lie["example_run"], lie["planner"], lie["case"]) == (
        rows[1]["run"],
        rows[1]["planner"],
        rows[1]["case_key"],
    )


def test_hardest_sides_come_first(runs: Runs) -> None:
    found = hardest(runs)
    shares = [r["accepted"] / r["runs"] for r in found]
    assert shares == sorted(shares)
    assert shares[-1] < 1.0
    first = [r for r in ROWS if (r["case_key"], r["side"]) == (found[0]["case"], found[0]["side"])]
    assert found[0]["accepted"] == sum(r["accepted"] for r in first)
    assert found[0]["best_slack_mm"] == max(r["slack_mm"] for r in first)
    best = next(r for r in first if r["run"] == found[0]["run"])
    assert (best["planner"], best["slack_mm"]) == (found[0]["best_planner"], found[0]["best_slack_mm"])


def at(curve: Curve, runs: Runs, planner: str) -> np.ndarray:
    values: np.ndarray = curve.values[runs.planners.index(planner)]
    return values


def test_profiles_end_at_the_accepted_share_and_begin_at_who_is_best(runs: Runs) -> None:
    slack, time = profiles(runs)
    for row in summary(runs):
        for curve in (slack, time):
            values = at(curve, runs, row["planner"])
            assert values[-1] == pytest.approx(row["accepted_share"])
            assert (np.diff(values) >= 0).all()
    solved = len({(r["case_key"], r["side"], r["seed"]) for r in ROWS if r["accepted"]})
    assert slack.values[:, 0].sum() == pytest.approx(solved / 120)
    assert (slack.n, time.n) == (120, 120)


def test_anytime_is_what_was_there_by_then(runs: Runs) -> None:
    share, middle = anytime(runs)
    for planner in runs.planners:
        rows = mine(planner)
        for m in (0, 20, 40, 60):
            step, best = share.steps[m], []
            for r in rows:
                offers = [*r["anytime"], [r["seconds"], 0, r["slack_mm"], r["accepted"]]]
                best.append(max((min(o[2], CAP_MM) for o in offers if o[3] and o[0] <= step), default=-np.inf))
            assert at(share, runs, planner)[m] == pytest.approx(np.isfinite(best).mean())
            with np.errstate(invalid="ignore"):
                wanted = np.median(best)
            assert at(middle, runs, planner)[m] == pytest.approx(wanted if np.isfinite(wanted) else np.nan, nan_ok=True)


def test_what_makes_no_table_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(SjplanError, match="found no runs; wanted at least one"):
        runs_of([], tmp_path)
    with pytest.raises(SjplanError, match="two runs of one planner"):
        runs_of([ROWS[0], ROWS[0] | {"run": "again", "parameters": {"pool": 99}}], tmp_path)
