"""rule-v1's idea: parallel implants along the left-right axis, where the lateral view's landmarks say."""

from itertools import pairwise

import numpy as np
import pytest

from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.planning.baselines.rule import (
    ANTERIOR_MM,
    BELOW_ICD_MM,
    BODY_DEPTH_SHARE,
    SPACING_MM,
    LateralView,
    by_rule,
    entry_points,
    lateral_view,
    upper_outline,
)
from sjplan.planning.finish import Bench
from sjplan.testing.problems import phantom_anatomy

MARGIN_MM = 5.0


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


def test_a_joint_in_two_pieces_has_an_outline() -> None:
    """Between the pieces, wider apart than a window, it runs straight on; a joint narrower than one has a point."""
    front, back = np.array([(y, 5.0) for y in range(10)]), np.array([(y, -5.0) for y in range(25, 40)])
    outline = upper_outline(np.concatenate([front, back]))
    assert np.isfinite(outline).all()
    assert np.interp(17.0, *outline.T) == pytest.approx(0.0)
    assert upper_outline(np.array([(0.0, 1.0), (2.0, 7.0)])).tolist() == [[1.0, 7.0]]


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


@pytest.fixture(scope="module")
def stated(bench: Bench) -> list[Trajectory]:
    """The three implants on the left of the phantom; not judged."""
    placed = by_rule(bench, MARGIN_MM)
    assert all(placed)
    return [bench.trajectory(slot, p.axis, p.start, p.stop) for slot, p in enumerate(placed) if p is not None]


def test_implants_are_parallel_and_perpendicular_to_the_sagittal_plane(stated: list[Trajectory]) -> None:
    for trajectory in stated:
        assert trajectory.axis == pytest.approx(-phantom_anatomy().frame.left, abs=1e-9)


def test_lengths_are_the_longest_that_stop_short_of_the_foramina(stated: list[Trajectory]) -> None:
    anatomy = phantom_anatomy()
    for slot, (trajectory, levels) in enumerate(zip(stated, (("S1",), ("S1",), ("S1", "S2")), strict=True), 1):
        assert trajectory.in_catalogue
        edge = max(f.most_lateral_mm for level in levels if (f := anatomy.foramen(level, "left")))
        reserve = float(anatomy.frame.frame_from_lps(trajectory.tip_lps_mm)[0]) - edge - MARGIN_MM
        if trajectory.length_mm > min(trajectory.model.lengths_mm) + 1e-6:
            assert 0.0 <= reserve < 5.0, f"implant {slot}: lengths come in steps of 5 mm"
