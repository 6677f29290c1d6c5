"""Live slices show what the slow ones show: the same grey levels, outlines on the solids, lines where they belong."""

import numpy as np
import pytest

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.io.catalogue import read_implants
from sjplan.render.live_slices import LiveSlices, Stroke, handles_mm, implant_strokes
from sjplan.render.planes import SlicePlane, orthogonal_planes
from sjplan.render.slices import grey_levels
from sjplan.testing.problems import phantom_anatomy, phantom_labels


def oblique(turn: float, size: float = 60.0) -> SlicePlane:
    c, s = np.cos(turn), np.sin(turn)
    return SlicePlane("x", np.array([3.0, -2.0, 5.0]), np.array([c, s, 0.0]), np.array([-s, c, 0.0]), size, size, 0.5)


@pytest.fixture(scope="module")
def ct() -> CtVolume:
    """Noise on an oblique grid: every voxel counts."""
    c, s = np.cos(0.3), np.sin(0.3)
    grid = Grid((30, 26, 22), (1.7, 2.1, 2.9), (-20.0, -30.0, -25.0), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))
    return CtVolume(grid, np.random.default_rng(0).integers(-1000, 1500, grid.shape).astype(np.int16))


@pytest.mark.parametrize("turn", [0.0, 0.4, 2.0])
def test_grey_levels_of_a_ct_are_those_of_the_slow_ones(ct: CtVolume, turn: float) -> None:
    plane = oblique(turn)
    slices = LiveSlices(ct, phantom_anatomy())
    ours, theirs = slices._grey(plane) / 255.0, grey_levels(ct, plane)
    assert np.ptp(theirs) > 0.9
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_grey_levels_of_labels_are_those_of_the_slow_ones() -> None:
    labels: LabelMap = phantom_labels()
    for plane in orthogonal_planes(phantom_anatomy().frame, phantom_anatomy().frame.origin_lps_mm):
        assert LiveSlices(labels, phantom_anatomy())._grey(plane) / 255.0 == pytest.approx(grey_levels(labels, plane))


def implant() -> Trajectory:
    return Trajectory((50.0, 0.0, 0.0), (5.0, 4.0, 3.0), 20.0, read_implants()["tri-7"])


def test_outlines_lie_in_the_plane_on_the_solid() -> None:
    path = implant()
    plane = SlicePlane("x", np.array([28.0, 2.0, 1.5]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    for chosen, count in ((False, 2), (True, 4)):
        strokes = implant_strokes(plane, 1, path, chosen=chosen)
        assert len(strokes) == count
        flat = strokes[1].segments_mm.reshape(-1, 2)
        points: Array = plane.centre_lps_mm + flat @ np.stack([plane.right, plane.up])
        assert np.abs(signed_distance(implant_solid(path), points)).max() < 0.08
    assert [name for name, _ in handles_mm(plane, path)] == ["entry", "tip"]
    square = SlicePlane("x", path.tip_lps_mm, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    assert handles_mm(square, path) == [], "seen along its axis an implant has no ends"
    (ghost,) = implant_strokes(plane, 1, path, ghost=True)
    assert ghost.colour == "#ffffff"


def test_a_stroke_is_drawn_where_it_says_and_nowhere_else(ct: CtVolume) -> None:
    plane = oblique(0.0)
    slices = LiveSlices(ct, phantom_anatomy())
    bare = slices.picture(plane)
    line = np.array([[[-10.0, 5.0], [10.0, 5.0]]])
    drawn = slices.picture(plane, [Stroke(line, "#ff0080", 2.0)])
    changed = np.argwhere((bare != drawn).any(axis=2))
    rows, columns = plane.shape
    row, column = 0.5 * (rows - 1) - 5.0 / 0.5, 0.5 * (columns - 1)
    assert np.abs(changed[:, 0] - row).max() <= 1.5
    assert np.abs(changed[:, 1] - column).max() <= 10.0 / 0.5 + 1.5
    assert drawn[round(row), round(column)].tolist() == [255, 0, 128]
