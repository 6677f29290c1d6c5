"""C-arms by name: the shipped file, and a user's own on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.errors import GeometryError, InputError
from sjplan.io.catalogue import Id
from sjplan.io.physics import read_physics
from sjplan.io.tables import shipped_and_own
from sjplan.xray.device import Device, Kind

Positive = Annotated[float, Field(gt=0, lt=5000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=0.5, allow_inf_nan=False)]

Degrees = Annotated[float, Field(ge=-360, le=360, allow_inf_nan=False)]
Range = tuple[Degrees, Degrees]
Millimetres = Annotated[float, Field(ge=-2000, le=2000, allow_inf_nan=False)]
Travel = tuple[Millimetres, Millimetres]


class _Carm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: str
    kind: Kind
    source_to_isocentre_mm: Positive
    source_to_detector_mm: Positive
    field_mm: Positive
    orbital_deg: Range
    tilt_deg: Range
    wig_wag_deg: Range
    across_mm: Travel = (-100.0, 100.0)
    lift_mm: Travel = (-215.0, 215.0)
    along_mm: Travel = (-300.0, 300.0)
    focal_spot_mm: Positive
    kvp_min: Positive
    kvp_max: Positive
    ma_at_min: Positive
    ma_at_max: Positive
    frames_per_s: Positive
    filters_mm: dict[str, Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]]
    mtf50_per_mm: Positive
    glare_share: Share = 0.0
    pincushion: Share = 0.0
    heel_share: Share = 0.0
    sources: list[str] = []


class _Carms(BaseModel):
    model_config = ConfigDict(extra="forbid")

    carms: dict[Id, _Carm]


def read_carms(extra: str | Path | None = None) -> dict[str, Device]:
    """C-arms by id: those shipped, then those of the user's file, which add to or replace them.

    Raises
    ------
    InputError
        Naming file, entry and field.

    Examples
    --------
    >>> sorted(read_carms())
    ['flat-panel', 'intensifier-12']
    >>> read_carms()["flat-panel"].detector().pixel_mm
    0.58203125
    """
    found: dict[str, Device] = {}
    for what, table in shipped_and_own(_Carms, "carms.toml", extra):
        for id_, entry in table.carms.items():
            try:
                found[id_] = Device(id=id_, **entry.model_dump(exclude={"sources"}))
            except GeometryError as error:
                raise InputError(f"{what}: carms.{error.what}", found=error.found, wanted=error.wanted) from error
            for material in entry.filters_mm:
                if material not in read_physics().mu_per_mm:
                    wanted = "one of " + ", ".join(read_physics().mu_per_mm)
                    raise InputError(f"{what}: carms.{id_} filters_mm", found=repr(material), wanted=wanted)
    return found
