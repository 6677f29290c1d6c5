"""The tree of triangles against brute force, trimesh and dense samples."""

import numpy as np
import pytest
import trimesh
from geometry_helpers import (
    ROD,
    SHARP,
    TRIANGLE,
    ball_mask,
    barycentric_lattice,
    random_trajectory,
    random_triangles,
    rotation,
)

from sjplan.core.arrays import frozen
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.geometry.surface_nets import surface_net
from sjplan.geometry.triangle_tree import (
    first_hit,
    line_hits,
    lowest_solid_distance,
    nearest_point,
    solid_to_surface,
    triangle_tree,
)

FAR = np.array([2000.0, 2000.0, -2000.0])


def brute_line_hits(corners, origin, direction):
    """Parameter and triangle of every crossing: plane of the triangle, then the point's barycentric weights."""
    found = []
    for n, (a, b, c) in enumerate(corners):
        normal = np.cross(b - a, c - a)
        if abs(normal @ direction) < 1e-12:
            continue
        t = normal @ (a - origin) / (normal @ direction)
        p = origin + t * direction
        inside = [np.cross(v - u, p - u) @ normal for u, v in ((a, b), (b, c), (c, a))]
        if min(inside) >= 0:
            found.append((t, -1.0 if normal @ direction < 0 else 1.0, n))
    return sorted(found)


def ball_surface():
    grid = Grid((20, 18, 22), (1.0, 1.2, 0.9), (3, 4, -9), rotation(np.random.default_rng(1)))
    net = surface_net(ball_mask(grid, grid.centre_lps_mm, 6.5), grid)
    return net.vertices_lps_mm[net.triangles], grid.centre_lps_mm


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_nearest_point_equals_trimesh(count):
    rng = np.random.default_rng(count)
    corners = random_triangles(rng, count)
    tree = triangle_tree(corners)
    probes = rng.uniform(-50, 50, (150, 3))
    for x in probes:
        d, _, which, at = nearest_point(tree, x)
        every = trimesh.triangles.closest_point(corners, np.broadcast_to(x, (count, 3)))
        lengths = np.linalg.norm(every - x, axis=1)
        assert d == pytest.approx(lengths.min(), abs=1e-9)
        assert lengths[which] == pytest.approx(lengths.min(), abs=1e-8)
        assert np.linalg.norm(at - x) == pytest.approx(d, abs=1e-8)


def test_degenerate_triangles_count_as_the_edge_or_point_they_are():
    point, edge = [[1, 2, 3]] * 3, [[0, 0, 0], [4, 0, 0], [2, 0, 0]]
    assert nearest_point(triangle_tree([point]), np.array([1.0, 2, 7]))[0] == pytest.approx(4)
    assert nearest_point(triangle_tree([edge]), np.array([3.0, 5, 0]))[0] == pytest.approx(5)
    assert nearest_point(triangle_tree([edge]), np.array([7.0, 4, 0]))[0] == pytest.approx(5)


def test_sign_tells_inside_from_outside_near_edges_and_corners_too():
    corners, centre = ball_surface()
    tree, rng = triangle_tree(corners), np.random.default_rng(2)
    mesh = trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), process=True)
    directions = rng.normal(size=(300, 3))
    probes = centre + directions / np.linalg.norm(directions, axis=1)[:, None] * rng.uniform(0, 10, (300, 1))
    # Straight above vertices: the nearest point is a corner that several triangles share.
    vertex = np.unique(np.round(corners.reshape(-1, 3), 9), axis=0)[::25]
    away = (vertex - centre) / np.linalg.norm(vertex - centre, axis=1)[:, None]
    probes = np.concatenate([probes, vertex + 0.7 * away, vertex - 0.7 * away])
    inside = mesh.contains(probes)
    ours = np.array([nearest_point(tree, x)[1] < 0 for x in probes])
    assert 50 < inside.sum() < len(probes) - 50
    assert (ours == inside).all()


@pytest.mark.parametrize("model", [TRIANGLE, SHARP, ROD], ids=lambda m: m.id)
@pytest.mark.parametrize("seed", range(4))
def test_lowest_distance_equals_dense_samples(model, seed):
    rng = np.random.default_rng(seed)
    corners = random_triangles(rng, 12, size_mm=5.0)
    solid = implant_solid(random_trajectory(rng, model))
    weights = barycentric_lattice(60)
    dense = np.array([signed_distance(solid, weights @ t).min() for t in corners])
    for chosen in (slice(None), slice(0, 1), slice(3, 4)):
        value, at = lowest_solid_distance(triangle_tree(corners[chosen]), solid.packed, JUDGE_TOL_MM)
        lowest = dense[chosen].min()
        # Never above a sample by more than the tolerance; below only by what the lattice can miss.
        assert value <= lowest + JUDGE_TOL_MM
        assert value >= lowest - 0.4
        assert signed_distance(solid, at[None])[0] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("tolerance", [0.3, 0.03, JUDGE_TOL_MM])
