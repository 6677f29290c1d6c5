"""Tubes round a line: known tunnels, dense samples, and the exact distance of solids."""

from itertools import pairwise

import numpy as np
import pytest
from geometry_helpers import random_triangles, rotation

from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.geometry.solids import cylinder
from sjplan.geometry.triangle_tree import lowest_solid_distance, triangle_tree
from sjplan.geometry.tubes import (
    HALF_WIDTH_MM,
    PIXEL_MM,
    equivalent_diameter_mm,
    line_frame,
    tube_radius,
    tube_reach,
    tube_section,
)
from sjplan.geometry.tubes_slow import slow_tube_radius, slow_tube_section, wall_points

FAR = np.array([2000.0, -1500.0, 300.0])


def prism(outline, x=(-50.0, 50.0), pieces=25):
    """Wall of a tunnel along x with a closed outline (n, 2) of (y, z) corners, as triangles."""
    corners = []
    stations = np.linspace(*x, pieces + 1)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        for low, high in pairwise(stations):
            p, q, r, s = [low, *a], [low, *b], [high, *b], [high, *a]
            corners += [[p, q, r], [p, r, s]]
    return np.array(corners)


def ring(radius, n=180):
    angle = 2 * np.pi * np.arange(n) / n
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


SQUARE = np.array([[-6.0, -4.0], [8.0, -4.0], [8.0, 5.0], [-6.0, 5.0]])
PLACES = {"as is": (np.eye(3), np.zeros(3)), "turned": (rotation(np.random.default_rng(3)), FAR)}


@pytest.mark.parametrize("place", PLACES)
def test_box_tunnel(place):
    """Walls 4, 5, 6 and 8 mm away: nearest wall, reach up and down, and the area of the box."""
    turn, shift = PLACES[place]
    tree = triangle_tree(prism(SQUARE) @ turn.T + shift)
    line = line_frame(shift, turn[:, 0], turn[:, 2])
    assert tube_radius(tree, line, -40, 40, 0.0)[0] == pytest.approx(4.0, abs=1e-9)
    assert tube_reach(tree, line, -40, 40, 1.0) == pytest.approx(5.0, abs=1e-9)
    assert tube_reach(tree, line, -40, 40, -1.0) == pytest.approx(4.0, abs=1e-9)
    area = tube_section([(-40, 40)], (tree,), line).sum() * PIXEL_MM**2
    assert 14 * 9 - 0.2 * 23 <= area <= 14 * 9


@pytest.mark.parametrize("place", PLACES)
def test_round_tunnel_is_as_wide_as_it_is(place):
    turn, shift = PLACES[place]
    tree = triangle_tree(prism(ring(7.0)) @ turn.T + shift)
    line = line_frame(shift, turn[:, 0], turn[:, 2])
    inside = 7.0 * np.cos(np.pi / 180)
    assert tube_radius(tree, line, -40, 40, 0.0)[0] == pytest.approx(inside, abs=1e-9)
    diameter = equivalent_diameter_mm(tube_section([(-40, 40)], (tree,), line).sum() * PIXEL_MM**2)
    assert 2 * inside - 1.5 * PIXEL_MM <= diameter <= 14.0


def test_tilted_axis_in_a_round_tunnel_loses_what_it_drifts():
    """Ten millimetres of drift leave 7 - 5 mm beside either end, measured in the end's own plane."""
    tree = triangle_tree(prism(ring(7.0), x=(-80, 80)))
    length = np.hypot(80.0, 10.0)
    line = line_frame((0, 0, 0), (80, 10, 0), (0, 0, 1))
    found = tube_radius(tree, line, -length / 2, length / 2, 0.0)[0]
    assert found == pytest.approx((7.0 - 5.0) * length / 80, abs=0.002)


@pytest.mark.parametrize("seed", range(6))
def test_radius_reach_and_section_equal_dense_samples(seed):
    rng = np.random.default_rng(seed)
    corners = random_triangles(rng, 60)
    tree = triangle_tree(corners)
    points = wall_points(corners, 0.1)
    for _ in range(10):
        line = line_frame(rng.uniform(-20, 20, 3), rng.standard_normal(3), rng.standard_normal(3))
        start, stop = sorted(rng.uniform(-40, 40, 2))
        exact, which = tube_radius(tree, line, start, stop, 0.0)
        slow = slow_tube_radius(points, line, start, stop)
        assert exact <= slow + 1e-9
        if np.isfinite(slow):
            assert slow - exact < 0.25
            alone = tube_radius(triangle_tree(corners[which][None]), line, start, stop, 0.0)[0]
            assert alone == pytest.approx(exact, abs=1e-9)
        up = tube_reach(tree, line, start, stop, 1.0)
        if up < HALF_WIDTH_MM:
            moved = line.copy()
            moved[0] += up * line[3]
            assert tube_radius(tree, moved, start, stop, 0.0)[0] == pytest.approx(0.0, abs=1e-6)
        assert up >= exact - 1e-9


