"""Clearance along a path, fast: beside the judge, and beside the profile that measures every slab to its tolerance."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.limits import Limits
from sjplan.core.structures import DANGERS
from sjplan.core.tolerances import DEPTH_TOL_MM, JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.triangle_tree import nearest_point
from sjplan.io.catalogue import read_implants
from sjplan.safety.measures import implant_margins
from sjplan.safety.path_clearance import STATION_MM, path_clearance
from sjplan.safety.profile import clearance_profile
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.testing.problems import phantom_anatomy

SAMPLED_MM = 0.5
"""How much shallower than the judge's depth the deepest sampled point may lie, but for few."""

SLIVER_MM = 1.0
"""And at the most: what is out beside a face of the joint may be a sliver between two points."""


@pytest.fixture(scope="module")
def surfaces() -> MeasuringSurfaces:
    return measuring_surfaces(phantom_anatomy(), "left")


def through_the_joint(surfaces: MeasuringSurfaces, seed: int, length_mm: float = 45.0) -> Trajectory:
    """An implant through some point of the articular joint, some 20 degrees off its normal."""
    rng = np.random.default_rng(seed)
    joint = surfaces.anatomy.joints[surfaces.side]
    axis = joint.mean_normal + 0.2 * rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    crossed = joint.sacral_lps_mm[joint.articular]
    entry = crossed[int(rng.integers(len(crossed)))] - 25.0 * axis
    return Trajectory(entry, entry + length_mm * axis, 30.0, read_implants()["tri-7"])


def test_least_clearance_is_the_judges_margin(surfaces: MeasuringSurfaces, limits: Limits) -> None:
    shallower = []
    for seed in range(60):
        path = through_the_joint(surfaces, seed, 40.0 + 0.37 * (seed % 10))
        margins, along = implant_margins(surfaces, 1, path, limits), path_clearance(surfaces, path)
        if margins.margin_mm > 0.0:
            assert along.least_mm == pytest.approx(margins.margin_mm, abs=2 * JUDGE_TOL_MM), seed
            continue
        shallower.append(along.least_mm - margins.margin_mm)
        assert along.least_mm < 0.0, seed
        named = {c.structure: c.envelope_mm for c in margins.clearances}
        assert named[along.structure[along.worst]] <= along.least_mm + SLIVER_MM, seed
    assert len(shallower) > 30
    # Deeper than the judge's by no more than the judge's own tolerance for depths.
    assert -2 * DEPTH_TOL_MM <= min(shallower) <= max(shallower) <= SLIVER_MM
    assert np.quantile(shallower, 0.95) <= SAMPLED_MM


@pytest.mark.parametrize("seed", range(3))
def test_every_slab_says_what_the_exact_profile_says(surfaces: MeasuringSurfaces, limits: Limits, seed: int) -> None:
    free = replace(limits, clearance_mm=dict.fromkeys(limits.clearance_mm, 0.0))
    path = through_the_joint(surfaces, seed)
    along, exact = path_clearance(surfaces, path, 5.0), clearance_profile(surfaces, path, free, 5.0)
    assert along.along_mm == pytest.approx(exact.along_mm)
    clear = exact.slack_mm > 0.0
    assert clear.any()
    assert along.clearance_mm[clear] == pytest.approx(exact.slack_mm[clear], abs=2 * JUDGE_TOL_MM)
    assert (along.clearance_mm[~clear] <= exact.slack_mm[~clear] + 4.0 * SAMPLED_MM).all()


def test_points_lie_on_the_axis_every_millimetre_and_no_danger_is_nearer(surfaces: MeasuringSurfaces) -> None:
    path = through_the_joint(surfaces, 1)
    along = path_clearance(surfaces, path)
    assert len(along.along_mm) == round(path.length_mm / STATION_MM) == len(along.structure)
    assert along.points_lps_mm == pytest.approx(path.entry_lps_mm + along.along_mm[:, None] * path.axis)
    reach = float(np.hypot(path.model.circumscribed_radius_mm, 0.5 * STATION_MM))
    for point, clearance, name in zip(along.points_lps_mm, along.clearance_mm, along.structure, strict=True):
        assert name in DANGERS
        distance = min(nearest_point(tree, point)[0] for tree in surfaces.dangers.values())
        assert clearance <= distance + JUDGE_TOL_MM
        if clearance > 0.0:
            assert clearance >= distance - reach - JUDGE_TOL_MM


def test_a_path_driven_on_comes_out_and_says_where(surfaces: MeasuringSurfaces, limits: Limits) -> None:
    foramen = surfaces.anatomy.foramen("S1", "left")
    assert foramen is not None
    path = through_the_joint(surfaces, 1)
    aim = foramen.lumen_lps_mm.mean(axis=0) - path.entry_lps_mm
    into = replace(path, tip_lps_mm=path.entry_lps_mm + aim)
    along = path_clearance(surfaces, into)
    assert along.structure[-1] == "foramen_S1_left"
    assert along.clearance_mm[-1] < -1.0
    # What stands lateral of the ilium is not out, however far out it stands.
    proud = path_clearance(surfaces, replace(into, entry_lps_mm=into.entry_lps_mm - 25.0 * into.axis))
    assert proud.passage.lateral_mm is not None
    assert (proud.clearance_mm[proud.along_mm < proud.passage.lateral_mm - 1.0] > 0.0).all()
