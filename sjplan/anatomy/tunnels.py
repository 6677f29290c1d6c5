"""Canal and foramina as sets of free voxels: seeds deep in bone, grown to where they open."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from sjplan.anatomy.bones import BodyFrame, Index, Mask, bounding_box, nearest
from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.pedicles import APART_MM, SIGNS, CanalWalls, find_walls, lateral_profile
from sjplan.anatomy.pockets import INSIDE, MOUTH, Pockets
from sjplan.core.arrays import Array

GROWTH_MM = 4.0
"""How far a lumen is grown from its seed towards the mouths."""

MIN_SEED_MM3 = 60.0
"""A piece of enclosed space smaller than this is a vascular channel or noise."""

LATERAL_LIMIT_MM = 45.0
CUBE = np.ones((3, 3, 3), dtype=bool)


@dataclass(slots=True, eq=False)
class Tunnel:
    """One foramen while it is being found.

    Parameters
    ----------
    sign : int
        Plus or minus side.
    arc_mm : float
        Where along the canal it leaves.
    seed_mm3 : float
        Volume surely inside bone.
    lumen : (n, 3) int
        Voxels of the pocket crop.
    radius_mm : float
        Inscribed radius of its widest place.
    reaches_canal : bool
        Whether the lumen is joined to the canal.
    """

    sign: int
    arc_mm: float
    seed_mm3: float
    lumen: Index
    radius_mm: float = 0.0
    reaches_canal: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """Pocket voxels in canal coordinates: side, arc, offset, and the canal's half-width beside each."""

    x: Array
    s: Array
    v: Array
    wall: Array


@dataclass(frozen=True, slots=True, eq=False)
class Tunnels:
    """What `find_tunnels` found: the canal's voxels, the tunnels, and which tunnel (1, 2, ...) owns each voxel."""

    canal: Mask
    tunnels: tuple[Tunnel, ...]
    owner: NDArray[np.uint8]
    walls: CanalWalls


def find_tunnels(pockets: Pockets, frame: BodyFrame, axis: CanalAxis) -> Tunnels:
    """Split the enclosed space into the canal and the tunnels that leave it on both sides."""
    x, s, v = axis.unroll(frame.to(pockets.points_mm(pockets.voxels)))
    enclosed = pockets.enclosure.astype(np.float64)
    profiles = {n: lateral_profile(x, s, v, enclosed, len(axis.points), n) for n in SIGNS}
    walls = find_walls(axis, profiles)
    unrolled = Unrolled(x, s, v, walls.at(x, s))
    canal = _canal_lumen(pockets, unrolled, axis)
    beside_canal = dilated(canal, pockets.spacing_mm)[tuple(pockets.voxels.T)]
    seeds: list[tuple[int, Mask]] = []
    for sign in SIGNS:
        seeds += [(sign, seed) for seed in _seeds(pockets, unrolled, axis, walls.pedicles[sign], sign, beside_canal)]
    owner = _grown(pockets, unrolled, [seed for _, seed in seeds], axis)
    tunnels = []
    for n, (sign, seed) in enumerate(seeds):
        lumen = _largest_part(owner, n + 1)
        near_canal = seed & (np.abs(x) < unrolled.wall + 8)
        arc = float(np.median(s[near_canal if near_canal.any() else seed]))
        tunnels.append(Tunnel(sign, arc, float(seed.sum()) * pockets.voxel_mm3, lumen))
    return Tunnels(canal, tuple(tunnels), owner, walls)


def _canal_lumen(pockets: Pockets, u: Unrolled, axis: CanalAxis) -> Mask:
    """Largest connected part of the enclosed space between the canal's walls."""
    inside = (np.abs(u.x) <= u.wall) & (pockets.enclosure > MOUTH) & (np.abs(u.v) < 14)
    inside &= (u.s > axis.first - 8) & (u.s < axis.last + 10)
    canal = np.zeros(pockets.bone.shape, dtype=bool)
    canal[tuple(pockets.voxels[inside].T)] = True
    if not canal.any():
        return canal
    box = bounding_box(canal, 0.0, pockets.spacing_mm)
    parts, count = ndi.label(canal[box], CUBE)
    if count > 1:
        canal[box] = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return canal


