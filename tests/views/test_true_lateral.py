"""The true lateral on schematic lines with known shifts between the sides."""

import numpy as np
import pytest

from sjplan.core.frames import AnatomicalFrame
from sjplan.views.quality import lateral_quality
from sjplan.views.standard import standard_views
from sjplan.views.true_lateral import DENSITY_MM, NOTCH_MM, offsets, true_lateral
from sjplan.xray.carm import carm_angles, carm_rotation, ray_direction
from sjplan.xray.types import CArm

HALF_MM, ROOF_MM, ABOVE_MM = 73.0, -45.0, 30.0


def lines(right_shift=(0.0, 0.0), density_shift=None):
    """Arches 20 mm wide and straight densities, 73 mm off the mid-plane; on the right moved (posterior, cranial)."""
    back = np.arange(-10.0, 10.1, 1.0)
    arch = np.column_stack([back - 40.0, ROOF_MM - back**2 / 24.0])
    along = np.arange(-40.0, -4.0, 2.0)
    density = np.column_stack([along, np.full(len(along), ROOF_MM + ABOVE_MM)])
    shift = {"notch": right_shift, "iliac_density": density_shift or right_shift}
    made = {}
    for name, line in (("notch", arch), ("iliac_density", density)):
        made[f"{name}_left"] = np.column_stack([np.full(len(line), HALF_MM), line])
        made[f"{name}_right"] = np.column_stack([np.full(len(line), -HALF_MM), line + np.array(shift[name])])
    return made


def frame(turn=None):
    return AnatomicalFrame((10.0, -20.0, 30.0), np.eye(3) if turn is None else np.eye(3) @ turn.T)


def placed(made, where):
    return {name: where.lps_from_frame(line) for name, line in made.items()}


def pose(found, source_mm=650.0):
    """A C-arm whose central ray is the one found."""
    ray = found.ray
    up = np.array([0.0, 0.0, 1.0]) - ray[2] * ray
    up = up / np.linalg.norm(up)
    angles = carm_angles(np.column_stack([np.cross(ray, up), ray, up]))
    return CArm(*angles, found.centre_lps_mm, source_mm)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, 0.0), (0.0, -3.0), (-4.0, 2.5)])
def test_offsets_are_the_shift_between_the_sides(shift):
    found = offsets(lines(shift))
    assert found is not None
    assert found.notch_mm == pytest.approx(shift, abs=0.13)
    assert found.density_mm == pytest.approx(shift[1], abs=1e-9)


@pytest.mark.parametrize("back", [9.0, -10.0])
def test_a_large_shift_is_found_whole_or_not_at_all(back):
    found = offsets(lines((back, 1.0), (0.0, 1.0)))
    assert found is not None
    assert found.notch_mm == pytest.approx((back, 1.0), abs=0.3)
    beyond = offsets(lines((1.9 * back, 1.0), (0.0, 1.0)))
    assert beyond is None or abs(beyond.notch_mm[0]) > 8.5, "never a little where it is much"


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, 0.0), (0.0, -3.0), (-4.0, 2.5)])
def test_the_ray_lays_both_sides_on_each_other(shift):
    where = frame(carm_rotation(10.0, -6.0, 4.0))
    seen = placed(lines(shift), where)
    found = true_lateral(where, seen)
    assert found is not None
    left, right = seen["notch_left"].mean(axis=0), seen["notch_right"].mean(axis=0)
    across = np.cross(found.ray, (left - right) / np.linalg.norm(left - right))
    assert np.linalg.norm(across) < 0.13 / HALF_MM, "the ray runs from one side's notch to the other's"
    quality = lateral_quality(where, seen, pose(found), parallel=True)
    assert quality is not None
    assert quality.true
    assert quality.notch_mm < 0.4


def test_where_notches_and_densities_disagree_both_get_their_share():
    """Notches 4 mm apart upwards, densities not: each keeps an error, in the ratio that their tolerances allow."""
    where = frame()
    seen = placed(lines((0.0, 4.0), (0.0, 0.0)), where)
    found = true_lateral(where, seen)
    assert found is not None
    quality = lateral_quality(where, seen, pose(found), parallel=True)
    assert quality is not None
    assert quality.notch_mm + quality.density_mm == pytest.approx(4.0, abs=0.15)
    assert quality.notch_mm / quality.density_mm == pytest.approx((NOTCH_MM / DENSITY_MM) ** 2, rel=0.1)


@pytest.mark.parametrize("source_mm", [500.0, 650.0, 900.0])
def test_what_perspective_leaves_is_shared(source_mm):
    """Two sides 2 w apart, seen from D: what lies h apart cannot agree twice; 3 to 2 is how the rest is shared."""
    where = frame()
    seen = placed(lines(), where)
    found = true_lateral(where, seen)
    assert found is not None
    quality = lateral_quality(where, seen, pose(found, source_mm))
    assert quality is not None
    scale = source_mm / (source_mm - HALF_MM) - source_mm / (source_mm + HALF_MM)
    assert quality.notch_mm + quality.density_mm == pytest.approx(scale * ABOVE_MM, rel=0.12)
    assert quality.notch_mm / quality.density_mm == pytest.approx(NOTCH_MM / DENSITY_MM, rel=0.2)


def test_sides_that_share_nothing_or_are_missing_give_no_answer():
    far = lines((60.0, 0.0))
    assert true_lateral(frame(), placed(far, frame())) is None
    one_sided = {name: line for name, line in lines().items() if not name.endswith("right")}
    assert true_lateral(frame(), placed(one_sided, frame())) is None
    assert lateral_quality(frame(), one_sided, CArm(90, 0, 0, (0, 0, 0))) is None


def test_the_standard_lateral_takes_the_ray_and_its_place():
    where = frame()
    seen = placed(lines((2.0, -3.0)), where)
    found = true_lateral(where, seen)
    assert found is not None
    carm = standard_views(where, {}, lines=seen)["lateral"]
    assert ray_direction(carm) == pytest.approx(found.ray, abs=1e-9)
    assert carm.isocentre_lps_mm == pytest.approx(found.centre_lps_mm)
    assert standard_views(where, {})["lateral"].orbital_deg == pytest.approx(90.0)
