"""Bench files: TOML that says which planners are asked about which cases, with what budgets, and how it is judged."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from sjplan.core.errors import InputError, SjplanError, unknown_name
from sjplan.core.plan import Side
from sjplan.core.tolerances import MAX_PLANNING_SPACING_MM
from sjplan.io.bench_settings import Settings, read_settings
from sjplan.io.cohorts import read_cohort
from sjplan.io.headers import image_suffix
from sjplan.io.phantom_tables import Table, known_files, path_of, prefixed, read_table
from sjplan.io.presets import read_spec

SCHEMA: Final = "sjplan.bench-file/1"
SEALED_SCHEMA: Final = "sjplan.bench-sealed/1"
LARGEST_SEED: Final = 2**63 - 1
"""TOML's integers have 64 bits."""

LARGEST_CAP_MM: Final = 99.0
"""More slack than any bone holds: a cap that caps nothing."""


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]
Title = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@=,:+ -]*$", max_length=80)]
Words = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_more)]
Whole = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SEED)]
Flag = Annotated[bool, Field(strict=True)]
Value = Annotated[bool, Field(strict=True)] | Annotated[int, Field(strict=True)] | float | str
Positive = Annotated[float, Field(strict=True, gt=0)]


class PlannerEntry(Table):
    """A planner to ask: an id, `module:Class` or `exec:program`; its name in tables, and its parameters."""

    planner: str = Field(min_length=1)
    name: Title | None = None
    parameters: dict[str, Value] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name in tables: the planner's own where no other is given."""
        return self.name or self.planner


class BudgetEntry(Table):
    """What each run may use; a suite that gives the same numbers everywhere names evaluations and no seconds."""

    seconds: Positive | None = None
    evaluations: Annotated[int, Field(strict=True, gt=0)] | None = None
    wall_limit_s: Positive = 120.0
    memory_limit_mb: Positive = 1500.0


