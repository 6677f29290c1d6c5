"""Cohorts: TOML files that say how the parameters of a family of phantoms are spread, each law with its source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, create_model, model_validator

from sjplan.core.errors import InputError, unknown_name
from sjplan.io.cohort_laws import Choice, Constant, Law, Normal, Uniform, with_ends
from sjplan.io.phantom_spec import DEFAULT_SPACING_MM, PhantomSpec
from sjplan.io.phantom_tables import (
    GROUP_RANGES,
    SHAPE,
    TABLES,
    Table,
    check_value,
    dotted,
    known_files,
    path_of,
    phantom_of,
    phantoms_folder,
    prefixed,
    read_table,
)
from sjplan.phantom.parameters import PhantomParameters

AnyLaw = Normal | Uniform | Choice | Constant
Key = tuple[str, str]
"""Table and name of a parameter."""

ATTEMPTS: Final = 100
"""How often a member whose values contradict each other is drawn again."""

_SHARE_TOLERANCE: Final = 1e-6

POSE: Final = ("offset_lps_mm", "rotation_deg")
"""What a cohort may spread by one law for all three axes."""


class _LawTables(Table):
    """A table of laws for each group of parameters."""

    def laws(self) -> dict[Key, AnyLaw]:
        """Every law by table and name."""
        return {(table, name): law for table in TABLES for name, law in getattr(self, table).items()}

    @model_validator(mode="before")
    @classmethod
    def _with_ends(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        filled = {}
        for table in TABLES:
            laws = given.get(table)
            if isinstance(laws, dict):
                ranges = GROUP_RANGES[table]
                filled[table] = {name: with_ends(law, ranges.get(name)) for name, law in laws.items()}
        return {**given, **filled}


_TABLES_OF_LAWS: Final[Any] = {name: (dict[str, Law], {}) for name in TABLES}


class Stratum(_LawTables):
    """A part of a cohort whose laws differ."""

    name: str
    share: float = Field(gt=0, le=1)


_STRATUM: Final[Any] = create_model("Stratum", __base__=Stratum, **_TABLES_OF_LAWS)


class Cohort(_LawTables):
    """A family of phantoms: a law for each varied parameter, the rest at their defaults; strata replace laws."""

    format: Literal["sjplan.cohort/1"] = Field(alias="schema")
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    summary: str
    count: int = Field(gt=0, le=100_000)
    spacing_mm: float = Field(default=DEFAULT_SPACING_MM, gt=0)
    offset_lps_mm: Law | None = None
    rotation_deg: Law | None = None

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Cohort:
        names = [stratum.name for stratum in self.parts()]
        if len(set(names)) < len(names):
            raise ValueError(f"two strata of one name among {', '.join(names)}")
        total = sum(stratum.share for stratum in self.parts())
        if names and abs(total - 1.0) > _SHARE_TOLERANCE:
            raise ValueError(f"shares of the strata that add up to {total:g} in place of 1")
        return self

    def parts(self) -> tuple[Stratum, ...]:
        """The strata."""
        found: tuple[Stratum, ...] = getattr(self, "strata", ())
        return found

    def laws_of(self, stratum: Stratum | None) -> dict[Key, AnyLaw]:
        """The laws that hold in a stratum."""
        return self.laws() | (stratum.laws() if stratum else {})


_STRATA: Final[Any] = {"strata": (tuple[_STRATUM, ...], ())}
_COHORT: Final[type[Cohort]] = create_model("Cohort", __base__=Cohort, **_TABLES_OF_LAWS, **_STRATA)


def list_cohorts() -> dict[str, str]:
    """Name and one-line summary of every cohort that comes with sjplan.

    Examples
    --------
    >>> next(iter(list_cohorts()))
    'adults'
    """
    return {name: read_table(_COHORT, path).summary for name, path in known_files(_folder()).items()}


def read_cohort(name_or_path: str | Path) -> Cohort:
    """A cohort, by its name or from a TOML file.

    Raises
    ------
    UnknownNameError
        For a name that is neither a cohort nor a file, or an unknown key; suggests the nearest.
    InputError
        For a file that cannot be read, or that breaks the schema or a range.

    Examples
    --------
    >>> read_cohort("adults").count
    1000
    """
    path = path_of("cohort", str(name_or_path), _folder())
    cohort = read_table(_COHORT, path)
    check_laws(path.name, cohort.laws())
    for stratum in cohort.parts():
        check_laws(f"{path.name}: stratum {stratum.name}", stratum.laws())
    for name in POSE:
        law = getattr(cohort, name)
        for value in law.values() if law else ():
            check_value(f"{path.name}: {name}", SHAPE, name, (value, value, value))
    return cohort


def cohort_sha256(name_or_path: str | Path) -> str:
    """The sha256 of a cohort's file."""
    return hashlib.sha256(path_of("cohort", str(name_or_path), _folder()).read_bytes()).hexdigest()


