"""Where on the lateral ilium an implant could go in: the best slack of any single implant, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Side
from sjplan.planning.candidates import NOTHING, SlotRules, axis_value
from sjplan.planning.field import PlanningField, SideFrame, planning_field
from sjplan.planning.joint_map import JointSamples, crossings, directions, joint_samples
from sjplan.planning.marching import passage
from sjplan.planning.protocol import Problem
from sjplan.planning.rules import slot_rules

CELL_MM: Final = 2.0
"""Edge of a cell, seen from the side."""

FLOOR_MM: Final = -3.0
"""Slack below this is not told apart: nothing fits there by far."""

_CROSSING_STEP_MM, _DIRECTION_STEP_DEG = 2.0, 4.0
"""Raster of axes; at a lateral surface some 25 mm from the joint, directions lie less than a cell apart."""

_PASSES, _REACH_CELLS = 2, 2
"""Passes over the axes, the raster's among them; how many cells away a cell's best axis is tried."""


@dataclass(frozen=True, slots=True, eq=False)
class EntryMap:
    """Best slack of any one implant by where its axis enters the lateral ilium, seen from the side.

    What it does not say: that three implants fit together, and that their entries may be chosen one by one. Values are
    those of the search's fields, mostly within some tenths of a millimetre of what the judge measures.

    Parameters
    ----------
    side : {"left", "right"}
        Which side.
    posterior_mm, cranial_mm : (n + 1,), (m + 1,) float
        Borders of the cells, from the pelvic origin.
    slack_mm : (n, m) float
        Best slack, from `FLOOR_MM` to the cap; NaN where no implant enters that keeps the limits on lengths and on the
        angle to the joint, or where there is no ilium.
    cap_mm : float
        Slack above this is not told apart; infinite where there is no cap.
    """

    side: Side
    posterior_mm: Array
    cranial_mm: Array
    slack_mm: Array
    cap_mm: float

    def at(self, posterior_mm: float, cranial_mm: float) -> float:
        """Value of the cell that holds a point of the side view; NaN outside the map."""
        i = int(np.searchsorted(self.posterior_mm, posterior_mm, side="right")) - 1
        j = int(np.searchsorted(self.cranial_mm, cranial_mm, side="right")) - 1
        inside = 0 <= i < self.slack_mm.shape[0] and 0 <= j < self.slack_mm.shape[1]
        return float(self.slack_mm[i, j]) if inside else float("nan")


def entry_map(
    problem: Problem,
    cap_mm: float = 3.0,
    cell_mm: float = CELL_MM,
    *,
    crossing_step_mm: float = _CROSSING_STEP_MM,
    direction_step_deg: float = _DIRECTION_STEP_DEG,
) -> EntryMap:
    """Map of the best slack per entry point of one side.

    Axes are the planners' own raster: points spread over the joint, each with directions in a cone round the joint's
    mean normal. On each lies the shortest implant of any model asked for that holds enough sacrum. What is best in a
    cell is then tried in its neighbours, moved there: a cell that the raster met by few axes is not left behind.

    Parameters
    ----------
    problem : Problem
        Side, models and limits; a side whose anatomy has a joint.
    cap_mm : float
        Slack above which more is not told apart.
    cell_mm : float
        Edge of a cell.
    crossing_step_mm, direction_step_deg : float
        Raster of the axes.
    """
    anatomy, side = problem.anatomy, problem.side
    frame, whole = SideFrame(anatomy.frame, side), anatomy.joints[side]
    points = crossings(whole, frame, crossing_step_mm)
    widest = problem.limits.joint_normal_angle_max_deg
    ways = directions(frame.side_from_vector(whole.mean_normal), widest, direction_step_deg)
    field, joint = planning_field(anatomy, side, problem.limits), joint_samples(whole, frame)
    raster = np.concatenate([np.repeat(points, len(ways), axis=0), np.tile(ways, (len(points), 1))], axis=1)
    values, places = [], []
    for rules in _loosest(problem).values():
        axes = raster
        for _ in range(_PASSES):
            value, place = _entries(field, joint, rules.packed(), axes, FLOOR_MM)
            met = value > NOTHING + 1.0
            best = _best_of_each_cell(value[met], place[met], cell_mm)
            values.append(value[met][best])
            places.append(place[met][best])
            axes = _moved_to_neighbours(axes[met][best], place[met][best], cell_mm)
    return _binned(side, np.concatenate(values), np.concatenate(places), cell_mm, cap_mm)


def _loosest(problem: Problem) -> dict[ImplantModel, SlotRules]:
    """For each model the rules of that slot which lets its tip go farthest medially."""
    rules: dict[ImplantModel, SlotRules] = {}
    for slot, model in enumerate(problem.models, 1):
        own = slot_rules(problem.anatomy, problem.side, problem.limits, slot, model)
        if model not in rules or own.tip_lateral_mm < rules[model].tip_lateral_mm:
            rules[model] = replace(own, buried_mm=np.inf)
    return rules


def _best_of_each_cell(value: Array, place: Array, cell_mm: float) -> NDArray[np.int64]:
    """Index of the best value of every cell that holds any."""
    cell = np.floor(place / cell_mm)
    order = np.lexsort((-value, cell[:, 1], cell[:, 0]))
    _, first = np.unique(cell[order], axis=0, return_index=True)
    return np.asarray(order[first])


def _moved_to_neighbours(axes: Array, place: Array, cell_mm: float) -> Array:
    """Every axis moved, as it is, so that it enters in the middle of each cell round its own."""
    middle = (np.floor(place / cell_mm) + 0.5) * cell_mm
    steps = cell_mm * np.arange(-_REACH_CELLS, _REACH_CELLS + 1.0)
    moved = []
    for posterior in steps:
        for cranial in steps:
            shifted = axes.copy()
            shifted[:, 1:3] += middle + np.array([posterior, cranial]) - place
            moved.append(shifted)
    return np.concatenate(moved)


def _binned(side: Side, value: Array, place: Array, cell_mm: float, cap_mm: float) -> EntryMap:
    """The best value of every cell; cells start at whole multiples of their edge."""
    if not len(value):
        return EntryMap(side, np.array([0.0, cell_mm]), np.array([0.0, cell_mm]), np.full((1, 1), np.nan), cap_mm)
    cell = np.floor(place / cell_mm).astype(np.int64)
    low, high = cell.min(axis=0), cell.max(axis=0)
    best = np.full(tuple(high - low + 1), -np.inf)
    np.maximum.at(best, tuple((cell - low).T), value)
    slack = np.where(np.isfinite(best), np.clip(best, FLOOR_MM, cap_mm), np.nan)
    edges = [np.arange(a, b + 2) * cell_mm for a, b in zip(low, high, strict=True)]
    return EntryMap(side, edges[0], edges[1], slack, cap_mm)


@nb.njit(cache=True, parallel=True)
def _entries(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    axes: NDArray[np.float64],
    floor: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value of every axis (n, 6), and where it enters the ilium: posterior and cranial coordinate, (n, 2)."""
    value = np.full(len(axes), NOTHING)
    place = np.zeros((len(axes), 2))
    for n in nb.prange(len(axes)):
        axis = axes[n]
        value[n], _, _ = axis_value(field, joint, rules, axis, 1.0, floor)
        if value[n] > NOTHING + 1.0:
            _, lateral, _, _ = passage(field, axis)
            place[n, 0] = axis[1] + lateral * axis[4]
            place[n, 1] = axis[2] + lateral * axis[5]
    return value, place
