"""The limits of a plan: the shipped defaults, and a user's own values on top of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.errors import GeometryError, InputError, UnknownNameError, unknown_name
from sjplan.core.limits import Limits
from sjplan.core.structures import LIMIT_KINDS
from sjplan.io.tables import read_shipped, read_toml, validated

Millimetres = Annotated[float, Field(ge=0, le=500, allow_inf_nan=False)]
Clearance = Annotated[float, Field(ge=-50, le=500, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clearance_mm: dict[str, Clearance]
    clearance_finding_mm: dict[str, Clearance]
    lower_bound_kinds: list[str]
    sacral_min_mm: Millimetres
    sacral_finding_mm: Millimetres
    iliac_min_mm: Millimetres
    crossing_spacing_min_mm: Millimetres
    solid_gap_min_mm: Millimetres
    mutual_angle_max_deg: Degrees
    joint_normal_angle_max_deg: Degrees
    articular_min_count: Annotated[int, Field(ge=0, le=3)]
    protrusion_min_mm: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)]
    protrusion_max_mm: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)]
    protrusion_target_mm: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)]


def read_limits(path: str | Path | None = None) -> Limits:
    """The default limits, with the values of a user's TOML file in place of those it names.

    Parameters
    ----------
    path : path, optional
        TOML file with any of the fields of the shipped `limits.toml`; a table such as `[clearance_mm]` may hold
        single kinds.

    Raises
    ------
    InputError, UnknownNameError
        Naming the file, the field and, for a kind that does not exist, the nearest that does.

    Examples
    --------
    >>> limits = read_limits()
    >>> limits.clearance_of("foramen_S1_left"), limits.clearance_finding_mm["notch"]
    (2.0, 10.0)
    """
    table = read_shipped("limits.toml")
    what = "limits.toml"
    if path is not None:
        what = str(path)
        table = _overridden(what, table, read_toml(path))
    entry = validated(_Limits, table, what)
    for field, kinds in (
        ("clearance_mm", entry.clearance_mm),
        ("clearance_finding_mm", entry.clearance_finding_mm),
        ("lower_bound_kinds", entry.lower_bound_kinds),
    ):
        for kind in kinds:
            if kind not in LIMIT_KINDS:
                raise unknown_name(f"{what}: {field}", kind, LIMIT_KINDS)
    values = entry.model_dump()
    values["lower_bound_kinds"] = tuple(values["lower_bound_kinds"])
    try:
        return Limits(**values)
    except (GeometryError, UnknownNameError) as error:
        raise InputError(f"{what}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix) from error


def _overridden(what: str, table: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`table` with the values of `own`; tables are merged key by key."""
    result = dict(table)
    for name, value in own.items():
        if name not in table:
            raise unknown_name(f"{what}: field", name, table)
        base = table[name]
        result[name] = {**base, **value} if isinstance(base, dict) and isinstance(value, dict) else value
    return result
