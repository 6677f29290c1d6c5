"""The worst slack of a set raised by linear programmes: danger points near the implants become cuts, step by step.

To first order a small move of an implant changes its distance to a point by how far its nearest point moves away. The
move that is best for all cuts and all rules at once, within a trust region, is tried on surfaces; what does not help
makes the region smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from sjplan.core.arrays import Array
from sjplan.planning.finish import RESERVE, Bench, Placed, fit, measure, worst_value
from sjplan.safety.measures import FOOTPRINT_DEPTH_MM

_NUMBERS = 4
"""Numbers of a move: two across the axis in mm, two tilts in rad."""

_FIRST_MM, _WIDEST_MM, _LEAST_MM = 0.5, 1.0, 0.03
_LEVER_MM = 15.0
"""A tilt may move a point so far from the joint as much as a shift may."""

_CUTS, _AWAY_MM = 40, 4.0
"""Points of danger taken for each implant, and how far beyond the nearest one they may lie."""

_GAINED_MM, _CORRECTIONS = 1e-4, 4
"""What counts as better; and how often a step is tried again with rules tightened by what it missed them by."""

_NEAR_MM = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class _Local:
    """An implant and its moves: points of it move by `shift` @ move, `rows` for each of the numbers of a move."""

    placed: Placed
    u: Array
    v: Array
    slide: Array
    normal: Array

    @classmethod
    def of(cls, bench: Bench, placed: Placed, radius_mm: float) -> _Local:
        way = placed.axis[3:]
        u = np.cross(way, (0.0, 0.0, 1.0) if abs(way[2]) < 0.9 else (0.0, 1.0, 0.0))
        u /= np.linalg.norm(u)
        v = np.cross(way, u)
        normal = _footprint_normal(bench, placed.axis, radius_mm)
        at_entry = np.column_stack([u, v, placed.sacral_entry * u, placed.sacral_entry * v])
        return cls(placed, u, v, -(normal @ at_entry) / (normal @ way), normal)

    def moved(self, along: float, across: Array, *, slides: bool = False) -> Array:
        """How a point of the implant moves, (3, 4): `along` its axis and `across` it, with its depth kept or not."""
        way = self.placed.axis[3:]
        tilts = [along * e - (across @ e) * way for e in (self.u, self.v)]
        rows = np.column_stack([self.u, self.v, *tilts])
        return rows + np.outer(way, self.slide) if slides else rows

    def crossing(self) -> Array:
        """How the crossing of the joint moves, (3, 4)."""
        way = self.placed.axis[3:]
        rows = self.moved(0.0, np.zeros(3))
        return np.asarray(rows - np.outer(way, (self.normal @ rows) / (self.normal @ way)))

    def turned(self) -> Array:
        """How the direction turns, (3, 4)."""
        return np.column_stack([np.zeros(3), np.zeros(3), self.u, self.v])


def _footprint_normal(bench: Bench, axis: Array, radius_mm: float) -> Array:
    joint = bench.problem.anatomy.joints[bench.problem.side]
    middle = bench.frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm)) - axis[:3]
    along = middle @ axis[3:]
    across = np.linalg.norm(middle - along[:, None] * axis[3:], axis=1)
    inside = (across <= radius_mm) & (np.abs(along) <= FOOTPRINT_DEPTH_MM)
    chosen = np.flatnonzero(inside) if inside.any() else np.argsort(across)[:20]
    normal = bench.frame.side_from_vector(joint.normal[chosen].mean(axis=0))
    return np.asarray(normal / np.linalg.norm(normal))


def ascended(
    bench: Bench, points: Array, placed: Sequence[Placed], steps: int, cap_mm: float, most: float = np.inf
) -> tuple[list[Placed], int]:
    """Raise the worst exact value of a set up to a cap; the set, and how many placements were measured: `most` at most.

    `points` (n, 4) are points on dangers in the side frame and the distance that each asks for, in mm.
    """
    best, size, measured = worst_value(bench, placed), _FIRST_MM, 0
    current = list(placed)
    near = [points[_distance_from(p, points) < _NEAR_MM] for p in current]
    for _ in range(steps):
        if best >= cap_mm or size < _LEAST_MM or measured + _CORRECTIONS * len(current) > most:
            break
        trial, asked = _tried(bench, near, current, size, best)
        measured += asked
        if trial is None:
            size *= 0.4
        else:
            current, best, size = trial, worst_value(bench, trial), min(1.5 * size, _WIDEST_MM)
    return current, measured


def _tried(
    bench: Bench, near: Sequence[Array], placed: Sequence[Placed], size: float, best: float
) -> tuple[list[Placed] | None, int]:
    """A better set within a trust region, or None, and how many placements were measured.

    A move that misses rules is tried again with those rules tightened by what it missed them by.
    """
    local, measured = _locals(bench, placed), 0
    cuts, (rows, most) = _all_cuts(bench, local, near), _all_rules(bench, local)
    if not len(cuts[0]):
        return None, 0
    missed = np.zeros(len(most))
    for _ in range(_CORRECTIONS):
        moves = _best_moves(cuts, (rows, most - missed), size)
        if moves is None:
            break
        axes = [_moved_axis(here, move) for here, move in zip(local, moves, strict=True)]
        trial = [p for slot, axis in enumerate(axes) if (p := fit(bench, slot, axis)) is not None]
        measured += len(axes)
        if len(trial) < len(placed):
            break
        if worst_value(bench, trial) > best:
            trial = [measure(bench, slot, p) for slot, p in enumerate(trial)]
            return (trial if worst_value(bench, trial) > best + _GAINED_MM else None), measured
        promised = most - rows @ np.append(moves, 0.0)
        missed += np.clip(promised - _all_rules(bench, _locals(bench, trial))[1], 0.0, size)
    return None, measured


def _distance_from(placed: Placed, points: Array) -> Array:
    offset = points[:, :3] - placed.axis[:3]
    along = np.clip(offset @ placed.axis[3:], placed.start, placed.stop)
    return np.asarray(np.linalg.norm(offset - along[:, None] * placed.axis[3:], axis=1))


def _locals(bench: Bench, placed: Sequence[Placed]) -> list[_Local]:
    return [_Local.of(bench, p, bench.rules[slot].radius_mm) for slot, p in enumerate(placed)]


def _all_cuts(bench: Bench, local: Sequence[_Local], near: Sequence[Array]) -> tuple[Array, Array]:
    """Rows (k, 4 n + 1) for all moves and the slack, and what they are at most: slack at points of danger."""
    rows, most = [], []
    for slot, (here, points) in enumerate(zip(local, near, strict=True)):
        for gradient, left in _cuts(bench, slot, here, points):
            rows.append(_row(len(local), {slot: gradient}, 1.0))
            most.append(left)
    return np.array(rows).reshape(-1, _NUMBERS * len(local) + 1), np.array(most)


def _all_rules(bench: Bench, local: Sequence[_Local]) -> tuple[Array, Array]:
    """The same for the rules on each implant and each pair; what is left of them is in mm or cosines."""
    rows, most = [], []
    for slot, here in enumerate(local):
        for gradient, left in _own_rules(bench, slot, here):
            rows.append(_row(len(local), {slot: gradient}, 0.0))
            most.append(left)
    for i, j in itertools.combinations(range(len(local)), 2):
        for first, second, left in _pair_rules(bench, local[i], local[j]):
            rows.append(_row(len(local), {i: first, j: second}, 0.0))
            most.append(left)
    return np.array(rows), np.array(most)


def _row(count: int, gradients: dict[int, Array], slack: float) -> Array:
    row = np.zeros(_NUMBERS * count + 1)
    for slot, gradient in gradients.items():
        row[_NUMBERS * slot : _NUMBERS * (slot + 1)] = gradient
    row[-1] = slack
    return row


def _best_moves(cuts: tuple[Array, Array], rules: tuple[Array, Array], size: float) -> Array | None:
    """Moves (n, 4) that raise the slack most within a trust region; None where none keeps all rules."""
    numbers = cuts[0].shape[1] - 1
    one = [(-size, size)] * 2 + [(-size / _LEVER_MM, size / _LEVER_MM)] * 2
    found = linprog(
        np.append(np.zeros(numbers), -1.0), np.concatenate([cuts[0], rules[0]]), np.concatenate([cuts[1], rules[1]]),
        bounds=[*one * (numbers // _NUMBERS), (None, None)], method="highs",
    )  # fmt: skip
    return np.asarray(found.x)[:-1].reshape(-1, _NUMBERS) if found.success else None


def _moved_axis(here: _Local, move: Array) -> Array:
    axis = here.placed.axis.copy()
    axis[:3] += move[0] * here.u + move[1] * here.v
    axis[3:] += move[2] * here.u + move[3] * here.v
    axis[3:] /= np.linalg.norm(axis[3:])
    return np.asarray(axis)


def _cuts(bench: Bench, slot: int, here: _Local, points: Array) -> Iterator[tuple[Array, float]]:
    """Slack, less what a move takes off it, at the nearest points: rows (4) and what they are at most."""
    p, radius = here.placed, bench.rules[slot].radius_mm
    way = p.axis[3:]
    offset = points[:, :3] - p.axis[:3]
    along = offset @ way
    across = offset - along[:, None] * way
    out = np.linalg.norm(across, axis=1)
    at = np.clip(along, p.start, p.stop)
    rim = across * np.minimum(1.0, radius / np.maximum(out, 1e-9))[:, None]
    apart = offset - at[:, None] * way - rim
    distance = np.linalg.norm(apart, axis=1)
    slack = distance - points[:, 3]
    order = np.argsort(slack)[: 8 * _CUTS]
    order = order[slack[order] < slack[order[0]] + _AWAY_MM]
    _, first = np.unique(np.floor(points[order, :3] / 2.5), axis=0, return_index=True)
    for k in order[np.sort(first)][:_CUTS]:
        if distance[k] < 1e-3:
            continue
        toward = apart[k] / distance[k]
        yield toward @ here.moved(at[k], rim[k], slides=True), float(slack[k])


def _own_rules(bench: Bench, slot: int, here: _Local) -> Iterator[tuple[Array, float]]:
    """Rules on the tip, on heights and on the angle to the joint: rows (4) and what they are at most."""
    p, rules = here.placed, bench.rules[slot]
    way = p.axis[3:]
    tip, tip_moves = p.axis[:3] + p.stop * way, here.moved(p.stop, np.zeros(3), slides=True)
    yield -tip_moves[0], float(tip[0] - rules.tip_lateral_mm)
    yield -tip_moves[2], float(tip[2] - rules.lowest_mm)
    yield -here.crossing()[2], float(p.axis[2] - rules.lowest_mm)
    limit = np.cos(np.deg2rad(bench.problem.limits.joint_normal_angle_max_deg - 2.0 * RESERVE - bench.stricter_by))
    yield -here.normal @ here.turned(), float(here.normal @ way - limit)


def _pair_rules(bench: Bench, first: _Local, second: _Local) -> Iterator[tuple[Array, Array, float]]:
    """Rules on two implants, the first above: rows for the one and for the other, and what their sum is at most."""
    a, b = first.placed, second.placed
    apart = a.axis[:3] - b.axis[:3]
    spacing = float(np.linalg.norm(apart))
    toward = apart / spacing
    yield -toward @ first.crossing(), toward @ second.crossing(), spacing - bench.pairs.spacing_mm
    yield -first.crossing()[2], second.crossing()[2], float(apart[2])
    yield (
        -b.axis[3:] @ first.turned(),
        -a.axis[3:] @ second.turned(),
        float(a.axis[3:] @ b.axis[3:]) - bench.pairs.cosine,
    )
    s, t = np.arange(a.start, a.stop, 1.0), np.arange(b.start, b.stop, 1.0)
    difference = (a.axis[:3] + s[:, None] * a.axis[3:])[:, None] - (b.axis[:3] + t[:, None] * b.axis[3:])[None]
    gap = np.linalg.norm(difference, axis=2)
    i, j = np.unravel_index(int(gap.argmin()), gap.shape)
    toward = difference[i, j] / gap[i, j]
    none = np.zeros(3)
    yield (
        -toward @ first.moved(s[i], none),
        toward @ second.moved(t[j], none),
        float(gap[i, j]) - bench.pairs.axis_gap_mm,
    )
