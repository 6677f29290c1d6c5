"""What the judge measures, against distances known in closed form."""

import numpy as np
import pytest
from blocks import LATERAL_X, ROUND, TRIANGLE, Blocks

from sjplan.core.errors import AnatomyError
from sjplan.core.tolerances import DEPTH_TOL_MM, JUDGE_TOL_MM
from sjplan.geometry.solids import implant_solid
from sjplan.safety.depth import depths_mm, sampled_depth_mm
from sjplan.safety.judge import judge
from sjplan.safety.measures import PIN_RADIUS_MM, clearances
from sjplan.safety.surfaces import measuring_surfaces

TOL = 2 * JUDGE_TOL_MM


@pytest.fixture(scope="module")
def surfaces(blocks):
    return measuring_surfaces(blocks.anatomy, "left")


def measured(surfaces, limits, trajectory):
    return {c.structure: c for c in clearances(surfaces, trajectory, limits)}


def test_distances_of_the_true_solid_and_of_the_envelope(blocks, surfaces, limits):
    found = measured(surfaces, limits, blocks.implant(27.0, 10.0))
    # Roll 0: a corner 6 mm up, a flat side 3.5 mm down; the envelope reaches 6 mm all round.
    wanted = {
        "foramen_S1_left": (27 - 3.5 - 16.5, 27 - 6 - 16.5),
        "superior": (40.5 - 33, 40.5 - 33),
        "canal": (10 - 6.5, 10 - 6.5),
        "anterior": (25.5 - (3 * 2.5 / np.sqrt(3) + 1), 25.5 - 6),
    }
    for name, (solid, envelope) in wanted.items():
        assert found[name].distance_mm == pytest.approx(solid, abs=TOL), name
        assert found[name].envelope_mm == pytest.approx(envelope, abs=TOL), name


def test_roll_turns_the_flat_side_to_the_foramen(blocks, surfaces, limits):
    at = {
        roll: measured(surfaces, limits, blocks.implant(27.0, 10.0, roll=roll))["foramen_S1_left"]
        for roll in (0.0, 60.0, 120.0)
    }
    assert at[60.0].distance_mm == pytest.approx(27 - 6 - 16.5, abs=TOL)
    assert at[120.0].distance_mm == pytest.approx(at[0.0].distance_mm, abs=TOL)
    assert at[60.0].envelope_mm == pytest.approx(at[0.0].envelope_mm, abs=TOL)


def test_envelope_is_never_farther_and_the_bound_is_the_distance_less_the_error(blocks, surfaces, limits):
    rng = np.random.default_rng(1)
    for _ in range(3):
        trajectory = blocks.implant(
            rng.uniform(-50, 30), rng.uniform(8, 30), y=rng.uniform(-12, 12), roll=rng.uniform(-60, 60)
        )
        for c in measured(surfaces, limits, trajectory).values():
            assert c.envelope_mm <= c.distance_mm
            search = JUDGE_TOL_MM if c.distance_mm > 0 else DEPTH_TOL_MM
            bound = c.distance_mm - blocks.anatomy.geometry_error_mm - search
            assert c.lower_bound_mm == pytest.approx(bound, abs=1e-12)
            assert c.limit_mm == limits.clearance_of(c.structure)


def test_witnesses_lie_on_the_wall_and_on_the_implant(blocks, surfaces, limits):
    found = measured(surfaces, limits, blocks.implant(0.0, 26.0, model=ROUND))["foramen_S1_left"]
    # Rod of 5 mm with its end at x 26, bore with an edge at x 24.5, z 7.5 (cut off by the surface net).
    assert found.distance_mm == pytest.approx(np.hypot(1.5, 2.5), abs=0.6)
    assert np.linalg.norm(found.at_lps_mm - found.on_implant_lps_mm) == pytest.approx(found.distance_mm, abs=TOL)
    canal = measured(surfaces, limits, blocks.implant(27.0, 10.0))["canal"]
    assert canal.at_lps_mm[0] == pytest.approx(6.5, abs=TOL)
    assert canal.on_implant_lps_mm[0] == pytest.approx(10.0, abs=TOL)


