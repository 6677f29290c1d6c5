"""The fields that a search uses, against exact distances to the surfaces they were made from."""

import numpy as np
import pytest

from sjplan.core.structures import DANGERS, SURFACE_NAMES
from sjplan.geometry.triangle_tree import TriangleTree, nearest_point
from sjplan.planning.field import PlanningField, SideFrame, planning_field
from sjplan.planning.finish import Bench
from sjplan.planning.protocol import Problem
from sjplan.testing.problems import phantom_problem

TRIANGLE_MM = 2.0
"""Edge of a surface's triangles: the phantom's voxels."""


@pytest.fixture(scope="module")
def nodes(field: PlanningField) -> np.ndarray:
    """Node indices, (n, 3)."""
    return np.random.default_rng(0).integers(0, field.slack.shape, (2500, 3))


def in_reach(field: PlanningField, point: np.ndarray) -> bool:
    """Whether a point in side coordinates lies on the grid, a node's width inside its border."""
    high = field.origin + (np.array(field.slack.shape) - 1) * field.step
    return bool((point >= field.origin + field.step).all() and (point <= high - field.step).all())


def errors(field: PlanningField, values: np.ndarray, tree: TriangleTree, bench: Bench, nodes: np.ndarray) -> np.ndarray:
    """Field less exact signed distance, at nodes whose nearest surface lies on the grid."""
    found = []
    for node in nodes:
        distance, sign, _, nearest = nearest_point(tree, bench.frame.lps_from_side(field.origin + node * field.step))
        if in_reach(field, bench.frame.side_from_lps(nearest)):
            found.append(float(values[tuple(node)]) - sign * distance)
    return np.array(found)


@pytest.mark.parametrize("bone", ["sacrum", "ilium"])
def test_signed_distance_to_a_bone(bone: str, field: PlanningField, bench: Bench, nodes: np.ndarray) -> None:
    """Triangles stand for themselves by their centroids: off by 0.2 mm on average, never by an edge."""
    error = errors(field, getattr(field, bone), getattr(bench.surfaces, bone), bench, nodes)
    assert len(error) > 1500
    assert np.abs(error).mean() < 0.125 * TRIANGLE_MM
    assert np.abs(error).max() < TRIANGLE_MM


def test_slack_inside_bone(problem: Problem, field: PlanningField, bench: Bench, nodes: np.ndarray) -> None:
    """In the bone, where implants go, slack is too high by 0.3 mm on average, by less than a triangle's edge at worst.

    That is why a plan is refined on the surfaces before it is called one. It is too low only right at the surface,
    where the plane of the nearest triangle decides what is inside.
    """
    above = []
    for node in nodes:
        point = bench.frame.lps_from_side(field.origin + node * field.step)
        if nearest_point(bench.surfaces.sacrum, point)[1] > 0 and nearest_point(bench.surfaces.ilium, point)[1] > 0:
            continue
        exact, nearest = np.inf, np.zeros(3)
        for name, tree in bench.surfaces.dangers.items():
            distance, _, _, where = nearest_point(tree, point)
            if distance - problem.limits.clearance_of(name) < exact:
                exact, nearest = distance - problem.limits.clearance_of(name), where
        if in_reach(field, bench.frame.side_from_lps(nearest)):
            above.append(float(field.slack[tuple(node)]) - exact)
    assert len(above) > 300
    assert min(above) > -0.125 * TRIANGLE_MM
    assert np.mean(above) < 0.2 * TRIANGLE_MM
    assert max(above) < TRIANGLE_MM


def test_slack_out_of_the_bone_is_the_depth(
    problem: Problem, field: PlanningField, bench: Bench, nodes: np.ndarray
) -> None:
    """Behind a danger, medial of the joint: minus the depth less the limit. Which of two structures counts as the
    nearest may differ near their seam, so the middle of the errors is held, not the worst."""
    label = bench.surfaces.whole.label
    middle = np.median(bench.frame.side_from_lps(problem.anatomy.joints[problem.side].sacral_lps_mm)[:, 0])
    off = []
    for node in nodes:
        side_point = field.origin + node * field.step
        distance, sign, which, where = nearest_point(bench.surfaces.everything, bench.frame.lps_from_side(side_point))
        name = SURFACE_NAMES[label[which]]
        if sign < 0 or distance < 1.5 or name not in DANGERS or side_point[0] >= middle:
            continue
        if in_reach(field, bench.frame.side_from_lps(where)):
            off.append(float(field.slack[tuple(node)]) + distance + problem.limits.clearance_of(name))
    assert len(off) > 400
    assert np.median(np.abs(off)) < 0.15 * TRIANGLE_MM
    assert np.percentile(np.abs(off), 95) < 0.5 * TRIANGLE_MM


def test_mirrored_patient_has_the_same_fields(field: PlanningField) -> None:
    """In side coordinates left and right look alike; float32 rounding is all that differs."""
    there = phantom_problem("mirrored")
    other = planning_field(there.anatomy, there.side, there.limits)
    for name in ("slack", "sacrum", "ilium"):
        assert np.abs(getattr(other, name) - getattr(field, name)).max() < 1e-3


def test_side_coordinates_are_lateral_posterior_cranial(problem: Problem) -> None:
    frame = problem.anatomy.frame
    for side, sign in (("left", 1.0), ("right", -1.0)):
        there = SideFrame(frame, side)
        points = frame.origin_lps_mm + np.array([30 * sign * frame.left, 20 * frame.posterior, 10 * frame.cranial])
        assert there.side_from_lps(points) == pytest.approx(np.diag([30.0, 20.0, 10.0]), abs=1e-9)
        assert there.lps_from_side(np.diag([30.0, 20.0, 10.0])) == pytest.approx(points, abs=1e-9)
        assert there.side_from_vector(sign * frame.left) == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)
