"""From axes on fields to implants on surfaces: exact refinement, catalogue lengths, roll."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import DANGERS
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import envelope_solid, implant_solid, solid_mesh
from sjplan.geometry.triangle_tree import TriangleTree, lowest_solid_distance, reaches, solid_to_surface, triangle_tree
from sjplan.planning.candidates import NOTHING, SlotRules, shortest_span
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Problem
from sjplan.planning.triples import PairRules, pair_shortfall, segment_distance
from sjplan.safety.measures import axis_passage, bare_mm, joint_footprint, solid_skin
from sjplan.safety.surfaces import MeasuringSurfaces

RESERVE = 0.05
"""Held beyond a limit in mm or degrees, so that a last digit cannot turn a plan down."""

EQUAL_MM = 0.1
"""Slacks that differ by less are not told apart (mm)."""

_PROBE_LATERAL_MM, _PROBE_MM = 70.0, 120.0
_MM_PER_DEG = 30.0 * np.pi / 180.0
ARTICULAR_HALF = 0.52
"""Share of a footprint that counts as articular: a little more than the judge's half."""

_ROLLS_DEG = tuple(float(r) for r in range(0, 120, 15))
_PROTRUSIONS = 11


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What finishing needs: problem, surfaces, frames, rules, and danger trees joined by equal limit.

    Where rules are stricter than limits ask, `stricter_by` says by how many mm and degrees.
    """

    problem: Problem
    surfaces: MeasuringSurfaces
    frame: SideFrame
    rules: tuple[SlotRules, ...]
    pairs: PairRules
    trees: tuple[tuple[float, TriangleTree], ...]
    stricter_by: float = 0.0

    def slack_mm(self, trajectory: Trajectory) -> float:
        """Exact envelope slack (where surfaces cut the envelope: how far they reach in, negative)."""
        packed = envelope_solid(trajectory).packed
        return min(lowest_solid_distance(tree, packed, JUDGE_TOL_MM)[0] - limit for limit, tree in self.trees)

    def stricter(self, more: float) -> Bench:
        """The same with rules that are so many mm and degrees stricter; see `SlotRules.stricter`."""
        head_mm = self.problem.limits.protrusion_target_mm
        return replace(self, rules=tuple(r.stricter(more, head_mm) for r in self.rules), stricter_by=more)

    def falls_below(self, trajectory: Trajectory, floor_mm: float) -> bool:
        """Whether the exact envelope slack is less than so much: found out sooner than the slack itself."""
        packed = envelope_solid(trajectory).packed
        return any(reaches(tree, packed, limit + floor_mm) for limit, tree in self.trees)

    def trajectory(self, slot: int, axis: Array, start: float, stop: float, roll_deg: float = 0.0) -> Trajectory:
        """The implant of a slot (0 first) from `start` to `stop` mm along an axis of the side frame."""
        ends = self.frame.lps_from_side(axis[:3] + np.array([[start], [stop]]) * axis[3:])
        return Trajectory(ends[0], ends[1], roll_deg, self.problem.models[slot])


def make_bench(
    problem: Problem,
    surfaces: MeasuringSurfaces,
    frame: SideFrame,
    rules: tuple[SlotRules, ...],
    pairs: PairRules,
) -> Bench:
    """Join the danger surfaces that share a limit; obstacles count as one more."""
    by_limit: dict[float, list[str]] = {}
    for name in DANGERS:
        if name in surfaces.dangers:
            by_limit.setdefault(problem.limits.clearance_of(name), []).append(name)
    trees = tuple(
        (limit, triangle_tree(np.concatenate([surfaces.dangers[name].corners for name in names])))
        for limit, names in by_limit.items()
    )
    if problem.obstacles:
        meshes = [solid_mesh(envelope_solid(o), outer=True) for o in problem.obstacles]
        skins = np.concatenate([vertices[triangles] for vertices, triangles in meshes])
        trees += ((problem.limits.solid_gap_min_mm, triangle_tree(skins)),)
    return Bench(problem, surfaces, frame, rules, pairs, trees)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One implant on its axis: mm along the axis from its point (the middle of the joint), and its exact slack."""

    axis: Array
    lateral: float
    sacral_entry: float
    start: float
    stop: float
    slack_mm: float
    value: float
    articular: bool


def place(bench: Bench, slot: int, axis: Array) -> Placed | None:
    """Put the shortest implant on an axis, exactly measured; None where the axis passes no joint or no length fits.

    `value` is the slack, or less where rules on ilium, joint angle or tip are missed (in mm; an angle over 30 mm).
    """
    fitted = fit(bench, slot, axis)
    return None if fitted is None else measure(bench, slot, fitted)


