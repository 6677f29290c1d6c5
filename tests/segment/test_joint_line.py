"""Joints whose place is known, blurred until no voxel shows a line."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sjplan.core.grid import Grid
from sjplan.segment.joint_line import FARTHEST_MM, JointLine, draw_joint, joint_line, move_joint

SHAPE = (60, 40, 40)
GRID = Grid(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
HIP = 2


def across(grid: Grid, spacing: float = 1.0) -> np.ndarray:
    """How far each voxel lies from the middle of the true joint, towards the hip: a saddle round x = 30 mm."""
    x, y, z = (np.arange(n) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    return x[:, None, None] - 30.0 - 1.5 * (y[:, None] / 20.0 - 1.0) * (z / 20.0 - 1.0)


def scan(place: np.ndarray, gap_mm: float, blur_mm: float, noise_hu: float) -> np.ndarray:
    """Ala, its plate, cartilage, the ilium's plate, ilium; partial volumes of voxels of 1 mm."""
    edges = np.array([-0.5 * gap_mm - 1.2, -0.5 * gap_mm, 0.5 * gap_mm, 0.5 * gap_mm + 1.6])
    hu = np.zeros(place.shape)
    for shift in (-0.375, -0.125, 0.125, 0.375):
        hu += np.array([110.0, 650.0, 75.0, 750.0, 230.0])[np.searchsorted(edges, place + shift)] / 4.0
    hu = gaussian_filter(hu, blur_mm, mode="nearest")
    return (hu + noise_hu * np.random.default_rng(3).standard_normal(hu.shape)).astype(np.float32)


