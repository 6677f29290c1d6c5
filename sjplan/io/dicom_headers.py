"""Facts of a DICOM file that geometry and Hounsfield units depend on, read without its pixels, one record a picture.

Nothing of the patient is in them. A file that holds many pictures (enhanced CT) gives one record for each, unless it
claims more than is ever read.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_file_meta_info

from sjplan.io.payload import MAX_FILE_BYTES, MAX_VOXELS

_TAGS: Final = (
    "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "ImageType", "Rows", "Columns", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "RescaleSlope",
    "RescaleIntercept", "RescaleType", "SliceThickness", "KVP", "PatientPosition", "LossyImageCompression",
    "FrameOfReferenceUID", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "InstanceNumber",
    "SeriesNumber", "ConvolutionKernel",
)  # fmt: skip

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"

NATIVE: Final = {IMPLICIT: 8, EXPLICIT: 12, BIG_ENDIAN: 12}
"""Transfer syntaxes that store pixels plainly, and the bytes of the tag before them (DICOM PS3.5, 7.1)."""

_ENHANCED: Final = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
"""Enhanced CT, and classic CT converted to it: pictures with their own geometry in functional groups."""

_CT: Final = _ENHANCED | {"1.2.840.10008.5.1.4.1.1.2"}

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

_MOST_INSTANCE = 99_999  # longer numbers may be dates of birth or ids
_MOST_SERIES = 2**31 - 1  # of an IS value (DICOM PS3.5, 6.2)
_LONGEST_KERNEL = 24

_POSITIONS: Final = frozenset(a + b for a in ("HF", "FF", "LF", "RF", "AF", "PF") for b in ("S", "P", "DR", "DL"))
"""Terms of Patient Position (DICOM PS3.3, C.7.3.1.1.2) that tell which end first and which side down."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How the pixels of a file are stored: all that a decoder has to know.

    `offset` is where the tag of the pixel data begins; `padding` the stored value that marks pixels outside of the
    picture.
    """

    syntax: str
    offset: int
    frames: int
    rows: int
    columns: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    padding: int | None

    @property
    def voxels(self) -> int:
        """Number of pixels that the header claims, of all frames."""
        return self.frames * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Slice:
    """The header facts of one picture; numbers are NaN where a tag is absent or no number.

    `number` and `series_number` (InstanceNumber, SeriesNumber) and `kernel` are for people, who tell pictures and
    series apart by them; nothing is computed from them. `place` is that of the file among all that were looked at,
    in order of their names, and how many these are.
    """

    path: Path
    frame: int
    series: str
    instance: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    rescale: tuple[float, ...]
    rescale_type: str
    grey: bool
    lossy: bool
    truncated: bool
    thickness: float
    kvp: float
    patient_position: str
    space: str
    number: int | None
    series_number: int | None
    kernel: str
    place: tuple[int, int]
    storage: Storage

    @property
    def called(self) -> str:
        """What messages call it: never by the name of its file, which may be the patient's."""
        if self.number is None:
            return f"file {self.place[0]} of {self.place[1]} in the folder's order"
        return f"{'slice' if self.storage.frames == 1 else 'file'} with InstanceNumber {self.number}"

    @property
    def is_localizer(self) -> bool:
        """Whether its header says that it is a scout view (DICOM PS3.3, C.8.2.1.1.1)."""
        return "LOCALIZER" in self.image_type

    @property
    def is_enhanced(self) -> bool:
        """Whether its class gives every picture of a file a geometry of its own."""
        return self.sop_class in _ENHANCED

    @property
    def is_capture(self) -> bool:
        """Whether it is a picture of a screen: a dose page, a rendering."""
        return self.sop_class.startswith(_SECONDARY_CAPTURE)


Foreign = Literal["foreign", "damaged"]
"""What a file is that gives no picture: no DICOM image at all, or a DICOM file whose header cannot be read."""


