"""One clean DICOM series: its headers are checked slice by slice before SimpleITK reads a pixel.

SimpleITK reads a tilted gantry, missing slices and duplicates without an error and gets the geometry wrong, so
that the geometry here comes from the headers and whatever is not a plain stack of slices is refused.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.volume import Source
from sjplan.io.headers import SPACING_RANGE_MM, make_grid
from sjplan.io.itk import reading, sitk, unreadable
from sjplan.io.payload import MAX_FILE_BYTES, MAX_VOXELS

MAX_FILES: Final = 20_000
"""Most files of a folder that are looked at."""

SHEAR_TOL_MM: Final = 0.1
"""Largest sideways shift of a slice from the stack's normal (mm): positions are often rounded to 0.1 mm."""

_TAGS = (
    "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "Rows", "Columns", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
    "BitsAllocated", "RescaleSlope", "RescaleIntercept", "SliceThickness", "KVP",
)  # fmt: skip
_UNCOMPRESSED = {"1.2.840.10008.1.2": 8, "1.2.840.10008.1.2.1": 12, "1.2.840.10008.1.2.2": 12}
"""Transfer syntaxes that store pixels plainly (implicit, explicit, big endian), and the bytes of the tag before them
(DICOM PS3.5, 7.1)."""
_IOP_TOL = 1e-3  # direction cosines are decimal strings, often of four digits
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Slice:
    """The header facts of one DICOM file that geometry depends on; numbers are NaN where a tag is absent."""

    path: Path
    series: str
    instance: str
    modality: str
    rows: int
    columns: int
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    rescale: tuple[float, ...]
    frames: int
    greys: bool
    truncated: bool
    thickness: str
    kvp: str


def read_series(folder: Path, series: str | None) -> tuple[Any, Grid, Source, tuple[Finding, ...]]:
    """Read the one CT series of a folder, or the one named.

    Parameters
    ----------
    folder : Path
        Folder that holds the slices themselves; folders in it are not searched.
    series : str or None
        SeriesInstanceUID, needed where there are several.

    Returns
    -------
    image : SimpleITK image
        Pixels in Hounsfield units.
    grid : Grid
        Geometry from the headers.
    source : Source
        sha256 over the slices' own sha256 in stack order; facts without identifiers.
    findings : tuple of Finding
        What was noticed.

    Raises
    ------
    InputError
        For no series, several, or one that is not a plain stack of CT slices.
    """
    found, skipped = list_series(folder)
    chosen = _choose(folder, found, series)
    ordered, grid = check_series(str(folder), chosen)
    digest = hashlib.sha256()
    for item in ordered:
        digest.update(hashlib.sha256(item.path.read_bytes()).digest())
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(item.path) for item in ordered])
    with reading(folder):
        image = reader.Execute()
    if tuple(image.GetSize()) != grid.shape or image.GetNumberOfComponentsPerPixel() != 1:
        raise unreadable(folder)
    facts = {"format": "DICOM", "slices": str(len(ordered)), "slice_thickness_mm": ordered[0].thickness,
             "kvp": ordered[0].kvp}  # fmt: skip
    source = Source(str(folder), digest.hexdigest(), {key: value for key, value in facts.items() if value})
    findings = (
        (Finding("dicom-files-skipped", "note", f"{skipped} file(s) of the folder are not DICOM images: left out."),)
        if skipped
        else ()
    )
    return image, grid, source, findings


def list_series(folder: Path) -> tuple[dict[str, list[Slice]], int]:
    """Series of a folder by SeriesInstanceUID, and how many files are no DICOM images.

    Raises
    ------
    InputError
        For a folder that cannot be listed or holds too many files.
    """
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "DICOMDIR")
    except OSError as error:
        raise InputError(str(folder), found="a folder that cannot be listed", wanted="a DICOM folder") from error
    if len(files) > MAX_FILES:
        raise InputError(str(folder), found=f"{len(files)} files", wanted=f"at most {MAX_FILES}")
    found: dict[str, list[Slice]] = defaultdict(list)
    skipped = 0
    for path in files:
        header = _header(path)
        if header is None:
            skipped += 1
        else:
            found[header.series].append(header)
    return dict(found), skipped