class CaseEntry(Table):
    """Some cases: presets, members of one cohort, or label maps; one of the three.

    Parameters
    ----------
    presets : tuple of str
        Names of presets, or paths of preset files.
    cohort : str
        Name of a cohort, or path of its file; `count` members from `first` on, or the members `indices`, drawn with
        `seed`.
    labels : tuple of str
        Label maps, or folders of them, in which files that fit `pattern` are taken; `names` is a names file for all.
    spacing_mm : float
        Voxel edge of phantoms, at most what can be planned on; that of the preset or cohort if not given.
    prefix : str
        Put before the names of these cases.
    traits : mapping
        What all these cases have in common, for breakdowns.
    """

    presets: Words = ()
    cohort: str = ""
    count: Annotated[int, Field(strict=True, gt=0)] | None = None
    first: Whole = 0
    indices: tuple[Whole, ...] = ()
    seed: Whole = 0
    labels: Words = ()
    pattern: str = ""
    names: str = ""
    spacing_mm: Annotated[float, Field(ge=0.4, le=MAX_PLANNING_SPACING_MM)] | None = None
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    traits: dict[str, str | float] = Field(default_factory=dict)

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the members asked for; all from `first` on where no count is given."""
        if self.indices:
            return self.indices
        count = read_cohort(self.cohort).count - self.first if self.count is None else self.count
        return tuple(range(self.first, self.first + count))


class BenchFile(Table):
    """A whole bench file; paths in it are absolute once `read_bench` has given it.

    Parameters
    ----------
    name, summary : str
        What tables and people call it.
    sides : {"both", "left", "right", "alternate"}
        Sides of each case; "alternate" asks for one side a case, left and right in turn.
    implants : tuple of str
        Catalogue ids, one a slot; one alone stands for three of it. `catalogue` is a file with more models.
    limits, errors : str
        A limits file in place of the defaults, and a file with more error models; empty for none.
    error_model : str
        Of the breach probabilities, which are not measured where none is named.
    seeds : tuple of int
        Seeds of the planners: each run is repeated with every one.
    cap_mm : float
        Slack beyond this counts no further, for plan and bound alike; planners that have a `slack_cap_mm` get it.
    bound, truth : bool
        Whether regret against the certified bound and, for phantoms, the true margin are measured.
    bound_boxes : int
        Boxes of axes that the proof of a bound may look at: some 80,000 a second on two cores; more give lower bounds.
    budgets, planners, cases : tuples of tables
        What `BudgetEntry`, `PlannerEntry` and `CaseEntry` say.
    """

    format: Literal["sjplan.bench-file/1"] = Field(alias="schema")
    name: Name
    summary: str = ""
    sides: Literal["both", "left", "right", "alternate"] = "both"
    implants: Words = ("tri-7",)
    catalogue: str = ""
    limits: str = ""
    error_model: str = ""
    errors: str = ""
    seeds: tuple[Whole, ...] = Field(default=(0,), min_length=1)
    cap_mm: Annotated[float, Field(gt=0, le=LARGEST_CAP_MM)] = 3.0
    bound: Flag = True
    bound_boxes: Annotated[int, Field(strict=True, gt=0, le=10**9)] = 1_000_000
    truth: Flag = False
    budgets: tuple[BudgetEntry, ...] = Field(default=(BudgetEntry(),), min_length=1)
    planners: tuple[PlannerEntry, ...] = Field(min_length=1)
    cases: tuple[CaseEntry, ...] = Field(min_length=1)

    @property
    def models(self) -> tuple[str, ...]:
        """Implant ids, one a slot."""
        return self.implants * 3 if len(self.implants) == 1 else self.implants

    def sides_of(self, position: int) -> tuple[Side, ...]:
        """Sides that are asked for of the case at a position of the list, counted from 0."""
        both: tuple[Side, Side] = ("left", "right")
        if self.sides == "both":
            return both
        return (both[position % 2],) if self.sides == "alternate" else (self.sides,)

    def settings(self) -> Settings:
        """Models, limits and error model, read from their files."""
        return read_settings(self.models, self.catalogue, self.limits, self.error_model, self.errors)


def list_suites() -> dict[str, str]:
    """Name and one-line summary of every suite that comes with sjplan.

    Examples
    --------
    >>> next(iter(list_suites()))
    'smoke'
    """
    found = {name: read_table(BenchFile, path).summary for name, path in known_files(suites_folder()).items()}
    return dict(sorted(found.items(), key=lambda item: item[0] != "smoke"))


def suites_folder() -> Path:
    """The folder of suites that come with sjplan."""
    return Path(str(resources.files("sjplan.data"))) / "suites"


def bench_path(name_or_path: str | Path) -> Path:
    """The file that the name of a suite, or a path of the user's own, means.

    Raises
    ------
    SjplanError
        For a name that is neither; says the nearest.
    """
    given, known = str(name_or_path), known_files(suites_folder())
    if given not in known and not given.endswith(".toml"):
        raise unknown_name("bench file", given, known)
    return path_of("bench", given, suites_folder())


def read_bench(name_or_path: str | Path) -> BenchFile:
    """A bench file, checked before anything runs: by the name of a suite that ships, or from a TOML file.

    Paths in it are relative to it, and may name environment variables. Whether a label map can be read is found out
    when its turn comes: one that cannot is no reason to lose the others.

    Raises
    ------
    SjplanError
        In one line: the file, the key, what was found, what was wanted, and the nearest name where one is near.

    Examples
    --------
    >>> read_bench("smoke").name
    'smoke'
    """
    path = bench_path(name_or_path)
    try:
        given = read_table(BenchFile, path)
    except SjplanError as error:
        if error.found == repr(SEALED_SCHEMA):
            raise InputError(path.name, found="a sealed suite", wanted="a bench file",
                             fix="open it with its secret first: sjplan bench open") from error  # fmt: skip
        raise
    with prefixed(path.name):
        bench = _located(given, path.resolve().parent)
        _check_planners(bench)
        _check_settings(bench)
        for number, (asked, entry) in enumerate(zip(given.cases, bench.cases, strict=True)):
            with prefixed(f"cases.{number}"):
                _check_cases(asked, entry)
    return bench


def label_files(entry: CaseEntry) -> list[Path]:
    """The label maps of an entry, in the order of their names within each folder."""
    found: list[Path] = []
    for name in entry.labels:
        place = Path(name)
        if place.is_dir():
            inside = sorted(place.glob(entry.pattern or "*"))
            found += [file for file in inside if image_suffix(file) and not file.is_dir()]
        else:
            found.append(place)
    return found


def _located(bench: BenchFile, folder: Path) -> BenchFile:
    """The same with absolute paths."""

    def at(key: str, name: str) -> str:
        return _at(folder, key, name) if name else ""

    def cases(entry: CaseEntry) -> CaseEntry:
        presets = tuple(_at(folder, "presets", n) if n.endswith(".toml") else n for n in entry.presets)
        cohort = at("cohort", entry.cohort) if entry.cohort.endswith(".toml") else entry.cohort
        labels = tuple(_at(folder, "labels", n) for n in entry.labels)
        names = at("names", entry.names)
        return entry.model_copy(update={"presets": presets, "cohort": cohort, "labels": labels, "names": names})

    files = {key: at(key, getattr(bench, key)) for key in ("catalogue", "limits", "errors")}
    return bench.model_copy(update={**files, "cases": tuple(cases(entry) for entry in bench.cases)})


def _at(folder: Path, key: str, name: str) -> str:
    """An absolute path: environment variables filled in, relative to the bench file."""
    path = os.path.expandvars(name)
    left = re.search(r"\$\{?(\w+)", path)
    if left:
        raise InputError(
            key, found=f"{name}, but {left[1]} is not set", wanted="a path", fix=f"set {left[1]} to the folder it means"
        )
    return str(folder / Path(path).expanduser())


def _check_planners(bench: BenchFile) -> None:
    from sjplan.planning import registry  # with it come the kernels of every planner

    _unique("planners", [entry.title for entry in bench.planners], "name")
    known = registry.planners()
    for entry in bench.planners:
        if ":" in entry.planner:
            continue
        if entry.planner not in known:
            raise unknown_name("planners: planner", entry.planner, known)
        for name in entry.parameters:
            if name not in known[entry.planner].parameters:
                raise unknown_name(f"planners: {entry.planner}: parameters", name, known[entry.planner].parameters)
        with prefixed("planners"):
            registry.load(entry.planner, **entry.parameters)


def _check_settings(bench: BenchFile) -> None:
    _unique("seeds", [str(seed) for seed in bench.seeds])
    _unique("budgets", [f"{b.seconds} s, {b.evaluations} evaluations" for b in bench.budgets])
    for budget in bench.budgets:
        if budget.seconds is not None and budget.seconds > budget.wall_limit_s:
            raise InputError(
                "budgets: seconds", found=f"{budget.seconds:g} with a wall_limit_s of {budget.wall_limit_s:g}",
                wanted="a limit that lets the budget be used", fix="raise wall_limit_s",
            )  # fmt: skip
    if bench.errors and not bench.error_model:
        raise InputError("errors", found="a file of error models", wanted="error_model, which says which of them")
    if len(bench.models) not in (2, 3):
        raise InputError("implants", found=f"{len(bench.models)} of them", wanted="2 or 3, or one for three alike")
    settings = bench.settings()
    for model in settings.models:
        settings.limits.check_lengths(model.id, model.lengths_mm)


_OWN_KEYS: Final = {
    "presets": ("spacing_mm",),
    "cohort": ("spacing_mm", "count", "first", "indices", "seed"),
    "labels": ("pattern", "names"),
}
"""Keys that go with each kind of cases; `prefix` and `traits` go with all."""


def _check_cases(given: CaseEntry, entry: CaseEntry) -> None:
    """Check an entry: `given` is what stands in the file, `entry` the same with absolute paths."""
    kinds = [kind for kind in _OWN_KEYS if getattr(entry, kind)]
    if len(kinds) != 1:
        raise InputError(
            "cases", found=" and ".join(kinds) or "none of them", wanted="one of presets, cohort and labels",
            fix="one [[cases]] for each kind",
        )  # fmt: skip
    foreign = {key for keys in _OWN_KEYS.values() for key in keys} - set(_OWN_KEYS[kinds[0]])
    for key in sorted(foreign & given.model_fields_set):
        raise InputError(key, found=f"a value beside {kinds[0]}", wanted=", ".join(_OWN_KEYS[kinds[0]]))
    if kinds[0] == "presets":
        for name in entry.presets:
            read_spec(name)
    elif kinds[0] == "cohort":
        _check_members(entry)
    else:
        _check_labels(entry)


def _check_members(entry: CaseEntry) -> None:
    count = read_cohort(entry.cohort).count
    if entry.indices and (entry.count is not None or entry.first):
        raise InputError("indices", found="count or first beside them", wanted="one way to say which members")
    _unique("indices", [str(index) for index in entry.indices])
    members = entry.members
    if not members or max(members) >= count:
        last = f"members up to {max(members)}" if members else f"first = {entry.first}"
        raise InputError("cohort", found=last, wanted=f"members 0 to {count - 1}, which {entry.cohort} has")


def _check_labels(entry: CaseEntry) -> None:
    for name in entry.labels:
        if not Path(name).exists():
            raise InputError("labels", found=f"nothing at {name}", wanted="a label map, or a folder of them")
    if entry.names and not Path(entry.names).is_file():
        raise InputError("names", found=f"no file {entry.names}", wanted="a names file")
    if not label_files(entry):
        wanted = f"files that fit {entry.pattern}" if entry.pattern else "label maps (.nii.gz, .nrrd, .mha)"
        raise InputError("labels", found=f"none in {', '.join(entry.labels)}", wanted=wanted)


def _unique(what: str, values: Iterable[str], fix: str = "") -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            text = f"give one of them another {fix}" if fix else ""
            raise InputError(what, found=f"{value} twice", wanted="each of them once", fix=text)
        seen.add(value)
