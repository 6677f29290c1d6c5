"""What CASE may name: CT, label map, both, phantom folder, DICOM folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from io_makers import blocks, ct_on, dicom_series, message, plain_grid

from sjplan.core.errors import FrameMismatchError, InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.io.cases import Case, read_case, require_labels
from sjplan.io.volumes import write_ct, write_labels

GRID = plain_grid()


def test_a_label_map_is_told_from_a_ct(tmp_path: Path) -> None:
    labels = read_case(write_labels(blocks(GRID), tmp_path / "a.nii.gz"))
    assert labels.ct is None
    assert require_labels(labels).present() == ("sacrum", "hip_left", "hip_right")
    ct = read_case(write_ct(ct_on(GRID), tmp_path / "b.nii.gz"))
    assert ct.labels is None
    with pytest.raises(InputError) as caught:
        require_labels(ct)
    text = message(caught.value)
    assert text.startswith(f"{tmp_path / 'b.nii.gz'}: found a CT without a label map")
    assert "--labels FILE" in text


def test_one_hip_alone_or_nothing_at_all_is_still_a_label_map(tmp_path: Path) -> None:
    """So that the anatomy's own check can say what is missing."""
    hip = np.where(blocks(GRID).label == 77, 77, 0).astype(np.uint8)
    for n, label in enumerate((hip, np.zeros(GRID.shape, dtype=np.uint8))):
        case = read_case(write_labels(LabelMap(GRID, label, {77: "hip_left"}), tmp_path / f"{n}.nii.gz"))
        assert case.ct is None
        assert case.labels is not None
        assert np.array_equal(case.labels.label, label)


def test_a_full_totalsegmentator_map_is_a_label_map_and_grey_bytes_are_not(tmp_path: Path) -> None:
    regions = np.repeat(np.repeat(np.arange(125, dtype=np.uint8).reshape(5, 5, 5), 4, 0), 4, 1)
    grid = plain_grid((20, 20, 5))
    assert read_case(write_labels(LabelMap(grid, regions, {}), tmp_path / "a.nii.gz")).labels is not None
    grey = np.random.default_rng(0).integers(0, 256, (20, 20, 20)).astype(np.uint8)
    assert {25, 77, 78} <= set(np.unique(grey).tolist())
    sitk.WriteImage(sitk.GetImageFromArray(grey), str(tmp_path / "grey.nii.gz"))
    case = read_case(tmp_path / "grey.nii.gz")
    assert case.labels is None
    assert [f.code for f in case.findings] == ["ct-not-hounsfield"]


def test_unknown_ids_need_a_names_file(tmp_path: Path) -> None:
    other = (blocks(GRID).label % 24).astype(np.uint8)  # 1, 5, 6
    sitk.WriteImage(sitk.GetImageFromArray(other.transpose(2, 1, 0).copy()), str(tmp_path / "a.nii.gz"))
    with pytest.raises(InputError, match="need a names file beside it"):
        require_labels(read_case(tmp_path / "a.nii.gz"))
    names = "sacrum = 1\nhip_left = 5\nhip_right = 6\n"
    (tmp_path / "elsewhere.toml").write_text(names)
    given = read_case(tmp_path / "a.nii.gz", names=tmp_path / "elsewhere.toml")
    (tmp_path / "a.names.toml").write_text(names)
    for case in (given, read_case(tmp_path / "a.nii.gz")):
        assert require_labels(case).present() == ("sacrum", "hip_left", "hip_right")


def test_ct_with_labels_and_their_hashes(tmp_path: Path) -> None:
    ct = write_ct(ct_on(GRID), tmp_path / "ct.nrrd")
    labels = write_labels(blocks(GRID), tmp_path / "seg.nii.gz")
    case = read_case(ct, labels)
    assert case.ct is not None
    assert case.labels is not None
    assert case.paths == {"ct": str(ct), "labels": str(labels)}
    assert case.sha256 == {role: hashlib.sha256(Path(p).read_bytes()).hexdigest() for role, p in case.paths.items()}
    assert case.grid.same_space(GRID)


@pytest.mark.parametrize(
    "other",
    [
        plain_grid((12, 9, 8)),
        Grid(GRID.shape, GRID.spacing_mm * 1.01, GRID.origin_lps_mm, GRID.direction),
        Grid(GRID.shape, GRID.spacing_mm, np.add(GRID.origin_lps_mm, (0, 0, 0.5)), GRID.direction),
        Grid(GRID.shape, GRID.spacing_mm, GRID.origin_lps_mm, GRID.direction * [-1, -1, 1]),
    ],
    ids=["shape", "spacing", "origin", "direction"],
)
def test_labels_of_another_space_are_refused(other: Grid, tmp_path: Path) -> None:
    ct = write_ct(ct_on(GRID), tmp_path / "ct.nii.gz")
    labels = write_labels(blocks(other), tmp_path / "labels.nii.gz")
    with pytest.raises(FrameMismatchError) as caught:
        read_case(ct, labels)
    text = message(caught.value)
    assert str(ct) in text
    assert str(labels) in text
    assert "fix: resample" in text


def test_phantom_folders(tmp_path: Path) -> None:
    write_labels(blocks(GRID), tmp_path / "labels.nii.gz")
    assert read_case(tmp_path).ct is None
    write_ct(ct_on(GRID), tmp_path / "ct.nii.gz")
    (tmp_path / "truth.json").write_text("{}")
    both = read_case(tmp_path)
    assert both.ct is not None
    assert both.labels is not None
    own = write_labels(blocks(GRID, (25,)), tmp_path / "own.nii.gz")
    assert require_labels(read_case(tmp_path, own)).present() == ("sacrum",)
    (tmp_path / "labels.nii.gz").unlink()
    assert read_case(tmp_path).labels is None


def test_a_dicom_folder_with_labels(tmp_path: Path) -> None:
    dicom_series(tmp_path / "dicom")
    alone = read_case(tmp_path / "dicom")
    labels = write_labels(blocks(alone.grid), tmp_path / "labels.nii.gz")
    case = read_case(tmp_path / "dicom", labels)
    assert case.ct is not None
    assert case.labels is not None


def test_a_case_is_never_empty() -> None:
    with pytest.raises(InputError, match="neither a CT nor a label map"):
        Case(None, None)


def test_a_case_built_in_memory_has_no_paths() -> None:
    case = Case(CtVolume(GRID, ct_on(GRID).hu), blocks(GRID))
    assert case.paths == {}
    assert case.sha256 == {}
