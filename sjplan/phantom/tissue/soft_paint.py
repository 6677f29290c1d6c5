"""Paints layers of soft tissue, each given by a distance on a coarse lattice, into a volume with partial volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.tolerances import AIR_HU
from sjplan.phantom.tissue.lattice import Lattice
from sjplan.phantom.tissue.texture import Texture, noise_at

PLAIN, FAT, MUSCLE, FAECES = range(4)
"""What a layer looks like inside: even, fat with septa and small vessels, muscle with streaks of fat, stool."""

FAT_HU: Final = -100.0
"""Fat (CLINICAL 4.5, recalled)."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One tissue.

    Parameters
    ----------
    name : str
        What it is.
    distance_mm : (n,) float
        Signed distance at the lattice's points, positive outside; painted over the layers before it.
    hu : float
        Its mean.
    pattern : int
        PLAIN, FAT, MUSCLE or FAECES.
    """

    name: str
    distance_mm: Array
    hu: float
    pattern: int = PLAIN


@dataclass(frozen=True, slots=True, eq=False)
class SoftTissue:
    """All layers on one lattice, packed for the kernel.

    Parameters
    ----------
    lattice : Lattice
        Where the distances are given.
    distance_mm : (nx, ny, nz, t) float32
        Distances of the layers in the order of painting.
    hu, pattern : (t,) float, int
        Mean and look of each.
    body_from_lps : (3, 4) float
        Turns and shift from LPS to coordinates that turn with the body: x across, y back, z up (mm).
    streaks : float
        How common streaks of fat in muscle are: threshold in deviations of the texture.
    """

    lattice: Lattice
    distance_mm: NDArray[np.float32]
    hu: Array
    pattern: NDArray[np.int64]
    body_from_lps: Array
    streaks: float


Cells = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def cells_of(tissue: SoftTissue, grid: Grid) -> Cells:
    """Which layers have to be looked at where, for voxels as large as the grid's."""
    return cells(tissue.distance_mm, 0.5 * float(grid.spacing_mm.sum()) + 0.5)


