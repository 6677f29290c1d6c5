"""Implants as convex solids: exact distances, gradients, convexity, sections, roll."""

import numpy as np
import pytest
import trimesh
from geometry_helpers import ROD, SHARP, TRIANGLE, random_trajectory
from hypothesis import given, settings
from hypothesis import strategies as st

from sjplan.core.errors import GeometryError
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import (
    Solid,
    cylinder,
    envelope_solid,
    implant_solid,
    outline,
    section_outline,
    signed_distance,
    solid_distance,
    solid_mesh,
)

MODELS = [TRIANGLE, SHARP, ROD]
points = st.tuples(*[st.floats(-90, 90)] * 3)


def closed_mesh(vertices, triangles):
    """A trimesh with equal points joined and the triangles that this flattens left out."""
    mesh = trimesh.Trimesh(vertices, triangles)
    mesh.merge_vertices()
    mesh.update_faces(mesh.nondegenerate_faces())
    return mesh


def test_exact_distances_of_a_cylinder():
    rod = cylinder((0, 0, 0), (40, 0, 0), 5.0)
    given_points = [[20, 8, 0], [20, 0, -3], [44, 0, 0], [43, 9, 0], [-3, 0, 9], [39, 0, 0], [20, 0, 0]]
    assert signed_distance(rod, given_points).tolist() == pytest.approx([3, -2, 4, 5, 5, -1, -5])


def test_exact_distances_of_a_rounded_triangle():
    solid = implant_solid(Trajectory((0, 0, 0), (-40, 0, 0), 0.0, TRIANGLE))
    # The corner points cranially at 6 mm; the flat side below lies at 3.5 mm.
    probes = [[-20, 0, 10], [-20, 0, -10], [-20, 0, 0], [3, 0, 0], [-40 - 3, 0, 10], [-20, 0, -3.4]]
    assert signed_distance(solid, probes).tolist() == pytest.approx([4, 6.5, -3.5, 3, 5, -0.1])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
def test_signed_distance_equals_a_dense_mesh(model):
    rng = np.random.default_rng(3)
    trajectory = random_trajectory(rng, model)
    solid = implant_solid(trajectory)
    mesh = closed_mesh(*solid_mesh(solid, points_per_corner=100))
    assert mesh.is_watertight
    middle = 0.5 * (trajectory.entry_lps_mm + trajectory.tip_lps_mm)
    probes = middle + rng.normal(scale=12, size=(150, 3))
    along = trajectory.entry_lps_mm + rng.uniform(0, 1, (150, 1)) * (trajectory.tip_lps_mm - trajectory.entry_lps_mm)
    probes = np.concatenate([probes, along + rng.normal(scale=2, size=(150, 3))])
    theirs = -trimesh.proximity.signed_distance(mesh, probes)
    assert (theirs < 0).sum() > 50
    assert np.abs(signed_distance(solid, probes) - theirs).max() < 1e-3


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
def test_gradient_is_the_change_of_distance(model):
    rng = np.random.default_rng(4)
    solid = implant_solid(random_trajectory(rng, model))
    h, checked = 1e-5, 0
    for x in solid.point(rng.uniform(-15, 60, 200), rng.normal(scale=7, size=200), rng.normal(scale=7, size=200)):
        gradient = np.array(solid_distance(solid.packed, *x)[1:])
        assert np.linalg.norm(gradient) == pytest.approx(1.0, abs=1e-9)
        steps = h * np.eye(3)
        up, down = signed_distance(solid, x + steps), signed_distance(solid, x - steps)
        here = signed_distance(solid, x[None])[0]
        if np.abs(up + down - 2 * here).max() > 1e-8:
            continue  # on a crease the gradient is one of several; the subgradient test below covers it
        checked += 1
        assert (up - down) / (2 * h) == pytest.approx(gradient, abs=1e-4)
    assert checked > 150


@settings(max_examples=200, deadline=None)
@given(a=points, b=points, seed=st.integers(0, 50), model=st.sampled_from(MODELS))
def test_distance_is_convex_and_its_tangent_plane_lies_below(a, b, seed, model):
    solid = implant_solid(random_trajectory(np.random.default_rng(seed), model))
    a, b = np.array(a), np.array(b)
    fa, fb, fm = signed_distance(solid, [a, b, 0.5 * (a + b)])
    assert fm <= 0.5 * (fa + fb) + 1e-9
    assert abs(fa - fb) <= np.linalg.norm(a - b) + 1e-9
    gradient = np.array(solid_distance(solid.packed, *a)[1:])
    assert fb >= fa + gradient @ (b - a) - 1e-9


def test_envelope_contains_the_true_solid_and_touches_its_corners():
    rng = np.random.default_rng(6)
    for model in MODELS:
        trajectory = random_trajectory(rng, model)
        probes = trajectory.entry_lps_mm + rng.normal(scale=25, size=(400, 3))
        envelope, solid = envelope_solid(trajectory), implant_solid(trajectory)
        assert (signed_distance(envelope, probes) <= signed_distance(solid, probes) + 1e-9).all()
        assert envelope.circumscribed_radius_mm == pytest.approx(solid.circumscribed_radius_mm)


