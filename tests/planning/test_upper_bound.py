"""The proof: no implant beats the bound of a box it lies in, no plan the bound of them all."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from planning_shapes import bench_of

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.volumes import read_labels
from sjplan.planning.axis_box import DROPPED, WIDEST_GAP_MM, measure_boxes, slack_bound
from sjplan.planning.box_cuts import CUTS, ROW, RULES
from sjplan.planning.field import SideFrame
from sjplan.planning.finish import Bench, Placed, place
from sjplan.planning.joint_support import PairLimits, chained, forms, joint_sides, may_stand_below
from sjplan.planning.protocol import Problem
from sjplan.planning.triples import segment_distance
from sjplan.planning.upper_bound import UpperBound, direction_cells
from sjplan.safety.measures import OVERLAP_TOL_MM, solid_gap_mm

BOXES, MEMBERS = 150, 8
ROUNDING_MM = 1e-5


@pytest.fixture(scope="module")
def proof(problem: Problem, bench: Bench) -> UpperBound:
    return UpperBound(problem, 0.0, bench.frame)


@dataclass
class Box:
    """A box of axes: triangles of its place, corners of it and of its directions, the ball and the cone round them."""

    faces: np.ndarray
    entry: np.ndarray
    centre: np.ndarray
    radius: float
    lean: np.ndarray
    way: np.ndarray
    angle: float

    def axis(self, rng: np.random.Generator) -> np.ndarray:
        """An axis of the box, at corners now and then: where it enters the sacrum, and its direction."""
        face = self.faces[rng.integers(len(self.faces))]
        point, way = (
            c[rng.integers(3)] if rng.random() < 0.3 else rng.dirichlet(np.ones(3)) @ c for c in (face, self.lean)
        )
        return np.concatenate([point, way / np.linalg.norm(way)])


def boxes(proof: UpperBound, rng: np.random.Generator) -> Iterator[Box]:
    """Boxes of all sizes whose axes stand fairly square to the joint."""
    whole = np.flatnonzero(proof.places.child < 0)
    patches = np.flatnonzero(proof.places.child >= 0)
    _, finer = proof.places.split(rng.choice(whole, 40))
    anatomy = proof.problem.anatomy
    normal = proof.frame.side_from_vector(anatomy.joints[proof.problem.side].mean_normal)
    for _ in range(BOXES):
        n = rng.choice(np.concatenate([whole, finer]) if rng.random() < 0.7 else patches)
        cells = proof.ways[rng.integers(2, 7)]
        m = rng.choice(np.flatnonzero(cells.centre @ normal > np.cos(np.deg2rad(25.0))))
        corners, first = proof.places.corners, proof.places.child[n]
        parts = np.arange(first, first + proof.places.children[n]) if n in patches else np.array([n])
        yield Box(
            corners[parts, :3],
            corners[n],
            proof.places.centre[n],
            proof.places.radius[n],
            cells.corners[m],
            cells.centre[m],
            cells.angle[m],
        )


def placed_members(proof: UpperBound, bench: Bench, box: Box, slot: int, rng: np.random.Generator) -> Iterator[Placed]:
    """Implants on axes of a box that enter the sacrum where the box says."""
    for _ in range(MEMBERS):
        axis = box.axis(rng)
        found = place(bench, slot, axis)
        if found is not None:
            enters = found.axis[:3] + found.sacral_entry * found.axis[3:]
            if np.linalg.norm(enters - axis[:3]) < 1e-4:
                yield found


def measured(proof: UpperBound, box: Box, floor_mm: float = 0.0, slots: int = 7) -> tuple[np.ndarray, ...]:
    """Bound, slots, reach and what is known, of one box; for some slots (bits)."""
    known = np.array([[-proof.rules.iliac_mm, -OVERLAP_TOL_MM, WIDEST_GAP_MM, 1.0]])
    parts = box.centre, box.radius, box.way, box.angle, box.entry, box.lean
    asked = np.array([slots], np.uint8)
    every = measure_boxes(
        *proof.scene, proof.rules, floor_mm, *(np.array([p]) for p in parts), asked, known, proof.sides
    )
    return tuple(part[0] for part in every)


def check_members(proof: UpperBound, bench: Bench, seed: int) -> int:
    """Assert every bound on random members of random boxes; how many had a slack to compare."""
    rng, compared = np.random.default_rng(seed), 0
    for box in boxes(proof, rng):
        slot = int(rng.integers(proof.problem.count))
        bound, slots, reach, known = measured(proof, box)
        loose, start = slack_bound(
            *proof.scene[:3], proof.rules, box.centre, box.radius, box.way, box.angle,
            np.full((3, 3), np.nan), box.lean, -proof.rules.iliac_mm, -np.inf,
            np.full((CUTS + RULES, ROW), np.inf),
        )  # fmt: skip
        for found in placed_members(proof, bench, box, slot, rng):
            crossed = found.axis[:3]
            if found.value >= 0.0:
                assert slots >> slot & 1, "a box is dropped that holds an implant that keeps all rules"
                assert (proof.sides @ crossed <= reach + ROUNDING_MM).all()
                assert known[1] - ROUNDING_MM <= 2.0 * found.sacral_entry <= known[2] + ROUNDING_MM
                assert known[3] or not found.articular
                own, strict_slots, strict, _ = measured(proof, box, found.slack_mm - ROUNDING_MM, 1 << slot)
                assert strict_slots == 1 << slot
                assert found.slack_mm <= own + ROUNDING_MM
                assert (proof.sides @ crossed <= strict + ROUNDING_MM).all()
                assert (strict <= reach + ROUNDING_MM).mean() > 0.5
            if found.slack_mm < 0.0 or found.lateral > found.sacral_entry - proof.rules.iliac_mm:
                continue
            compared += 1
            assert known[0] >= found.lateral - found.sacral_entry - ROUNDING_MM
            assert start >= found.lateral - found.sacral_entry - ROUNDING_MM
            assert found.slack_mm <= loose + ROUNDING_MM
            if bound > DROPPED:
                assert found.slack_mm <= bound + ROUNDING_MM
    return compared


def test_no_implant_beats_the_bound_of_its_box(proof: UpperBound, bench: Bench) -> None:
    assert check_members(proof, bench, 3) > 100


def test_children_keep_what_their_parents_know(proof: UpperBound) -> None:
    """A child's bound, start and joint, worked out from its parent's, lie within its parent's."""
    rng = np.random.default_rng(5)
    root = proof._root()
    some = root[rng.choice(np.flatnonzero(root.slots > 0), 200, replace=False)]
    children = proof._measured(proof._children(some), -np.inf)
    parents = {(p, c): k for p, c, k in zip(some.place, some.cell, some.known, strict=True)}
    assert (children.level > root.level[0]).sum() > 20
    for p, c, level, known in zip(children.place, children.cell, children.level, children.known, strict=True):
        key = (p, c // 4)
        if level > root.level[0]:
            assert known[0] <= parents[key][0]
            assert known[1] >= parents[key][1]
            assert known[2] <= parents[key][2]


def test_cells_cover_the_sphere_and_lie_in_their_parents() -> None:
    cells = direction_cells(4)
    way = np.random.default_rng(1).standard_normal((500, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    for level, (centre, angle, corners) in enumerate(cells):
        weights = np.linalg.solve(corners.transpose(0, 2, 1)[None], way[:, None, :, None])[..., 0]
        inside = (weights > -1e-12).all(axis=2)
        assert inside.any(axis=1).all()
        apart = np.arccos(np.clip(way @ centre.T, -1.0, 1.0))
        assert (apart <= angle + 1e-9)[inside].all()
        assert weights.sum(axis=2)[inside].max() <= 1.0 / np.cos(angle.max()) + 1e-9
        if level:
            parent = cells[level - 1].corners[np.arange(len(centre)) // 4]
            assert np.linalg.solve(parent.transpose(0, 2, 1), corners.transpose(0, 2, 1)).min() > -1e-12


def ways_near(normal: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    way = normal + 0.25 * rng.standard_normal((n, 3))
    return way / np.linalg.norm(way, axis=1, keepdims=True)


def every_chain(middle: np.ndarray, way: np.ndarray, slots: np.ndarray, count: int) -> set[tuple[int, ...]]:
    """All sets, one row a slot, that are in order, far enough apart and parallel enough."""
    apart = np.linalg.norm(middle[:, None] - middle[None], axis=2) >= 13.0
    below = apart & (way @ way.T >= np.cos(np.deg2rad(20.0))) & (middle[:, None, 2] >= middle[None, :, 2])
    return {
        chosen
        for chosen in itertools.product(*(np.flatnonzero(slots == slot) for slot in range(count)))
        if all(below[a, b] for a, b in itertools.combinations(chosen, 2))
    }


@pytest.mark.parametrize("count", [2, 3])
def test_chained_boxes_are_those_of_all_sets(count: int) -> None:
    """With no room for error what is left is what trying every set leaves; with room, never less."""
    rng, normal, mutual = np.random.default_rng(4), np.array([-0.8, 0.6, 0.0]), np.deg2rad(20.0)
    sides, limits = joint_sides(normal), PairLimits(13.0, 3.5, 3.0)
    kept = 0
    for _ in range(60):
        slots = np.sort(np.append(np.arange(count), rng.integers(0, count, int(rng.integers(3, 40)))))
        n = len(slots)
        middle, way = rng.uniform(0.0, 26.0, (n, 3)) * [0.2, 1.0, 1.0], ways_near(normal, n, rng)
        wanted = np.zeros(n, np.bool_)
        for chosen in every_chain(middle, way, slots, count):
            wanted[list(chosen)] = True
        kept += wanted.sum()
        start = np.searchsorted(slots, np.arange(count + 1))
        for turned in (0.0, 0.05):
            others = middle[:, None] + 20.0 * turned * rng.uniform(-1.0, 1.0, (n, 3, 3))
            reach = np.maximum(middle @ sides.T, (others @ sides.T).max(axis=1))
            moved = way + turned / 2.0 * rng.uniform(-1.0, 1.0, (n, 3))
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            form = forms(reach, moved, np.full(n, turned), np.ones(n), mutual)
            left = chained(form, np.arange(n + 1), start, form, limits)
            assert not (wanted & ~left).any()
            assert turned or (left == wanted).all()
            pairs = np.arange(n + 1)[np.unique(np.append(np.arange(0, n, 2), start))]
            together = forms(np.maximum.reduceat(reach, pairs[:-1]), np.tile(normal, (len(pairs) - 1, 1)),
                             np.full(len(pairs) - 1, 1.0), np.ones(len(pairs) - 1), mutual)  # fmt: skip
            slot_start = np.searchsorted(pairs, start)
            assert (chained(form, pairs, slot_start, together, limits) == left).all()
    assert kept > 100


@pytest.mark.slow
def test_boxes_are_kept_apart_by_solids_only_where_all_their_implants_would_be_too_near() -> None:
    """Random implants of pairs of boxes, whatever their rolls: true solids, cylinders and triangles."""
    rng, limits, wide = np.random.default_rng(6), PairLimits(13.0, 3.5, 3.0), np.deg2rad(90.0)
    corners = ImplantModel("t", "triangle", "triangle", 3.5, 1.0, (45.0,))
    round_ = ImplantModel("c", "cylinder", "cylinder", 3.5, 3.5, (45.0,))
    dropped = dict.fromkeys((0.0, 0.3, 1.0), 0)
    for _ in range(600):
        radius, angle = float(rng.choice(list(dropped))), rng.choice([1e-6, 0.02, 0.1])
        entry = np.array([[0.0, 0.0, 0.0], [rng.uniform(-3.0, 3.0), rng.uniform(5.0, 14.0), rng.uniform(-3.0, 3.0)]])
        way = ways_near(np.array([1.0, 0.0, 0.0]), 2, rng)
        own = np.column_stack([entry, np.full(2, radius), rng.uniform(-25.0, -8.0, 2), np.full(2, 10.0)])
        form = forms(np.full((2, 12), 99.0), way, np.full(2, angle), np.ones(2), wide, own)
        may = may_stand_below(form[0], form[1], limits)
        for _ in range(6):
            ends = []
            for n in range(2):
                shift, tilt = rng.standard_normal((2, 3))
                start = entry[n] + radius * rng.random() * shift / np.linalg.norm(shift)
                across = np.cross(way[n], tilt)
                lean = angle * rng.random()
                turned = np.cos(lean) * way[n] + np.sin(lean) * across / np.linalg.norm(across)
                reach = own[n, 4] - rng.random() * 3.0, 10.0 + rng.random() * 3.0
                model = corners if rng.random() < 0.5 else round_
                ends.append(Trajectory(*(start + t * turned for t in reach), rng.uniform(0.0, 120.0), model))
            gap = solid_gap_mm(*ends)
            assert may or gap < limits.gap_mm
        dropped[radius] += not may
    assert min(dropped.values()) > 20


def test_two_boxes_without_articular_crossings_do_not_stand_together() -> None:
    reach, way = np.full((2, 12), 99.0), np.tile([1.0, 0.0, 0.0], (2, 1))
    for counts, wanted in (((1, 1), True), ((1, 0), True), ((0, 1), True), ((0, 0), False)):
        form = forms(reach, way, np.full(2, 0.1), np.array(counts, dtype=float), 0.3)
        assert may_stand_below(form[0], form[1], PairLimits(13.0, 3.5, 3.0)) is wanted


def best_plan_mm(proof: UpperBound, bench: Bench, step: int) -> float:
    """Worst slack of the best of many plans: exact implants on a coarse set of axes, the rules of pairs on axes."""
    places = np.flatnonzero(proof.places.child >= 0)[::step]
    cells = proof.ways[3]
    anatomy, limits = proof.problem.anatomy, proof.problem.limits
    normal = proof.frame.side_from_vector(anatomy.joints[proof.problem.side].mean_normal)
    ways = cells.centre[cells.centre @ normal > np.cos(np.deg2rad(22.0))]
    axes, slacks, slots, spans, articular = [], [], [], [], []
    for point, way in itertools.product(proof.places.centre[places], ways):
        found = [place(bench, 0, np.concatenate([point, way]))]
        if found[0] is not None and found[0].slack_mm > 0.0:
            found += [place(bench, slot, found[0].axis) for slot in range(1, proof.problem.count)]
            axes.append(next(f.axis for f in found if f is not None))
            slacks.append(max(f.slack_mm for f in found if f is not None))
            spans.append((found[0].start, found[0].stop))
            articular.append(found[0].articular)
            slots.append([f is not None and f.value > 0.0 for f in found])
    axis, slack, fits = np.array(axes), np.array(slacks), np.array(slots)
    order = np.argsort(-slack)[:400]
    axis, slack, fits, span = axis[order], slack[order], fits[order], np.array(spans)[order]
    crosses = np.array(articular)[order]
    gap = 2.0 * proof.rules.inscribed_mm + limits.solid_gap_min_mm
    implants = list(zip(axis, span, strict=True))
    clear = np.array([[segment_distance(a, *s, b, *t) >= gap for b, t in implants] for a, s in implants])
    apart = np.linalg.norm(axis[:, None, :3] - axis[None, :, :3], axis=2) >= limits.crossing_spacing_min_mm
    turned = axis[:, 3:] @ axis[:, 3:].T >= np.cos(np.deg2rad(limits.mutual_angle_max_deg))
    below = apart & turned & clear & (crosses[:, None] | crosses[None, :]) & (axis[:, None, 2] >= axis[None, :, 2])
    best = 0.0
    for a, b in zip(*np.nonzero(below & fits[:, 0, None] & fits[None, :, 1]), strict=True):
        third = below[a] & below[b] & fits[:, 2]
        best = max(best, min(slack[a], slack[b], slack[third].max(initial=0.0)))
    return best


@pytest.mark.slow
def test_no_coarse_plan_beats_the_proof_and_more_work_never_loosens_it(problem: Problem, bench: Bench) -> None:
    uppers = []
    for most in (1, 60_000, 120_000, 240_000):
        proof = UpperBound(problem, 0.0, bench.frame)
        uppers.append(proof.prove(0.0, most, lambda _: False).upper_mm)
    best = best_plan_mm(proof, bench, 9)
    assert best > 0.5
    assert uppers == sorted(uppers, reverse=True)
    assert uppers[-1] >= best


@pytest.mark.real
@pytest.mark.slow
def test_no_implant_beats_the_bound_of_its_box_on_a_real_side(real_data: Path) -> None:
    """VSD z035 left: more than a thousand implants."""
    anatomy = anatomy_from_labels(read_labels(real_data / "vsd_pelvis/labelmaps_1mm/z035_labels.nii.gz"))
    problem = Problem(anatomy, "left", (read_implants()["tri-7"],) * 3, read_limits())
    frame = SideFrame(anatomy.frame, "left")
    bench = bench_of(problem)
    proof = UpperBound(problem, 0.0, frame)
    assert sum(check_members(proof, bench, seed) for seed in range(8)) > 1000
