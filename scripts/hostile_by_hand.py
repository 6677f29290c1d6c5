"""Hostile files that somebody thought of: formats, links, DICOM."""

from __future__ import annotations

import gzip
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    JPEG2000Lossless,
    RLELossless,
)
from sound_files import (
    OUTSIDE,
    Maker,
    coded,
    index_of,
    mha,
    nifti,
    nrrd,
    outside,
    put,
    save,
    series,
    slice_of,
    with_slice,
)


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
        "huge.nii.gz": lambda f: gzip.compress(nifti((3, 32767, 32767, 32767)), mtime=0),
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
        "cut.nii.gz": lambda f: gzip.compress(nifti((3, 8, 8, 8)), mtime=0)[:-9],
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
