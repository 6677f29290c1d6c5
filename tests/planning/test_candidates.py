"""One axis on fields that are known exactly: where it passes the bones, its shortest implant, its envelope's slack."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planning_shapes import axis_of, ball, field_of, plane, random_axis
from scipy.ndimage import gaussian_filter

from sjplan.core.arrays import unit
from sjplan.geometry.solids import cylinder, signed_distance
from sjplan.planning.candidates import (
    NOTHING,
    SlotRules,
    axis_value,
    centred,
    envelope_slack,
    lies_bare,
    plain_envelope_slack,
    recentre,
    scan,
    shortest_span,
)
from sjplan.planning.field import PlanningField, sample, with_leaps
from sjplan.planning.joint_map import JointSamples, bunched
from sjplan.planning.marching import grid_axis, passage, plain_passage, reading

RADIUS_MM = 6.0
FLOAT32_MM = 1e-4
"""Fields are float32: a value of some tens of mm keeps four to five decimals."""

RULES = SlotRules(
    radius_mm=RADIUS_MM,
    lengths_mm=(30.0, 35.0, 40.0, 45.0, 50.0),
    sacral_min_mm=10.0,
    iliac_min_mm=8.0,
    protrusion_max_mm=5.0,
    tip_lateral_mm=-1e6,
    lowest_mm=-1e6,
    joint_cosine=float(np.cos(np.deg2rad(35.0))),
    inscribed_radius_mm=3.5,
    buried_mm=np.inf,
)


def slab(normal: np.ndarray, low_mm: float, high_mm: float):
    """Signed distance to a slab, negative inside."""
    n = unit(normal)
    return lambda points: np.maximum(low_mm - points @ n, points @ n - high_mm)


def bones(normal: np.ndarray, sacrum_mm: float = -1.0, ilium_mm: tuple[float, float] = (1.0, 18.0)) -> PlanningField:
    """A sacrum filling the half space below `sacrum_mm` along the normal, an ilium as a slab."""
    return field_of(lambda p: np.full(p.shape[:-1], 9.0), plane(normal, sacrum_mm), slab(normal, *ilium_mm))


def flat_joint(normal: np.ndarray, articular: bool = True) -> JointSamples:
    """A plane joint through the origin, a sample every 1.6 mm, its normal from ilium to sacrum."""
    n = unit(normal)
    e1 = unit(np.cross(n, [0.0, 1.0, 0.0]))
    steps = np.arange(-25.0, 25.0, 1.6)
    point = np.array([a * e1 + b * np.cross(n, e1) for a, b in itertools.product(steps, steps)])
    return bunched(point, np.tile(-n, (len(point), 1)), np.full(len(point), articular))


def test_sample_is_linear_between_nodes_and_minus_thirty_outside() -> None:
    field = field_of(plane([0.3, -0.5, 0.8], 2.0))
    rng = np.random.default_rng(0)
    for x in rng.uniform(-47.9, 47.9, (50, 3)):
        wanted = float(plane([0.3, -0.5, 0.8], 2.0)(x))
        assert sample(field.slack, field.origin, field.step, *x) == pytest.approx(wanted, abs=FLOAT32_MM)
    assert sample(field.slack, field.origin, field.step, 48.5, 0.0, 0.0) == -30.0
    assert sample(field.slack, field.origin, field.step, 0.0, 0.0, -48.5) == -30.0


SAME_MM = 1e-9
"""A fast kernel and its plain twin read the same numbers in another order."""


def rough_bones(seed: int, step_mm: float = 1.0) -> PlanningField:
    """Bones with bumps and holes of a few mm, so that signs change often; slack that varies everywhere."""
    rng = np.random.default_rng(seed)
    flat = bones(unit([1.0, *0.3 * rng.standard_normal(2)]))
    bumps = [gaussian_filter(4.0 * rng.standard_normal(flat.slack.shape), 1.5).astype(np.float32) for _ in range(3)]
    origin = flat.origin * step_mm
    return with_leaps(flat.slack + 4 * bumps[0], flat.sacrum + bumps[1], flat.ilium + bumps[2], origin, step_mm)


def rough_axes(seed: int, count: int = 400) -> list[np.ndarray]:
    """Axes of every slant, some of them beside the bones or leaving the grid."""
    rng = np.random.default_rng(seed)
    near = [random_axis(rng, wobble) for wobble in rng.uniform(0.0, 1.2, count)]
    for axis in near[::3]:
        axis[:3] += rng.uniform(-45, 45, 3) * [0.3, 1.0, 1.0]
    return near


@pytest.mark.parametrize(("seed", "step_mm"), [(0, 1.0), (1, 1.0), (2, 0.7)])
def test_passage_is_the_plain_one(seed: int, step_mm: float) -> None:
    field, passed = rough_bones(seed, step_mm), 0
    for axis in rough_axes(seed):
        ok, *where = passage(field, axis)
        wanted, *plain = plain_passage(field, axis)
        assert ok == wanted
        assert where == pytest.approx(plain, abs=SAME_MM)
        passed += ok
    assert 50 < passed < 390


@pytest.mark.parametrize("step_mm", [1.0, 0.7])
def test_reading_is_the_sample(step_mm: float) -> None:
    field = rough_bones(3, step_mm)
    for x in np.random.default_rng(3).uniform(-50.0, 50.0, (300, 3)):
        grid = grid_axis(field, np.concatenate([x, [1.0, 0.0, 0.0]]))
        wanted = sample(field.slack, field.origin, field.step, *x)
        assert reading(field.slack, *grid[:3]) == pytest.approx(wanted, abs=SAME_MM)


@pytest.mark.parametrize(("step", "floor", "step_mm"), [(0.5, NOTHING, 1.0), (1.0, NOTHING, 0.7), (1.0, -1.0, 1.0)])
def test_envelope_slack_is_the_plain_one(step: float, floor: float, step_mm: float) -> None:
    """Below the floor both may say what they like, below it."""
    field, rng = rough_bones(4, step_mm), np.random.default_rng(4)
    values = []
    for axis in rough_axes(4):
        span = -rng.uniform(5, 18), rng.uniform(2, 18)
        value = envelope_slack(field, axis, *span, RADIUS_MM, step, floor)
        plain = plain_envelope_slack(field, axis, *span, RADIUS_MM, step, NOTHING)
        if plain >= floor:
            assert value == pytest.approx(plain, abs=SAME_MM)
        else:
            assert value < floor
        values.append(plain)
    assert (np.array(values) >= -1.0).mean() > 0.05


def test_passage_through_flat_bones() -> None:
    """Planes are linear, and so is the search for where they are crossed: exact but for float32."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        normal = unit([1.0, *0.3 * rng.standard_normal(2)])
        field = bones(normal)
        axis = random_axis(rng, wobble=0.2)
        slope, height = float(normal @ axis[3:]), float(normal @ axis[:3])
        ok, lateral, leave, entry = passage(field, axis)
        assert ok
        assert (lateral, leave, entry) == pytest.approx([(x - height) / slope for x in (18.0, 1.0, -1.0)], abs=2e-3)


