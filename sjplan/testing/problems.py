"""Small planning problems on a phantom, the same case seen from elsewhere, and honest answers to them."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, check_shape, check_vector
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome, Plan, Side, Status
from sjplan.core.tolerances import DIRECTION_TOL, JUDGE_TOL_MM
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.planning.protocol import Problem
from sjplan.safety.judge import judge
from sjplan.safety.measures import solid_gap_mm

SPACING_MM = 2.0
"""Voxel edge of the contract's phantom: the coarsest that may be planned on, so that a contract stays cheap."""

IMPOSSIBLE_MM = 60.0
"""Distance between crossings at which no three implants fit: a joint is about as tall as this."""

TURN_DEG = (12.0, -9.0, 17.0)
SHIFT_LPS_MM = (2000.0, -1500.0, 300.0)
"""How the contract's turned and shifted cases lie in the scanner: oblique, and metres from the origin."""

CASES = ("as scanned", "mirrored", "shifted", "turned")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A rigid motion of a case, or one with a mirror: x -> matrix x + shift.

    Parameters
    ----------
    matrix : (3, 3) float
        Orthonormal; a determinant of -1 mirrors, and then left and right change their names.
    shift_lps_mm : (3,) float
        Applied afterwards.

    Raises
    ------
    GeometryError
        If the matrix is not orthonormal.

    Examples
    --------
    >>> Motion.mirror().points([[10.0, 2.0, 3.0]]).tolist(), Motion.mirror().side("left")
    ([[-10.0, 2.0, 3.0]], 'right')
    """

    matrix: Array
    shift_lps_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", check_shape("matrix", self.matrix, (3, 3)))
        object.__setattr__(self, "shift_lps_mm", check_vector("shift_lps_mm", self.shift_lps_mm))
        if np.abs(self.matrix.T @ self.matrix - np.eye(3)).max() > DIRECTION_TOL:
            raise GeometryError("matrix", found=f"{self.matrix.tolist()}", wanted="an orthonormal matrix")

    @classmethod
    def none(cls) -> Motion:
        """Everything stays."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def mirror(cls) -> Motion:
        """Left becomes right."""
        return cls(np.diag([-1.0, 1.0, 1.0]), np.zeros(3))

    @classmethod
    def shift(cls, shift_lps_mm: ArrayLike) -> Motion:
        """Moved, not turned."""
        return cls(np.eye(3), np.asarray(shift_lps_mm, dtype=np.float64))

    @classmethod
    def turn(cls, about_x_deg: float, about_y_deg: float, about_z_deg: float) -> Motion:
        """Turned about the scanner's x, then y, then z axis through its origin."""
        result = np.eye(3)
        for axis, angle in enumerate((about_x_deg, about_y_deg, about_z_deg)):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            step = np.eye(3)
            step[a, a] = step[b, b] = np.cos(np.deg2rad(angle))
            step[b, a], step[a, b] = np.sin(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))
            result = step @ result
        return cls(result, np.zeros(3))

    @property
    def mirrors(self) -> bool:
        """Whether left and right change places."""
        return bool(np.linalg.det(self.matrix) < 0)

    def points(self, points_lps_mm: ArrayLike) -> Array:
        """Moved points, (..., 3)."""
        return np.asarray(np.asarray(points_lps_mm, dtype=np.float64) @ self.matrix.T + self.shift_lps_mm)

    def vectors(self, vectors: ArrayLike) -> Array:
        """Moved directions, (..., 3)."""
        return np.asarray(np.asarray(vectors, dtype=np.float64) @ self.matrix.T)

    def side(self, side: Side) -> Side:
        """The name that a side has afterwards."""
        if not self.mirrors:
            return side
        return "right" if side == "left" else "left"

    def labels(self, labels: LabelMap) -> LabelMap:
        """The same voxels on a grid that lies elsewhere; nothing is resampled."""
        grid = labels.grid
        moved = Grid(
            grid.shape, grid.spacing_mm, self.points(grid.origin_lps_mm), self.matrix @ np.asarray(grid.direction)
        )
        names = {i: self._name(name) for i, name in labels.names.items()}
        return LabelMap(moved, labels.label, names, labels.source)

    def _name(self, name: str) -> str:
        for side in get_args(Side):
            if self.mirrors and name.endswith(f"_{side}"):
                return name.removesuffix(side) + self.side(side)
        return name


