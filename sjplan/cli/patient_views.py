"""The standard views of whatever case is at hand: from its bones where there are labels, else from the scan's axes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from sjplan.core.errors import AnatomyError
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.tolerances import MAX_PLANNING_SPACING_MM

if TYPE_CHECKING:
    from sjplan.anatomy.types import Anatomy
    from sjplan.cli.progress import Report
    from sjplan.core.labels import LabelMap
    from sjplan.io.cases import Case
    from sjplan.xray.types import CArm

MEAN_INLET_TILT_DEG: Final = -23.0
MEAN_OUTLET_TILT_DEG: Final = 43.0
"""Population means, for a scan without labels only (CLINICAL.md 3.3); they fail in 28 to 37 % (TANOGLU23)."""

SCAN_VIEWS: Final = ("ap", "lateral", "judet-iliac-left", "judet-iliac-right", "judet-obturator-left",
                     "judet-obturator-right", "si-oblique-left", "si-oblique-right")  # fmt: skip
"""Views that need no landmark."""


@dataclass(frozen=True, slots=True)
class PatientViews:
    """Views by name, what they were found from, and what a person should know about them."""

    views: dict[str, CArm]
    frame: AnatomicalFrame | None = None
    anatomy: Anatomy | None = None
    notes: list[str] = field(default_factory=list)


def patient_views(case: Case, report: Report, source_mm: float | None = None) -> PatientViews:
    """The standard views of a case, from a tube so far from the isocentre (the usual distance if not given).

    A label map fine enough to plan on gives its anatomy too; a coarser one, or one whose foramina are not found,
    its pelvic frame and landmarks only; a CT without labels nothing but the scan's own axes.

    Raises
    ------
    SjplanError
        If there are labels, and they are not a pelvis.
    """
    if case.labels is None:
        assert case.ct is not None
        notes = [
            "no labels: views follow the scan's own axes, and inlet and outlet the population's means; "
            "give --labels FILE for this patient's own"
        ]
        return PatientViews(scan_views(case, source_mm), notes=notes)
    if float(case.labels.grid.spacing_mm.max()) > MAX_PLANNING_SPACING_MM * (1 + 1e-6):
        spacing = " x ".join(f"{v:.3g}" for v in case.labels.grid.spacing_mm)
        return _from_landmarks(
            case.labels, report, f"voxels of {spacing} mm: fluoroscopy works on this map, planning does not", source_mm
        )
    from sjplan.anatomy.build import anatomy_from_labels

    try:
        anatomy = anatomy_from_labels(case.labels, progress=report)
    except AnatomyError as error:
        return _from_landmarks(case.labels, report, f"views from landmarks alone: {error}", source_mm)
    from sjplan.views.patient import views_of_anatomy

    return PatientViews(views_of_anatomy(anatomy, source_mm), anatomy.frame, anatomy)


def _from_landmarks(labels: LabelMap, report: Report, note: str, source_mm: float | None) -> PatientViews:
    from sjplan.anatomy.pelvis import pelvic_frame
    from sjplan.views.standard import SOURCE_TO_ISOCENTRE_MM, standard_views

    report("pelvic frame and landmarks", 0.1)
    found = pelvic_frame(labels)
    source_mm = source_mm or SOURCE_TO_ISOCENTRE_MM
    views = standard_views(found.frame, found.landmarks, source_to_isocentre_mm=source_mm)
    return PatientViews(views, found.frame, notes=[note])


def scan_views(case: Case, source_mm: float | None = None) -> dict[str, CArm]:
    """Views of a scan in which nothing is known: round its centre, along its own axes."""
    from sjplan.views.standard import SOURCE_TO_ISOCENTRE_MM, standard_views

    centre, source_mm = case.grid.centre_lps_mm, source_mm or SOURCE_TO_ISOCENTRE_MM
    posed = standard_views(AnatomicalFrame(centre, np.eye(3)), {}, source_to_isocentre_mm=source_mm)
    views = {name: replace(posed[name], isocentre_lps_mm=centre) for name in SCAN_VIEWS}
    ap = views["ap"]
    views["inlet"] = replace(ap, tilt_deg=MEAN_INLET_TILT_DEG)
    views["outlet"] = replace(ap, tilt_deg=MEAN_OUTLET_TILT_DEG)
    return views
