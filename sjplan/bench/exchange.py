"""What an external program is told and what it answers: schemas sjplan.problem/1 and sjplan.answer/1, as JSON.

Everything is in LPS millimetres and degrees. A problem holds what `Problem` holds, but no pixels of a CT. Field by
field the two stand in docs/bring_a_planner.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sjplan.anatomy.types import Anatomy, Foramen, Joint
from sjplan.core.errors import InputError
from sjplan.core.plan import Outcome, Plan, Reason, Side
from sjplan.core.structures import DANGERS, SURFACE_NAMES
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.surface import LabelledSurface
from sjplan.io.tables import validated
from sjplan.planning.protocol import Budget, Problem

PROBLEM: Final = "sjplan.problem/1"
ANSWER: Final = "sjplan.answer/1"

DECIMALS: Final = 4
"""Decimals of every length that a program is told (mm): a tenth of the judge's own tolerance."""

FAR_MM: Final = 1e5
"""No answer lies farther from the scanner's origin than this."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-FAR_MM, le=FAR_MM, allow_inf_nan=False)]
Point = Annotated[list[Coordinate], Field(min_length=3, max_length=3)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class _Implant(_Entry):
    entry_lps_mm: Point
    tip_lps_mm: Point
    roll_deg: Number = 0.0


class _Reason(_Entry):
    constraint: Annotated[str, Field(min_length=1, max_length=200)]
    missing: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    unit: Annotated[str, Field(max_length=20)] = "mm"
    text: Annotated[str, Field(min_length=1, max_length=2000)]


class _Answer(_Entry):
    schema_: Literal["sjplan.answer/1"] = Field(alias="schema")
    status: Literal["found", "best_effort", "infeasible", "timeout"]
    implants: list[_Implant] = []
    nearest: list[_Implant] = []
    reasons: Annotated[list[_Reason], Field(max_length=100)] = []
    evaluations: Annotated[int, Field(ge=0, le=10**15)] = 0


def problem_text(
    problem: Problem, seed: int, budget: Budget, parameters: Mapping[str, float | int | str | bool]
) -> str:
    """A problem as JSON with one top-level key a line, so that line-wise tools find their way.

    Parameters
    ----------
    problem : Problem
        What is to be planned.
    seed : int
        Of all randomness in the program.
    budget : Budget
        Its bounds are told; null is none.
    parameters : mapping
        What the planner was made with.
    """
    asked = {
        "schema": PROBLEM,
        "frame": "LPS",
        "units": "mm",
        "side": problem.side,
        "seed": seed,
        "budget": {"seconds": budget.seconds, "evaluations": budget.evaluations},
        "parameters": dict(parameters),
        "implants": [
            {
                "slot": slot,
                "model": model.id,
                "section": model.section,
                "inscribed_radius_mm": model.inscribed_radius_mm,
                "circumscribed_radius_mm": model.circumscribed_radius_mm,
                "corner_radius_mm": model.corner_radius_mm,
                "lengths_mm": list(model.lengths_mm),
            }
            for slot, model in enumerate(problem.models, 1)
        ],
        "limits": asdict(problem.limits),
        "structures": [
            {"name": name, "limit_mm": problem.limits.clearance_of(name) if name in DANGERS else None}
            for name in SURFACE_NAMES
        ],
        "obstacles": [
            {"model": t.model.id, "circumscribed_radius_mm": t.model.circumscribed_radius_mm, **_placed(t)}
            for t in problem.obstacles
        ],
    }
    return "{\n" + ",\n".join((*_lines(asked), *_anatomy_lines(problem.anatomy, problem.side))) + "\n}\n"


@lru_cache(maxsize=2)
def _anatomy_lines(anatomy: Anatomy, side: Side) -> tuple[str, ...]:
    """What takes longest to write, and is the same for every question about one side."""
    frame = anatomy.frame
    return _lines(
        {
            "pelvic_frame": {
                "origin_lps_mm": _plain(frame.origin_lps_mm),
                **{
                    name: axis.tolist() for name, axis in zip(("left", "posterior", "cranial"), frame.axes, strict=True)
                },
            },
            "landmarks_lps_mm": {name: _plain(point) for name, point in sorted(anatomy.landmarks.items())},
            "s1_endplate_normal": anatomy.s1_endplate_normal.tolist(),
            "joint": _joint(anatomy.joints[side]),
            "foramina": [_foramen(f) for f in anatomy.foramina],
            "canal_axis_lps_mm": _plain(anatomy.canal.axis_lps_mm),
            "sacrum": _surface(anatomy.sacrum),
            "ilium": _surface(anatomy.ilium[side]),
            "spacing_mm": _plain(anatomy.spacing_mm),
            "geometry_error_mm": anatomy.geometry_error_mm,
        }
    )


def _lines(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in document.items())


def read_answer(text: str, what: str, problem: Problem, planner_id: str) -> Outcome:
    """A program's answer as an outcome.

    Parameters
    ----------
    text : str
        What it wrote.
    what : str
        What errors call the program.
    problem : Problem
        What it was asked: side and models are not for it to choose.
    planner_id : str
        Who signs the plans.

    Raises
    ------
    InputError
        For anything that is not a valid answer to this problem.
    """
    try:
        values = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        shown = " ".join(text.split())[:60]
        found = f"{shown!r} ({' '.join(str(error).split())[:100]})" if shown else "nothing on stdout"
        raise InputError(what, found=found, wanted=f"one JSON object of schema {ANSWER} on stdout") from error
    if isinstance(values, dict) and values.get("schema") != ANSWER:
        raise InputError(what, found=f"schema {values.get('schema')!r}", wanted=f"schema {ANSWER!r}")
    answer = validated(_Answer, values, what)
    wants_plan = answer.status in ("found", "best_effort")
    if wants_plan != bool(answer.implants):
        found = f"status {answer.status} with {len(answer.implants)} implants"
        raise InputError(what, found=found, wanted="implants exactly for found and best_effort")

    def plan(name: str, implants: list[_Implant]) -> Plan | None:
        return _plan(f"{what}: {name}", implants, problem, planner_id) if implants else None

    reasons = tuple(Reason(r.constraint, np.inf if r.missing is None else r.missing, r.unit, r.text)
                    for r in answer.reasons)  # fmt: skip
    return Outcome(
        answer.status,
        plan=plan("implants", answer.implants),
        nearest=plan("nearest", answer.nearest),
        reasons=reasons,
        evaluations=answer.evaluations,
    )


def _plan(what: str, implants: list[_Implant], problem: Problem, planner_id: str) -> Plan:
    if len(implants) != problem.count:
        raise InputError(what, found=f"{len(implants)} implants", wanted=f"{problem.count}, one a slot")
    for slot, implant in enumerate(implants, 1):
        if implant.entry_lps_mm == implant.tip_lps_mm:
            raise InputError(f"{what}: slot {slot}", found="entry and tip at one point", wanted="two different points")
    return Plan(
        problem.side,
        tuple(
            Trajectory(np.array(i.entry_lps_mm), np.array(i.tip_lps_mm), i.roll_deg, model)
            for i, model in zip(implants, problem.models, strict=True)
        ),
        planner_id,
    )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _plain(values: Any) -> Any:
    return np.round(np.asarray(values, dtype=np.float64), DECIMALS).tolist()


def _joint(joint: Joint) -> dict[str, Any]:
    return {
        "sacral_lps_mm": _plain(joint.sacral_lps_mm),
        "iliac_lps_mm": _plain(joint.iliac_lps_mm),
        "normal": _plain(joint.normal),
        "articular": joint.articular.tolist(),
        "mean_normal": joint.mean_normal.tolist(),
    }


def _foramen(foramen: Foramen) -> dict[str, Any]:
    mouths = {"ventral": foramen.ventral, "dorsal": foramen.dorsal}
    return {
        "structure": foramen.name,
        "level": foramen.level,
        "side": foramen.side,
        "most_lateral_mm": round(foramen.most_lateral_mm, DECIMALS),
        "centreline_lps_mm": _plain(foramen.centreline_lps_mm),
        **{f"{k}_mouth_lps_mm": None if m is None else _plain(m.centre_lps_mm) for k, m in mouths.items()},
    }


def _surface(surface: LabelledSurface) -> dict[str, Any]:
    return {
        "vertices_lps_mm": _plain(surface.vertices_lps_mm),
        "triangles": surface.triangles.tolist(),
        "structure": surface.label.tolist(),
    }


def _placed(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "entry_lps_mm": _plain(trajectory.entry_lps_mm),
        "tip_lps_mm": _plain(trajectory.tip_lps_mm),
        "roll_deg": trajectory.roll_deg,
    }
