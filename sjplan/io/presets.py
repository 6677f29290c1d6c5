"""Phantom presets: TOML files in which every number names its source."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, create_model, model_validator

from sjplan.io.cohorts import Cohort, draw, list_cohorts, read_cohort
from sjplan.io.phantom_spec import DEFAULT_SPACING_MM, PhantomSpec
from sjplan.io.phantom_tables import (
    SHAPE,
    TABLES,
    TARGETS,
    Table,
    dotted,
    known_files,
    path_of,
    phantom_of,
    phantoms_folder,
    prefixed,
    read_table,
)
from sjplan.phantom.parameters import PhantomParameters

__all__ = [
    "TARGETS",
    "Cohort",
    "Preset",
    "Target",
    "draw",
    "list_cohorts",
    "list_presets",
    "phantoms_folder",
    "preset_sha256",
    "read_cohort",
    "read_preset",
    "read_spec",
    "read_targets",
]

SPREAD_SHARE: Final = 0.15
"""Standard deviation of a measure whose source gives none, as a share of its mean."""


class BuildTable(Table):
    """What a phantom was built with, as `spec.toml` tells it."""

    seed: int = Field(default=0, ge=0)
    spacing_mm: float = Field(default=DEFAULT_SPACING_MM, gt=0)
    version: str = ""


class Preset(Table):
    """One phantom as its file describes it: parameters table by table, and where each of them comes from."""

    format: Literal["sjplan.phantom/1"] = Field(alias="schema")
    name: str
    summary: str
    build: BuildTable = BuildTable()
    sources: dict[str, str]

    @model_validator(mode="after")
    def _every_number_has_a_source(self) -> Preset:
        keys = {dotted(table, name) for table, values in self.values().items() for name in values}
        without = sorted(keys ^ set(self.sources))
        if without:
            raise ValueError(f"parameters and sources differ in {', '.join(without)}")
        return self

    def values(self) -> dict[str, dict[str, Any]]:
        """What the file sets, table by table."""
        return {name: getattr(self, name).model_dump(exclude_unset=True) for name in TABLES}

    def phantom(self) -> PhantomParameters:
        """The validated parameters."""
        return phantom_of(self.values())


_GROUPS: Final[dict[str, Any]] = {name: (table, ... if name == SHAPE else table()) for name, table in TABLES.items()}
_PRESET: Final[type[Preset]] = create_model("Preset", __base__=Preset, **_GROUPS)


class Target(Table):
    """What a table says of one measure: mean, spread and source."""

    mean: float
    sd: float = Field(default=0.0, ge=0)
    source: str

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, given: dict[str, object]) -> dict[str, object]:
        mean = given.get("mean")
        known = "sd" in given or not isinstance(mean, int | float)
        return given if known else {**given, "sd": SPREAD_SHARE * abs(mean)}  # type: ignore[arg-type]


class _Targets(Table):
    format: Literal["sjplan.targets/1"] = Field(alias="schema")
    targets: dict[str, Target]


def list_presets() -> dict[str, str]:
    """Name and one-line summary of every preset that comes with sjplan, `default` first.

    Examples
    --------
    >>> next(iter(list_presets()))
    'default'
    """
    return {name: read_table(_PRESET, path).summary for name, path in known_files(phantoms_folder()).items()}


def preset_sha256(name_or_path: str | Path) -> str:
    """The sha256 of a preset's file."""
    return hashlib.sha256(path_of("preset", str(name_or_path), phantoms_folder()).read_bytes()).hexdigest()


def read_preset(name_or_path: str | Path) -> PhantomParameters:
    """The parameters of a preset, by its name or from a TOML file.

    Raises
    ------
    UnknownNameError
        For a name that is neither a preset nor a file; suggests the nearest.
    InputError
        For a file that cannot be read, or that breaks the schema or a range.

    Examples
    --------
    >>> read_preset("default").size
    1.0
    """
    return read_spec(name_or_path).parameters


def read_spec(name_or_path: str | Path, seed: int | None = None, spacing_mm: float | None = None) -> PhantomSpec:
    """All that a preset says, for building it; `spec.toml` of a built phantom is a preset too.

    Parameters
    ----------
    name_or_path : str or path
        As for `read_preset`, which tells what is raised.
    seed, spacing_mm : optional
        In place of those that the file names, 0 and 1 mm where it names none.

    Examples
    --------
    >>> read_spec("small", seed=3).seed
    3
    """
    path = path_of("preset", str(name_or_path), phantoms_folder())
    preset = read_table(_PRESET, path)
    with prefixed(path.name):
        spec = PhantomSpec(
            preset.name, preset.summary, preset.phantom(), preset.build.seed, preset.build.spacing_mm, preset.sources
        )
    asked = {"seed": seed, "spacing_mm": spacing_mm}
    return replace(spec, **{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]


def read_targets() -> dict[str, Target]:
    """What published tables say of adult pelves, by measure.

    Examples
    --------
    >>> read_targets()["sacral_width_mm"].mean
    108.7
    """
    return read_table(_Targets, phantoms_folder() / TARGETS).targets