def test_tolerance_bounds_how_much_too_high_the_answer_is(tolerance):
    rng = np.random.default_rng(20)
    corners = random_triangles(rng, 12)
    solid = implant_solid(random_trajectory(rng, TRIANGLE))
    dense = min(signed_distance(solid, barycentric_lattice(300) @ t).min() for t in corners)
    value = lowest_solid_distance(triangle_tree(corners), solid.packed, tolerance)[0]
    assert dense - 0.02 <= value <= dense + tolerance


def test_overlap_goes_down_to_the_deepest_triangle_point():
    solid = implant_solid(random_trajectory(np.random.default_rng(0), ROD))
    axis_point = solid.point(15.0, 0.0, 0.0)
    u, v = solid.packed[6:9], solid.packed[9:12]
    through = np.array([[axis_point + 20 * u, axis_point - 20 * u + 20 * v, axis_point - 20 * u - 20 * v]])
    assert solid_to_surface(triangle_tree(through), solid)[0] == pytest.approx(-5.0, abs=JUDGE_TOL_MM)


@pytest.mark.parametrize("seed", range(6))
def test_witnesses_lie_on_both_surfaces_at_the_reported_distance(seed):
    rng = np.random.default_rng(seed)
    corners, centre = ball_surface()
    tree = triangle_tree(corners)
    model = (TRIANGLE, ROD, SHARP)[seed % 3]
    trajectory = random_trajectory(rng, model)
    solid = implant_solid(trajectory)
    distance, at, on = solid_to_surface(tree, solid)
    assert nearest_point(tree, at)[0] < 1e-9
    assert abs(signed_distance(solid, on[None])[0]) < 1e-9
    assert np.linalg.norm(at - on) == pytest.approx(abs(distance), abs=1e-9)
    samples = np.concatenate([barycentric_lattice(4) @ t for t in corners])
    assert signed_distance(solid, samples).min() >= distance - JUDGE_TOL_MM
    assert distance > -np.linalg.norm(trajectory.entry_lps_mm - centre)


def test_line_hits_equal_brute_force():
    rng = np.random.default_rng(31)
    corners = random_triangles(rng, 400, size_mm=8.0)
    tree = triangle_tree(corners)
    total = 0
    for _ in range(25):
        o, d = rng.uniform(-40, 40, 3), rng.normal(size=3)
        d /= np.linalg.norm(d)
        t, way, which = line_hits(tree, o, d)
        truth = brute_line_hits(corners, o, d)
        total += len(truth)
        assert [n for _, _, n in truth] == which.tolist()
        assert t == pytest.approx([x for x, _, _ in truth], abs=1e-8)
        assert way.tolist() == [s for _, s, _ in truth]
        ahead = [n for x, _, n in truth if x >= 0]
        assert first_hit(tree, o, d) == (ahead[0] if ahead else -1)
    assert total > 80


def test_line_through_a_closed_surface_goes_in_and_out():
    corners, centre = ball_surface()
    tree = triangle_tree(corners)
    t, way, _ = line_hits(tree, centre, np.array([0.6, 0.64, 0.48]))
    assert way.tolist() == [-1.0, 1.0]
    assert t[1] - t[0] == pytest.approx(13.0, abs=1.0)


def test_an_empty_tree_is_infinitely_far_and_never_hit():
    tree = triangle_tree(np.zeros((0, 3, 3)))
    solid = implant_solid(random_trajectory(np.random.default_rng(0), ROD))
    assert nearest_point(tree, np.zeros(3))[0] == np.inf
    assert nearest_point(tree, np.zeros(3))[2] == -1
    assert lowest_solid_distance(tree, solid.packed, JUDGE_TOL_MM)[0] == np.inf
    assert solid_to_surface(tree, solid)[0] == np.inf
    assert len(line_hits(tree, np.zeros(3), np.array([1.0, 0, 0]))[0]) == 0
    assert first_hit(tree, np.zeros(3), np.array([1.0, 0, 0])) == -1


def test_corners_of_another_shape_are_refused():
    with pytest.raises(GeometryError, match=r"found shape \(4, 3\).*\(m, 3, 3\)"):
        triangle_tree(np.zeros((4, 3)))


def test_moved_by_two_metres_nothing_changes():
    rng = np.random.default_rng(40)
    corners = random_triangles(rng, 60)
    near, far = triangle_tree(corners), triangle_tree(corners + FAR)
    for _ in range(20):
        x = rng.uniform(-40, 40, 3)
        assert nearest_point(near, x)[0] == pytest.approx(nearest_point(far, x + FAR)[0], abs=1e-6)
        d = rng.normal(size=3)
        a, b = line_hits(near, x, d), line_hits(far, x + FAR, d)
        assert a[0] == pytest.approx(b[0], abs=1e-6)
        packed = implant_solid(random_trajectory(rng, TRIANGLE)).packed
        clear = frozen(packed + np.array([120.0] + [0.0] * 14))
        moved = frozen(clear + np.array([*FAR] + [0.0] * 12))
        here = lowest_solid_distance(near, clear, JUDGE_TOL_MM)[0]
        assert lowest_solid_distance(far, moved, JUDGE_TOL_MM)[0] == pytest.approx(here, abs=1e-6)
