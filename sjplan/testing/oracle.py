"""A brute-force oracle for coarse problems: axes of a raster measured exactly, every set of them looked at.

Slow and obvious beside the planners and their proof, and knows neither of them. Any set that it finds is a plan, so a
certificate whose bound lies below it is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import GeometryError
from sjplan.core.plan import Plan
from sjplan.planning.candidates import scan
from sjplan.planning.field import SideFrame, planning_field
from sjplan.planning.finish import Bench, Placed, choose_rolls, make_bench, place
from sjplan.planning.joint_map import crossings, directions, joint_samples
from sjplan.planning.protocol import Problem
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.planning.triples import PairRules, below
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.safety.types import MarginReport

FIELD_MM = 0.25
"""The search's field hardly ever says less than the surfaces do (0.03 mm at most over the phantoms that were tried): an
axis whose value on it lies this far below a set that was found belongs to no better set, and is not measured."""

_STEP_MM = 0.5
"""Axes are measured from the best on the field downwards, so much at a time."""

Links = NDArray[np.bool_]


class Raster(NamedTuple):
    """Steps of the raster: crossings in mm, directions in degrees; how far they lean beyond the limit on the angle."""

    crossing_mm: float = 4.0
    direction_deg: float = 8.0
    beyond_limit_deg: float = 4.0


COARSE = Raster()


@dataclass(frozen=True, slots=True, eq=False)
class OracleAnswer:
    """What the oracle found.

    Parameters
    ----------
    plan, report : Plan and MarginReport, or None
        The best accepted set of the raster, and what the judge measures on it.
    loose_mm : float
        Worst slack of the best set that keeps what a certificate counts on: the rules of each implant, order, spacing,
        mutual angle, articular crossings, and the gap between inscribed cylinders in place of that between solids.
        Minus infinity where none does.
    axes, measured : int
        Axes of the raster, and how many of them were measured on surfaces.
    sets : int
        Sets of measured implants that keep every rule.
    """

    plan: Plan | None
    report: MarginReport | None
    loose_mm: float
    axes: int
    measured: int
    sets: int

    @property
    def slack_mm(self) -> float:
        """Worst slack of the plan; minus infinity where there is none."""
        return -math.inf if self.report is None else self.report.slack_mm


def make_oracle_bench(problem: Problem) -> Bench:
    """Exact measuring, as planners prepare it.

    Raises
    ------
    GeometryError
        If the problem does not ask for three implants of one model.
    """
    if problem.count != 3 or len({m.id for m in problem.models}) != 1:
        found = ", ".join(m.id for m in problem.models)
        raise GeometryError("oracle models", found=found, wanted="three times the same model")
    anatomy, side = problem.anatomy, problem.side
    rules = tuple(slot_rules(anatomy, side, problem.limits, n, model) for n, model in enumerate(problem.models, 1))
    pairs = pair_rules(problem.limits, problem.models, 0.1)
    return make_bench(problem, measuring_surfaces(anatomy, side), SideFrame(anatomy.frame, side), rules, pairs)


def ask_oracle(problem: Problem, raster: Raster = COARSE) -> OracleAnswer:
    """The best plan of a raster, over every set of its axes; on each axis the implant that reaches least deep.

    Raises
    ------
    GeometryError
        If the problem does not ask for three implants of one model.
    """
    bench = make_oracle_bench(problem)
    axes, value = _raster(bench, raster)
    order = np.argsort(-value, kind="stable")
    order = order[value[order] > -FIELD_MM]
    placed: list[Placed] = []
    measured, answer = 0, OracleAnswer(None, None, -math.inf, len(axes), 0, 0)
    floor = float(value[order[0]]) if len(order) else -1.0
    while floor > -FIELD_MM:
        floor = max(min(floor, float(value[order[measured]])) - _STEP_MM, -FIELD_MM)
        upto = int(np.count_nonzero(value[order] > floor))
        found = [place(bench, 0, axes[n]) for n in order[measured:upto]]
        placed += [p for p in found if p is not None and p.value >= 0.0]
        measured = upto
        sets = _Sets.of(bench, placed)
        if measured == len(order) or sets.best()[1] >= floor + FIELD_MM:
            answer = sets.answer(bench, len(axes), measured)
            if answer.slack_mm >= floor + FIELD_MM or measured == len(order):
                break
    return answer


def _raster(bench: Bench, raster: Raster) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Axes of the raster in the side frame, (n, 6), and their values on the search's field, (n,)."""
    problem = bench.problem
    joint = problem.anatomy.joints[problem.side]
    points = crossings(joint, bench.frame, raster.crossing_mm)
    widest = problem.limits.joint_normal_angle_max_deg + raster.beyond_limit_deg
    ways = directions(bench.frame.side_from_vector(joint.mean_normal), widest, raster.direction_deg)
    field = planning_field(problem.anatomy, problem.side, problem.limits)
    value, _, _ = scan(field, joint_samples(joint, bench.frame), bench.rules[0].packed(), points, ways, -FIELD_MM)
    axes = np.concatenate([np.repeat(points, len(ways), axis=0), np.tile(ways, (len(points), 1))], axis=1)
    return axes, value.ravel()


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """Implants cranial to caudal, the slots each fits, which can stand above which, and articular crossings wanted."""

    placed: list[Placed]
    slack_mm: NDArray[np.float64]
    fits: Links
    articular: NDArray[np.bool_]
    links: Links
    articular_min: int

    @classmethod
    def of(cls, bench: Bench, found: list[Placed]) -> _Sets:
        placed = sorted(found, key=lambda p: -float(p.axis[2]))
        tip = np.array([p.axis[0] + p.stop * p.axis[3] for p in placed])
        fits = np.array([tip >= r.tip_lateral_mm for r in bench.rules], np.bool_).reshape(3, -1).T
        slack, articular = np.array([p.slack_mm for p in placed]), np.array([p.articular for p in placed], np.bool_)
        wanted = bench.problem.limits.articular_min_count
        return cls(placed, slack, fits, articular, links_of(placed, bench.pairs), wanted)

    def best(self) -> tuple[tuple[int, int, int] | None, float]:
        return best_triple(self.links, self.slack_mm, self.fits, self.articular, self.articular_min)

    def answer(self, bench: Bench, axes: int, measured: int) -> OracleAnswer:
        """The best set that the judge accepts; what it refuses is taken out, and it is asked again."""
        gap = 2.0 * bench.problem.models[0].inscribed_radius_mm + bench.problem.limits.solid_gap_min_mm
        loose = links_of(self.placed, bench.pairs._replace(axis_gap_mm=gap))
        _, loose_mm = best_triple(loose, self.slack_mm, self.fits, self.articular, self.articular_min)
        sets = int(counted(self.links, self.fits, self.articular, self.articular_min).sum(dtype=np.float64))
        while True:
            chosen, _ = self.best()
            if chosen is None:
                return OracleAnswer(None, None, loose_mm, axes, measured, sets)
            trajectories = choose_rolls(bench, [self.placed[n] for n in chosen])
            plan = Plan(bench.problem.side, trajectories, "oracle", {})
            report = judge(plan, bench.problem.anatomy, bench.problem.limits, bench.surfaces)
            if report.accepted:
                return OracleAnswer(plan, report, loose_mm, axes, measured, sets)
            for violation in report.violations:
                slots = [chosen[s - 1] for s in violation.slots]
                if len(slots) == 2:
                    self.links[slots[0], slots[1]] = False
                else:
                    self.links[slots, :] = self.links[:, slots] = False


