"""How far off the bent phantom bone may lie, and how near to each other sacrum and hip may."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.segment import voxels
from sjplan.segment.deform import Deformed
from sjplan.segment.template import BONES
from sjplan.segment.voxels import bone_voxels, open_joints
from sjplan.segment.working import image_of, sitk

GRID = Grid((100, 70, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
CENTRES_LPS_MM = {
    "sacrum": (50.0, 15.0, 30.0),
    "hip_right": (15.0, 15.0, 30.0),
    "hip_left": (85.0, 15.0, 30.0),
    "vertebrae_L5": (50.0, 50.0, 30.0),
}


def box_distance(centre: tuple[float, float, float], half_mm: tuple[float, float, float]) -> np.ndarray:
    points = np.indices(GRID.shape).transpose(1, 2, 3, 0) - np.array(centre)
    q = np.abs(points) - np.array(half_mm)
    return (np.linalg.norm(np.maximum(q, 0.0), axis=3) + np.minimum(q.max(axis=3), 0.0)).astype(np.float32)


def test_a_hip_bone_is_followed_farther_than_the_spine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In truth the left hip and L5 are both 14 mm longer than in the bent phantom."""
    template = {bone: box_distance(centre, (12.0, 10.0, 10.0)) for bone, centre in CENTRES_LPS_MM.items()}
    longer = {"hip_left", "vertebrae_L5"}
    true = {
        bone: box_distance(centre, (12.0, 10.0, 24.0 if bone in longer else 10.0))
        for bone, centre in CENTRES_LPS_MM.items()
    }
    hu = np.full(GRID.shape, 40.0, dtype=np.float32)
    for distance in true.values():
        hu[distance <= 0] = 120.0
        hu[np.abs(distance + 1.0) <= 1.0] = 900.0
    monkeypatch.setattr(voxels, "bone_distances", lambda *_: template)
    found = bone_voxels(image_of(GRID, hu), GRID, cast("Deformed", SimpleNamespace()))
    share = {bone: float((found.bone[true[bone] < -0.6] == 1 + BONES.index(bone)).mean()) for bone in CENTRES_LPS_MM}
    assert share["hip_left"] > 0.95
    assert share["hip_right"] > 0.95
    assert share["sacrum"] > 0.95
    # what hangs together with L5 ends where L4 may begin
    farthest = np.abs(np.argwhere(found.bone == 1 + BONES.index("vertebrae_L5"))[:, 2] - 30.0).max()
    assert 18.0 < farthest <= 10.0 + voxels.REACH_MM + 1.0


HIP_LEFT = 1 + BONES.index("hip_left")
L5 = 1 + BONES.index("vertebrae_L5")
BLOCK = Grid((48, 30, 30), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))


