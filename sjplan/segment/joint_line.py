"""Where sacrum and hip part in the SI joint, from profiles of the CT across it.

In a sharp scan the joint is a dark line between two bright plates. In a blurred or noisy one the plates run together,
and no voxel shows a line. But how the profile across the joint rises and falls still tells where it lies: darker
spongy bone of the ala, its plate, cartilage, the thicker plate of the ilium, denser spongy bone. Such a profile is
blurred and laid against the CT all along the bent phantom's joint; neighbours decide together. Where a dark line is
seen nothing is changed: it follows a rough joint more closely than profiles that neighbours share.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix, diags, identity
from scipy.spatial import cKDTree
from scipy.special import erf

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.segment.working import Volume

HALF_MM: Final = 8.0
STEP_MM: Final = 0.5
"""How far to both sides a profile reaches, and its steps."""

FARTHEST_MM: Final = 4.0
OFFSET_STEP_MM: Final = 0.25
"""How far from the bent phantom's joint the true one may lie, and in which steps it is looked for (defaults)."""

USUALLY_MM: Final = 2.0
"""How far off it usually lies: where the CT tells nothing, nothing moves (default)."""

APART_MM: Final = 2.0
FACING_MM: Final = 3.0
"""Distance of profiles from each other; where bones of the bent phantom lie nearer to its joint they face each other
(defaults)."""

GAPS_MM: Final = (0.0, 0.8, 1.3, 1.8, 2.5, 3.3)
SACRAL_PLATES_MM: Final = (0.8, 1.3)
ILIAC_PLATES_MM: Final = (1.2, 1.8)
BLURS_MM: Final = (0.5, 0.8, 1.1, 1.4)
"""What is tried: SI joints are 0.8 to 4.4 mm wide (DEMIR), or fused; the ilium's plate is the thicker (CLINICAL.md 4.4,
recalled); blur (sd) of voxels of 1 mm and kernels of up to 2.5 mm."""

CARTILAGE_HU: Final = 75.0
ALA_HU: Final = (120.0, 100.0)
ILIUM_HU: Final = (220.0, 120.0)
"""Cartilage, and spongy bone on both sides with its spread (NAKAM; rounded; spreads default)."""

SACRAL_SHARE: Final = 0.9
PLATE_SPREAD_HU: Final = 200.0
"""The sacrum's plate beside the ilium's, and the spread of both (defaults)."""

UNLIKE_HU: Final = 60.0
"""How far a profile of neighbours lies off the best model, typically (default)."""

MOST_COST: Final = 30.0
"""A profile that no offset explains counts with no more than this against its neighbours (default)."""

EVIDENT_COST: Final = 10.0
"""A profile shows a joint where the model costs so much less than a straight line does (default)."""

ROUNDS_MM: Final = ((5.0, 3.0), (3.0, 2.0))
"""Over how far (sd) neighbours share their profile, and what they say of the offset, by round (default)."""

LEAST_PROFILES: Final = 50
"""Fewer are no joint (default)."""

SEEN_MM: Final = 0.6
LOOKED_MM: Final = 6.0
SEEN_SHARE: Final = 0.5
"""A joint is seen where sacrum and hip, no farther off than the second, lie so far apart on most profiles (default)."""

DRAWN_MM: Final = 3.0
"""So near to profiles, and to the line, bone is given to one bone or the other (default)."""

AROUND_MM: Final = 10.0
FADING_MM: Final = 4.0
"""The bent phantom moves no farther off than the first; beyond the profiles less and less (sd; defaults)."""

NEIGHBOURS: Final = 6
"""So many profiles tell what holds between them."""

CLIPPED_HU: Final = (-100.0, 1500.0)


@dataclass(frozen=True, slots=True, eq=False)
class JointLine:
    """What profiles tell of one joint.

    Parameters
    ----------
    places_mm, normals : (n, 3) float
        Points in the bent phantom's joint where the CT shows one, voxel indices times spacing; and directions from
        sacrum to hip.
    offset_mm : (n,) float
        How far from there towards the hip the middle of the joint lies.
    gap_mm : float
        How wide it is.
    """

    places_mm: Array
    normals: Array
    offset_mm: Array
    gap_mm: float


