"""`sjplan export --to dicom`: a plan as objects of the study that its CT came from."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sjplan.cli.export_case import CaseOptions, labels_of_plan
from sjplan.cli.opengl import require_opengl
from sjplan.cli.progress import Report, part_of
from sjplan.core.errors import GeometryError, InputError

if TYPE_CHECKING:
    from sjplan.core.implant import ImplantModel
    from sjplan.core.trajectory import Trajectory
    from sjplan.core.volume import CtVolume
    from sjplan.io.dicom_pieces import View
    from sjplan.io.planfile import PlanFile
    from sjplan.xray.types import CArm

VIEWS: Final = ("ap", "lateral", "inlet", "outlet")
"""Predicted views that are written, where the plan holds their numbers."""


def export_to_dicom(
    plan_file: PlanFile,
    plan_path: Path,
    out: Path,
    catalogue: dict[str, ImplantModel],
    options: CaseOptions,
    report: Report,
    *,
    bones: bool,
    views: bool,
    keep_identifiers: bool,
) -> tuple[list[Path], list[str]]:
    """Write the objects; return their files, and what a person should know.

    Raises
    ------
    SjplanError
        For a plan that was not made on a DICOM series, or whose series is gone or no longer the same.
    """
    from sjplan.io.child import study_in_child
    from sjplan.io.dicom_export import export_dicom
    from sjplan.io.dicom_objects import highdicom
    from sjplan.io.dicom_study import read_study
    from sjplan.io.exports import placed_implants
    from sjplan.io.plan_case import require_planned_on
    from sjplan.io.volumes import read_ct

    highdicom()
    placed = placed_implants(plan_file, catalogue)
    folder = _series_folder(plan_file, plan_path, options)
    if views:
        require_opengl()
    report("reading the series", 0.0)
    created = datetime.datetime.fromisoformat(plan_file.created)
    created = created if created.tzinfo is not None else created.replace(tzinfo=datetime.UTC)
    look = study_in_child if options.untrusted else read_study
    study = look(folder, options.series, created, keep_identifiers=keep_identifiers)
    ct = read_ct(folder, series=options.series, untrusted=options.untrusted)
    require_planned_on(plan_file, {"ct": ct.source.sha256 if ct.source else ""}, {"ct": str(folder)})
    labels, notes = None, list[str]()
    if bones:
        without_ct = replace(options, case=None)
        labels, notes = labels_of_plan(plan_file, plan_path, without_ct, part_of(report, 0.3, 0.4))
    implants = dict(enumerate((p.trajectory for p in placed), 1))
    pictures = _views(plan_file, ct, implants, part_of(report, 0.4, 0.7)) if views else []
    if views and not pictures:
        notes.append("no predicted views: the plan holds no C-arm numbers")
    files = export_dicom(plan_file, out, catalogue, study, labels, pictures, progress=part_of(report, 0.7, 1.0))
    return files, notes


def _series_folder(plan_file: PlanFile, plan_path: Path, options: CaseOptions) -> Path:
    """Where the DICOM series lies that a plan was made on."""
    from sjplan.io.cases import PHANTOM_CT, PHANTOM_LABELS
    from sjplan.io.dicom_headers import is_dicom_file
    from sjplan.io.plan_case import planned_path

    named = plan_file.case.paths.get("ct")
    found = Path(options.case).expanduser() if options.case else planned_path(plan_file, plan_path, "ct")
    if found is None and named:
        raise InputError(
            str(plan_path), found=f"its CT is gone ({named})", wanted="the DICOM series that was planned on",
            fix="name it with --case FOLDER",
        )  # fmt: skip
    is_series = found is not None and (
        (found.is_dir() and not any((found / name).is_file() for name in (PHANTOM_CT, PHANTOM_LABELS)))
        or is_dicom_file(found)
    )
    if found is None or not is_series:
        made_on = "a label map alone" if not found else found.name
        raise InputError(
            str(plan_path), found=f"a plan made on {made_on}",
            wanted="one made on a DICOM series: the objects become part of its study",
            fix="plan on the DICOM folder, with --labels FILE",
        )  # fmt: skip
    return found


def _views(plan_file: PlanFile, ct: CtVolume, implants: dict[int, Trajectory], report: Report) -> list[View]:
    """Radiographs of the plan's own views with every implant in them."""
    from sjplan.io.dicom_pieces import View
    from sjplan.render.fluoro import FluoroOverlays, edge_letters, fluoro_picture
    from sjplan.xray.carm import CArmGeometry
    from sjplan.xray.fluoroscope import Fluoroscope

    numbers = {name: v for side in plan_file.sides for name, v in side.views.items()}
    carms = {name: _carm(name, numbers[name]) for name in VIEWS if name in numbers}
    drawn = []
    scope = Fluoroscope(ct) if carms else None
    for n, (name, carm) in enumerate(carms.items()):
        assert scope is not None
        report(f"{name} view", n / len(carms))
        radiograph = scope.take(carm, trajectories=tuple(implants.values()))
        picture = fluoro_picture(radiograph, FluoroOverlays(implants=implants, title=f"{name}, planned implants"))
        letters = edge_letters(radiograph, CArmGeometry.of(radiograph.carm, radiograph.detector), None)
        drawn.append(View(name, picture, letters["right"], letters["bottom"]))
    return drawn


def _carm(name: str, numbers: Any) -> CArm:
    from sjplan.xray.types import CArm

    try:
        return CArm(**numbers)
    except (TypeError, ValueError, GeometryError) as error:
        raise InputError(
            f"plan, view {name}", found="numbers that are no C-arm pose", wanted="those that sjplan plan writes",
            fix="plan again, or leave the views out with --no-views",
        ) from error  # fmt: skip
