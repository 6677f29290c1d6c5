"""Points, edges and displacements: what the fit of the phantom stands on."""

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis
from sjplan.segment.deform import _at, _inverse
from sjplan.segment.fit import edges
from sjplan.segment.template import BONES, bounded, surface_points
from sjplan.segment.working import Working, box_grid, image_of, resampled


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


def test_points_lie_on_the_bones_and_look_outward() -> None:
    pelvis = Pelvis(PhantomParameters(size=0.95, rotation_deg=(10.0, -5.0, 3.0)))
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
