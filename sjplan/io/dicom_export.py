"""A plan into the study that its CT came from: DICOM objects as files of one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.io.atomic import output_folder, write_bytes
from sjplan.io.dicom_objects import encoded
from sjplan.io.dicom_pieces import View, bone_segmentation, implant_models, predicted_views
from sjplan.io.dicom_report import plan_report
from sjplan.io.dicom_study import Study
from sjplan.io.exports import implant_models as implant_shapes
from sjplan.io.exports import placed_implants
from sjplan.io.planschema import PlanFile


def export_dicom(
    plan_file: PlanFile,
    out_dir: str | Path,
    catalogue: Mapping[str, ImplantModel],
    study: Study,
    labels: LabelMap | None = None,
    views: Sequence[View] = (),
    *,
    progress: Callable[[str, float], None] | None = None,
) -> list[Path]:
    """Write the accepted implants of a plan as DICOM objects; nothing is left behind on failure.

    Written are `bones.dcm` (segmentation), `SIDE_SLOT_MODEL.dcm` (encapsulated STL) an implant, `view_NAME.dcm`
    (secondary capture) a view, and `report.dcm` (Comprehensive 3D SR), which names all the others. The same arguments
    give the same bytes; see `sjplan.io.dicom_objects` on UIDs.

    Parameters
    ----------
    plan_file : PlanFile
        The plan; sides without an accepted plan are left out.
    out_dir : path
        Folder to write into.
    catalogue : mapping of id to ImplantModel
        Where the implants' sections come from.
    study : Study
        The CT series that was planned on.
    labels : LabelMap, optional
        The label map that was planned on; no segmentation is written without.
    views : sequence of View
        Predicted views.
    progress : callable, optional
        Called with what is being done and the share that is done.

    Raises
    ------
    InputError, UnknownNameError
        For a plan without implants or one that does not fit the catalogue, labels without bones, a folder that
        cannot be written, and where highdicom is missing.
    """
    tell = progress or (lambda _what, _share: None)
    placed = placed_implants(plan_file, catalogue)
    shapes = implant_shapes(placed)
    titles = [f"{p.side} implant {p.entry.slot}, {p.entry.model} {p.entry.length_mm:g} mm" for p in placed]
    objects: dict[str, Dataset] = {}
    with output_folder(out_dir) as building:
        if labels is not None:
            tell("segmentation of the bones", 0.0)
            objects["bones"] = bone_segmentation(labels, study)
        tell("implants, views and report", 0.7)
        objects |= zip((s.name for s in shapes), implant_models(shapes, titles, study), strict=True)
        objects |= zip((f"view_{v.name}" for v in views), predicted_views(views, study), strict=True)
        objects["report"] = plan_report(placed, study, list(objects.values()))
        for n, (name, dataset) in enumerate(objects.items()):
            tell("writing", 0.8 + 0.2 * n / len(objects))
            write_bytes(building / f"{name}.dcm", encoded(dataset))
    return [Path(out_dir) / f"{name}.dcm" for name in objects]
