"""A plan as a DICOM structured report: where implants begin and end, how long they lie in what, and their margins.

A Comprehensive 3D SR with template TID 1500: one measurement group an implant, at its sacroiliac joint. The measurement
*Length* carries the axis as a polyline of two points, **entry first, tip second**, in the frame of reference of the CT
(LPS, mm, single precision); *Protrusion* carries the entry, *Length in the sacrum* the tip, a clearance the nearest
point of the structure. Names that DICOM has no code for are ours (99SJPLAN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from sjplan import NOT_FOR_CLINICAL_USE, __version__
from sjplan.core.errors import InputError
from sjplan.io.dicom_codes import DEGREE, LEFT, LENGTH, MILLIMETRE, OWN_SCHEME, RIGHT, SACROILIAC_JOINT
from sjplan.io.dicom_objects import finish, highdicom, place, seal, uid_of
from sjplan.io.dicom_study import Study
from sjplan.io.exports import Placed

_MEASURES: Final = (
    ("iliac_mm", "Length in the ilium", ""),
    ("joint_mm", "Length in the joint", ""),
    ("sacral_mm", "Length in the sacrum", "tip"),
    ("protrusion_mm", "Protrusion from the ilium", "entry"),
    ("margin_mm", "Margin of the clearance envelope", ""),
    ("slack_mm", "Worst slack over the limits", ""),
)
"""Measures of an implant in a plan file, their names, and the end whose place they carry."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,40}")
_PLAN: Final = ("plan", OWN_SCHEME, "Plan of sacroiliac joint fusion")
_PLANNED: Final = ("planned-implant", OWN_SCHEME, "Planned implant, not placed")
_COMMENT: Final = ("121106", "DCM", "Comment")


def plan_report(placed: Sequence[Placed], study: Study, evidence: Sequence[Dataset]) -> Dataset:
    """The report of all implants of a plan.

    Parameters
    ----------
    placed : sequence of Placed
        The implants.
    study : Study
        Where they belong.
    evidence : sequence of Dataset
        Objects of the plan that were written before, each with its UIDs.
    """
    hd = highdicom()
    report = hd.sr.MeasurementReport(
        observation_context=_observer(hd),
        procedure_reported=_code(hd, _PLAN),
        imaging_measurements=[_group(hd, p, study) for p in placed],
    )
    notice = hd.sr.TextContentItem(
        name=_code(hd, _COMMENT), value=NOT_FOR_CLINICAL_USE,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )  # fmt: skip
    report[0].ContentSequence.append(notice)
    document: Dataset = hd.sr.Comprehensive3DSR(
        evidence=[*study.instances, *evidence],
        content=report,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **place("SR", 1),
    )
    document.CompletionFlagDescription = f"Proposal of a program. {NOT_FOR_CLINICAL_USE}"[:64]
    finish(document, study)
    seal([document])
    return document


def _code(hd: Any, code: tuple[str, str, str]) -> Any:
    return hd.sr.CodedConcept(*code)


def _observer(hd: Any) -> Any:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of("sjplan", __version__), name="sjplan", manufacturer_name="sjplan", model_name=f"sjplan {__version__}"
    )
    kind = hd.sr.CodedConcept("121007", "DCM", "Device")
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(observer_type=kind, observer_identifying_attributes=device)
    )


def _group(hd: Any, placed: Placed, study: Study) -> Any:
    """Measurements of one implant, at the joint that it crosses."""
    entry = placed.entry
    name = f"{placed.side} implant {entry.slot}, {entry.model}"
    side = LEFT if placed.side == "left" else RIGHT
    ends = [v for point in (entry.entry_lps_mm, entry.tip_lps_mm) for v in point]
    tracked = uid_of("implant", study.series_uid, name, repr(ends))
    site = hd.sr.FindingSite(anatomic_location=_code(hd, SACROILIAC_JOINT), laterality=_code(hd, side))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=tracked, identifier=name),
        finding_type=_code(hd, _PLANNED),
        finding_sites=[site],
        measurements=list(_measurements(hd, placed, study)),
    )


def _measurements(hd: Any, placed: Placed, study: Study) -> Iterator[Any]:
    entry = placed.entry
    ends = {"entry": entry.entry_lps_mm, "tip": entry.tip_lps_mm}
    axis = [ends["entry"], ends["tip"]]
    yield _measurement(hd, LENGTH, entry.length_mm, study, axis)
    for field, meaning, end in _MEASURES:
        value = getattr(entry, field)
        if value is not None:
            code = (field.removesuffix("_mm").replace("_", "-"), OWN_SCHEME, meaning)
            yield _measurement(hd, code, value, study, [ends[end]] if end else [])
    yield _measurement(hd, ("roll", OWN_SCHEME, "Roll about entry to tip"), entry.roll_deg, study, [], DEGREE)
    for clearance in entry.clearances:
        if not _NAME.fullmatch(clearance.structure):
            raise InputError(
                f"plan, {placed.side} side, implant {entry.slot}: structure", found=repr(clearance.structure)[:60],
                wanted="a name of letters, digits and underscores", fix="plan again",
            )  # fmt: skip
        words = clearance.structure.replace("_", " ")
        code = (f"clearance-{clearance.structure}", OWN_SCHEME, f"Clearance of the envelope to {words}")
        yield _measurement(hd, code, clearance.envelope_mm, study, [clearance.at_lps_mm])


def _measurement(
    hd: Any,
    name: tuple[str, str, str],
    value: float,
    study: Study,
    points_lps_mm: Sequence[Sequence[float]],
    unit: tuple[str, str, str] = MILLIMETRE,
) -> Any:
    where = None
    if points_lps_mm:
        where = [
            hd.sr.CoordinatesForMeasurement3D(
                graphic_type="POINT" if len(points_lps_mm) == 1 else "POLYLINE",
                graphic_data=np.asarray(points_lps_mm, dtype=np.float64),
                frame_of_reference_uid=study.frame_uid,
            )
        ]
    return hd.sr.Measurement(
        name=_code(hd, name), value=float(value), unit=_code(hd, unit), referenced_coordinates=where
    )
