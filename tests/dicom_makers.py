"""CT series of DICOM files, with all that their IOD asks for and identifiers that would show up anywhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from sjplan.core.volume import CtVolume

IDENTIFIERS = {
    "PatientName": "Nobody^Ever", "PatientID": "SECRET-17", "PatientBirthDate": "19700101", "PatientSex": "O",
    "StudyDate": "20250102", "StudyTime": "101112", "StudyID": "ST-94", "AccessionNumber": "AC-83",
    "ReferringPhysicianName": "Doctor^Who",
}  # fmt: skip
OTHER_SECRETS = ("Hospital of Nowhere", "Station-5", "Knee^Jerk")


def dicom_ct(folder: Path, ct: CtVolume) -> Path:
    """Write a CT as one file a slice; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(ct.grid.shape[2]):
        dataset = _slice(ct, k)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.save_as(folder / f"{(k * 7) % ct.grid.shape[2]:04d}{k:04d}.dcm", enforce_file_format=True)
    return folder


def _slice(ct: CtVolume, k: int) -> Dataset:
    grid, dataset = ct.grid, Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    for name, value in IDENTIFIERS.items():
        setattr(dataset, name, value)
    dataset.InstitutionName, dataset.StationName, dataset.OperatorsName = OTHER_SECRETS
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 3, 1, k + 1
    dataset.PositionReferenceIndicator, dataset.Manufacturer = "", "maker"
    dataset.ImagePositionPatient = [round(float(v), 8) for v in grid.lps_from_ijk([0, 0, k])]
    dataset.ImageOrientationPatient = [round(float(v), 12) for v in grid.direction.T[:2].ravel()]
    dataset.PixelSpacing = [float(grid.spacing_mm[1]), float(grid.spacing_mm[0])]
    dataset.SliceThickness, dataset.KVP = float(grid.spacing_mm[2]), 120
    dataset.Columns, dataset.Rows = grid.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = ct.hu[:, :, k].T.astype("<i2").tobytes()
    return dataset


def dciodvfy_errors(path: Path) -> list[str]:
    """What the verifier of dicom3tools calls an error in a file; skips where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("no dciodvfy found: apt-get install -y dicom3tools")
    done = subprocess.run([program, str(path)], capture_output=True, encoding="utf-8", errors="replace")
    lines = (done.stdout + done.stderr).splitlines()
    assert any(not line.startswith(("Warning", "Error")) for line in lines), "it names the kind of object that it saw"
    return [line for line in lines if line.startswith(("Error", "Abort"))]
