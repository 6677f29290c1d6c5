"""DICOM on the command line: series are listed, nothing of the patient is written, unless it was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cli_support import Sjplan, one_line
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from sjplan.io.volumes import read_ct

STUDY = "1.2.826.0.1.3680043.8.498.7777"
IDENTIFIERS = {
    "PatientName": "Zwiebel^Ottokar", "PatientID": "PID-4711-XYZ", "PatientBirthDate": "19340229", "PatientSex": "O",
    "PatientAddress": "Quendelweg 9", "PatientTelephoneNumbers": "555-0199-33", "OtherPatientNames": "Sellerie^Anna",
    "PatientComments": "Lauchkommentar", "AccessionNumber": "ACC-90210-Q", "StudyID": "STID-5150",
    "StudyDescription": "Porreestudie", "SeriesDescription": "Kohlserie", "InstitutionName": "Spital Rhabarber",
    "ReferringPhysicianName": "Fenchel^Doktor", "PerformingPhysicianName": "Mangold^Doktor",
    "OperatorsName": "Rettich^Emil", "RequestingPhysician": "Spinat^Berta", "StationName": "STAT-ERBSE",
    "ProtocolName": "Linsenprotokoll", "DeviceSerialNumber": "SER-88-77-66", "ImageComments": "Bildrettich",
    "StudyInstanceUID": STUDY, "SeriesInstanceUID": STUDY + ".1", "FrameOfReferenceUID": STUDY + ".2",
    "StudyDate": "20311231", "StudyTime": "235958.123456", "EthnicGroup": "Krautgruppe", "Occupation": "Beetwart",
}  # fmt: skip
UNIQUE = [value for tag, value in IDENTIFIERS.items() if len(value) > 4]
UNIQUE += ["Zwiebel", "Ottokar", "Rhabarber", "Fenchel"]


@pytest.fixture(scope="module")
def series(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom's CT as a DICOM folder with everything in it that names a person."""
    ct = read_ct(phantom / "ct.nii.gz")
    folder = tmp_path_factory.mktemp("dicom") / "scan"
    folder.mkdir()
    for k in range(ct.grid.shape[2]):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"{STUDY}.9.{k}"
        for tag, value in IDENTIFIERS.items():
            setattr(dataset, tag, value)
        dataset.Modality, dataset.KVP, dataset.PatientPosition = "CT", 120, "HFS"
        direction = ct.grid.direction
        dataset.ImageOrientationPatient = [round(float(v), 8) for v in (*direction[:, 0], *direction[:, 1])]
        dataset.ImagePositionPatient = [round(float(v), 6) for v in ct.grid.lps_from_ijk([0, 0, k])]
        dataset.PixelSpacing = [float(ct.grid.spacing_mm[1]), float(ct.grid.spacing_mm[0])]
        dataset.SliceThickness = float(ct.grid.spacing_mm[2])
        dataset.Columns, dataset.Rows = ct.grid.shape[:2]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = np.ascontiguousarray(ct.hu[:, :, k].T).astype("<i2").tobytes()
        dataset.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)
    return folder


def named_in(text: str) -> list[str]:
    return [value for value in UNIQUE if value in text]