@pytest.mark.parametrize(("height", "depth"), [(12.0, 4.5), (4.5, 2.0), (3.0, 0.5), (10.0, 4.5)])
def test_overlap_with_a_foramen_is_minus_the_deepest_point_in_its_lumen(blocks, surfaces, limits, height, depth):
    # Across the whole bore the deepest point lies on its axis, 4.5 mm from each wall; a rod that only comes 2 mm
    # through the lower wall is 2 mm deep.
    c = measured(surfaces, limits, blocks.implant(height, 10.0, model=ROUND))["foramen_S1_left"]
    assert c.distance_mm == pytest.approx(-depth, abs=0.07)
    assert c.envelope_mm == pytest.approx(-depth, abs=0.07)


@pytest.mark.parametrize(("y", "structure", "out"), [(-22.0, "anterior", 1.5), (23.0, "posterior", 2.5)])
def test_overlap_with_a_flat_wall_is_minus_how_far_the_implant_stands_out(blocks, surfaces, limits, y, structure, out):
    found = measured(surfaces, limits, blocks.implant(-24.0, y=y, model=ROUND))
    assert found[structure].distance_mm == pytest.approx(-out, abs=0.07)
    assert all(c.distance_mm > 0 for name, c in found.items() if name != structure)


def test_end_in_the_canal_counts_as_deep_as_it_reaches(blocks, surfaces, limits):
    c = measured(surfaces, limits, blocks.implant(27.0, 4.0, model=ROUND))["canal"]
    assert c.distance_mm == pytest.approx(-2.5, abs=0.07)


def test_joint_and_lateral_side_are_no_danger(blocks, surfaces, limits):
    for entry_x in (56.0, 75.0):
        found = measured(surfaces, limits, blocks.implant(0.0, entry_x=entry_x))
        assert all(c.distance_mm > 0 for c in found.values())
    assert not {"lateral", "joint_articular", "joint_ligamentous"} & set(found)


def test_lengths_crossing_and_ends(blocks, limits):
    i = judge(blocks.good(), blocks.anatomy, limits).implants[0]
    assert i.iliac_mm == pytest.approx(15.0, abs=1e-6)
    assert i.joint_mm == pytest.approx(3.0, abs=1e-6)
    assert i.sacral_mm == pytest.approx(27.5, abs=1e-6)
    assert i.protrusion_mm == pytest.approx(3.0, abs=1e-6)
    assert i.crossing_lps_mm == pytest.approx([39.0, 0.0, 27.0], abs=1e-6)
    assert i.tip_to_midline_mm == pytest.approx(10.0, abs=1e-9)
    assert i.crosses_articular
    assert i.margin_mm == pytest.approx(3.5, abs=TOL)
    assert i.binding.structure == "canal"


def test_lengths_hold_where_the_axis_runs_along_edges_of_triangles(blocks, limits):
    # Through voxel corners every crossing is shared by several triangles: it still counts once.
    for y, z in ((0.5, 0.5), (0.0, 0.5), (-7.5, 25.5)):
        i = judge(blocks.plan(blocks.implant(z, y=y)), blocks.anatomy, limits).implants[0]
        assert (i.iliac_mm, i.joint_mm, i.sacral_mm) == pytest.approx((15.0, 3.0, 11.5), abs=1e-6)


def test_a_tip_short_of_the_joint_has_no_length_beyond(blocks, limits):
    i = judge(blocks.plan(blocks.implant(0.0, 39.5)), blocks.anatomy, limits).implants[0]
    assert (i.iliac_mm, i.joint_mm, i.sacral_mm) == pytest.approx((15.0, 1.0, 0.0), abs=1e-6)
    assert not i.crosses_articular


def test_length_over_a_foramen_counts_bone_only(blocks, limits):
    i = judge(blocks.plan(blocks.implant(12.0, 10.0)), blocks.anatomy, limits).implants[0]
    assert i.sacral_mm == pytest.approx(27.5 - 9.0, abs=1e-6)


