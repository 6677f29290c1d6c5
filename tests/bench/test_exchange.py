"""What a program is told holds the whole problem and nothing beside it; what it answers is checked field by field."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sjplan.bench.exchange import ANSWER, FAR_MM, PROBLEM, problem_text, read_answer
from sjplan.core.errors import InputError
from sjplan.core.structures import DANGERS
from sjplan.core.trajectory import Trajectory
from sjplan.planning.protocol import Budget, Problem

PAGE = Path(__file__).parents[2] / "docs" / "bring_a_planner.md"


@pytest.fixture(scope="module")
def told(problem: Problem) -> dict[str, Any]:
    """What a program reads."""
    return json.loads(problem_text(problem, 7, Budget(seconds=2.5), {"draws": 3}))  # type: ignore[no-any-return]


def test_surfaces_come_whole(problem: Problem, told: dict[str, Any]) -> None:
    names = [s["name"] for s in told["structures"]]
    for key, surface in (("sacrum", problem.anatomy.sacrum), ("ilium", problem.anatomy.ilium["left"])):
        assert np.array(told[key]["vertices_lps_mm"]) == pytest.approx(surface.vertices_lps_mm, abs=1e-4)
        assert np.array_equal(told[key]["triangles"], surface.triangles)
        assert {names[i] for i in told[key]["structure"]} == set(surface.structures())


def test_limits_joint_frame_and_models(problem: Problem, told: dict[str, Any]) -> None:
    joint = problem.anatomy.joints["left"]
    assert (told["schema"], told["side"], told["seed"]) == (PROBLEM, "left", 7)
    assert told["budget"] == {"seconds": 2.5, "evaluations": None}
    assert told["parameters"] == {"draws": 3}
    limit = {s["name"]: s["limit_mm"] for s in told["structures"]}
    assert {name for name, value in limit.items() if value is not None} == set(DANGERS)
    assert limit["foramen_S1_left"] == told["limits"]["clearance_mm"]["foramen"] == 2.0
    assert np.array(told["joint"]["sacral_lps_mm"]) == pytest.approx(joint.sacral_lps_mm, abs=1e-4)
    assert sum(told["joint"]["articular"]) == joint.articular.sum()
    frame = told["pelvic_frame"]
    axes = np.array([frame[name] for name in ("left", "posterior", "cranial")])
    at = (np.array(told["landmarks_lps_mm"]["promontory"]) - frame["origin_lps_mm"]) @ axes.T
    assert at == pytest.approx(problem.anatomy.frame.frame_from_lps(problem.anatomy.landmarks["promontory"]), abs=1e-3)
    assert [i["lengths_mm"] for i in told["implants"]] == [list(m.lengths_mm) for m in problem.models]
    assert {f["structure"] for f in told["foramina"]} <= set(DANGERS)


def test_obstacles_are_told(problem: Problem) -> None:
    rod = Trajectory(np.array([60.0, 0, 0]), np.array([20.0, 0, 0]), 30.0, problem.models[0])
    (told,) = json.loads(problem_text(replace(problem, obstacles=(rod,)), 0, Budget(), {}))["obstacles"]
    assert told == {"model": "tri-7", "circumscribed_radius_mm": 6.0, "entry_lps_mm": [60.0, 0.0, 0.0],
                    "tip_lps_mm": [20.0, 0.0, 0.0], "roll_deg": 30.0}  # fmt: skip


def test_one_key_a_line_and_every_key_on_the_page(told: dict[str, Any], problem: Problem) -> None:
    lines = problem_text(problem, 0, Budget(), {}).splitlines()
    assert [line.split('"')[1] for line in lines[1:-1]] == list(told)
    page = PAGE.read_text(encoding="utf-8")
    inner = {key for v in told.values() for e in ([v] if isinstance(v, dict) else v if isinstance(v, list) else [])
             if isinstance(e, dict) for key in e}  # fmt: skip
    inner -= {*told["limits"], *told["landmarks_lps_mm"], "draws"}
    missing = [key for key in (*told, *inner) if f"`{key}`" not in page]
    assert missing == []


def answer(**fields: Any) -> str:
    implant = {"entry_lps_mm": [60, 0, 0], "tip_lps_mm": [20, 0, 0], "roll_deg": 10}
    return json.dumps({"schema": ANSWER, "status": "found", "implants": [implant] * 3, **fields})


def test_an_answer_becomes_an_outcome(problem: Problem) -> None:
    outcome = read_answer(answer(evaluations=9, more="ignored"), "p", problem, "mine-v1")
    assert outcome.plan is not None
    assert (outcome.status, outcome.evaluations, outcome.plan.planner, outcome.plan.side) == (
        "found",
        9,
        "mine-v1",
        "left",
    )
    assert [t.model for t in outcome.plan.trajectories] == list(problem.models)
    assert outcome.plan.trajectories[0].tip_lps_mm.tolist() == [20.0, 0.0, 0.0]
    why = [{"constraint": "clearance:canal", "missing": None, "text": "no way"}]
    refusal = read_answer(answer(status="infeasible", implants=[], reasons=why), "p", problem, "mine-v1")
    assert refusal.reasons[0].missing == math.inf


def placed(entry: list[float], tip: list[float] | None, count: int = 3) -> str:
    return answer(implants=[{"entry_lps_mm": entry, **({"tip_lps_mm": tip} if tip else {})}] * count)


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "p: found nothing on stdout; wanted one JSON object of schema sjplan.answer/1"),
     ("hello\nworld", "p: found 'hello world'"),
     (answer() + answer(), "Extra data"),
     ("[" * 100_000, "p: found '\\["),
     ("[1]", "p: found"),
     (answer(schema="sjplan.answer/9"), "found schema 'sjplan.answer/9'; wanted schema 'sjplan.answer/1'"),
     (answer(status="done"), "p: status: found 'done'; wanted 'found', 'best_effort', 'infeasible' or 'timeout'"),
     (answer(status="infeasible"), "found status infeasible with 3 implants; wanted implants exactly for found"),
     (answer(implants=[]), "found status found with 0 implants"),
     (placed([1, 2, 3], [4, 5, 6], 2), "implants: found 2 implants; wanted 3"),
     (placed([1, 2, 3], [1, 2, 3]), "slot 1: found entry and tip at one"),
     (placed([1, 2], [1, 2, 3]), r"implants.0.entry_lps_mm: found \[1, 2\]"),
     (placed([1, 2, 3], None), "implants.0.tip_lps_mm: found nothing"),
     (placed([1, 2, 2 * FAR_MM], [1, 2, 3]), "less than or equal to"),
     (answer().replace("60", "NaN"), "NaN is no JSON number"),
     (answer().replace("60", "-Infinity"), "-Infinity is no JSON number"),
     (answer().replace("60", "1e999"), "implants.0.entry_lps_mm.0: found inf"),
     (answer().replace("60", '"x"'), "implants.0.entry_lps_mm.0: found 'x'"),
     (answer(evaluations=-1), "evaluations: found -1")],
)  # fmt: skip
def test_what_is_no_answer_is_one_line(problem: Problem, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_answer(text, "p", problem, "mine-v1")
    assert len(str(caught.value)) < 400
