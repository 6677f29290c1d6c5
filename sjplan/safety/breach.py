"""How probable it is that implants breach, when they end up where an error model lets them.

Each draw moves every implant and shifts the surface of each structure; a breach is the true solid cutting a shifted
surface. Every draw is decided on the judge's own surfaces; a draw that moves an implant by less than its measured
distance is clear without looking.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.error_model import COMPONENTS, ErrorModel
from sjplan.core.errors import GeometryError
from sjplan.core.structures import DANGERS
from sjplan.core.tolerances import DEPTH_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid
from sjplan.geometry.triangle_tree import TriangleTree, reaches
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.safety.types import BreachReport, ImplantBreach, MarginReport, Probability

DRAWS = 10_000
"""Draws where nothing else is asked: a probability of 5 % is then known to half a point."""

_CONFIDENCE = 0.95
_SLOTS = 3


def probability(hits: int, draws: int) -> Probability:
    """The share of hits with its 95 % interval (Wilson's).

    Examples
    --------
    >>> p = probability(50, 1000)
    >>> p.value, round(p.low, 4), round(p.high, 4)
    (0.05, 0.0381, 0.0653)
    """
    from scipy.stats import binomtest  # takes a second to import, and most commands never ask

    interval = binomtest(hits, draws).proportion_ci(_CONFIDENCE, method="wilson")
    return Probability(hits / draws, float(interval.low), float(interval.high))


def breach_report(
    report: MarginReport,
    surfaces: MeasuringSurfaces,
    model: ErrorModel,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> BreachReport:
    """Breach probabilities of a judged plan.

    Parameters
    ----------
    report : MarginReport
        The judge's measure of the plan.
    surfaces : MeasuringSurfaces
        Of the same anatomy and side.
    model : ErrorModel
        Where implants end up.
    rng : Generator
        A generator in the same state gives every plan the same draws, so that plans are compared on equal terms.
    draws : int
        How many.
    """
    if draws < 1:
        raise GeometryError("draws", found=f"{draws}", wanted="1 or more")
    normal = rng.standard_normal((draws, _SLOTS, len(COMPONENTS)))
    shift = model.label_sigma_mm * rng.standard_normal((draws, len(DANGERS)))
    construct = np.zeros(draws, bool)
    implants = []
    for implant in report.implants:
        solids, moved = moved_solids(implant.trajectory, model.errors(normal[:, implant.slot - 1]))
        any_hit = np.zeros(draws, bool)
        found = {}
        for c in implant.clearances:
            toward = shift[:, DANGERS.index(c.structure)]
            in_doubt = np.flatnonzero(moved + toward > c.distance_mm - DEPTH_TOL_MM)
            hit = np.zeros(draws, bool)
            hit[in_doubt] = _cut(surfaces.dangers[c.structure], solids[in_doubt], toward[in_doubt])
            any_hit |= hit
            if hit.any():
                found[c.structure] = probability(int(hit.sum()), draws)
        construct |= any_hit
        implants.append(ImplantBreach(implant.slot, probability(int(any_hit.sum()), draws), found))
    return BreachReport(model.id, draws, tuple(implants), probability(int(construct.sum()), draws))


def moved_solids(trajectory: Trajectory, errors: Array) -> tuple[Array, Array]:
    """Packed solids (n, 15) of an implant after errors (n, 5), and how far any point of each has moved at most (mm).

    The tip is moved across and along the planned axis; then the implant turns about its tip, the shortest way.
    """
    packed = implant_solid(trajectory).packed
    w, u, v, length = packed[3:6], packed[6:9], packed[9:12], packed[12]
    shift = errors[:, 0:1] * u + errors[:, 1:2] * v + errors[:, 2:3] * w
    angle = np.deg2rad(np.hypot(errors[:, 3], errors[:, 4]))
    toward = np.deg2rad(errors[:, 3:4]) * u + np.deg2rad(errors[:, 4:5]) * v
    toward /= np.maximum(angle, 1e-12)[:, None]
    turn = np.cross(w, toward)
    out = np.tile(packed, (len(errors), 1))
    for first in (3, 6, 9):
        out[:, first : first + 3] = _turned(packed[first : first + 3], turn, angle)
    out[:, :3] = trajectory.tip_lps_mm + shift - length * out[:, 3:6]
    reach = np.hypot(length, trajectory.model.circumscribed_radius_mm)
    return out, np.linalg.norm(shift, axis=1) + 2.0 * np.sin(0.5 * angle) * reach


def _turned(vector: Array, axis: Array, angle: Array) -> Array:
    """A vector turned about unit axes (n, 3) by angles (n,); where the angle is zero the axis does not matter."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = (axis @ vector)[:, None]
    return np.asarray(c * vector + s * np.cross(axis, vector) + (1.0 - c) * along * axis)


@nb.njit(cache=True, parallel=True)
def _cut(tree: TriangleTree, solids: NDArray[np.float64], toward: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each packed solid cuts the surface after it came nearer by so much."""
    out = np.zeros(len(solids), np.bool_)
    for n in nb.prange(len(solids)):
        out[n] = reaches(tree, solids[n], toward[n])
    return out
