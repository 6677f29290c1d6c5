"""The verdict: every limit is broken by a plan that breaks that limit and no other."""

import math
from dataclasses import replace

import numpy as np
import pytest
from blocks import Blocks

from sjplan.core.limits import Limits
from sjplan.core.plan import Plan
from sjplan.core.trajectory import Trajectory
from sjplan.safety.judge import judge, side_conflicts


def loose(limits: Limits, **clearance: float) -> Limits:
    """The limits with other clearances."""
    return replace(limits, clearance_mm=dict(limits.clearance_mm) | clearance)


def broken(plan, anatomy, limits):
    return {(v.constraint, v.slots) for v in judge(plan, anatomy, limits).violations}


def test_a_good_plan_is_accepted(blocks, limits):
    report = judge(blocks.good(), blocks.anatomy, limits)
    assert report.violations == ()
    assert report.accepted
    assert report.slack_mm == pytest.approx(min(i.slack_mm for i in report.implants))
    assert report.margin_mm == pytest.approx(min(c.envelope_mm for i in report.implants for c in i.clearances))
    # Rim of the second one's end to the edge of the S1 foramen: 1.5 mm beside and 1.5 mm below (edges are rounded).
    assert report.margin_mm == pytest.approx(np.hypot(1.5, 1.5), abs=0.6)


CLEARANCES = {
    "foramen_S1_left": (Blocks(), "second", {"z": 3.0}, 1.5),
    "foramen_S2_left": (Blocks(), "second", {"z": -3.0}, 1.5),
    "canal": (Blocks(), "first", {"z": 27.0, "tip_x": 8.0}, 1.5),
    "anterior": (Blocks(), "first", {"z": 27.0, "tip_x": 10.0, "y": -19.0}, 0.5),
    "superior": (Blocks(), "first", {"z": 34.0, "tip_x": 10.0}, 0.5),
    "posterior": (Blocks(), "first", {"z": 27.0, "tip_x": 10.0, "y": 20.0}, -0.5),
    "metal": (Blocks(back="metal"), "first", {"z": 27.0, "tip_x": 10.0, "y": 17.0}, 2.5),
    "scan_edge": (Blocks(back="scan_edge"), "first", {"z": 27.0, "tip_x": 10.0, "y": 20.5}, -1.0),
    "notch": (Blocks(), "third", {"z": -54.0, "tip_x": 27.0}, 0.5),
    "inferior": (Blocks(sacrum_bottom=-29.5), "third", {"z": -24.0}, -0.5),
    "iliac_border": (Blocks(ilium_y=(-30.5, 5.5)), "first", {"z": 27.0, "tip_x": 10.0}, -0.5),
}


@pytest.mark.parametrize("structure", CLEARANCES)
def test_each_clearance_is_a_limit(limits, structure):
    made, slot, where, value = CLEARANCES[structure]
    report = judge(made.good(**{slot: made.implant(**where)}), made.anatomy, limits)
    constraints = {v.constraint for v in report.violations}
    assert constraints == {f"clearance:{structure}"}
    number = {"first": 1, "second": 2, "third": 3}[slot]
    violation = next(v for v in report.violations if v.slots == (number,))
    if not structure.startswith("foramen"):
        assert violation.value == pytest.approx(value, abs=0.07)
    assert violation.limit == limits.clearance_of(structure)
    assert violation.missing == pytest.approx(violation.limit - violation.value)
    assert f"implant {number}: envelope to {structure}" in violation.text
    assert not report.accepted


def test_iliac_inner_is_a_limit(limits):
    made = Blocks(ilium_y=(-5.5, 35.5))
    report = judge(made.good(), made.anatomy, limits)
    assert {(v.constraint, v.slots) for v in report.violations} == {("clearance:iliac_inner", (n,)) for n in (1, 2, 3)}
    assert report.violations[0].value == pytest.approx(-0.5, abs=0.07)


