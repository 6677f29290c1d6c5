"""Fields a planner searches with: slack to the nearest danger, and signed distance to each bone, near one joint.

Everything lies in the *side frame*: lateral (+), posterior, cranial, in mm from the pelvic origin. Both sides then
look alike, and a mirrored pelvis gives the same numbers. Fields are for searching; what is reported is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_cdt

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, AnatomicalFrame
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.fields import nearest_site
from sjplan.geometry.surface import LabelledSurface, joined
from sjplan.geometry.winding import winding

FIELD_STEP_MM = 1.0
"""Grid step of the fields: half the narrowest limit."""

_REACH_LATERAL_MM, _REACH_MEDIAL_MM, _REACH_AROUND_MM = 55.0, 45.0, 22.0
"""How far the fields reach beyond the joint: an ilium's thickness and the head; a sacral purchase; an envelope."""

_FAR_MM = 30.0
_N_DANGERS = len(DANGERS)


@dataclass(frozen=True, slots=True, eq=False)
class SideFrame:
    """Coordinates (lateral, posterior, cranial) of one side; a reflection of the pelvic frame on the right."""

    frame: AnatomicalFrame
    side: Side

    def side_from_lps(self, points_lps_mm: ArrayLike) -> Array:
        """Side coordinates in mm of LPS points, (..., 3)."""
        return np.asarray(self.frame.frame_from_lps(points_lps_mm) * np.array([SIDE_SIGN[self.side], 1.0, 1.0]))

    def lps_from_side(self, points_mm: ArrayLike) -> Array:
        """LPS points of side coordinates, (..., 3)."""
        return self.frame.lps_from_frame(np.asarray(points_mm) * np.array([SIDE_SIGN[self.side], 1.0, 1.0]))

    def side_from_vector(self, vectors: ArrayLike) -> Array:
        """Turn LPS directions into side coordinates, (..., 3)."""
        return np.asarray(np.asarray(vectors) @ self.frame.axes.T * np.array([SIDE_SIGN[self.side], 1.0, 1.0]))


class PlanningField(NamedTuple):
    """Fields on one grid in the side frame; `origin` is the centre of node (0, 0, 0), `step` the spacing in mm.

    `slack`: distance to the nearest danger less its limit, negative outside the bone behind a danger.
    `sacrum`, `ilium`: signed distance to each bone, negative inside. `sacrum_leap`, `ilium_leap`: see `leaps`.
    """

    slack: NDArray[np.float32]
    sacrum: NDArray[np.float32]
    ilium: NDArray[np.float32]
    origin: NDArray[np.float64]
    step: float
    sacrum_leap: NDArray[np.int8]
    ilium_leap: NDArray[np.int8]


class Sites(NamedTuple):
    """Triangles as points: centroid, outward unit normal, label."""

    point: Array
    normal: Array
    label: NDArray[np.uint8]

    def where(self, chosen: NDArray[Any]) -> Sites:
        """Those of a mask or of indices."""
        return Sites(self.point[chosen], self.normal[chosen], self.label[chosen])


def leaps(values: NDArray[np.float32]) -> NDArray[np.int8]:
    """How far the sign of a field stays what it is: cells to the nearest one where it changes, in any direction.

    Positive where the field is 0 or more, negative where it is below, 0 in a cell whose corners differ; cells beyond
    the grid count as such. A cell has the index of its first node; the last node of each row stands for no cell.

    Examples
    --------
    >>> row = np.array([2.0, 1.0, -1.0, -2.0, -3.0, -4.0, -5.0], np.float32)
    >>> leaps(np.tile(row, (7, 7, 1)))[3, 3].tolist()
    [1, 0, -1, -2, -2, -1, 0]
    """
    below = values < 0.0
    corners = [below[i:][:, j:][:, :, k:][tuple(slice(n - 1) for n in below.shape)] for i, j, k in np.ndindex(2, 2, 2)]
    all_below, any_below = np.logical_and.reduce(corners), np.logical_or.reduce(corners)
    same = np.pad(all_below | ~any_below, 1, constant_values=False)
    cells = np.minimum(distance_transform_cdt(same, metric="chessboard"), 127)[1:-1, 1:-1, 1:-1]
    out = np.zeros(values.shape, np.int8)
    out[:-1, :-1, :-1] = np.where(all_below, -cells, cells)
    return out


