"""Clearance along a path: the slabs together say what the judge says of the whole envelope."""

import numpy as np
import pytest

from sjplan.core.limits import Limits
from sjplan.core.tolerances import DEPTH_TOL_MM, JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import envelope_solid, signed_distance
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.safety.measures import implant_margins
from sjplan.safety.profile import clearance_profile
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.testing.problems import phantom_anatomy


@pytest.fixture(scope="module")
def surfaces() -> MeasuringSurfaces:
    return measuring_surfaces(phantom_anatomy(), "left")


@pytest.fixture(scope="module")
def default_limits() -> Limits:
    return read_limits()


def through_the_joint(surfaces: MeasuringSurfaces, seed: int, length_mm: float = 45.0) -> Trajectory:
    """An implant of any catalogue section through some point of the joint, at most some 20 degrees off its normal."""
    rng = np.random.default_rng(seed)
    joint = surfaces.anatomy.joints[surfaces.side]
    n = int(rng.integers(len(joint.sacral_lps_mm)))
    axis = joint.mean_normal + 0.2 * rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    entry = joint.sacral_lps_mm[n] - 25.0 * axis
    model = read_implants()["tri-7" if seed % 2 else "rod-10" if "rod-10" in read_implants() else "tri-7"]
    return Trajectory(entry, entry + length_mm * axis, 30.0, model)


@pytest.fixture(scope="module")
def clear(surfaces: MeasuringSurfaces, default_limits: Limits) -> Trajectory:
    """An implant of 45.2 mm that no danger's surface cuts."""
    drawn = (through_the_joint(surfaces, seed, 45.2) for seed in range(60))
    return next(t for t in drawn if implant_margins(surfaces, 1, t, default_limits).margin_mm > 0.5)


@pytest.mark.parametrize("seed", range(8))
def test_worst_station_is_the_judges_worst_slack(
    surfaces: MeasuringSurfaces, default_limits: Limits, seed: int
) -> None:
    trajectory = through_the_joint(surfaces, seed, 40.0 + 0.37 * seed)
    margins = implant_margins(surfaces, 1, trajectory, default_limits)
    cut = margins.margin_mm <= 0
    profile = clearance_profile(surfaces, trajectory, default_limits, 5.0 if cut else 0.5)
    worst = float(profile.slack_mm.min())
    assert worst == pytest.approx(margins.slack_mm, abs=2 * (DEPTH_TOL_MM if cut else JUDGE_TOL_MM))
    if not cut:
        named = {c.structure: c.slack_mm for c in margins.clearances}
        assert named[profile.structure[profile.worst]] == pytest.approx(worst, abs=2 * JUDGE_TOL_MM)


def test_stations_cover_the_implant_evenly(
    surfaces: MeasuringSurfaces, default_limits: Limits, clear: Trajectory
) -> None:
    profile = clearance_profile(surfaces, clear, default_limits)
    assert len(profile.along_mm) == len(profile.slack_mm) == len(profile.structure) == 90
    assert np.allclose(np.diff(profile.along_mm), 45.2 / 90)
    assert profile.along_mm[0] == pytest.approx(45.2 / 180)
    assert profile.along_mm[-1] == pytest.approx(45.2 - 45.2 / 180)
    # No point of a slab lies farther from the next slab's points than they are apart.
    assert np.abs(np.diff(profile.slack_mm)).max() <= 45.2 / 90 + 2 * JUDGE_TOL_MM


def test_each_station_is_what_points_on_the_dangers_say(
    surfaces: MeasuringSurfaces, default_limits: Limits, clear: Trajectory
) -> None:
    """The slow way: distances of the triangles' corners and middles to the slab; they may only be farther."""
    profile = clearance_profile(surfaces, clear, default_limits)
    whole = envelope_solid(clear)
    half = whole.length_mm / len(profile.along_mm) / 2
    for n in range(0, len(profile.along_mm), 15):
        slab = type(whole)(np.concatenate([
            whole.packed[:3] + (profile.along_mm[n] - half) * whole.packed[3:6], whole.packed[3:12], [2 * half],
            whole.packed[13:],
        ]))  # fmt: skip
        slow = np.inf
        for name, tree in surfaces.dangers.items():
            corners = tree.corners
            points = np.concatenate([corners.reshape(-1, 3), corners.mean(axis=1)])
            slow = min(slow, float(signed_distance(slab, points).min()) - default_limits.clearance_of(name))
        assert profile.slack_mm[n] <= slow + JUDGE_TOL_MM
        assert profile.slack_mm[n] >= slow - 0.6, "a triangle of the 2 mm phantom is under 2 mm wide"


def test_passage_is_where_the_bones_are(surfaces: MeasuringSurfaces, default_limits: Limits, clear: Trajectory) -> None:
    passage = clearance_profile(surfaces, clear, default_limits).passage
    margins = implant_margins(surfaces, 1, clear, default_limits)
    assert passage.lateral_mm == pytest.approx(margins.protrusion_mm)
    assert passage.sacral_mm == pytest.approx(margins.sacral_mm)


def test_an_implant_out_of_the_bone_is_below_zero_where_it_is_out(
    surfaces: MeasuringSurfaces, default_limits: Limits
) -> None:
    good = through_the_joint(surfaces, 3)
    ahead = 40.0 * surfaces.anatomy.frame.posterior * -1.0
    out = Trajectory(good.entry_lps_mm + ahead, good.tip_lps_mm + ahead, 0.0, good.model)
    profile = clearance_profile(surfaces, out, default_limits, 6.0)
    margins = implant_margins(surfaces, 1, out, default_limits)
    assert margins.slack_mm < 0
    assert profile.slack_mm.min() == pytest.approx(margins.slack_mm, abs=0.2)
