"""Small sound images and DICOM series, which `hostile_files` spoils."""

from __future__ import annotations

import functools
import os
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

SECRET: Final = b"PLANTED SECRET: nobody reads this. " * 64
"""What lies in the planted files outside of every case's folder."""

FOLDER, OUTSIDE = "case", "outside"
Maker = Callable[[Path], Path]


@functools.cache
def image_bytes(suffix: str) -> bytes:
    """A sound CT of 8 x 7 x 6 voxels in the format of a file name's ending."""
    values = np.random.default_rng(0).integers(-1000, 1500, (6, 7, 8)).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.8, 0.9, 2.0))
    file = Path(f"sound{suffix}")
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"sjplan-hostile-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(image, str(folder / file), suffix == ".nii.gz")
    data = (folder / file).read_bytes()
    shutil.rmtree(folder)
    return data


def nifti(dim: tuple[int, ...], pixdim: tuple[float, ...] = (1, 1, 1, 1), shear: float = 0.0) -> bytes:
    """A NIfTI header that claims what it is told to, and a kilobyte of pixels."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *dim, *[1] * (8 - len(dim)))
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, *pixdim, *[1] * (8 - len(pixdim)))
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<hh", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, shear, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + bytes(1024)


def nrrd(**fields: str) -> bytes:
    """An NRRD file of 4 x 4 x 4 zeros, with fields replaced or added."""
    table = {"type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "4 4 4",
             "space directions": "(1,0,0) (0,1,0) (0,0,1)", "endian": "little", "encoding": "raw",
             "space origin": "(0,0,0)"}  # fmt: skip
    table.update({key.replace("_", " "): value for key, value in fields.items()})
    return f"NRRD0004\n{''.join(f'{k}: {v}' + chr(10) for k, v in table.items())}\n".encode() + bytes(128)


def mha(**fields: str) -> bytes:
    """A MetaImage file of 4 x 4 x 4 zeros, with fields replaced or added."""
    table = {"ObjectType": "Image", "NDims": "3", "DimSize": "4 4 4", "ElementSpacing": "1 1 1",
             "ElementType": "MET_SHORT"}  # fmt: skip
    last = fields.pop("ElementDataFile", "LOCAL")
    table.update(fields)
    lines = "".join(f"{key} = {value}\n" for key, value in table.items())
    return f"{lines}ElementDataFile = {last}\n".encode() + bytes(128)


def slice_of(k: int, **tags: Any) -> Dataset:
    """One slice of a sound series, 12 columns and 10 rows, with tags replaced."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"1.2.3.4.{k}"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.Modality = "1.2.3.4", "1.2.3", "CT"
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-5.0, 3.0, 2.0 * k], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.KVP = [0.9, 0.8], 2.0, 120
    dataset.Rows, dataset.Columns = 10, 12
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = np.random.default_rng(k).integers(24, 2000, 120).astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    return dataset


def put_groups(dataset: Dataset, pixel_mm: tuple[float, float], intercept: int, places: list[list[float]]) -> None:
    """Make an enhanced CT of a dataset: slices as far apart as they are thick, one at each place."""
    shared = Dataset()
    groups: dict[str, dict[str, Any]] = {
        "PixelMeasuresSequence": {"PixelSpacing": list(pixel_mm), "SliceThickness": places[1][2] - places[0][2]},
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        "PixelValueTransformationSequence": {"RescaleSlope": 1, "RescaleIntercept": intercept},
    }
    for name, tags in groups.items():
        item = Dataset()
        for tag, value in tags.items():
            setattr(item, tag, value)
        setattr(shared, name, [item])
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], []
    for at in places:
        own, place = Dataset(), Dataset()
        place.ImagePositionPatient = at
        own.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(own)


def save(dataset: Dataset, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, count: int = 5) -> Path:
    """A sound series."""
    for k in range(count):
        save(slice_of(k), folder / f"{k}.dcm")
    return folder


def with_slice(folder: Path, change: Callable[[Dataset], None]) -> Path:
    """A sound series with one slice that is not."""
    series(folder)
    dataset = slice_of(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(dataset)
    save(dataset, folder / "2.dcm")
    return folder


def coded(syntax: str, code: bytes) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([code])
        dataset["PixelData"].is_undefined_length = True

    return change


def put(**tags: Any) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for tag, value in tags.items():
            setattr(dataset, tag, value)

    return change


def index_of(folder: Path, name: list[str] | str) -> Path:
    """A series with a DICOMDIR that names its first file and one more."""
    series(folder)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.DirectoryRecordSequence = [Dataset(), Dataset()]
    for record, named in zip(dataset.DirectoryRecordSequence, (["0.DCM"], name), strict=True):
        record.DirectoryRecordType = "IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record.ReferencedFileID = named
    save(dataset, folder / "DICOMDIR")
    return folder


def outside(folder: Path) -> Path:
    """The planted files beside the case's folder."""
    return folder.parent / OUTSIDE
