"""A DICOM segmentation as a label map: its header is checked before a pixel is read, and says where every voxel lies.

Segments that are none of ours are left out (see `dicom_segments`); two that would share a voxel are refused.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.labels import MAX_SURFACE_ERROR_MM, LabelMap
from sjplan.core.tolerances import SAME_SPACE_TOL_MM
from sjplan.core.volume import Source
from sjplan.io.dicom_codes import OWN_BLOCK, OWN_GROUP, SURFACE_ERROR_TAG
from sjplan.io.dicom_headers import is_dicom_file, space_of
from sjplan.io.dicom_segments import ids_for, named_segments
from sjplan.io.headers import SPACING_RANGE_MM, make_grid
from sjplan.io.labels import Names, names_given
from sjplan.io.payload import MAX_VOXELS, check_file_size

BINARY: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
"""SOP classes of segmentations: one bit a voxel and segment (or a share, which is refused), and one number a voxel
(DICOM PS3.4, B.5)."""

MAX_FRAMES: Final = 100_000
"""Most frames that a header may claim: 128 segments of some 800 slices."""

SHEAR_TOL_MM: Final = 0.1
"""Largest sideways shift of a frame from the stack's normal (mm): positions are often rounded to 0.1 mm."""

FORMAT: Final = "DICOM SEG"
"""What a label map's source calls this format."""

