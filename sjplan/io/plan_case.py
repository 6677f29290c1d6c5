"""The files that a plan was made on: found again by path, and known by their sha256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sjplan.core.errors import InputError
from sjplan.core.labels import LabelMap
from sjplan.io.planschema import PlanFile


def planned_path(plan_file: PlanFile, plan_path: str | Path, role: str) -> Path | None:
    """Where the CT (`ct`) or the label map (`labels`) of a plan lies now, or None.

    Paths stand in a plan file as they were given: one that is not absolute is tried from the current folder, and
    from the plan's own.
    """
    named = plan_file.case.paths.get(role)
    if not named:
        return None
    places = (Path(named), Path(plan_path).absolute().parent / named)
    try:
        return next((place for place in places if place.exists()), None)
    except (OSError, ValueError):  # a path that this system cannot look up
        return None


def differing(plan_file: PlanFile, sha256: Mapping[str, str]) -> list[str]:
    """Roles whose bytes are not those that the plan was made on; roles that the plan does not know count as equal.

    Examples
    --------
    >>> from sjplan.io.planschema import CaseEntry
    >>> plan = PlanFile.model_construct(case=CaseEntry(sha256={"ct": "aa", "labels": "bb"}))
    >>> differing(plan, {"ct": "aa", "labels": "cc"})
    ['labels']
    """
    known = plan_file.case.sha256
    return [role for role, sha in sha256.items() if known.get(role, sha) != sha]


def as_sure_as_planned(plan_file: PlanFile, labels: LabelMap) -> tuple[LabelMap, list[str]]:
    """The label map, no surer than when it was planned on, and a word where it would have been.

    How far labels may be off stands in a names file, which may have stayed behind when the label map was moved. Another
    label map (by sha256) is as sure as it says itself.
    """
    planned_mm = plan_file.case.surface_error_mm
    sha256 = {} if labels.source is None else {"labels": labels.source.sha256}
    if planned_mm <= labels.surface_error_mm or differing(plan_file, sha256):
        return labels, []
    note = (
        f"labels may be off by {planned_mm:g} mm, as when they were planned on: no names file beside them says so now"
    )
    return replace(labels, surface_error_mm=planned_mm), [note]


def require_planned_on(plan_file: PlanFile, sha256: Mapping[str, str], paths: Mapping[str, str]) -> None:
    """Refuse files that are not those that the plan was made on.

    Raises
    ------
    InputError
        Naming the first that differs.
    """
    for role in differing(plan_file, sha256):
        what = "label map" if role == "labels" else "CT"
        raise InputError(
            paths.get(role, role), found=f"another {what} than the one that the plan was made on (sha256 differs)",
            wanted=f"the same bytes as {plan_file.case.paths.get(role, 'then')}",
            fix="name the file that was planned on, or plan again on this one",
        )  # fmt: skip
