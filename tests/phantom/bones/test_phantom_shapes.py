import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array
from sjplan.phantom.bones.shapes import (
    Curve,
    Tube,
    ellipse,
    ellipsoid,
    rounded_triangle,
    smooth_max,
    smooth_min,
    tube_along,
)
from sjplan.phantom.kernels import affine, inside_polygon, lookup_at, swept_ball_mm, swept_ball_reference_mm


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_swept_ball_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = rng.uniform(-20, 20, (4, 3))
    radius = rng.uniform(0.5, 6.0, 4)
    points = rng.uniform(-35, 35, (20, 3))
    exact = swept_ball_mm(points, line, radius)
    brute = swept_ball_reference_mm(points, line, radius)
    # Brute force looks at 2000 balls: it may miss the nearest by half a step, never undercut it.
    step = np.linalg.norm(np.diff(line, axis=0), axis=1).max() * 3 / 2000
    assert (brute >= exact - 1e-9).all()
    assert (brute <= exact + step).all()


@pytest.mark.parametrize("spread_mm", [0.3, 3.0, 60.0])
def test_cones_left_out_for_a_block_of_points_never_hold_the_nearest(spread_mm: float) -> None:
    rng = np.random.default_rng(5)
    line, radius = np.cumsum(rng.normal(0.0, 6.0, (24, 3)), axis=0), rng.uniform(0.2, 9.0, 24)
    middles = rng.uniform(-40.0, 40.0, (60, 1, 3))
    points = (middles + rng.normal(0.0, spread_mm, (60, 50, 3))).reshape(-1, 3)
    together = swept_ball_mm(points, line, radius)
    each = [swept_ball_mm(points, line[s : s + 2], radius[s : s + 2]) for s in range(23)]
    assert np.array_equal(together, np.min(each, axis=0))


def test_swept_ball_where_one_ball_holds_the_other() -> None:
    line, radius = np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([5.0, 1.0])
    points = np.array([[8.0, 0, 0], [0, 7.0, 0], [-9.0, 0, 0]])
    assert swept_ball_mm(points, line, radius) == pytest.approx([3.0, 2.0, 4.0])
    assert swept_ball_mm(points, line[::-1].copy(), radius[::-1].copy()) == pytest.approx([3.0, 2.0, 4.0])


def test_nearby_distance_is_exact_near_and_never_too_small_far_away() -> None:
    tube = tube_along([(0, 0, 0), (10, 5, 0), (20, 0, 5)], (2.0, 3.0, 4.0))
    points = np.random.default_rng(0).uniform(-30, 50, (4000, 3))
    exact, cheap = tube.distance_mm(points), tube.nearby_mm(points, 6.0)
    near = exact < 6.0
    assert near.sum() > 50
    assert np.array_equal(exact[near], cheap[near])
    assert (cheap[~near] >= 6.0).all()


def test_tube_passes_its_knots_with_their_radii() -> None:
    knots = np.array([(0.0, 0, 0), (10.0, 5, 0), (20.0, 0, 5)])
    tube = tube_along(knots, (2.0, 3.0, 4.0), samples=200)
    assert isinstance(tube, Tube)
    gap = np.linalg.norm(tube.points_mm[:, None] - knots, axis=2)
    assert gap.min(axis=0).max() < 0.1
    assert tube.radius_mm[gap.argmin(axis=0)] == pytest.approx([2.0, 3.0, 4.0], abs=0.02)


@given(a=st.floats(-20, 20), b=st.floats(-20, 20), width=st.floats(0.5, 10))
def test_smooth_joins_bound_the_sharp_ones(a: float, b: float, width: float) -> None:
    x, y = np.array([a]), np.array([b])
    assert max(a, b) <= smooth_max(x, y, width)[0] <= max(a, b) + width / 4 + 1e-9
    assert min(a, b) - width / 4 - 1e-9 <= smooth_min(x, y, width)[0] <= min(a, b)


