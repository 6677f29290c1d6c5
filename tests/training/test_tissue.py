"""Tissue on volumes whose answers are known by hand, in a grid that lies oblique."""

import numpy as np
import pytest

from sjplan.core.errors import FrameMismatchError, InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.training.tissue import BONE_N, SOFT_N, Tissue

BODY_MM, BONE_MM = np.array((90.0, 70.0, 80.0)), 25.0
CENTRE = np.array((12.0, -30.0, 55.0))


def oblique_grid() -> Grid:
    angle = np.deg2rad(17.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    spacing, shape = np.array((2.0, 1.5, 2.5)), (130, 150, 100)
    origin = CENTRE - turn @ (spacing * (np.array(shape) - 1) / 2)
    return Grid(shape, spacing, origin, turn)


def points_of(grid: Grid) -> np.ndarray:
    return grid.lps_from_ijk(np.stack(np.indices(grid.shape), axis=-1))


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    """An ellipsoid of water with a ball of sacrum in it, left of its middle, and a sheet beside it."""
    grid = oblique_grid()
    off = points_of(grid) - CENTRE
    hu = np.where(((off / BODY_MM) ** 2).sum(axis=-1) < 1.0, 0, -1000)
    hu[np.abs(off[..., 0] - 110.0) < 3.0] = 100
    ball = np.linalg.norm(off - (20.0, 0.0, 0.0), axis=-1) < BONE_MM
    hu[ball] = 300
    label = np.where(ball, 7, 0).astype(np.uint8)
    return Tissue(CtVolume(grid, hu.astype(np.int16)), LabelMap(grid, label, {7: "sacrum"}))


def test_density_between_voxels_is_linear_and_outside_is_air() -> None:
    grid = oblique_grid()
    slope = np.array((2.0, -3.0, 1.0))
    hu = np.rint((points_of(grid) - CENTRE) @ slope).astype(np.int16)
    label = np.zeros(grid.shape, np.uint8)
    label[60:70, 60:70, 50:60] = 25
    found = Tissue(CtVolume(grid, hu), LabelMap(grid, label, {25: "sacrum"}))
    rng = np.random.default_rng(1)
    p = CENTRE + rng.uniform(-60, 60, (500, 3))
    assert found.hu(p) == pytest.approx((p - CENTRE) @ slope, abs=0.6)
    assert found.hu(np.add(CENTRE, [[400.0, 0, 0], [0, 0, -300.0]])).tolist() == [-1000.0, -1000.0]
    assert found.bone(np.add(CENTRE, [[400.0, 0, 0]])).tolist() == [0]


def test_resistance_is_of_bone_of_soft_tissue_and_none_in_air(tissue: Tissue) -> None:
    p = CENTRE + np.array([[20.0, 0, 0], [-50.0, 0, 0], [0, 0, 110.0]])
    assert tissue.bone(p).tolist() == [1, 0, 0]
    assert tissue.resistance_n(p).tolist() == [BONE_N + 300.0, SOFT_N, 0.0]


def test_skin_is_where_the_body_begins_on_each_side_and_no_sheet_is_skin(tissue: Tissue) -> None:
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for up, along in ((0.0, 0.0), (20.0, -30.0), (-35.0, 10.0)):
            inside = 1.0 - (up / BODY_MM[1]) ** 2 - (along / BODY_MM[2]) ** 2
            wanted = np.add(CENTRE, (sign * BODY_MM[0] * np.sqrt(inside), up, along))
            found = tissue.skin(side, *np.add(CENTRE[1:], (up, along)))
            assert found is not None
            assert np.linalg.norm(found - wanted) < 2.5
    assert tissue.skin("left", CENTRE[1] + 71.0, CENTRE[2]) is None
    assert tissue.skin("left", CENTRE[1], CENTRE[2] + 500.0) is None


def test_skin_on_a_line_is_where_the_line_comes_in(tissue: Tissue) -> None:
    axis = np.array((-0.8, 0.6, 0.0))
    found = tissue.skin_on_line(CENTRE, axis)
    assert found is not None
    s = -1.0 / np.sqrt(((axis / BODY_MM) ** 2).sum())
    assert np.linalg.norm(found - (CENTRE + s * axis)) < 2.0
    assert tissue.skin_on_line(np.add(CENTRE, (0, 0, 300.0)), axis) is None


def test_what_is_no_patient_is_refused() -> None:
    grid = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    ct, empty = CtVolume(grid, np.zeros(grid.shape, np.int16)), np.zeros(grid.shape, np.uint8)
    with pytest.raises(InputError, match="found no sacrum"):
        Tissue(ct, LabelMap(grid, empty, {25: "sacrum"}))
    other = Grid((4, 4, 4), (1, 1, 1), (0, 0, 9), np.eye(3))
    with pytest.raises(FrameMismatchError):
        Tissue(ct, LabelMap(other, empty + 25, {25: "sacrum"}))