@pytest.mark.parametrize(("model", "inscribed", "circumscribed"), [(TRIANGLE, 3.5, 6.0), (SHARP, 3.0, 6.0)])
def test_radii_of_the_section(model, inscribed, circumscribed):
    ring = section_outline(implant_solid(Trajectory((0, 0, 0), (40, 0, 0), 0, model)), 400)
    assert model.circumscribed_radius_mm == circumscribed
    assert np.linalg.norm(ring, axis=1).max() == pytest.approx(circumscribed, abs=1e-4)
    # Nearest point of the closed polygon to the axis: the middle of a flat side.
    sides = np.roll(ring, -1, axis=0) - ring
    t = np.clip(-(ring * sides).sum(1) / np.maximum((sides**2).sum(1), 1e-12), 0, 1)
    assert np.linalg.norm(ring + t[:, None] * sides, axis=1).min() == pytest.approx(inscribed, abs=1e-4)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_roll_zero_points_a_corner_to_the_head_and_turns_right_handed(side):
    def corner(roll):
        t = Trajectory((60 * side, 3, 1), (15 * side, -4, 6), roll, TRIANGLE)
        vertices, _ = outline(t)
        ring = vertices[: 3 * 16] - t.entry_lps_mm
        return ring, t.axis

    ring, axis = corner(0.0)
    highest = ring[np.argmax(np.linalg.norm(ring, axis=1) + 1e-3 * ring[:, 2])]
    cranial = np.array([0, 0, 1]) - axis[2] * axis
    assert np.degrees(np.arccos(highest @ cranial / np.linalg.norm(highest) / np.linalg.norm(cranial))) < 5
    turned, _ = corner(30.0)
    # Right-handed about the axis: where the point at 0 degrees goes is axis x point, turned by 30.
    a = np.deg2rad(30.0)
    expected = np.cos(a) * ring + np.sin(a) * np.cross(axis, ring) + (1 - np.cos(a)) * np.outer(ring @ axis, axis)
    assert np.abs(turned - expected).max() < 1e-9


def test_section_repeats_after_a_third_of_a_turn():
    rng = np.random.default_rng(9)
    t = random_trajectory(rng, TRIANGLE)
    probes = t.entry_lps_mm + rng.normal(scale=20, size=(100, 3))
    turned = Trajectory(t.entry_lps_mm, t.tip_lps_mm, t.roll_deg + 120, TRIANGLE)
    assert np.allclose(
        signed_distance(implant_solid(t), probes), signed_distance(implant_solid(turned), probes), atol=1e-9
    )


def test_mirrored_implant_has_the_opposite_roll():
    rng = np.random.default_rng(10)
    mirror = np.array([-1.0, 1.0, 1.0])
    for _ in range(20):
        t = random_trajectory(rng, TRIANGLE)
        m = Trajectory(t.entry_lps_mm * mirror, t.tip_lps_mm * mirror, -t.roll_deg, TRIANGLE)
        probes = t.entry_lps_mm + rng.normal(scale=20, size=(100, 3))
        assert np.allclose(
            signed_distance(implant_solid(t), probes), signed_distance(implant_solid(m), probes * mirror), atol=1e-9
        )


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
@pytest.mark.parametrize("per_corner", [4, 16])
def test_outer_outline_contains_the_section_and_the_inner_is_inscribed(model, per_corner):
    solid = implant_solid(Trajectory((0, 0, 0), (0, 40, 0), 20, model))
    inner, outer = (section_outline(solid, per_corner, outer=o) for o in (False, True))
    assert np.abs(signed_distance(solid, solid.point(20.0, *inner.T))).max() < 1e-9
    fine = section_outline(solid, 300)
    nxt = np.roll(outer, -1, axis=0)
    edge = nxt - outer
    long_enough = np.linalg.norm(edge, axis=1) > 1e-9
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)[long_enough]
    # Counter-clockwise polygon: no point of the section lies right of an edge.
    assert (np.einsum("pnd,nd->pn", fine[:, None] - outer[long_enough][None], normal) <= 1e-9).all()


def test_meshes_are_closed_and_turned_outwards():
    for model in MODELS:
        t = Trajectory((5, 5, 5), (40, 10, 0), 33, model)
        mesh = closed_mesh(*outline(t))
        section = mesh.volume / t.length_mm
        assert mesh.is_watertight
        assert np.pi * model.inscribed_radius_mm**2 * 0.97 < section < np.pi * model.circumscribed_radius_mm**2


def test_moved_by_two_metres_nothing_changes():
    rng = np.random.default_rng(12)
    far = np.array([2000.0, -2000.0, 2000.0])
    t = random_trajectory(rng, TRIANGLE)
    moved = Trajectory(t.entry_lps_mm + far, t.tip_lps_mm + far, t.roll_deg, TRIANGLE)
    probes = t.entry_lps_mm + rng.normal(scale=20, size=(200, 3))
    assert np.allclose(
        signed_distance(implant_solid(t), probes), signed_distance(implant_solid(moved), probes + far), atol=1e-6
    )


@pytest.mark.parametrize("packed", [np.zeros(15), np.ones(14), np.full(15, np.nan)])
def test_a_solid_without_length_or_with_nan_is_refused(packed):
    with pytest.raises(GeometryError, match="15 finite numbers, length > 0"):
        Solid(packed)
