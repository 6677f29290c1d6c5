"""Breach probabilities against closed forms, and what the draws mean."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from sjplan.core.error_model import ErrorModel
from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, signed_distance
from sjplan.geometry.triangle_tree import reaches, solid_to_surface, triangle_tree
from sjplan.io.error_models import read_error_models
from sjplan.safety.breach import _cut, breach_report, moved_solids, probability
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces

ROD = ImplantModel("rod", "a rod", "cylinder", 3.0, 3.0, (40.0,))
ROW = Trajectory((40.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, ROD)


def model(tip=0.0, depth=0.0, tilt=0.0, label=0.0):
    return ErrorModel("m", "a model", np.diag(np.square([tip, tip, depth, tilt, tilt])), label)


def wall(normal, offset):
    """A square across `normal`, larger than the rod's reach, `offset` mm from the origin."""
    n = np.array(normal, float) / np.linalg.norm(normal)
    u = np.cross(n, [0.3, 0.5, 0.8])
    u /= np.linalg.norm(u)
    v = np.cross(n, u)
    a, b, c, d = (offset * n + 80 * (i * u + j * v) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return triangle_tree(np.array([[a, b, c], [a, c, d]]))


def share(errors_of, tree, draws, seed=0):
    normal = np.random.default_rng(seed).standard_normal((draws, 5))
    solids, _ = moved_solids(ROW, errors_of.errors(normal))
    return float(_cut(tree, solids, np.zeros(draws)).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errors", "normal", "offset", "expected"),
    [
        # Across the axis, a wall beside the rod: it is reached when the rod moves more than its distance.
        (model(tip=2.0), (0, 1, 0), 3.0 + 2.5, norm.sf(2.5 / 2.0)),
        # Along the axis, a wall ahead of the flat end.
        (model(depth=1.5), (-1, 0, 0), 2.0, norm.sf(2.0 / 1.5)),
        # Both at once, a wall at 45 degrees: the corner of the flat end goes ahead.
        (model(tip=2.0, depth=2.0), (-1, 1, 0), (3.0 + 3.0) / np.sqrt(2), norm.sf(3.0 / np.sqrt(2) / 2.0)),
    ],
)
def test_a_million_draws_agree_with_the_closed_form(errors, normal, offset, expected):
    assert share(errors, wall(normal, offset), 1_000_000) == pytest.approx(expected, abs=0.002)


@pytest.mark.slow
def test_a_million_tilts_agree_with_the_closed_form():
    """A rod that turns about its tip reaches a wall beside its other end where 40 sin a + 3 cos a >= 8."""
    errors = ErrorModel("m", "one tilt", np.diag([0.0, 0, 0, 16.0, 0]))
    u, _ = ROW.section_axes()
    angle = np.degrees(np.arcsin(8.0 / np.hypot(40.0, 3.0)) - np.arctan2(3.0, 40.0))
    assert share(errors, wall(u, 8.0), 1_000_000) == pytest.approx(norm.sf(angle / 4.0), abs=0.002)


def test_moved_solids_turn_about_the_tip_and_stay_what_they_are():
    errors = np.array([[0, 0, 0, 0, 0], [1.0, 2.0, 3.0, 0, 0], [0, 0, 0, 30.0, 40.0]])
    solids, moved = moved_solids(ROW, errors)
    u, v = ROW.section_axes()
    for packed in solids:
        axes = packed[3:12].reshape(3, 3)
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1.0)
    tips = solids[:, :3] + 40.0 * solids[:, 3:6]
    assert tips[0] == pytest.approx([0, 0, 0], abs=1e-12)
    assert tips[1] == pytest.approx(u + 2 * v + 3 * ROW.axis, abs=1e-12)
    assert tips[2] == pytest.approx([0, 0, 0], abs=1e-12)
    assert np.degrees(np.arccos(solids[2, 3:6] @ ROW.axis)) == pytest.approx(50.0)
    assert moved == pytest.approx([0.0, np.sqrt(14), 2 * np.sin(np.deg2rad(25)) * np.hypot(40, 3)])


def test_no_point_moves_farther_than_it_is_said_to():
    rng = np.random.default_rng(0)
    errors = rng.normal(scale=[3, 3, 3, 6, 6], size=(50, 5))
    solids, moved = moved_solids(ROW, errors)
    local = np.stack([rng.uniform(0, 40, 200), *(3.0 / np.sqrt(2) * rng.uniform(-1, 1, (2, 200)))])
    here = Solid(moved_solids(ROW, np.zeros((1, 5)))[0][0]).point(*local)
    for packed, most in zip(solids, moved, strict=True):
        there = Solid(packed).point(*local)
        assert np.linalg.norm(there - here, axis=1).max() <= most + 1e-9


def test_a_solid_reaches_what_lies_nearer_than_the_offset():
    rng = np.random.default_rng(1)
    for _ in range(40):
        corners = rng.uniform(-15, 15, (6, 3, 3)) + np.array([20.0, 0, 0])
        tree, solid = triangle_tree(corners), Solid(moved_solids(ROW, rng.normal(scale=4, size=(1, 5)))[0][0])
        distance = solid_to_surface(tree, solid)[0]
        assert reaches(tree, solid.packed, distance + 0.01)
        assert not reaches(tree, solid.packed, distance - 0.01)
        samples = rng.dirichlet((1, 1, 1), 400) @ corners[0]
        assert signed_distance(solid, samples).min() >= distance - 0.01