def measure(bench: Bench, slot: int, fitted: Placed) -> Placed:
    """A fitted implant with its exact slack."""
    slack = bench.slack_mm(bench.trajectory(slot, fitted.axis, fitted.start, fitted.stop))
    return replace(fitted, slack_mm=slack, value=min(slack, fitted.value))


def fit(bench: Bench, slot: int, axis: Array) -> Placed | None:
    """The same with infinite slack: not measured yet, so that `value` stands for the other rules alone."""
    rules, limits = bench.rules[slot], bench.problem.limits
    probe = bench.trajectory(slot, axis, -_PROBE_LATERAL_MM, _PROBE_MM - _PROBE_LATERAL_MM)
    passage = axis_passage(bench.surfaces, probe)
    if passage.crossing_mm is None or passage.lateral_mm is None:
        return None
    shift = passage.crossing_mm - _PROBE_LATERAL_MM
    axis = np.concatenate([axis[:3] + shift * axis[3:], axis[3:]])
    lateral, leave, entry = (
        float(t or 0.0) - passage.crossing_mm
        for t in (passage.lateral_mm, passage.iliac_exit_mm, passage.sacral_entry_mm)
    )
    joint = bench.surfaces.anatomy.joints[bench.problem.side]
    crossing = np.asarray(bench.frame.lps_from_side(axis[:3]))
    angle, share = joint_footprint(joint, crossing, probe.axis, rules.radius_mm)
    start, stop = shortest_span(rules.packed(), lateral, entry)
    if not np.isfinite(stop):
        return None
    missed = [
        leave - lateral - rules.iliac_min_mm,
        (limits.joint_normal_angle_max_deg - RESERVE - bench.stricter_by - angle) * _MM_PER_DEG,
        _tip_shortfall(rules, axis, stop),
        rules.buried_mm - _bare(bench, rules, slot, axis, start, stop),
    ]
    value = min((m for m in missed if m < 0.0), default=math.inf)
    return Placed(axis, lateral, entry, start, stop, math.inf, value, share >= ARTICULAR_HALF)


def _bare(bench: Bench, rules: SlotRules, slot: int, axis: Array, start: float, stop: float) -> float:
    """How long one side of an implant lies bare of the ilium (mm); not measured where no rule asks."""
    if not np.isfinite(rules.buried_mm):
        return 0.0
    return bare_mm(bench.surfaces, bench.trajectory(slot, axis, start, stop))


def _tip_shortfall(rules: SlotRules, axis: Array, stop: float) -> float:
    """By how many mm the tip rules are missed (negative), else a large number."""
    beyond = float(axis[0] + stop * axis[3]) - rules.tip_lateral_mm
    above = float(min(axis[2] + stop * axis[5], axis[2])) - rules.lowest_mm
    return min([v for v in (beyond, above) if v < 0.0], default=-NOTHING)


def _missed_pairs(bench: Bench, placed: Sequence[Placed]) -> float:
    """By how many mm the rules on pairs and on articular crossings are missed (negative), else 0."""
    wanted = bench.problem.limits.articular_min_count - (3 - len(placed))
    worst = -5.0 * max(0, wanted - sum(p.articular for p in placed))
    for a, b in itertools.combinations(placed, 2):
        spans = np.array([a.start, a.stop]), np.array([b.start, b.stop])
        worst = min(worst, pair_shortfall(bench.pairs, a.axis, spans[0], b.axis, spans[1]))
        worst = min(worst, float(a.axis[2] - b.axis[2]))
    return worst


def worst_value(bench: Bench, placed: Sequence[Placed]) -> float:
    """Worst value of a set, missed pair rules counted in mm."""
    missed = _missed_pairs(bench, placed)
    return min([p.value for p in placed] + ([missed] if missed < 0.0 else []))


def refine(
    bench: Bench, axes: Array, rng: np.random.Generator, trials: int, cap_mm: float, only: int | None = None
) -> tuple[list[Placed] | None, int]:
    """Place a set of axes and improve its worst exact value by small moves of the implant that has it.

    Where `only` names a slot (0 first), the others' implants stay. Returns the implants (None where an axis cannot be
    placed) and how many placements were measured.
    """
    first = [place(bench, slot, axis) for slot, axis in enumerate(axes)]
    placed = [p for p in first if p is not None]
    measured = len(axes)
    if len(placed) < len(axes):
        return None, measured
    best, size, failed = worst_value(bench, placed), 0.4, 0
    for _ in range(trials):
        if best >= cap_mm:
            break
        measured += 1
        slot = only if only is not None else _slot_to_move(placed, best, rng)
        moved = placed[slot].axis + size * np.concatenate([rng.standard_normal(3), rng.standard_normal(3) / 20.0])
        moved[3:] /= np.linalg.norm(moved[3:])
        better = _bettered(bench, placed, slot, moved, best)
        if better is not None:
            placed, best, failed = better, worst_value(bench, better), 0
            continue
        failed += 1
        if failed > 12:
            size, failed = max(0.6 * size, 0.05), 0
    return placed, measured


