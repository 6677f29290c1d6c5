"""The largest worst slack that any plan of a kind can have, bounded from above by branch and bound over axes.

Boxes of axes (`axis_box`) are split where they may still belong to a plan better than a threshold (`joint_support`);
once none does, the threshold is proved, and a lower one is tried. Whenever the work ends, the last threshold proved
is a bound.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Side
from sjplan.core.structures import SURFACE_ID
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.geometry.triangle_tree import triangle_tree
from sjplan.planning.axis_box import WIDEST_GAP_MM, BoxRules, Scene, measure_boxes
from sjplan.planning.bone_depth import bone_depth
from sjplan.planning.box_footprint import JointCells
from sjplan.planning.danger_sites import danger_sites
from sjplan.planning.field import SideFrame
from sjplan.planning.joint_support import PairLimits, chained, forms, joint_sides
from sjplan.planning.protocol import Problem
from sjplan.safety.judge import TIP_LATERAL_OF
from sjplan.safety.measures import OVERLAP_TOL_MM

_PATCH_MM, _CELL_MM = 2.5, 6.0
_GROUP_DEEPER, _GROUPS_WIDE = 1, 8.0
"""Boxes of a slot stand in groups: directions so many levels coarser, places in cells so many times as wide."""

_ROOT_LEVEL, _GROUP_LEVEL, _SLOT_LEVEL, _LEVELS = 2, 3, 4, 8
_LEVER_MM = 9.0
"""A box is split where it is wider: its place, or its angle times this lever."""

_FEW, _LAG = 1.5, 4.2
"""Boxes are split in slots that have so many times the fewest left at most, and where they are so many times wider."""

_FIRST_MM, _STEP = 2.0, 0.5
"""The first threshold tried lies so far above the best plan; each next one so far up to the last one proved."""

_CHUNK = 20_000
"""So many boxes are measured before the clock is looked at."""

_LAST_MM = 0.1
"""A threshold so near the target is the target."""

_MARGIN_MM = 1e-3 + JUDGE_TOL_MM
"""Added to what is proved: for rounding, and for the width at which the judge's own distances stop."""