def paint_soft_tissue(
    hu: NDArray[np.float32], grid: Grid, tissue: SoftTissue, at: Cells, texture: Texture, planes: slice
) -> None:
    """Overwrite the planes k of `hu` with air and soft tissue; `at` comes from `cells_of`."""
    base, first, listed = at
    _paint(
        hu, planes.start, planes.stop, np.asarray(grid.origin_lps_mm), np.asarray(grid.spacing_mm),
        np.asarray(tissue.lattice.origin_lps_mm), tissue.lattice.step_mm, tissue.distance_mm,
        base, first, listed, tissue.hu, tissue.pattern, tissue.body_from_lps, tissue.streaks, texture.lattice,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def cells(distance: NDArray[Any], reach: float) -> Cells:
    """For each cell between lattice points: the topmost layer that fills it, and the layers whose edge passes it.

    Returns (base, first, listed): base is -1 for air; the layers of cell c are listed[first[c]:first[c + 1]].
    """
    nx, ny, nz, nt = distance.shape
    n = (nx - 1) * (ny - 1) * (nz - 1)
    base, first = np.full(n, -1, np.int8), np.zeros(n + 1, np.int64)
    listed = np.zeros(4 * n + 64, np.int8)
    count, c = 0, 0
    for i in range(nx - 1):
        for j in range(ny - 1):
            for k in range(nz - 1):
                start = count
                for t in range(nt):
                    low, high = np.inf, -np.inf
                    for corner in range(8):
                        d = distance[i + (corner & 1), j + ((corner >> 1) & 1), k + ((corner >> 2) & 1), t]
                        low, high = min(low, d), max(high, d)
                    if high <= -reach:
                        base[c] = t
                        count = start
                    elif low < reach:
                        if count >= len(listed):
                            longer = np.zeros(2 * len(listed), np.int8)
                            longer[: len(listed)] = listed
                            listed = longer
                        listed[count] = t
                        count += 1
                c += 1
                first[c] = count
    return base, first, listed[:count].copy()


@njit(cache=True, nogil=True)
def _paint(
    hu: NDArray[Any], k0: int, k1: int, origin: NDArray[Any], h: NDArray[Any],
    cell_origin: NDArray[Any], step: float, distance: NDArray[Any],
    base: NDArray[Any], first: NDArray[Any], listed: NDArray[Any],
    level: NDArray[Any], pattern: NDArray[Any], turn: NDArray[Any], streaks: float, lattice: NDArray[Any],
) -> None:  # fmt: skip
    nx, ny, nz = distance.shape[0], distance.shape[1], distance.shape[2]
    for k in range(k0, k1):
        z = origin[2] + k * h[2]
        fz = min(max((z - cell_origin[2]) / step, 0.0), nz - 1.000001)
        ck = int(fz)
        for j in range(hu.shape[1]):
            y = origin[1] + j * h[1]
            fy = min(max((y - cell_origin[1]) / step, 0.0), ny - 1.000001)
            cj = int(fy)
            for i in range(hu.shape[0]):
                x = origin[0] + i * h[0]
                fx = min(max((x - cell_origin[0]) / step, 0.0), nx - 1.000001)
                ci = int(fx)
                c = (ci * (ny - 1) + cj) * (nz - 1) + ck
                value = AIR_HU
                b = base[c]
                if b < 0 and first[c] == first[c + 1]:
                    hu[i, j, k] = value
                    continue
                u = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z + turn[0, 3]
                v = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z + turn[1, 3]
                w = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z + turn[2, 3]
                if b >= 0:
                    value = level[b] + _pattern(pattern[b], u, v, w, streaks, lattice)
                for n in range(first[c], first[c + 1]):
                    t = listed[n]
                    share = _share(distance, ci, cj, ck, t, fx - ci, fy - cj, fz - ck, h, step)
                    if share > 0.0:
                        own = level[t] + _pattern(pattern[t], u, v, w, streaks, lattice)
                        value += share * (own - value)
                hu[i, j, k] = value


@njit(cache=True, nogil=True, inline="always")
def _share(
    distance: NDArray[Any], i: int, j: int, k: int, t: int, u: float, v: float, w: float, h: NDArray[Any], step: float
) -> float:
    """Share of a voxel inside a layer: a ramp as wide as the layer's distance changes over the voxel."""
    a, b = distance[i, j, k, t], distance[i, j, k + 1, t]
    c, d = distance[i, j + 1, k, t], distance[i, j + 1, k + 1, t]
    e, f = distance[i + 1, j, k, t], distance[i + 1, j, k + 1, t]
    g, m = distance[i + 1, j + 1, k, t], distance[i + 1, j + 1, k + 1, t]
    low = (1.0 - v) * ((1.0 - w) * a + w * b) + v * ((1.0 - w) * c + w * d)
    high = (1.0 - v) * ((1.0 - w) * e + w * f) + v * ((1.0 - w) * g + w * m)
    gx = (high - low) / step
    back = (1.0 - u) * ((1.0 - w) * c + w * d) + u * ((1.0 - w) * g + w * m)
    front = (1.0 - u) * ((1.0 - w) * a + w * b) + u * ((1.0 - w) * e + w * f)
    gy = (back - front) / step
    up = (1.0 - u) * ((1.0 - v) * b + v * d) + u * ((1.0 - v) * f + v * m)
    down = (1.0 - u) * ((1.0 - v) * a + v * c) + u * ((1.0 - v) * e + v * g)
    gz = (up - down) / step
    value = (1.0 - u) * low + u * high
    width = max(abs(gx) * h[0] + abs(gy) * h[1] + abs(gz) * h[2], 0.1)
    share: float = min(max(0.5 - value / width, 0.0), 1.0)
    return share


@njit(cache=True, nogil=True, inline="always")
def _pattern(kind: int, u: float, v: float, w: float, streaks: float, lattice: NDArray[Any]) -> float:
    """HU to add to a layer's mean at body coordinates (mm); sizes and amounts are defaults, set by eye."""
    if kind == FAT:
        slow = noise_at(lattice, u / 13.0, v / 13.0, w / 17.0)
        septum = max(1.0 - (slow * slow) / 0.012, 0.0)
        vessel = noise_at(lattice, u / 3.4 + 9.0, v / 3.4, w / 7.0)
        return 4.0 * slow + 22.0 * septum + 70.0 * min(max((vessel - 2.1) / 0.7, 0.0), 1.0)
    if kind == MUSCLE:
        # Fascicles run down and outwards, in planes that lie flat on one another.
        side = 1.0 if u >= 0.0 else -1.0
        along = 0.75 * w - 0.55 * side * u
        across = 0.55 * w + 0.75 * side * u
        fat = noise_at(lattice, across / 3.0, v / 2.4, along / 24.0)
        slow = noise_at(lattice, u / 9.0 + 5.0, v / 9.0, w / 15.0)
        return 5.0 * slow - 105.0 * min(max((fat + 0.35 * slow - streaks) / 1.1, 0.0), 1.0)
    if kind == FAECES:
        coarse = noise_at(lattice, u / 4.5, v / 4.5, w / 4.5)
        fine = noise_at(lattice, u / 2.2 + 3.0, v / 2.2, w / 2.2)
        return 18.0 * fine - 420.0 * min(max((coarse + 0.4 * fine - 1.0) / 0.9, 0.0), 1.0)
    return 0.0
