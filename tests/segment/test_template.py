"""Points, edges and displacements: what the fit of the phantom stands on."""

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.phantom.parameters import PhantomParameters
from sjplan.segment.curved import CurvedPelvis
from sjplan.segment.deform import _at, _inverse
from sjplan.segment.fit import edges, fitted, start_fit
from sjplan.segment.template import BONES, bounded, surface_points
from sjplan.segment.working import Working, box_grid, grid_between, image_of, most_of, resampled


def ball(radius_mm: float) -> Working:
    """A ball of bone in soft tissue about the origin, on a grid of 2 mm."""
    grid = Grid((41, 41, 41), (2.0, 2.0, 2.0), (-40.0, -40.0, -40.0), np.eye(3))
    ijk = np.stack(np.meshgrid(*(np.arange(41),) * 3, indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.lps_from_ijk(ijk), axis=-1) - radius_mm
    return Working(grid, (40.0 + 360.0 * np.clip(0.5 - distance / 2.0, 0.0, 1.0)).astype(np.float32))


@pytest.mark.parametrize("off_mm", [-5.0, -1.0, 0.0, 3.0, 5.0])
def test_edges_are_found_where_bone_ends(off_mm: float) -> None:
    normal = np.random.default_rng(1).standard_normal((200, 3))
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    found = edges(ball(25.0), (25.0 + off_mm) * normal, normal, 8.0)
    assert found.weight.min() > 0.5
    assert np.abs(found.offset_mm + off_mm).max() <= 0.8


def test_an_edge_that_faces_the_other_way_does_not_count() -> None:
    """The joint face of the ilium must not hold the sacrum's."""
    normal = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = edges(ball(25.0), 25.0 * normal, -normal, 6.0)
    assert found.weight.max() < 0.05


def joint(x_mm: np.ndarray) -> np.ndarray:
    """HU across a joint: marrow, cortex from -3 to -1 mm, a gap of 2 mm, cortex from 1 to 3 mm, marrow."""
    far = np.abs(x_mm)
    return np.where(far < 1.0, 60.0, np.where(far < 3.0, 800.0, 80.0))


@pytest.mark.parametrize("off_mm", [-1.5, 0.0, 1.5])
def test_in_a_joint_the_dark_line_holds_and_not_the_other_bones_marrow(off_mm: float) -> None:
    grid = Grid((81, 9, 9), (0.5, 2.0, 2.0), (-20.0, -8.0, -8.0), np.eye(3))
    ct = Working(
        grid, np.broadcast_to(joint(-20.0 + 0.5 * np.arange(81))[:, None, None], grid.shape).astype(np.float32)
    )
    at, normal, gap = np.array([[-1.0 + off_mm, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]), np.array([2.0])
    found = edges(ct, at, normal, 6.0, gap)
    assert found.weight[0] == 1.0
    assert at[0, 0] + found.offset_mm[0] == pytest.approx(-1.0, abs=0.75)
    assert edges(ct, at, normal, 6.0, np.array([0.0])).weight[0] == 0.0
    flat = Working(grid, np.minimum(ct.values, 80.0))
    assert edges(flat, at, normal, 6.0, gap).weight[0] < 0.1


def test_gaps_are_distances_to_the_other_bones_and_none_is_told_in_the_hip_joint() -> None:
    pelvis = CurvedPelvis(PhantomParameters())
    points = surface_points(pelvis, ("sacrum", "hip_left", "femur_left"), step_mm=8.0)
    for bone, other in (("sacrum", "hip_left"), ("hip_left", "sacrum")):
        own = (points.bone == BONES.index(bone)) & (points.gap_mm > 0)
        assert (points.gap_mm[own] <= pelvis.bone_mm(other, points.lps_mm[own]) + 1e-9).all()
        assert np.count_nonzero(points.gap_mm[own] < 4.0) > 20
    in_joint = (points.bone == BONES.index("femur_left")) & (points.gap_mm == 0.0)
    assert np.count_nonzero(in_joint) > 20
    assert pelvis.bone_mm("hip_left", points.lps_mm[in_joint]).max() < 5.0


def test_the_curve_of_a_sacrum_is_found() -> None:
    """From the usual sacrum, in a CT of one that is curved otherwise and is the same in all else."""
    true = CurvedPelvis(PhantomParameters(), -10.0)
    begin = start_fit(PhantomParameters(), ("sacrum",))
    low, high = begin.points.lps_mm.min(axis=0) - 25.0, begin.points.lps_mm.max(axis=0) + 25.0
    grid = grid_between(low, high, 4.0)
    places = grid.lps_from_ijk(np.stack(np.indices(grid.shape), axis=-1).reshape(-1, 3))
    hu = 40.0 + 360.0 * np.clip(0.5 - true.bone_mm("sacrum", places) / 4.0, 0.0, 1.0)
    ct = Working(grid, hu.reshape(grid.shape).astype(np.float32))
    fit = fitted(ct, begin, (12.0, 10.0, 8.0), shape=True)
    assert fit.pelvis.curve_mm == pytest.approx(-10.0, abs=5.0)
    off = [np.abs(true.bone_mm("sacrum", one.points.lps_mm)).mean() for one in (begin, fit)]
    assert off[1] < 0.6 * off[0]


def test_a_coarser_voxel_is_what_fills_most_of_it() -> None:
    fine = Grid((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    coarse = Grid((4, 4, 4), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5), np.eye(3))
    label = np.zeros(fine.shape, np.uint8)
    label[:3], label[3:6] = 1, 2
    assert most_of(label, 2, fine, coarse)[:, 1, 1].tolist() == [1, 0, 2, 0]  # in halves of two nothing is most


def test_points_lie_on_the_bones_and_look_outward() -> None:
    pelvis = CurvedPelvis(PhantomParameters(size=0.95, rotation_deg=(10.0, -5.0, 3.0)), curve_mm=-6.0)
    points = surface_points(pelvis, ("sacrum", "hip_left"), step_mm=9.0)
    assert set(points.bone.tolist()) == {0, 1}
    for n in (0, 1):
        own = points.bone == n
        assert own.sum() > 150
        assert np.abs(pelvis.bone_mm(BONES[n], points.lps_mm[own])).max() < 0.5
        outside = pelvis.bone_mm(BONES[n], points.lps_mm[own] + 0.8 * points.normal[own])
        assert np.quantile(outside, 0.05) > 0.2


def test_parameters_are_kept_within_what_people_have() -> None:
    far = bounded(PhantomParameters(), {"sacral_slope_deg": 90.0, "pelvic_tilt_deg": 40.0, "ala_depth_mm": -3.0})
    assert 30.0 <= far.pelvic_incidence_deg <= 78.0
    assert far.ala_depth_mm == 16.0


def test_a_displacement_and_its_inverse_undo_each_other() -> None:
    grid = Grid((21, 21, 21), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), np.eye(3))
    x, y, z = np.moveaxis(grid.lps_from_ijk(np.stack(np.indices(grid.shape), axis=-1)), -1, 0)
    forward = np.stack([4.0 * np.sin(y / 20.0), 3.0 * np.cos(z / 25.0), 5.0 * np.sin(x / 30.0)])
    back = _inverse(grid, forward)
    places = np.random.default_rng(2).uniform(15.0, 85.0, (300, 3))
    there = places + _at(grid, forward, places)
    assert np.abs(there + _at(grid, back, there) - places).max() < 0.1


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_the_working_image_shows_what_the_ct_shows_in_any_direction(flip: tuple[int, int, int]) -> None:
    grid = Grid((10, 14, 18), (2.0, 3.0, 4.0), (5.0, -7.0, 11.0), np.diag(flip).astype(float))
    values = np.zeros(grid.shape, dtype=np.float32)
    values[2, 9, 5] = 1000.0
    working = box_grid(grid, 1.0)
    image = resampled(image_of(grid, values), working, -1000.0)
    at = working.ijk_from_lps(grid.lps_from_ijk([2, 9, 5])).round().astype(int)
    assert image[tuple(at)] == pytest.approx(1000.0, abs=1.0)
