"""A plan as DICOM objects: a segmentation of the bones, models of the implants, and pictures of the predicted views."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.errors import InputError
from sjplan.core.labels import LabelMap
from sjplan.io.dicom_codes import (
    ANATOMICAL_STRUCTURE,
    BONES,
    LEFT,
    MILLIMETRE,
    OWN_BLOCK,
    OWN_GROUP,
    OWN_SCHEME,
    RIGHT,
    SCT,
    SURFACE_ERROR_TAG,
)
from sjplan.io.dicom_objects import codes, finish, frame_of_reference, highdicom, place, seal, uid_of
from sjplan.io.dicom_study import Study, references
from sjplan.io.meshes import Model, stl_bytes

ENCAPSULATED_STL: Final = "1.2.840.10008.5.1.4.1.1.104.3"
"""SOP class of a model as STL (DICOM PS3.4, B.5)."""


@dataclass(frozen=True, slots=True)
class View:
    """A predicted view.

    Parameters
    ----------
    name : str
        Such as "outlet".
    png : bytes
        The picture.
    to_the_right, to_the_bottom : str
        Directions of the body, L R A P H F or two of them.
    """

    name: str
    png: bytes
    to_the_right: str
    to_the_bottom: str


def bone_segmentation(labels: LabelMap, study: Study) -> Dataset:
    """The bones that a plan needs as a binary segmentation on the label map's own grid.

    Frames without a voxel are written too: without them a reader could not tell where the grid ends. How far the
    labels may be off goes with them, for `read_segmentation`.

    Raises
    ------
    InputError
        For a label map without any of these bones, and where highdicom is missing.
    """
    hd = highdicom()
    names = [name for name in BONES if name in labels.present()]
    if not names:
        raise InputError("labels", found="no bone", wanted=", ".join(BONES))
    number = np.zeros(256, np.uint8)
    for n, name in enumerate(names, 1):
        number[[i for i, called in labels.names.items() if called == name]] = n
    grid = labels.grid
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = grid.matrix[:, ::-1], grid.origin_lps_mm  # [k, j, i]: slice, row, column
    volume = hd.Volume(
        np.ascontiguousarray(number[labels.label].transpose(2, 1, 0)), affine, "PATIENT",
        frame_of_reference_uid=study.frame_uid,
    )  # fmt: skip
    segmentation: Dataset = hd.seg.Segmentation(
        source_images=list(study.instances),
        pixel_array=volume,
        segmentation_type="BINARY",
        segment_descriptions=[_described(hd, n, name) for n, name in enumerate(names, 1)],
        content_label="BONES",
        content_description=f"Bones of a plan, {NOT_FOR_CLINICAL_USE.split('. ')[-1].rstrip('.').lower()}",
        omit_empty_frames=False,
        **place("SEG", 1),
    )
    if labels.surface_error_mm:
        block = segmentation.private_block(OWN_GROUP, OWN_BLOCK, create=True)
        block.add_new(SURFACE_ERROR_TAG & 0xFF, "DS", f"{labels.surface_error_mm:g}")
    _settle_dimension(segmentation, study)
    finish(segmentation, study)
    seal([segmentation])
    return segmentation


def _described(hd: Any, number: int, name: str) -> Any:
    code = BONES[name]
    algorithm = hd.AlgorithmIdentificationSequence(
        name="labels as given to sjplan", version="1",
        family=hd.sr.CodedConcept("labels-from-file", OWN_SCHEME, "Labels read from a file"),
    )  # fmt: skip
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=hd.sr.CodedConcept(*ANATOMICAL_STRUCTURE),
        segmented_property_type=hd.sr.CodedConcept(code.value, SCT, code.meaning),
        algorithm_type="SEMIAUTOMATIC",
        algorithm_identification=algorithm,
    )
    if code.side:
        side = codes(LEFT if code.side == "left" else RIGHT)
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = side
    return described


def _settle_dimension(segmentation: Dataset, study: Study) -> None:
    """One UID for the order of the frames, made of what is ordered; the library makes a random one."""
    uid = uid_of("dimension", study.series_uid)
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def implant_models(models: Sequence[Model], titles: Sequence[str], study: Study) -> list[Dataset]:
    """One encapsulated STL an implant, in mm and the CT's frame of reference.

    Parameters
    ----------
    models : sequence of Model
        The implants.
    titles : sequence of str
        What each is, for people.
    study : Study
        Where they belong.
    """
    group = uid_of("model group", study.series_uid, *(stl_bytes(m.vertices_lps_mm, m.triangles) for m in models))
    objects = [_model(m, title, n, group, study) for n, (m, title) in enumerate(zip(models, titles, strict=True), 1)]
    seal(objects)
    return objects


def _model(model: Model, title: str, number: int, group: str, study: Study) -> Dataset:
    hd = highdicom()
    dataset: Dataset = hd.base.SOPClass(
        sop_class_uid=ENCAPSULATED_STL,
        modality="M3D",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **place("M3D", number),
        study_instance_uid=study.study_uid,
    )
    finish(dataset, study)
    frame_of_reference(dataset, study)
    dataset.AcquisitionDateTime = ""
    dataset.ImageLaterality = "L" if model.name.startswith("left") else "R"
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.DocumentTitle = f"{title}. {NOT_FOR_CLINICAL_USE}"
    dataset.ConceptNameCodeSequence = codes(("planned-implant", OWN_SCHEME, "Planned implant, not placed"))
    dataset.SourceInstanceSequence = list(references(study.instances))
    dataset.ReferencedSeriesSequence = [_series(study)]
    dataset.MIMETypeOfEncapsulatedDocument = "model/stl"
    dataset.ModelModification, dataset.ModelMirroring = "NO", "NO"
    dataset.ContentDescription = f"{title}, not for clinical use"[:64]
    dataset.MeasurementUnitsCodeSequence = codes(MILLIMETRE)
    dataset.ModelGroupUID = group
    stl = stl_bytes(model.vertices_lps_mm, model.triangles)
    dataset.EncapsulatedDocumentLength = len(stl)
    dataset.EncapsulatedDocument = stl + b"\0" * (len(stl) % 2)
    return dataset


def predicted_views(views: Sequence[View], study: Study) -> list[Dataset]:
    """One secondary capture a predicted view, in colour, lossless."""
    objects = [_capture(view, n, study) for n, view in enumerate(views, 1)]
    seal(objects)
    return objects


def _capture(view: View, number: int, study: Study) -> Dataset:
    hd = highdicom()
    pixels = np.asarray(Image.open(io.BytesIO(view.png)).convert("RGB"))
    capture: Dataset = hd.sc.SCImage(
        pixel_array=pixels, photometric_interpretation="RGB", bits_allocated=8, coordinate_system="PATIENT",
        patient_orientation=("L", "F"), **place("OT", number), study_instance_uid=study.study_uid,
    )  # fmt: skip
    finish(capture, study)
    capture.PatientOrientation = [view.to_the_right, view.to_the_bottom]
    capture.ConversionType = "WSD"
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = capture.ContentDate, capture.ContentTime
    capture.BurnedInAnnotation = "NO"  # nothing in it tells who the patient is
    capture.RecognizableVisualFeatures = "NO"
    capture.DerivationDescription = (
        f"{view.name} view simulated from the CT with planned implants. {NOT_FOR_CLINICAL_USE}"
    )
    capture.ImageComments = f"{view.name}: simulated, not for clinical use"
    capture.SourceImageSequence = list(references(study.instances))
    capture.ReferencedSeriesSequence = [_series(study)]
    capture.BodyPartExamined = "PELVIS"
    return capture


def _series(study: Study) -> Dataset:
    """The CT series and its pictures, for those who look for what belongs together."""
    item = Dataset()
    item.SeriesInstanceUID = study.series_uid
    item.ReferencedInstanceSequence = list(references(study.instances))
    return item