def test_section_equals_dense_samples():
    """A bent tunnel: only the part that all stations share counts, and the raster differs along its rim alone."""
    wall = np.concatenate([prism(ring(8.0), (-30, 0)), prism(ring(8.0) + np.array([4.0, 2.0]), (0, 30))])
    line = line_frame((0, 1.5, 1.0), (1, 0.02, 0), (0, 0, 1))
    section = tube_section([(-25, 25)], (triangle_tree(wall),), line, 0.25)
    half = len(section) // 2
    slow = slow_tube_section(wall_points(wall, 0.08), line, -25.0, 25.0, 0.25, half)
    assert slow.sum() > 1000
    assert (section & ~slow).sum() == 0
    assert (slow & ~section).sum() < 0.02 * slow.sum()


def test_what_lies_beyond_a_thin_wall_does_not_count():
    two = np.concatenate([prism(SQUARE), prism(SQUARE + np.array([14.0, 0.0]))])
    line = line_frame((0, 0, 0), (1, 0, 0), (0, 0, 1))
    section = tube_section([(-40, 40)], (triangle_tree(two),), line)
    assert section.sum() * PIXEL_MM**2 <= 14 * 9
    u = (np.flatnonzero(section.any(axis=1)) - len(section) // 2) * PIXEL_MM
    assert np.ptp(u) < 14.0


def test_only_what_lies_between_the_ends_counts():
    plate = np.array([[[30.0, -9, -9], [30.0, 9, -9], [30.0, 0, 12]]])
    slanted = np.array([[[20.0, 2, 0], [40.0, 2, 0], [40.0, 22, 0]]])
    line = line_frame((0, 0, 0), (1, 0, 0), (0, 0, 1))
    assert tube_radius(triangle_tree(plate), line, 0, 29.9, 0.0) == (np.inf, -1)
    assert tube_radius(triangle_tree(plate), line, 0, 30.1, 0.0) == (0.0, 0)
    shifted = slanted - [0, 0, 5.0]
    assert tube_radius(triangle_tree(shifted), line, 25, 50, 0.0)[0] == pytest.approx(np.hypot(2, 5))
    leaning = np.array([[[20.0, 10, 0], [40.0, 0, 0], [40.0, 10, 0]]])
    assert tube_radius(triangle_tree(leaning), line, 0, 30, 0.0)[0] == pytest.approx(5.0)


def test_no_walls_and_an_early_end():
    line = line_frame((0, 0, 0), (1, 0, 0), (0, 0, 1))
    assert tube_radius(triangle_tree(np.zeros((0, 3, 3))), line, 0, 10, 0.0) == (np.inf, -1)
    assert tube_reach(triangle_tree(np.zeros((0, 3, 3))), line, 0, 10, 1.0) == HALF_WIDTH_MM
    tree = triangle_tree(prism(ring(7.0)))
    assert tube_radius(tree, line, -40, 40, 9.0)[0] <= 9.0


@pytest.mark.parametrize("seed", range(4))
def test_the_cylinder_fits_and_a_wider_one_does_not(seed):
    """Against the distance of exact solids, which knows nothing of clipping."""
    rng = np.random.default_rng(100 + seed)
    tree = triangle_tree(random_triangles(rng, 80))
    for _ in range(10):
        ends = rng.uniform(-30, 30, (2, 3))
        length = float(np.linalg.norm(ends[1] - ends[0]))
        line = line_frame(ends[0], ends[1] - ends[0], (0.2, 0.3, 1.0))
        radius = tube_radius(tree, line, 0.0, length, 0.0)[0]
        if not 0.05 < radius < 1e3:
            continue
        inside = lowest_solid_distance(tree, cylinder(*ends, radius - 0.01).packed, JUDGE_TOL_MM)[0]
        outside = lowest_solid_distance(tree, cylinder(*ends, radius + 0.01).packed, JUDGE_TOL_MM)[0]
        assert inside > -JUDGE_TOL_MM
        assert outside < JUDGE_TOL_MM
