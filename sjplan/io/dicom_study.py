"""The study that DICOM objects of a plan join: what they need of the CT's headers, and nothing else of them.

An object belongs to a patient's study by identifiers that stand in it. What is taken over always are the UIDs of
study, frame of reference, series and pictures: without them an object hangs nowhere. They name no one by themselves,
yet whoever holds the original study finds the patient by them. Name, number, birth date, sex, dates and numbers of the
study are taken over only where that is asked for.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from sjplan.core.errors import InputError
from sjplan.io.dicom import series_slices
from sjplan.io.dicom_headers import is_dicom_file
from sjplan.io.payload import MAX_FILE_BYTES

GEOMETRY: Final = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient",
    "NumberOfFrames",
)  # fmt: skip
"""What is read of a picture's header, and all that is kept of it."""

IDENTIFIERS: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""What tells who the patient is and which examination it was: left empty unless asked for. All of them are of type 2:
an object has to hold them, and may hold nothing in them."""

_GROUPS: Final = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
}
_FUNCTIONAL: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A CT series as our objects refer to it.

    Parameters
    ----------
    instances : tuple of Dataset
        Its pictures in stack order, with `GEOMETRY` only, and `IDENTIFIERS` that hold nothing.
    created : datetime
        When the plan was made; the time of every object.
    identity : mapping of str, or None
        Value of each of `IDENTIFIERS`; None where they are not to be kept.
    """

    instances: tuple[Dataset, ...]
    created: datetime.datetime
    identity: Mapping[str, str] | None = None

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return str(self.instances[0].StudyInstanceUID)

    @property
    def frame_uid(self) -> str:
        """FrameOfReferenceUID: what coordinates are relative to."""
        return str(self.instances[0].FrameOfReferenceUID)

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID of the CT."""
        return str(self.instances[0].SeriesInstanceUID)


def read_study(
    folder: str | Path, series: str | None, created: datetime.datetime, *, keep_identifiers: bool = False
) -> Study:
    """What objects need of the CT series in a folder.

    Parameters
    ----------
    folder : path
        A folder, a DICOMDIR, or one DICOM file, as for `dicom.read_series`.
    series : str or None
        SeriesInstanceUID, needed where there are several CT series.
    created : datetime
        When the plan was made.
    keep_identifiers : bool
        Whether to take over what tells who the patient is.

    Raises
    ------
    InputError
        For no CT series, several, or one whose headers lack what ties coordinates to it.
    """
    paths = dict.fromkeys(picture.path for picture in series_slices(Path(folder), series))
    headers = [header for path in paths if (header := _header(path)) is not None]
    if not headers:
        raise InputError(
            str(folder), found="no CT picture whose header can be read", wanted="the series that was planned on",
            fix="name its folder",
        )  # fmt: skip
    instances = sorted((_taken_over(header) for header in headers), key=_height)
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        values = {str(i.get(name, "")) for i in instances}
        if len(values) != 1 or not values.pop():
            raise InputError(
                str(folder), found=f"pictures without one {name} for all", wanted="a series with one",
                fix="export the original series again",
            )  # fmt: skip
    return Study(tuple(instances), created, _identity(headers[0]) if keep_identifiers else None)


def _readable(path: Path) -> bool:
    """Whether a file is DICOM, of a size that is read, and can be looked at without unpacking it whole."""
    if not is_dicom_file(path) or path.stat().st_size > MAX_FILE_BYTES:
        return False
    # A deflated file would be inflated, whatever it expands to.
    return bool(read_file_meta_info(path).get("TransferSyntaxUID", "") != DeflatedExplicitVRLittleEndian)


def _header(path: Path) -> Dataset | None:
    """Header of one file, as far as it is looked at; None where it is no CT picture, or cannot be read."""
    tags = [*GEOMETRY, *_FUNCTIONAL, "ImageType", "SpecificCharacterSet", *IDENTIFIERS]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not _readable(path):
                return None
            read = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
            if read.get("Modality") != "CT" or "Rows" not in read or "LOCALIZER" in (read.get("ImageType") or ()):
                return None
            read.decode()
            return read
    except Exception:  # pydicom raises whatever a malformed file leads to; such a file is no part of the series
        return None


def _identity(read: Dataset) -> dict[str, str]:
    """What a header says of patient and study; nothing for a value that breaks DICOM's own rules."""
    held = {}
    for name in IDENTIFIERS:
        element: DataElement | None = read[name] if name in read else None  # noqa: SIM401 - get() gives the value
        value = "" if element is None or element.VM != 1 else str(element.value)
        try:
            DataElement(tag_for_keyword(name) or 0, dictionary_VR(name), value, validation_mode=RAISE)
        except ValueError:
            value = ""
        held[name] = value
    return held


def _taken_over(read: Dataset) -> Dataset:
    """Geometry and UIDs of a header, with empty identifiers."""
    taken = Dataset()
    for name in GEOMETRY:
        if name in read:
            taken[name] = read[name]
    for name in IDENTIFIERS:
        setattr(taken, name, "")
    for name in _FUNCTIONAL:
        if name in read:
            setattr(taken, name, [_groups(item) for item in read[name].value])
    return taken


def _groups(item: Dataset) -> Dataset:
    """The geometry of a functional groups item, without whatever else stands in it."""
    taken = Dataset()
    for group, names in _GROUPS.items():
        if item.get(group):
            inner = Dataset()
            for name in names:
                if name in item[group].value[0]:
                    inner[name] = item[group].value[0][name]
            setattr(taken, group, [inner])
    return taken


def _height(picture: Dataset) -> float:
    """Place in the stack; a file with many pictures is alone in its series."""
    position, axes = picture.get("ImagePositionPatient"), picture.get("ImageOrientationPatient")
    if position is None or axes is None:
        return 0.0
    normal = np.cross([float(v) for v in axes[:3]], [float(v) for v in axes[3:]])
    return float(normal @ np.array([float(v) for v in position]))


def references(instances: Sequence[Dataset]) -> Iterator[Dataset]:
    """Items that name pictures by class and UID."""
    for instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
        yield item


def code_item(code: tuple[str, str, str]) -> Any:
    """A code sequence's item of (value, scheme, meaning)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item