def _bettered(bench: Bench, placed: list[Placed], slot: int, axis: Array, best: float) -> list[Placed] | None:
    """The set with one slot on another axis, where its worst value is then above `best`; what costs least comes first.

    Where the new implant's slack cannot reach so far, it is not measured to the end.
    """
    trial = fit(bench, slot, axis)
    if trial is None or worst_value(bench, [*placed[:slot], trial, *placed[slot + 1 :]]) <= best:
        return None
    if bench.falls_below(bench.trajectory(slot, trial.axis, trial.start, trial.stop), best):
        return None
    candidate = [*placed[:slot], measure(bench, slot, trial), *placed[slot + 1 :]]
    return candidate if worst_value(bench, candidate) > best else None


def _slot_to_move(placed: Sequence[Placed], best: float, rng: np.random.Generator) -> int:
    """A slot that can raise the worst value `best`: the others' own values lie above it."""
    able = [n for n in range(len(placed)) if all(p.value > best for m, p in enumerate(placed) if m != n)]
    return able[int(rng.integers(len(able)))] if able else int(rng.integers(len(placed)))


def lengthen(bench: Bench, slot: int, placed: Placed, cap_mm: float, midline_reserve_mm: float) -> Placed:
    """Choose the longest catalogue length that costs no slack below the cap, the head near its target.

    Slacks within `EQUAL_MM` of each other count as equal.
    """
    limits, rules = bench.problem.limits, bench.rules[slot]
    floor = min(placed.slack_mm, max(min(placed.slack_mm, cap_mm) - EQUAL_MM, RESERVE))
    heads = np.linspace(limits.protrusion_min_mm, limits.protrusion_max_mm, _PROTRUSIONS)[1:-1]
    if bench.stricter_by:
        heads = heads[heads <= rules.protrusion_max_mm]
    options = [
        (
            placed.lateral - head + length - placed.sacral_entry - 1.5 * abs(head - limits.protrusion_target_mm),
            head,
            length,
        )
        for head in (*heads, limits.protrusion_target_mm)
        for length in bench.problem.models[slot].lengths_mm
        if placed.lateral - head + length >= placed.stop - 1e-9
    ]
    for _, head, length in sorted(options, reverse=True):
        start = placed.lateral - head
        stop = start + length
        tip = float(placed.axis[0] + stop * placed.axis[3])
        if tip < midline_reserve_mm or _tip_shortfall(rules, placed.axis, stop) < min(placed.value, 0.0):
            continue
        slack = bench.slack_mm(bench.trajectory(slot, placed.axis, start, stop))
        if slack >= floor:
            return replace(placed, start=start, stop=stop, slack_mm=slack, value=min(slack, placed.value))
    return placed


def choose_rolls(bench: Bench, placed: Sequence[Placed]) -> tuple[Trajectory, ...]:
    """Turn each implant so that the smallest gap between true solids is as large as can be.

    Pairs that no roll can bring as near as another pair surely lies are left out.
    """
    bodies = [
        [bench.trajectory(slot, p.axis, p.start, p.stop, roll) for roll in _rolls(bench, slot)]
        for slot, p in enumerate(placed)
    ]
    solids = [[implant_solid(body) for body in turned] for turned in bodies]
    skins = [[solid_skin(body) for body in turned] for turned in bodies]
    gaps = {
        (i, j): np.array([[solid_to_surface(skin, solid)[0] for skin in skins[j]] for solid in solids[i]])
        for i, j in _closest_pairs(bench, placed)
    }
    best, chosen = -np.inf, (0,) * len(bodies)
    for rolls in itertools.product(*(range(len(b)) for b in bodies)):
        gap = min(float(table[rolls[i], rolls[j]]) for (i, j), table in gaps.items())
        if gap > best + 1e-9:
            best, chosen = gap, rolls
    return tuple(body[n] for body, n in zip(bodies, chosen, strict=True))


def _closest_pairs(bench: Bench, placed: Sequence[Placed]) -> list[tuple[int, int]]:
    """Pairs whose solids may be the nearest to each other."""
    models, least, nearest = bench.problem.models, {}, math.inf
    for i, j in itertools.combinations(range(len(placed)), 2):
        a, b = placed[i], placed[j]
        apart = segment_distance(a.axis, a.start, a.stop, b.axis, b.start, b.stop)
        least[i, j] = apart - models[i].circumscribed_radius_mm - models[j].circumscribed_radius_mm
        nearest = min(nearest, apart)
    return [pair for pair, gap in least.items() if gap <= nearest]


def _rolls(bench: Bench, slot: int) -> tuple[float, ...]:
    return (0.0,) if bench.problem.models[slot].section == "cylinder" else _ROLLS_DEG