def read_header(path: Path, place: tuple[int, int]) -> list[Slice] | Foreign:
    """Pictures of one file, or why there are none; `place` as for `Slice`.

    A structured report, a directory or any other file is `foreign`; a file that says it is DICOM and cannot be read
    is `damaged`.
    """
    if not is_dicom_file(path):
        return "foreign"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return "damaged"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A deflated file would be inflated whole, whatever it expands to, before anything can be checked.
            meta = read_file_meta_info(path)
            if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
                return "damaged"
            with path.open("rb") as file:
                dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
                offset = file.tell()  # it stops right before the pixels
            if "Rows" not in dataset or "Columns" not in dataset:
                # A report, a directory; but a CT picture without a size has been cut short.
                return "damaged" if str(meta.get("MediaStorageSOPClassUID", "")) in _CT else "foreign"
            return list(_slices(path, place, dataset, offset))
    except Exception:  # pydicom raises whatever a malformed file leads to
        return "damaged"


def is_dicom_file(path: Path) -> bool:
    """Whether a file starts as DICOM files do: 128 bytes of anything, then DICM (DICOM PS3.10, 7.1)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except (OSError, ValueError):
        return False


def _slices(path: Path, place: tuple[int, int], dataset: FileDataset, offset: int) -> Iterator[Slice]:
    storage = _storage(dataset, offset)
    wanted = storage.voxels * storage.allocated // 8
    truncated = storage.syntax in NATIVE and path.stat().st_size - offset < NATIVE[storage.syntax] + wanted
    enhanced = str(dataset.get("SOPClassUID", "")) in _ENHANCED
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or []) if enhanced else []
    for frame in range(storage.frames if storage.voxels <= MAX_VOXELS else 1):
        groups = _Groups(dataset, per_frame[frame] if frame < len(per_frame) else Dataset(), shared, enhanced)
        yield _slice(path, place, dataset, groups, frame, storage, truncated)


class _Groups:
    """Tags of one picture: its own functional groups, then the shared ones; the file itself where it has none."""

    def __init__(self, dataset: Dataset, own: Dataset, shared: Dataset, enhanced: bool) -> None:
        self._dataset, self._own, self._shared, self._enhanced = dataset, own, shared, enhanced

    def where(self, group: str) -> Dataset:
        """The dataset that a group's tags stand in."""
        if not self._enhanced:
            return self._dataset
        return _first(self._own, group) or _first(self._shared, group)


