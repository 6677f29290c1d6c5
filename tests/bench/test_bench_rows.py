"""Rows and runs: what decides an answer names it, and the hash of results sees nothing else."""

import dataclasses

import pytest

from sjplan.bench.rows import COLUMNS, checked, result_hash
from sjplan.bench.runs import CaseRef, PlannerRef, Run, RunBudget
from sjplan.bench.worker import identity
from sjplan.core.errors import InputError, SjplanError

LEAST = {"run": "a", "case_key": "x", "side": "left", "planner": "p", "seed": 0, "status": "found"}
CASE = CaseRef("adults-00001", "cohort", "adults", "0" * 64, 1, 0, 2.0)
RUN = Run(CASE, "left", PlannerRef("raster", "raster-v1"), ("tri-7",) * 3, RunBudget(evaluations=100))


def test_hash_is_of_what_was_found_in_any_order() -> None:
    rows = [checked(LEAST | {"run": name, "slack_mm": 1.0 + n}) for n, name in enumerate("abc")]
    timed = [row | {"seconds": 3.0, "worker": "w2", "experiment": "other", "memory_mb": 10.0} for row in rows[::-1]]
    assert result_hash(rows) == result_hash(timed)
    assert result_hash(rows) != result_hash(rows[:2])
    assert result_hash(rows) != result_hash([rows[0] | {"slack_mm": 1.0 + 1e-12}, *rows[1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "fine"}, "status"),
        ({"slack_mm": float("nan")}, "slack_mm"),
        ({"slack_mm": "2"}, "slack_mm"),
        ({"accepted": 1}, "accepted"),
        ({"seed": True}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"run": None}, "run"),
        ({"slak_mm": 1.0}, "slack_mm"),
    ],
)
def test_rows_that_are_none_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SjplanError, match=message):
        checked(LEAST | change)


def test_a_whole_number_of_millimetres_is_the_same_length() -> None:
    assert result_hash([checked(LEAST | {"cap_mm": 3})]) == result_hash([checked(LEAST | {"cap_mm": 3.0})])


def test_halves_of_characters_are_no_text() -> None:
    row = checked(LEAST | {"error_message": "no file \udcff.csv", "case_key": "\udcff"})
    assert (row["error_message"], row["case_key"]) == ("no file ?.csv", "?")


def test_where_a_cohort_lies_stands_in_no_row() -> None:
    elsewhere = dataclasses.replace(RUN, case=dataclasses.replace(CASE, source="/elsewhere/adults.toml"))
    assert identity(elsewhere) == identity(RUN)
    assert identity(RUN)["source"] == "adults"


def test_columns_are_named_once() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.parametrize(
    "change",
    [
        {"side": "right"},
        {"seed": 1},
        {"case": dataclasses.replace(CASE, sha256="1" * 64)},
        {"planner": PlannerRef("raster", "raster-v1", {"pool": 10})},
        {"budget": RunBudget(evaluations=101)},
        {"cap_mm": 4.0},
        {"settings_sha256": "other"},
    ],
)
def test_whatever_decides_an_answer_names_the_run(change: dict[str, object]) -> None:
    assert dataclasses.replace(RUN, **change).id != RUN.id  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"case": dataclasses.replace(CASE, source="/elsewhere/adults.toml", traits={"sex": "female"})},
        {"budget": RunBudget(evaluations=100, wall_limit_s=3.0, memory_limit_mb=500.0)},
    ],
)
def test_what_decides_nothing_does_not(change: dict[str, object]) -> None:
    assert dataclasses.replace(RUN, **change).id == RUN.id  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"planner": PlannerRef("other", "greedy-v1")}, True),
        ({"seed": 3}, True),
        ({"budget": RunBudget(evaluations=7)}, True),
        ({"case": dataclasses.replace(CASE, spacing_mm=1.0)}, False),
        ({"case": dataclasses.replace(CASE, sha256="2" * 64)}, False),
        ({"settings_sha256": "limits of the same file name"}, False),
        ({"side": "right"}, False),
    ],
)
def test_a_problem_is_the_same_for_every_planner_and_no_other(change: dict[str, object], same: bool) -> None:
    assert (dataclasses.replace(RUN, **change).problem == RUN.problem) is same  # type: ignore[arg-type]


def test_a_budget_is_positive() -> None:
    with pytest.raises(SjplanError, match="wall_limit_s"):
        RunBudget(wall_limit_s=0.0)
    assert issubclass(InputError, SjplanError)
