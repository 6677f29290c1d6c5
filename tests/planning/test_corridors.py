"""Corridors: tunnels of known width, the phantom against dense samples and the judge's surfaces, and the mirror."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import trimesh

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import GeometryError
from sjplan.core.structures import DANGERS
from sjplan.geometry.solids import cylinder
from sjplan.geometry.triangle_tree import lowest_solid_distance, triangle_tree
from sjplan.geometry.tubes import equivalent_diameter_mm
from sjplan.geometry.tubes_slow import seen_along, slow_tube_radius, slow_tube_section, wall_points
from sjplan.io.presets import read_preset
from sjplan.phantom.build import build_labels
from sjplan.planning.corridor_search import (
    CorridorField,
    axis_through,
    field_of,
    places_of,
    value_of,
    widest_axis,
)
from sjplan.planning.corridor_walls import Gates, Walls, WallSet, corridor_walls, gates, height_over, measure
from sjplan.planning.corridors import Corridor, find_corridors, measure_corridor
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.testing.problems import MOTIONS, phantom_anatomy

TOL_MM = 0.1
"""How far two climbs to the same place end from each other (diameter, mm)."""

LATERAL_MM = 70.0
OPEN = Gates(np.zeros((0, 6)), np.zeros(0))


def tunnel(radius: float, slope=(0.0, 0.0), shift=(0.0, 0.0), n: int = 72) -> np.ndarray:
    """Wall of a round tunnel from x = -80 to 80 whose middle runs along (1, slope), in pieces of 2 mm."""
    angle = 2 * np.pi * np.arange(n + 1) / n
    way = np.array([1.0, *slope]) / np.linalg.norm([1.0, *slope])
    v = np.array([0.0, 0.0, 1.0]) - way[2] * way
    v /= np.linalg.norm(v)
    u = np.cross(v, way)
    rim = radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)
    stations = np.linspace(-80, 80, 81)[:, None] * np.array([1.0, *slope]) + np.array([0.0, *shift])
    grid = stations[:, None] + rim[None]
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    return np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)


def plane(x: float) -> np.ndarray:
    """A gluteal surface: a square of 120 mm at x, in pieces of 2 mm, seen from outside."""
    line = np.linspace(-60, 60, 61)
    y, z = np.meshgrid(line, line, indexing="ij")
    grid = np.stack([np.full_like(y, x), y, z], axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    return np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)


def box(radius: float, shift=(0.0, 0.0)) -> np.ndarray:
    """A closed box, turned outwards, that lies in a tunnel where it meets the midline: what counts as sacrum."""
    block = trimesh.creation.box((20.0, 1.4 * radius, 1.4 * radius)).subdivide().subdivide()
    return np.asarray(block.triangles) + np.array([0.0, *shift])


def pelvis(danger: np.ndarray, sacrum: np.ndarray) -> tuple[Walls, CorridorField]:
    left, right = plane(LATERAL_MM), plane(-LATERAL_MM)
    canal = np.column_stack([np.zeros(9), np.full(9, 40.0), np.linspace(-40, 40, 9)])
    trees = [triangle_tree(corners) for corners in (danger, sacrum, left, right)]
    walls = Walls(trees[0], trees[1], trees[2], left, trees[3], right, canal)
    return walls, field_of(danger, left, right, np.array([-90.0, -50, -50]), np.array([90.0, 50, 50]))


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")])
@pytest.mark.parametrize(
    ("radius", "slope", "shift"),
    [(7.0, (0.0, 0.0), (1.3, -0.7)), (6.0, (0.21, -0.13), (2.0, 3.0)), (2.2, (-0.07, 0.1), (0.0, 0.0))],
)
def test_a_tunnel_is_found_with_its_width_and_direction(radius, slope, shift, sides) -> None:
    """Straight and tilted, wide and narrow."""
    walls, field = pelvis(tunnel(radius, slope, shift), box(radius, shift))
    found = widest_axis(field, walls, OPEN, sides, 1.0)
    assert found is not None
    point, axis, width = found
    assert width == pytest.approx(radius, abs=0.03)
    way = np.array([1.0, *slope]) / np.linalg.norm([1.0, *slope])
    assert np.degrees(np.arccos(min(1.0, axis @ way))) < 0.3
    assert point[1:] == pytest.approx(shift, abs=0.15)
    section = measure(WallSet(None, walls, np.zeros(len(walls.danger.corners), np.uint8)), point, axis, sides)  # type: ignore[arg-type]
    assert section.inscribed_diameter_mm == pytest.approx(2 * width, abs=1e-6)
    assert section.inscribed_diameter_mm <= section.area_equivalent_diameter_mm <= 2 * radius + 0.05
    assert section.craniocaudal_diameter_mm == pytest.approx(2 * radius, abs=0.1)


def test_the_widest_of_two_tunnels() -> None:
    """The second is wider by half a millimetre of radius, and runs across."""
    two = np.concatenate([tunnel(4.5, (0.0, 0.0), (-8.0, 0.0)), tunnel(5.0, (0.3, 0.1), (9.0, 0.0))])
    walls, field = pelvis(two, np.concatenate([box(4.5, (-8.0, 0.0)), box(5.0, (9.0, 0.0))]))
    found = widest_axis(field, walls, OPEN, ("left",), 1.0)
    assert found is not None
    assert found[2] == pytest.approx(5.0, abs=0.03)


def test_a_blocked_tunnel_is_none() -> None:
    plate = plane(30.0)
    walls, field = pelvis(np.concatenate([tunnel(7.0), plate]), box(7.0))
    assert widest_axis(field, walls, OPEN, ("left",), 1.0) is None
    assert widest_axis(field, walls, OPEN, ("left", "right"), 1.0) is None
    found = widest_axis(field, walls, OPEN, ("right",), 1.0)
    assert found is not None
    assert found[2] == pytest.approx(7.0, abs=0.03)


def test_places_and_axis_are_each_others_inverse() -> None:
    rng = np.random.default_rng(0)
    for left, right in ((True, False), (False, True), (True, True)):
        q = rng.uniform(-20, 20, 4)
        point, axis = axis_through(q, left, right)
        assert axis[0] > 0
        assert point[0] == 0.0
        assert places_of(point, axis, left, right) == pytest.approx(q, abs=1e-9)


def test_height_over_a_foramen_is_seen_along_it() -> None:
    """A foramen that runs ventrally at z = -30: an axis at z = -20 passes above it, however that slopes."""
    axis = np.array([1.0, 0.0, 0.0])
    for slope in (0.0, 0.5):
        way = np.array([0.2, -1.0, -slope]) / np.linalg.norm([0.2, 1.0, slope])
        line = np.concatenate([[20.0, 0.0, -30.0], way])
        factor = 1.0 / np.hypot(1.0, slope)
        assert height_over(line, np.array([0.0, 0.0, -20.0]), axis) == pytest.approx(10.0 * factor)
        assert height_over(line, np.array([0.0, 0.0, -20.0]), -axis) == pytest.approx(10.0 * factor)
        assert height_over(line, np.array([0.0, 0.0, -34.0]), axis) == pytest.approx(-4.0 * factor)


@lru_cache(maxsize=8)
def corridors_of(case: str = "as scanned") -> tuple[Corridor, ...]:
    return find_corridors(phantom_anatomy(case))


def test_phantom_has_all_six_and_they_are_in_order() -> None:
    found = corridors_of()
    assert [(c.level, c.kind, c.side) for c in found] == [
        (level, kind, side)
        for level in ("S1", "S2")
        for kind, side in (("midline", "left"), ("midline", "right"), ("transsacral", "both"))
    ]
    assert all(c.found and not c.reason for c in found)
    for c in found:
        assert c.inscribed_diameter_mm <= c.area_equivalent_diameter_mm
        assert c.inscribed_diameter_mm <= c.craniocaudal_diameter_mm + 1e-9
    for level in ("S1", "S2"):
        left, right, both = (c for c in found if c.level == level)
        assert both.inscribed_diameter_mm <= min(left.inscribed_diameter_mm, right.inscribed_diameter_mm) + TOL_MM
        assert both.length_mm > left.length_mm + 30


@pytest.mark.parametrize("n", range(6))
def test_ends_lie_on_gluteal_surface_and_midline(n: int) -> None:
    anatomy, c = phantom_anatomy(), corridors_of()[n]
    assert c.start_lps_mm is not None
    assert c.end_lps_mm is not None
    ends = anatomy.frame.frame_from_lps(np.array([c.start_lps_mm, c.end_lps_mm]))
    assert ends[0, 0] * (-1 if c.side == "right" else 1) > 40
    if c.kind == "midline":
        assert ends[1, 0] == pytest.approx(0.0, abs=1e-9)
    gluteal = [s.corners_lps_mm("lateral") for s in anatomy.ilium.values()]
    tree = triangle_tree(np.concatenate(gluteal))
    for end in (c.start_lps_mm, *([c.end_lps_mm] if c.kind == "transsacral" else [])):
        probe = cylinder(end - 1e-3 * c.axis, end + 1e-3 * c.axis, 1e-3)
        assert lowest_solid_distance(tree, probe.packed, 1e-3)[0] < 5e-3


@pytest.mark.parametrize("n", range(6))
def test_reported_cylinder_is_clear_of_the_judges_surfaces(n: int) -> None:
    """Never larger than the surfaces say: the cylinder touches nothing, one a little wider touches its wall."""
    anatomy, c = phantom_anatomy(), corridors_of()[n]
    radius = 0.5 * c.inscribed_diameter_mm
    sides = ("left", "right") if c.side == "both" else (c.side,)
    for side in sides:
        surfaces = measuring_surfaces(anatomy, side)
        packed = cylinder(c.start_lps_mm, c.end_lps_mm, radius - 0.01).packed
        assert lowest_solid_distance(surfaces.any_danger, packed, 1e-3)[0] > 0
    wider = cylinder(c.start_lps_mm, c.end_lps_mm, radius + 0.025).packed
    touched = [
        name
        for side in sides
        for name, tree in measuring_surfaces(anatomy, side).dangers.items()
        if lowest_solid_distance(tree, wider, 1e-3)[0] <= 1e-3
    ]
    assert c.wall in touched


@pytest.mark.parametrize("n", [0, 2, 5])
def test_measures_equal_dense_samples(n: int) -> None:
    """All three diameters from points 0.3 mm apart on every danger triangle near the axis."""
    anatomy, c = phantom_anatomy(), corridors_of()[n]
    bones = (anatomy.sacrum, *anatomy.ilium.values())
    corners = np.concatenate([b.corners_lps_mm(*(d for d in DANGERS if d in b.structures())) for b in bones])
    offset = corners.mean(axis=1) - c.start_lps_mm
    across = np.linalg.norm(offset - (offset @ c.axis)[:, None] * c.axis, axis=1)
    points = wall_points(corners[across < 20], 0.3)
    up = anatomy.frame.cranial - (anatomy.frame.cranial @ c.axis) * c.axis
    up /= np.linalg.norm(up)
    line = np.array([c.start_lps_mm, c.axis, np.cross(up, c.axis), up])
    slow = 2 * slow_tube_radius(points, line, 0.0, c.length_mm)
    assert c.inscribed_diameter_mm <= slow + 1e-6
    assert slow < c.inscribed_diameter_mm + 0.3
    area = slow_tube_section(points, line, 0.0, c.length_mm, 0.4, 50).sum() * 0.16
    assert c.area_equivalent_diameter_mm == pytest.approx(equivalent_diameter_mm(area), abs=0.5)
    u, v = seen_along(points, line, 0.0, c.length_mm).T
    strip = v[np.abs(u) < 0.3]
    assert c.craniocaudal_diameter_mm == pytest.approx(strip[strip > 0].min() - strip[strip < 0].max(), abs=0.6)


def other(side: str) -> str:
    return {"left": "right", "right": "left", "both": "both"}[side]


@pytest.mark.parametrize(
    "case", ["mirrored", *(pytest.param(c, marks=pytest.mark.slow) for c in ("shifted", "turned"))]
)
def test_the_same_pelvis_elsewhere_has_the_same_corridors(case: str) -> None:
    motion = MOTIONS[case]
    there = {(c.level, c.side): c for c in corridors_of(case)}
    for c in corridors_of():
        twin = there[c.level, other(c.side) if motion.mirrors else c.side]
        assert twin.inscribed_diameter_mm == pytest.approx(c.inscribed_diameter_mm, abs=TOL_MM)
        assert c.start_lps_mm is not None
        assert c.end_lps_mm is not None
        ends = [c.start_lps_mm, c.end_lps_mm]
        if motion.mirrors and c.side == "both":
            ends.reverse()
        measured = measure_corridor(corridor_walls(phantom_anatomy(case)), c.level, twin.side, *motion.points(ends))
        assert measured.inscribed_diameter_mm == pytest.approx(c.inscribed_diameter_mm, abs=0.05)
        assert measured.area_equivalent_diameter_mm == pytest.approx(c.area_equivalent_diameter_mm, abs=0.1)
        assert measured.craniocaudal_diameter_mm == pytest.approx(c.craniocaudal_diameter_mm, abs=0.05)
        assert measured.coronal_deg == pytest.approx(
            c.coronal_deg * (-1 if motion.mirrors and c.side == "both" else 1), abs=0.05
        )


def test_no_better_axis_nearby() -> None:
    """Two thousand random axes round the one that was found: none is wider by more than a climb's last step."""
    anatomy, rng = phantom_anatomy(), np.random.default_rng(1)
    walls = corridor_walls(anatomy)
    for c in corridors_of():
        left, right = c.side != "right", c.side != "left"
        sides = tuple(s for s, used in (("left", left), ("right", right)) if used)
        a, b = anatomy.frame.frame_from_lps(np.array([c.start_lps_mm, c.end_lps_mm]))
        point = a - a[0] / (b[0] - a[0]) * (b - a)
        q = places_of(point, (b - a) * np.sign(b[0] - a[0]), left, right)
        gate = gates(anatomy, c.level, sides)
        tried = [
            value_of(walls.packed, gate, q + size * d, left, right, 0.0)
            for size in (3.0, 0.5, 0.05)
            for d in rng.standard_normal((700, 4))
        ]
        assert 2 * max(tried) < c.inscribed_diameter_mm + TOL_MM