_TIP_MM = 1e-6


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound of the worst slack in mm, how many boxes it took, and whether the search for it was cut short."""

    upper_mm: float
    boxes: int
    cut: bool


def _split_triangles(corners: Array) -> Array:
    """Each triangle (n, 3, 3) as the four between its corners and the middles of its edges, (4 n, 3, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    four = [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    return np.asarray(np.stack(four, axis=1).reshape(-1, 3, 3))


def _box_corners(points: Array) -> Array:
    """Corners (8, 3) of a box round points (n, 3), its sides along their own main directions."""
    middle = points.mean(axis=0)
    ways = np.linalg.svd(points - middle, full_matrices=False)[2]
    inside = (points - middle) @ ways.T
    ends = np.stack([inside.min(axis=0), inside.max(axis=0)])
    return np.array([middle + np.array([ends[i, 0], ends[j, 1], ends[k, 2]]) @ ways for i, j, k in np.ndindex(2, 2, 2)])


class DirectionCells(NamedTuple):
    """Spherical triangles: centres (n, 3), half angles (n) in rad, corners (n, 3, 3), all unit vectors."""

    centre: Array
    angle: Array
    corners: Array


@functools.cache
def direction_cells(levels: int) -> list[DirectionCells]:
    """Cells that cover the sphere, coarse to fine; cell n has the children 4n to 4n + 3.

    Examples
    --------
    >>> [len(cells.centre) for cells in direction_cells(3)]
    [8, 32, 128]
    """
    signs = np.array([(a, b, c) for a in (1.0, -1.0) for b in (1.0, -1.0) for c in (1.0, -1.0)])
    corners = np.eye(3)[None] * signs[:, None, :]
    result = []
    for _ in range(levels):
        centre = corners.sum(axis=1)
        centre /= np.linalg.norm(centre, axis=1, keepdims=True)
        cosine = np.einsum("nkd,nd->nk", corners, centre).min(axis=1)
        result.append(DirectionCells(centre, np.arccos(np.clip(cosine, -1.0, 1.0)), corners))
        corners = _split_triangles(corners)
        corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    return result


@dataclass(slots=True, eq=False)
class _Places:
    """Pieces of the sacral joint face that axes enter through: patches first, then triangles, split as needed.

    Pieces lie between their corners, eight for patches and three for triangles (the rest are not numbers); `patch` is
    the one that a piece is of.
    """

    corners: Array
    centre: Array
    radius: Array
    child: NDArray[np.int64]
    children: NDArray[np.int64]
    patch: NDArray[np.int64]

    @classmethod
    def of(cls, anatomy: Anatomy, side: Side, frame: SideFrame) -> _Places:
        face = [SURFACE_ID[name] for name in ("joint_articular", "joint_ligamentous")]
        corners = anatomy.sacrum.corners_lps_mm()[np.isin(anatomy.sacrum.label, face)]
        corners = corners[(anatomy.frame.frame_from_lps(corners.mean(axis=1))[:, 0] * SIDE_SIGN[side]) > 0.0]
        corners = frame.side_from_lps(corners)
        cell = np.floor(corners.mean(axis=1) / _PATCH_MM).astype(int)
        _, which = np.unique(cell, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        corners, which = corners[order], which.ravel()[order]
        first = np.searchsorted(which, np.arange(which[-1] + 2))
        boxes = [corners[a:b].reshape(-1, 3) for a, b in itertools.pairwise(first)]
        centre = np.array([0.5 * (p.min(axis=0) + p.max(axis=0)) for p in boxes])
        radius = np.array([np.linalg.norm(p - c, axis=1).max() for p, c in zip(boxes, centre, strict=True)])
        n = len(centre)
        hulls = np.array([_box_corners(points) for points in boxes])
        places = cls(hulls, centre, radius, first[:-1] + n, np.diff(first), np.arange(n))
        places._add(corners, which)
        return places

    def _add(self, corners: Array, patch: NDArray[np.int64]) -> None:
        centre = corners.mean(axis=1)
        filled = np.full((len(corners), 8, 3), np.nan)
        filled[:, :3] = corners
        self.corners = np.concatenate([self.corners, filled])
        self.centre = np.concatenate([self.centre, centre])
        self.radius = np.concatenate([self.radius, np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)])
        self.child = np.concatenate([self.child, np.full(len(corners), -1)])
        self.children = np.concatenate([self.children, np.full(len(corners), 4)])
        self.patch = np.concatenate([self.patch, patch])

    def split(self, which: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Children of places: for each child, the row of `which` it belongs to, and its own number."""
        new = np.unique(which[self.child[which] < 0])
        if len(new):
            self.child[new] = len(self.centre) + 4 * np.arange(len(new))
            self._add(_split_triangles(self.corners[new, :3]), np.repeat(self.patch[new], 4))
        row = np.repeat(np.arange(len(which)), self.children[which])
        start = np.concatenate([[0], np.cumsum(self.children[which])[:-1]])
        return row, self.child[which][row] + np.arange(len(row)) - start[row]


@dataclass(slots=True, eq=False)
class _Boxes:
    """Boxes in columns: place, direction (level and cell), slots (bits), bound in mm, reach, what is known.

    Those that are `fresh` are measured, at the threshold of the moment or below it: only their reach holds.
    """

    place: NDArray[np.int64]
    level: NDArray[np.int64]
    cell: NDArray[np.int64]
    slots: NDArray[np.uint8]
    bound: Array
    reach: Array
    known: Array
    fresh: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> _Boxes:
        return _Boxes(*(getattr(self, name)[rows] for name in self.__slots__))

    def joined(self, other: _Boxes) -> _Boxes:
        return _Boxes(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__))


@dataclass(slots=True, eq=False)
class UpperBound:
    """A branch and bound for one problem; `floor_mm` is the slack of the best plan known, 0 or more."""

    problem: Problem
    floor_mm: float
    frame: SideFrame
    scene: Scene = field(init=False)
    rules: BoxRules = field(init=False)
    places: _Places = field(init=False)
    ways: list[DirectionCells] = field(init=False)
    sides: Array = field(init=False)
    pairs: PairLimits = field(init=False)
    evaluated: int = 0

    def __post_init__(self) -> None:
        anatomy, side, limits, frame = self.problem.anatomy, self.problem.side, self.problem.limits, self.frame
        corners = np.ascontiguousarray(frame.side_from_lps(anatomy.ilium[side].corners_lps_mm()))
        inward = -1.0 if SIDE_SIGN[side] > 0 else 1.0
        sites = danger_sites(anatomy, side, limits)
        depths = bone_depth(sites.low, sites.site.shape, inward)
        self.scene = Scene(sites, triangle_tree(corners), depths, _joint_cells(anatomy, side, frame))
        self.rules = box_rules(self.problem)
        gap = limits.solid_gap_min_mm - JUDGE_TOL_MM
        self.pairs = PairLimits(limits.crossing_spacing_min_mm, self.rules.inscribed_mm, gap)
        self.places = _Places.of(anatomy, side, frame)
        self.ways = direction_cells(_LEVELS)
        self.sides = joint_sides(frame.side_from_vector(anatomy.joints[side].mean_normal))

    def prove(self, target_mm: float, most_boxes: int, stop: Callable[[float], bool], cap_mm: float = np.inf) -> Bound:
        """Lower the bound until it is `target_mm` or the work is over; `stop` is asked with the bound so far.

        Nothing above `cap_mm` is of interest: the first threshold lies below it. Every threshold begins with the root
        again: boxes that a higher one has split may be dropped whole, for want of a neighbour, once others are split.
        """
        target_mm = max(target_mm - _MARGIN_MM, self.floor_mm)
        root = self._root(most_boxes)
        if root is None:
            return Bound(self._as_slack(cap_mm), 0, cut=True)
        upper = min(float(root.bound.max(initial=-np.inf)), cap_mm)
        while upper > target_mm:
            threshold = self.floor_mm + min(_FIRST_MM, _STEP * (upper - self.floor_mm))
            threshold = target_mm if threshold < target_mm + _LAST_MM else threshold
            active = root[root.bound >= threshold]
            while True:
                done, todo = active[active.fresh], active[~active.fresh]
                for rows in np.array_split(np.arange(len(todo)), len(todo) // _CHUNK + 1):
                    if stop(upper) or self.evaluated + len(rows) > most_boxes:
                        return Bound(self._as_slack(upper), self.evaluated, cut=True)
                    done = done.joined(self._measured(todo[rows], threshold))
                active = done
                active = active[active.bound >= threshold]
                active.slots = self._supported(active)
                active = self._by_slot(active[active.slots > 0])
                if not len(active):
                    upper = threshold
                    break
                due = self._due(active)
                active = active[~due].joined(self._children(active[due]))
        return Bound(self._as_slack(max(upper, target_mm)), self.evaluated, cut=False)

    def _as_slack(self, upper_mm: float) -> float:
        return max(upper_mm, self.floor_mm) + _MARGIN_MM

    def _root(self, most: float = np.inf) -> _Boxes | None:
        """Boxes that cover all axes, for all slots; None where they are more than may be measured."""
        patches = np.flatnonzero(self.places.child >= 0)
        cells = np.arange(len(self.ways[_ROOT_LEVEL].centre))
        place, cell = np.repeat(patches, len(cells)), np.tile(cells, len(patches))
        if len(place) > most:
            return None
        known, slots = (-self.rules.iliac_mm, -OVERLAP_TOL_MM, WIDEST_GAP_MM, 1.0), (1 << self.problem.count) - 1
        return self._measured(
            _Boxes(
                place, np.full(len(place), _ROOT_LEVEL), cell, np.full(len(place), slots, np.uint8),
                np.full(len(place), np.inf), np.zeros((len(place), len(self.sides))),
                np.tile(known, (len(place), 1)), np.zeros(len(place), np.bool_),
            ),
            self.floor_mm,
        )  # fmt: skip

    def _directions(self, level: NDArray[np.int64], cell: NDArray[np.int64]) -> DirectionCells:
        way, angle, corners = np.zeros((len(level), 3)), np.zeros(len(level)), np.zeros((len(level), 3, 3))
        for n in np.unique(level):
            rows = level == n
            way[rows], angle[rows], corners[rows] = (part[cell[rows]] for part in self.ways[n])
        return DirectionCells(way, angle, corners)

    def _measured(self, boxes: _Boxes, threshold_mm: float) -> _Boxes:
        """Boxes, those that have no slots yet measured, less those with no axis that could be better than the floor."""
        new = ~boxes.fresh
        old, boxes = boxes[~new], boxes[new]
        way, angle, lean = self._directions(boxes.level, boxes.cell)
        place, pieces = boxes.place, self.places
        bound, slots, reach, known = measure_boxes(
            *self.scene, self.rules, threshold_mm,
            pieces.centre[place], pieces.radius[place], way, angle, pieces.corners[place], lean, boxes.slots,
            boxes.known, self.sides,
        )  # fmt: skip
        self.evaluated += len(place)
        high = bound >= threshold_mm
        measured = _Boxes(
            place, boxes.level, boxes.cell, np.where(high, slots, boxes.slots), np.minimum(bound, boxes.bound),
            np.where(high[:, None], reach, boxes.reach), known, high,
        )  # fmt: skip
        return old.joined(measured[measured.bound >= self.floor_mm])

    def _supported(self, boxes: _Boxes) -> NDArray[np.uint8]:
        """The slots (bits) in which each box belongs to a possible plan."""
        limits, count, result = self.problem.limits, self.problem.count, np.zeros(len(boxes), np.uint8)
        slot, row = np.nonzero(boxes.slots >> np.arange(count, dtype=np.uint8)[:, None] & 1)
        pieces = self.places
        keys = np.zeros((len(row), 5), np.int64)
        for k in range(count):
            own = row[slot == k]
            radius, level = pieces.radius[boxes.place[own]], boxes.level[own]
            wanted = max(_GROUP_LEVEL, int(np.median(level)) - _GROUP_DEEPER) if len(own) else 0
            coarse = np.minimum(level, wanted)
            cell = _GROUPS_WIDE * max(float(np.median(radius)), 0.1) if len(own) else 1.0
            where = np.floor(pieces.centre[boxes.place[own]] / cell).astype(np.int64)
            keys[slot == k] = np.column_stack([coarse, boxes.cell[own] >> 2 * (level - coarse), where])
        order = np.lexsort((*keys.T, slot))
        row, slot, keys = row[order], slot[order], keys[order]
        differ = (np.diff(keys, axis=0) != 0).any(axis=1) | (np.diff(slot) != 0)
        first = np.flatnonzero(np.append(True, differ)) if len(row) else np.zeros(0, np.int64)
        start = np.searchsorted(slot[first], np.arange(count + 1))
        if (np.diff(start) == 0).any():
            return result
        way, angle, _ = self._directions(boxes.level, boxes.cell)
        mutual = np.deg2rad(limits.mutual_angle_max_deg)
        around, wide, _ = self._directions(keys[first, 0], keys[first, 1])
        articular = boxes.known[:, 3] if self._at_most_one_beside() else np.ones(len(boxes))
        ends = boxes.known[:, 0], np.full(len(boxes), self.rules.sacral_mm)
        own = np.column_stack([pieces.centre[boxes.place], pieces.radius[boxes.place], *ends])
        form = forms(boxes.reach, way, angle, articular, mutual, own)[row]
        some = np.maximum.reduceat(articular[row], first)
        group = forms(np.maximum.reduceat(boxes.reach[row], first, axis=0), around, wide, some, mutual)
        fine = bool(np.median(boxes.level) >= _SLOT_LEVEL)
        alive = chained(form, np.append(first, len(row)), start, group, self.pairs, agree=fine)
        np.bitwise_or.at(result, row[alive], np.uint8(1) << slot[alive].astype(np.uint8))
        return result

    def _at_most_one_beside(self) -> bool:
        """Whether a plan may have at most one implant that does not cross the joint's articular part."""
        return self.problem.limits.articular_min_count >= 2

    def _by_slot(self, boxes: _Boxes) -> _Boxes:
        """Boxes with narrow directions, one for each of their slots: a slot's own rules bound them better."""
        apart = boxes.level >= _SLOT_LEVEL
        parts = [boxes[~apart]]
        for slot in range(self.problem.count):
            parts.append(boxes[apart & (boxes.slots >> slot & 1 == 1)])
            parts[-1].slots[:] = 1 << slot
        return functools.reduce(_Boxes.joined, parts)

    def _width(self, boxes: _Boxes) -> Array:
        """How far points of axes of each box lie apart, about, in mm."""
        angle = self._directions(boxes.level, boxes.cell).angle
        return np.maximum(self.places.radius[boxes.place], _LEVER_MM * angle)

    def _due(self, boxes: _Boxes) -> NDArray[np.bool_]:
        """Which boxes to split: those of the slots that have fewest left, and those that lag behind."""
        count = np.array([(boxes.slots >> slot & 1).sum() for slot in range(self.problem.count)])
        few = sum(1 << int(slot) for slot in np.flatnonzero(count <= _FEW * count.min()))
        width = self._width(boxes)
        of_few = (boxes.slots & few) > 0
        return np.asarray(of_few | (width > _LAG * width[of_few].min()))

    def _children(self, boxes: _Boxes) -> _Boxes:
        """Every box split where it is wider."""
        angle = self._directions(boxes.level, boxes.cell).angle
        by_place = self.places.radius[boxes.place] > _LEVER_MM * angle
        by_place |= boxes.level >= _LEVELS - 1
        moved, turned = boxes[by_place], boxes[~by_place]
        row, place = self.places.split(moved.place)
        moved, turned = moved[row], turned[np.repeat(np.arange(len(turned)), 4)]
        moved.place = place
        turned.level, turned.cell = turned.level + 1, 4 * turned.cell + np.arange(len(turned)) % 4
        children = moved.joined(turned)
        children.fresh[:] = False
        return children


def box_rules(problem: Problem) -> BoxRules:
    """The rules of a problem, as loose as the loosest slot's."""
    anatomy, limits = problem.anatomy, problem.limits
    lateral = np.zeros(problem.count)
    for slot in range(problem.count):
        for level in TIP_LATERAL_OF[slot + 1]:
            foramen = anatomy.foramen(level, problem.side)
            if foramen is not None:
                lateral[slot] = max(lateral[slot], foramen.most_lateral_mm - _TIP_MM)
    lowest, levels = -1e6, anatomy.levels(problem.side)
    last = anatomy.foramen(levels[-1], problem.side) if levels and "S4" not in levels else None
    if last is not None:
        lowest = float(anatomy.frame.frame_from_lps(last.lumen_lps_mm)[:, 2].mean()) - _TIP_MM
    return BoxRules(
        radius_mm=min(m.circumscribed_radius_mm for m in problem.models),
        widest_mm=max(m.circumscribed_radius_mm for m in problem.models),
        inscribed_mm=min(m.inscribed_radius_mm for m in problem.models),
        sacral_mm=limits.sacral_min_mm,
        iliac_mm=max(limits.iliac_min_mm - OVERLAP_TOL_MM, 0.0),
        normal_cosine=float(np.cos(np.deg2rad(limits.joint_normal_angle_max_deg))),
        tip_lateral_mm=lateral,
        lowest_mm=lowest,
    )


def _joint_cells(anatomy: Anatomy, side: Side, frame: SideFrame) -> JointCells:
    joint = anatomy.joints[side]
    point = np.asarray(frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm)))
    normal, vote = frame.side_from_vector(joint.normal), np.where(joint.articular, 1.0, -1.0)
    cell = np.floor(point / _CELL_MM).astype(int)
    _, which = np.unique(cell, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    point, normal, vote, which = point[order], normal[order], vote[order], which.ravel()[order]
    start = np.searchsorted(which, np.arange(which[-1] + 2))
    centre = np.array([point[a:b].mean(axis=0) for a, b in itertools.pairwise(start)])
    radius = np.linalg.norm(point - centre[which], axis=1)
    widest = np.array([radius[a:b].max() for a, b in itertools.pairwise(start)])
    return JointCells(np.ascontiguousarray(point), np.ascontiguousarray(normal), vote, start, centre, widest)
