"""The whole way on real data: what is no pelvis is refused, and directions are right."""

from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import AnatomyError
from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.io.volumes import read_ct, read_labels, write_labels
from sjplan.segment.build import segment_ct
from sjplan.segment.types import Segmentation


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize("hu", [-1000, 45, 2000])
def test_a_scan_of_one_value_is_no_pelvis(hu: int) -> None:
    grid = Grid((30, 30, 30), (6.0, 6.0, 6.0), (0.0, 0.0, 0.0), np.eye(3))
    with pytest.raises(AnatomyError, match=r"hardly any bone|no pelvis"):
        segment_ct(CtVolume(grid, np.full(grid.shape, hu, np.int16)))


@pytest.mark.slow
@pytest.mark.real
def test_a_real_ct_of_3_mm_is_labelled_and_called_too_coarse(real_data: Path, tmp_path: Path) -> None:
    """Its overlap with automatic labels is what docs/segmentation.md tables, and at least the 0.88 that are wanted."""
    folder = real_data / "totalsegmentator_example"
    ct, truth = read_ct(folder / "ct_3mm_int16.nii.gz"), read_labels(folder / "labels_totalseg_v2.nii.gz")
    found = segment_ct(ct)
    for name in ("sacrum", "hip_left", "hip_right"):
        true = truth.mask("sacrum", "vertebrae_S1") if name == "sacrum" else truth.mask(name)
        assert dice(found.labels.mask(name), true) >= 0.88, name
    assert "segmentation-unchecked" in {f.code for f in found.refusals}
    assert written_again(found, tmp_path / "labels.nii.gz")


def written_again(found: Segmentation, path: Path) -> bool:
    """Whether the labels come back from a file in the same place."""
    again = read_labels(write_labels(found.labels, path))
    return again.grid.same_space(found.labels.grid) and bool((again.label == found.labels.label).all())


@pytest.mark.slow
@pytest.mark.real
def test_masked_hips_lie_the_right_way_round_and_are_no_pelvis(real_data: Path) -> None:
    """Directions of -1, -1, 1: the left hip lies at greater x, the front at smaller y. There is no sacrum."""
    ct = read_ct(real_data / "hipbones_ct_1mm" / "pelvisSegmIntensityLPI.mha")
    assert np.diag(ct.grid.direction).tolist() == [-1.0, -1.0, 1.0]
    bone = ct.grid.lps_from_ijk(np.argwhere(ct.hu > 500)[::50])
    top, low = bone[bone[:, 2] > np.quantile(bone[:, 2], 0.9)], bone[bone[:, 2] < np.quantile(bone[:, 2], 0.2)]
    assert np.ptp(top[:, 0]) > np.ptp(low[:, 0]) > 80.0  # wings flare above, the pubis is narrow
    half = ct.hu[::2, ::2, ::2]
    coarse = Grid(half.shape, ct.grid.spacing_mm * 2, ct.grid.origin_lps_mm, ct.grid.direction)
    try:
        found = segment_ct(CtVolume(coarse, half))
    except AnatomyError:
        return
    assert not found.trusted
