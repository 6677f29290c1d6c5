"""Files for the tests of sjplan.io, sound and hostile, made byte by byte."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from sjplan.core.errors import SjplanError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume


def message(error: SjplanError) -> str:
    """The text of an error, after making sure that it is one plain line."""
    text = str(error)
    assert "\n" not in text
    assert "itk::" not in text.lower()
    assert "0x" not in text
    return text


def nifti(
    dim: Sequence[int] = (3, 8, 8, 8),
    pixdim: Sequence[float] = (1, 1, 1, 1),
    *,
    codes: tuple[int, int] = (0, 1),
    sform: Any = None,
    datatype: tuple[int, int] = (4, 16),
    offset: float = 352.0,
    magic: bytes = b"n+1\0",
    pixels: bytes | None = None,
) -> bytes:
    """A NIfTI-1 file; by default 8 x 8 x 8 int16 zeros with an sform along the axes."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *dim, *[1] * (8 - len(dim)))
    struct.pack_into("<hh", header, 70, *datatype)
    struct.pack_into("<8f", header, 76, *pixdim, *[1] * (8 - len(pixdim)))
    struct.pack_into("<f", header, 108, offset)
    struct.pack_into("<hh", header, 252, *codes)
    struct.pack_into("<12f", header, 280, *np.ravel(np.eye(3, 4) if sform is None else sform))
    header[344:348] = magic
    return bytes(header) + (bytes(1024) if pixels is None else pixels)


def nrrd(extra: str = "", *, pixels: bytes = bytes(128), **fields: str) -> bytes:
    """An NRRD file; by default 4 x 4 x 4 int16 zeros. A field given as "" is left out."""
    table = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "4 4 4",
        "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(0,0,0)",
    }
    table.update({name.replace("_", " "): value for name, value in fields.items()})
    lines = "".join(f"{name}: {value}\n" for name, value in table.items() if value)
    return f"NRRD0004\n{lines}{extra}\n".encode() + pixels


def mha(*, pixels: bytes = bytes(128), **fields: str) -> bytes:
    """A MetaImage file; by default 4 x 4 x 4 int16 zeros. A field given as "" is left out."""
    table = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "DimSize": "4 4 4",
        "ElementSpacing": "1 1 1",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    if fields.get("CompressedData") == "True":
        table["CompressedDataSize"] = str(len(pixels))
    last = fields.pop("ElementDataFile", table.pop("ElementDataFile"))
    table.update(fields)
    lines = "".join(f"{name} = {value}\n" for name, value in table.items() if value)
    return f"{lines}ElementDataFile = {last}\n".encode() + pixels


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def asymmetric(shape: tuple[int, int, int], low: int = -1000, high: int = 3000) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Values that change under every flip and permutation of the axes."""
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.int16)


def ct_on(grid: Grid) -> CtVolume:
    return CtVolume(grid, asymmetric(grid.shape))


def blocks(grid: Grid, ids: Sequence[int] = (25, 77, 78)) -> LabelMap:
    """A label map with one slab of each id along i."""
    label = np.zeros(grid.shape, dtype=np.uint8)
    edges = np.linspace(0, grid.shape[0], len(ids) + 2).astype(int)
    for n, i in enumerate(ids):
        label[edges[n] : edges[n + 1], 1:, :] = i
    return LabelMap(grid, label, {25: "sacrum", 77: "hip_left", 78: "hip_right"})


def plain_grid(shape: tuple[int, int, int] = (12, 9, 7), spacing: Sequence[float] = (1.0, 1.5, 2.0)) -> Grid:
    return Grid(shape, np.asarray(spacing), np.array([-10.0, 20.0, 30.0]), np.eye(3))


def dicom_series(
    folder: Path,
    *,
    count: int = 8,
    size: tuple[int, int] = (10, 12),
    step_mm: float = 2.0,
    shift_mm: float = 0.0,
    heights: Sequence[float] | None = None,
    skip: Sequence[int] = (),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    series: str = "",
    change: Callable[[Dataset, int], None] | None = None,
    prefix: str = "",
) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Write a small CT series of (rows, columns) in shuffled file order; return its stored values [k, j, i]."""
    folder.mkdir(exist_ok=True)
    stored = asymmetric((count, *size), 24, 2000)
    series = series or generate_uid()
    normal = np.cross(orientation[:3], orientation[3:])
    for k in range(count):
        if k in skip:
            continue
        height = k * step_mm if heights is None else heights[k]
        position = np.array([-30.0, 40.0, 5.0]) + height * normal + np.array([0.0, shift_mm * k, 0.0])
        dataset = dicom_slice(stored[k], position, orientation, series, k)
        if change is not None:
            change(dataset, k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(folder / f"{prefix}{(k * 5) % count:03d}.dcm", enforce_file_format=True)
    return stored


def dicom_slice(pixels: Any, position: Any, orientation: Sequence[float], series: str, k: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series
    dataset.StudyInstanceUID = "1.2.3"
    dataset.Modality = "CT"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Nobody^Ever", "SECRET-17", "19700101"
    dataset.InstanceNumber = 100 - k
    dataset.ImagePositionPatient = [round(float(v), 6) for v in position]
    dataset.ImageOrientationPatient = list(orientation)
    dataset.PixelSpacing = [0.9, 0.8]
    dataset.SliceThickness, dataset.KVP = 2.0, 120
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = pixels.astype("<i2").tobytes()
    return dataset


def enhanced_ct(
    path: Path,
    *,
    count: int = 8,
    size: tuple[int, int] = (10, 12),
    step_mm: float = 2.0,
    order: Sequence[int] | None = None,
    slopes: Sequence[float] | None = None,
    change: Callable[[Dataset], None] | None = None,
) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Write an enhanced CT, all slices in one file, frames in the given order; return its stored values [k, j, i].

    With `slopes`, every frame has a slope of its own; else one is shared.
    """
    stored = asymmetric((count, *size), 24, 2000)
    frames = list(range(count)) if order is None else list(order)
    dataset = dicom_slice(stored[0], np.zeros(3), (1, 0, 0, 0, 1, 0), "1.2.99", 0)
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
                "RescaleIntercept"):  # fmt: skip
        delattr(dataset, tag)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = count
    shared = Dataset()
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[0.9, 0.8], SliceThickness=2.0)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    if slopes is None:
        shared.PixelValueTransformationSequence = [_item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = []
    for k in frames:
        own = _item(PlanePositionSequence=[_item(ImagePositionPatient=[-30.0, 40.0, 5.0 + step_mm * k])])
        own.CTImageFrameTypeSequence = [_item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])]
        if slopes is not None:
            rescale = _item(RescaleSlope=slopes[k], RescaleIntercept=-1024, RescaleType="HU")
            own.PixelValueTransformationSequence = [rescale]
        dataset.PerFrameFunctionalGroupsSequence.append(own)
    dataset.PixelData = stored[frames].astype("<i2").tobytes()
    if change is not None:
        change(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return stored


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for tag, value in values.items():
        setattr(item, tag, value)
    return item