def joint_line(hu: Volume, grid: Grid, sacrum_mm: Volume, hip_mm: Volume, cortex_hu: float) -> JointLine | None:
    """Find one joint; None where the bent phantom has none in the scan, or the CT shows none, as where it is fused.

    Parameters
    ----------
    hu : (ni, nj, nk) float32
        The CT.
    grid : Grid
        Of all volumes.
    sacrum_mm, hip_mm : (ni, nj, nk) float32
        Distance to each bone of the bent phantom, negative inside.
    cortex_hu : float
        Density of thick cortex in this scan.
    """
    places, normals = _samples(sacrum_mm, hip_mm, grid)
    if len(places) < LEAST_PROFILES:
        return None
    offset, gap, shown = np.zeros(len(places)), 0.0, np.zeros(len(places), dtype=bool)
    for profile_mm, offset_mm in ROUNDS_MM:
        shared, agreed = _neighbours(places, profile_mm), _neighbours(places, offset_mm)
        profiles = shared @ _profiles(hu, grid, places + offset[:, None] * normals, normals)
        cost, gap = _best_costs(profiles, cortex_hu)
        cost += ((offset[:, None] + _offsets()) / USUALLY_MM) ** 2
        shown = agreed @ (_straight_cost(profiles) - cost.min(axis=1)) > EVIDENT_COST
        cost = agreed @ np.minimum(cost, cost.min(axis=1, keepdims=True) + MOST_COST)
        offset = agreed @ (offset + _lowest(cost))
    shown &= np.abs(offset) < FARTHEST_MM  # what lies at the end of the search was cut off by it
    if np.count_nonzero(shown) < LEAST_PROFILES:
        return None
    return JointLine(places[shown], normals[shown], offset[shown], gap)


def move_joint(line: JointLine, sacrum_mm: Volume, hip_mm: Volume, grid: Grid) -> None:
    """Move the joint of the bent phantom to where its line lies: distances to both bones change in place, near it."""
    box, low = _box(line, grid)
    sacrum, hip = sacrum_mm[box], hip_mm[box]
    near = np.maximum(sacrum, hip) < AROUND_MM
    near &= np.abs(sacrum - hip) < 2.0 * AROUND_MM
    distance_mm, offset = _at(line, (np.argwhere(near) + low) * grid.spacing_mm, line.offset_mm)
    offset *= np.exp(-0.5 * (np.maximum(distance_mm - DRAWN_MM, 0.0) / FADING_MM) ** 2)
    sacrum[near] -= offset.astype(np.float32)
    hip[near] += offset.astype(np.float32)


def draw_joint(
    which: NDArray[np.uint8],
    bone: NDArray[np.bool_],
    hip: int,
    line: JointLine,
    sacrum_mm: Volume,
    hip_mm: Volume,
    grid: Grid,
) -> None:
    """Part sacrum (1) and a hip along the line of their joint, in place, where no gap between them is seen.

    Parameters
    ----------
    which : (ni, nj, nk) uint8
        Which bone each voxel is.
    bone : (ni, nj, nk) bool
        What is bone of any name, or a gap in it.
    hip : int
        The hip's number in `which`.
    line : JointLine
        Of the joint, found with these distances.
    sacrum_mm, hip_mm : (ni, nj, nk) float32
        Distance to each bone of the bent phantom, negative inside.
    grid : Grid
        Of all volumes.
    """
    box, low = _box(line, grid)
    own, middle = which[box], 0.5 * (sacrum_mm[box] - hip_mm[box])
    near = bone[box] & (np.abs(middle) < FARTHEST_MM + DRAWN_MM) & ((own <= 1) | (own == hip))
    ijk = np.argwhere(near)
    distance_mm, told = _at(
        line, (ijk + low) * grid.spacing_mm, np.stack([line.offset_mm, _seen(which, hip, line, grid)])
    )
    across = middle[near] - told[0]
    drawn = (distance_mm < DRAWN_MM) & (np.abs(across) < DRAWN_MM) & (told[1] < SEEN_SHARE)
    name = np.where(np.abs(across) < 0.5 * line.gap_mm, 0, np.where(across < 0.0, 1, hip))
    own[tuple(ijk[drawn].T)] = name[drawn]


