import numpy as np
import pytest
from xray_shapes import grid_about, rotation

from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.xray.attenuation import MU_STEEL_PER_MM, MU_TITANIUM_PER_MM, MU_WATER_PER_MM, Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.chords import add_solids, chord, chord_lengths_mm, pixel_rectangles
from sjplan.xray.projector import project
from sjplan.xray.solids import MetalSolid, Pin, metal_solids
from sjplan.xray.types import CArm, Detector

TRIANGLE = ImplantModel("tri-7", "triangle", "triangle", 3.5, 1.0, (45.0,))
SHARP = ImplantModel("tri-sharp", "triangle", "triangle", 3.5, 0.0, (45.0,))
ROUND = ImplantModel("tri-round", "triangle", "triangle", 3.5, 3.5, (45.0,))
ROD = ImplantModel("rod-10", "rod", "cylinder", 5.0, 5.0, (45.0,))
MODELS = {m.id: m for m in (TRIANGLE, SHARP, ROUND, ROD)}


def _depth(trajectory, points):
    """Signed distance-like value, <= 0 exactly inside the solid; written from the section's definition alone."""
    u, v = trajectory.section_axes()
    w = trajectory.axis
    local = points - trajectory.entry_lps_mm
    a, b, along = local @ u, local @ v, local @ w
    model = trajectory.model
    if model.section == "cylinder":
        section = np.hypot(a, b) - model.inscribed_radius_mm
    else:
        inner = model.inscribed_radius_mm - model.corner_radius_mm
        section = _distance_to_triangle(np.stack([a, b], axis=-1), 2 * inner) - model.corner_radius_mm
    return np.maximum(section, np.abs(along - trajectory.length_mm / 2) - trajectory.length_mm / 2)


def _distance_to_triangle(p, reach):
    """Distance in the plane to an equilateral triangle with corners `reach` from the origin, 0 or less inside."""
    corners = reach * np.array([[np.cos(t), np.sin(t)] for t in np.deg2rad([0, 120, 240])])
    outside = np.full(p.shape[:-1], np.inf)
    inside = np.full(p.shape[:-1], -np.inf)
    for k in range(3):
        start, edge = corners[k], corners[(k + 1) % 3] - corners[k]
        t = np.clip(((p - start) @ edge) / max(edge @ edge, 1e-300), 0, 1)
        outside = np.minimum(outside, np.linalg.norm(p - start - t[..., None] * edge, axis=-1))
        normal = np.array([np.cos(np.deg2rad(60 + 120 * k)), np.sin(np.deg2rad(60 + 120 * k))])
        inside = np.maximum(inside, p @ normal - reach / 2)
    return np.where(inside <= 0, inside, outside)


def _marched_chord(trajectory, source, direction):
    """Length inside, by dense marching and bisection at the two ends; None where the ray misses or only grazes."""
    t = np.linspace(0, 1, 4001)
    depth = _depth(trajectory, source + t[:, None] * direction)
    deepest = int(np.argmin(depth))
    if depth[deepest] > -1e-3:
        return None if depth[deepest] < 0.3 else 0.0
    ends = []
    for out in (0.0, 1.0):
        a, b = t[deepest], out
        for _ in range(60):
            middle = 0.5 * (a + b)
            a, b = (middle, b) if _depth(trajectory, source + middle * direction) <= 0 else (a, middle)
        ends.append(a)
    return (ends[1] - ends[0]) * float(np.linalg.norm(direction))


