"""Files that nobody should trust: written by hand, shipped by pydicom, and sound files spoilt at random by a seed.

`corpus()` lists them; each is written when it is its turn. `scripts/validate_hostile.py` reads them all.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

SECRET: Final = b"PLANTED SECRET: nobody reads this. " * 64
"""What lies in the planted files outside of every case's folder."""

SEEDS: Final = 60
"""Spoilt files of every kind."""

FOLDER, OUTSIDE = "case", "outside"
Maker = Callable[[Path], Path]


@dataclass(frozen=True, slots=True)
class Hostile:
    """One case: a name, its group, the seed where it is random, and what writes it into a folder."""

    name: str
    group: str
    seed: int | None
    make: Maker


def corpus() -> Iterator[Hostile]:
    """Every case, always the same, in the same order."""
    for name, make in by_hand().items():
        yield Hostile(name, "by hand", None, make)
    for name, make in shipped():
        yield Hostile(name, "shipped by pydicom", None, make)
    for kind, spoil in SPOILERS.items():
        for seed in range(SEEDS):
            yield Hostile(f"{kind} {seed}", f"spoilt {kind}", seed, _seeded(spoil, seed))


def _seeded(spoil: Callable[[Path, np.random.Generator], Path], seed: int) -> Maker:
    return lambda folder: spoil(folder, np.random.default_rng(seed))


# --- sound files -----------------------------------------------------------------------------------------------------


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


# --- by hand ---------------------------------------------------------------------------------------------------------


def by_hand() -> dict[str, Maker]:
    """Every hostile file that somebody thought of, by name."""
    nan, huge = float("nan"), "4294967296 4294967296 4294967296"
    files: dict[str, Callable[[Path], bytes]] = {
        "absolute.mhd": lambda f: mha(ElementDataFile=str(outside(f) / "secret.raw")),
        "relative.mhd": lambda f: mha(ElementDataFile=f"../{OUTSIDE}/secret.raw"),
        "absolute.mha": lambda f: mha(ElementDataFile=str(outside(f) / "secret.raw")),
        "list.mhd": lambda f: mha(ElementDataFile="LIST") + str(outside(f) / "secret.raw").encode() + b"\n",
        "pattern.mhd": lambda f: mha(ElementDataFile=str(outside(f) / "secret%d.raw") + " 1 4 1"),
        "absolute.nrrd": lambda f: nrrd(data_file=str(outside(f) / "secret.raw")),
        "relative.nrrd": lambda f: nrrd(data_file=f"../{OUTSIDE}/secret.raw"),
        "detached.nhdr": lambda f: nrrd(data_file=str(outside(f) / "secret.raw")),
        "list.nhdr": lambda f: nrrd(data_file="LIST") + str(outside(f) / "secret.raw").encode() + b"\n",
        "huge.mhd": lambda f: mha(DimSize=huge),
        "huge.nrrd": lambda f: nrrd(sizes="60000 60000 60000"),
        "overflow.nrrd": lambda f: nrrd(sizes=huge),
        "negative.nrrd": lambda f: nrrd(sizes="-5 10 10"),
        "huge.nii": lambda f: nifti((3, 32767, 32767, 32767)),
        "huge.nii.gz": lambda f: gzip.compress(nifti((3, 32767, 32767, 32767))),
        "honest bomb.nii.gz": lambda f: _bomb(nifti((3, 1500, 1500, 300)), 300),
        "bomb.nii.gz": lambda f: _bomb(nifti((3, 8, 8, 8)), 300),
        "bomb.mha": lambda f: _packed_mha(300),
        "bomb.nrrd": lambda f: nrrd(encoding="gzip")[:-128] + _bomb(b"", 300),
        "nan.nii": lambda f: nifti((3, 8, 8, 8), (1, nan, 1, 1)),
        "negative.nii": lambda f: nifti((3, 8, 8, 8), (1, 1, -1, 1)),
        "zero.nii": lambda f: nifti((3, 8, 8, 8), (1, 1, 0, 1)),
        "shear.nii": lambda f: nifti((3, 8, 8, 8), (1, 1, 1, 1.118), shear=0.5),
        "nan.nrrd": lambda f: nrrd(space_directions="(nan,0,0) (0,nan,0) (0,0,nan)"),
        "zero.nrrd": lambda f: nrrd(space_directions="(0,0,0) (0,0,0) (0,0,0)"),
        "shear.nrrd": lambda f: nrrd(space_directions="(1,0,0) (0,1,0) (0,0.5,1)"),
        "nan.mha": lambda f: mha(ElementSpacing="1 nan 1"),
        "zero.mha": lambda f: mha(ElementSpacing="1 0 1"),
        "negative.mha": lambda f: mha(ElementSpacing="1 1 -1"),
        "shear.mha": lambda f: mha(TransformMatrix="1 0 0 0 1 0 0 0.5 1"),
        "cut.nii": lambda f: nifti((3, 64, 64, 64)),
        "cut.mha": lambda f: mha(DimSize="64 64 64"),
        "cut.nrrd": lambda f: nrrd(sizes="64 64 64"),
        "cut.nii.gz": lambda f: gzip.compress(os.urandom(0) + nifti((3, 8, 8, 8)))[:-9],
        "empty.nii": lambda f: b"",
        "endless.nrrd": lambda f: b"NRRD0004\n" + b"note: x\n" * 200_000,
        "endless.mha": lambda f: b"Comment = x\n" * 200_000,
        "no line.nrrd": lambda f: b"NRRD0004" * 500_000,
    }  # fmt: skip
    made: dict[str, Maker] = {name: _file(name, content) for name, content in files.items()}
    return made | _links() | _dicoms()