def _box(line: JointLine, grid: Grid) -> tuple[tuple[slice, ...], NDArray[np.int64]]:
    """The part of a grid round a joint, and its first voxel."""
    low = np.maximum(np.floor((line.places_mm.min(axis=0) - AROUND_MM) / grid.spacing_mm), 0).astype(int)
    high = np.ceil((line.places_mm.max(axis=0) + AROUND_MM) / grid.spacing_mm).astype(int) + 1
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), low


def _at(line: JointLine, places_mm: Array, values: Array) -> tuple[Array, Array]:
    """Distance (n,) of places to the nearest profile, and means (..., n) of values (..., profiles) that lie near."""
    distance, nearest = map(np.asarray, cKDTree(line.places_mm).query(places_mm, k=NEIGHBOURS))
    weight = np.exp(-0.5 * (distance / APART_MM) ** 2) + 1e-9
    weight /= weight.sum(axis=1, keepdims=True)
    return distance[:, 0], np.asarray((weight * values[..., nearest]).sum(axis=-1))


def _seen(which: NDArray[np.uint8], hip: int, line: JointLine, grid: Grid) -> Array:
    """On how many of the profiles round each (n,) a gap lies between sacrum and hip, or one of them is missing."""
    t = np.arange(-LOOKED_MM, LOOKED_MM + OFFSET_STEP_MM / 2, OFFSET_STEP_MM)
    at = np.rint((line.places_mm[:, None] + t[:, None] * line.normals[:, None]) / grid.spacing_mm).astype(int)
    at = np.clip(at, 0, np.asarray(grid.shape) - 1)
    found = which[tuple(np.moveaxis(at, -1, 0))]
    sacrum, other = found == 1, found == hip
    last = t[len(t) - 1 - np.argmax(sacrum[:, ::-1], axis=1)]
    apart = t[np.argmax(other, axis=1)] - last - OFFSET_STEP_MM >= SEEN_MM
    return np.asarray(_neighbours(line.places_mm, APART_MM) @ (apart | ~sacrum.any(axis=1) | ~other.any(axis=1)))


def _samples(sacrum_mm: Volume, hip_mm: Volume, grid: Grid) -> tuple[Array, Array]:
    """Points half-way between two bones of the bent phantom, and directions from the first to the second, in mm."""
    spacing = grid.spacing_mm
    middle = 0.5 * (sacrum_mm - hip_mm)
    near = (np.abs(middle) < 0.6 * float(spacing.max())) & (np.maximum(sacrum_mm, hip_mm) < FACING_MM)
    ijk = np.argwhere(near)
    _, first = np.unique(np.floor(ijk * spacing / APART_MM).astype(int), axis=0, return_index=True)
    ijk = ijk[first]
    last = np.asarray(grid.shape) - 1
    slope = np.zeros(ijk.shape)
    for axis in range(3):
        step = 2 * np.eye(3, dtype=int)[axis]
        ahead, behind = np.minimum(ijk + step, last), np.maximum(ijk - step, 0)
        rise = middle[tuple(ahead.T)] - middle[tuple(behind.T)]
        slope[:, axis] = rise / ((ahead - behind)[:, axis] * spacing[axis])
    steep = np.linalg.norm(slope, axis=1)
    good = steep > 0.5
    ijk, steep = ijk[good], steep[good, None]
    normals = slope[good] / steep
    return ijk * spacing - middle[tuple(ijk.T)][:, None] / steep * normals, normals


def _profiles(hu: Volume, grid: Grid, places: Array, normals: Array) -> Array:
    """HU along each normal, (n, steps)."""
    t = _along()
    at = (places[:, None] + t[:, None] * normals[:, None]) / grid.spacing_mm
    values = map_coordinates(hu, at.reshape(-1, 3).T, order=1, mode="nearest")
    return np.clip(values, *CLIPPED_HU).reshape(len(places), len(t)).astype(np.float64)


