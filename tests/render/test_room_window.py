"""The room's window moves what it built once; it has to show what it would build anew."""

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.render.carm_scene import arm_meshes, arm_motion, at_rest
from sjplan.render.room import RoomWindow
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Detector

POSES = [CArm(30.0, -25.0, 10.0, (4.0, -20.0, 33.0)), CArm(-90.0, 5.0, 0.0, (0.0, 9.0, -8.0), 600.0, 1000.0)]
IMPLANT = Trajectory(
    (60.0, 10.0, 0.0), (10.0, 0.0, 5.0), 0.0, ImplantModel("t", "cylinder", "cylinder", 3.5, 3.5, (50.0,))
)


@pytest.fixture(scope="module")
def patient() -> CtVolume:
    water = np.full((12, 10, 14), -1000, np.int16)
    water[2:-2, 2:-2, 2:-2] = 40
    return CtVolume(Grid(water.shape, (20.0,) * 3, (-110.0, -90.0, -130.0), np.eye(3)), water)


@pytest.mark.parametrize("pose", POSES)
def test_what_was_built_at_rest_moves_to_where_it_would_be_built(pose: CArm) -> None:
    detector, motion, rest = Detector(), arm_motion(pose), at_rest(pose)
    there = arm_meshes(CArmGeometry.of(pose, detector), pose)
    for (built, *look), (moved, *same) in zip(there, arm_meshes(CArmGeometry.of(rest, detector), rest), strict=True):
        assert look == same
        # Round things may begin their round elsewhere: the same solid, not the same corners.
        points = moved.points @ motion[:3, :3].T + motion[:3, 3]
        assert points.mean(axis=0) == pytest.approx(built.points.mean(axis=0), abs=1.5)
        spread, wanted = (np.linalg.svd(p - p.mean(axis=0), compute_uv=False) for p in (points, built.points))
        assert spread == pytest.approx(wanted, rel=0.02)


def test_a_window_that_was_used_shows_what_a_new_one_shows(patient: CtVolume) -> None:
    used, new = RoomWindow(patient, (120, 120)), RoomWindow(patient, (120, 120))
    pin = ((120.0, 0.0, 0.0), (40.0, 0.0, 0.0))
    first = used.draw(POSES[0], Detector(), [IMPLANT], [pin])
    bare = used.draw(POSES[1], Detector())
    assert np.array_equal(bare, new.draw(POSES[1], Detector()))
    assert not np.array_equal(first, bare)
    with_metal = used.draw(POSES[1], Detector(), [IMPLANT], [pin])
    assert not np.array_equal(with_metal, bare), "metal that comes in is shown"
    assert np.array_equal(used.draw(POSES[1], Detector()), bare), "metal that has gone is not"
    for window in (used, new):
        window.close()