MOTIONS: Mapping[str, Motion] = {
    "as scanned": Motion.none(),
    "mirrored": Motion.mirror(),
    "shifted": Motion.shift(SHIFT_LPS_MM),
    "turned": Motion.turn(*TURN_DEG),
}
"""Every case of `CASES` as a motion of the first."""


@lru_cache(maxsize=1)
def phantom_labels() -> LabelMap:
    """Label map of the default phantom at 2 mm."""
    # Where a planner is asked in a process of its own, nothing of a phantom is imported.
    from sjplan.io.presets import read_preset
    from sjplan.phantom.build import build_labels

    return build_labels(read_preset("default"), spacing_mm=SPACING_MM)[0]


@lru_cache(maxsize=len(CASES))
def phantom_anatomy(case: str = "as scanned") -> Anatomy:
    """Anatomy of the default phantom as one of `CASES`, made once in a process."""
    return anatomy_from_labels(MOTIONS[case].labels(phantom_labels()))


def phantom_problem(
    case: str = "as scanned",
    side: Side = "left",
    models: tuple[str, ...] = ("tri-7", "tri-7", "tri-7"),
    limits: Limits | None = None,
) -> Problem:
    """A problem that has a solution with millimetres to spare: the default phantom under the default limits.

    Parameters
    ----------
    case : str
        One of `CASES`.
    side : {"left", "right"}
        Side of the case as it is scanned; a mirrored case asks for the other one.
    models : tuple of str
        Catalogue ids, one a slot.
    limits : Limits, optional
        In place of the default limits.
    """
    catalogue = read_implants()
    return Problem(
        anatomy=phantom_anatomy(case),
        side=MOTIONS[case].side(side),
        models=tuple(catalogue[name] for name in models),
        limits=read_limits() if limits is None else limits,
    )


def impossible_problem(models: tuple[str, ...] = ("tri-7", "tri-7", "tri-7")) -> Problem:
    """A problem without a solution: the same phantom, but crossings of the joint are to lie 60 mm apart."""
    return phantom_problem(models=models, limits=replace(read_limits(), crossing_spacing_min_mm=IMPOSSIBLE_MM))


