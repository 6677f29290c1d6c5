"""Plans that mind errors least: the worst z-score, clearance over the deviation of its first-order change.

Where a structure lies d from an implant at points q (on the implant) and n is the way from one to the other, a small
error of the pose moves q by a linear function of the error, and the clearance changes by minus its part along n. Its
standard deviation follows from the model's covariance; the structure's own error adds to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.error_model import ErrorModel
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import envelope_solid
from sjplan.geometry.triangle_tree import solid_to_surface
from sjplan.planning.finish import Bench, Placed, place, worst_value

_LEAST_SIGMA_MM = 1e-6
_FIRST_STEP_MM, _LAST_STEP_MM = 1.0, 0.05
_PATIENCE = 10


def clearance_sigma_mm(model: ErrorModel, trajectory: Trajectory, at_lps_mm: Array, on_lps_mm: Array) -> float:
    """Standard deviation in mm of the first-order change of one clearance.

    Parameters
    ----------
    model : ErrorModel
        Where implants end up.
    trajectory : Trajectory
        The implant as planned.
    at_lps_mm, on_lps_mm : (3,) float
        Witness points on the structure and on the implant.

    Examples
    --------
    >>> from sjplan.io.error_models import read_error_models
    >>> from sjplan.io.catalogue import read_implants
    >>> rod = Trajectory((0, 0, 0), (40, 0, 0), 0.0, read_implants()["thread-10"])
    >>> model = read_error_models()["fluoro-planned"]
    >>> beyond = clearance_sigma_mm(model, rod, np.array([50.0, 0, 0]), np.array([40.0, 0, 0]))
    >>> round(beyond - float(np.hypot(model.covariance[2, 2] ** 0.5, model.label_sigma_mm)), 9)
    0.0
    """
    toward = np.asarray(at_lps_mm, dtype=np.float64) - on_lps_mm
    distance = float(np.linalg.norm(toward))
    if distance == 0.0:
        return float(np.hypot(np.sqrt(model.covariance.diagonal().max()), model.label_sigma_mm))
    n, lever = toward / distance, np.asarray(on_lps_mm) - trajectory.tip_lps_mm
    w = trajectory.axis
    u, v = trajectory.section_axes()
    moves = [u, v, w, *(np.deg2rad(1.0) * np.cross(np.cross(w, side), lever) for side in (u, v))]
    gradient = np.array([float(n @ move) for move in moves])
    variance = float(gradient @ model.covariance @ gradient) + model.label_sigma_mm**2
    return max(float(np.sqrt(variance)), _LEAST_SIGMA_MM)


def z_score(bench: Bench, model: ErrorModel, trajectory: Trajectory) -> float:
    """Smallest clearance of the envelope over its deviation, of all danger structures of one implant."""
    solid = envelope_solid(trajectory)
    worst = np.inf
    for tree in bench.surfaces.dangers.values():
        distance, at, on = solid_to_surface(tree, solid)
        worst = min(worst, distance / clearance_sigma_mm(model, trajectory, at, on))
    return float(worst)


@dataclass(frozen=True, slots=True, eq=False)
class Steadied:
    """Placed implants, their worst z-score, and how many placements were measured."""

    placed: tuple[Placed, ...]
    z: float
    measured: int


def steadied(
    bench: Bench, model: ErrorModel, axes: Sequence[Array], rng: np.random.Generator, trials: int
) -> Steadied | None:
    """Move implants, one at a time, so that the worst z-score grows while every limit holds.

    None where an axis cannot be placed or the start keeps not all limits.
    """
    first = [place(bench, slot, axis) for slot, axis in enumerate(axes)]
    placed = [p for p in first if p is not None]
    if len(placed) < len(axes) or worst_value(bench, placed) < 0.0:
        return None
    scores = [_score(bench, model, slot, p) for slot, p in enumerate(placed)]
    size, failed = _FIRST_STEP_MM, 0
    for _ in range(trials):
        slot = int(np.argmin(scores)) if rng.random() < 0.7 else int(rng.integers(len(placed)))
        moved = placed[slot].axis + size * np.concatenate([rng.standard_normal(3), rng.standard_normal(3) / 20.0])
        moved[3:] /= np.linalg.norm(moved[3:])
        trial = place(bench, slot, moved)
        better = False
        if trial is not None and trial.value >= 0.0:
            candidate = [*placed[:slot], trial, *placed[slot + 1 :]]
            if worst_value(bench, candidate) >= 0.0:
                score = _score(bench, model, slot, trial)
                better = score > scores[slot]
                if better:
                    placed, scores[slot] = candidate, score
        failed = 0 if better else failed + 1
        if failed > _PATIENCE:
            size, failed = max(0.6 * size, _LAST_STEP_MM), 0
    return Steadied(tuple(placed), min(scores), len(axes) + trials)


def _score(bench: Bench, model: ErrorModel, slot: int, placed: Placed) -> float:
    return z_score(bench, model, bench.trajectory(slot, placed.axis, placed.start, placed.stop))


def plan_z_score(bench: Bench, model: ErrorModel, trajectories: Sequence[Trajectory]) -> float:
    """Worst z-score of a plan's implants."""
    return min(itertools.starmap(z_score, ((bench, model, t) for t in trajectories)))
