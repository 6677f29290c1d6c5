"""Where a tunnel opens: the outermost planar ring of bone that is closed round its centreline."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import BodyFrame, Index, Mask
from sjplan.anatomy.paths import cheapest_paths, smoothed, walk_back
from sjplan.anatomy.pockets import MOUTH, Pockets
from sjplan.anatomy.tunnels import CUBE, Tunnel, Tunnels
from sjplan.core.arrays import Array, unit

SECTION_RADIUS_MM = 13.0
SECTION_STEP_MM = 0.75
BEYOND_END_MM = 7.0
BEFORE_END_MM = 8.0

MOUTH_GROWTH = 1.7
"""The mouth is the outermost closed ring whose area is at most this times the neck's: beyond it lies the funnel."""

MIN_PATCH_MM3 = 6.0
SIDES_OF_MOUTH = {"ventral": -1.0, "dorsal": 1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """A planar section of free space across a tunnel, and the voxels it passes through."""

    closed: bool
    area_mm2: float
    centre_mm: Array
    normal: Array
    major_mm: float
    minor_mm: float
    samples_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class MouthRing:
    """A mouth as found, grid mm; `ring` is False where the rim is open and only the patch is known."""

    line_mm: Array
    centre_mm: Array
    normal: Array
    area_mm2: float
    major_mm: float
    minor_mm: float
    neck_area_mm2: float
    neck_radius_mm: float
    ring: bool
    passage_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """Part of the shell round a lumen that looks ventrally or dorsally; positions in the box."""

    centre_mm: Array
    normal: Array
    radius_mm: float
    count: int
    widest: Index


@nb.njit(cache=True)
def _flood(free: Mask, own: Mask) -> None:
    """Mark in `own` the free cells joined to the middle one through their edges."""
    n, m = free.shape
    if not free[n // 2, m // 2]:
        return
    stack = [(n // 2, m // 2)]
    own[n // 2, m // 2] = True
    while len(stack):
        i, j = stack.pop()
        for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= a < n and 0 <= b < m and free[a, b] and not own[a, b]:
                own[a, b] = True
                stack.append((a, b))


def section(free: Mask, centre_mm: Array, normal: Array, spacing_mm: Array) -> Ring:
    """Connected planar section of free space round a point; closed if it stays within `SECTION_RADIUS_MM`."""
    u = unit(np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))]))
    w = np.cross(normal, u)
    g = np.arange(-SECTION_RADIUS_MM, SECTION_RADIUS_MM + SECTION_STEP_MM / 2, SECTION_STEP_MM)
    a, b = np.meshgrid(g, g, indexing="ij")
    points = centre_mm + a[..., None] * u + b[..., None] * w
    index = np.floor(points / spacing_mm + 0.5).astype(int)
    index = np.clip(index, 0, np.array(free.shape) - 1)
    own = np.zeros(a.shape, dtype=bool)
    _flood(np.ascontiguousarray(free[index[..., 0], index[..., 1], index[..., 2]]), own)
    if not own.any():
        return Ring(False, 0.0, centre_mm, normal, 0.0, 0.0, np.zeros((0, 3)))
    closed = not bool((own & (a * a + b * b > (SECTION_RADIUS_MM - 1) ** 2)).any())
    p, q = a[own], b[own]
    cell = SECTION_STEP_MM**2
    spread = np.cov(np.vstack([p, q]), bias=True) + np.eye(2) * cell / 12 if len(p) > 3 else np.zeros((2, 2))
    minor, major = 4 * np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0))
    middle = centre_mm + p.mean() * u + q.mean() * w
    return Ring(closed, len(p) * cell, middle, normal, float(major), float(minor), points[own])


def find_mouths(pockets: Pockets, frame: BodyFrame, tunnels: Tunnels) -> list[dict[str, MouthRing]]:
    """Ventral and dorsal mouth of every tunnel, where it has one, in grid mm of the whole map.

    Sets `radius_mm` and `reaches_canal` of each tunnel as well.
    """
    enclosed = pockets.field(pockets.enclosure) > MOUTH
    return [_mouths_of(n + 1, tunnel, pockets, frame, tunnels, enclosed) for n, tunnel in enumerate(tunnels.tunnels)]