def check_laws(where: str, laws: Mapping[Key, AnyLaw]) -> None:
    """Check that every law is of a parameter that exists, and gives only values that it may have.

    Raises
    ------
    SjplanError
        Naming the key, the value, what is allowed and its source.
    """
    for (table, name), law in laws.items():
        if name not in TABLES[table].model_fields:
            raise unknown_name(f"{where}: {table}.{name}", name, TABLES[table].model_fields)
        for value in law.values():
            check_value(f"{where}: {table}.{name}", table, name, value)


def draw(cohort: Cohort, index: int, seed: int = 0) -> PhantomParameters:
    """The parameters of one member of a cohort; depends on cohort, index and seed alone.

    A parameter's value depends on its own law alone, so a law that is added changes no other parameter.

    Parameters
    ----------
    cohort : Cohort
        Laws.
    index : int
        0 to cohort.count - 1.
    seed : int
        Seed of the whole cohort, >= 0.

    Raises
    ------
    InputError
        For an index outside the cohort, a negative seed, or laws that hardly ever give a possible phantom.

    Examples
    --------
    >>> adults = read_cohort("adults")
    >>> draw(adults, 3).as_dict() == draw(adults, 3).as_dict()
    True
    """
    if not 0 <= index < cohort.count:
        raise InputError("cohort index", found=f"{index}", wanted=f"0 to {cohort.count - 1}")
    if seed < 0:
        raise InputError("cohort seed", found=f"{seed}", wanted=">= 0")
    laws = cohort.laws_of(stratum_of(cohort, index, seed))
    refusal: InputError | None = None
    for attempt in range(ATTEMPTS):
        try:
            return phantom_of(_values(cohort, laws, f"{seed} {index} {attempt}"))
        except InputError as error:
            refusal = error
    raise InputError(
        f"cohort {cohort.name}, member {index}",
        found=f"{ATTEMPTS} draws whose values contradict each other, the last one: {refusal}",
        wanted="laws that give phantoms that can be",
        fix="narrow the laws of these parameters",
    )


def stratum_of(cohort: Cohort, index: int, seed: int = 0) -> Stratum | None:
    """The stratum that a member belongs to, None where the cohort has none."""
    parts = cohort.parts()
    if not parts:
        return None
    at = _stream(f"{seed} {index}", "strata").random()
    ends = np.cumsum([part.share for part in parts])
    return parts[min(int(np.searchsorted(ends, at, side="right")), len(parts) - 1)]


def member_name(cohort: Cohort, index: int) -> str:
    """Name of a member, and of its folder.

    Examples
    --------
    >>> member_name(read_cohort("adults"), 7)
    'adults-00007'
    """
    return f"{cohort.name}-{index:05d}"


def member_seed(index: int, seed: int) -> int:
    """Seed of one member's texture and noise: differs between members, the same in every process."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def member_spec(cohort: Cohort, index: int, seed: int = 0, spacing_mm: float | None = None) -> PhantomSpec:
    """One member of a cohort, to be built; raises as `draw` does.

    Examples
    --------
    >>> member_spec(read_cohort("adults"), 7).name
    'adults-00007'
    """
    parameters = draw(cohort, index, seed)
    stratum = stratum_of(cohort, index, seed)
    laws = cohort.laws_of(stratum)
    sources = {dotted(*key): law.source for key, law in laws.items()}
    sources |= {name: law.source for name in POSE if (law := getattr(cohort, name)) is not None}
    part = f", {stratum.name}" if stratum else ""
    summary = f"Member {index} of the cohort {cohort.name}{part}, seed {seed}"
    spec = PhantomSpec(member_name(cohort, index), summary, parameters, member_seed(index, seed), sources=sources)
    if spacing_mm is not None:
        return replace(spec, spacing_mm=spacing_mm)
    with prefixed(f"cohort {cohort.name}"):
        return replace(spec, spacing_mm=cohort.spacing_mm)


def _folder() -> Path:
    return phantoms_folder() / "cohorts"


def _stream(which: str, key: str) -> np.random.Generator:
    """The generator of one parameter of one member: the same in every process, whatever else is drawn."""
    digest = hashlib.sha256(f"{which} {key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _values(cohort: Cohort, laws: Mapping[Key, AnyLaw], which: str) -> dict[str, dict[str, Any]]:
    """One draw of every law; a parameter that its law leaves out keeps its default."""
    values: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    for name in POSE:
        law = getattr(cohort, name)
        if law is not None:
            rng = _stream(which, dotted(SHAPE, name))
            values[SHAPE][name] = [law.draw(rng) for _ in range(3)]
    for (table, name), law in laws.items():
        rng = _stream(which, dotted(table, name))
        if law.with_probability is None or rng.random() < law.with_probability:
            values[table][name] = law.draw(rng)
        elif law.otherwise is not None:
            values[table][name] = law.otherwise
    return values
