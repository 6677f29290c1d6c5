"""DICOM folders: a plain stack of CT slices is read exactly, whatever is not one is refused with the reason."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from io_makers import ct_on, dicom_series, message, plain_grid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid
from scipy.spatial.transform import Rotation

from sjplan.core.errors import InputError, SjplanError
from sjplan.io.dicom import series_slices, summarize
from sjplan.io.dicom_pixels import read_pixels
from sjplan.io.volumes import load, read_ct, read_labels, write_ct


def test_a_clean_series_is_read_exactly(tmp_path: Path) -> None:
    stored = dicom_series(tmp_path)
    (tmp_path / "notes.txt").write_text("left by someone")
    loaded = load(tmp_path, "ct")
    ct = loaded.volume
    assert ct.grid.shape == (12, 10, 8)
    assert ct.grid.spacing_mm.tolist() == [0.8, 0.9, 2.0]
    assert ct.grid.origin_lps_mm.tolist() == [-30.0, 40.0, 5.0]
    assert np.array_equal(ct.hu.transpose(2, 1, 0), stored - 1024)
    assert ct.hu.flags.f_contiguous
    assert [f.code for f in loaded.findings] == ["dicom-files-skipped"]


@pytest.mark.parametrize("seed", range(6))
def test_oblique_and_reversed_stacks_lie_where_their_headers_say(seed: int, tmp_path: Path) -> None:
    turn = Rotation.random(random_state=seed).as_matrix()
    orientation = [round(float(v), 6) for v in (*turn[0], *turn[1])]
    stored = dicom_series(
        tmp_path, orientation=orientation, heights=[k * (-1.5 if seed % 2 else 1.5) for k in range(8)]
    )
    ct = read_ct(tmp_path)
    for k in (0, 3, 7):
        path = next(p for p in tmp_path.iterdir() if pydicom.dcmread(p).InstanceNumber == 100 - k)
        position = np.array(pydicom.dcmread(path).ImagePositionPatient, dtype=float)
        for column, row in ((0, 0), (11, 0), (4, 9)):
            # DICOM PS3.3 C.7.6.2.1.1: columns run along the first three cosines, rows along the others.
            point = position + np.array(orientation[:3]) * 0.8 * column + np.array(orientation[3:]) * 0.9 * row
            index = ct.grid.ijk_from_lps(point)
            assert np.allclose(index, np.rint(index), atol=1e-4)
            i, j, n = np.rint(index).astype(int)
            assert (i, j) == (column, row)
            assert ct.hu[i, j, n] == stored[k, row, column] - 1024


def drop(tag: str) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, k: int) -> None:
        delattr(dataset, tag)

    return change


def put(only: int | None = None, **values: Any) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, k: int) -> None:
        if only is None or k == only:
            for tag, value in values.items():
                setattr(dataset, tag, value)

    return change


def sideways(shifts: dict[int, float]) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, k: int) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y + shifts.get(k, 0.0), z]

    return change


def smaller(only: int) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, k: int) -> None:
        if k == only:
            dataset.Rows, dataset.PixelData = 8, dataset.PixelData[: 8 * 12 * 2]

    return change


def syntax(uid: str) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, k: int) -> None:
        dataset.file_meta.TransferSyntaxUID = UID(uid)
        dataset.PixelData = encapsulate([dataset.PixelData])
        dataset["PixelData"].is_undefined_length = True

    return change


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "too tilted": ({"shift_mm": -2.5}, "gantry tilt of 51.3 degrees"),
    "crooked": ({"change": sideways({3: 4.0, 4: 4.0})}, "shifted sideways without order"),
    "one missing": ({"skip": (3,)}, "1 missing slice(s); wanted one slice every 2 mm"),
    "two missing": ({"skip": (2, 5)}, "2 missing slice(s)"),
    "a hole": (
        {"heights": [0, 2, 4, 6, 9.3, 11.3, 13.3, 15.3]},
        "slice distances from 2.00 to 3.30 mm, with a gap of 3.30 mm between slices 2 mm thick",
    ),
    "tilted with a hole": (
        {"heights": [0, 2, 4, 6, 9.3, 11.3, 13.3, 15.3], "shift_mm": -0.7},
        "gantry tilt of 17.2 degrees (slices are sheared by up to 4.9 mm); slice distances",
    ),
    "tilted, one missing": ({"skip": (3,), "shift_mm": -0.7}, "up to 4.9 mm); 1 missing slice(s)"),
    "same place": ({"heights": [0, 2, 4, 4, 6, 8, 10, 12]}, "two slices at one position"),
    "same instance": ({"change": put(SOPInstanceUID="1.2.3")}, "the same slice more than once"),
    "one slice": ({"count": 1}, "found one slice; wanted a stack"),
    "no position": ({"change": drop("ImagePositionPatient")}, "no position, orientation or spacing (slice with"),
    "no orientation": ({"change": drop("ImageOrientationPatient")}, "no position, orientation or spacing (slice with"),
    "no spacing": ({"change": drop("PixelSpacing")}, "no position, orientation or spacing (slice with"),
    "MR": ({"change": put(Modality="MR")}, "modality 'MR'; wanted CT"),
    "spacing": ({"change": put(2, PixelSpacing=[1.0, 1.0])}, "different pixel spacing"),
    "size": ({"change": smaller(2)}, "slices of different size"),
    "no number": (
        {"change": lambda dataset, k: dataset.add_new("ImagePositionPatient", "LO", ["0", "0", "far"])},
        "no position, orientation or spacing (slice with",
    ),
    "far away": ({"change": put(2, ImagePositionPatient=[0, 0, 1e9])}, "more than a kilometre away"),
    "localiser": ({"change": put(2, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])}, "different orientation"),
    "skewed axes": ({"change": put(ImageOrientationPatient=[1, 0, 0, 0.3, 0.9, 0])}, "not orthonormal"),
    "no rescale": ({"change": drop("RescaleSlope")}, "no rescale slope and intercept (slice with InstanceNumber 100)"),
    "zero slope": ({"change": put(RescaleSlope=0)}, "no rescale slope and intercept (slice with InstanceNumber 100)"),
    "electron density": ({"change": put(RescaleType="ED")}, "numbers of type 'ED'; wanted Hounsfield units (HU)"),
    "scout": ({"change": put(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])}, "a localizer (scout view)"),
    "capture": ({"change": put(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")}, "a screen capture"),
    "odd bits": ({"change": put(HighBit=14)}, "pixels of 16 bits in 16, the highest of them bit 14"),
    "syntax": ({"change": syntax("1.2.840.10008.1.2.4.201")}, "transfer syntax 'High-Throughput JPEG 2000"),
    "claim": ({"change": put(3, Rows=65535, Columns=65535)}, "claims 65535 x 65535 x 1 pixels"),
    "many": ({"change": put(3, NumberOfFrames=2**31 - 1)}, "claims 12 x 10 x 2147483647 pixels"),
    "colour": ({"change": put(2, SamplesPerPixel=3, PhotometricInterpretation="RGB")}, "colour or inverted pictures"),
    "inverted": ({"change": put(PhotometricInterpretation="MONOCHROME1")}, "colour or inverted pictures"),
    "frames": ({"change": put(NumberOfFrames=3)}, "a multi-frame file (3 frames)"),
    "zero spacing": ({"change": put(PixelSpacing=[0, 0])}, "spacing (0.0, 0.0, 2.0) mm"),
    "truncated": ({"change": put(3, PixelData=bytes(20))}, "a truncated file (slice with InstanceNumber 97)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_series_that_is_no_plain_stack_is_refused(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = BAD[name]
    dicom_series(tmp_path, **arguments)
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    text = message(caught.value)
    assert expected in text
    assert text.startswith(f"{tmp_path}: found ")
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    dicom_series(tmp_path)
    whole = (tmp_path / "003.dcm").read_bytes()
    (tmp_path / "003.dcm").write_bytes(whole[:-2])
    with pytest.raises(InputError, match=r"truncated file \(slice with InstanceNumber 93\); wanted all of its 10 rows"):
        read_ct(tmp_path)


def test_a_coding_that_is_none_is_refused_without_a_word_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """pydicom warns of a UID that is none."""
    dicom_series(tmp_path)
    whole = (tmp_path / "003.dcm").read_bytes()
    (tmp_path / "003.dcm").write_bytes(whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.%n%s%x008.1.2.1\0"))
    with pytest.raises(InputError, match=r"found transfer syntax '1\.2\.%n%s%x008"):
        read_ct(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_copied_files_are_refused(tmp_path: Path) -> None:
    dicom_series(tmp_path)
    shutil.copy(tmp_path / "003.dcm", tmp_path / "copy.dcm")
    with pytest.raises(InputError, match=r"the same slice more than once \(SOPInstanceUID\)"):
        read_ct(tmp_path)


def test_several_series_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    first, second = generate_uid(), generate_uid()
    stored = dicom_series(tmp_path, series=first, prefix="a")
    dicom_series(tmp_path, count=4, series=second, prefix="b")
    dicom_series(tmp_path, count=3, series=generate_uid(), prefix="c", change=put(Modality="MR"))
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    text = message(caught.value)
    assert f"found 3 series: {first} (8 slices of 12x10, CT, 2 mm thick); {second} (4 slices of 12x10, CT, " in text
    assert "fix: choose one with --series UID (sjplan series FOLDER says more of each)" in text
    assert "Nobody" not in text
    assert np.array_equal(read_ct(tmp_path, series=first).hu.transpose(2, 1, 0), stored - 1024)
    assert read_ct(tmp_path, series=second).grid.shape == (12, 10, 4)
    with pytest.raises(InputError, match=r"--series 9\.9: found no such series .*fix: sjplan series FOLDER lists"):
        read_ct(tmp_path, series="9.9")


def test_the_one_ct_series_is_read_whatever_else_the_folder_holds(tmp_path: Path) -> None:
    """Radiographs, another modality, a single CT picture: none of them could be meant."""
    stored = dicom_series(tmp_path, prefix="ct")
    dicom_series(tmp_path, count=2, prefix="cr", change=put(Modality="CR"))
    other = generate_uid()
    dicom_series(tmp_path, count=9, series=other, prefix="mr", change=put(Modality="MR"))
    dicom_series(tmp_path, count=1, prefix="one")
    loaded = load(tmp_path, "ct")
    assert np.array_equal(loaded.volume.hu.transpose(2, 1, 0), stored - 1024)  # type: ignore[union-attr]
    (finding,) = loaded.findings
    assert (finding.code, finding.severity) == ("dicom-series-set-aside", "note")
    assert finding.text.startswith("3 other series of the folder (12 pictures) hold no CT volume")
    with pytest.raises(InputError, match="modality 'MR'"):
        read_ct(tmp_path, series=other)


def test_a_folder_without_a_ct_series_asks_as_before(tmp_path: Path) -> None:
    for kind in ("CR", "MR"):
        dicom_series(tmp_path, count=3, prefix=kind, change=put(Modality=kind))
    with pytest.raises(InputError, match=r"found 2 series: .* MR, .*wanted one series; fix: choose one with --series"):
        read_ct(tmp_path)


def test_kernels_tell_two_series_of_one_size_apart(tmp_path: Path) -> None:
    """In words and numbers of a stranger's file: on one line, printable, and short."""

    def hostile(dataset: Dataset, k: int) -> None:
        dataset.add_new("ConvolutionKernel", "LT", "\x1b[31mB\n" + 50 * "x")
        dataset.SliceThickness = -1

    soft = put(SeriesNumber=3, ConvolutionKernel="Br40f", SliceThickness=0.75)
    bone = put(SeriesNumber=4, ConvolutionKernel=["Br60f", "3"], SliceThickness=0.75)
    dicom_series(tmp_path / "a", series="1.2.1", change=soft)
    dicom_series(tmp_path / "b", series="1.2.2", change=bone)
    dicom_series(tmp_path / "c", series="1.2.3", change=hostile)
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    text = message(caught.value)
    assert "1.2.1 (8 slices of 12x10, CT, series 3, kernel Br40f, 0.75 mm thick)" in text
    assert "1.2.2 (8 slices of 12x10, CT, series 4, kernel Br60f 3, 0.75 mm thick)" in text
    assert f"1.2.3 (8 slices of 12x10, CT, kernel [31mB {18 * 'x'})" in text
    assert text.isprintable()
    one, _, third = summarize(tmp_path)[0]
    assert (one.series_number, one.convolution_kernel, one.slice_thickness_mm) == (3, "Br40f", 0.75)
    assert (third.series_number, third.slice_thickness_mm) == (None, None)