@pytest.mark.parametrize(
    ("structure", "slot", "where"),
    [
        ("foramen_S1_left", "second", {"z": 1.4, "tip_x": 24.7}),
        ("canal", "first", {"z": 27.0, "tip_x": 7.2}),
        ("anterior", "first", {"z": 27.0, "tip_x": 10.0, "y": -19.6}),
    ],
)
def test_lower_bound_is_a_limit_of_its_own(blocks, limits, structure, slot, where):
    free = loose(limits, foramen=-2.0, canal=-2.0, anterior=-2.0)
    number = {"first": 1, "second": 2}[slot]
    plan = blocks.good(**{slot: blocks.implant(**where)})
    assert broken(plan, blocks.anatomy, free) == {(f"lower_bound:{structure}", (number,))}


CHANGES = {
    "sacral_length": ("third", {"z": -24.0, "tip_x": 28.0}, 9.5, 10.0, 0.5),
    "protrusion_min": ("third", {"z": -24.0, "entry_x": 55.0}, -0.5, 0.0, 0.5),
    "protrusion_max": ("third", {"z": -24.0, "entry_x": 61.0}, 5.5, 5.0, 0.5),
    "tip_midline": ("first", {"z": 27.0, "tip_x": -1.0, "y": -15.0}, -1.0, 0.0, 1.0),
}


@pytest.mark.parametrize("constraint", CHANGES)
def test_each_length_and_tip_rule_is_a_limit(blocks, limits, constraint):
    slot, where, value, limit, missing = CHANGES[constraint]
    report = judge(blocks.good(**{slot: blocks.implant(**where)}), blocks.anatomy, limits)
    assert [v.constraint for v in report.violations] == [constraint]
    v = report.violations[0]
    assert (v.value, v.limit, v.missing) == pytest.approx((value, limit, missing), abs=1e-5)
    assert v.unit == "mm"


def test_iliac_length_is_a_limit(limits):
    thin = Blocks(ilium_x=(40.5, 47.5))
    plan = thin.plan(*(thin.implant(z, x, entry_x=50.5) for z, x in ((27.0, 10.0), (0.0, 26.0), (-24.0, 26.0))))
    assert broken(plan, thin.anatomy, limits) == {("iliac_length", (n,)) for n in (1, 2, 3)}


def test_tips_stay_lateral_of_the_foramina(blocks, limits):
    free = loose(limits, foramen=0.0)
    plan = blocks.good(second=blocks.implant(0.0, 24.0), third=blocks.implant(-24.0, 24.0))
    assert broken(plan, blocks.anatomy, free) == {
        ("tip_lateral:S1", (2,)),
        ("tip_lateral:S1", (3,)),
        ("tip_lateral:S2", (3,)),
    }


def test_angles_are_limits(blocks, limits):
    plan = blocks.good(first=blocks.implant(27.0, 18.0, tilt_deg=12.0))
    assert broken(plan, blocks.anatomy, limits) == set()
    tight = replace(limits, joint_normal_angle_max_deg=10.0)
    assert broken(plan, blocks.anatomy, tight) == {("joint_angle", (1,))}
    tight = replace(limits, mutual_angle_max_deg=10.0)
    assert broken(plan, blocks.anatomy, tight) == {("mutual_angle", (1, 2)), ("mutual_angle", (1, 3))}


def test_spacing_and_gap_are_limits(blocks, limits):
    tight = replace(limits, crossing_spacing_min_mm=25.0)
    assert broken(blocks.good(), blocks.anatomy, tight) == {("crossing_spacing", (2, 3))}
    tight = replace(limits, solid_gap_min_mm=15.0)
    report = judge(blocks.good(), blocks.anatomy, tight)
    assert [(v.constraint, v.slots) for v in report.violations] == [("solid_gap", (2, 3))]
    assert report.violations[0].value == pytest.approx(24 - 3.5 - 6, abs=0.01)