@pytest.mark.parametrize("model", MODELS)
def test_chord_is_exact(model, rng):
    """Against dense marching and bisection on the section's definition, within 1e-6 mm."""
    hits = misses = 0
    for _ in range(80):
        entry = rng.uniform(-50, 50, 3)
        axis = rng.standard_normal(3)
        trajectory = Trajectory(entry, entry + 45 * axis / np.linalg.norm(axis), rng.uniform(-180, 180), MODELS[model])
        middle = entry + rng.uniform(0, 1) * (trajectory.tip_lps_mm - entry)
        source = middle + 650 * _unit(rng.standard_normal(3))
        aim = middle + rng.uniform(-5, 5, 3)
        direction = 1.6 * (aim - source)
        expected = _marched_chord(trajectory, source, direction)
        if expected is None:
            continue
        t0, t1 = chord(MetalSolid.of_trajectory(trajectory).packed(), source, direction)
        found = max(t1 - t0, 0.0) * np.linalg.norm(direction)
        assert found == pytest.approx(expected, abs=1e-6)
        hits, misses = hits + (expected > 0), misses + (expected == 0)
    assert hits > 40
    assert misses > 0


def _unit(v):
    return v / np.linalg.norm(v)


def test_ray_along_the_axis_sees_the_whole_length():
    t = Trajectory((0, 0, 0), (0, 45, 0), 0.0, TRIANGLE)
    packed = MetalSolid.of_trajectory(t).packed()
    for offset, inside in [((0, 0, 0), True), ((0, 0, 5.9), True), ((0, 0, 6.1), False), ((0, 0, -3.6), False)]:
        source = np.array([0.0, -600, 0]) + offset
        t0, t1 = chord(packed, source, np.array([0.0, 1000, 0]))
        assert max(t1 - t0, 0.0) * 1000 == pytest.approx(45.0 if inside else 0.0, abs=1e-9)


def test_roll_turns_the_corner_with_the_section():
    """Across the axis at 5.9 mm from it, a ray meets metal only where a corner points."""
    for roll in (0, 40, 120, 200):
        t = Trajectory((0, 0, 0), (45, 0, 0), roll, TRIANGLE)
        corner, _ = t.section_axes()
        packed = MetalSolid.of_trajectory(t).packed()
        across = np.cross(corner, t.axis)
        for sign, inside in ((1, True), (-1, False)):
            point = np.array([20.0, 0, 0]) + sign * 5.9 * corner
            t0, t1 = chord(packed, point - 300 * across, 600 * across)
            assert (t1 > t0) == inside


def test_rectangle_holds_the_whole_shadow(rng):
    geometry = CArmGeometry.of(CArm(20, -30, 10, (0, 0, 0)), Detector(60, 80, 3.0))
    for _ in range(8):
        entry = rng.uniform(-70, 70, 3)
        trajectory = Trajectory(entry, entry + 45 * _unit(rng.standard_normal(3)), 10.0, TRIANGLE)
        solid = MetalSolid.of_trajectory(trajectory)
        shadow = np.zeros((60, 80), dtype=bool)
        for row in range(60):
            for column in range(80):
                ray = geometry.pixel_lps_mm([column, row]) - geometry.source_lps_mm
                t0, t1 = chord(solid.packed(), geometry.source_lps_mm, ray)
                shadow[row, column] = t1 > t0
        r0, r1, c0, c1 = pixel_rectangles(geometry, [solid])[0]
        outside = shadow.copy()
        outside[r0:r1, c0:c1] = False
        assert not outside.any()
        assert (chord_lengths_mm(geometry, [solid]) > 0).sum() == shadow.sum()


def test_solid_beside_the_tube_takes_the_whole_image():
    geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(60, 80, 3.0))
    behind = MetalSolid.of_pin(((0, -700, 0), (0, 0, 0)))
    assert pixel_rectangles(geometry, [behind]).tolist() == [[0, 60, 0, 80]]


def _water():
    grid = grid_about((0, 0, 0), (50, 50, 50), (2, 2.2, 1.9), rotation((1, 1, 0), 20))
    return Attenuation.from_hu(np.zeros(grid.shape, dtype=np.int16), grid)