NAME = "DOE_JOHN_19700101_"


NAMELESS: dict[str, tuple[Callable[[Dataset, int], None], str]] = {
    "no position": (drop("ImagePositionPatient"), "no position, orientation or spacing"),
    "no rescale": (drop("RescaleSlope"), "no rescale slope and intercept"),
    "colour": (put(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "colour or inverted pictures"),
    "truncated": (put(PixelData=bytes(20)), "a truncated file"),
    "not run lengths": (syntax("1.2.840.10008.1.2.5"), "pixels that cannot be decoded"),
    "not JPEG 2000": (syntax("1.2.840.10008.1.2.4.90"), "bytes that are no compressed picture"),
}


@pytest.mark.parametrize("name", NAMELESS)
@pytest.mark.parametrize("number", [12, None])
def test_names_of_files_stand_in_no_message(number: int | None, name: str, tmp_path: Path) -> None:
    """They may be the patient's: a slice is called by its number, else by its place in the folder."""
    spoil, said = NAMELESS[name]

    def change(dataset: Dataset, k: int) -> None:
        dataset.InstanceNumber = number
        spoil(dataset, k)

    dicom_series(tmp_path / NAME, prefix=NAME, change=change)
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    text = message(caught.value)
    assert "DOE" not in text
    called = "slice with InstanceNumber 12" if number else "file 1 of 8 in the folder's order"
    assert f"{said} ({called}); wanted" in text
    assert "DOE" not in summarize(tmp_path)[0][0].refusal


def test_a_file_that_goes_while_it_is_read_is_called_by_its_number(tmp_path: Path) -> None:
    dicom_series(tmp_path, prefix=NAME)
    slices = series_slices(tmp_path, None)
    slices[2].path.unlink()
    with pytest.raises(InputError) as caught:
        read_pixels("scan", slices)
    assert f"found a file that has gone (slice with InstanceNumber {slices[2].number}); wanted" in message(caught.value)


@pytest.mark.parametrize("number", ["19700101", "-3", "9" * 400, "DOE^JOHN", "1.5", "1\\2", ""])
def test_a_number_that_is_none_is_not_said(number: str, tmp_path: Path) -> None:
    """InstanceNumber is text of a stranger's file: a name, a date of birth, digits without end."""

    def change(dataset: Dataset, k: int) -> None:
        dataset.add_new("InstanceNumber", "LT", number)
        if k == 3:
            del dataset.PixelSpacing

    dicom_series(tmp_path, prefix=NAME, change=change)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x20\x00\x13\x00LT", b"\x20\x00\x13\x00IS"))
    with pytest.raises(InputError) as caught:
        read_ct(tmp_path)
    # Slice 3 is the last of eight by its name: 3 * 5 % 8.
    assert "no position, orientation or spacing (file 8 of 8 in the folder's order); wanted" in message(caught.value)


def test_a_number_is_said_as_a_number(tmp_path: Path) -> None:
    """An IS value prints as it was written."""
    dicom_series(tmp_path, change=put(InstanceNumber="+0012 ", ImageOrientationPatient=None))
    with pytest.raises(InputError, match=r"\(slice with InstanceNumber 12\)"):
        read_ct(tmp_path)


def test_folders_without_slices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without DICOM slices \(0 folder"):
        read_ct(tmp_path)
    dicom_series(tmp_path / "series")
    (tmp_path / "outer").mkdir()
    shutil.move(tmp_path / "series", tmp_path / "outer" / "series")
    with pytest.raises(InputError, match=r"\(1 folder\(s\) in it\).*name the folder that holds the slices"):
        read_ct(tmp_path)
    nifti = write_ct(ct_on(plain_grid()), tmp_path / "ct.nii")
    with pytest.raises(InputError, match="wanted a DICOM folder; fix: leave --series out"):
        read_ct(nifti, series="1.2")
    with pytest.raises(InputError, match="found a folder; wanted a label map file"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match=r"found a DICOM file of another kind \(CT Image Storage\)"):
        read_labels(tmp_path / "outer" / "series" / "000.dcm")
    with pytest.raises(InputError, match="one slice; wanted a stack of slices; fix: name the folder"):
        read_ct(tmp_path / "outer" / "series" / "000.dcm")


def test_nothing_of_the_patient_is_kept(tmp_path: Path) -> None:
    dicom_series(tmp_path, series="1.2.826.99")
    source = read_ct(tmp_path).source
    assert source is not None
    assert source.facts == {
        "format": "DICOM", "slices": "8", "slice_thickness_mm": "2", "kvp": "120", "padding_voxels": "0",
    }  # fmt: skip
    assert len(source.sha256) == 64


def test_the_hash_is_of_the_content_not_of_file_names(tmp_path: Path) -> None:
    dicom_series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for n, path in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
        shutil.copy(path, tmp_path / "b" / f"{n}")
    first, second = read_ct(tmp_path / "a").source, read_ct(tmp_path / "b").source
    assert first is not None
    assert second is not None
    assert first.sha256 == second.sha256
    dicom_series(tmp_path / "c")
    third = read_ct(tmp_path / "c").source
    assert third is not None
    assert third.sha256 != first.sha256


def pydicom_files() -> list[Path]:
    return sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm"))


def test_every_file_that_pydicom_ships_is_read_or_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seventy-odd files, many malformed on purpose: alone in a folder, twice, and under an image's name."""
    files = pydicom_files()
    assert len(files) > 50
    for n, path in enumerate(files):
        folder = tmp_path / str(n)
        folder.mkdir()
        shutil.copy(path, folder / "a.dcm")
        shutil.copy(path, tmp_path / f"{n}.nii")
        cases = [folder, tmp_path / f"{n}.nii", path]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            twin = second_slice(dataset)
        if twin is not None:
            twin.save_as(folder / "b.dcm")
        for case in cases:
            try:
                ct = read_ct(case)
            except SjplanError as error:
                message(error)
            else:
                assert twin is not None, path.name
                assert ct.grid.shape[2] == 2
    assert capfd.readouterr() == ("", "")


def second_slice(dataset: Dataset) -> Dataset | None:
    """The same picture one slice further, where the file says where it lies."""
    if "ImagePositionPatient" not in dataset or "ImageOrientationPatient" not in dataset:
        return None
    cosines = [float(v) for v in dataset.ImageOrientationPatient]
    normal = np.cross(cosines[:3], cosines[3:])
    dataset.ImagePositionPatient = [
        round(float(p + v), 6) for p, v in zip(dataset.ImagePositionPatient, normal, strict=True)
    ]
    dataset.SOPInstanceUID = generate_uid()
    return dataset