def _file(name: str, content: Callable[[Path], bytes]) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content(folder))
        return path

    return make


def _bomb(head: bytes, megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(head) + b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def _packed_mha(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    return mha(CompressedData="True", CompressedDataSize=str(len(packed)))[:-128] + packed


def _links() -> dict[str, Maker]:
    """Links, pipes and names that lead out of the folder."""

    def link(name: str, target: Callable[[Path], Path | str], *, inside: bool = True) -> Maker:
        def make(folder: Path) -> Path:
            if inside:
                series(folder)
            (folder / name).symlink_to(target(folder))
            return folder

        return make

    def pipe(folder: Path) -> Path:
        os.mkfifo(series(folder) / "9.dcm")
        return folder

    def file_link(folder: Path) -> Path:
        (folder / "a.nii").symlink_to("/dev/zero")
        return folder / "a.nii"

    def wide(folder: Path) -> Path:
        for n in range(25_000):
            (folder / str(n)).touch()
        return folder

    names: dict[str, list[str] | str] = {
        "dicomdir, up": ["..", OUTSIDE, "0.dcm"],
        "dicomdir, up inside": ["A", "..", "..", OUTSIDE, "0.dcm"],
        "dicomdir, slashes": f"../{OUTSIDE}/0.dcm",
        "dicomdir, backslashes": [f"..\\{OUTSIDE}\\0.dcm"],
        "dicomdir, absolute": "/etc/passwd",
        "dicomdir, root": ["", "etc", "passwd"],
        "dicomdir, through a link": ["link", "0.dcm"],
        "dicomdir, itself": ["DICOMDIR"],
        "dicomdir, long": ["A" * 4000],
        "dicomdir, many parts": ["A"] * 3000,
    }

    def indexed(name: list[str] | str) -> Maker:
        def make(folder: Path) -> Path:
            (folder / "link").symlink_to(outside(folder), target_is_directory=True)
            return index_of(folder, name)

        return make

    return {
        "link to a slice outside": link("9.dcm", lambda f: outside(f) / "0.dcm"),
        "link to a folder outside": link("more", outside),
        "link to itself": link("9.dcm", lambda f: "9.dcm"),
        "link to its own folder": link("more", lambda f: f),
        "link to an endless device": link("9.dcm", lambda f: "/dev/zero"),
        "dicomdir that is a link": link("DICOMDIR", lambda f: outside(f) / "DICOMDIR"),
        "only a link": link("9.dcm", lambda f: outside(f) / "0.dcm", inside=False),
        "image that is an endless device": file_link,
        "pipe": pipe,
        "25,000 files": wide,
        **{name: indexed(parts) for name, parts in names.items()},
    }


def _dicoms() -> dict[str, Maker]:
    """Slices that lie about themselves."""
    siz = b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIH3B", 41, 0, *[65535, 65535, 0, 0] * 2, 1, 15, 1, 1)
    jls = b"\xff\xd8\xff\xf7" + struct.pack(">HBHHB3B", 11, 16, 65535, 65535, 1, 1, 17, 0)
    runs = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0\x81\0"
    pole = struct.pack("<16I", 2**32 - 1, *[2**32 - 1] * 15)
    changes: dict[str, Callable[[Dataset], None]] = {
        "65535 square": put(Rows=65535, Columns=65535),
        "65535 square, 1000 frames": put(Rows=65535, Columns=65535, NumberOfFrames=1000),
        "two thousand million frames": put(NumberOfFrames=2**31 - 1),
        "no rows": put(Rows=0),
        "64 bits": put(BitsAllocated=64, BitsStored=64, HighBit=63),
        "no bits": put(BitsAllocated=0, BitsStored=0, HighBit=0),
        "odd bits": put(BitsStored=99, HighBit=200),
        "slope without end": put(RescaleSlope="9" * 16),
        "far away": put(ImagePositionPatient=["1e300", "0", "0"]),
        "tiny pixels": put(PixelSpacing=["1e-300", "1e-300"]),
        "negative pixels": put(PixelSpacing=[-1, -1]),
        "three rows of cosines": put(ImageOrientationPatient=[1, 0, 0, 0, 1, 0, 0, 0, 1]),
        "no pixels": lambda d: d.__delattr__("PixelData"),
        "few pixels": put(PixelData=b"\0\0"),
        "rle bomb": lambda d: (put(Rows=65535, Columns=65535)(d), coded(RLELossless, runs)(d))[0],
        "rle of nothing": coded(RLELossless, runs),
        "rle that points away": coded(RLELossless, pole),
        "rle without header": coded(RLELossless, b"\x01\x02"),
        "long rle": coded(RLELossless, runs[:64] + b"\x81\0" * 500_000),
        "jpeg 2000 of 65535": coded(JPEG2000Lossless, siz + bytes(64)),
        "jpeg-ls of 65535": coded("1.2.840.10008.1.2.4.80", jls + bytes(64)),
        "jpeg of nothing": coded("1.2.840.10008.1.2.4.70", b"\xff\xd8" + b"\xff" * 5000),
        "video": coded("1.2.840.10008.1.2.4.102", b"\0" * 64),
        "enhanced without groups": put(SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=5),
        "colours": put(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    }

    def changed(change: Callable[[Dataset], None]) -> Maker:
        return lambda folder: with_slice(folder, change)

    made = {f"slice, {name}": changed(change) for name, change in changes.items()}

    def unknown_syntax(folder: Path) -> Path:
        path = with_slice(folder, changes["video"]) / "2.dcm"
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.102", b"1.2.840.10008.1.2.4.999"))
        return folder

    def deflated(folder: Path) -> Path:
        buffer = io.BytesIO()
        dataset = slice_of(2)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.PixelData = bytes(2**28)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(buffer, enforce_file_format=True)
        (series(folder) / "2.dcm").write_bytes(buffer.getvalue())
        return folder

    def long_element(folder: Path) -> Path:
        data = bytearray(save(slice_of(2), series(folder) / "2.dcm").read_bytes())
        at = data.index(b"\x18\x00\x50\x00")
        data[at:at] = b"\x11\x00\x10\x10OB\0\0" + struct.pack("<I", 2**32 - 2)
        (folder / "2.dcm").write_bytes(data)
        return folder

    for depth in (30, 300, 3000, 100_000):
        made[f"slice, {depth} sequences deep"] = _nested(depth)
    return made | {
        "slice, unknown syntax": unknown_syntax,
        "slice, deflated bomb": deflated,
        "slice, element of 4 GiB": long_element,
    }


def _nested(depth: int) -> Maker:
    """Sequences in sequences, written byte by byte: pydicom's own writer does not come back from it."""

    def make(folder: Path) -> Path:
        path = save(slice_of(2, SOPClassUID=EnhancedCTImageStorage), series(folder) / "2.dcm")
        data = path.read_bytes()
        at = data.rindex(b"\xe0\x7f\x10\x00")
        opened = b"\x00\x52\x29\x92SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
        closed = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
        path.write_bytes(data[:at] + opened * depth + closed * depth + data[at:])
        return folder

    return make


# --- shipped by pydicom ----------------------------------------------------------------------------------------------


def shipped() -> Iterator[tuple[str, Maker]]:
    """Every file that pydicom ships, alone in a folder; its DICOMDIRs with their trees."""
    root = Path(pydicom.__file__).parent / "data"
    tree = root / "test_files" / "dicomdirtests"

    def alone(path: Path) -> Maker:
        def make(folder: Path) -> Path:
            shutil.copy(path, folder / "a.dcm")
            return folder

        return make

    def indexed(path: Path) -> Maker:
        def make(folder: Path) -> Path:
            shutil.copytree(tree, folder, dirs_exist_ok=True)
            shutil.copy(path, folder / "DICOMDIR")
            return folder

        return make

    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")):
        name = path.relative_to(root).as_posix()
        if path.name.startswith("DICOMDIR") and path.parent == tree:
            yield name, indexed(path)
        else:
            yield name, alone(path)


# --- spoilt by a seed ------------------------------------------------------------------------------------------------

EXTREME: Final = (b"-1", b"0", b"65535", b"4294967296", b"-9223372036854775808", b"nan", b"inf", b"1e308", b"", b"\0",
                  b"\xff\xfe", b"../../x", b"A" * 300, b"%n%s%x")  # fmt: skip


def spoilt(data: bytes, rng: np.random.Generator, head: int) -> bytes:
    """Bytes flipped, cut off, put in or doubled, mostly in the first `head`."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        reach = max(min(head, len(found)) if rng.random() < 0.85 else len(found), 1)
        at = int(rng.integers(0, reach))
        match int(rng.integers(0, 6)):
            case 0 | 1 | 2:
                found[at : at + 1] = bytes([int(rng.integers(0, 256))])
            case 3:
                found[at : at + 1] = bytes([found[at] ^ (1 << int(rng.integers(0, 8)))]) if at < len(found) else b""
            case 4:
                word = EXTREME[int(rng.integers(0, len(EXTREME)))]
                found[at : at + len(word)] = word
            case _:
                size = int(rng.integers(1, 40))
                found[at:at] = found[at : at + size] if rng.random() < 0.5 else b""
    if rng.random() < 0.2:
        del found[int(rng.integers(0, len(found) + 1)) :]
    return bytes(found)


def spoilt_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A text header with words replaced, lines left out, doubled or swapped; then perhaps bytes as well."""
    end = data.find(b"\n\n") if data.startswith(b"NRRD") else data.find(b"LOCAL") + 5
    lines, rest = data[:end].split(b"\n"), data[end:]
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(lines)))
        words = lines[at].split(b" ")
        match int(rng.integers(0, 5)):
            case 0 | 1:
                words[int(rng.integers(0, len(words)))] = EXTREME[int(rng.integers(0, len(EXTREME)))]
                lines[at] = b" ".join(words)
            case 2:
                lines.insert(at, lines[int(rng.integers(0, len(lines)))])
            case 3 if len(lines) > 1:
                del lines[at]
            case _:
                other = int(rng.integers(0, len(lines)))
                lines[at], lines[other] = lines[other], lines[at]
    joined = b"\n".join(lines) + rest
    return spoilt(joined, rng, end) if rng.random() < 0.3 else joined


def _image(suffix: str, head: int) -> Callable[[Path, np.random.Generator], Path]:
    def spoil(folder: Path, rng: np.random.Generator) -> Path:
        data = image_bytes(suffix.replace(".gz", ""))
        text = suffix in (".nrrd", ".mha") and rng.random() < 0.7
        changed = spoilt_text(data, rng) if text else spoilt(data, rng, head)
        path = folder / f"a{suffix}"
        path.write_bytes(gzip.compress(changed, 1) if suffix == ".nii.gz" and rng.random() < 0.8 else changed)
        return path

    return spoil


def _bytes_of_a_slice(folder: Path, rng: np.random.Generator) -> Path:
    """One file of a series with its header's bytes changed."""
    path = series(folder) / f"{int(rng.integers(0, 5))}.dcm"
    path.write_bytes(spoilt(path.read_bytes(), rng, 900))
    return folder


def _tags_of_a_slice(folder: Path, rng: np.random.Generator) -> Path:
    """Tags of one slice, or of all, given values of other tags, none, or extreme ones."""
    tags = [element.tag for element in slice_of(0) if element.keyword != "PixelData"]
    chosen = [tags[int(n)] for n in rng.integers(0, len(tags), int(rng.integers(1, 4)))]
    every = rng.random() < 0.4
    ways = [int(rng.integers(0, 4)) for _ in chosen]
    words = [EXTREME[int(rng.integers(0, 9))].decode() for _ in chosen]
    others = [tags[int(rng.integers(0, len(tags)))] for _ in chosen]
    for k in range(5):
        dataset = slice_of(k)
        if every or k == 2:
            for tag, way, word, other in zip(chosen, ways, words, others, strict=True):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _respoil(dataset, tag, way, word, other)
        try:
            save(dataset, folder / f"{k}.dcm")
        except Exception:  # what cannot be written at all stays as it was
            save(slice_of(k), folder / f"{k}.dcm")
    return folder


def _respoil(dataset: Dataset, tag: Any, way: int, word: str, other: Any) -> None:
    if tag not in dataset:
        return
    if way == 0:
        del dataset[tag]
    elif way == 1:
        dataset.add_new(tag, "LO", word)
    elif way == 2 and other in dataset:
        dataset.add_new(tag, dataset[other].VR, dataset[other].value)
    else:
        value = dataset[tag].value
        number = isinstance(value, int) and not isinstance(value, bool)
        dataset.add_new(tag, dataset[tag].VR, (65535 if dataset[tag].VR == "US" else -1) if number else value)


def _coded(syntax: str) -> Callable[[Path, np.random.Generator], Path]:
    """Compressed slices with bytes changed in one of them, code stream and all."""

    def spoil(folder: Path, rng: np.random.Generator) -> Path:
        names = {RLELossless: "MR_small_RLE.dcm", JPEG2000Lossless: "MR_small_jp2klossless.dcm",
                 "1.2.840.10008.1.2.4.80": "MR_small_jpeg_ls_lossless.dcm"}  # fmt: skip
        source = Path(pydicom.__file__).parent / "data" / "test_files" / names[syntax]
        for k in range(3):
            dataset = pydicom.dcmread(source)
            dataset.Modality, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "CT", "1.2.3", f"1.2.3.{k}"
            dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, -1000, 1
            dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, k], [1, 0, 0, 0, 1, 0]
            path = save(dataset, folder / f"{k}.dcm")
            if k == 1:
                data = path.read_bytes()
                start = data.rindex(b"\xe0\x7f\x10\x00")
                path.write_bytes(data[:start] + spoilt(data[start:], rng, 300))
        return folder

    return spoil


