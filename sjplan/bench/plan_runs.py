"""From a bench file to the list of its runs: always the same, case by case."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sjplan.bench.runs import CAP, CaseRef, PlannerRef, Run, RunBudget
from sjplan.bench.traits import traits_of
from sjplan.core.errors import InputError, SjplanError
from sjplan.core.plan import Parameters
from sjplan.io.benchfiles import BenchFile, CaseEntry, PlannerEntry, label_files
from sjplan.io.cohorts import Cohort, cohort_sha256, member_name, member_spec, read_cohort, stratum_of
from sjplan.io.headers import image_suffix
from sjplan.io.labels import names_files
from sjplan.io.presets import preset_sha256, read_spec

_LABELS: Final = "labels"


def runs_of(bench: BenchFile) -> list[Run]:
    """Every run of a bench file in its order: case, side, planner, budget, seed.

    Raises
    ------
    SjplanError
        For two cases of one name, and for files that cannot be read.

    Examples
    --------
    >>> from sjplan.io.benchfiles import read_bench
    >>> runs = runs_of(read_bench("smoke"))
    >>> runs[0].case.key, runs[0].side, runs[0].planner.name
    ('default', 'left', 'certified-v1')
    """
    settings = bench.settings().sha256(bench.bound, bench.bound_boxes, bench.truth)
    planners = [_planner(entry, bench.cap_mm) for entry in bench.planners]
    budgets = [RunBudget(b.seconds, b.evaluations, b.wall_limit_s, b.memory_limit_mb) for b in bench.budgets]
    return [
        Run(
            case, side, planner, bench.models, budget, seed, bench.limits, bench.error_model, bench.cap_mm, settings,
            catalogue=bench.catalogue, errors=bench.errors, bound=bench.bound,
            bound_boxes=bench.bound_boxes, truth=bench.truth,
        )
        for position, case in enumerate(cases_of(bench))
        for side in bench.sides_of(position)
        for planner in planners
        for budget in budgets
        for seed in bench.seeds
    ]  # fmt: skip


def cases_of(bench: BenchFile) -> list[CaseRef]:
    """Every case of a bench file, in its order.

    Raises
    ------
    SjplanError
        As `runs_of`.
    """
    found = [case for entry in bench.cases for case in _cases(entry)]
    seen: set[str] = set()
    for case in found:
        if case.key in seen:
            raise InputError("cases", found=f"{case.key} twice", wanted="names that differ", fix="give one a prefix")
        seen.add(case.key)
    return found


def member_key(cohort: Cohort, index: int, seed: int) -> str:
    """Name of a member among cases: another seed gives another person, hence another name.

    Examples
    --------
    >>> adults = read_cohort("adults")
    >>> member_key(adults, 7, 0), member_key(adults, 7, 3)
    ('adults-00007', 'adults-s3-00007')
    """
    return member_name(cohort, index) if seed == 0 else f"{cohort.name}-s{seed}-{index:05d}"


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes; empty for one that cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def labels_sha256(path: str | Path, names: str | Path = "") -> str:
    """Of a label map and of its names file, if it has one; empty for a map that cannot be read."""
    own = file_sha256(path)
    beside = [names] if names else [file for file in names_files(path) if file.is_file()][:1]
    if not own or not beside:
        return own
    return hashlib.sha256(f"{own} {file_sha256(beside[0])}".encode()).hexdigest()


def _planner(entry: PlannerEntry, cap_mm: float) -> PlannerRef:
    from sjplan.planning.registry import planners  # with it come the kernels of every planner

    parameters: Parameters = dict(entry.parameters)
    spec = planners().get(entry.planner)
    if spec is not None and CAP in spec.parameters and CAP not in parameters:
        parameters = {**parameters, CAP: cap_mm}
    return PlannerRef(entry.title, entry.planner, parameters)


def _cases(entry: CaseEntry) -> Iterator[CaseRef]:
    if entry.presets:
        for name in entry.presets:
            spec = read_spec(name, spacing_mm=entry.spacing_mm)
            traits = traits_of(spec.parameters) | entry.traits
            key = entry.prefix + (Path(name).stem if name.endswith(".toml") else name)
            sha256 = preset_sha256(name)
            yield CaseRef(key, "preset", name, sha256, spacing_mm=spec.spacing_mm, traits=traits)
    elif entry.cohort:
        cohort, sha256 = read_cohort(entry.cohort), cohort_sha256(entry.cohort)
        spacing = cohort.spacing_mm if entry.spacing_mm is None else entry.spacing_mm
        for index in entry.members:
            key = entry.prefix + member_key(cohort, index, entry.seed)
            traits = _member_traits(cohort, index, entry.seed) | entry.traits
            yield CaseRef(key, "cohort", entry.cohort, sha256, index, entry.seed, spacing, traits=traits)
    else:
        for file in label_files(entry):
            key = entry.prefix + _title(file)
            sha256 = labels_sha256(file, entry.names)
            yield CaseRef(key, "labels", str(file), sha256, names=entry.names, traits=dict(entry.traits))


def _member_traits(cohort: Cohort, index: int, seed: int) -> dict[str, str | float]:
    """Traits of a member; none of one whose laws give no phantom, which its row will say."""
    try:
        spec = member_spec(cohort, index, seed)
    except SjplanError:
        return {}
    stratum = stratum_of(cohort, index, seed)
    return traits_of(spec.parameters) | ({} if stratum is None else {"stratum": stratum.name})


def _title(file: Path) -> str:
    """What a person calls a label map: its file without suffix and "labels", or the folder that it lies in."""
    stem = file.name[: len(file.name) - len(image_suffix(file))]
    if stem == _LABELS:
        return file.parent.name
    return stem.removesuffix("_" + _LABELS).removesuffix("." + _LABELS)