def test_metal_takes_the_place_of_tissue():
    attenuation = _water()
    geometry = CArmGeometry.of(CArm(25, 35, -5, (0, 0, 0)), Detector(90, 110, 1.2))
    solids = metal_solids([Trajectory((30, 5, 0), (-15, 0, 5), 20.0, TRIANGLE)])
    plain = project(attenuation, geometry)
    image = add_solids(plain, attenuation, geometry, solids)
    expected = plain + (MU_TITANIUM_PER_MM - MU_WATER_PER_MM) * chord_lengths_mm(geometry, solids)
    assert image == pytest.approx(expected, rel=2e-5)
    assert (image > plain).sum() > 200


def test_metal_in_air_replaces_nothing():
    geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(5, 5, 1.0))
    image = add_solids(
        np.zeros((5, 5), np.float32), _water(), geometry, [MetalSolid.of_pin(((-9, -200, 0), (9, -200, 0)))]
    )
    assert float(image[2, 2]) == pytest.approx(3.2 * MU_STEEL_PER_MM, rel=1e-5)


def test_tissue_taken_away_is_the_tissue_that_was_there(rng):
    """A long slab of metal as heavy as the volume it replaces leaves the image as it was, within 1 %."""
    grid = grid_about((0, 0, 0), (40, 40, 40), (1.5, 1.5, 1.5))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[10:30, 10:30, 10:30] = rng.integers(0, 800, (20, 20, 20))
    attenuation = Attenuation.from_hu(hu, grid)
    geometry = CArmGeometry.of(CArm(15, 10, 0, (0, 0, 0)), Detector(21, 21, 1.0))
    plain = project(attenuation, geometry)
    rod = ImplantModel("thick", "thick rod", "cylinder", 19.0, 19.0, (290.0,))
    nothing = MetalSolid.of_trajectory(Trajectory((-100, 0, 0), (100, 0, 0), 0.0, rod), mu_per_mm=1e-9)
    rest = add_solids(plain, attenuation, geometry, [nothing])
    assert np.abs(rest).max() < 0.01 * plain.max()


def test_pin_inside_its_implant_counts_once_and_as_steel():
    attenuation = _water()
    geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(41, 41, 1.0))
    implant = Trajectory((20, 0, 0), (-20, 0, 0), 0.0, ROD)
    plain = project(attenuation, geometry)
    both = add_solids(plain, attenuation, geometry, metal_solids([implant], [Pin((60, 0, 0), (-20, 0, 0))]))
    expected = 3.2 * MU_STEEL_PER_MM + 6.8 * MU_TITANIUM_PER_MM - 10 * MU_WATER_PER_MM
    assert float(both[20, 20] - plain[20, 20]) == pytest.approx(expected, rel=1e-5)


def test_order_of_solids_does_not_matter():
    attenuation = _water()
    geometry = CArmGeometry.of(CArm(10, 30, 0, (0, 0, 0)), Detector(41, 41, 4.0))
    solids = metal_solids(
        [Trajectory((30, y, 3), (-15, 0, 0), 0.0, TRIANGLE) for y in (-4, 0, 6)], [((60, 0, 0), (0, 0, 0))]
    )
    plain = project(attenuation, geometry)
    forth = add_solids(plain, attenuation, geometry, solids)
    back = add_solids(plain, attenuation, geometry, solids[::-1])
    assert forth == pytest.approx(back, rel=1e-6)


def test_metal_constants_follow_from_the_tables():
    """Mass attenuation at 60 keV times density (CLINICAL.md 3.4)."""
    assert pytest.approx(0.3275, abs=1e-4) == MU_TITANIUM_PER_MM
    assert pytest.approx(1.0128, abs=1e-4) == MU_STEEL_PER_MM


@pytest.mark.parametrize("radius", [0.0, -1.0, 50.0, float("nan")])
def test_pins_of_impossible_thickness_are_refused(radius):
    with pytest.raises(GeometryError, match="pin radius_mm"):
        metal_solids(pins=[((0, 0, 0), (1, 0, 0), radius)])


def test_pin_without_length_is_refused():
    with pytest.raises(GeometryError, match="two different points"):
        Pin((1, 2, 3), (1, 2, 3))
