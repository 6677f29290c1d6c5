"""plan.json: built from what planner and judge said, written atomically, reopened identically."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final, NoReturn

import sjplan
from sjplan.core.errors import GeometryError, InputError, unknown_name
from sjplan.core.findings import Finding
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Plan
from sjplan.core.tolerances import LENGTH_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.io.atomic import write_text
from sjplan.io.cases import Case
from sjplan.io.payload import read_text
from sjplan.io.planentries import finding_entries, side_entry
from sjplan.io.planschema import SCHEMA, CaseEntry, ImplantEntry, PlanFile, SideEntry
from sjplan.io.tables import validated

MAX_PLAN_BYTES: Final = 2**26
"""Largest plan file that is read (bytes); real ones have some ten thousand."""

_LIBRARIES = ("numpy", "scipy", "SimpleITK", "numba", "pyvista", "vtk")
_NUMBER_LIST = re.compile(r"\[\n\s*([-+0-9.eE,\s]+?)\n\s*\]")  # a newline is never inside a JSON string


def new_plan_file(
    case: Case,
    sides: Sequence[SideEntry],
    *,
    seed: int,
    findings: Iterable[Finding] = (),
    created: str | None = None,
) -> PlanFile:
    """A plan file for a case: the sides, the intake's findings and `findings`, versions, time.

    Parameters
    ----------
    case : Case
        What was planned on.
    sides : sequence of SideEntry
        One or two entries.
    seed : int
        Of all randomness.
    findings : iterable of Finding
        What was noticed beside the intake's own findings.
    created : str, optional
        ISO 8601 time; now, in UTC, by default.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return PlanFile(
        created=created if created is not None else now,
        case=_case_entry(case),
        seed=seed,
        versions=versions(),
        findings=finding_entries((*case.findings, *findings)),
        sides=list(sides),
    )


def _case_entry(case: Case) -> CaseEntry:
    """What was read; the patient's identifiers stand in it only where they were asked for."""
    asked = {"identifiers": dict(case.identifiers)} if case.identifiers else {}
    paths = {role: _printable(p) for role, p in case.paths.items()}
    error_mm = case.labels.surface_error_mm if case.labels is not None else 0.0
    return CaseEntry.model_validate({"paths": paths, "sha256": case.sha256, "surface_error_mm": error_mm, **asked})


def _printable(path: str) -> str:
    """A path whose bytes are not UTF-8 shows a replacement sign instead of breaking the file."""
    return os.fsencode(path).decode("utf-8", "replace")


def versions() -> dict[str, str]:
    """Versions of sjplan, Python and the libraries that the numbers depend on.

    Examples
    --------
    >>> sorted(versions())
    ['SimpleITK', 'numba', 'numpy', 'python', 'pyvista', 'scipy', 'sjplan', 'vtk']
    """
    found = {"sjplan": sjplan.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def plan_text(plan_file: PlanFile) -> str:
    """The text of plan.json: one value a line, coordinates on one line."""
    text = json.dumps(plan_file.model_dump(by_alias=True), indent=1, allow_nan=False)
    return _NUMBER_LIST.sub(lambda match: "[" + " ".join(match.group(1).split()) + "]", text) + "\n"


def write_plan(plan_file: PlanFile, path: str | Path) -> Path:
    """Write plan.json atomically.

    Raises
    ------
    InputError
        For a place that cannot be written.
    """
    return write_text(path, plan_text(plan_file))


def read_plan(path: str | Path) -> PlanFile:
    """Read plan.json; writing it again gives the same bytes.

    Raises
    ------
    InputError
        For a file that is missing, not JSON, holds NaN, has another schema, frame or unit, or a field that is
        missing or wrong: in one line that names it.
    """
    text = read_text(path, MAX_PLAN_BYTES)
    try:
        table = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            str(path), found=f"no valid JSON ({reason})", wanted=f"a plan file ({SCHEMA})",
            fix="plan again, or take the file from its backup",
        ) from error  # fmt: skip
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        found = f"schema {table.get('schema')!r}"[:80] if isinstance(table, dict) else "no plan"
        raise InputError(str(path), found=found, wanted=SCHEMA, fix="plan again with this version of sjplan")
    return validated(PlanFile, table, str(path))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def plan_from_entry(entry: SideEntry, catalogue: Mapping[str, ImplantModel]) -> Plan:
    """The plan that a side of a plan file holds.

    Raises
    ------
    InputError
        For a side without implants, and for an implant whose radii or length differ from the catalogue's model or
        from its own end points.
    UnknownNameError
        For a model that is not in the catalogue.
    """
    if not entry.implants:
        raise InputError(
            f"plan, {entry.side} side", found=f"no implants (status {entry.status})", wanted="a plan with implants",
            fix="choose a side that has a plan",
        )  # fmt: skip
    trajectories = tuple(trajectory_from_entry(implant, catalogue, entry.side) for implant in entry.implants)
    return Plan(entry.side, trajectories, entry.planner, dict(entry.parameters))


def trajectory_from_entry(implant: ImplantEntry, catalogue: Mapping[str, ImplantModel], side: str) -> Trajectory:
    """The trajectory of one implant of a plan file; see `plan_from_entry`."""
    what = f"plan, {side} side, implant {implant.slot}"
    if implant.model not in catalogue:
        raise unknown_name(f"{what}: model", implant.model, catalogue)
    model = catalogue[implant.model]
    for field in ("inscribed_radius_mm", "circumscribed_radius_mm"):
        ours, theirs = getattr(model, field), getattr(implant, field)
        if abs(ours - theirs) > LENGTH_TOL_MM:
            raise InputError(f"{what}: {field}", found=f"{theirs:g}", wanted=f"{ours:g}, as in the catalogue",
                             fix="give the catalogue that the plan was made with")  # fmt: skip
    try:
        trajectory = Trajectory(implant.entry_lps_mm, implant.tip_lps_mm, implant.roll_deg, model)  # type: ignore[arg-type]
    except GeometryError as error:
        raise InputError(f"{what}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix) from error
    if abs(trajectory.length_mm - implant.length_mm) > 2 * LENGTH_TOL_MM:
        raise InputError(f"{what}: length_mm", found=f"{implant.length_mm:g}",
                         wanted=f"{trajectory.length_mm:.3f}, the distance from entry to tip")  # fmt: skip
    return trajectory


__all__ = ["PlanFile", "SideEntry", "finding_entries", "new_plan_file", "plan_from_entry", "plan_text",
           "read_plan", "side_entry", "trajectory_from_entry", "versions", "write_plan"]  # fmt: skip
