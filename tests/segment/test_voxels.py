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
from sjplan.segment.working import image_of

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


def joint_of_two(spacing_mm: tuple[float, float, float], line_hu: float) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Sacrum (i < 6) and left hip that touch, L5 above, and a dark line in the sacrum's last layer."""
    which = np.full((12, 8, 10), 1 + BONES.index("hip_left"), dtype=np.uint8)
    which[:6] = 1
    which[:6, :, 7:] = 1 + BONES.index("vertebrae_L5")
    dark = np.zeros(which.shape, dtype=np.float32)
    dark[5] = line_hu
    return which, dark, Grid(which.shape, spacing_mm, (0.0, 0.0, 0.0), np.eye(3))


def test_a_faint_line_between_sacrum_and_hip_becomes_a_gap() -> None:
    which, dark, grid = joint_of_two((1.0, 1.0, 1.0), voxels.JOINT_HU + 1.0)
    before = which.copy()
    open_joints(which, dark, grid)
    changed = np.argwhere(which != before)
    assert set(changed[:, 0]) == {5}, "the darker voxel of two"
    assert changed[:, 2].max() == 6, "nothing between L5 and hip"
    assert (which[5, :, :7] == 0).all()


def test_bones_without_a_line_stay_together() -> None:
    """Fused, or so blurred that nobody can tell."""
    which, dark, grid = joint_of_two((1.0, 1.0, 1.0), voxels.JOINT_HU - 1.0)
    before = which.copy()
    open_joints(which, dark, grid)
    assert (which == before).all()


@pytest.mark.parametrize(("i_mm", "layers"), [(0.5, 2), (0.8, 1), (1.4, 1), (2.1, 0), (3.0, 0)])
def test_a_joint_is_opened_by_its_width_and_not_by_voxels(i_mm: float, layers: int) -> None:
    """Voxels that are much longer than a joint is wide hold more bone than joint."""
    which, dark, grid = joint_of_two((i_mm, 1.0, 1.0), 100.0)
    dark[4:8] = 100.0
    open_joints(which, dark, grid)
    assert np.count_nonzero(which[:, 0, 0] == 0) == layers


def test_joints_open_alike_whichever_way_the_grid_runs() -> None:
    """Mirrored, the same voxels become gap; where both are as dark, it is either."""
    which, dark, grid = joint_of_two((1.0, 1.0, 1.0), 0.0)
    dark += np.random.default_rng(0).uniform(0.0, 60.0, dark.shape).astype(np.float32)
    mirrored, flipped = which[::-1].copy(), dark[::-1].copy()
    open_joints(which, dark, grid)
    open_joints(mirrored, flipped, grid)
    assert (mirrored[::-1] == which).all()
    assert 0 < np.count_nonzero(which == 0) < which[5].size