def links_of(placed: list[Placed], rules: PairRules) -> Links:
    """Which implant (of several, cranial to caudal) can stand above which, (n, n)."""
    n = len(placed)
    if not n:
        return np.zeros((0, 0), np.bool_)
    spans = np.array([(p.start, p.stop) for p in placed])
    words = below(rules, np.array([p.axis for p in placed]), spans)
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :n].astype(np.bool_)


def counted(links: Links, fits: Links, articular: NDArray[np.bool_], articular_min: int) -> NDArray[np.float32]:
    """For every upper and lower implant, how many middle ones make an allowed set with them, (n, n).

    `fits` (n, 3) says which slots each fits.
    """
    ends = links & fits[:, :1] & fits[None, :, 2]
    result = np.zeros(links.shape, np.float32)
    for part in (True, False):
        between = fits[:, 1] & (articular == part)
        through = links[:, between].astype(np.float32) @ links[between].astype(np.float32)
        have = articular[:, None].astype(int) + articular[None, :] + part
        result += through * (ends & (have >= articular_min))
    return result


def best_triple(
    links: Links, slack_mm: NDArray[np.float64], fits: Links, articular: NDArray[np.bool_], articular_min: int
) -> tuple[tuple[int, int, int] | None, float]:
    """The allowed set with the largest worst slack, and that slack; None and minus infinity where there is none.

    Bisection over the slacks that there are, so the answer is exact.
    """
    steps = np.unique(slack_mm)
    low, high = 0, len(steps)
    best: tuple[int, int, int] | None = None
    while low < high:
        half = (low + high) // 2
        some = np.flatnonzero(slack_mm >= steps[half])
        linked, fit, part = links[np.ix_(some, some)], fits[some], articular[some]
        count = counted(linked, fit, part, articular_min)
        if count.any():
            a, c = np.unravel_index(int(count.argmax()), count.shape)
            need = articular_min - int(part[a]) - int(part[c])
            b = np.flatnonzero(linked[a] & linked[:, c] & fit[:, 1] & (part >= need))[0]
            best = int(some[a]), int(some[b]), int(some[c])
            low = half + 1
        else:
            high = half
    return best, -math.inf if best is None else float(steps[low - 1])
