"""A child process reads what nobody vouches for: same result, or one line, and nothing left behind."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from io_makers import blocks, ct_on, dicom_series, message, nifti, plain_grid, write
from pydicom.dataset import Dataset

from sjplan.core.errors import InputError
from sjplan.io import child
from sjplan.io.cases import read_case
from sjplan.io.volumes import load, read_ct, read_labels, write_ct, write_labels

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


def test_the_same_ct_and_labels_come_back(tmp_path: Path) -> None:
    ct = write_ct(ct_on(plain_grid()), tmp_path / "ct.nii.gz")
    labels = write_labels(blocks(plain_grid()), tmp_path / "labels.mha")
    trusted, guarded = read_ct(ct), read_ct(ct, untrusted=True)
    assert np.array_equal(trusted.hu, guarded.hu)
    assert trusted.source == guarded.source
    assert guarded.hu.flags.f_contiguous
    assert not guarded.hu.flags.writeable
    assert np.array_equal(trusted.grid.direction, guarded.grid.direction)
    assert np.array_equal(trusted.grid.origin_lps_mm, guarded.grid.origin_lps_mm)
    both = read_case(ct, labels, untrusted=True)
    assert both.labels is not None
    assert dict(both.labels.names) == dict(read_labels(labels).names)
    assert np.array_equal(both.labels.label, read_labels(labels).label)


def test_a_series_and_its_findings_come_back(tmp_path: Path) -> None:
    dicom_series(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    trusted, guarded = load(tmp_path, "any"), load(tmp_path, "any", untrusted=True)
    assert trusted.findings == guarded.findings
    assert trusted.volume.source == guarded.volume.source


def test_an_error_in_the_child_is_the_same_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.nii", nifti((3, 8, -8, 8)))
    with pytest.raises(InputError) as here:
        read_ct(path)
    with pytest.raises(InputError) as there:
        read_ct(path, untrusted=True)
    assert str(here.value) == message(there.value)
    assert capfd.readouterr() == ("", "")


def test_memory_is_limited(tmp_path: Path) -> None:
    size = 700
    head = nifti((3, size, size, size), datatype=(2, 8), pixels=b"")
    with gzip.open(tmp_path / "large.nii.gz", "wb", 1) as file:
        file.write(head)
        for _ in range(size):
            file.write(bytes(size * size))
    with pytest.raises(InputError) as caught:
        child.load_in_child(tmp_path / "large.nii.gz", "ct", memory_bytes=900 * 2**20)
    text = message(caught.value)
    assert "reader" in text or "GiB to read" in text or "cannot be read" in text
    assert text.startswith(f"{tmp_path / 'large.nii.gz'}: found ")


def test_time_is_limited(tmp_path: Path) -> None:
    path = write_ct(ct_on(plain_grid()), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match=r"took longer than 0\.01 s to read"):
        child.load_in_child(path, "ct", seconds=0.01)


def test_a_child_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ct(ct_on(plain_grid()), tmp_path / "ct.nii.gz")
    for body, expected in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed its reader \(SIGSEGV\)"),
        ("import sys; sys.exit(3)", "stopped its reader"),
        ("pass", "stopped its reader"),
    ):
        monkeypatch.setattr(child, "_CHILD", body)
        with pytest.raises(InputError, match=expected):
            child.load_in_child(path, "ct")


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ct(ct_on(plain_grid()), tmp_path / "ct.nii.gz")
    for name in ("numpy.py", "json.py", "SimpleITK.py"):
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    assert read_ct(path, untrusted=True).grid.shape == plain_grid().shape


def test_links_out_of_a_strangers_folder_are_not_followed(tmp_path: Path) -> None:
    write_ct(ct_on(plain_grid()), tmp_path / "elsewhere.nii.gz")
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "ct.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(InputError, match=r"ct\.nii\.gz: found a link that leads outside of its folder"):
        read_case(folder, untrusted=True)
    assert read_case(folder).ct is not None


@pytest.mark.parametrize("untrusted", [False, True])
def test_identifiers_come_along_where_they_are_asked_for(untrusted: bool, tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int) -> None:
        dataset.PatientName, dataset.PatientID = "Zwiebel^Ottokar", "4711\n" + "x" * 200

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an id longer than DICOM allows
        dicom_series(tmp_path, change=change)
    assert load(tmp_path, "ct", untrusted=untrusted).identifiers == {}
    assert read_case(tmp_path, untrusted=untrusted).identifiers == {}
    kept = read_case(tmp_path, untrusted=untrusted, keep_identifiers=True).identifiers
    assert kept["patient_name"] == "Zwiebel^Ottokar"
    assert kept["study_instance_uid"] == "1.2.3"
    assert kept["patient_id"].startswith("4711 xxx")
    assert len(kept["patient_id"]) <= 64