def template(place: np.ndarray, off_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances to bones of a phantom whose joint, 1.6 mm wide, lies so far on the sacrum's side of the true one."""
    middle = (place + off_mm).astype(np.float32)
    return middle + np.float32(0.8), np.float32(0.8) - middle


@pytest.mark.parametrize("off_mm", [-2.5, 0.0, 2.5])
@pytest.mark.parametrize(("gap_mm", "blur_mm", "noise_hu"), [(1.4, 1.0, 40.0), (2.4, 0.9, 25.0), (1.4, 0.5, 9.0)])
def test_the_line_lies_in_the_joint_where_no_voxel_shows_one(
    gap_mm: float, blur_mm: float, noise_hu: float, off_mm: float
) -> None:
    place = across(GRID)
    line = joint_line(scan(place, gap_mm, blur_mm, noise_hu), GRID, *template(place, off_mm), 750.0)
    assert line is not None
    left_mm = np.abs(line.offset_mm - off_mm)
    assert np.median(left_mm) < 0.25
    assert np.quantile(left_mm, 0.95) < 0.6
    assert line.gap_mm == pytest.approx(gap_mm, abs=0.6)


@pytest.mark.parametrize("noise_hu", [0.0, 25.0, 60.0])
def test_where_bone_goes_on_and_on_no_line_is_told(noise_hu: float) -> None:
    """Fused, and no plate is left: ala goes over into ilium, and nobody can tell where."""
    place = across(GRID)
    hu = 160.0 + 60.0 * np.tanh(place / 4.0) + noise_hu * np.random.default_rng(1).standard_normal(SHAPE)
    assert joint_line(hu.astype(np.float32), GRID, *template(place, 0.0), 750.0) is None


def test_a_bridge_is_left_out() -> None:
    """Half of the joint is fused: nothing is told there, and the rest as if it were whole."""
    place = across(GRID)
    hu = scan(place, 1.4, 0.9, 25.0)
    hu[:, :20] = 180.0 + 25.0 * np.random.default_rng(1).standard_normal(SHAPE)[:, :20]
    line = joint_line(hu, GRID, *template(place, 1.5), 750.0)
    assert line is not None
    assert 12.0 < line.places_mm[:, 1].min() < 21.0
    whole = line.places_mm[:, 1] > 24.0
    assert np.median(np.abs(line.offset_mm[whole] - 1.5)) < 0.3


def test_bones_that_do_not_face_each_other_have_no_joint() -> None:
    place = across(GRID)
    far = np.abs(place).astype(np.float32) + 5.0
    assert joint_line(scan(place, 1.4, 0.8, 9.0), GRID, far, far, 750.0) is None


def test_the_line_hangs_on_neither_side_nor_voxels() -> None:
    place = across(GRID)
    hu, (sacrum, hip) = scan(place, 1.6, 0.9, 15.0), template(place, 1.5)
    usual = joint_line(hu, GRID, sacrum, hip, 750.0)
    mirrored = joint_line(hu[::-1], GRID, sacrum[::-1], hip[::-1], 750.0)
    assert usual is not None
    assert mirrored is not None
    assert np.median(mirrored.offset_mm) == pytest.approx(np.median(usual.offset_mm), abs=0.05)
    assert mirrored.normals[:, 0].max() < 0.0 < usual.normals[:, 0].min()

    flat = Grid((60, 60, 20), (1.0, 0.7, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    place = across(flat)
    line = joint_line(scan(place, 1.6, 0.7, 15.0), flat, *template(place, 1.5), 750.0)
    assert line is not None
    assert np.median(np.abs(line.offset_mm - 1.5)) < 0.3
    assert line.places_mm[:, 2].max() > 36.0, "places are in mm"


def known_line(offset_mm: float, gap_mm: float = 1.4) -> JointLine:
    """Profiles every 2 mm in the plane x = 30, whose joint lies so far towards the hip."""
    y, z = np.meshgrid(np.arange(2.0, 38.0, 2.0), np.arange(2.0, 22.0, 2.0))
    places = np.column_stack([np.full(y.size, 30.0), y.ravel(), z.ravel()])
    return JointLine(places, np.tile([1.0, 0.0, 0.0], (y.size, 1)), np.full(y.size, offset_mm), gap_mm)


def plane() -> np.ndarray:
    return np.broadcast_to((np.arange(60.0) - 30.0)[:, None, None], SHAPE).copy()


def test_the_phantoms_joint_moves_with_its_line_and_nothing_far_off() -> None:
    sacrum, hip = template(plane(), 0.0)
    before = sacrum.copy(), hip.copy()
    move_joint(known_line(2.0), sacrum, hip, GRID)
    np.testing.assert_allclose((before[0] - sacrum)[28:33, 4:36, 4:18], 2.0, atol=1e-5)
    np.testing.assert_allclose(sacrum + hip, before[0] + before[1], atol=1e-4)
    beyond = (before[0] - sacrum)[30, 20]
    assert (np.diff(beyond[20:]) <= 1e-6).all(), "less and less beyond the profiles"
    assert beyond[35] < 0.1
    assert (sacrum == before[0])[:19].all()
    assert (sacrum == before[0])[43:].all()


@pytest.mark.parametrize("offset_mm", [-2.0, 0.0, 2.0])
def test_bones_that_touch_are_parted_along_the_line(offset_mm: float) -> None:
    """They touch at x = 30, wherever the joint is."""
    which = np.full(SHAPE, HIP, dtype=np.uint8)
    which[:30] = 1
    bone = np.ones(SHAPE, dtype=bool)
    bone[:, :10] = False
    which[~bone] = 0
    draw_joint(which, bone, HIP, known_line(offset_mm), *template(plane(), 0.0), GRID)
    found = which[:, 11:36, 4:18]
    at = 30 + round(offset_mm)
    assert (found[:at] == 1).all()
    assert (found[at] == 0).all(), "a gap of 1.4 mm holds one voxel's centre"
    assert (found[at + 1 :] == HIP).all()
    assert (which[:, :10] == 0).all(), "what is no bone does not become bone"
    assert (which[:30, 11:, 32:] == 1).all(), "nothing is drawn far from profiles"


def test_a_gap_that_is_seen_stays_where_it_is() -> None:
    """A line says 2 mm farther; in half of the joint the labels show a gap, and another bone is never touched."""
    which = np.full(SHAPE, HIP, dtype=np.uint8)
    which[:30] = 1
    which[30, :20] = 0
    which[28:32, 34:] = 4
    before = which.copy()
    draw_joint(which, np.ones(SHAPE, dtype=bool), HIP, known_line(2.0), *template(plane(), 0.0), GRID)
    assert (which == before)[:, :17].all()
    assert (which[32, 23:31, 4:18] == 0).all()
    assert (which[before == 4] == 4).all()


def test_a_fused_joint_is_parted_without_a_gap() -> None:
    which = np.full(SHAPE, HIP, dtype=np.uint8)
    which[:30] = 1
    draw_joint(which, np.ones(SHAPE, dtype=bool), HIP, known_line(1.5, 0.0), *template(plane(), 0.0), GRID)
    assert not (which == 0).any()
    assert (which[:32, 10:30, 4:18] == 1).all()
    assert (which[32:, 10:30, 4:18] == HIP).all()


def test_a_joint_beyond_the_search_is_not_told_as_one_at_its_end() -> None:
    place = across(GRID)
    line = joint_line(scan(place, 1.6, 0.9, 15.0), GRID, *template(place, 9.0), 750.0)
    assert line is None or np.abs(line.offset_mm).max() < FARTHEST_MM