def _mouths_of(
    number: int, tunnel: Tunnel, pockets: Pockets, frame: BodyFrame, tunnels: Tunnels, enclosed: Mask
) -> dict[str, MouthRing]:
    spacing = pockets.spacing_mm
    margin = np.ceil(6.0 / spacing).astype(int)
    low = np.maximum(tunnel.lumen.min(axis=0) - margin, 0)
    high = np.minimum(tunnel.lumen.max(axis=0) + margin + 1, pockets.bone.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    free, depth, canal = ~pockets.bone[box], pockets.depth_mm[box], tunnels.canal[box]
    owner = tunnels.owner[box]
    lumen = owner == number
    tunnel.radius_mm = float(depth[lumen].max()) if lumen.any() else 0.0
    wide_canal = ndi.binary_dilation(canal, CUBE, iterations=2)
    sources = np.argwhere(canal & ndi.binary_dilation(lumen, CUBE, iterations=2))
    tunnel.reaches_canal = len(sources) > 0
    shell = ndi.binary_dilation(lumen, ndi.generate_binary_structure(3, 1)) & free & ~wide_canal & (owner == 0)
    if not tunnel.reaches_canal or not shell.any():
        return {}
    radius = depth[tuple(sources.T)]
    sources = sources[radius >= np.quantile(radius, 0.8)]
    allowed = (lumen | canal | shell | enclosed[box]) & free & ((owner == 0) | lumen)
    total, parent = cheapest_paths(np.where(allowed, 1 / np.clip(depth, 0.5, 8.0) ** 2, 0.0), sources, spacing)
    outward = _outward(np.argwhere(shell) * spacing, np.argwhere(lumen) * spacing)
    found: dict[str, MouthRing] = {}
    for which, sign in SIDES_OF_MOUTH.items():
        facing = frame.vectors(outward)[:, 1] * sign > 0.3
        patch = _widest_patch(shell, facing, outward, depth, total, spacing)
        if patch is None:
            continue
        path = walk_back(parent, patch.widest)
        line = smoothed(path * spacing)
        neck = float(depth[tuple(np.round(line / spacing).astype(int).T)][min(2, len(line) - 1) :].min())
        mouth = _mouth(free & ~canal, line, patch, spacing, neck)
        found[which] = _moved(mouth, (low + pockets.start) * spacing)
    return found


def _outward(shell_mm: Array, lumen_mm: Array) -> Array:
    """Unit vector at each shell point away from the lumen within 6 mm of it, (n, 3)."""
    tree = cKDTree(lumen_mm)
    near = cKDTree(shell_mm).sparse_distance_matrix(tree, 6.0, output_type="coo_matrix")
    weight = np.bincount(near.row, minlength=len(shell_mm))
    mean = np.column_stack([np.bincount(near.row, lumen_mm[near.col, n], len(shell_mm)) for n in range(3)])
    direction = shell_mm - mean / np.maximum(weight, 1)[:, None]
    length = np.linalg.norm(direction, axis=1)
    return np.asarray(direction / np.maximum(length, 1e-9)[:, None])


def _widest_patch(
    shell: Mask, facing: Mask, outward: Array, depth: NDArray[np.float32], total: Array, spacing: Array
) -> _Patch | None:
    """Of the connected parts of the shell that face one way, the one with the widest and largest opening."""
    voxels = np.argwhere(shell)[facing]
    marked = np.zeros(shell.shape, dtype=bool)
    marked[tuple(voxels.T)] = True
    parts, count = ndi.label(marked, CUBE)
    part = parts[tuple(voxels.T)]
    best: _Patch | None = None
    for n in range(1, count + 1):
        own = part == n
        if own.sum() * float(np.prod(spacing)) < MIN_PATCH_MM3:
            continue
        here = tuple(voxels[own].T)
        reached = np.isfinite(total[here])
        score = np.where(reached, depth[here] - 1e-3 * np.where(reached, total[here], 0.0), -1.0)
        widest = voxels[own][int(np.argmax(score))]
        wide = float(depth[tuple(widest)])
        if not np.isfinite(total[tuple(widest)]) or wide < 1.0:
            continue
        patch = _Patch((voxels[own] * spacing).mean(axis=0), unit(outward[facing][own].mean(axis=0)), wide,
                       int(own.sum()), widest)  # fmt: skip
        if best is None or wide * np.sqrt(patch.count) > best.radius_mm * np.sqrt(best.count):
            best = patch
    return best


def _mouth(wall_free: Mask, line: Array, patch: _Patch, spacing: Array, neck_radius: float) -> MouthRing:
    """Walk outwards along the centreline and past its end; keep the outermost closed ring of the best tilt."""
    inwards = max(len(line) - 6, 0)
    along = unit(line[-1] - line[inwards]) if len(line) > 1 else patch.normal
    onward = unit(along + patch.normal) if float(along @ patch.normal) > -0.9 else patch.normal
    arc = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    best: tuple[float, list[Ring]] | None = None
    for normal in (along, onward, patch.normal):
        reach, rings = -1.0, []
        for u in np.arange(max(arc[-1] - BEFORE_END_MM, 0.0), arc[-1] + BEYOND_END_MM, SECTION_STEP_MM):
            inside = np.array([np.interp(u, arc, line[:, n]) for n in range(3)])
            centre = inside if u <= arc[-1] else line[-1] + (u - arc[-1]) * onward
            ring = section(wall_free, centre, normal, spacing)
            if ring.closed and ring.area_mm2 > 3:
                reach = float(u)
                rings.append(ring)
            elif rings and ring.area_mm2 > 0:
                break
        if rings and (best is None or reach > best[0]):
            best = reach, rings
    if best is None:
        area = patch.count * float(np.prod(spacing)) ** (2 / 3)
        size = 2 * float(np.sqrt(area / np.pi))
        return MouthRing(line, patch.centre_mm, patch.normal, area, size, size, area, neck_radius, False,
                         np.zeros((0, 3)))  # fmt: skip
    neck = min(ring.area_mm2 for ring in best[1])
    last = max(n for n, ring in enumerate(best[1]) if ring.area_mm2 <= MOUTH_GROWTH * neck)
    mouth = best[1][last]
    passage = np.concatenate([ring.samples_mm for ring in best[1][: last + 1]])
    return MouthRing(line, mouth.centre_mm, mouth.normal, mouth.area_mm2, mouth.major_mm, mouth.minor_mm, neck,
                     neck_radius, True, passage)  # fmt: skip


def _moved(mouth: MouthRing, offset_mm: Array) -> MouthRing:
    """The mouth with its points shifted from the box to the whole map."""
    return MouthRing(
        mouth.line_mm + offset_mm, mouth.centre_mm + offset_mm, mouth.normal, mouth.area_mm2, mouth.major_mm,
        mouth.minor_mm, mouth.neck_area_mm2, mouth.neck_radius_mm, mouth.ring, mouth.passage_mm + offset_mm,
    )  # fmt: skip
