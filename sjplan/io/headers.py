"""Images are checked from their headers before any pixel is read: format, claims, geometry, completeness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.core.errors import GeometryError, InputError
from sjplan.core.grid import Grid
from sjplan.io.header_nifti import read_nifti_layout
from sjplan.io.header_text import read_meta_layout, read_nrrd_layout
from sjplan.io.itk import image_reader, sitk, unreadable
from sjplan.io.payload import Layout, check_claims, check_file_size, hash_and_measure

_PARSERS: Final[Mapping[str, Callable[[Path], Layout]]] = {
    ".nii.gz": read_nifti_layout,
    ".nii": read_nifti_layout,
    ".nrrd": read_nrrd_layout,
    ".nhdr": read_nrrd_layout,  # always names another file: parsed to say so
    ".mha": read_meta_layout,
    ".mhd": read_meta_layout,
}
IMAGE_SUFFIXES: Final = tuple(s for s in _PARSERS if s != ".nhdr")
"""File names that are read as images."""

SPACING_RANGE_MM: Final = (0.05, 20.0)
"""Voxel edges outside this range are a unit mistake (metres, micrometres), not a pelvic image."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageHeader:
    """A file that has passed every check short of its pixels' values.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        What its raw header says.
    grid : Grid
        Geometry, as SimpleITK understands it.
    pixel_type : str
        SimpleITK's name of the stored type.
    sha256 : str
        Of the file's bytes.
    """

    path: Path
    layout: Layout
    grid: Grid
    pixel_type: str
    sha256: str


def image_suffix(path: str | Path) -> str:
    """The image suffix of a file name (".nii.gz", ".nrrd", ...), "" where it has none.

    Examples
    --------
    >>> image_suffix("a/ct.NII.GZ"), image_suffix("plan.json")
    ('.nii.gz', '')
    """
    name = Path(path).name.lower()
    return next((suffix for suffix in _PARSERS if name.endswith(suffix)), "")


def check_image(path: str | Path) -> ImageHeader:
    """Check an image file without reading its pixels.

    Checked are: the file itself, the raw header (see `header_nifti` and `header_text`), the caps on voxels and
    bytes, that every promised byte is there, and, through SimpleITK, size, components, spacing and direction.

    Raises
    ------
    InputError
        For whatever is wrong with the file, in one line.
    """
    file = Path(path)
    check_file_size(file)
    suffix = image_suffix(file)
    if not suffix:
        raise InputError(
            str(path), found="a file name without a known image ending",
            wanted="one of " + ", ".join(IMAGE_SUFFIXES) + ", or a DICOM folder", fix="convert it to NIfTI",
        )  # fmt: skip
    try:
        layout = _PARSERS[suffix](file)
        _check_dimensions(file, layout.shape)
        check_claims(file, layout)
        sha256 = hash_and_measure(file, layout)
    except OSError as error:
        raise unreadable(file) from error
    grid, pixel_type = _information(file, layout)
    return ImageHeader(file, layout, grid, pixel_type, sha256)


def _check_dimensions(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape) < 2:
        dimensions = 2 if len(shape) == 3 else len(shape)
        size = " x ".join(str(n) for n in shape)
        fix = "stack its slices into a volume" if dimensions < 3 else "take one volume out of the series"
        raise InputError(str(path), found=f"a {dimensions}D image ({size})", wanted="a 3D image", fix=fix)


def _information(path: Path, layout: Layout) -> tuple[Grid, str]:
    """Geometry and pixel type from SimpleITK, held against the raw header."""
    with image_reader(path, layout.image_io, image_suffix(path)) as reader:
        reader.ReadImageInformation()
    size = tuple(int(n) for n in reader.GetSize())
    if size != layout.shape or reader.GetNumberOfComponents() != 1:
        raise InputError(
            str(path), found=f"size {size} with {reader.GetNumberOfComponents()} value(s) a voxel, as it is read",
            wanted=f"{layout.shape} with one, as its header says", fix="write the file again from its source",
        )  # fmt: skip
    spacing = np.asarray(reader.GetSpacing())
    low, high = SPACING_RANGE_MM
    if not ((spacing >= low) & (spacing <= high)).all():
        shown = ", ".join(f"{v:g}" for v in spacing)
        raise InputError(
            str(path), found=f"spacing ({shown}) mm", wanted=f"{low:g} to {high:g} mm on every axis",
            fix="check the header's unit of length",
        )  # fmt: skip
    direction = np.asarray(reader.GetDirection()).reshape(3, 3)
    return make_grid(str(path), size, spacing, reader.GetOrigin(), direction), str(
        sitk.GetPixelIDValueAsString(reader.GetPixelID())
    )


def make_grid(what: str, shape: object, spacing: object, origin: object, direction: object) -> Grid:
    """Build a Grid; a geometric error becomes an InputError that names the file."""
    try:
        return Grid(shape, spacing, origin, direction)  # type: ignore[arg-type]
    except GeometryError as error:
        raise InputError(
            f"{what}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix or "repair the header"
        ) from error


def read_pixels(header: ImageHeader) -> Any:
    """Read the pixels of a checked file as a SimpleITK image."""
    with image_reader(header.path, header.layout.image_io, image_suffix(header.path)) as reader:
        return reader.Execute()
