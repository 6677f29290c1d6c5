"""rule-v1's idea: parallel implants along the left-right axis, where the lateral view's landmarks say."""

from itertools import pairwise

import numpy as np
import pytest

from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Plan, Side
from sjplan.planning.baselines.rule import (
    ANTERIOR_MM,
    BELOW_ICD_MM,
    BODY_DEPTH_SHARE,
    LATERAL_OF_FORAMEN_MM,
    SPACING_MM,
    LateralView,
    RulePlanner,
    entry_points,
    lateral_view,
)
from sjplan.planning.protocol import Budget
from sjplan.testing.problems import phantom_anatomy, phantom_problem


def view(**changed: object) -> LateralView:
    """A level ICD at -5 mm, an upright body 32 mm deep behind the promontory."""
    parts: dict[str, object] = {
        "icd_mm": np.array([(-20.0, -5.0), (30.0, -5.0)]),
        "promontory_mm": np.array([-16.0, 0.0]),
        "wall_mm": np.array([(16.0, 0.0), (16.0, -90.0)]),
        "foramina_mm": (-38.0, -64.0),
        "joint_lateral_mm": 48.0,
    }
    return LateralView(**(parts | changed))  # type: ignore[arg-type]


def test_entry_points_by_hand() -> None:
    """First 10 mm below the ICD, at five eighths of the body's depth; third midway between the foramina."""
    points = entry_points(view())
    depth = -16.0 + BODY_DEPTH_SHARE * 32.0
    assert points[:, 0] == pytest.approx([48.0] * 3)
    assert points[:, 1] == pytest.approx([depth, depth, depth - ANTERIOR_MM])
    assert points[:, 2] == pytest.approx([-5.0 - BELOW_ICD_MM, -33.0, -51.0])


@pytest.mark.parametrize(("foramina", "spacing"), [((-20.0, -40.0), SPACING_MM[0]), ((-60.0, -90.0), SPACING_MM[1])])
def test_spacing_stays_within_its_bounds(foramina: tuple[float, float], spacing: float) -> None:
    heights = entry_points(view(foramina_mm=foramina))[:, 2]
    assert [a - b for a, b in pairwise(heights)] == pytest.approx([spacing, spacing])


def test_points_follow_the_posterior_body_line() -> None:
    """A wall that leans back by 45 degrees: steps along it, the implants as far in front of it as the first."""
    points = entry_points(view(wall_mm=np.array([(16.0, 0.0), (106.0, -90.0)]), foramina_mm=(-60.0, -90.0)))
    steps = np.diff(points[:2, 1:], axis=0)
    assert np.linalg.norm(steps) == pytest.approx(SPACING_MM[1])
    assert steps[0, 0] == pytest.approx(-steps[0, 1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_landmarks_of_the_phantom(side: Side) -> None:
    anatomy = phantom_anatomy()
    seen = lateral_view(anatomy, side)
    s1, s2 = seen.foramina_mm
    assert s1 > s2
    assert seen.promontory_mm[0] < seen.wall_mm[0, 0], "the promontory lies in front of the canal"
    assert (np.diff(seen.wall_mm[:, 1]) < 0).all()
    assert 30.0 < seen.joint_lateral_mm < 60.0
    joint = anatomy.frame.frame_from_lps(anatomy.joints[side].iliac_lps_mm)
    assert seen.icd_mm[:, 1].max() <= joint[:, 2].max()


@pytest.fixture(scope="module", params=["left", "right"])
def stated(request: pytest.FixtureRequest) -> tuple[Side, Plan]:
    problem = phantom_problem(side=request.param)
    outcome = RulePlanner().plan(problem, rng=np.random.default_rng(0), budget=Budget())
    plan = outcome.plan or outcome.nearest
    assert plan is not None
    return request.param, plan


def test_implants_are_parallel_and_perpendicular_to_the_sagittal_plane(stated: tuple[Side, Plan]) -> None:
    side, plan = stated
    medial = -SIDE_SIGN[side] * phantom_anatomy().frame.left
    for trajectory in plan.trajectories:
        assert trajectory.axis == pytest.approx(medial, abs=1e-9)


def test_lengths_are_the_longest_that_stop_short_of_the_foramina(stated: tuple[Side, Plan]) -> None:
    side, plan = stated
    anatomy = phantom_anatomy()
    for slot, (trajectory, levels) in enumerate(zip(plan.trajectories, (("S1",), ("S1",), ("S1", "S2")), strict=True)):
        assert trajectory.in_catalogue
        edge = max(f.most_lateral_mm for level in levels if (f := anatomy.foramen(level, side)))
        tip = float(anatomy.frame.frame_from_lps(trajectory.tip_lps_mm)[0]) * SIDE_SIGN[side]
        reserve = tip - edge - LATERAL_OF_FORAMEN_MM
        if trajectory.length_mm > min(trajectory.model.lengths_mm):
            assert 0.0 <= reserve < 5.0, f"implant {slot + 1}: lengths come in steps of 5 mm"


def test_chance_plays_no_part() -> None:
    plans = [
        RulePlanner().plan(phantom_problem(), rng=np.random.default_rng(seed), budget=Budget()).nearest
        for seed in (1, 2)
    ]
    assert plans[0] is not None
    assert plans[1] is not None
    for a, b in zip(plans[0].trajectories, plans[1].trajectories, strict=True):
        assert a.tip_lps_mm.tolist() == b.tip_lps_mm.tolist()