def named_in_files(folder: Path) -> list[tuple[str, str]]:
    """Identifiers in any file, as UTF-8 or UTF-16, and in the files' names."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for value in UNIQUE:
            if value in path.name or any(value.encode(code) in content for code in ("utf-8", "utf-16-le")):
                found.append((path.name, value))
    return found


def test_the_series_holds_what_is_looked_for(series: Path) -> None:
    """Else nothing could be found to leak."""
    assert {value for _, value in named_in_files(series)} == set(UNIQUE)


WORDS = ("--side", "left", "--planner", "rule-v1")
KEPT = {"patient_name": "Zwiebel^Ottokar", "patient_id": "PID-4711-XYZ", "study_instance_uid": STUDY}


@pytest.mark.slow
def test_nothing_of_the_patient_is_written(sjplan: Sjplan, series: Path, phantom: Path, tmp_path: Path) -> None:
    labels = ("--labels", phantom / "labels.nii.gz")
    done = sjplan("plan", series, *labels, *WORDS, "--no-pictures", "--untrusted", "--json", "--out", tmp_path / "plan")
    assert done.code in (0, 1), done.err
    assert done.json["case"]["paths"]["ct"] == str(series)
    assert "identifiers" not in done.json["case"]
    assert "dicom-patient-position" in {finding["code"] for finding in done.json["findings"]}
    assert named_in(done.out + done.err) == []
    done = sjplan("fluoro", series, *labels, "--view", "ap", "--out", tmp_path / "ap.png")
    assert done.code == 0, done.err
    assert named_in(done.out + done.err) == []
    assert named_in_files(tmp_path) == []


@pytest.mark.slow
def test_identifiers_are_kept_in_one_place_where_they_are_asked_for(
    sjplan: Sjplan, series: Path, phantom: Path, tmp_path: Path
) -> None:
    """In plan.json and nowhere else: no report, picture or markup holds them even then."""
    labels = ("--labels", phantom / "labels.nii.gz")
    out = tmp_path / "plan"
    done = sjplan("plan", series, *labels, *WORDS, "--keep-identifiers", "--untrusted", "--out", out)
    assert done.code in (0, 1), done.err
    assert (out / "report.html").is_file()
    case = json.loads((out / "plan.json").read_text(encoding="utf-8"))["case"]
    assert case["identifiers"] == KEPT
    assert {name for name, _ in named_in_files(out)} == {"plan.json"}
    assert named_in(done.out + done.err) == []


def test_errors_about_a_series_name_no_patient(sjplan: Sjplan, series: Path, tmp_path: Path) -> None:
    done = sjplan("plan", series, "--out", tmp_path / "plan")
    assert done.code == 2
    assert "--labels" in done.err
    done = sjplan("plan", series, "--out", tmp_path / "plan", "--series", "1.2")
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    # The series' own UID is what one chooses by.
    assert [value for value in named_in(done.err) if not value.startswith(STUDY)] == []


def test_there_is_nothing_to_keep_of_other_cases(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    for given in (phantom / "labels.nii.gz", "default"):
        done = sjplan("plan", given, "--keep-identifiers", "--out", tmp_path / "plan")
        assert (done.code, done.out) == (2, "")
        assert "--keep-identifiers: found " in done.err
        assert "leave --keep-identifiers out" in done.err


def test_series_are_listed_for_people_and_programs(sjplan: Sjplan, series: Path, tmp_path: Path) -> None:
    for more in ([], ["--untrusted"]):
        done = sjplan("series", series, *more)
        assert (done.code, done.err) == (0, "")
        assert f"{STUDY}.1" in done.out
        assert "can be read: 2 x 2 x 2 mm" in done.out
        assert [value for value in named_in(done.out) if not value.startswith(STUDY)] == []
        document = sjplan("series", series, *more, "--json").json
        (one,) = document["series"]
        assert document["readable"] is True
        assert one["uid"] == f"{STUDY}.1"
        assert one["spacing_mm"] == pytest.approx([2.0, 2.0, 2.0])
    holed = tmp_path / "holed"
    holed.mkdir()
    for path in sorted(series.iterdir())[:9]:
        if not path.name.startswith("0004"):
            (holed / path.name).write_bytes(path.read_bytes())
    (holed / "notes.txt").write_text("x")
    done = sjplan("series", holed)
    assert done.code == 1
    assert "cannot be read: found 1 missing slice(s); wanted one slice every 2 mm" in done.out
    assert "1 file(s) of the folder are not DICOM images" in done.err


def test_a_bone_kernel_is_told_from_a_soft_one(sjplan: Sjplan, series: Path, tmp_path: Path) -> None:
    """Two reconstructions of one scan, of one size: by number, kernel and thickness."""
    for number, kernel in ((2, "Hr40"), (3, "Br64\\3")):
        (tmp_path / str(number)).mkdir()
        for path in sorted(series.iterdir())[:3]:
            dataset = pydicom.dcmread(path)
            dataset.SeriesInstanceUID = f"{STUDY}.{number}"
            dataset.SOPInstanceUID += f".{number}"
            dataset.SeriesNumber, dataset.ConvolutionKernel = number, kernel
            dataset.save_as(tmp_path / str(number) / f"DOE_JOHN_{path.name}")
    for more in ([], ["--untrusted"]):
        done = sjplan("series", tmp_path, *more)
        assert (done.code, done.err) == (0, "")
        assert ", CT, series 2, kernel Hr40, 2 mm thick" in done.out
        assert ", CT, series 3, kernel Br64 3, 2 mm thick" in done.out
        listed = sjplan("series", tmp_path, *more, "--json").json["series"]
        keys = ("series_number", "convolution_kernel", "slice_thickness_mm")
        assert [[one[key] for key in keys] for one in listed] == [[2, "Hr40", 2.0], [3, "Br64 3", 2.0]]
    done = sjplan("plan", tmp_path, "--labels", "none", "--out", tmp_path / "plan", "--series", "1.2")
    assert done.code == 2
    assert one_line(done.err)
    assert "DOE" not in done.err


def test_slices_that_lie_deeper_are_hinted_at(sjplan: Sjplan, series: Path, tmp_path: Path) -> None:
    deep = tmp_path / "study" / "series"
    deep.mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (deep / "0.dcm").write_bytes(next(series.iterdir()).read_bytes())
    for more in ([], ["--untrusted"]):
        done = sjplan("series", tmp_path, *more)
        assert (done.code, done.out) == (2, "")
        assert one_line(done.err)
        assert "found no DICOM images (2 folder(s) in it); wanted a DICOM folder; " in done.err
        assert "fix: name the one of its folders that holds the slices" in done.err
    assert sjplan("series", tmp_path / "study").code == 1


def test_a_folder_without_series_is_said(sjplan: Sjplan, tmp_path: Path) -> None:
    for given, said in ((tmp_path, "found no DICOM images"), (tmp_path / "gone", "no such file or folder")):
        done = sjplan("series", given)
        assert (done.code, done.out) == (2, "")
        assert one_line(done.err)
        assert said in done.err