def test_levels_are_told_apart() -> None:
    """An S1 axis is refused as S2, and the other way round."""
    walls = corridor_walls(phantom_anatomy())
    for c in corridors_of():
        assert c.start_lps_mm is not None
        assert c.end_lps_mm is not None
        same = measure_corridor(walls, c.level, c.side, c.end_lps_mm, c.start_lps_mm)
        assert same.inscribed_diameter_mm == pytest.approx(c.inscribed_diameter_mm, abs=1e-6)
        wrong = measure_corridor(walls, "S2" if c.level == "S1" else "S1", c.side, c.start_lps_mm, c.end_lps_mm)
        assert not wrong.found
        assert "does not pass the foramina" in wrong.reason


def test_an_axis_behind_the_sacrum_is_refused() -> None:
    """Through S1's height, but dorsal of the canal; and one that never crosses the midline."""
    anatomy, walls = phantom_anatomy(), corridor_walls(phantom_anatomy())
    c = corridors_of()[2]
    back = [end + 60.0 * anatomy.frame.posterior for end in (c.start_lps_mm, c.end_lps_mm)]
    assert "ventral of the canal" in measure_corridor(walls, "S1", "both", *back).reason
    along = [c.start_lps_mm, c.start_lps_mm + 10.0 * anatomy.frame.cranial]
    assert "does not cross" in measure_corridor(walls, "S1", "both", *along).reason


