"""Edges that views show, on shapes whose shadows are known."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import GeometryError
from sjplan.core.structures import SURFACE_ID
from sjplan.geometry.hull import closed_hull
from sjplan.geometry.surface import LabelledSurface
from sjplan.testing.problems import phantom_anatomy
from sjplan.views.edges import (
    BELOW_S2_MM,
    PIXEL_MM,
    before_canal_mm,
    convex_gap_mm,
    outline,
    rim,
    seen_mm,
    upper_sacrum,
)
from sjplan.xray.carm import CArmGeometry, carm_angles
from sjplan.xray.types import CArm, Detector

RADIUS_MM = 40.0
CENTRE = np.array([5.0, -10.0, 20.0])


def ball(label="anterior", other=None):
    """A ball of triangles a millimetre wide; its left half may carry another name."""
    polar, around = np.linspace(0.0, np.pi, 127), np.linspace(0.0, 2 * np.pi, 252, endpoint=False)
    t, p = np.meshgrid(polar, around, indexing="ij")
    points = CENTRE + RADIUS_MM * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1)
    cell = np.arange(t.size).reshape(t.shape)
    a, b = cell[:-1], cell[1:]
    triangles = np.concatenate(
        [
            np.stack([a, b, np.roll(b, -1, 1)], -1).reshape(-1, 3),
            np.stack([a, np.roll(b, -1, 1), np.roll(a, -1, 1)], -1).reshape(-1, 3),
        ]
    )
    vertices = points.reshape(-1, 3)
    names = np.full(len(triangles), SURFACE_ID[label], np.uint8)
    if other is not None:
        names[vertices[triangles].mean(axis=1)[:, 0] > CENTRE[0]] = SURFACE_ID[other]
    return LabelledSurface(vertices, triangles.astype(np.int32), names)


POSES = [(0, 0, 0), (90, 0, 0), (12, -25, 5), (0, 50, 0)]


@pytest.mark.parametrize("pose", POSES)
def test_seen_agrees_with_the_detector(pose):
    """The same points, by the C-arm's own projection, scaled back to the isocentre."""
    carm = CArm(*pose, CENTRE, 620.0, 1000.0)
    points = CENTRE + np.random.default_rng(0).uniform(-60, 60, (20, 3))
    detector = Detector(rows=512, columns=400, pixel_mm=0.6)
    pixels = CArmGeometry.of(carm, detector).project(points) - (199.5, 255.5)
    expected = pixels * (1.0, -1.0) * detector.pixel_mm * 620.0 / 1000.0
    assert seen_mm(points, carm) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("pose", POSES)
def test_the_outline_of_a_ball(pose):
    """A tube at D sees a ball's edge a little beyond its radius; distances grow inwards, and turn negative outside."""
    carm = CArm(*pose, CENTRE, 650.0)
    found = outline(ball(), carm, ())
    edge = RADIUS_MM * 650.0 / np.sqrt(650.0**2 - RADIUS_MM**2)
    for radius in (0.0, 20.0, 35.0, 39.0, 42.0, 46.0):
        for angle in np.linspace(0.0, 2 * np.pi, 12):
            value = float(found.at(np.array([[radius * np.cos(angle), radius * np.sin(angle)]]))[0])
            assert value == pytest.approx(edge - radius, abs=PIXEL_MM)
    for radius in (60.0, 120.0, 300.0):
        for angle in np.linspace(0.0, 2 * np.pi, 12):
            value = float(found.at(np.array([[radius * np.cos(angle), radius * np.sin(angle)]]))[0])
            assert value <= edge - radius + PIXEL_MM, "beyond the raster never too large"
            assert value == pytest.approx(edge - radius, rel=0.5)


def test_an_edge_that_is_crossed_on_purpose_says_nothing():
    carm = CArm(0, 0, 0, CENTRE, 650.0)
    found = outline(ball(other="joint_articular"), carm, ("joint_articular",))
    assert np.isinf(found.at(np.array([[44.0, 0.0]]))).all(), "beyond the joint: no verdict"
    assert found.at(np.array([[-44.0, 0.0]])) == pytest.approx(-3.9, abs=PIXEL_MM)
    assert found.at(np.array([[30.0, 0.0]])) == pytest.approx(np.hypot(30.0, RADIUS_MM), abs=2.5), "to the nearest wall"


