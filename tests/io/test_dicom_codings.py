"""However the pixels are stored, they come out exactly; what loses something says so; what lies is refused."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from io_makers import asymmetric, dicom_series, enhanced_ct, message
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from sjplan.core.errors import InputError
from sjplan.io.codestream import CodeStreamError, picture_of
from sjplan.io.volumes import load, read_ct

Change = Callable[[Dataset, int], None]
SIZE = (36, 40)
"""Rows and columns: the JPEG 2000 encoder halves a picture five times."""


def pack(syntax: UID, **options: Any) -> Change:
    def change(dataset: Dataset, k: int) -> None:
        del k
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.compress(syntax, **options)

    return change


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=["rle", "jpeg2000", "jpegls"])
@pytest.mark.parametrize(("stored", "signed"), [(16, 1), (12, 1), (12, 0), (16, 0)])
def test_lossless_codings_are_read_exactly(syntax: UID, stored: int, signed: int, tmp_path: Path) -> None:
    low = -(1 << (stored - 1)) if signed else 0
    numbers = np.random.default_rng(stored).integers(low, low + (1 << stored), (8, *SIZE))

    def change(dataset: Dataset, k: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = stored, stored - 1, signed
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -900 + k
        dataset.PixelData = numbers[k].astype("<i2" if signed else "<u2").tobytes()
        pack(syntax)(dataset, k)

    dicom_series(tmp_path, size=SIZE, change=change)
    loaded = load(tmp_path, "ct")
    wanted = np.rint(numbers * 0.5 - 900 + np.arange(8)[:, None, None])
    wanted[wanted <= -1024] = -1000
    assert np.array_equal(loaded.volume.hu.transpose(2, 1, 0), wanted)  # type: ignore[union-attr]
    assert "dicom-lossy" not in {f.code for f in loaded.findings}


def test_jpeg_lossless_is_read_exactly(tmp_path: Path) -> None:
    """Coded by GDCM's own encoder, frame by frame."""

    def change(dataset: Dataset, k: int) -> None:
        image = sitk.GetImageFromArray(np.frombuffer(dataset.PixelData, "<i2").reshape(1, 10, 12).astype(np.uint16))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(tmp_path / "coded"))
        writer.Execute(image)
        coded = pydicom.dcmread(tmp_path / "coded")
        (tmp_path / "coded").unlink()
        assert coded.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        dataset.file_meta.TransferSyntaxUID, dataset.PixelRepresentation = JPEGLosslessSV1, 0
        dataset.PixelData = coded.PixelData
        dataset["PixelData"].is_undefined_length = True

    stored = dicom_series(tmp_path / "series", change=change)
    assert np.array_equal(read_ct(tmp_path / "series").hu.transpose(2, 1, 0), stored - 1024)


def test_near_lossless_says_so(tmp_path: Path) -> None:
    stored = dicom_series(tmp_path, change=pack(JPEGLSNearLossless, jls_error=2))
    loaded = load(tmp_path, "ct")
    off = np.abs(loaded.volume.hu.transpose(2, 1, 0) - (stored - 1024))  # type: ignore[union-attr]
    assert 0 < off.max() <= 2
    (finding,) = (f for f in loaded.findings if f.code == "dicom-lossy")
    assert finding.severity == "warning"
    assert finding.text.startswith("8 of 8 slices")


def test_a_series_that_was_lossy_once_says_so_though_it_is_plain_now(tmp_path: Path) -> None:
    dicom_series(tmp_path, change=lambda dataset, k: setattr(dataset, "LossyImageCompression", "01"))
    assert "dicom-lossy" in {f.code for f in load(tmp_path, "ct").findings}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=["implicit", "big endian"])
def test_plain_codings_are_read_exactly(syntax: UID, tmp_path: Path) -> None:
    stored = dicom_series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a").iterdir():
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom.dcmwrite(
                tmp_path / "b" / path.name, dataset, implicit_vr=syntax.is_implicit_VR,
                little_endian=syntax.is_little_endian, enforce_file_format=True,
            )  # fmt: skip
    assert np.array_equal(read_ct(tmp_path / "b").hu.transpose(2, 1, 0), stored - 1024)


def test_bits_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    """Old scanners keep overlays in the four highest bits."""
    numbers = np.random.default_rng(1).integers(-2048, 2048, (8, 10, 12))

    def change(dataset: Dataset, k: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 12, 11, 1, 1100
        with_overlay = (numbers[k] & 0x0FFF) | (np.arange(120).reshape(10, 12) % 16 << 12)
        dataset.PixelData = with_overlay.astype("<u2").tobytes()

    dicom_series(tmp_path, change=change)
    assert np.array_equal(read_ct(tmp_path).hu.transpose(2, 1, 0), numbers + 1100)


def test_the_oracle_agrees_on_the_files_that_pydicom_ships(tmp_path: Path) -> None:
    """One MR picture in seven codings, as pydicom's users know it, turned into CT slices of one series."""
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    names = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_implicit.dcm",
             "MR_small_expb.dcm", "MR_small.dcm")  # fmt: skip
    for k, name in enumerate(names):
        dataset = pydicom.dcmread(get_testdata_file(name))
        dataset.Modality, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "CT", "1.2.3", f"1.2.3.{k}"
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, -1000, 1
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, k], [1, 0, 0, 0, 1, 0]
        dataset.save_as(tmp_path / f"{k}.dcm")
    ct = read_ct(tmp_path)
    for k in range(len(names)):
        assert np.array_equal(ct.hu[:, :, k].T, plain.astype(int) - 1000), names[k]


