"""Where slices are looked for: a folder and those in it, what a DICOMDIR names, and nothing outside."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from io_makers import dicom_series, enhanced_ct, message
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from sjplan.core.errors import InputError
from sjplan.io.dicom import summarize
from sjplan.io.volumes import load, read_ct


def dicomdir(path: Path, names: list[list[str] | str]) -> Path:
    """A DICOMDIR with one image record for each name, part by part."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.DirectoryRecordSequence = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record.ReferencedFileID = name
        dataset.DirectoryRecordSequence.append(record)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_folders_in_the_folder_are_searched(tmp_path: Path) -> None:
    stored = dicom_series(tmp_path / "SE000001")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    shutil.copy(tmp_path / "SE000001" / "000.dcm", tmp_path / ".hidden")
    assert np.array_equal(read_ct(tmp_path).hu.transpose(2, 1, 0), stored - 1024)


def test_a_dicomdir_is_followed_however_deep(tmp_path: Path) -> None:
    """Given as the file or as its folder; names in capitals find a disc copied in small letters."""
    deep = tmp_path / "pat1" / "st1"
    deep.mkdir(parents=True)
    stored = dicom_series(deep / "se1")
    names: list[list[str] | str] = []
    for n, path in enumerate(sorted((deep / "se1").iterdir())):
        path.rename(path.with_name(f"im{n}"))
        names.append(["PAT1", "ST1", "SE1", f"IM{n}"])
    index = dicomdir(tmp_path / "DICOMDIR", names)
    for given in (tmp_path, index):
        assert np.array_equal(read_ct(given).hu.transpose(2, 1, 0), stored - 1024)
    dicomdir(index, [*names, ["PAT1", "GONE"]])
    (finding,) = load(tmp_path, "ct").findings
    assert finding.code == "dicomdir-missing-files"
    assert "names 1 file(s) that are not there" in finding.text


@pytest.mark.parametrize(
    "name",
    [["..", "secret", "000.dcm"], ["A", "..", "..", "secret", "000.dcm"], "../secret/000.dcm", ["link", "000.dcm"],
     ["A\\..\\..\\secret", "000.dcm"], ["", "etc", "passwd"], "/etc/passwd", "to_secret.dcm"],
)  # fmt: skip
def test_a_dicomdir_that_leads_outside_is_refused(name: list[str] | str, tmp_path: Path) -> None:
    dicom_series(tmp_path / "secret")
    disc = tmp_path / "disc"
    dicom_series(disc)
    (disc / "link").symlink_to(tmp_path / "secret", target_is_directory=True)
    (disc / "to_secret.dcm").symlink_to(tmp_path / "secret" / "001.dcm")
    index = dicomdir(disc / "DICOMDIR", [["000.DCM"], name])
    for given in (disc, index):
        with pytest.raises(InputError) as caught:
            read_ct(given)
        text = message(caught.value)
        assert "found the name of a file outside of its folder" in text
        assert "secret" not in text


@pytest.mark.parametrize("name", [["A" * 4000], ["A"] * 3000])
def test_a_dicomdir_with_names_without_end_is_refused(name: list[str], tmp_path: Path) -> None:
    dicom_series(tmp_path)
    dicomdir(tmp_path / "DICOMDIR", [["000.DCM"], name])
    with pytest.raises(InputError, match="the name of a file that is longer than any"):
        read_ct(tmp_path)


def test_links_that_lead_outside_are_not_followed_and_counted(tmp_path: Path) -> None:
    stored = dicom_series(tmp_path / "disc")
    dicom_series(tmp_path / "secret")
    for n in range(3):
        (tmp_path / "disc" / f"link{n}").symlink_to(tmp_path / "secret" / f"00{n}.dcm")
    (tmp_path / "disc" / "folder").symlink_to(tmp_path / "secret", target_is_directory=True)
    loaded = load(tmp_path / "disc", "ct")
    assert np.array_equal(loaded.volume.hu.transpose(2, 1, 0), stored - 1024)  # type: ignore[union-attr]
    (finding,) = loaded.findings
    assert finding.code == "dicom-links-skipped"
    assert finding.text.startswith("4 link(s)")
    (tmp_path / "only").mkdir()
    for path in (tmp_path / "secret").iterdir():
        (tmp_path / "only" / path.name).symlink_to(path)
    with pytest.raises(InputError, match=r"without DICOM slices .* 8 link\(s\) of the folder lead outside of it"):
        read_ct(tmp_path / "only")
    # A link to the folder itself, and links inside it, are the user's own way of naming things.
    (tmp_path / "alias").symlink_to(tmp_path / "disc", target_is_directory=True)
    assert read_ct(tmp_path / "alias").grid.shape == (12, 10, 8)