def with_leaps(
    slack: NDArray[np.float32],
    sacrum: NDArray[np.float32],
    ilium: NDArray[np.float32],
    origin: NDArray[np.float64],
    step: float,
) -> PlanningField:
    """Fields with their leaps."""
    return PlanningField(slack, sacrum, ilium, origin, step, leaps(sacrum), leaps(ilium))


def planning_field(anatomy: Anatomy, side: Side, limits: Limits) -> PlanningField:
    """Build the fields round one joint."""
    frame = SideFrame(anatomy.frame, side)
    joint = frame.side_from_lps(anatomy.joints[side].sacral_lps_mm)
    low = joint.min(axis=0) - np.array([_REACH_MEDIAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    high = joint.max(axis=0) + np.array([_REACH_LATERAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    shape = np.ceil((high - low) / FIELD_STEP_MM).astype(int) + 1
    bones = anatomy.sacrum, anatomy.ilium[side]
    inside = [_inside(frame, bone, low, shape) for bone in bones]
    signed_sacrum, signed_ilium = (
        _sided(_signed(surface_sites(frame, bone), low, shape)[0], within)
        for bone, within in zip(bones, inside, strict=True)
    )
    both = surface_sites(frame, joined(*bones))
    unsettled, which = _signed(both, low, shape)
    nearest = _sided(unsettled, inside[0] | inside[1])
    slack = np.full(tuple(shape), _FAR_MM, np.float32)
    limit_of = np.array([limits.clearance_of(name) for name in DANGERS])
    for limit in np.unique(limit_of):
        chosen = np.isin(both.label, np.flatnonzero(limit_of == limit))
        distance, _ = nearest_sites(both.where(chosen), low, shape)
        np.minimum(slack, distance - np.float32(limit), out=slack)
    label = both.label[which]
    out = (nearest > 0) & (label < _N_DANGERS) & ~_beside_entry(both, low, shape, joint)
    limit_here = limit_of[np.minimum(label, _N_DANGERS - 1)].astype(np.float32)
    slack[out] = (-nearest - limit_here)[out]
    return with_leaps(slack, signed_sacrum, signed_ilium, low, FIELD_STEP_MM)


def surface_sites(frame: SideFrame, surface: LabelledSurface) -> Sites:
    """Every triangle of a surface as a point in the side frame."""
    corners = surface.vertices_lps_mm[surface.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(size, 1e-12)
    return Sites(frame.side_from_lps(corners.mean(axis=1)), frame.side_from_vector(normal), surface.label)


def _inside(frame: SideFrame, bone: LabelledSurface, low: Array, shape: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Nodes in a bone."""
    corners = frame.side_from_lps(bone.corners_lps_mm())
    return np.asarray(winding(corners, low, (int(shape[0]), int(shape[1]), int(shape[2])), FIELD_STEP_MM) != 0)


def _sided(signed: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Signed distances, negative in the bone. Next to the surface the nearest plane has the last word."""
    wrong = (np.abs(signed) >= 1.5 * FIELD_STEP_MM) & ((signed < 0) != inside)
    return np.where(wrong, -signed, signed)


def _seeds(sites: Sites, low: Array, shape: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Mark the node nearest to each site; where several share one, the site nearest to the node stays."""
    index = np.rint((sites.point - low) / FIELD_STEP_MM).astype(np.int64)
    inside = ((index >= 0) & (index < shape)).all(axis=1)
    rows = np.flatnonzero(inside)
    offset = np.linalg.norm(sites.point[rows] - (low + index[rows] * FIELD_STEP_MM), axis=1)
    rows = rows[np.argsort(-offset, kind="stable")]
    owner = np.full(tuple(shape), -1, np.int32)
    owner[tuple(index[rows].T)] = rows
    return owner >= 0, owner


@nb.njit(cache=True, parallel=True)
def _measure(
    site: NDArray[np.int32],
    owner: NDArray[np.int32],
    point: NDArray[np.float64],
    normal: NDArray[np.float64],
    low: NDArray[np.float64],
    step: float,
    signed: bool,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Distance of every node to the site that owns its nearest marked node; signed by that site's normal."""
    ni, nj, nk = owner.shape
    out = np.full(owner.shape, np.float32(_FAR_MM))
    which = np.zeros(owner.shape, np.int32)
    for i in nb.prange(ni):
        for j in range(nj):
            for k in range(nk):
                a = site[i, j, k, 0]
                if a < 0:
                    continue
                n = owner[a, site[i, j, k, 1], site[i, j, k, 2]]
                x = low[0] + i * step - point[n, 0]
                y = low[1] + j * step - point[n, 1]
                z = low[2] + k * step - point[n, 2]
                d = np.sqrt(x * x + y * y + z * z)
                if signed:
                    along = x * normal[n, 0] + y * normal[n, 1] + z * normal[n, 2]
                    if d < 1.5 * step:
                        d = along
                    elif along < 0:
                        d = -d
                out[i, j, k] = d
                which[i, j, k] = n
    return out, which


def _signed(sites: Sites, low: Array, shape: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    mask, owner = _seeds(sites, low, shape)
    site = nearest_site(mask, (FIELD_STEP_MM,) * 3)
    measured: tuple[NDArray[np.float32], NDArray[np.int32]] = _measure(
        site, owner, sites.point, sites.normal, low, FIELD_STEP_MM, True
    )
    return measured


def nearest_sites(sites: Sites, low: Array, shape: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Distance of every node of a grid to a site near it, and which; the nearest one, or nearly so.

    `low` is the centre of the first node; nodes are `FIELD_STEP_MM` apart.
    """
    mask, owner = _seeds(sites, low, shape)
    if not mask.any():
        return np.full(tuple(shape), np.float32(_FAR_MM)), np.zeros(tuple(shape), np.int32)
    site = nearest_site(mask, (FIELD_STEP_MM,) * 3)
    measured: tuple[NDArray[np.float32], NDArray[np.int32]] = _measure(
        site, owner, sites.point, sites.normal, low, FIELD_STEP_MM, False
    )
    return measured


def _beside_entry(both: Sites, low: Array, shape: NDArray[np.int64], joint: Array) -> NDArray[np.bool_]:
    """Nodes in front of the gluteal surface, where an implant's head may stand: not out of the bone."""
    chosen = both.label == SURFACE_ID["lateral"]
    signed, _ = _signed(both.where(chosen), low, shape)
    x = low[0] + np.arange(shape[0]) * FIELD_STEP_MM
    beyond = x > np.median(joint[:, 0])
    return np.asarray((signed > 0) & (signed < 8.0) & beyond[:, None, None])


@nb.njit(cache=True)
def sample(
    values: NDArray[np.float32], origin: NDArray[np.float64], step: float, x: float, y: float, z: float
) -> float:
    """Trilinear value at a point in side coordinates; -30 outside the grid."""
    a, b, c = (x - origin[0]) / step, (y - origin[1]) / step, (z - origin[2]) / step
    i, j, k = int(a), int(b), int(c)
    if a < 0 or b < 0 or c < 0 or i >= values.shape[0] - 1 or j >= values.shape[1] - 1 or k >= values.shape[2] - 1:
        return -30.0
    u, v, w = a - i, b - j, c - k
    p = values[i, j, k] * (1 - w) + values[i, j, k + 1] * w
    q = values[i, j + 1, k] * (1 - w) + values[i, j + 1, k + 1] * w
    r = values[i + 1, j, k] * (1 - w) + values[i + 1, j, k + 1] * w
    s = values[i + 1, j + 1, k] * (1 - w) + values[i + 1, j + 1, k + 1] * w
    lower, upper = p * (1 - v) + q * v, r * (1 - v) + s * v
    return float(lower * (1 - u) + upper * u)