def _slice(
    path: Path, place: tuple[int, int], dataset: Dataset, groups: _Groups, frame: int, storage: Storage, truncated: bool
) -> Slice:
    measures, rescale = groups.where("PixelMeasuresSequence"), groups.where("PixelValueTransformationSequence")
    kind = _texts(groups.where("CTImageFrameTypeSequence"), "FrameType") or _texts(dataset, "ImageType")
    instance = str(dataset.get("SOPInstanceUID", "") or path.name)
    grey = _integer(dataset, "SamplesPerPixel", 1) == 1
    lossy = str(dataset.get("LossyImageCompression", "") or "00") == "01"
    return Slice(
        path,
        frame,
        str(dataset.get("SeriesInstanceUID", "") or "without UID"),
        instance if storage.frames == 1 else f"{instance} {frame}",
        str(dataset.get("SOPClassUID", "")),
        str(dataset.get("Modality", "") or "unknown"),
        kind,
        _numbers(measures, "PixelSpacing", 2),
        _numbers(groups.where("PlanePositionSequence"), "ImagePositionPatient", 3),
        _numbers(groups.where("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        (*_numbers(rescale, "RescaleSlope", 1), *_numbers(rescale, "RescaleIntercept", 1)),
        _text(rescale, "RescaleType"),
        grey and _text(dataset, "PhotometricInterpretation") in ("MONOCHROME2", ""),
        lossy,
        truncated,
        _numbers(measures, "SliceThickness", 1)[0],
        _numbers(dataset, "KVP", 1)[0],
        _position_of_patient(dataset),
        space_of(dataset),
        _whole(dataset, "InstanceNumber", _MOST_INSTANCE),
        _whole(dataset, "SeriesNumber", _MOST_SERIES),
        _kernel(groups.where("CTReconstructionSequence")),
        place,
        storage,
    )


def _storage(dataset: FileDataset, offset: int) -> Storage:
    allocated = _integer(dataset, "BitsAllocated", 16)
    stored = _integer(dataset, "BitsStored", allocated)
    signed = bool(_integer(dataset, "PixelRepresentation", 0))
    storage = Storage(
        str(getattr(dataset.file_meta, "TransferSyntaxUID", "")),
        offset,
        _integer(dataset, "NumberOfFrames", 1),
        _integer(dataset, "Rows", 0),
        _integer(dataset, "Columns", 0),
        allocated,
        stored,
        _integer(dataset, "HighBit", stored - 1),
        signed,
        _padding(dataset, signed, stored),
    )
    if min(storage.frames, storage.rows, storage.columns) < 1:
        raise ValueError("a picture without pixels")
    return storage


def _padding(dataset: Dataset, signed: bool, stored: int) -> int | None:
    """The padding value as a stored number, whichever of its two types the file gave it."""
    value = _numbers(dataset, "PixelPaddingValue", 1)[0]
    if not math.isfinite(value):
        return None
    half = 1 << max(stored - 1, 0)
    return int(value) - 2 * half if signed and value >= half else int(value)


def _position_of_patient(dataset: Dataset) -> str:
    text = _text(dataset, "PatientPosition")
    return text if text in _POSITIONS else ""


def _kernel(where: Dataset) -> str:
    """The maker's name of the kernel, in as many parts as it has; "" where there is none."""
    try:
        return cleaned(" ".join(_texts(where, "ConvolutionKernel")), _LONGEST_KERNEL)
    except Exception:  # pydicom raises whatever a malformed value leads to; nothing depends on this one
        return ""


def cleaned(text: str, longest: int) -> str:
    r"""A file's text for people: one line of printable characters, cut to a length.

    Examples
    --------
    >>> cleaned(" Br60f\n\x1b[31m  sharp ", 12)
    'Br60f [31m s'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest]


def space_of(dataset: Dataset) -> str:
    """Which space coordinates are in: the same for files whose frame of reference is the same; "" where none is named.

    A hash: it tells two examinations on one table apart, and nobody can look a patient up by it.

    Examples
    --------
    >>> one, other, none = Dataset(), Dataset(), Dataset()
    >>> one.FrameOfReferenceUID, other.FrameOfReferenceUID = "1.2.3", "1.2.4"
    >>> space_of(one) == space_of(one), space_of(one) == space_of(other), space_of(none)
    (True, False, '')
    """
    uid = str(dataset.get("FrameOfReferenceUID", "") or "")
    return hashlib.sha256(uid.encode()).hexdigest() if uid else ""


def _first(dataset: Dataset, tag: str) -> Dataset:
    items = dataset.get(tag)
    return items[0] if items else Dataset()


def _text(dataset: Dataset, tag: str) -> str:
    return str(dataset.get(tag, "") or "").strip()


def _texts(dataset: Dataset, tag: str) -> tuple[str, ...]:
    value = dataset.get(tag)
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)


def _integer(dataset: Dataset, tag: str, default: int) -> int:
    value = dataset.get(tag)
    return default if value is None else int(value)


def _whole(dataset: Dataset, tag: str, most: int) -> int | None:
    """A tag's whole number from 0 to `most`, as a plain int: an IS prints as it was written; None for all else."""
    try:
        value = dataset.get(tag)
    except Exception:  # pydicom raises whatever a malformed value leads to; nothing depends on this one
        return None
    return int(value) if isinstance(value, int) and 0 <= value <= most else None


def _numbers(dataset: Dataset, tag: str, count: int) -> tuple[float, ...]:
    """A tag's numbers; NaN where it is absent, holds another count, or something that is no number."""
    missing = (math.nan,) * count
    try:
        value: Any = dataset.get(tag)
        items = [] if value is None else [value] if count == 1 else list(value)
        found = tuple(float(v) for v in items)
    except (TypeError, ValueError, OverflowError):
        return missing
    return found if len(found) == count else missing