def test_overlapping_labels_still_make_one_crossing() -> None:
    """Bones that overlap by half a millimetre: the ilium is left where the sacrum is entered."""
    field = bones(np.array([1.0, 0.0, 0.0]), sacrum_mm=0.5, ilium_mm=(0.0, 18.0))
    ok, lateral, leave, entry = passage(field, axis_of([0, 0, 0], [-1, 0, 0]))
    assert ok
    assert (lateral, leave, entry) == pytest.approx((-18.0, -0.5, -0.5), abs=2e-3)


@pytest.mark.parametrize(
    ("way", "sacrum_mm", "ilium_mm"),
    [((1, 0, 0), -1.0, (1.0, 18.0)), ((0, 1, 0), -1.0, (1.0, 18.0)), ((-1, 0, 0), -25.0, (1.0, 18.0)),
     ((-1, 0, 0), -1.0, (22.0, 40.0)), ((-1, 0, 0), -1.0, (1.0, 90.0))],
    ids=["backwards", "along the joint", "sacrum too far", "ilium too far", "ilium without an end"],
)  # fmt: skip
def test_no_passage(way: tuple[float, ...], sacrum_mm: float, ilium_mm: tuple[float, float]) -> None:
    field = bones(np.array([1.0, 0.0, 0.0]), sacrum_mm, ilium_mm)
    assert not passage(field, axis_of([0, 0, 0], np.array(way)))[0]


