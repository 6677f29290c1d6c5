"""Metal and a patient that moved are seen in a CT's voxels, and clean ones are left alone."""

from pathlib import Path

import numpy as np
import pytest

from sjplan.io.ct_quality import moved_slices, quality_findings, slice_steps_mm
from sjplan.io.presets import read_preset
from sjplan.io.volumes import load
from sjplan.phantom.build import build_phantom

SPACING = np.array([3.0, 3.0, 3.0])


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    """A whole phantom, slice by slice."""
    return np.ascontiguousarray(build_phantom(read_preset("default"), 3.0).ct.hu.transpose(2, 1, 0))


def codes(planes: np.ndarray) -> list[str]:
    return [f.code for f in quality_findings(planes, SPACING)]


def test_a_clean_ct_has_no_warning(planes: np.ndarray) -> None:
    assert codes(planes) == []
    assert codes(planes[::-1]) == []


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("voxels", [1, 2])
def test_a_patient_that_moved_is_seen(planes: np.ndarray, axis: int, voxels: int) -> None:
    """From one slice on everything lies 3 or 6 mm beside itself, for good or for a while."""
    middle = len(planes) // 2
    moved = planes.copy()
    moved[middle:] = np.roll(planes[middle:], voxels, axis=axis)
    (found,) = quality_findings(moved, SPACING)
    assert (found.code, found.severity) == ("ct-motion", "warning")
    assert f"between slices {middle - 1} and {middle}" in found.text
    steps = slice_steps_mm(moved, SPACING)
    assert steps[middle - 1] == pytest.approx(3.0 * voxels, abs=0.7)
    moved[middle + 12 :] = planes[middle + 12 :]
    assert moved_slices(slice_steps_mm(moved, SPACING)) == [middle - 1, middle + 11]


def test_metal_is_seen_and_a_clip_is_not(planes: np.ndarray) -> None:
    with_metal = planes.copy()
    with_metal[40:44, 30:35, 60:64] = 3071
    (found,) = quality_findings(with_metal, SPACING)
    assert found.code == "ct-metal"
    assert "2.2 cm3 of the CT is metal" in found.text
    clip = planes.copy()
    clip[40, 30, 60:64] = 3071
    assert codes(clip) == []


def test_a_short_ct_is_not_judged(planes: np.ndarray) -> None:
    assert moved_slices(slice_steps_mm(planes[:10], SPACING)) == []


def test_an_empty_ct_is_not_judged() -> None:
    assert codes(np.full((30, 20, 20), -1000, dtype=np.int16)) == []


@pytest.mark.real
def test_real_cts_get_what_they_have(real_data: Path) -> None:
    """The example has a metal implant in its left femur; the masked hip bones have none, and nobody moved."""
    example = load(real_data / "totalsegmentator_example" / "ct_3mm_int16.nii.gz", "ct")
    assert [f.code for f in example.findings] == ["ct-metal"]
    hips = load(real_data / "hipbones_ct_1mm" / "pelvisSegmIntensityLPI.mha", "ct")
    assert [f.code for f in hips.findings] == ["ct-masked-background"]


@pytest.mark.parametrize("shape", [(30, 1, 9), (30, 9, 1), (30, 1, 1), (1, 5, 5), (2, 1, 2)])
def test_a_ct_one_voxel_wide_has_nothing_to_notice(shape: tuple[int, int, int]) -> None:
    assert codes(np.full(shape, 40, dtype=np.int16)) == []