def _along() -> Array:
    return np.arange(-HALF_MM, HALF_MM + STEP_MM / 2, STEP_MM)


def _offsets() -> Array:
    return np.arange(-FARTHEST_MM, FARTHEST_MM + OFFSET_STEP_MM / 2, OFFSET_STEP_MM)


def _neighbours(places: Array, sd_mm: float) -> Any:
    """Weights (n, n), sparse, of a Gaussian mean over neighbours."""
    tree = cKDTree(places)
    near = csr_matrix(tree.sparse_distance_matrix(tree, 2.5 * sd_mm, output_type="coo_matrix"))
    near.data = np.exp(-0.5 * (near.data / sd_mm) ** 2)
    weight = near + identity(len(places), format="csr")
    return diags(1.0 / np.asarray(weight.sum(axis=1)).ravel()) @ weight


def _best_costs(profiles: Array, cortex_hu: float) -> tuple[Array, float]:
    """Costs (n, offsets) under the widths and the blur that explain all profiles together best, and their gap."""
    tried = itertools.product(GAPS_MM, SACRAL_PLATES_MM, ILIAC_PLATES_MM, BLURS_MM)
    costs = ((_costs(profiles, *widths, cortex_hu), widths[0]) for widths in tried)
    return min(costs, key=lambda c: float(np.minimum(c[0].min(axis=1), 2.0 * MOST_COST).mean()))


def _costs(
    profiles: Array, gap_mm: float, sacral_mm: float, iliac_mm: float, blur_mm: float, cortex_hu: float
) -> Array:
    """How badly the model explains each profile at each offset, (n, offsets).

    The model is linear in the four densities; each offset's cost is that of their best values, with what these lie off
    the usual ones.
    """
    t = _along()
    mean = np.array([ALA_HU[0], SACRAL_SHARE * cortex_hu, cortex_hu, ILIUM_HU[0]])
    known = np.diag(np.array([ALA_HU[1], PLATE_SPREAD_HU, PLATE_SPREAD_HU, ILIUM_HU[1]]) ** -2.0)
    cost = np.empty((len(profiles), len(_offsets())))
    for column, middle in enumerate(_offsets()):
        begin, end = middle - 0.5 * gap_mm, middle + 0.5 * gap_mm
        edges = np.array([begin - sacral_mm, begin, end, end + iliac_mm])
        beyond = 0.5 + 0.5 * erf((t[:, None] - edges) / (np.sqrt(2.0) * blur_mm))
        parts = np.column_stack(
            [1.0 - beyond[:, 0], beyond[:, 0] - beyond[:, 1], beyond[:, 2] - beyond[:, 3], beyond[:, 3]]
        )
        cartilage = CARTILAGE_HU * (beyond[:, 1] - beyond[:, 2])
        left = (profiles - cartilage - parts @ mean) / UNLIKE_HU
        model = parts / UNLIKE_HU
        root = np.linalg.cholesky(np.linalg.inv(model.T @ model + known))
        cost[:, column] = (left**2).sum(axis=1) - ((left @ model @ root) ** 2).sum(axis=1)
    return cost


def _straight_cost(profiles: Array) -> Array:
    """How badly a straight line explains each profile, (n,)."""
    line = np.linalg.qr(np.column_stack([np.ones(profiles.shape[1]), _along()]))[0]
    return np.asarray((((profiles - profiles @ line @ line.T) / UNLIKE_HU) ** 2).sum(axis=1))


def _lowest(cost: Array) -> Array:
    """Offset (n,) of the lowest cost, between the steps by a parabola."""
    best = np.clip(cost.argmin(axis=1), 1, cost.shape[1] - 2)
    rows = np.arange(len(cost))
    before, at, after = (cost[rows, best + d] for d in (-1, 0, 1))
    bend = np.maximum(before - 2.0 * at + after, 1e-9)
    return np.asarray(_offsets()[best] + OFFSET_STEP_MM * np.clip(0.5 * (before - after) / bend, -1.0, 1.0))