def _enhanced(folder: Path, rng: np.random.Generator) -> Path:
    """An enhanced CT with bytes of its functional groups changed."""
    dataset = slice_of(0, SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=4)
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared = Dataset()
    groups: dict[str, dict[str, Any]] = {
        "PixelMeasuresSequence": {"PixelSpacing": [0.9, 0.8], "SliceThickness": 2.0},
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        "PixelValueTransformationSequence": {"RescaleSlope": 1, "RescaleIntercept": -1024},
    }
    for name, tags in groups.items():
        item = Dataset()
        for tag, value in tags.items():
            setattr(item, tag, value)
        setattr(shared, name, [item])
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], []
    for k in range(4):
        own, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, 2.0 * k]
        own.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(own)
    dataset.PixelData = np.random.default_rng(0).integers(24, 2000, 480).astype("<i2").tobytes()
    path = save(dataset, folder / "all.dcm")
    path.write_bytes(spoilt(path.read_bytes(), rng, 1600))
    return folder


def _index(folder: Path, rng: np.random.Generator) -> Path:
    """A DICOMDIR with bytes changed."""
    index_of(folder, ["1.DCM"])
    path = folder / "DICOMDIR"
    path.write_bytes(spoilt(path.read_bytes(), rng, 2000))
    return folder


SPOILERS: Final[dict[str, Callable[[Path, np.random.Generator], Path]]] = {
    "nii": _image(".nii", 352),
    "nii.gz": _image(".nii.gz", 352),
    "nrrd": _image(".nrrd", 400),
    "mha": _image(".mha", 400),
    "slice": _bytes_of_a_slice,
    "tags": _tags_of_a_slice,
    "rle": _coded(RLELossless),
    "jpeg 2000": _coded(JPEG2000Lossless),
    "jpeg-ls": _coded("1.2.840.10008.1.2.4.80"),
    "enhanced": _enhanced,
    "dicomdir": _index,
}
