"""The NIfTI-1 header itself, because readers repair it in silence: NaN spacing becomes 1, negative positive."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.tolerances import DIRECTION_TOL
from sjplan.io.payload import Encoding, Layout

HEADER_BYTES: Final = 348
"""Length of a NIfTI-1 header, which is also its first number (nifti1.h, field sizeof_hdr)."""

NUMBER_TYPES: Final = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
}  # fmt: skip
"""Number type of each scalar datatype code (nifti1.h, DT_*). Sixty-four bit integers are left out: they are no CT
and no label map."""

_COLOURS: Final = {128: "RGB", 2304: "RGBA", 32: "complex", 1792: "complex"}
_NIFTI2_BYTES = 540
_SPACING_AGREEMENT = 1e-3  # relative: sform columns and pixdim are float32, written by different programs
_QFORM_AGREEMENT_MM = 0.5  # float32 quaternions of a half turn are off by 3e-4 rad: 0.1 mm over 300 mm


def read_nifti_layout(path: Path) -> Layout:
    """Parse the header of a .nii or .nii.gz file and check what SimpleITK would let pass.

    Raises
    ------
    InputError
        For a header that is none, or names another file, for pixels that are not plain numbers, for spacing that
        is not positive and finite, and for an orientation that is absent, sheared or given twice with different
        results.
    """
    packed = path.name.lower().endswith(".gz")
    header = _first_bytes(path, packed)
    order = _byte_order(path, header)
    _check_magic(path, header)
    shape = _shape(path, header, order)
    datatype = struct.unpack_from(order + "h", header, 70)[0]
    if datatype in _COLOURS:
        raise InputError(
            str(path), found=f"a {_COLOURS[datatype]} image", wanted="one number a voxel",
            fix="convert it to Hounsfield units or labels",
        )  # fmt: skip
    if datatype not in NUMBER_TYPES:
        raise _header_error(path, f"datatype code {datatype}", "an integer or float type of up to 64 bits")
    spacing = _spacing(path, header, order)
    _check_orientation(path, header, order, shape, spacing)
    offset = struct.unpack_from(order + "f", header, 108)[0]
    if not (math.isfinite(offset) and 348 <= offset < 2**31):
        raise _header_error(path, f"vox_offset {offset:g}", "352 or a little more")
    scale = struct.unpack_from(order + "2f", header, 112)
    if not (math.isfinite(scale[0]) and math.isfinite(scale[1])):
        raise _header_error(path, f"scl_slope {scale[0]:g} and scl_inter {scale[1]:g}", "finite numbers")
    encoding: Encoding = "gzip" if packed else "raw"
    dtype = np.dtype(order + NUMBER_TYPES[datatype])
    return Layout("NIfTI", "NiftiImageIO", shape, dtype, encoding, 0, int(offset))


def _header_error(path: Path, found: str, wanted: str) -> InputError:
    return InputError(
        str(path), found=f"a NIfTI header with {found}", wanted=wanted, fix="write the file again from its source"
    )


def _first_bytes(path: Path, packed: bool) -> bytes:
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            str(path), found="data that are not gzip, or damaged", wanted="a gzip-compressed NIfTI file",
            fix="copy it again, or name an uncompressed file .nii",
        ) from error  # fmt: skip
    if len(header) < HEADER_BYTES:
        raise InputError(
            str(path), found=f"a truncated file: {len(header)} bytes of header", wanted=f"{HEADER_BYTES} bytes",
            fix="copy or write the file again",
        )  # fmt: skip
    return header


def _byte_order(path: Path, header: bytes) -> str:
    for order in ("<", ">"):
        size = struct.unpack_from(order + "i", header, 0)[0]
        if size == HEADER_BYTES:
            return order
        if size == _NIFTI2_BYTES:
            raise InputError(str(path), found="a NIfTI-2 file", wanted="NIfTI-1, NRRD or MHA", fix="convert it")
    raise InputError(
        str(path), found="a file that does not start like NIfTI", wanted="a NIfTI-1 file",
        fix="check that the file's name tells its format",
    )  # fmt: skip


def _check_magic(path: Path, header: bytes) -> None:
    magic = header[344:348]
    if magic == b"ni1\0":
        raise InputError(
            str(path), found="a header that names another file (.img)", wanted="pixels in the same file",
            fix="save it as one .nii or .nii.gz file",
        )  # fmt: skip
    if magic != b"n+1\0":
        raise _header_error(path, f"magic {magic!r}", "'n+1'")


def _shape(path: Path, header: bytes, order: str) -> tuple[int, ...]:
    dim = struct.unpack_from(order + "8h", header, 40)
    count = dim[0]
    if not 1 <= count <= 7 or min(dim[1 : count + 1]) < 1:
        raise _header_error(path, f"dim {list(dim)}", "three positive sizes")
    shape = tuple(int(n) for n in dim[1 : count + 1])
    while len(shape) > 3 and shape[-1] == 1:  # a fourth dimension of one is common and harmless
        shape = shape[:-1]
    return shape


def _spacing(path: Path, header: bytes, order: str) -> Array:
    pixdim = np.array(struct.unpack_from(order + "8f", header, 76)[1:4], dtype=np.float64)
    if not np.isfinite(pixdim).all() or (pixdim <= 0).any():
        shown = ", ".join(f"{v:g}" for v in pixdim)
        raise InputError(
            str(path), found=f"spacing ({shown}) mm in its header", wanted="> 0 mm on every axis",
            fix="repair the header's pixdim",
        )  # fmt: skip
    return pixdim


def _check_orientation(path: Path, header: bytes, order: str, shape: tuple[int, ...], spacing: Array) -> None:
    qform_code, sform_code = struct.unpack_from(order + "2h", header, 252)
    if qform_code <= 0 and sform_code <= 0:
        raise InputError(
            str(path), found="no orientation (qform_code and sform_code are 0)",
            wanted="a header that says which side is left", fix="convert the images again from DICOM",
        )  # fmt: skip
    sform = np.array(struct.unpack_from(order + "12f", header, 280), dtype=np.float64).reshape(3, 4)
    if sform_code > 0:
        _check_sform(path, sform, spacing)
    if sform_code > 0 and qform_code > 0 and len(shape) == 3:
        qform = _qform(header, order, spacing)
        corners = np.array([(i, j, k, 1.0) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.asarray(shape) - 1
        apart = float(np.abs(corners @ (sform - qform).T).max())
        if not apart <= _QFORM_AGREEMENT_MM:
            raise InputError(
                str(path), found=f"two orientations (qform, sform) that lie up to {apart:.1f} mm apart",
                wanted="one orientation", fix="set both to the scanner's coordinates",
            )  # fmt: skip


def _check_sform(path: Path, sform: Array, spacing: Array) -> None:
    if not np.isfinite(sform).all():
        raise _header_error(path, "NaN in its sform", "finite numbers")
    length = np.linalg.norm(sform[:, :3], axis=0)
    if (np.abs(length - spacing) > _SPACING_AGREEMENT * spacing).any():
        found = f"spacing {np.round(spacing, 4).tolist()} mm in pixdim and {np.round(length, 4).tolist()} in sform"
        raise _header_error(path, found, "the same spacing twice")
    columns = sform[:, :3] / length
    error = float(np.abs(columns.T @ columns - np.eye(3)).max())
    if error > DIRECTION_TOL:
        raise InputError(
            str(path), found=f"a direction that is off orthonormal by {error:.3g} (sheared sform)",
            wanted="three perpendicular axes", fix="resample the image onto a grid without shear",
        )  # fmt: skip


def _qform(header: bytes, order: str, spacing: Array) -> Array:
    """(3, 4) matrix of the quaternion form: Hamilton's formula, third axis turned by pixdim[0] (nifti1.h)."""
    handed = -1.0 if struct.unpack_from(order + "f", header, 76)[0] < 0 else 1.0
    b, c, d, *offset = struct.unpack_from(order + "6f", header, 256)
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    scaled = rotation * (spacing * [1.0, 1.0, handed])
    return np.column_stack([scaled, np.array(offset, dtype=np.float64)])
