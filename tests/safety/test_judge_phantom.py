"""The judge on a phantom's plan: witnesses, bounds, and a violation for every limit that a change breaks."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.plan import Plan
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.geometry.triangle_tree import nearest_point
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import read_preset
from sjplan.phantom.build import build_labels
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.raster import RasterPlanner
from sjplan.safety.judge import judge, side_conflicts
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.safety.types import MarginReport

LIMITS = read_limits()
TRIANGLE = read_implants()["tri-7"]


@cache
def phantom(foramen_scale: float = 1.0, spacing_mm: float = 2.0) -> Anatomy:
    parameters = replace(read_preset("default"), foramen_scale=foramen_scale)
    return anatomy_from_labels(build_labels(parameters, spacing_mm=spacing_mm)[0])


@cache
def plan() -> Plan:
    planner = RasterPlanner(crossing_step_mm=3.0, direction_step_deg=6.0, starts=8, climb_steps=1200, refinements=20)
    problem = Problem(phantom(), "left", (TRIANGLE,) * 3, LIMITS)
    found = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget()).plan
    assert found is not None
    return found


def judged(changed: Plan) -> MarginReport:
    return judge(changed, phantom(), LIMITS)


def moved(slot: int, change: Callable[[Trajectory], Trajectory]) -> Plan:
    trajectories = list(plan().trajectories)
    trajectories[slot - 1] = change(trajectories[slot - 1])
    return replace(plan(), trajectories=tuple(trajectories))


def by(t: Trajectory, offset_lps_mm: np.ndarray) -> Trajectory:
    return replace(t, entry_lps_mm=t.entry_lps_mm + offset_lps_mm, tip_lps_mm=t.tip_lps_mm + offset_lps_mm)


def shifted(anterior_mm: float = 0.0, cranial_mm: float = 0.0) -> Callable[[Trajectory], Trajectory]:
    return lambda t: by(t, cranial_mm * phantom().frame.cranial - anterior_mm * phantom().frame.posterior)


def along(mm: float) -> Callable[[Trajectory], Trajectory]:
    return lambda t: by(t, mm * t.axis)


def turned_forward(mm: float) -> Callable[[Trajectory], Trajectory]:
    def change(t: Trajectory) -> Trajectory:
        axis = t.axis - mm / t.length_mm * phantom().frame.posterior
        return replace(t, tip_lps_mm=t.entry_lps_mm + t.length_mm * axis / np.linalg.norm(axis))

    return change


def constraints(report: MarginReport) -> set[str]:
    return {v.constraint for v in report.violations}


def test_the_plan_is_accepted_and_its_witnesses_lie_where_they_should() -> None:
    report = judged(plan())
    surfaces = measuring_surfaces(phantom(), "left")
    assert report.accepted
    for implant in report.implants:
        solid = implant_solid(implant.trajectory)
        for c in implant.clearances:
            assert c.distance_mm > 0
            assert np.linalg.norm(c.at_lps_mm - c.on_implant_lps_mm) == pytest.approx(c.distance_mm, abs=2e-3)
            assert abs(signed_distance(solid, [c.on_implant_lps_mm])[0]) < 2e-3
            assert nearest_point(surfaces.dangers[c.structure], c.at_lps_mm)[0] < 1e-6
            assert c.envelope_mm <= c.distance_mm
            assert c.lower_bound_mm == pytest.approx(c.distance_mm - phantom().geometry_error_mm - JUDGE_TOL_MM)
            assert c.slack_mm >= 0


def test_lengths_add_up_to_the_implant() -> None:
    for implant in judged(plan()).implants:
        parts = implant.protrusion_mm + implant.iliac_mm + implant.joint_mm + implant.sacral_mm
        assert parts == pytest.approx(implant.trajectory.length_mm, abs=0.3)
        assert implant.bare_mm < 10


def test_moving_along_the_axis_moves_protrusion_and_purchase_alike() -> None:
    before, after = judged(plan()).implants[0], judged(moved(1, along(2.0))).implants[0]
    assert after.protrusion_mm == pytest.approx(before.protrusion_mm - 2.0, abs=1e-6)
    assert after.sacral_mm == pytest.approx(before.sacral_mm + 2.0, abs=1e-6)
    assert after.overshoot_reserve_mm <= before.overshoot_reserve_mm


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slot", "change", "constraint"),
    [
        (1, along(-7.0), "protrusion_max"),
        (1, along(6.0), "protrusion_min"),
        (1, along(45.0), "tip_midline"),
        (2, along(12.0), "tip_lateral:S1"),
        (3, along(-9.0), "sacral_length"),
        (2, shifted(anterior_mm=12.0), "clearance:anterior"),
        (1, shifted(cranial_mm=12.0), "clearance:superior"),
        (1, lambda t: replace(t, tip_lps_mm=t.tip_lps_mm + 1.0 * t.axis), "catalogue_length"),
        (1, turned_forward(-35.0), "joint_angle"),
        (3, shifted(cranial_mm=500.0), "joint_crossing"),
        (1, lambda _: plan().trajectories[1], "crossing_spacing"),
        (1, lambda _: plan().trajectories[1], "solid_gap"),
        (1, turned_forward(-35.0), "mutual_angle"),
    ],
)
def test_each_limit_is_named_when_it_is_broken(
    slot: int, change: Callable[[Trajectory], Trajectory], constraint: str
) -> None:
    report = judged(moved(slot, change))
    assert constraint in constraints(report)
    assert not report.accepted
    violation = next(v for v in report.violations if v.constraint == constraint)
    assert violation.missing > 0
    assert slot in violation.slots


def test_implants_out_of_order_are_refused() -> None:
    assert "order" in constraints(judged(replace(plan(), trajectories=plan().trajectories[::-1])))


@pytest.mark.slow
def test_the_margin_falls_all_the_way_out_of_the_bone() -> None:
    """By no more than the implant moves, but for the moment when it cuts the surface.

    Parts of it may have come out of the joint's gap before, where nothing is cut; then they count all at once.
    """
    steps = np.arange(0.0, 12.0, 1.5)
    values = []
    for step in steps:
        implant = judged(moved(2, shifted(anterior_mm=step))).implants[1]
        values.append(next(c.distance_mm for c in implant.clearances if c.structure == "anterior"))
    assert values[0] > 0 > values[-1]
    falls = -np.diff(values)
    cuts = int(np.argmax(np.array(values) < 0)) - 1
    assert (falls > 0).all()
    assert np.delete(falls, cuts).max() < 1.5 + 0.1
    assert falls[cuts] < 2.0 * 1.5


def test_an_implant_in_free_space_is_not_called_clear() -> None:
    report = judged(moved(2, shifted(anterior_mm=60.0)))
    assert report.implants[1].margin_mm < 0


def test_sides_that_touch_are_noted() -> None:
    report = judged(plan())
    assert {f.code for f in side_conflicts(report, report, LIMITS)} == {"sides-conflict"}


@pytest.mark.slow
def test_larger_foramina_never_give_a_larger_distance() -> None:
    fixed = plan()
    before: dict[tuple[int, str], float] = {}
    for scale in (0.85, 1.0, 1.15):
        report = judge(fixed, phantom(scale, 1.0), LIMITS)
        for implant in report.implants:
            for c in implant.clearances:
                if c.structure in ("foramen_S1_left", "foramen_S2_left"):
                    key = (implant.slot, c.structure)
                    assert c.distance_mm <= before.get(key, np.inf) + 1e-6
                    before[key] = c.distance_mm
