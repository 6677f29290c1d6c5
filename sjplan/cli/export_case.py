"""The case behind a plan, for what an export adds to the implants: bones, and the study that DICOM objects join."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sjplan.cli.intake import CaseArguments, read_case
from sjplan.cli.progress import Report
from sjplan.core.errors import SjplanError

if TYPE_CHECKING:
    from sjplan.core.labels import LabelMap
    from sjplan.io.planfile import PlanFile

MOVED: str = "give it with --labels FILE or --case CASE"


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """Where the case lies, in the words of the command line; empty where the plan's own paths are to do."""

    case: str | None = None
    labels: Path | None = None
    names: Path | None = None
    series: str | None = None
    untrusted: bool = False

    @property
    def given(self) -> bool:
        """Whether the user named any file."""
        return self.case is not None or self.labels is not None


def labels_of_plan(
    plan_file: PlanFile, plan_path: Path, options: CaseOptions, report: Report
) -> tuple[LabelMap | None, list[str]]:
    """The label map that a plan was made on, and what a person should know where there is none.

    Raises
    ------
    SjplanError
        If the user named files, and they cannot be used or are not those of the plan.
    """
    from sjplan.io.plan_case import as_sure_as_planned, differing, planned_path, require_planned_on

    unchecked = [] if plan_file.case.sha256.get("labels") else ["the plan does not say which label map it was made on"]
    if options.case is not None:
        arguments = CaseArguments(options.case, options.labels, options.names, options.series, options.untrusted)
        case = read_case(arguments, report)
        require_planned_on(plan_file, case.sha256, case.paths)
        missing = [f"no bones: {options.case} has no labels; {MOVED}"]
        if case.labels is None:
            return None, missing
        labels, unsure = as_sure_as_planned(plan_file, case.labels)
        return labels, unchecked + unsure
    path = options.labels or planned_path(plan_file, plan_path, "labels")
    if path is None:
        named = plan_file.case.paths.get("labels")
        return None, [
            f"no bones: the plan's label map {'is gone (' + named + ')' if named else 'is not named'}; {MOVED}"
        ]
    report(f"reading {path.name}", 0.0)
    try:
        labels = _read(path, options)
    except SjplanError as error:
        if options.given:
            raise
        return None, [f"no bones: {error}"]
    sha256 = {"labels": labels.source.sha256 if labels.source else ""}
    if options.given:
        require_planned_on(plan_file, sha256, {"labels": str(path)})
    elif differing(plan_file, sha256):
        return None, [f"no bones: {path} is no longer the label map that the plan was made on (sha256); {MOVED}"]
    labels, unsure = as_sure_as_planned(plan_file, labels)
    return labels, unchecked + unsure


def _read(path: Path, options: CaseOptions) -> LabelMap:
    from sjplan.io.volumes import read_labels

    return read_labels(path, names=options.names, untrusted=options.untrusted)
