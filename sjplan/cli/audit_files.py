"""Which files an audit reads: the label map that a plan was made on, and what was placed in a case's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.io.cases import Case
    from sjplan.io.placed import PlacedFile
    from sjplan.io.planfile import PlanFile

PLAN: Final = "plan.json"
PLACED: Final = "placed"
"""In a folder of cases each has these: a plan.json, and one placed.* or a folder placed."""


def plan_of(path: Path, *, untrusted: bool) -> PlanFile:
    """Read a plan file, a stranger's in a child process."""
    if untrusted:
        from sjplan.io.child import plan_in_child

        return plan_in_child(path)
    from sjplan.io.planfile import read_plan

    return read_plan(path)


def labels_path(plan_file: PlanFile, plan_path: Path, given: Path | None) -> Path:
    """The label map given, else the one that the plan was made on: beside the plan, or from the current folder.

    Without one given, nothing is measured on other bytes than those of the plan.

    Raises
    ------
    InputError
        If none of the places holds it.
    """
    from sjplan.io.plan_case import differing

    if given is not None:
        return given
    named = plan_file.case.paths.get("labels")
    others = []
    for place in _places(plan_path.absolute().parent, named):
        sha256 = _sha256(place)
        if sha256 is not None and not differing(plan_file, {"labels": sha256}):
            return place
        others += [place] if sha256 is not None else []
    if not others:
        raise InputError(
            str(plan_path), found=f"a plan whose label map is not there ({named or 'no path in it'})",
            wanted="the label map that the plan was made on", fix="give it with --labels FILE",
        )  # fmt: skip
    raise InputError(
        str(others[0]), found="another label map than the one that the plan was made on (sha256 differs)",
        wanted=f"the same bytes as {named or 'then'}", fix="give it with --labels FILE, or plan again on this one",
    )  # fmt: skip


def _places(beside: Path, named: str | None) -> list[Path]:
    """Where a plan's label map may lie now, likeliest first."""
    own = [beside / named, beside / Path(named).name] if named else []
    return list(dict.fromkeys([*own, beside / "labels.nii.gz", *([Path(named).absolute()] if named else [])]))


def _sha256(path: Path) -> str | None:
    """Of a file's bytes; None where there is no file that can be read."""
    import hashlib

    from sjplan.io.payload import check_file_size

    try:
        check_file_size(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (InputError, OSError, ValueError):  # ValueError: a name that no system looks up
        return None


def case_notes(plan_file: PlanFile, case: Case, source: PlacedFile) -> list[str]:
    """A word where files do not belong together."""
    notes = []
    own = plan_file.case.sha256.get("labels")
    if own is None:
        notes.append("the plan does not say which label map it was made on")
    elif case.sha256.get("labels") not in (None, own):
        notes.append("the plan was made on another label map: its sha256 differs")
    if source.plan is not None and own is not None and source.plan.case.sha256.get("labels", own) != own:
        notes.append("the placed plan was made on another label map than the plan: its sha256 differs")
    if source.lines:
        notes.append(
            "lines say nothing of the roll: clearances are those of the cylinder round every roll, gaps those of "
            "the planned roll"
        )
    return notes


def cases_of(folder: Path) -> list[Path]:
    """Cases of a folder by name: every folder in it with a plan.json.

    Raises
    ------
    InputError
        For a folder without a case.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir() and (p / PLAN).is_file())
    if not found:
        raise InputError(
            str(folder), found="no case", wanted=f"folders that hold {PLAN} and {PLACED}.* (or a folder {PLACED})",
            fix="give one case as PLAN.json PLACED",
        )  # fmt: skip
    return found


def placed_in(case: Path) -> Path:
    """What was placed in a case: its placed.* or folder placed.

    Raises
    ------
    InputError
        If there is none, or more than one: which of them counts nobody but the user knows.
    """
    found = sorted(p for p in case.iterdir() if p.name.split(".")[0] == PLACED)
    if len(found) != 1:
        raise InputError(
            str(case), found=f"{', '.join(p.name for p in found[:8]) or 'nothing that was placed'}",
            wanted=f"one {PLACED}.*, or one folder {PLACED}",
            fix="leave the one that counts, and name the others otherwise" if found else "put it there",
        )  # fmt: skip
    return found[0]