def test_curve_does_not_overshoot() -> None:
    curve = Curve([0.0, 1.0, 2.0, 10.0], [0.0, 0.0, 5.0, 5.0])
    values = curve(np.linspace(-2, 12, 500))
    assert values.min() >= 0
    assert values.max() <= 5.0
    assert curve.at(2.0) == pytest.approx(5.0, abs=1e-3)


@pytest.mark.parametrize("power", [2.0, 2.4, 4.0])
def test_ellipse_distance_is_first_order(power: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 97)
    c, s = np.cos(angle), np.sin(angle)
    r = (np.abs(c / 25) ** power + np.abs(s / 16) ** power) ** (-1 / power)
    assert np.abs(ellipse(r * c, r * s, 25.0, 16.0, power)).max() < 1e-9
    assert _slope_on(lambda p: ellipse(p[:, 0], p[:, 1], 25.0, 16.0, power), np.column_stack([r * c, r * s])) < 1e-3


def test_ellipsoid_distance_is_first_order() -> None:
    direction = np.random.default_rng(1).standard_normal((200, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    half = np.array([10.0, 5.0, 7.0])
    on = direction / np.linalg.norm(direction / half, axis=1)[:, None]
    assert np.abs(ellipsoid(on + 3.0, (3.0, 3.0, 3.0), half)).max() < 1e-9
    assert _slope_on(lambda p: ellipsoid(p, (0.0, 0.0, 0.0), half), on) < 1e-3


def _slope_on(distance, points: Array) -> float:  # type: ignore[no-untyped-def]
    """Largest deviation of the gradient's length from one at points on the surface."""
    h = 1e-4
    gradient = [(distance(points + h * e) - distance(points - h * e)) / (2 * h) for e in np.eye(points.shape[1])]
    return float(np.abs(np.linalg.norm(gradient, axis=0) - 1).max())


def test_rounded_triangle_agrees_with_its_sampled_outline() -> None:
    half_width, height, corner = 12.0, 14.0, 3.0
    hw, h = half_width - corner, height - 2 * corner
    corners = np.array([(-hw, -h / 2), (hw, -h / 2), (0.0, h / 2)])
    t = np.linspace(0, 1, 4000)[:, None]
    edges = np.vstack([a * (1 - t) + b * t for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])
    points = np.random.default_rng(2).uniform(-20, 20, (300, 2))
    nearest = np.linalg.norm(points[:, None] - edges, axis=2).min(axis=1)
    ones = np.ones(len(points))
    found = rounded_triangle(points[:, 0], points[:, 1], half_width * ones, height * ones, corner * ones)
    # Signed by the half-planes of the sharp triangle, which the rounding then grows.
    inside = np.ones(len(points), dtype=bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]) > 0
    assert np.where(inside, -nearest, nearest) - corner == pytest.approx(found, abs=5e-3)


def test_table_lookup_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    tables = rng.standard_normal((3, 20, 30))
    points = rng.uniform(-10, 30, (500, 3))
    found = lookup_at(tables, -2.0, 1.0, 0.75, points[:, 1], points[:, 2])
    at = ((points[:, 1:] - (-2.0, 1.0)) / 0.75).T
    wanted = [map_coordinates(table, at, order=1, mode="nearest") for table in tables]
    assert found == pytest.approx(np.array(wanted), abs=1e-4)


def test_affine_is_the_matrix_product() -> None:
    rng = np.random.default_rng(4)
    points, matrix, offset = rng.standard_normal((50, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    assert affine(points, matrix, offset) == pytest.approx(points @ matrix.T + offset, abs=1e-12)


def test_a_polygon_holds_what_matplotlib_says() -> None:
    from matplotlib.path import Path

    rng = np.random.default_rng(5)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    polygon = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(3, 9, (40, 1))
    points = rng.uniform(-10, 10, (3000, 2))
    inside = inside_polygon(polygon, points[:, 0].copy(), points[:, 1].copy())
    assert np.array_equal(inside, Path(polygon).contains_points(points))
    assert 0.1 < inside.mean() < 0.9
