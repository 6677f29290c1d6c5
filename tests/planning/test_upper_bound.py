"""The proof: no implant beats the bound of a box it lies in, no plan the bound of them all."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from planning_shapes import bench_of

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.geometry.triangle_tree import nearest_point
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.volumes import read_labels
from sjplan.planning.axis_box import DROPPED, WIDEST_GAP_MM, measure_boxes, slack_bound
from sjplan.planning.box_cuts import CUTS, ROW
from sjplan.planning.field import SideFrame
from sjplan.planning.finish import Bench, Placed, place
from sjplan.planning.joint_support import common_angle, joint_sides, supported_slots
from sjplan.planning.protocol import Problem
from sjplan.planning.upper_bound import UpperBound, direction_cells
from sjplan.safety.measures import OVERLAP_TOL_MM

BOXES, MEMBERS = 150, 8
ROUNDING_MM = 1e-5


@pytest.fixture(scope="module")
def proof(problem: Problem, bench: Bench) -> UpperBound:
    return UpperBound(problem, 0.0, bench.frame)


@dataclass
class Box:
    """A box of axes: corners of its place and of its directions, and the ball and the cone round them."""

    entry: np.ndarray
    centre: np.ndarray
    radius: float
    lean: np.ndarray
    way: np.ndarray
    angle: float

    def axis(self, rng: np.random.Generator) -> np.ndarray:
        """An axis of the box, at corners now and then: where it enters the sacrum, and its direction."""
        point, way = (
            c[rng.integers(3)] if rng.random() < 0.3 else rng.dirichlet(np.ones(3)) @ c for c in (self.entry, self.lean)
        )
        return np.concatenate([point, way / np.linalg.norm(way)])


def boxes(proof: UpperBound, rng: np.random.Generator) -> Iterator[Box]:
    """Boxes of all sizes whose axes stand fairly square to the joint."""
    whole = np.flatnonzero(proof.places.child < 0)
    whole = whole[~np.isnan(proof.places.corners[whole, 0, 0])]
    _, finer = proof.places.split(rng.choice(whole, 40))
    anatomy = proof.problem.anatomy
    normal = proof.frame.side_from_vector(anatomy.joints[proof.problem.side].mean_normal)
    for _ in range(BOXES):
        n = rng.choice(np.concatenate([whole, finer]))
        cells = proof.ways[rng.integers(2, 7)]
        m = rng.choice(np.flatnonzero(cells.centre @ normal > np.cos(np.deg2rad(25.0))))
        place_of = proof.places.corners[n], proof.places.centre[n], proof.places.radius[n]
        yield Box(*place_of, cells.corners[m], cells.centre[m], cells.angle[m])


def placed_members(proof: UpperBound, bench: Bench, box: Box, slot: int, rng: np.random.Generator) -> Iterator[Placed]:
    """Implants on axes of a box that enter the sacrum where the box says."""
    for _ in range(MEMBERS):
        axis = box.axis(rng)
        found = place(bench, slot, axis)
        if found is not None:
            enters = found.axis[:3] + found.sacral_entry * found.axis[3:]
            if np.linalg.norm(enters - axis[:3]) < 1e-4:
                yield found


def measured(proof: UpperBound, box: Box, floor_mm: float = 0.0) -> tuple[np.ndarray, ...]:
    """Bound, slots, reach and what is known, of one box."""
    known = np.array([[-proof.rules.iliac_mm, -OVERLAP_TOL_MM, WIDEST_GAP_MM]])
    parts = box.centre, box.radius, box.way, box.angle, box.entry, box.lean
    every = measure_boxes(*proof.scene, proof.rules, floor_mm, *(np.array([p]) for p in parts), known, proof.sides)
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
            np.full((CUTS, ROW), np.inf),
        )  # fmt: skip
        for found in placed_members(proof, bench, box, slot, rng):
            axis, crossed = found.axis[3:], found.axis[:3]
            enters = crossed + found.sacral_entry * axis
            if found.value >= 0.0:
                assert slots >> slot & 1, "a box is dropped that holds an implant that keeps all rules"
                assert (proof.sides @ crossed <= reach + ROUNDING_MM).all()
                assert known[1] - ROUNDING_MM <= 2.0 * found.sacral_entry <= known[2] + ROUNDING_MM
                _, strict_slots, strict, _ = measured(proof, box, found.slack_mm - ROUNDING_MM)
                assert strict_slots >> slot & 1
                assert (proof.sides @ crossed <= strict + ROUNDING_MM).all()
                assert (strict <= reach + ROUNDING_MM).mean() > 0.5
            if found.slack_mm < 0.0 or found.lateral > found.sacral_entry - proof.rules.iliac_mm:
                continue
            compared += 1
            for t in np.arange(known[0], -proof.rules.iliac_mm, 0.5):
                point = np.ascontiguousarray(enters + t * axis)
                assert nearest_point(proof.scene.ilium, point)[1] * proof.scene.inward > 0.0
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


@pytest.mark.parametrize("count", [2, 3])
def test_directions_near_each_other_lie_near_a_common_one(count: int) -> None:
    rng, mutual = np.random.default_rng(2), np.deg2rad(20.0)
    for _ in range(300):
        way = np.array([1.0, 0.0, 0.0]) + 0.2 * rng.standard_normal((count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        if min(a @ b for a, b in itertools.combinations(way, 2)) < np.cos(mutual):
            continue
        sums = [sum(some) for k in range(1, count + 1) for some in itertools.combinations(way, k)]
        if count == 3:
            across = np.cross(way[1] - way[0], way[2] - way[0])
            sums.append(across * np.sign(across @ way[0]))
        nearest = max((way @ (s / np.linalg.norm(s))).min() for s in sums)
        assert np.arccos(nearest) <= common_angle(mutual, count) + 1e-9


@pytest.mark.parametrize("count", [2, 3])
def test_supported_slots_are_those_of_all_sets(count: int) -> None:
    """With no room for error the kernel finds what trying every set finds; with room, never less."""
    rng = np.random.default_rng(4)
    sides = joint_sides(np.array([-0.8, 0.6, 0.0]))
    for _ in range(40):
        n = int(rng.integers(3, 90 if count == 2 else 14))
        middle = rng.uniform(0.0, 26.0, (n, 3)) * [0.2, 1.0, 1.0]
        slots = rng.integers(0, 1 << count, n).astype(np.uint8)
        wanted = np.zeros(n, np.uint8)
        for chosen in itertools.permutations(range(n), count):
            pairs = list(itertools.combinations(chosen, 2))
            apart = all(
                np.linalg.norm(middle[a] - middle[b]) >= 13.0 and middle[a, 2] >= middle[b, 2] for a, b in pairs
            )
            if apart and all(slots[c] >> slot & 1 for slot, c in enumerate(chosen)):
                for slot, c in enumerate(chosen):
                    wanted[c] |= 1 << slot
        assert (supported_slots(middle @ sides.T, slots, 13.0, count) == wanted).all()
        others = middle[:, None] + rng.uniform(-1.0, 1.0, (n, 3, 3))
        reach = np.maximum(middle @ sides.T, (others @ sides.T).max(axis=1))
        assert not (wanted & ~supported_slots(reach, slots, 13.0, count)).any()


def best_plan_mm(proof: UpperBound, bench: Bench, step: int) -> float:
    """Worst slack of the best of many plans: exact implants on a coarse set of axes, the rules of pairs on axes."""
    places = np.flatnonzero(proof.places.child >= 0)[::step]
    cells = proof.ways[3]
    anatomy, limits = proof.problem.anatomy, proof.problem.limits
    normal = proof.frame.side_from_vector(anatomy.joints[proof.problem.side].mean_normal)
    ways = cells.centre[cells.centre @ normal > np.cos(np.deg2rad(22.0))]
    axes, slacks, slots = [], [], []
    for point, way in itertools.product(proof.places.centre[places], ways):
        found = [place(bench, 0, np.concatenate([point, way]))]
        if found[0] is not None and found[0].slack_mm > 0.0:
            found += [place(bench, slot, found[0].axis) for slot in range(1, proof.problem.count)]
            axes.append(next(f.axis for f in found if f is not None))
            slacks.append(max(f.slack_mm for f in found if f is not None))
            slots.append([f is not None and f.value > 0.0 for f in found])
    axis, slack, fits = np.array(axes), np.array(slacks), np.array(slots)
    order = np.argsort(-slack)[:400]
    axis, slack, fits = axis[order], slack[order], fits[order]
    apart = np.linalg.norm(axis[:, None, :3] - axis[None, :, :3], axis=2) >= limits.crossing_spacing_min_mm
    turned = axis[:, 3:] @ axis[:, 3:].T >= np.cos(np.deg2rad(limits.mutual_angle_max_deg))
    below = apart & turned & (axis[:, None, 2] >= axis[None, :, 2])
    best = 0.0
    for a, b in zip(*np.nonzero(below & fits[:, 0, None] & fits[None, :, 1]), strict=True):
        third = below[a] & below[b] & fits[:, 2]
        best = max(best, min(slack[a], slack[b], slack[third].max(initial=0.0)))
    return best


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