def test_recentre_moves_the_point_to_the_middle_of_the_joint() -> None:
    field = bones(np.array([1.0, 0.0, 0.0]), sacrum_mm=-1.0, ilium_mm=(3.0, 20.0))
    axis = axis_of([6.0, 2.0, 5.0], [-1.0, 0.1, -0.2])
    recentre(field, axis)
    assert axis[0] == pytest.approx(1.0, abs=2e-3)
    assert np.cross(axis[:3] - [6.0, 2.0, 5.0], axis[3:]) == pytest.approx(np.zeros(3), abs=1e-9)


def test_shortest_span_by_hand() -> None:
    """30 mm reach too little sacrum; 35 mm are set so that exactly 10 mm hold; the head stands 4 mm out."""
    assert shortest_span(RULES.packed(), -20.0, 1.0) == pytest.approx((-24.0, 11.0))
    assert shortest_span(RULES.packed(), -20.0, -5.0) == pytest.approx((-25.0, 5.0))
    assert not np.isfinite(shortest_span(RULES.packed(), -45.0, 1.0)[1])


@settings(max_examples=200, deadline=None)
@given(lateral=st.floats(-45, -8), gap=st.floats(0.0, 6.0), iliac=st.floats(5, 30))
def test_shortest_span_against_trying_every_length_and_head(lateral: float, gap: float, iliac: float) -> None:
    entry = lateral + iliac + gap
    start, stop = shortest_span(RULES.packed(), lateral, entry)
    tried = [
        lateral - head + length
        for head in np.linspace(0.0, RULES.protrusion_max_mm, 2001)
        for length in RULES.lengths_mm
        if lateral - head + length >= entry + RULES.sacral_min_mm
    ]
    assume(tried)
    assert stop == pytest.approx(min(tried), abs=RULES.protrusion_max_mm / 2000 + 1e-9)
    assert min(abs(stop - start - length) for length in RULES.lengths_mm) < 1e-9
    assert -1e-9 <= lateral - start <= RULES.protrusion_max_mm + 1e-9
    assert stop >= entry + RULES.sacral_min_mm - 1e-9


@pytest.mark.parametrize(("step", "turns"), [(0.5, 24), (1.0, 12)])
def test_envelope_slack_from_planes(step: float, turns: int) -> None:
    """Never below the exact distance; above it by what lies between two of the rim's points, or between two balls.

    A rim of `turns` points misses the lowest one by r (1 - cos(pi / turns)) at most: 0.05 mm in the climb, 0.2 mm in
    the scan. Balls `step` apart miss a side by r - sqrt(r^2 - step^2 / 4), which is less.
    """
    rim = RADIUS_MM * (1.0 - np.cos(np.pi / turns))
    rng = np.random.default_rng(4)
    above = []
    for _ in range(60):
        axis = random_axis(rng)
        normal = unit(rng.standard_normal(3))
        field = field_of(plane(normal, -20.0))
        start, stop = -rng.uniform(10, 18), rng.uniform(8, 18)
        ends = [float(normal @ (axis[:3] + t * axis[3:])) for t in (start, stop)]
        exact = min(ends) - RADIUS_MM * np.sqrt(max(0.0, 1.0 - float(normal @ axis[3:]) ** 2)) + 20.0
        above.append(envelope_slack(field, axis, start, stop, RADIUS_MM, step, NOTHING) - exact)
    assert min(above) >= -FLOAT32_MM
    assert max(above) <= rim + FLOAT32_MM
    assert max(above) > 0.2 * rim


