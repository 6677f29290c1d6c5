"""The text headers of NRRD and MetaImage, read strictly: what a lenient reader might take otherwise is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.io.payload import Encoding, Layout

MAX_HEADER_BYTES: Final = 2**20
"""Longest text header that is looked at (bytes): real ones have a few hundred to some thousand."""

NRRD_TYPES: Final = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    "float": "f4",
    "double": "f8",
}
"""Number type of each NRRD type name (teem, NRRD file format, section "type")."""

META_TYPES: Final = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
"""Number type of each MetaImage element type (ITK, MetaIO)."""

_NRRD_SPACES = {
    "leftposteriorsuperior", "lps", "rightanteriorsuperior", "ras", "leftanteriorsuperior", "las",
}  # fmt: skip
_VECTOR = re.compile(r"\(([^()]*)\)")

_ODD_BYTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0]")
"""Some of these are white space in Python and none of them is to the readers in C: nothing may trim them away."""


def _refuse(path: Path, found: str, wanted: str, fix: str = "write the file again from its source") -> InputError:
    return InputError(str(path), found=found, wanted=wanted, fix=fix)


def _detached(path: Path, target: str) -> InputError:
    return _refuse(
        path, f"a header that names another file ({target[:80]!r})", "pixels in the same file",
        "save it as one .nrrd, .mha or .nii.gz file",
    )  # fmt: skip


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Lines of a text header, each with the offset of the byte after it."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    start = 0
    while (end := head.find(b"\n", start)) >= 0:
        yield _ODD_BYTES.sub("\ufffd", head[start:end].decode("latin-1")).rstrip("\r"), end + 1
        start = end + 1


def _check_spacing(path: Path, spacing: Array) -> None:
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        shown = ", ".join(f"{v:g}" for v in spacing)
        raise _refuse(path, f"spacing ({shown}) mm in its header", "> 0 mm on every axis", "repair the header")


def _sizes(path: Path, text: str) -> tuple[int, ...]:
    parts = text.split()
    if not parts or not all(re.fullmatch(r"[0-9]{1,18}", part) and int(part) > 0 for part in parts):
        raise _refuse(path, f"sizes {text[:60]!r} in its header", "positive counts")
    return tuple(int(part) for part in parts)


def _floats(path: Path, field: str, text: str, count: int) -> Array:
    try:
        values = np.array([float(part) for part in text.replace(",", " ").split()], dtype=np.float64)
    except ValueError as error:
        raise _refuse(path, f"{field} {text[:60]!r} in its header", f"{count} numbers") from error
    if len(values) != count:
        raise _refuse(path, f"{field} with {len(values)} numbers in its header", f"{count} numbers")
    return values


def read_nrrd_layout(path: Path) -> Layout:
    """Parse the header of a .nrrd file.

    Raises
    ------
    InputError
        For a header that names another file, an encoding other than raw and gzip, missing or bad sizes,
        spacing or orientation.
    """
    fields, offset = _nrrd_fields(path)
    for field in ("type", "sizes", "encoding"):
        if field not in fields:
            raise _refuse(path, f"an NRRD header without {field!r}", "a complete header")
    shape = _sizes(path, fields["sizes"])
    if fields.get("dimension", "").strip() != str(len(shape)):
        raise _refuse(path, f"dimension {fields.get('dimension')!r} with {len(shape)} sizes", "as many sizes")
    kinds = fields.get("kinds", "").lower()
    if len(shape) == 4 and shape[0] <= 4 and not kinds.startswith("domain"):
        raise _refuse(path, f"{shape[0]} values a voxel (RGB or vector)", "one number a voxel", "convert it")
    number = NRRD_TYPES.get(fields["type"].strip().lower())
    if number is None:
        raise _refuse(path, f"type {fields['type'][:40]!r}", "an integer or float type of up to 64 bits")
    encoding = _nrrd_encoding(path, fields["encoding"])
    if len(shape) == 3:
        _check_nrrd_space(path, fields)
    return Layout("NRRD", "NrrdImageIO", shape, _nrrd_dtype(path, fields, number), encoding, offset, 0)


def _nrrd_dtype(path: Path, fields: dict[str, str], number: str) -> np.dtype[Any]:
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower())
    if order is None and number[1] != "1":
        raise _refuse(path, f"endian {fields.get('endian', 'missing')[:20]!r}", "little or big")
    return np.dtype((order or "<") + number)


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    for number, (line, offset) in enumerate(_lines(path)):
        if number == 0:
            if not re.fullmatch(r"NRRD000[1-5]", line):
                raise _refuse(path, "a file that does not start like NRRD", "an NRRD file")
            continue
        if line == "":
            return fields, offset
        if line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        key = re.sub(r"\s", "", name).lower()
        if key == "datafile":
            raise _detached(path, value.strip().lstrip("="))
        if value.startswith("="):  # key:=value pairs are notes for people
            continue
        if not colon or key in fields:
            raise _refuse(path, f"a header line {line[:60]!r}", "each field once, as 'field: value'")
        if key in ("lineskip", "byteskip") and value.strip() not in ("", "0"):
            raise _refuse(path, f"{name.strip()} {value.strip()[:20]}", "pixels right after the header")
        fields[key] = value.strip()
    raise _refuse(path, "a truncated file: a header without end", "an empty line before the pixels")


def _nrrd_encoding(path: Path, text: str) -> Encoding:
    encodings: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
    if text.strip().lower() not in encodings:
        raise _refuse(path, f"encoding {text[:40]!r}", "raw or gzip", "write the file again with gzip encoding")
    return encodings[text.strip().lower()]


def _check_nrrd_space(path: Path, fields: dict[str, str]) -> None:
    if "space" not in fields or "spacedirections" not in fields:
        raise _refuse(path, "no orientation (space, space directions)", "a header that says which side is left")
    space = re.sub(r"[-\s]", "", fields["space"].lower())
    if space not in _NRRD_SPACES:
        raise _refuse(path, f"space {fields['space'][:40]!r}", "an anatomical space such as left-posterior-superior")
    vectors = _VECTOR.findall(fields["spacedirections"])
    if len(vectors) != 3:
        raise _refuse(path, f"{len(vectors)} space directions", "three")
    matrix = np.array([_floats(path, "a space direction", vector, 3) for vector in vectors])
    _check_spacing(path, np.linalg.norm(matrix, axis=1))


def read_meta_layout(path: Path) -> Layout:
    """Parse the header of a .mha or .mhd file.

    Raises
    ------
    InputError
        For a header that names another file (ElementDataFile other than LOCAL), text pixels, missing or bad
        sizes or spacing, several channels, or an intensity scaling that readers ignore.
    """
    fields, offset = _meta_fields(path)
    for field in ("NDims", "DimSize", "ElementType"):
        if field not in fields:
            raise _refuse(path, f"a MetaImage header without {field}", "a complete header")
    shape = _sizes(path, fields["DimSize"])
    if fields["NDims"].strip() != str(len(shape)):
        raise _refuse(path, f"NDims {fields['NDims'][:20]} with {len(shape)} sizes", "as many sizes")
    channels = fields.get("ElementNumberOfChannels", "1")
    if channels != "1":
        raise _refuse(path, f"{channels[:20]} values a voxel (RGB or vector)", "one number a voxel", "convert it")
    if fields["ElementType"] not in META_TYPES:
        raise _refuse(path, f"ElementType {fields['ElementType'][:40]!r}", "one of " + ", ".join(META_TYPES))
    if not _is_true(fields.get("BinaryData", "True")):
        raise _refuse(path, "pixels written as text (BinaryData not True)", "binary pixels")
    if fields.get("HeaderSize", "0") != "0":
        raise _refuse(path, f"HeaderSize {fields['HeaderSize'][:20]}", "pixels right after the header")
    for field, neutral in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if field in fields and _floats(path, field, fields[field], 1)[0] != neutral:
            raise _refuse(path, f"{field} {fields[field][:20]}", f"{neutral:g}", "store Hounsfield units directly")
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        raise _refuse(path, "a MetaImage header without ElementSpacing", "the spacing in mm", "add it")
    _check_spacing(path, _floats(path, "ElementSpacing", spacing, len(shape)))
    order = ">" if _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))) else "<"
    packed = _is_true(fields.get("CompressedData", "False"))
    if packed:
        _check_packed_size(path, fields.get("CompressedDataSize", "missing"), path.stat().st_size - offset)
    dtype = np.dtype(order + META_TYPES[fields["ElementType"]])
    return Layout("MetaImage", "MetaImageIO", shape, dtype, "zlib" if packed else "raw", offset, 0)


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")


def _check_packed_size(path: Path, text: str, there: int) -> None:
    """MetaIO believes CompressedDataSize: where it is wrong or missing, the image is whatever was in memory."""
    if text != str(there):
        raise _refuse(path, f"CompressedDataSize {text[:20]} with {there} bytes of data (truncated, or not closed)",
                      "the size of the data")  # fmt: skip


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    for line, offset in _lines(path):
        match = re.fullmatch(r"\s*([A-Za-z_][\w.|-]*)\s*=\s*(.*?)\s*", line)
        if match is None:
            raise _refuse(path, f"a header line {line[:60]!r}", "'Name = value' lines (a MetaImage header)")
        name, value = match.groups()
        if name.lower() in {known.lower() for known in fields}:
            raise _refuse(path, f"{name} twice in its header", "each field once")
        fields[name] = value
        if name.lower() == "elementdatafile":
            if name != "ElementDataFile" or value != "LOCAL":
                raise _detached(path, value)
            return fields, offset
    raise _refuse(path, "a truncated file: a header without ElementDataFile", "ElementDataFile = LOCAL at its end")
