"""The entry map: as good as any single implant found there, nothing off the bone, and the same in a mirror."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.planning.entry_map import CELL_MM, FLOOR_MM, EntryMap, entry_map
from sjplan.planning.finish import Bench, place
from sjplan.planning.protocol import Problem
from sjplan.testing.problems import phantom_problem

NEAR_MM = 0.8
"""A cell's value may miss a single implant's exact slack by what its raster and the fields are off."""


@pytest.fixture(scope="module")
def found(problem: Problem) -> EntryMap:
    return entry_map(problem, cap_mm=np.inf)


def test_planned_entries_lie_in_cells_that_allow_at_least_their_slack(
    found: EntryMap, bench: Bench, axes: np.ndarray
) -> None:
    for axis in axes:
        placed = place(bench, 0, axis)
        assert placed is not None
        _, posterior, cranial = placed.axis[:3] + placed.lateral * placed.axis[3:]
        assert found.at(posterior, cranial) >= placed.value - NEAR_MM


def test_no_cell_promises_what_no_implant_has(found: EntryMap, bench: Bench) -> None:
    """The best cell's promise is kept on the surfaces by some axis of the plain scan, but for the fields' error."""
    assert 3.0 < np.nanmax(found.slack_mm) < 12.0
    assert np.nanmin(found.slack_mm) >= FLOOR_MM


def test_off_the_bone_there_is_nothing(found: EntryMap, problem: Problem, bench: Bench) -> None:
    """Cells with a value hold or touch a point of the lateral ilium, seen from the side."""
    ilium = bench.frame.side_from_lps(problem.anatomy.ilium[problem.side].vertices_lps_mm)
    i, j = np.nonzero(np.isfinite(found.slack_mm))
    middle = np.column_stack([found.posterior_mm[i], found.cranial_mm[j]]) + CELL_MM / 2
    away = np.array([np.linalg.norm(ilium[:, 1:] - p, axis=1).min() for p in middle])
    assert len(middle) > 300
    assert away.max() < 2.0 * CELL_MM
    assert np.isnan(found.at(1e3, 0.0))
    assert np.isnan(found.at(0.0, -1e3))
    low, high = found.posterior_mm[[0, -1]]
    assert np.isnan(found.at(low - 0.1, float(found.cranial_mm.mean())))
    assert np.isnan(found.at(high + 0.1, float(found.cranial_mm.mean())))


def test_there_are_no_holes_in_the_middle(found: EntryMap) -> None:
    from scipy import ndimage

    known = np.isfinite(found.slack_mm)
    assert np.count_nonzero(ndimage.binary_fill_holes(known) & ~known) <= 2


def test_cap_and_floor_bound_the_values(problem: Problem, found: EntryMap) -> None:
    capped = entry_map(problem, cap_mm=2.0)
    assert np.nanmax(capped.slack_mm) == 2.0
    assert np.array_equal(capped.slack_mm, np.minimum(found.slack_mm, 2.0), equal_nan=True)
    assert np.array_equal(entry_map(problem, cap_mm=2.0).slack_mm, capped.slack_mm, equal_nan=True)


def test_mirrored_pelvis_has_the_same_map(found: EntryMap, problem: Problem) -> None:
    """In the side's own coordinates; a point on a cell's border may fall into the next one."""
    mirrored = entry_map(phantom_problem("mirrored"), cap_mm=np.inf)
    assert (problem.side, mirrored.side) == ("left", "right")
    assert np.allclose(mirrored.posterior_mm, found.posterior_mm)
    assert np.allclose(mirrored.cranial_mm, found.cranial_mm)
    known = np.isfinite(found.slack_mm)
    assert np.mean(known == np.isfinite(mirrored.slack_mm)) > 0.99
    both = known & np.isfinite(mirrored.slack_mm)
    off = np.abs(found.slack_mm - mirrored.slack_mm)[both]
    assert np.mean(off < 0.05) > 0.97


def test_stricter_limits_leave_less(found: EntryMap, problem: Problem) -> None:
    limits = problem.limits
    wider = replace(limits, clearance_mm={**limits.clearance_mm, "foramen": 4.0, "anterior": 3.0})
    less = entry_map(replace(problem, limits=wider), cap_mm=np.inf)
    assert np.count_nonzero(less.slack_mm >= 0) < np.count_nonzero(found.slack_mm >= 0)
    upright = entry_map(replace(problem, limits=replace(limits, joint_normal_angle_max_deg=12.0)), cap_mm=np.inf)
    assert np.isfinite(upright.slack_mm).sum() < np.isfinite(found.slack_mm).sum()


def test_where_nothing_passes_the_map_is_empty(problem: Problem) -> None:
    rod = replace(problem.models[0], lengths_mm=(290.0,))
    none = entry_map(replace(problem, models=(rod,) * 3, limits=replace(problem.limits, iliac_min_mm=250.0)))
    assert np.isnan(none.slack_mm).all()
    assert np.isnan(none.at(0.5, 0.5))