def test_envelope_slack_from_balls() -> None:
    """A ball is the sharpest obstacle: it may lie opposite a gap between the points that stand for the envelope.

    No point of the envelope is farther than half its radius from a ball round the axis or a ring, so the value is at
    most that much too high; and too low only by the field's own interpolation (a curved field between nodes 1 mm
    apart, seen from 8 mm or more: at most 3 / (8 * 8) mm, upwards). On average it is 0.2 mm too high.
    """
    rng = np.random.default_rng(5)
    above = []
    for _ in range(75):
        axis = random_axis(rng)
        centre = rng.uniform(-24, 24, 3)
        start, stop = -rng.uniform(10, 18), rng.uniform(8, 18)
        solid = cylinder(axis[:3] + start * axis[3:], axis[:3] + stop * axis[3:], RADIUS_MM)
        exact = float(signed_distance(solid, [centre])[0]) - 4.0
        if exact < 1.0:
            continue
        value = envelope_slack(field_of(ball(centre, 4.0)), axis, start, stop, RADIUS_MM, 0.5, NOTHING)
        above.append(value - exact)
    assert len(above) > 30
    assert min(above) >= -FLOAT32_MM
    assert max(above) <= 0.5 * RADIUS_MM
    assert 0.0 < np.mean(above) < 0.3


def test_envelope_slack_gives_up_early_only_below_the_floor() -> None:
    rng = np.random.default_rng(6)
    field = field_of(ball(np.array([0.0, 14.0, 0.0]), 4.0))
    below_floor = 0
    for _ in range(80):
        axis = random_axis(rng)
        whole = envelope_slack(field, axis, -15.0, 12.0, RADIUS_MM, 0.5, NOTHING)
        early = envelope_slack(field, axis, -15.0, 12.0, RADIUS_MM, 0.5, 1.0)
        if whole >= 1.0:
            assert early == whole
        else:
            assert whole <= early < 1.0
            below_floor += 1
    assert 5 < below_floor < 75


