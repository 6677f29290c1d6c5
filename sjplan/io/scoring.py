"""How operations are rated: the shipped file, or a user's own in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.errors import GeometryError, InputError, unknown_name
from sjplan.core.scoring import Complication, GradeScheme, Measure, Scoring
from sjplan.io.tables import read_shipped, read_toml, validated

Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]

MEASURES = (
    *("margin_mm", "sacral_mm", "iliac_mm", "protrusion_off_mm", "articular_share", "spacing_mm", "tip_off_plan_mm"),
    *("angle_off_plan_deg", "shots", "dose_area_ugy_m2", "redirections", "perforations", "near_misses"),
    *("pins_harmed", "minutes", "views_true_share", "checked_share"),
)
"""What `training.score` measures: a file may leave some out, and name no others."""


class _Measure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    good: Number
    bad: Number
    weight: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
    kind: Literal["geometry", "process"]
    source: str
    stands_for: list[str] = []


class _Grades(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grades: list[str]
    from_mm: list[Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]]
    source: str


class _Complication(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cases: Count | None = None
    of: Annotated[int, Field(ge=1, le=10**9)] | None = None
    modelled: bool
    source: str


class _Scoring(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: Literal["sjplan.scoring/1"] = Field(alias="schema")
    name: str
    measures: dict[str, _Measure]
    grades: dict[str, _Grades]
    complications: dict[str, _Complication]


def read_scoring(path: str | Path | None = None) -> Scoring:
    """The shipped way to rate an operation, or a user's own file of the same form.

    Raises
    ------
    InputError, UnknownNameError
        Naming file, entry and field.

    Examples
    --------
    >>> scoring = read_scoring()
    >>> scoring.measures["margin_mm"].good, scoring.grades["smith"].grade(2.5)
    (5.0, '2')
    """
    what = "scoring.toml" if path is None else str(path)
    entry = validated(_Scoring, read_shipped(what) if path is None else read_toml(what), what)
    for name in entry.measures:
        if name not in MEASURES:
            raise unknown_name(f"{what}: measures", name, MEASURES)
    if not any(m.weight > 0 for m in entry.measures.values()):
        raise InputError(f"{what}: measures", found="no weight above 0", wanted="at least one")
    try:
        return Scoring(
            entry.name,
            {name: _measure(m) for name, m in entry.measures.items()},
            {name: GradeScheme(tuple(g.grades), tuple(g.from_mm), g.source) for name, g in entry.grades.items()},
            {name: Complication(**c.model_dump()) for name, c in entry.complications.items()},
        )
    except GeometryError as error:
        raise InputError(f"{what}: {error.what}", found=error.found, wanted=error.wanted) from error


def _measure(entry: _Measure) -> Measure:
    return Measure(**(entry.model_dump() | {"stands_for": tuple(entry.stands_for)}))
