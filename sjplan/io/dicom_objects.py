"""What all DICOM objects of a plan have in common: where they belong, when and by what they were made, their UIDs.

**UIDs follow from the content.** The UID of an instance is made of the sha256 of everything else in it (a name-based
UUID under 2.25, DICOM PS3.5, B.2), and the time in it is the plan's. The same plan exported twice gives the same bytes
under the same UIDs, so that an archive that gets both keeps one. Whatever changes a byte, a newer version of sjplan,
other labels, kept identifiers, changes the UID, so that one UID never stands for two contents. Random UIDs would double
a plan in the archive with every export; UIDs made of the plan alone would clash.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import UID

from sjplan import __version__
from sjplan.core.errors import InputError
from sjplan.io.dicom_study import IDENTIFIERS, Study, code_item

NOTICE: Final = "not for clinical use"
"""Stands in the series description of every object: viewers show it first."""

SERIES: Final[Mapping[str, tuple[int, str]]] = {
    "SEG": (9101, f"sjplan bones - {NOTICE}"),
    "M3D": (9102, f"sjplan planned implants - {NOTICE}"),
    "OT": (9103, f"sjplan predicted views - {NOTICE}"),
    "SR": (9104, f"sjplan plan report - {NOTICE}"),
}
"""Number and description of each series, by modality; a description has at most 64 characters."""

_NAMESPACE: Final = uuid.UUID("6f1d1a52-5c0e-5c4e-9a55-3d1f6a6b8f10")
_UNSET: Final = "2.25.1"
"""Stands for the UIDs of an object until its content is known."""


def highdicom() -> ModuleType:
    """The library that builds segmentations and reports.

    Raises
    ------
    InputError
        Where it is not installed.
    """
    try:
        import highdicom
    except ImportError as error:
        raise InputError(
            "--to dicom", found="no highdicom", wanted="the library that builds DICOM objects",
            fix="pip install 'sjplan[dicom]'",
        ) from error  # fmt: skip
    module: ModuleType = highdicom
    return module


def uid_of(*parts: str | bytes) -> str:
    """A UID that is the same for the same parts, and another for others.

    Examples
    --------
    >>> uid_of("a", "b") == uid_of("a", "b"), uid_of("a", "b") == uid_of("ab", "")
    (True, False)
    >>> uid_of("a")[:5], len(uid_of("a")) <= 64
    ('2.25.', True)
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"2.25.{uuid.uuid5(_NAMESPACE, digest.hexdigest()).int}"


def place(modality: str, number: int) -> dict[str, Any]:
    """Keyword arguments of every highdicom constructor: series, instance, and the maker."""
    series_number, description = SERIES[modality]
    return {
        "series_instance_uid": _UNSET,
        "series_number": series_number,
        "series_description": description,
        "sop_instance_uid": _UNSET,
        "instance_number": number,
        "manufacturer": "sjplan",
        "manufacturer_model_name": "sjplan",
        "software_versions": __version__,
        "device_serial_number": "none",
    }


def finish(dataset: Dataset, study: Study) -> Dataset:
    """Say when the object was made, and whose it is or what is left out."""
    day, time = study.created.strftime("%Y%m%d"), study.created.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = day, time
    dataset.ContentDate, dataset.ContentTime = day, time
    dataset.TimezoneOffsetFromUTC = study.created.strftime("%z") or "+0000"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in IDENTIFIERS:  # a new element each: highdicom lets objects share theirs with the pictures
        dataset.add_new(name, dictionary_VR(name), "" if study.identity is None else study.identity[name])
    for item in dataset.get("ContributingEquipmentSequence", ()):  # highdicom says that it took part, and when
        item.ContributionDateTime = study.created.strftime("%Y%m%d%H%M%S")
    if study.identity is None:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "sjplan: what names patient and study left out, UIDs kept"
    return dataset


def seal(series: Sequence[Dataset]) -> None:
    """Give the objects of one series their UIDs, made of their content; see the module's text."""
    bodies = [_sha256(dataset) for dataset in series]
    series_uid = uid_of("series", *bodies)
    for dataset, body in zip(series, bodies, strict=True):
        instance_uid = uid_of("instance", series_uid, body)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series_uid, instance_uid
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance_uid)


def encoded(dataset: Dataset) -> bytes:
    """The bytes of an object's file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _sha256(dataset: Dataset) -> str:
    return hashlib.sha256(encoded(dataset)).hexdigest()


def frame_of_reference(dataset: Dataset, study: Study) -> None:
    """Say what an object's coordinates are relative to."""
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = study.frame_uid, ""


def codes(code: tuple[str, str, str]) -> list[Dataset]:
    """A code sequence of one (value, scheme, meaning)."""
    return [code_item(code)]