def test_closed_foramen_is_a_plain_reason() -> None:
    labels = build_labels(read_preset("closed-foramen"), spacing_mm=2.0)[0]
    found = {(c.level, c.side): c for c in find_corridors(anatomy_from_labels(labels))}
    for key in (("S1", "left"), ("S1", "both"), ("S2", "left"), ("S2", "both")):
        assert found[key].reason == "the S1 foramen on the left was not found open"
        assert found[key].inscribed_diameter_mm == 0.0
        assert found[key].axis is None
        assert found[key].length_mm == 0.0
    assert found["S1", "right"].found
    assert found["S2", "right"].found


def test_missing_joints_are_a_plain_reason() -> None:
    anatomy = phantom_anatomy()
    none: Anatomy = replace(anatomy, joints={})
    assert {c.reason for c in find_corridors(none) if c.side == "left"} == {"no sacroiliac joint was found on the left"}
    one = replace(anatomy, joints={"left": anatomy.joints["left"]})
    reasons = {c.side: c.reason for c in find_corridors(one)}
    assert reasons["left"] == ""
    assert reasons["right"] == reasons["both"] == "no sacroiliac joint was found on the right"


@pytest.mark.slow
def test_same_answer_twice() -> None:
    again = find_corridors(phantom_anatomy())
    for a, b in zip(corridors_of(), again, strict=True):
        assert (a.start_lps_mm == b.start_lps_mm).all()
        assert a.inscribed_diameter_mm == b.inscribed_diameter_mm


@pytest.mark.parametrize(
    "wrong", [{"start_lps_mm": (0, 0, 0)}, {}, {"start_lps_mm": (0, 0, 0), "end_lps_mm": (1, 0, 0), "reason": "none"}]
)
def test_a_corridor_has_two_ends_or_a_reason(wrong) -> None:
    with pytest.raises(GeometryError, match="corridor"):
        Corridor("S1", "midline", "left", **wrong)