ANGLES = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
AROUND = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])


def _parting(a, b, depth):
    """The shift of b by `depth` that parts it best from a."""
    ways = depth * AROUND
    return ways[int(np.argmax([convex_gap_mm(a, b + way) for way in ways]))]


def test_convex_gap_against_sampled_polygons():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a = closed_hull(rng.normal(size=(12, 2)))
        b = closed_hull(rng.normal(size=(12, 2)) + rng.uniform(-6, 6, 2))
        gap = convex_gap_mm(a, b)
        assert gap == pytest.approx(convex_gap_mm(b, a), abs=1e-9)
        if gap < 0:
            pushed = b + _parting(a, b, -gap)
            assert convex_gap_mm(a, pushed) == pytest.approx(0.0, abs=1e-3), "so far, and they just touch"
            assert all(convex_gap_mm(a, b - 0.99 * gap * way) < 0.0 for way in AROUND), "not so far, whichever way"
        if gap > 0:
            dense = [np.concatenate([np.linspace(p, q, 200) for p, q in itertools.pairwise(r)]) for r in (a, b)]
            sampled = np.linalg.norm(dense[0][:, None] - dense[1][None], axis=2).min()
            assert gap == pytest.approx(sampled, abs=0.02)


@pytest.fixture(scope="module")
def anatomy():
    return phantom_anatomy()


def along(anatomy, ray):
    """A C-arm whose central ray is given, the patient's left to the right."""
    ray = ray / np.linalg.norm(ray)
    left = anatomy.frame.left - (anatomy.frame.left @ ray) * ray
    left = left / np.linalg.norm(left)
    return CArm(*carm_angles(np.column_stack([left, ray, np.cross(left, ray)])), anatomy.frame.origin_lps_mm)


def test_a_rim_is_seen_from_before_it_only(anatomy):
    foramen = anatomy.foramen("S1", "left")
    ring = rim(foramen, along(anatomy, -foramen.ventral.normal), anatomy.spacing_mm)
    size = np.ptp(ring, axis=0)
    assert 0.6 * foramen.ventral.minor_mm <= size.min()
    assert size.max() <= 1.8 * foramen.ventral.major_mm
    across = np.cross(foramen.ventral.normal, anatomy.frame.left)
    assert rim(foramen, along(anatomy, across), anatomy.spacing_mm) is None


def test_the_canals_front_from_the_side_and_along_it_but_not_from_the_front(anatomy):
    """Points of the posterior body line touch the edge; moved forward they keep that distance."""
    frame = anatomy.frame
    canal = frame.frame_from_lps(anatomy.canal.lumen_lps_mm)
    height = np.quantile(canal[:, 2], 0.8)
    level = canal[(np.abs(canal[:, 2] - height) < 2.0) & (np.abs(canal[:, 0]) < 4.0)]
    front = level[:, 1].min()
    side = CArm(*carm_angles(np.column_stack([-frame.posterior, frame.left, frame.cranial])), frame.origin_lps_mm)
    point = frame.lps_from_frame(np.array([[0.0, front - 6.0, height]]))
    assert before_canal_mm(anatomy, point, side) == pytest.approx(6.0, abs=2.5)
    behind = frame.lps_from_frame(np.array([[0.0, front + 4.0, height]]))
    assert before_canal_mm(anatomy, behind, side) < 0.0
    assert np.isnan(before_canal_mm(anatomy, point, along(anatomy, frame.posterior)))
    lateral = frame.lps_from_frame(np.array([[60.0, front + 4.0, height]]))
    assert np.isnan(before_canal_mm(anatomy, lateral, side)), "lateral of the canal its level says nothing"


