"""Phantom presets and cohorts: TOML files in which every number names its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sjplan.core.errors import InputError, unknown_name
from sjplan.phantom.parameters import RANGES, PhantomParameters

Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SPREAD_SHARE: Final = 0.15
"""Standard deviation of a measure whose source gives none, as a share of its mean."""

TARGETS: Final = "targets.toml"

Three = tuple[float, float, float]
_DEFAULT: Final = PhantomParameters()


class ParameterTable(_Strict):
    """The parameters that a preset may set; what is left out keeps `PhantomParameters`' default."""

    size: float = _DEFAULT.size
    sacral_slope_deg: float = _DEFAULT.sacral_slope_deg
    foramen_scale: float = _DEFAULT.foramen_scale
    ala_height_mm: float = _DEFAULT.ala_height_mm
    joint_gap_mm: float = _DEFAULT.joint_gap_mm
    asymmetry_mm: float = _DEFAULT.asymmetry_mm
    closed_foramina: tuple[str, ...] = ()
    offset_lps_mm: Three = (0.0, 0.0, 0.0)
    rotation_deg: Three = (0.0, 0.0, 0.0)


class Preset(_Strict):
    """One phantom as its file describes it: parameters, and where each of them comes from."""

    format: Literal["sjplan.phantom/1"] = Field(alias="schema")
    name: str
    summary: str
    parameters: ParameterTable
    sources: dict[str, str]

    @model_validator(mode="after")
    def _every_number_has_a_source(self) -> Preset:
        without = sorted(self.parameters.model_fields_set ^ set(self.sources))
        if without:
            raise ValueError(f"parameters and sources differ in {', '.join(without)}")
        return self

    def phantom(self) -> PhantomParameters:
        """The validated parameters."""
        return PhantomParameters(**self.parameters.model_dump(exclude_unset=True))


class Distribution(_Strict):
    """How one parameter is spread: a normal law cut to low..high, or evenly over low..high."""

    kind: Literal["normal", "uniform"]
    low: float
    high: float
    mean: float | None = None
    sd: float | None = Field(default=None, gt=0)
    source: str

    @model_validator(mode="after")
    def _complete(self) -> Distribution:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.kind == "normal" and (self.mean is None or self.sd is None):
            raise ValueError("a normal distribution needs mean and sd")
        if self.kind == "uniform" and (self.mean is not None or self.sd is not None):
            raise ValueError("a uniform distribution takes low and high only")
        if self.mean is not None and not self.low <= self.mean <= self.high:
            raise ValueError(f"mean {self.mean:g} lies outside low..high")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """One value: drawn again until it lies within low..high."""
        if self.mean is None or self.sd is None:
            return float(rng.uniform(self.low, self.high))
        while True:
            value = float(rng.normal(self.mean, self.sd))
            if self.low <= value <= self.high:
                return value


class Cohort(_Strict):
    """A family of phantoms: one distribution for each varied parameter, the rest at their defaults."""

    format: Literal["sjplan.cohort/1"] = Field(alias="schema")
    name: str
    summary: str
    count: int = Field(gt=0, le=100_000)
    parameters: dict[str, Distribution]
    offset_lps_mm: Distribution | None = None
    rotation_deg: Distribution | None = None

    @model_validator(mode="after")
    def _known_and_in_range(self) -> Cohort:
        for name, law in self.parameters.items():
            if name not in RANGES:
                raise ValueError(f"unknown parameter {name!r}; known are {', '.join(RANGES)}")
            low, high = RANGES[name]
            if law.low < low or law.high > high:
                raise ValueError(f"{name} reaches {law.low:g} to {law.high:g}, allowed are {low:g} to {high:g}")
        return self


class Target(_Strict):
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


class _Targets(_Strict):
    format: Literal["sjplan.targets/1"] = Field(alias="schema")
    targets: dict[str, Target]


def phantoms_folder() -> Path:
    """The folder of presets that comes with sjplan: inside the wheel, or beside the package in a checkout."""
    packaged = Path(str(resources.files("sjplan.data"))) / "phantoms"
    beside = Path(__file__).parents[2] / "phantoms"
    for folder in (packaged, beside):
        if folder.is_dir():
            return folder
    raise InputError("phantom presets", found="no folder of presets", wanted=str(packaged), fix="install sjplan again")


def list_presets() -> dict[str, str]:
    """Name and one-line summary of every preset that comes with sjplan, `default` first.

    Examples
    --------
    >>> next(iter(list_presets()))
    'default'
    """
    found = {path.stem: _preset(path).summary for path in _presets()}
    return dict(sorted(found.items(), key=lambda item: (item[0] != "default", item[0])))


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
    return _preset(_path_of("preset", str(name_or_path), phantoms_folder())).phantom()


def read_targets() -> dict[str, Target]:
    """What published tables say of adult pelves, by measure.

    Examples
    --------
    >>> read_targets()["sacral_width_mm"].mean
    103.6
    """
    return _validated(_Targets, phantoms_folder() / TARGETS).targets


def read_cohort(name_or_path: str | Path) -> Cohort:
    """A cohort, by its name or from a TOML file; raises as `read_preset` does."""
    path = _path_of("cohort", str(name_or_path), phantoms_folder() / "cohorts")
    return _validated(Cohort, path)


def draw(cohort: Cohort, index: int, seed: int = 0) -> PhantomParameters:
    """The parameters of one member of a cohort; depends on cohort, index and seed alone.

    Parameters
    ----------
    cohort : Cohort
        Distributions.
    index : int
        0 to cohort.count - 1.
    seed : int
        Seed of the whole cohort, >= 0.

    Raises
    ------
    InputError
        For an index outside the cohort or a negative seed.
    """
    if not 0 <= index < cohort.count:
        raise InputError("cohort index", found=f"{index}", wanted=f"0 to {cohort.count - 1}")
    if seed < 0:
        raise InputError("cohort seed", found=f"{seed}", wanted=">= 0")
    rng = np.random.default_rng([seed, index])
    drawn = {name: law.draw(rng) for name, law in sorted(cohort.parameters.items())}
    offset, rotation = (_three(law, rng) for law in (cohort.offset_lps_mm, cohort.rotation_deg))
    return replace(PhantomParameters(offset_lps_mm=offset, rotation_deg=rotation), **drawn)  # type: ignore[arg-type]


def _presets() -> list[Path]:
    return [path for path in sorted(phantoms_folder().glob("*.toml")) if path.name != TARGETS]


def _three(law: Distribution | None, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([law.draw(rng) if law else 0.0 for _ in range(3)])


def _path_of(what: str, name: str, folder: Path) -> Path:
    known = {path.stem: path for path in folder.glob("*.toml") if path.name != TARGETS}
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise InputError(
            f"{what} file", found=f"no file {name}", wanted="a TOML file, or one of " + ", ".join(sorted(known))
        )
    raise unknown_name(f"phantom {what}", name, known)


def _preset(path: Path) -> Preset:
    return _validated(Preset, path)


def _validated(model: type[Model], path: Path) -> Model:
    try:
        content: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name}", found=f"{error}", wanted="a readable TOML file") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path.name}: {where}", found=first["msg"], wanted="fields as in the presets that come with sjplan"
        ) from error
