"""How far off the bent phantom bone may lie: farther at a hip bone, with nothing else near, than at L5."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.segment import voxels
from sjplan.segment.deform import Deformed
from sjplan.segment.template import BONES
from sjplan.segment.voxels import bone_voxels
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