def straight_canal(anatomy, half_width=15.0):
    """The anatomy with a canal that is a box along the pelvis's own axes: its front voxels' centres at 20 mm."""
    step = float(anatomy.spacing_mm.max())
    axes = np.arange(-half_width, half_width + 0.1, step), np.arange(20.0, 30.0, step), np.arange(-60.0, 0.1, step)
    box = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return replace(anatomy, canal=replace(anatomy.canal, lumen_lps_mm=anatomy.frame.lps_from_frame(box)))


@pytest.mark.parametrize("view", ["side", "inlet"])
@pytest.mark.parametrize("x", [0.0, 6.0, 13.0, -14.0])
def test_before_a_straight_canal_by_hand(anatomy, view, x):
    """6 mm before the centres of its front voxels is that less half a voxel before its wall; 3 mm behind them is in."""
    frame = anatomy.frame
    changed = straight_canal(anatomy)
    if view == "side":
        rotation = np.column_stack([-frame.posterior, frame.left, frame.cranial])
    else:
        rotation = np.column_stack([frame.left, -frame.cranial, frame.posterior])
    isocentre = frame.lps_from_frame(np.array([[x, 20.0, -30.0]]))[0]
    carm = CArm(*carm_angles(rotation), isocentre, 1e5, 2e5)
    half = 0.5 * float(anatomy.spacing_mm.max())
    for back, wanted in ((14.0, 6.0 - half), (23.0, -3.0 - half)):
        point = frame.lps_from_frame(np.array([[x, back, -30.0]]))
        assert before_canal_mm(changed, point, carm) == pytest.approx(wanted, abs=0.1)


def test_a_rim_is_as_wide_as_its_voxels_and_half_a_voxel_all_round(anatomy):
    foramen = anatomy.foramen("S1", "left")
    normal = foramen.ventral.normal
    u = np.cross(normal, anatomy.frame.left)
    u = u / np.linalg.norm(u)
    v = np.cross(normal, u)
    grid = np.stack(np.meshgrid(*[np.arange(-6.0, 6.1, 0.5)] * 2), axis=-1).reshape(-1, 2)
    disc = grid[np.linalg.norm(grid, axis=1) <= 5.0]
    lumen = foramen.ventral.centre_lps_mm + disc @ np.stack([u, v])
    carm = along(anatomy, -normal)
    carm = CArm(carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg, foramen.ventral.centre_lps_mm, 1e5, 2e5)
    ring = rim(replace(foramen, lumen_lps_mm=lumen), carm, np.full(3, 1.2))
    assert np.ptp(ring, axis=0) == pytest.approx([11.2, 11.2], abs=0.15)


def test_where_the_sacrum_is_cut_its_shadow_says_nothing(anatomy):
    """Below S2 the upper sacrum ends, the bone does not: from the front no wall is seen there."""
    carm = along(anatomy, anatomy.frame.posterior)
    frame, upper = anatomy.frame, upper_sacrum(anatomy)
    end = frame.frame_from_lps(upper.vertices_lps_mm)[:, 2].min()
    below = seen_mm(frame.lps_from_frame(np.array([[0.0, 10.0, end - 6.0]])), carm)
    assert np.isinf(outline(upper, carm).at(below)).all()
    whole = outline(anatomy.sacrum, carm).at(below)
    assert whole[0] > 5.0


def test_an_outline_is_refused_where_the_tube_stands_in_the_bone():
    with pytest.raises(GeometryError, match="50 mm between tube and bone"):
        outline(ball(), CArm(0, 0, 0, CENTRE, 60.0), ())


def test_the_upper_sacrum_ends_below_s2(anatomy):
    upper = upper_sacrum(anatomy)
    heights = anatomy.frame.frame_from_lps(upper.vertices_lps_mm)[:, 2]
    s2 = anatomy.frame.frame_from_lps(anatomy.landmarks["s2_anterior"])[2]
    assert heights.min() == pytest.approx(s2 - BELOW_S2_MM, abs=2.5)
    assert 0 < len(upper.triangles) < len(anatomy.sacrum.triangles)
    landmarks = {name: point for name, point in anatomy.landmarks.items() if name != "s2_anterior"}
    assert upper_sacrum(replace(anatomy, landmarks=landmarks)) is anatomy.sacrum