@pytest.mark.parametrize("entry_x", [50.0, LATERAL_X, 60.0])
def test_protrusion_is_positive_outside_the_bone(blocks, limits, entry_x):
    i = judge(blocks.plan(blocks.implant(0.0, entry_x=entry_x)), blocks.anatomy, limits).implants[0]
    assert i.protrusion_mm == pytest.approx(entry_x - LATERAL_X, abs=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 12.0, -25.0])
def test_angle_to_the_joint(blocks, limits, tilt):
    i = judge(blocks.plan(blocks.implant(0.0, tilt_deg=tilt)), blocks.anatomy, limits).implants[0]
    assert i.joint_normal_angle_deg == pytest.approx(abs(tilt), abs=1e-6)


@pytest.mark.parametrize(("y", "articular"), [(0.0, True), (8.0, True), (13.0, False)])
def test_the_larger_part_of_the_footprint_says_whether_a_crossing_is_articular(blocks, limits, y, articular):
    i = judge(blocks.plan(blocks.implant(0.0, y=y)), blocks.anatomy, limits).implants[0]
    assert i.crosses_articular is articular


def test_overshoot_reserve_is_what_the_pin_may_advance(blocks, limits):
    i = judge(blocks.plan(blocks.implant(27.0, 10.0)), blocks.anatomy, limits).implants[0]
    assert i.overshoot_reserve_mm == pytest.approx(10 - 6.5 - PIN_RADIUS_MM, abs=0.02)
    assert i.overshoot_structure == "canal"
    # In front of the canal the way is free to the far end of the block.
    i = judge(blocks.plan(blocks.implant(27.0, 10.0, y=-15.0)), blocks.anatomy, limits).implants[0]
    assert i.overshoot_reserve_mm == 80.0
    assert i.overshoot_structure == ""


def test_pairs(blocks, limits):
    report = judge(blocks.good(second=blocks.implant(0.0, tilt_deg=9.0)), blocks.anatomy, limits)
    pairs = {(p.i, p.j): p for p in report.pairs}
    assert set(pairs) == {(1, 2), (1, 3), (2, 3)}
    assert pairs[1, 2].angle_deg == pytest.approx(9.0, abs=1e-6)
    assert pairs[1, 3].angle_deg == pytest.approx(0.0, abs=1e-6)
    assert pairs[1, 3].spacing_mm == pytest.approx(51.0, abs=1e-6)
    # From the first one's flat side (3.5 mm below its axis) to the third one's corner (6 mm above).
    assert 51 - 9.5 - 0.01 <= pairs[1, 3].gap_mm <= 51 - 9.5 + JUDGE_TOL_MM


def test_solids_that_overlap_have_a_negative_gap(blocks, limits):
    plan = blocks.plan(blocks.implant(0.0, model=ROUND), blocks.implant(-6.0, model=ROUND))
    assert judge(plan, blocks.anatomy, limits).pairs[0].gap_mm == pytest.approx(-4.0, abs=0.02)


def test_a_side_without_a_joint_is_refused(blocks):
    with pytest.raises(AnatomyError, match="right side: found no sacroiliac joint"):
        measuring_surfaces(blocks.anatomy, "right")


@pytest.mark.slow
def test_larger_foramina_never_give_a_larger_distance(limits):
    # A fixed rod 12 mm below the S1 foramen's axis (and so 12 above S2's): clear, touching, then cut.
    distances = {}
    for radius in np.arange(3.5, 11.6, 1.0):
        grown = Blocks(foramen_radius=float(radius))
        found = measured(
            measuring_surfaces(grown.anatomy, "left"), limits, grown.implant(0.0, 10.0, model=ROUND, y=0.3)
        )
        for name in ("foramen_S1_left", "foramen_S2_left"):
            distances.setdefault(name, []).append((found[name].distance_mm, found[name].envelope_mm))
            # One voxel's diagonal is what a round bore may be off in a label map.
            assert found[name].distance_mm == pytest.approx(7.0 - radius, abs=0.9)
    for values in distances.values():
        assert (np.diff(np.array(values), axis=0) <= JUDGE_TOL_MM).all()
        assert values[0][0] > 3
        assert values[-1][0] < -3