@pytest.mark.parametrize("order", [None, [3, 1, 7, 0, 5, 2, 6, 4]])
@pytest.mark.parametrize("slopes", [None, [0.5 + 0.25 * k for k in range(8)]])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_enhanced_ct_is_read_exactly(
    order: list[int] | None, slopes: list[float] | None, syntax: UID | None, tmp_path: Path
) -> None:
    """All slices in one file, in any order, position, scale and compression frame by frame; file or folder given."""
    change = None if syntax is None else (lambda dataset: pack(syntax)(dataset, 0))
    stored = enhanced_ct(tmp_path / "all.dcm", size=SIZE, order=order, slopes=slopes, change=change)
    wanted = np.rint(stored * np.array(slopes or [1.0] * 8)[:, None, None] - 1024)
    for given in (tmp_path, tmp_path / "all.dcm"):
        ct = read_ct(given)
        assert ct.grid.spacing_mm.tolist() == [0.8, 0.9, 2.0]
        assert ct.grid.origin_lps_mm.tolist() == [-30.0, 40.0, 5.0]
        assert np.array_equal(ct.hu.transpose(2, 1, 0), wanted)


def no_place(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence


def missing_frames(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-240]


def twice(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    groups[3].PlanePositionSequence = groups[2].PlanePositionSequence


def fewer_coded(dataset: Dataset) -> None:
    pack(RLELossless)(dataset, 0)
    codes = list(generate_frames(dataset.PixelData, number_of_frames=8))
    dataset.PixelData = encapsulate(codes[:5])
    dataset["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (no_place, "no position, orientation or spacing (file with InstanceNumber 100)"),
        (missing_frames, "a truncated file (file with InstanceNumber 100)"),
        (twice, "two slices at one position"),
        (fewer_coded, "(file with InstanceNumber 100)"),
    ],
)
def test_enhanced_ct_with_something_missing_is_refused(
    change: Callable[[Dataset], None], expected: str, tmp_path: Path
) -> None:
    enhanced_ct(tmp_path / "all.dcm", change=change)
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    assert expected in message(caught.value)


def spoil(place: int, value: bytes) -> Change:
    """Change the code stream of one slice."""

    def change(dataset: Dataset, k: int) -> None:
        pack(JPEG2000Lossless)(dataset, k)
        if k == 4:
            code = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
            start = code.find(b"\xff\x4f\xff\x51") + place
            code[start : start + len(value)] = value
            dataset.PixelData = encapsulate([bytes(code)])

    return change


def bomb(runs: int) -> Change:
    """Run lengths without end under a header that is honest about rows and columns."""

    def change(dataset: Dataset, k: int) -> None:
        del k
        segment = b"\x81\x00" * runs
        code = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment + segment
        dataset.file_meta.TransferSyntaxUID = RLELossless
        dataset.PixelData = encapsulate([code])
        dataset["PixelData"].is_undefined_length = True

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (spoil(8, struct.pack(">II", 65535, 65535)), "picture of 65535 x 65535 x 1 under a header of 40 x 36 x 1"),
        (spoil(42, b"\x0f"), "unsigned compressed numbers under a header of signed ones"),
        (spoil(0, b"\0\0\0\0"), "bytes that are no compressed picture"),
        (spoil(60, b"\xff" * 40), "pixels that cannot be decoded"),
        (bomb(30000), "120064 bytes for one picture"),
    ],
    ids=["huge", "sign", "nothing", "damaged", "bomb"],
)  # fmt: skip
def test_a_code_stream_that_lies_is_refused(
    change: Change, expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dicom_series(tmp_path, size=SIZE, change=change)
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    assert expected in message(caught.value)
    assert capfd.readouterr() == ("", "")


def test_sizes_are_read_from_jpeg_streams() -> None:
    frame = b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff\xf7" + struct.pack(">HBHHB", 11, 12, 40, 50, 1)
    assert picture_of(frame).rows == 40
    assert picture_of(frame).columns == 50
    for bad in (b"", b"\xff\xd8", frame[:10], b"\xff\x4f\xff\x51" + bytes(10), b"\xff\xd8" + b"\0" * 50):
        with pytest.raises(CodeStreamError):
            picture_of(bad)


def test_a_picture_of_32_bits(tmp_path: Path) -> None:
    numbers = asymmetric((8, 10, 12), -1000, 3000).astype("<i4")

    def change(dataset: Dataset, k: int) -> None:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.001, 0
        dataset.PixelData = (numbers[k] * 1000).astype("<i4").tobytes()

    dicom_series(tmp_path, change=change)
    assert np.array_equal(read_ct(tmp_path).hu.transpose(2, 1, 0), numbers)