def fingerprint(*values: object) -> str:
    """SHA-256 over everything that values hold, arrays byte by byte; for "unchanged" and "the same answer".

    An outcome's `seconds` are left out: they differ from run to run.

    Examples
    --------
    >>> fingerprint([1, 2]) == fingerprint([1, 2]), fingerprint(np.zeros(2)) == fingerprint(np.zeros(3))
    (True, False)
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, value: object) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    elif dataclasses.is_dataclass(value):
        digest.update(type(value).__name__.encode())
        for field in dataclasses.fields(value):
            if not (isinstance(value, Outcome) and field.name == "seconds"):
                digest.update(field.name.encode())
                _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            digest.update(f"key {key}".encode())
            _feed(digest, value[key])
    elif isinstance(value, (tuple, list)):
        digest.update(f"{len(value)} items".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, (set, frozenset)):
        _feed(digest, sorted(map(repr, value)))
    else:
        digest.update(repr(value).encode())


def arrays(value: object) -> Iterator[np.ndarray]:
    """Every array that dataclasses, mappings, tuples and lists hold.

    Examples
    --------
    >>> [a.shape for a in arrays({"a": np.zeros(2), "b": [np.zeros((1, 3)), "no array"]})]
    [(2,), (1, 3)]
    """
    if isinstance(value, np.ndarray):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from arrays(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays(item)


def dishonesty(problem: Problem, outcome: object, planner_id: str) -> list[str]:
    """What is wrong with an answer, as sentences; empty for an honest one.

    An honest answer to a valid problem has a legal status; a plan goes with `found` and `best_effort` only, fits the
    problem (side, models, catalogue lengths, cranial to caudal), is made of finite numbers, accepted by the judge and
    clear of the problem's obstacles; `infeasible` gives reasons; `nearest` is not accepted; `fallback` is an accepted
    plan with two implants; a certificate claims no more slack than the judge measures; every plan of `pareto` is
    accepted.
    """
    if not isinstance(outcome, Outcome):
        return [f"the answer is a {type(outcome).__name__}, wanted an Outcome"]
    wrong: list[str] = []
    if outcome.status not in get_args(Status) or outcome.status == "invalid_input":
        wrong.append(f"status {outcome.status!r} for a valid problem")
    if not outcome.evaluations >= 0 or not (0 <= outcome.seconds < math.inf):
        wrong.append(f"{outcome.evaluations} evaluations in {outcome.seconds} s")
    if outcome.status == "infeasible" and not outcome.reasons:
        wrong.append("infeasible without a reason")
    for reason in outcome.reasons:
        if not reason.constraint or not reason.text or not reason.missing >= 0:
            wrong.append(f"an empty reason: {reason}")
    offered = [("the plan", outcome.plan), ("the nearest plan", outcome.nearest), ("the fallback", outcome.fallback)]
    offered += [(f"pareto plan {n}", plan) for n, plan in enumerate(outcome.pareto, 1)]
    for what, plan in offered:
        if plan is not None:
            wrong += _wrong_plan(what, plan, problem, outcome, planner_id)
    return wrong


def _wrong_plan(what: str, plan: object, problem: Problem, outcome: Outcome, planner_id: str) -> list[str]:
    """What is wrong with one plan of an answer."""
    if not isinstance(plan, Plan):
        return [f"{what} is a {type(plan).__name__}, wanted a Plan"]
    if not all(np.isfinite([*t.entry_lps_mm, *t.tip_lps_mm, t.roll_deg]).all() for t in plan.trajectories):
        return [f"{what} holds numbers that are not finite"]
    report = judge(plan, problem.anatomy, problem.limits)
    if plan is outcome.fallback:
        wrong = [] if report.accepted else ["the fallback is not accepted"]
        if len(plan.trajectories) != 2 or problem.count != 3:
            wrong.append("a fallback is a two-implant plan where three were asked for")
        return wrong
    wrong = _misfits(what, plan, problem, planner_id)
    if plan is outcome.nearest:
        if report.accepted and not _hits(what, plan, problem):
            wrong.append("the nearest plan is accepted, and should have been the plan")
        return wrong
    wrong += [f"{what} is called {outcome.status}, but {v.text}" for v in report.violations]
    wrong += _hits(what, plan, problem)
    claimed = None if plan is not outcome.plan or outcome.certificate is None else outcome.certificate.slack_mm
    if claimed is not None and claimed > report.slack_mm + JUDGE_TOL_MM:
        wrong.append(f"the certificate claims {claimed:.3f} mm of slack, the judge measures {report.slack_mm:.3f} mm")
    return wrong


def _hits(what: str, plan: Plan, problem: Problem) -> list[str]:
    """Obstacles that a plan comes too near to."""
    limit = problem.limits.solid_gap_min_mm
    gaps = [
        (slot, solid_gap_mm(t, obstacle))
        for slot, t in enumerate(plan.trajectories, 1)
        for obstacle in problem.obstacles
    ]
    return [
        f"{what}: implant {slot} is {gap:.2f} mm from an obstacle, at least {limit:g} mm wanted"
        for slot, gap in gaps
        if gap < limit - JUDGE_TOL_MM
    ]


def _misfits(what: str, plan: Plan, problem: Problem, planner_id: str) -> list[str]:
    wrong = []
    if plan.side != problem.side:
        wrong.append(f"{what} is for the {plan.side} side, asked was the {problem.side} one")
    if plan.planner != planner_id:
        wrong.append(f"{what} is signed {plan.planner!r}, the planner is {planner_id!r}")
    models = tuple(t.model for t in plan.trajectories)
    if models != problem.models:
        wrong.append(f"{what} holds {[m.id for m in models]}, asked was {[m.id for m in problem.models]}")
    wrong += [
        f"{what}: implant {slot} is {t.length_mm:.3f} mm long, {t.model.id} is not"
        for slot, t in enumerate(plan.trajectories, 1)
        if not t.in_catalogue
    ]
    return wrong
