"""Implants that lie in the patient before an operation begins, as the header of its log holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sjplan.core.arrays import Array, check_unit, check_vector
from sjplan.core.errors import GeometryError, InputError, unknown_name
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Side, check_side
from sjplan.core.trajectory import Trajectory
from sjplan.training.moves import MOST_IMPLANTS
from sjplan.training.state import Implanted, Passage

FARTHEST_MM: Final = 1e5
"""No patient lies farther from a scanner's origin."""


def earlier(side: Side, trajectory: Trajectory, protrusion_mm: float) -> Implanted:
    """An implant of an earlier operation, on a path drilled to its tip.

    Examples
    --------
    >>> rod = ImplantModel("rod", "a rod", "cylinder", 3.65, 3.65, (40.0,))
    >>> placed = earlier("left", Trajectory((60, 0, 0), (20, 0, 0), 0.0, rod), 3.0)
    >>> placed.passage.entry_lps_mm.tolist(), placed.passage.drilled_mm
    ([57.0, 0.0, 0.0], 37.0)
    """
    deep_mm = trajectory.length_mm - protrusion_mm
    entry = trajectory.entry_lps_mm + protrusion_mm * trajectory.axis
    return Implanted(side, trajectory, Passage(side, entry, trajectory.axis, deep_mm, deep_mm, trajectory.roll_deg))


def given_from(plain: object, models: Mapping[str, ImplantModel]) -> tuple[Implanted, ...]:
    """What `Implanted.as_dict` wrote, checked as if a stranger had.

    Raises
    ------
    InputError, UnknownNameError
        For anything that is no implant, each with its place in the list.
    """
    if not isinstance(plain, list):
        raise InputError("session log given", found=type(plain).__name__, wanted="a list of implants")
    return tuple(_implanted(one, f"session log given[{n}]", models) for n, one in enumerate(plain))


def require_given(given: Sequence[Implanted], models: Mapping[str, ImplantModel]) -> tuple[Implanted, ...]:
    """The implants, if they are of models on the shelf and no more than one side takes.

    Raises
    ------
    InputError, UnknownNameError
        Otherwise.
    """
    for implant in given:
        if implant.trajectory.model.id not in models:
            raise unknown_name("given implant", implant.trajectory.model.id, models)
        count = sum(other.side == implant.side for other in given)
        if count > MOST_IMPLANTS:
            raise InputError(f"given implants, {implant.side}", found=f"{count}", wanted=f"at most {MOST_IMPLANTS}")
    return tuple(given)


def _implanted(plain: object, what: str, models: Mapping[str, ImplantModel]) -> Implanted:
    fields = _fields(plain, what, ("side", "model", "entry_lps_mm", "tip_lps_mm", "roll_deg", "passage"))
    side, model = check_side(str(fields["side"])[:60]), str(fields["model"])[:60]
    if model not in models:
        raise unknown_name(f"{what}.model", model, models)
    entry, tip = (_point(fields[name], f"{what}.{name}") for name in ("entry_lps_mm", "tip_lps_mm"))
    roll_deg = _number(fields["roll_deg"], f"{what}.roll_deg")
    try:
        trajectory = Trajectory(entry, tip, roll_deg, models[model])
        passage = _passage(fields["passage"], f"{what}.passage", side)
    except GeometryError as error:
        raise InputError(f"{what}: {error.what}", found=error.found, wanted=error.wanted) from error
    if not trajectory.in_catalogue:
        lengths = ", ".join(f"{length:g}" for length in trajectory.model.lengths_mm)
        raise InputError(f"{what} length", found=f"{trajectory.length_mm:.2f} mm", wanted=f"one of {lengths} mm")
    return Implanted(side, trajectory, passage)


def _passage(plain: object, what: str, side: Side) -> Passage:
    path = _fields(plain, what, ("side", "entry_lps_mm", "axis", "drilled_mm", "broached_mm", "roll_deg"))
    if path["side"] != side:
        raise InputError(f"{what}.side", found=repr(path["side"])[:60], wanted=side)
    axis = check_unit("axis", _point(path["axis"], f"{what}.axis"))
    drilled, broached, roll = (
        _number(path[name], f"{what}.{name}") for name in ("drilled_mm", "broached_mm", "roll_deg")
    )
    return Passage(side, _point(path["entry_lps_mm"], f"{what}.entry_lps_mm"), axis, drilled, broached, roll)


def _fields(plain: object, what: str, names: Iterable[str]) -> Mapping[str, Any]:
    """A mapping with just these keys."""
    wanted = sorted(names)
    if not isinstance(plain, dict) or sorted(map(str, plain)) != wanted:
        found = ", ".join(sorted(map(str, plain)))[:80] if isinstance(plain, dict) else type(plain).__name__
        raise InputError(what, found=found or "nothing", wanted=", ".join(wanted))
    return plain


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= FARTHEST_MM:
        raise InputError(what, found=repr(value)[:60], wanted=f"a number within {FARTHEST_MM:g}")
    return float(value)


def _point(value: object, what: str) -> Array:
    if not isinstance(value, list) or len(value) != 3:
        raise InputError(what, found=repr(value)[:60], wanted="three numbers")
    return check_vector(what, [_number(one, what) for one in value])