def test_a_folder_inside_that_cannot_be_listed_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may be the patient's."""
    dicom_series(tmp_path / "DOE_JOHN")
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "DOE_JOHN":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InputError, match="found a folder in it that cannot be listed") as caught:
        read_ct(tmp_path)
    assert "DOE" not in message(caught.value)


def test_damaged_files_are_counted(tmp_path: Path) -> None:
    """One at the end of the stack, where nothing else would tell that it is missing."""
    dicom_series(tmp_path)
    last = next(p for p in tmp_path.iterdir() if pydicom.dcmread(p).ImagePositionPatient[2] == 19.0)
    last.write_bytes(last.read_bytes()[:400])
    loaded = load(tmp_path, "ct")
    assert loaded.volume.grid.shape == (12, 10, 7)
    (finding,) = loaded.findings
    assert (finding.code, finding.severity) == ("dicom-files-damaged", "warning")
    assert finding.text.startswith("1 DICOM file(s)")


def test_deflated_files_are_not_inflated(tmp_path: Path) -> None:
    shutil.copy(get_testdata_file("image_dfl.dcm"), tmp_path)
    with pytest.raises(InputError, match="no readable header"):
        read_ct(tmp_path)


def test_every_series_is_summed_up(tmp_path: Path) -> None:
    good, tilted, holed = "1.2.1", "1.2.2", "1.2.3"
    dicom_series(tmp_path / "a", series=good, count=9)
    dicom_series(tmp_path / "b", series=tilted, shift_mm=-0.7)
    dicom_series(tmp_path / "c", series=holed, skip=(3,))
    enhanced_ct(tmp_path / "all.dcm")
    (tmp_path / "notes.txt").write_text("x")
    series, findings = summarize(tmp_path)
    by_uid = {s.uid: s for s in series}
    assert list(by_uid) == [good, tilted, "1.2.99", holed]
    assert by_uid[good].spacing_mm == pytest.approx((0.8, 0.9, 2.0))
    assert (by_uid[good].refusal, by_uid[good].findings) == ("", ())
    assert [f.code for f in by_uid[tilted].findings] == ["dicom-gantry-tilt"]
    assert by_uid[holed].refusal.startswith("found 1 missing slice(s)")
    assert by_uid[holed].spacing_mm is None
    assert (by_uid["1.2.99"].slices, by_uid["1.2.99"].columns, by_uid["1.2.99"].rows) == (8, 12, 10)
    assert [f.code for f in findings] == ["dicom-files-skipped"]


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nooffset",
                                  "DICOMDIR-nopatient", "DICOMDIR-reordered"])  # fmt: skip
def test_the_dicomdirs_that_pydicom_ships_are_followed(name: str, tmp_path: Path) -> None:
    root = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    for part in root.iterdir():
        if part.is_dir():
            shutil.copytree(part, tmp_path / part.name)
    shutil.copy(root / name, tmp_path / "DICOMDIR")
    series, findings = summarize(tmp_path)
    assert len(series) >= 9
    assert sum(s.slices for s in series) >= 31
    assert "dicomdir-missing-files" not in {f.code for f in findings}
    with pytest.raises(InputError, match="choose one with --series UID"):
        read_ct(tmp_path)


def test_a_damaged_dicomdir_is_refused(tmp_path: Path) -> None:
    dicom_series(tmp_path)
    index = dicomdir(tmp_path / "DICOMDIR", [["000.DCM"]] * 40)
    index.write_bytes(index.read_bytes()[:600] + b"\xff" * 200)
    with pytest.raises(InputError, match=r"found a damaged DICOMDIR|one slice"):
        read_ct(tmp_path)
    index.write_text("no DICOM at all")
    assert read_ct(tmp_path).grid.shape == (12, 10, 8)


def test_a_series_split_over_two_folders_is_one(tmp_path: Path) -> None:
    uid = generate_uid()
    stored = dicom_series(tmp_path / "a", series=uid)
    (tmp_path / "b").mkdir()
    for path in sorted((tmp_path / "a").iterdir())[:4]:
        shutil.move(path, tmp_path / "b")
    assert np.array_equal(read_ct(tmp_path).hu.transpose(2, 1, 0), stored - 1024)
