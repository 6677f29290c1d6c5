"""The joint as the search sees it: footprints as the judge measures them, crossings all over, a full cone."""

import numpy as np
import pytest

from sjplan.core.arrays import unit
from sjplan.planning.finish import Bench
from sjplan.planning.joint_map import JointSamples, crossings, directions, footprint, plain_footprint
from sjplan.planning.protocol import Problem
from sjplan.safety.measures import joint_footprint


@pytest.mark.parametrize(("half_angle_deg", "step_deg"), [(43.0, 4.0), (43.0, 6.0), (20.0, 5.0)])
def test_directions_cover_the_cone(half_angle_deg: float, step_deg: float) -> None:
    """No direction of the cone is farther than a step from one of them, and none lies outside."""
    rng = np.random.default_rng(0)
    for mean in (np.array([-1.0, 0.0, 0.0]), unit([-0.3, 0.2, 0.95]), unit([0.1, -0.2, -0.99])):
        ways = directions(mean, half_angle_deg, step_deg)
        assert np.linalg.norm(ways, axis=1) == pytest.approx(1.0, abs=1e-12)
        assert ways[0] == pytest.approx(mean)
        angle = np.degrees(np.arccos(np.clip(ways @ mean, -1, 1)))
        assert angle.max() <= half_angle_deg + 1e-6
        covered = step_deg * int(half_angle_deg / step_deg)
        asked = rng.standard_normal((20000, 3))
        asked /= np.linalg.norm(asked, axis=1, keepdims=True)
        asked = asked[asked @ mean >= np.cos(np.deg2rad(covered))]
        nearest = np.degrees(np.arccos(np.clip((asked @ ways.T).max(axis=1), -1, 1)))
        assert len(asked) > 400
        assert nearest.max() <= 0.75 * step_deg


@pytest.mark.parametrize("step_mm", [2.0, 3.0])
def test_crossings_cover_the_joint(step_mm: float, problem: Problem, bench: Bench) -> None:
    """Seen from the side, every sample of the joint has a crossing within its own cell; every crossing is a sample."""
    joint = problem.anatomy.joints[problem.side]
    middle = bench.frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
    points = crossings(joint, bench.frame, step_mm)
    apart = np.linalg.norm(middle[:, None, 1:] - points[None, :, 1:], axis=2)
    assert apart.min(axis=1).max() <= step_mm * np.sqrt(2.0)
    assert np.linalg.norm(middle[:, None] - points[None], axis=2).min(axis=0).max() < 1e-9
    assert len(np.unique(np.floor(points[:, 1:] / step_mm), axis=0)) == len(points)


def test_samples_keep_the_joint_s_normals_and_parts(problem: Problem, joint: JointSamples) -> None:
    whole = problem.anatomy.joints[problem.side]
    assert 100 < len(joint.point) <= len(whole.normal)
    weight = np.linalg.norm(joint.normal, axis=1)
    assert weight == pytest.approx(np.round(weight), abs=1e-9), "a normal is as long as the samples it stands for"
    assert weight.min() > 0.5
    assert weight.sum() == pytest.approx(len(whole.normal))
    assert joint.articular.mean() == pytest.approx(whole.articular.mean(), abs=0.05)
    assert (joint.normal[:, 0] < 0).mean() > 0.95


def test_footprint_is_the_judge_s(problem: Problem, bench: Bench, joint: JointSamples) -> None:
    """The judge counts every sample, the search one a cell: within a degree but at the joint's rim, where few samples
    decide; and the share within a fifth at worst."""
    whole = problem.anatomy.joints[problem.side]
    points = crossings(whole, bench.frame, 3.0)
    ways = directions(bench.frame.side_from_vector(whole.mean_normal), 43.0, 6.0)
    rng = np.random.default_rng(1)
    angles, shares = [], []
    for _ in range(400):
        axis = np.concatenate([points[rng.integers(len(points))], ways[rng.integers(len(ways))]])
        count, cosine, share = footprint(joint, axis, 0.0, 6.0)
        if count < 4:
            continue
        ends = bench.frame.lps_from_side(axis[:3] + np.array([[0.0], [1.0]]) * axis[3:])
        angle, wanted = joint_footprint(whole, ends[0], ends[1] - ends[0], 6.0)
        angles.append(np.degrees(np.arccos(min(cosine, 1.0))) - angle)
        shares.append(share - wanted)
    assert len(angles) > 300
    assert np.quantile(np.abs(angles), 0.98) < 1.0
    assert np.abs(angles).max() < 2.5
    assert np.abs(shares).max() < 0.2
    assert np.abs(shares).mean() < 0.03


def test_footprint_of_nothing(joint: JointSamples) -> None:
    assert footprint(joint, np.array([0.0, 0.0, 500.0, -1.0, 0.0, 0.0]), 0.0, 6.0) == (0, -1.0, 0.0)


def test_footprint_is_the_plain_one(joint: JointSamples) -> None:
    """To the last digit: both add the samples up in the same order."""
    rng = np.random.default_rng(2)
    met = 0
    for radius in (3.0, 6.0, 9.0):
        for _ in range(200):
            point = joint.point[rng.integers(len(joint.point))] + 4.0 * rng.standard_normal(3)
            axis = np.concatenate([point, unit([-1.0, *0.5 * rng.standard_normal(2)])])
            middle = rng.uniform(-30.0, 30.0)
            wanted = plain_footprint(joint, axis, middle, radius)
            assert footprint(joint, axis, middle, radius) == wanted
            met += wanted[0] > 0
    assert 300 < met < 600


def test_bunches_hold_their_samples(joint: JointSamples) -> None:
    first = np.arange(0, len(joint.point), 16)
    assert len(joint.bunch) == len(first)
    for ball, n in zip(joint.bunch, first, strict=True):
        assert np.linalg.norm(joint.point[n : n + 16] - ball[:3], axis=1).max() <= ball[3]
    assert np.median(joint.bunch[:, 3]) < 6.0
