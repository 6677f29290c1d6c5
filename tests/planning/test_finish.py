"""From axes to implants: what finishing measures is what the judge measures, and no step makes a plan worse."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.arrays import unit
from sjplan.planning.candidates import NOTHING
from sjplan.planning.field import SideFrame
from sjplan.planning.finish import (
    RESERVE,
    Bench,
    Placed,
    choose_rolls,
    lengthen,
    make_bench,
    place,
    refine,
    worst_value,
)
from sjplan.planning.protocol import Problem
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.safety.measures import implant_margins, solid_gap_mm
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.testing.problems import phantom_problem

CAP_MM = 3.0
EQUAL_MM = 0.1
"""Slacks that differ by less count as equal when an implant is lengthened."""


@pytest.fixture(scope="module")
def placed(bench: Bench, axes: np.ndarray) -> list[Placed]:
    """The three axes with the shortest implants on them."""
    found = [place(bench, slot, axis) for slot, axis in enumerate(axes)]
    assert all(p is not None for p in found)
    return [p for p in found if p is not None]


def test_place_measures_what_the_judge_measures(bench: Bench, placed: list[Placed], problem: Problem) -> None:
    """Slack, lengths and crossing of the shortest implant, to the judge's own tolerance of 1e-3 mm."""
    for slot, p in enumerate(placed):
        trajectory = bench.trajectory(slot, p.axis, p.start, p.stop)
        measured = implant_margins(bench.surfaces, slot + 1, trajectory, problem.limits)
        assert p.slack_mm > 0
        assert p.slack_mm == pytest.approx(measured.slack_mm, abs=3e-3)
        assert measured.crossing_lps_mm is not None
        assert bench.frame.side_from_lps(measured.crossing_lps_mm) == pytest.approx(p.axis[:3], abs=1e-6)
        assert measured.protrusion_mm == pytest.approx(p.lateral - p.start, abs=1e-6)
        assert measured.sacral_mm == pytest.approx(p.stop - p.sacral_entry, abs=1e-6)
        assert measured.sacral_mm >= problem.limits.sacral_min_mm + RESERVE - 1e-6
        assert measured.protrusion_mm <= problem.limits.protrusion_max_mm
        assert trajectory.in_catalogue
        assert p.value <= p.slack_mm


def test_axis_that_misses_the_joint_is_not_placed(bench: Bench, axes: np.ndarray) -> None:
    beside = axes[0].copy()
    beside[2] += 120.0
    assert place(bench, 0, beside) is None
    through_the_sacrum = np.array([0.0, *axes[0][1:3], 0.0, 0.0, 1.0])
    assert place(bench, 0, through_the_sacrum) is None
    outwards = np.concatenate([axes[0][:3], -axes[0][3:]])
    assert place(bench, 0, outwards) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_refine_never_lowers_the_worst_value(bench: Bench, axes: np.ndarray, placed: list[Placed], seed: int) -> None:
    before = worst_value(bench, placed)
    values = []
    for trials in (0, 8, 24):
        refined, measured = refine(bench, axes, np.random.default_rng(seed), trials, 50.0)
        assert refined is not None
        assert measured == 3 + trials
        values.append(worst_value(bench, refined))
    assert values[0] == before
    assert values == sorted(values)
    assert values[-1] > before


def test_refine_stops_at_the_cap(bench: Bench, axes: np.ndarray) -> None:
    """What already has the slack that is asked for is left as it is."""
    refined, measured = refine(bench, axes, np.random.default_rng(0), 20, -99.0)
    assert refined is not None
    assert measured == 3


def test_refine_of_an_axis_that_cannot_be_placed(bench: Bench, axes: np.ndarray) -> None:
    lost = axes.copy()
    lost[1, 2] += 120.0
    assert refine(bench, lost, np.random.default_rng(0), 20, CAP_MM) == (None, 3)