def test_axis_value_is_the_slack_of_the_shortest_implant() -> None:
    normal = np.array([1.0, 0.0, 0.0])
    field = bones(normal)._replace(slack=field_of(plane([1.0, 0.0, 0.0], -20.0)).slack)
    axis = axis_of([0.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
    value, start, stop = axis_value(field, flat_joint(normal), RULES.packed(), axis, 0.5, NOTHING)
    assert (start, stop) == pytest.approx((-19.0, 11.0), abs=2e-3)
    assert value == pytest.approx(20.0 - 11.0, abs=2e-3)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [({"iliac_min_mm": 20.0}, NOTHING), ({"lengths_mm": (20.0,)}, NOTHING), ({"tip_lateral_mm": -10.0}, -1.0),
     ({"lowest_mm": 2.5}, -2.5)],
    ids=["ilium too thin", "no length fits", "tip too medial by 1 mm", "too low by 2.5 mm"],
)  # fmt: skip
def test_rules_that_are_missed(changed: dict[str, object], wanted: float) -> None:
    normal = np.array([1.0, 0.0, 0.0])
    rules = replace(RULES, **changed)
    axis = axis_of([0.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
    value, _, _ = axis_value(bones(normal), flat_joint(normal), rules.packed(), axis, 0.5, NOTHING)
    assert value == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(("turn_deg", "passes"), [(33.0, True), (37.0, False)])
def test_axis_too_oblique_to_the_joint_is_nothing(turn_deg: float, passes: bool) -> None:
    normal = np.array([1.0, 0.0, 0.0])
    a = np.deg2rad(turn_deg)
    axis = axis_of([0.0, 0.0, 0.0], [-np.cos(a), np.sin(a), 0.0])
    value, _, _ = axis_value(bones(normal), flat_joint(normal), RULES.packed(), axis, 0.5, NOTHING)
    assert (value > NOTHING) == passes


@pytest.mark.parametrize("turn_deg", [0.0, 20.0, 40.0])
def test_circle_lies_bare_where_the_axis_slides_along_the_cortex(turn_deg: float) -> None:
    """An axis `turn_deg` off the normal of a flat cortex is in the bone all round r tan(turn) behind it."""
    field = bones(np.array([1.0, 0.0, 0.0]))
    a = np.deg2rad(turn_deg)
    axis = axis_of([18.0, 0.0, 0.0], [-np.cos(a), np.sin(a), 0.0])
    buried = 3.5 * np.tan(a)
    assert lies_bare(field, axis, buried - 0.3, 3.5)
    assert not lies_bare(field, axis, buried + 0.3, 3.5)


def test_axis_that_lies_bare_is_nothing_only_where_that_is_asked() -> None:
    """The ilium's edge along the axis: half of the circle is in the air all the way."""
    bare = bones(np.array([1.0, 0.0, 0.0]))
    edge = field_of(
        lambda p: p[..., 1], ilium=lambda p: np.maximum(slab([1.0, 0.0, 0.0], 1.0, 18.0)(p), p[..., 1] - 2.0)
    )
    field = bare._replace(ilium=edge.ilium, ilium_leap=edge.ilium_leap)
    axis = axis_of([0.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
    asked = replace(RULES, buried_mm=8.0).packed()
    joint = flat_joint(np.array([1.0, 0.0, 0.0]))
    assert axis_value(field, joint, RULES.packed(), axis, 0.5, NOTHING)[0] > NOTHING
    assert axis_value(field, joint, asked, axis, 0.5, NOTHING)[0] == NOTHING
    assert axis_value(bare, joint, asked, axis, 0.5, NOTHING)[0] > NOTHING


def test_axis_beside_the_joint_is_nothing() -> None:
    normal = np.array([1.0, 0.0, 0.0])
    axis = axis_of([0.0, 0.0, 38.0], [-1.0, 0.0, 0.0])
    assert axis_value(bones(normal), flat_joint(normal), RULES.packed(), axis, 0.5, NOTHING)[0] == NOTHING


def test_scan_is_every_point_with_every_way() -> None:
    """The parallel scan gives the single axis' numbers, each in its own cell."""
    normal = np.array([1.0, 0.0, 0.0])
    field = bones(normal)._replace(slack=field_of(ball(np.array([-12.0, 9.0, 3.0]), 4.0)).slack)
    joint, packed = flat_joint(normal), RULES.packed()
    rng = np.random.default_rng(7)
    points = rng.uniform([-0.5, -15, -15], [0.5, 15, 15], (7, 3))
    ways = np.array([random_axis(rng, 0.3)[3:] for _ in range(5)])
    value, tip, low = scan(field, joint, packed, points, ways, NOTHING)
    for n, m in itertools.product(range(7), range(5)):
        wanted, _, stop = axis_value(field, joint, packed, np.concatenate([points[n], ways[m]]), 1.0, NOTHING)
        end = points[n] + stop * ways[m]
        assert value[n, m] == pytest.approx(wanted, abs=1e-5)
        assert (tip[n, m], low[n, m]) == pytest.approx((end[0], min(end[2], points[n, 2])), abs=1e-5)


def test_centred_says_span_and_part() -> None:
    normal = np.array([1.0, 0.0, 0.0])
    axes = np.array([axis_of([0.7, 2.0, 1.0], [-1.0, 0.0, 0.0]), axis_of([0.0, 0.0, 45.0], [-1.0, 0.0, 0.0])])
    out, spans, articular = centred(bones(normal), flat_joint(normal), RULES.packed(), axes)
    assert out[0, 0] == pytest.approx(0.0, abs=2e-3)
    assert spans[0] == pytest.approx((-19.0, 11.0), abs=2e-3)
    assert articular.tolist() == [True, False]
    assert not centred(bones(normal), flat_joint(normal, articular=False), RULES.packed(), axes)[2].any()