def block(line_hu: float, noise_hu: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Sacrum (i < 24) and left hip that touch in one block of bone, L5 above: a line of so much less HU in layer 23."""
    which = np.full(BLOCK.shape, HIP_LEFT, dtype=np.uint8)
    which[:24] = 1
    which[:24, :, 20:] = L5
    hu = np.full(BLOCK.shape, 250.0) + noise_hu * np.random.default_rng(0).standard_normal(BLOCK.shape)
    hu[23] -= line_hu
    smooth = sitk.SmoothingRecursiveGaussian(image_of(BLOCK, hu.astype(np.float32)), voxels.BLUR_MM)
    dark, _ = voxels._cleft(smooth, BLOCK)
    return which, dark, voxels.noise_hu(which > 0, dark, BLOCK)


@pytest.mark.parametrize("noise_hu", [0.0, 9.0, 25.0])
def test_a_faint_line_between_sacrum_and_hip_becomes_a_gap(noise_hu: float) -> None:
    which, dark, noise = block(120.0, noise_hu)
    before = which.copy()
    open_joints(which, dark, noise, BLOCK)
    changed = np.argwhere(which != before)
    assert changed[:, 2].max() == 19, "nothing between L5 and hip"
    assert np.mean(changed[:, 0] == 23) > 0.95, "the darker voxel of two"
    assert np.mean(which[23, :, :20] == 0) > 0.9
    assert (which[which != before] == 0).all()


@pytest.mark.parametrize("noise_hu", [0.0, 9.0, 25.0])
def test_bones_without_a_line_stay_together(noise_hu: float) -> None:
    """Fused, or so blurred that nobody can tell; noise alone is no line."""
    which, dark, noise = block(0.0, noise_hu)
    before = which.copy()
    open_joints(which, dark, noise, BLOCK)
    assert np.count_nonzero(which != before) < 0.03 * 30 * 20


def test_joints_open_alike_whichever_way_the_grid_runs() -> None:
    which, dark, noise = block(60.0, 25.0)
    mirrored, flipped = which[::-1].copy(), dark[::-1].copy()
    open_joints(which, dark, noise, BLOCK)
    open_joints(mirrored, flipped, noise, BLOCK)
    assert (mirrored[::-1] == which).all()
    assert 0 < np.count_nonzero(which == 0) < 30 * 20


def test_where_no_place_lies_deep_in_bone_nothing_is_opened() -> None:
    """Nobody knows what noise looks like there."""
    thin = np.zeros((12, 12, 12), dtype=bool)
    thin[:, :, 5:7] = True
    assert voxels.noise_hu(thin, np.ones(thin.shape, dtype=np.float32), BLOCK) == np.inf


@pytest.mark.parametrize(("between_mm", "least", "most"), [(1.75, 0.95, 1.0), (2.25, 0.3, 0.7)])
def test_neighbours_in_a_joint_are_counted_in_mm(between_mm: float, least: float, most: float) -> None:
    """Every other layer is dark: the next one counts within 2 mm and no farther, in voxels of whatever size."""
    grid = Grid(BLOCK.shape, (0.75, 0.75, between_mm), (0.0, 0.0, 0.0), np.eye(3))
    which = np.full(grid.shape, HIP_LEFT, dtype=np.uint8)
    which[:24] = 1
    dark = np.zeros(grid.shape, dtype=np.float32)
    dark[23] = np.where(np.arange(30) % 2, 5.0, 90.0)
    open_joints(which, dark, 10.0, grid)
    assert least <= (which[23, 5:-5, 3:-3] == 0).mean() <= most


def test_of_two_voxels_equally_dark_the_sacrums_goes() -> None:
    """Whichever lies first on the grid."""
    dark = np.full(BLOCK.shape, 90.0, dtype=np.float32)
    for sacrum_first in (True, False):
        which = np.where((np.arange(48) < 24) == sacrum_first, 1, HIP_LEFT).astype(np.uint8)
        which = np.broadcast_to(which[:, None, None], BLOCK.shape).copy()
        open_joints(which, dark, 10.0, BLOCK)
        assert (which[23 if sacrum_first else 24] == 0).all()
        assert np.count_nonzero(which == 0) == 30 * 30


def test_sacrum_and_hip_that_touch_in_a_blurred_scan_get_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user gets it: the joint of 1 mm is hardly darker than bone, and the labels part there."""
    template = {
        "sacrum": box_distance((50.0, 15.0, 30.0), (12.0, 10.0, 10.0)),
        "hip_left": box_distance((75.0, 15.0, 30.0), (12.0, 10.0, 10.0)),
        "hip_right": box_distance((15.0, 15.0, 30.0), (12.0, 10.0, 10.0)),
    }
    hu = np.full(GRID.shape, 40.0, dtype=np.float32)
    for distance in template.values():
        hu[distance <= 0] = 700.0
    hu[62:63, 5:26, 20:41] = 560.0
    monkeypatch.setattr(voxels, "bone_distances", lambda *_: template)
    found = bone_voxels(image_of(GRID, hu), GRID, cast("Deformed", SimpleNamespace()))
    row = found.bone[40:85, 15, 30].tolist()
    assert row.count(0) == 1
    assert row[:22] == [1] * 22
    assert row[23:] == [HIP_LEFT] * len(row[23:])