@pytest.mark.parametrize("cap_mm", [0.5, 3.0, 50.0])
def test_lengthen_never_spends_slack_below_the_cap(
    bench: Bench, placed: list[Placed], problem: Problem, cap_mm: float
) -> None:
    limits, reserve = problem.limits, 8.0
    for slot, p in enumerate(placed):
        longer = lengthen(bench, slot, p, cap_mm, reserve)
        assert longer.stop >= p.stop - 1e-9
        assert longer.stop - longer.start >= p.stop - p.start - limits.protrusion_max_mm
        assert longer.slack_mm >= min(p.slack_mm, cap_mm) - EQUAL_MM - 1e-3
        trajectory = bench.trajectory(slot, longer.axis, longer.start, longer.stop)
        assert bench.slack_mm(trajectory) == pytest.approx(longer.slack_mm, abs=2e-3)
        assert trajectory.in_catalogue
        assert limits.protrusion_min_mm <= longer.lateral - longer.start <= limits.protrusion_max_mm
        assert longer.stop == p.stop or bench.frame.side_from_lps(trajectory.tip_lps_mm)[0] >= reserve


def test_a_low_cap_buys_length(bench: Bench, placed: list[Placed]) -> None:
    """Slack above the cap is worth nothing, length is: some implant grows when the cap falls."""
    grown = [lengthen(bench, s, p, 0.0, 8.0).stop - lengthen(bench, s, p, 50.0, 8.0).stop for s, p in enumerate(placed)]
    assert min(grown) >= -1e-9
    assert max(grown) > 1.0


def test_rolls_are_the_best_of_all(bench: Bench, placed: list[Placed]) -> None:
    """Of two triangles in each other's way, every pair of rolls is tried here too: none leaves a wider gap.

    The second is the first, 10 mm further down across its axis: closer than two corners, farther than two faces.
    """
    first = placed[0]
    down = unit(np.cross(np.cross(first.axis[3:], [0.0, 0.0, -1.0]), first.axis[3:]))
    near = [first, replace(first, axis=first.axis + np.concatenate([10.0 * down, np.zeros(3)]))]
    chosen = choose_rolls(bench, near)
    gap = solid_gap_mm(*chosen)
    rolls = range(0, 120, 15)
    tried = [
        solid_gap_mm(
            *(
                bench.trajectory(s, p.axis, p.start, p.stop, float(r))
                for s, (p, r) in enumerate(zip(near, pair, strict=True))
            )
        )
        for pair in itertools.product(rolls, rolls)
    ]
    assert gap == pytest.approx(max(tried), abs=1e-6)
    assert max(tried) > min(tried) + 0.5
    for p, trajectory in zip(near, chosen, strict=True):
        assert trajectory.length_mm == pytest.approx(p.stop - p.start, abs=1e-9)


def test_cylinders_are_not_rolled(axes: np.ndarray) -> None:
    problem = phantom_problem(models=("screw-7.3",) * 3)
    bench = make_bench(
        problem,
        surfaces=measuring_surfaces(problem.anatomy, problem.side),
        frame=SideFrame(problem.anatomy.frame, problem.side),
        rules=tuple(
            slot_rules(problem.anatomy, problem.side, problem.limits, s, m) for s, m in enumerate(problem.models, 1)
        ),
        pairs=pair_rules(problem.limits, problem.models, 0.1),
    )
    placed = [place(bench, slot, axis) for slot, axis in enumerate(axes)]
    assert [t.roll_deg for t in choose_rolls(bench, [p for p in placed if p is not None])] == [0.0, 0.0, 0.0]


def test_worst_value_counts_pairs_order_and_articular_crossings(bench: Bench, placed: list[Placed]) -> None:
    alone = min(p.value for p in placed)
    assert worst_value(bench, placed) <= alone
    upside_down = worst_value(bench, placed[::-1])
    assert upside_down <= placed[2].axis[2] - placed[0].axis[2] + 1e-9 < 0
    twice = worst_value(bench, [placed[0], placed[0], placed[2]])
    assert twice == pytest.approx(-bench.pairs.spacing_mm, abs=1e-6)
    assert alone > NOTHING