def turned(degrees):
    a = np.deg2rad(degrees)
    c, s = np.cos(a), np.sin(a)
    about_z, about_x = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return about_z @ about_x


PLACES = {
    "shifted": Blocks(shift=(311.0, -207.5, 1500.25)),
    "turned": Blocks(turn=tuple(map(tuple, turned(17.0))), shift=(5.0, 6.0, 7.0)),
    "mirrored": Blocks(turn=((-1, 0, 0), (0, 1, 0), (0, 0, 1))),
    "mirrored and turned": Blocks(turn=tuple(map(tuple, turned(-8.0) @ np.diag([-1.0, 1, 1])))),
}


@pytest.mark.parametrize(
    "place", [p if p == "mirrored and turned" else pytest.param(p, marks=pytest.mark.slow) for p in PLACES]
)
def test_margins_do_not_depend_on_where_the_grid_lies(blocks, limits, place):
    def report(made):
        plan = made.good(
            first=made.implant(27.0, 10.0, roll=21.0, tilt_deg=4.0), third=made.implant(-33.0, 20.0, roll=10.0)
        )
        return plan, judge(plan, made.anatomy, limits)

    (here_plan, here), (there_plan, there) = report(blocks), report(PLACES[place])
    mirrored = PLACES[place].side == "right"
    for a, b in zip(here.implants, there.implants, strict=True):
        for x, y in zip(a.clearances, b.clearances, strict=True):
            assert y.structure == (x.structure.replace("left", "right") if mirrored else x.structure)
            # The search for the minimum stops within JUDGE_TOL_MM, a depth within DEPTH_TOL_MM.
            assert y.distance_mm == pytest.approx(x.distance_mm, abs=JUDGE_TOL_MM if x.distance_mm > 0 else 0.07)
            assert y.envelope_mm == pytest.approx(x.envelope_mm, abs=JUDGE_TOL_MM if x.envelope_mm > 0 else 0.07)
        for name in ("protrusion_mm", "iliac_mm", "joint_mm", "sacral_mm", "tip_to_midline_mm"):
            assert getattr(b, name) == pytest.approx(getattr(a, name), abs=1e-6), name
        assert b.joint_normal_angle_deg == pytest.approx(a.joint_normal_angle_deg, abs=1e-5)
        assert b.crosses_articular == a.crosses_articular
    assert [v.constraint.replace("right", "left") for v in there.violations] == [v.constraint for v in here.violations]
    if place == "mirrored":
        rolls = [(a.roll_deg, b.roll_deg) for a, b in zip(here_plan.trajectories, there_plan.trajectories, strict=True)]
        assert all(b == pytest.approx(-a, abs=1e-9) for a, b in rolls)
        assert {abs(round(a)) for a, _ in rolls} == {0, 10, 21}


def test_model_of_the_tests_is_the_one_that_the_numbers_say():
    assert (TRIANGLE.inscribed_radius_mm, TRIANGLE.circumscribed_radius_mm) == (3.5, 6.0)


def test_a_sampled_depth_falls_short_by_no_more_than_its_step(blocks, surfaces):
    for up, step in ((36.0, 1.5), (36.0, 0.75), (38.0, 1.5)):
        solid = implant_solid(blocks.implant(up, 10.0))
        exact = depths_mm(surfaces, solid, ["superior"])["superior"]
        quick = sampled_depth_mm(surfaces, solid, "superior", step)
        assert exact - np.sqrt(3.0) * step <= quick <= exact + DEPTH_TOL_MM
    inside = implant_solid(blocks.implant(27.0, 10.0))
    assert sampled_depth_mm(surfaces, inside, "superior") == 0.0