def test_published_means_come_out_of_the_model():
    """4.9 mm and 4.0 degrees, means of 30 implants placed with a plan and fluoroscopy (KAMP23)."""
    errors = read_error_models()["fluoro-planned"]
    solids, _ = moved_solids(ROW, errors.errors(np.random.default_rng(2).standard_normal((200_000, 5))))
    tips = solids[:, :3] + 40.0 * solids[:, 3:6]
    assert np.linalg.norm(tips, axis=1).mean() == pytest.approx(4.9, abs=0.05)
    assert np.degrees(np.arccos(solids[:, 3:6] @ ROW.axis)).mean() == pytest.approx(4.0, abs=0.05)


@pytest.mark.slow
def test_interval_covers_the_truth_in_nineteen_of_twenty_seeds():
    errors, tree, truth = model(tip=2.0), wall((0, 1, 0), 3.0 + 2.5), norm.sf(2.5 / 2.0)
    covered = 0
    for seed in range(200):
        p = probability(round(500 * share(errors, tree, 500, seed)), 500)
        covered += p.low <= truth <= p.high
    assert 184 <= covered <= 196


def test_report_of_a_plan(blocks, limits):
    surfaces = measuring_surfaces(blocks.anatomy, blocks.side)
    report = judge(blocks.good(), blocks.anatomy, limits, surfaces)
    none = breach_report(report, surfaces, model(), np.random.default_rng(0), 50)
    assert none.construct.value == 0.0
    wide = breach_report(report, surfaces, model(tip=4.0, depth=3.0, tilt=3.0), np.random.default_rng(0), 1000)
    again = breach_report(report, surfaces, model(tip=4.0, depth=3.0, tilt=3.0), np.random.default_rng(0), 1000)
    assert wide == again
    assert wide.construct.value >= max(i.any.value for i in wide.implants) > 0.01
    assert wide.construct.value <= sum(i.any.value for i in wide.implants) + 1e-9
    for implant in wide.implants:
        assert implant.any.value >= max((p.value for p in implant.by_structure.values()), default=0.0)
        assert implant.any.low <= implant.any.value <= implant.any.high
    narrow = breach_report(report, surfaces, model(tip=2.0, depth=1.5, tilt=1.5), np.random.default_rng(0), 1000)
    assert narrow.construct.value < wide.construct.value


def test_every_draw_is_decided_as_the_judge_measures_it(blocks, limits):
    """The short cut for small moves leaves nothing out: each draw of one implant, measured one by one."""
    surfaces = measuring_surfaces(blocks.anatomy, blocks.side)
    report = judge(blocks.good(), blocks.anatomy, limits, surfaces)
    errors, draws = model(tip=3.0, depth=3.0, tilt=3.0), 60
    found = breach_report(report, surfaces, errors, np.random.default_rng(5), draws)
    normal = np.random.default_rng(5).standard_normal((draws, 3, 5))
    for implant, told in zip(report.implants, found.implants, strict=True):
        solids, _ = moved_solids(implant.trajectory, errors.errors(normal[:, implant.slot - 1]))
        hits = [min(solid_to_surface(t, Solid(s))[0] for t in surfaces.dangers.values()) < 0 for s in solids]
        assert told.any.value == pytest.approx(np.mean(hits))


def test_label_error_alone_moves_the_surfaces(blocks, limits):
    surfaces = measuring_surfaces(blocks.anatomy, blocks.side)
    report = judge(blocks.good(), blocks.anatomy, limits, surfaces)
    one = replace(report, implants=report.implants[:1])
    nearest = min(c.distance_mm for c in one.implants[0].clearances)
    sigma = nearest / 1.5
    found = breach_report(one, surfaces, model(label=sigma), np.random.default_rng(0), 20_000)
    expected = 1.0 - np.prod([norm.cdf(c.distance_mm / sigma) for c in one.implants[0].clearances])
    assert found.construct.value == pytest.approx(expected, abs=0.01)


def test_covariance_that_makes_no_sense():
    with pytest.raises(GeometryError, match=r"m.covariance: found an eigenvalue of -1; wanted a positive semidefinite"):
        ErrorModel("m", "", np.diag([1.0, 1, 1, 1, -1]))
    skew = np.eye(5)
    skew[0, 1] = 0.5
    with pytest.raises(GeometryError, match=r"m.covariance: found an asymmetric matrix"):
        ErrorModel("m", "", skew)
    with pytest.raises(GeometryError, match=r"draws: found 0; wanted 1 or more"):
        breach_report(None, None, model(), np.random.default_rng(0), 0)


def test_correlated_errors_have_the_covariance_they_were_given():
    rng = np.random.default_rng(3)
    half = rng.normal(size=(5, 5))
    errors = ErrorModel("m", "", half @ half.T).errors(rng.standard_normal((400_000, 5)))
    assert np.cov(errors.T) == pytest.approx(half @ half.T, abs=0.08)