def dilated(mask: Mask, spacing_mm: Array, steps: int = 2) -> Mask:
    """The mask grown by some steps through voxel faces."""
    out = np.zeros_like(mask)
    if mask.any():
        box = bounding_box(mask, (steps + 1) * float(spacing_mm.max()), spacing_mm)
        out[box] = ndi.binary_dilation(mask[box], iterations=steps)
    return out


def _seeds(
    pockets: Pockets, u: Unrolled, axis: CanalAxis, pedicles: tuple[int, ...], sign: int, beside_canal: Mask
) -> list[Mask]:
    """Enclosed space beyond the pedicle line on one side, cut at the pedicles; one mask of pocket voxels each."""
    deep = (pockets.enclosure > INSIDE) & (u.x * sign > u.wall + 0.7) & (np.abs(u.x) < LATERAL_LIMIT_MM)
    deep &= (u.s > axis.first - 6) & (u.s < axis.last + 8) & (u.v < 16) & (u.v > -40)
    volume = np.zeros(pockets.bone.shape, dtype=bool)
    volume[tuple(pockets.voxels[deep].T)] = True
    parts, count = ndi.label(volume)
    part = parts[tuple(pockets.voxels.T)]
    size = np.bincount(part, minlength=count + 1)
    touching = np.bincount(part[beside_canal], minlength=count + 1)
    least = MIN_SEED_MM3 / pockets.voxel_mm3
    good = [n for n in range(1, count + 1) if size[n] > least and touching[n] > 2]
    cuts = [axis.first - 6, *pedicles, len(axis.points)]
    merged: list[tuple[float, Mask]] = []
    for a, b in pairwise(cuts):
        cell = np.zeros(len(part), dtype=bool)
        for n in good:
            piece = (part == n) & (u.s >= a) & (u.s < b)
            if piece.sum() > least:
                cell |= piece
        if not cell.any():
            continue
        arc = float(np.median(u.s[cell]))
        if merged and arc - merged[-1][0] < APART_MM:
            cell |= merged.pop()[1]
            arc = float(np.median(u.s[cell]))
        merged.append((arc, cell))
    return [cell for _, cell in merged]


def _grown(pockets: Pockets, u: Unrolled, seeds: list[Mask], axis: CanalAxis) -> NDArray[np.uint8]:
    """Each seed grown to the mouth's enclosure, at most `GROWTH_MM`; a voxel goes to the nearest seed."""
    owner = np.zeros(pockets.bone.shape, np.uint8)
    for n, seed in enumerate(seeds):
        owner[tuple(pockets.voxels[seed].T)] = n + 1
    seeded = owner[tuple(pockets.voxels.T)] > 0
    open_ = (pockets.enclosure > MOUTH) & (np.abs(u.x) > u.wall) & (np.abs(u.x) < LATERAL_LIMIT_MM)
    open_ &= u.s > axis.first - 8
    if not seeded.any() or not open_.any():
        return owner
    source, target = pockets.voxels[seeded], pockets.voxels[open_]
    distance, at = nearest(source * pockets.spacing_mm, target * pockets.spacing_mm, GROWTH_MM)
    near = np.isfinite(distance)
    owner[tuple(target[near].T)] = owner[tuple(source[at[near]].T)]
    return owner


def _largest_part(owner: NDArray[np.uint8], number: int) -> Index:
    """Voxels of the largest connected part of one tunnel; loose parts are given up."""
    own = owner == number
    box = ndi.find_objects(own.astype(np.uint8))[0]
    parts, count = ndi.label(own[box], CUBE)
    if count > 1:
        largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        owner[box][own[box] & ~largest] = 0
        parts = largest
    return np.asarray(np.argwhere(parts > 0) + np.array([s.start for s in box]))