def _header(path: Path) -> Slice | None:
    """Facts of one file, or None where it is no DICOM image."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as file:
                dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
                left = path.stat().st_size - file.tell()  # it stops right before the pixels
            return _facts(path, dataset, left)
    except Exception:  # pydicom raises whatever a malformed file leads to; such a file is no slice
        return None


def _facts(path: Path, dataset: FileDataset, bytes_left: int) -> Slice | None:
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    if rows < 1 or columns < 1:
        return None  # a structured report, a presentation state, a directory
    samples, bits = _integer(dataset, "SamplesPerPixel", 1), _integer(dataset, "BitsAllocated", 16)
    greys = samples == 1 and str(dataset.get("PhotometricInterpretation", "MONOCHROME2")) == "MONOCHROME2"
    syntax = str(getattr(dataset.file_meta, "TransferSyntaxUID", ""))
    rescale = (*_numbers(dataset, "RescaleSlope", 1), *_numbers(dataset, "RescaleIntercept", 1))
    return Slice(
        path,
        str(dataset.get("SeriesInstanceUID", "") or "without UID"),
        str(dataset.get("SOPInstanceUID", "") or path.name),
        str(dataset.get("Modality", "") or "unknown"),
        rows,
        columns,
        _numbers(dataset, "PixelSpacing", 2),
        _numbers(dataset, "ImagePositionPatient", 3),
        _numbers(dataset, "ImageOrientationPatient", 6),
        rescale,
        _integer(dataset, "NumberOfFrames", 1),
        greys,
        syntax in _UNCOMPRESSED and bytes_left < _UNCOMPRESSED[syntax] + rows * columns * samples * bits // 8,
        _plain_number(dataset, "SliceThickness"),
        _plain_number(dataset, "KVP"),
    )


def _integer(dataset: Dataset, tag: str, default: int) -> int:
    value = dataset.get(tag)
    return default if value is None else int(value)


def _plain_number(dataset: Dataset, tag: str) -> str:
    value = _numbers(dataset, tag, 1)[0]
    return f"{value:g}" if math.isfinite(value) else ""


def _numbers(dataset: Dataset, tag: str, count: int) -> tuple[float, ...]:
    """A tag's numbers; NaN where it is absent or holds another count."""
    value = dataset.get(tag)
    items = [] if value is None else [value] if count == 1 else list(value)
    return tuple(float(v) for v in items) if len(items) == count else (math.nan,) * count


def _choose(folder: Path, found: dict[str, list[Slice]], series: str | None) -> list[Slice]:
    if not found:
        inside = sum(1 for p in folder.iterdir() if p.is_dir())
        raise InputError(
            str(folder), found=f"a folder without DICOM slices ({inside} folder(s) in it)",
            wanted="a DICOM series, or a phantom folder (labels.nii.gz)", fix="name the folder that holds the slices",
        )  # fmt: skip
    listed = "; ".join(
        f"{uid} ({len(s)} slices of {s[0].columns}x{s[0].rows}, {s[0].modality})"
        for uid, s in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:_MOST_LISTED]
    )
    if series is not None:
        if series not in found:
            raise InputError(f"--series {series}", found=f"no such series in {folder}", wanted=f"one of {listed}")
        return found[series]
    if len(found) > 1:
        raise InputError(
            str(folder), found=f"{len(found)} series: {listed}", wanted="one series", fix="choose one with --series UID"
        )
    return next(iter(found.values()))


def check_series(what: str, slices: list[Slice]) -> tuple[list[Slice], Grid]:
    """Slices in stack order and their grid, where they form a plain, uniform, unsheared stack of CT images.

    Raises
    ------
    InputError
        Naming what breaks that: modality, colours, frames, mixed geometry, missing or repeated positions, missing
        slices, changing spacing, gantry tilt (in degrees), truncated files.
    """
    _check_pictures(what, slices)
    first = slices[0]
    if len(slices) < 2:
        raise _refuse(what, "one slice", "a stack of slices", "export the whole series")
    if len(slices) * first.rows * first.columns > MAX_VOXELS:
        raise _refuse(what, f"{len(slices)} slices of {first.columns}x{first.rows}", f"at most {MAX_VOXELS} voxels")
    direction = _direction(what, first.orientation)
    positions = np.array([s.position for s in slices])
    order = np.argsort(positions @ direction[:, 2], kind="stable")
    positions = positions[order]
    step = _check_stack(what, positions, direction)
    spacing = (first.spacing[1], first.spacing[0], step)
    low, high = SPACING_RANGE_MM
    if not all(low <= value <= high for value in spacing):
        raise _refuse(what, f"spacing {spacing} mm", f"{low:g} to {high:g} mm", "export the series again")
    grid = make_grid(what, (first.columns, first.rows, len(slices)), spacing, positions[0], direction)
    return [slices[i] for i in order], grid


