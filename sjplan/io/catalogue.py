"""The catalogue of implants and pins: the shipped file, and a user's own on top of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.errors import GeometryError, InputError
from sjplan.core.implant import ImplantModel, Thread
from sjplan.io.tables import shipped_and_own

Length = Annotated[float, Field(gt=0, lt=300, allow_inf_nan=False)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
"""Ids become parts of file names."""

Radius = Annotated[float, Field(gt=0, lt=20, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class PinModel:
    """A guide pin: what is drawn and pushed, never planned as an implant."""

    id: str
    summary: str
    radius_mm: float
    sources: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: str
    sources: list[str] = []
    recalled: list[str] = []


class _Thread(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pitch_mm: Annotated[float, Field(ge=0.5, le=20, allow_inf_nan=False)]
    core_radius_mm: Radius
    length_mm: Length | None = None


class _Implant(_Entry):
    section: Literal["cylinder", "triangle"]
    inscribed_radius_mm: Radius
    corner_radius_mm: Annotated[float, Field(ge=0, lt=20, allow_inf_nan=False)] | None = None
    lengths_mm: Annotated[list[Length], Field(min_length=1)]
    thread: _Thread | None = None


class _Pin(_Entry):
    radius_mm: Radius


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    implants: dict[Id, _Implant] = {}
    pins: dict[Id, _Pin] = {}


def read_implants(extra: str | Path | None = None) -> dict[str, ImplantModel]:
    """Implant models by id: those shipped, then those of the user's file, which add to or replace them.

    Parameters
    ----------
    extra : path, optional
        TOML file with `[implants.ID]` tables: summary, section ("cylinder" or "triangle"),
        inscribed_radius_mm, corner_radius_mm (triangles), lengths_mm, and, if wanted, thread (cylinders: pitch_mm,
        core_radius_mm, length_mm from the medial end), sources and recalled.

    Raises
    ------
    InputError
        Naming file, entry and field.

    Examples
    --------
    >>> models = read_implants()
    >>> sorted(models)
    ['screw-7.3', 'thread-10', 'thread-11.5', 'tri-7']
    >>> models["tri-7"].circumscribed_radius_mm, models["tri-7"].recalled
    (6.0, ('inscribed_radius_mm', 'corner_radius_mm', 'lengths_mm'))
    """
    return {
        id_: _implant(what, id_, entry)
        for what, catalogue in shipped_and_own(_Catalogue, "implants.toml", extra)
        for id_, entry in catalogue.implants.items()
    }


def read_pins(extra: str | Path | None = None) -> dict[str, PinModel]:
    """Guide pins by id; see `read_implants`.

    Examples
    --------
    >>> read_pins()["pin-3.2"].radius_mm
    1.6
    """
    return {
        id_: PinModel(id_, entry.summary, entry.radius_mm, tuple(entry.sources), tuple(entry.recalled))
        for _, catalogue in shipped_and_own(_Catalogue, "implants.toml", extra)
        for id_, entry in catalogue.pins.items()
    }


def _implant(what: str, id_: str, entry: _Implant) -> ImplantModel:
    place = f"{what}: implants.{id_}"
    if entry.section == "triangle" and entry.corner_radius_mm is None:
        raise InputError(f"{place}.corner_radius_mm", found="nothing", wanted="the radius of the rounded corners",
                         fix="add corner_radius_mm; 0 makes sharp corners")  # fmt: skip
    fields = type(entry).model_fields
    for name in entry.recalled:
        if name not in fields:
            raise InputError(f"{place}.recalled", found=repr(name), wanted="names of fields of this entry")
    corner = entry.inscribed_radius_mm if entry.corner_radius_mm is None else entry.corner_radius_mm
    thread = None if entry.thread is None else Thread(**entry.thread.model_dump())
    try:
        return ImplantModel(
            id_, entry.summary, entry.section, entry.inscribed_radius_mm, corner, tuple(entry.lengths_mm),
            tuple(entry.sources), tuple(entry.recalled), thread,
        )  # fmt: skip
    except GeometryError as error:
        field = error.what.removeprefix(f"{id_}.")
        raise InputError(f"{place}.{field}", found=error.found, wanted=error.wanted, fix=error.fix) from error