_OWN_CREATOR: Final = OWN_GROUP << 16 | 0x10
_KEYWORDS: Final = (
    "SOPClassUID", "FrameOfReferenceUID", "SegmentationType", "SegmentSequence", "Rows", "Columns", "NumberOfFrames",
    "BitsAllocated", "SamplesPerPixel", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_TAGS: Final = [*(int(tag_for_keyword(word) or 0) for word in _KEYWORDS), _OWN_CREATOR, SURFACE_ERROR_TAG]
_NATIVE: Final = {str(ImplicitVRLittleEndian): 8, str(ExplicitVRLittleEndian): 12}
"""Transfer syntaxes that store pixels plainly, and the bytes of the tag before them (DICOM PS3.5, 7.1)."""
_AXES_TOL: Final = 1e-3  # direction cosines are decimal strings, often of four digits
_SAME_PLACE_MM: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class _Header:
    """A segmentation that has passed every check short of its pixels; one segment (0: none) and place a frame."""

    path: Path
    binary: bool
    syntax: str
    offset: int
    bits: int
    segments: Mapping[int, Dataset]
    segment_of: tuple[int, ...]
    slice_of: tuple[int, ...]
    grid: Grid
    space: str
    surface_error_mm: float

    @property
    def empty(self) -> int:
        """Slices between the first and the last that no frame shows."""
        return self.grid.shape[2] - len(set(self.slice_of))


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM file that says it is a segmentation."""
    if not is_dicom_file(path):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = str(read_file_meta_info(path).get("MediaStorageSOPClassUID", ""))
    except Exception:  # pydicom raises whatever a malformed file leads to
        return False
    return kind in (BINARY, LABEL_MAP)


def read_segmentation(path: str | Path, names: str | Path | None = None) -> tuple[LabelMap, tuple[Finding, ...]]:
    """Read a DICOM segmentation.

    Parameters
    ----------
    path : path
        The file.
    names : path, optional
        Names file that maps structure names to segment numbers; by default one beside the file, else segments are
        known by label and code. How far the labels may be off is the larger of what it and the file say.

    Returns
    -------
    labels : LabelMap
        On the grid that the frames form, with TotalSegmentator's ids; slices that the file leaves out are empty.
    findings : tuple of Finding
        What was left out.

    Raises
    ------
    InputError
        For a file that is no segmentation, none of whose segments is ours, or whose frames are no plain stack.
    """
    file = Path(path)
    check_file_size(file)
    given = names_given(file, names)
    header, called, findings = _checked(file, given)
    ids = ids_for(called.values())
    label = _voxels(header, {number: ids[name] for number, name in called.items()}, called)
    if header.empty:
        text = f"The segmentation leaves out {header.empty} of {header.grid.shape[2]} slices: they are empty."
        findings += (Finding("seg-frames-omitted", "note", text),)
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    facts = {"format": FORMAT, "stored_as": "bits" if header.binary else "numbers", "space": header.space}
    source = Source(str(path), sha256, {key: value for key, value in facts.items() if value})
    error_mm = max(given.surface_error_mm if given else 0.0, header.surface_error_mm)
    return LabelMap(header.grid, label, {i: name for name, i in ids.items()}, source, error_mm), findings


def placed_on(labels: LabelMap, grid: Grid) -> LabelMap:
    """The same voxels on a larger or smaller grid that they fit exactly; the map as it is where they do not fit.

    Programs that leave out empty slices write a grid that ends where the bones do: it is part of the CT's.
    """
    ends = np.array([(0, 0, 0), np.subtract(labels.grid.shape, 1)])
    low, high = grid.ijk_from_lps(labels.grid.lps_from_ijk(ends))
    start, stop = np.rint(low).astype(int), np.rint(high).astype(int) + 1
    if ((stop - start) != labels.grid.shape).any():
        return labels
    own = grid.cropped(start, stop)
    inside = tuple(
        slice(max(a, 0), min(b, n)) for a, b, n in zip(start.tolist(), stop.tolist(), grid.shape, strict=True)
    )
    if not own.same_space(labels.grid) or any(s.stop <= s.start for s in inside):
        return labels
    label = np.zeros(grid.shape, np.uint8, order="F")
    here = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inside, start.tolist(), strict=True))
    label[inside] = labels.label[here]
    if np.count_nonzero(label) != np.count_nonzero(labels.label):
        return labels  # something is labelled outside of the grid: it does not belong to it
    label.setflags(write=False)
    return replace(labels, grid=grid, label=label)


def _refuse(what: Path, found: str, wanted: str, fix: str = "save the segmentation again") -> InputError:
    return InputError(str(what), found=found, wanted=wanted, fix=fix)


def _checked(path: Path, names: Names | None) -> tuple[_Header, dict[int, str], tuple[Finding, ...]]:
    """Header of a sound segmentation, the name of each segment that is ours, and what was noticed.

    Everything that looks at the header stands in here: values are decoded when they are first looked at.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset, syntax, offset = _read_header(path)
            _check_kind(path, dataset)
            header = _header(path, dataset, syntax, offset)
            return header, *named_segments(path, header.segments, names)
    except InputError:
        raise
    except Exception as error:  # pydicom raises whatever a malformed file leads to
        raise _refuse(path, "a DICOM file whose header cannot be read", "a sound DICOM segmentation") from error


def _read_header(path: Path) -> tuple[Dataset, str, int]:
    """The tags wanted, the transfer syntax, and where the tag of the pixels begins."""
    if not is_dicom_file(path):
        raise _refuse(path, "no DICOM file", "a DICOM segmentation")
    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax == DeflatedExplicitVRLittleEndian:
        # It would be inflated whole, whatever it expands to, before anything can be checked.
        wanted = "one that can be checked before it is unpacked"
        raise _refuse(path, "a deflated file", wanted, "save it uncompressed")
    with path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        return dataset, syntax, file.tell()


def _check_kind(path: Path, dataset: Dataset) -> None:
    kind = str(dataset.get("SOPClassUID", ""))
    if kind not in (BINARY, LABEL_MAP):
        raise _refuse(path, f"a DICOM file of another kind ({UID(kind).name or 'unknown'})"[:120],
                      "a DICOM segmentation", "name the folder of a CT series, or a segmentation")  # fmt: skip
    if kind == BINARY and dataset.get("SegmentationType") != "BINARY":
        raise _refuse(path, f"a segmentation of type {str(dataset.get('SegmentationType', 'unknown'))[:20]}",
                      "type BINARY: each voxel in a segment or not", "save it with a threshold")  # fmt: skip


def _header(path: Path, dataset: Dataset, syntax: str, offset: int) -> _Header:
    binary = dataset.SOPClassUID == BINARY
    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames", 1))
    bits, allowed = int(dataset.BitsAllocated), (1,) if binary else (8, 16)
    if not 1 <= frames <= MAX_FRAMES or min(rows, columns) < 2 or rows * columns > MAX_VOXELS:
        raise _refuse(path, f"{frames} frames of {columns}x{rows}", f"at most {MAX_FRAMES} frames, {MAX_VOXELS} voxels")
    if bits not in allowed or int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise _refuse(path, f"{bits} bits a voxel", f"{' or '.join(map(str, allowed))} bits, one value a voxel")
    if binary and syntax not in _NATIVE:
        raise _refuse(path, f"compressed bits ({UID(syntax).name})"[:80], "uncompressed bits", "save it uncompressed")
    needed = (rows * columns * frames * bits + 7) // 8
    if syntax in _NATIVE and path.stat().st_size - offset < _NATIVE[syntax] + needed:
        raise _refuse(path, "a truncated file", f"all of its {frames} frames", "copy it again")
    groups = _Groups(path, dataset, frames)
    grid, slice_of = _stacked(path, groups, rows, columns)
    segments = {int(s.SegmentNumber): s for s in dataset.SegmentSequence}
    segment_of = tuple(groups.segment(f) for f in range(frames)) if binary else (0,) * frames
    if binary and not set(segment_of) <= set(segments):
        raise _refuse(path, "frames of a segment that is not described", "a description of every segment")
    return _Header(path, binary, syntax, offset, bits, segments, segment_of, slice_of, grid, space_of(dataset),
                   _surface_error(path, dataset))  # fmt: skip


def _surface_error(path: Path, dataset: Dataset) -> float:
    """What a segmentation of ours says of how far its labels may be off (mm); others say nothing."""
    if _OWN_CREATOR not in dataset or str(dataset[_OWN_CREATOR].value).strip() != OWN_BLOCK:
        return 0.0
    value = dataset[SURFACE_ERROR_TAG].value if SURFACE_ERROR_TAG in dataset else None
    try:
        error_mm = float(value.decode("ascii") if isinstance(value, bytes) else str(value))
    except ValueError:
        error_mm = math.nan
    if not 0.0 <= error_mm <= MAX_SURFACE_ERROR_MM:
        raise _refuse(path, "no number of how far its labels may be off", f"0 to {MAX_SURFACE_ERROR_MM:g} mm")
    return error_mm


class _Groups:
    """What functional groups say of each frame: its own, else the shared ones (DICOM PS3.3, C.7.6.16)."""

    def __init__(self, path: Path, dataset: Dataset, frames: int) -> None:
        self._own = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        self._shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
        if len(self._own) != frames:
            raise _refuse(path, f"{len(self._own)} places for {frames} frames", "one for each frame")
        self.frames = frames

    def numbers(self, frame: int, group: str, name: str, count: int) -> tuple[float, ...]:
        """Numbers of a group; NaN where they are absent or of another count."""
        item = next(iter(self._own[frame].get(group) or self._shared.get(group) or []), Dataset())
        value = item.get(name)
        items = [] if value is None else [value] if count == 1 else list(value)
        return tuple(float(v) for v in items) if len(items) == count else (math.nan,) * count

    def segment(self, frame: int) -> int:
        """Number of the segment that a frame shows."""
        group = "SegmentIdentificationSequence"
        item = next(iter(self._own[frame].get(group) or self._shared.get(group) or []))
        return int(item.ReferencedSegmentNumber)


def _stacked(path: Path, groups: _Groups, rows: int, columns: int) -> tuple[Grid, tuple[int, ...]]:
    """The grid that the frames form, and each frame's slice in it."""
    every = range(groups.frames)
    position = np.array([groups.numbers(f, "PlanePositionSequence", "ImagePositionPatient", 3) for f in every])
    axes = np.array([groups.numbers(f, "PlaneOrientationSequence", "ImageOrientationPatient", 6) for f in every])
    pixel = np.array([groups.numbers(f, "PixelMeasuresSequence", "PixelSpacing", 2) for f in every])
    if not (np.isfinite(position).all() and np.isfinite(axes).all() and np.isfinite(pixel).all()):
        raise _refuse(path, "frames without position, orientation or spacing", "all three for every frame")
    if np.abs(axes - axes[0]).max() > _AXES_TOL or np.abs(pixel - pixel[0]).max() > 1e-6:
        raise _refuse(path, "frames of different orientation or pixel spacing", "one for all")
    direction = _direction(path, axes[0])
    height = (position - position[0]) @ direction[:, 2]
    sideways = position - position[0] - np.outer(height, direction[:, 2])
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift > SHEAR_TOL_MM:
        raise _refuse(path, f"frames shifted sideways by {shift:.1f} mm", "frames stacked along their normal",
                      "resample the segmentation onto an unsheared grid")  # fmt: skip
    between = groups.numbers(0, "PixelMeasuresSequence", "SpacingBetweenSlices", 1)[0]
    step, slices = _steps(path, height, between)
    slice_of = np.rint((height - height.min()) / step).astype(int)
    if rows * columns * slices > MAX_VOXELS:
        raise _refuse(path, f"{slices} slices of {columns}x{rows}", f"at most {MAX_VOXELS} voxels")
    spacing, (low, high) = (float(pixel[0][1]), float(pixel[0][0]), step), SPACING_RANGE_MM
    if not all(low <= value <= high for value in spacing):
        raise _refuse(path, f"spacing {spacing} mm", f"{low:g} to {high:g} mm")
    first = position[int(np.argmin(height))]
    return make_grid(str(path), (columns, rows, slices), spacing, first, direction), tuple(slice_of.tolist())


def _direction(path: Path, axes: Array) -> Array:
    """(3, 3) direction of a stack: along a row, along a column, and the normal; rounding errors removed."""
    row, column = axes[:3], axes[3:]
    errors = np.array([np.linalg.norm(row) - 1.0, np.linalg.norm(column) - 1.0, row @ column])
    if float(np.abs(errors).max()) > _AXES_TOL:
        raise _refuse(path, f"axes that are not orthonormal ({axes.tolist()})", "two perpendicular unit vectors")
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.column_stack([row, column, np.cross(row, column)])


def _steps(path: Path, height: Array, between_mm: float) -> tuple[float, int]:
    """Slice distance (mm) and number of slices of frames at these heights; slices may be missing in between."""
    ordered = np.sort(height)
    gaps = np.diff(ordered)
    gaps = gaps[gaps > _SAME_PLACE_MM]
    if not len(gaps):
        raise _refuse(path, "frames of one slice", "a stack of slices")
    for step in (abs(between_mm), float(gaps.min())):
        if not step > _SAME_PLACE_MM:  # absent, or nonsense
            continue
        whole = np.rint(gaps / step)
        if whole.min() >= 1 and np.abs(gaps - whole * step).max() <= 0.01 * step + SAME_SPACE_TOL_MM:
            count = int(whole.sum())
            return float(ordered[-1] - ordered[0]) / count, count + 1
    raise _refuse(path, f"slice distances from {gaps.min():.2f} to {gaps.max():.2f} mm", "one slice distance")


def _voxels(header: _Header, id_of: Mapping[int, int], called: Mapping[int, str]) -> NDArray[np.uint8]:
    """Labels [i, j, k], x fastest in memory."""
    columns, rows, slices = header.grid.shape
    stored = np.zeros((slices, rows, columns), np.uint8)
    table = np.zeros(65536, np.uint8)
    table[list(id_of)] = list(id_of.values())
    for plane, (segment, k) in zip(_planes(header, id_of), zip(header.segment_of, header.slice_of, strict=True),
                                   strict=True):  # fmt: skip
        if plane is None:
            continue
        new = plane.astype(np.uint8) * np.uint8(id_of[segment]) if header.binary else table[plane]
        shared = (stored[k] != 0) & (new != 0) & (stored[k] != new)
        if shared.any():
            ids = sorted({int(v) for v in (*stored[k][shared], *new[shared])})
            names = {i: name for number, i in id_of.items() if (name := called[number])}
            raise _refuse(
                header.path, f"voxels that belong to two segments ({' and '.join(names[i] for i in ids[:3])})",
                "each voxel in one", "take the overlap out of one of them",
            )  # fmt: skip
        stored[k] |= np.where(stored[k] == 0, new, 0).astype(np.uint8)
    label: NDArray[np.uint8] = stored.transpose(2, 1, 0)
    label.setflags(write=False)
    return label


def _planes(header: _Header, wanted: Mapping[int, int]) -> Iterator[NDArray[Any] | None]:
    """Pixels (rows, columns) of each frame, None for one that shows a segment that is not wanted."""
    columns, rows, _ = header.grid.shape
    if header.binary:
        size = rows * columns
        with header.path.open("rb") as file:
            for n, segment in enumerate(header.segment_of):
                yield _bits(file, header, n * size, size).reshape(rows, columns) if segment in wanted else None
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for plane in iter_pixels(header.path, raw=True):
                yield np.asarray(plane).reshape(rows, columns).astype(np.uint16)
    except Exception as error:
        raise _refuse(header.path, f"pixels that cannot be unpacked ({UID(header.syntax).name})"[:100],
                      "intact pixels", "save it uncompressed") from error  # fmt: skip


def _bits(file: Any, header: _Header, start: int, count: int) -> NDArray[np.uint8]:
    """Some bits of the pixels: frames follow each other without padding, the lowest bit first (PS3.5, 8.1.1)."""
    first, last = start // 8, (start + count + 7) // 8
    file.seek(header.offset + _NATIVE[header.syntax] + first)
    data = np.frombuffer(file.read(last - first), np.uint8)
    return np.unpackbits(data, bitorder="little")[start - 8 * first :][:count]