def _refuse(what: str, found: str, wanted: str, fix: str = "export the original axial series again") -> InputError:
    return InputError(what, found=found, wanted=wanted, fix=fix)


def _check_pictures(what: str, slices: list[Slice]) -> None:
    first = slices[0]
    for s in slices:
        if s.modality != "CT":
            raise _refuse(what, f"modality {s.modality[:20]!r}", "CT", "choose the CT series")
        if not s.greys:
            raise _refuse(
                what, f"colour or inverted pictures ({s.path.name})", "Hounsfield units", "choose the CT series"
            )
        if s.frames != 1:
            raise _refuse(what, f"a multi-frame file ({s.frames} frames)", "one file a slice", "export as classic CT")
        if not all(math.isfinite(v) for v in (*s.position, *s.orientation, *s.spacing)):
            raise _refuse(what, f"no position, orientation or spacing in {s.path.name}", "all three in every slice")
        if s.truncated:
            raise _refuse(what, f"a truncated file, {s.path.name}", f"all of its {s.rows} rows", "copy it again")
    same = (first.rows, first.columns, first.spacing)
    if any((s.rows, s.columns, s.spacing) != same for s in slices):
        raise _refuse(what, "slices of different size or pixel spacing", "one size")
    if max(np.abs(np.subtract(s.orientation, first.orientation)).max() for s in slices) > _IOP_TOL:
        raise _refuse(what, "slices of different orientation (a localiser among them?)", "one orientation")
    if any(not np.array_equal(s.rescale, first.rescale, equal_nan=True) for s in slices):
        raise _refuse(what, "slices of different rescale slope or intercept", "one scale for the series")
    if len({s.instance for s in slices}) < len(slices):
        raise _refuse(what, "the same slice more than once (SOPInstanceUID)", "each slice once", "remove the copies")


def _direction(what: str, orientation: tuple[float, ...]) -> Array:
    """(3, 3) direction of a stack: along a row, along a column, and the normal; rounding errors removed."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    errors = (np.linalg.norm(row) - 1.0, np.linalg.norm(column) - 1.0, row @ column)
    if max(abs(e) for e in errors) > _IOP_TOL:
        raise _refuse(
            what, f"image axes that are not orthonormal ({list(orientation)})", "two perpendicular unit vectors"
        )
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.column_stack([row, column, np.cross(row, column)])


def _check_stack(what: str, positions: Array, direction: Array) -> float:
    """Slice distance in mm of positions (n, 3) in stack order."""
    offsets = positions - positions[0]
    height = offsets @ direction[:, 2]
    gaps = np.diff(height)
    typical = float(np.median(gaps))
    if float(gaps.min()) < 1e-3:
        raise _refuse(what, "two slices at one position", "each position once", "remove the copies")
    sideways = offsets - np.outer(height, direction[:, 2])
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift > SHEAR_TOL_MM:
        tilt = math.degrees(math.atan2(float(np.linalg.norm(sideways[-1])), float(height[-1])))
        raise _refuse(
            what, f"a gantry tilt of {tilt:.1f} degrees (slices are sheared by up to {shift:.1f} mm)",
            "slices stacked along their normal", "resample the series onto an unsheared grid",
        )  # fmt: skip
    uneven = np.abs(gaps - typical) > 0.01 * typical + 0.01
    if uneven.any():
        whole = np.rint(gaps / typical)
        missing = int((whole - 1).sum())
        if missing and np.abs(gaps / typical - whole).max() < 0.05 and whole.min() == 1:
            raise _refuse(what, f"{missing} missing slice(s)", f"one slice every {typical:.3g} mm", "export all slices")
        raise _refuse(what, f"slice distances from {gaps.min():.2f} to {gaps.max():.2f} mm", "one slice distance")
    return float(height[-1] / (len(positions) - 1))