def test_articular_count_is_a_limit_and_two_implants_need_one_fewer(limits):
    part = Blocks(articular=lambda y, z: z > 12)
    report = judge(part.good(), part.anatomy, limits)
    assert [v.constraint for v in report.violations] == ["articular_count"]
    assert (report.violations[0].value, report.violations[0].limit, report.violations[0].missing) == (1, 2, 1)
    two = part.plan(*part.good().trajectories[:2])
    assert judge(two, part.anatomy, limits).accepted
    none = Blocks(articular=lambda y, z: z > 1000)
    two = none.plan(*none.good().trajectories[:2])
    assert broken(two, none.anatomy, limits) == {("articular_count", (1, 2))}
    notes = [f for f in judge(two, none.anatomy, limits).findings if f.code == "not-articular"]
    assert len(notes) == 2


def test_order_is_a_limit(blocks, limits):
    plan = blocks.good(first=blocks.implant(0.0), second=blocks.implant(27.0))
    report = judge(plan, blocks.anatomy, limits)
    assert [(v.constraint, v.slots) for v in report.violations] == [("order", (1, 2))]
    assert report.violations[0].missing == pytest.approx(27.0, abs=1e-6)


def test_a_length_that_is_not_sold_is_a_violation(blocks, limits):
    odd = blocks.implant(-24.0, sold=False)
    report = judge(blocks.good(third=odd), blocks.anatomy, limits)
    assert [(v.constraint, v.slots) for v in report.violations] == [("catalogue_length", (3,))]
    assert report.violations[0].missing == pytest.approx(7.5)


def test_implants_stay_above_the_last_level_found(limits):
    short = Blocks(levels=("S1", "S2"))
    report = judge(short.good(), short.anatomy, limits)
    assert [(v.constraint, v.slots) for v in report.violations] == [("caudal_level", (3,))]
    assert report.violations[0].missing == pytest.approx(12.0, abs=1e-6)
    assert "above the S2 foramen, the last one found" in report.violations[0].text


def test_an_implant_that_misses_the_joint_is_said_to(blocks, limits):
    beside = Trajectory((70, 0, 30), (70, 0, -10), 0.0, blocks.implant(0.0).model)
    report = judge(blocks.plan(beside), blocks.anatomy, limits)
    constraints = {v.constraint: v for v in report.violations}
    assert "joint_crossing" in constraints
    assert constraints["joint_crossing"].missing == math.inf
    assert report.implants[0].crossing_lps_mm is None
    assert report.implants[0].sacral_mm == 0.0
    assert {"sacral_length", "iliac_length", "protrusion_min"} <= set(constraints)


def test_findings_below_the_wishes(blocks, limits):
    report = judge(
        blocks.good(first=blocks.implant(27.0, 10.0, y=-18.0)),
        blocks.anatomy,
        limits,
    )
    assert report.accepted
    texts = {(f.code, f.text) for f in report.findings}
    assert ("close-to-anterior", "implant 1 passes anterior at 1.5 mm; 2 mm is preferred") in texts
    assert ("short-sacral-purchase", "implant 2 holds 11.5 mm of sacrum; 15 mm is preferred") in texts
    assert all(f.severity == "warning" for f in report.findings)


def test_two_sides_that_meet_are_a_finding(blocks, limits):
    other = Blocks(turn=((-1, 0, 0), (0, 1, 0), (0, 0, 1)))

    def report(made, tip_x):
        plan = Plan(made.side, (made.implant(27.0, tip_x, y=-15.0),), "by hand")
        return judge(plan, made.anatomy, limits)

    left = report(blocks, 1.0)
    findings = side_conflicts(left, report(other, 1.0), limits)
    assert [f.code for f in findings] == ["sides-conflict"]
    assert "left implant 1 and right implant 1 are 2.0 mm apart" in findings[0].text
    assert side_conflicts(left, report(other, 2.5), limits) == ()
