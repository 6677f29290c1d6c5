"""Metal on top of a projected volume, by exact chord lengths.

A ray meets a convex solid in one interval. Along it the tissue's integral is taken away and the metal's put in its
place. Where solids overlap, such as a pin inside its implant, the denser metal counts, once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sjplan.core.grid import Grid
from sjplan.xray.attenuation import Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.projector import clip_slab, index_rays
from sjplan.xray.solids import MetalSolid

_STEP_VOXELS = 1.0
"""Step of the tissue integral along a chord: the midpoint rule then errs by under 1 % of the tissue replaced."""


def add_solids(
    image: NDArray[np.float32], attenuation: Attenuation, geometry: CArmGeometry, solids: Sequence[MetalSolid]
) -> NDArray[np.float32]:
    """Line integrals with metal: a copy of `image` in which metal has replaced the tissue along its chords.

    Parameters
    ----------
    image : (rows, columns) float32
        Line integrals of the volume alone, as `sjplan.xray.projector.project` gives them.
    attenuation : Attenuation
        That volume.
    geometry : CArmGeometry
        How it was projected.
    solids : sequence of MetalSolid
        Implants and pins; only the rectangle that each covers is visited.
    """
    result = np.array(image, dtype=np.float32, copy=True)
    if solids:
        found = metal_along_rays(attenuation, geometry, solids)
        result[found.part] += (found.metal - found.tissue).astype(np.float32)
    return result


def chord_lengths_mm(geometry: CArmGeometry, solids: Sequence[MetalSolid]) -> NDArray[np.float64]:
    """Length in mm of every pixel's ray inside the union of the solids, (rows, columns).

    Examples
    --------
    >>> from sjplan.xray.types import CArm, Detector
    >>> geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(65, 65, 1.0))
    >>> pin = MetalSolid.of_pin(((-20, 0, 0), (20, 0, 0), 1.6))
    >>> round(float(chord_lengths_mm(geometry, [pin])[32, 32]), 9)
    3.2
    """
    lengths = np.zeros((geometry.rows, geometry.columns))
    if not solids:
        return lengths
    nothing = Attenuation(np.zeros((5, 5, 5), dtype=np.int16), Grid((5, 5, 5), np.ones(3), np.zeros(3), np.eye(3)), 0.0)
    found = metal_along_rays(nothing, geometry, [replace(s, mu_per_mm=1.0) for s in solids])
    lengths[found.part] = found.metal
    return lengths


def pixel_rectangles(geometry: CArmGeometry, solids: Sequence[MetalSolid]) -> NDArray[np.int64]:
    """First and past-the-last row, first and past-the-last column of the image that each solid may cover, (n, 4).

    The whole image where part of a solid is not in front of the tube.
    """
    if not solids:
        return np.empty((0, 4), dtype=np.int64)
    pixels = geometry.project(np.concatenate([s.box_lps_mm() for s in solids])).reshape(len(solids), 8, 2)
    unseen = ~np.isfinite(pixels).all(axis=(1, 2))
    pixels[unseen] = 0.0
    size = np.array([geometry.columns, geometry.rows])
    low = np.clip(np.floor(pixels.min(axis=1)), 0, size)
    high = np.clip(np.ceil(pixels.max(axis=1)) + 1, 0, size)
    found = np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], axis=1).astype(np.int64)
    found[unseen] = 0, geometry.rows, 0, geometry.columns
    return found


class AlongRays(NamedTuple):
    """What metal brings along the ray to every pixel of one `part` of the image, and what it replaces there.

    `metal` and `tissue` are line integrals, `lengths_mm` (2, ...) those of titanium and of steel in mm, and
    `dense` is the integral of what of the tissue's values lies above a threshold.
    """

    part: tuple[slice, slice]
    metal: NDArray[np.float64]
    lengths_mm: NDArray[np.float64]
    tissue: NDArray[np.float64]
    dense: NDArray[np.float64]


def metal_along_rays(
    attenuation: Attenuation, geometry: CArmGeometry, solids: Sequence[MetalSolid], above: float = np.inf
) -> AlongRays:
    """Metal along the ray to every pixel and the tissue in its place; of that, what lies `above` on its own too."""
    rectangles = pixel_rectangles(geometry, solids)
    row0, column0 = (int(rectangles[:, n].min(initial=end)) for n, end in ((0, geometry.rows), (2, geometry.columns)))
    shape = tuple(max(int(rectangles[:, n].max(initial=0)) - first, 0) for n, first in ((1, row0), (3, column0)))
    part = slice(row0, row0 + shape[0]), slice(column0, column0 + shape[1])
    found = AlongRays(part, np.zeros(shape), np.zeros((2, *shape)), np.zeros(shape), np.zeros(shape))
    if not solids:
        return found
    rays_mm = np.stack(
        [
            geometry.source_lps_mm,
            geometry.origin_lps_mm - geometry.source_lps_mm,
            geometry.column_step_lps_mm,
            geometry.row_step_lps_mm,
        ]
    )
    source_ijk, rays_ijk = index_rays(attenuation.grid, geometry)
    step_mm = _STEP_VOXELS * float(attenuation.grid.spacing_mm.min())
    packed = np.stack([s.packed() for s in solids])
    mu = float(attenuation.mu_per_value)
    _fill(attenuation.values, source_ijk, rays_ijk, mu, above, step_mm, rays_mm, packed, rectangles, *found[1:])
    return found


@njit(cache=True, parallel=True, fastmath=False, error_model="numpy")
def _fill(
    volume: Any,
    source_ijk: Any,
    rays_ijk: Any,
    mu_per_value: float,
    above: float,
    step_mm: float,
    rays_mm: Any,
    packed: Any,
    rectangles: Any,
    metal: Any,
    lengths: Any,
    tissue: Any,
    dense: Any,
) -> None:
    """Write what `AlongRays` holds for every pixel that a rectangle covers; the arrays begin with the first one."""
    n = packed.shape[0]
    row0, row1 = rectangles[:, 0].min(), rectangles[:, 1].max()
    column0, column1 = rectangles[:, 2].min(), rectangles[:, 3].max()
    starts, ways = np.empty((n, 3)), np.empty((n, 3, 3))
    for k in range(n):
        _in_own_axes(packed[k], rays_mm, starts[k], ways[k])
    for row in prange(row0, row1):
        spans, sums, ray, way = np.zeros((n, 4)), np.zeros(5), np.zeros(3), np.zeros(3)
        for column in range(column0, column1):
            found = 0
            for k in range(n):
                if not (rectangles[k, 0] <= row < rectangles[k, 1] and rectangles[k, 2] <= column < rectangles[k, 3]):
                    continue
                for axis in range(3):
                    way[axis] = ways[k, 0, axis] + column * ways[k, 1, axis] + row * ways[k, 2, axis]
                t0, t1 = _own_chord(packed[k], starts[k], way)
                if t1 > t0:
                    spans[found, 0], spans[found, 1] = t0, t1
                    spans[found, 2], spans[found, 3] = packed[k, 14], packed[k, 39]
                    found += 1
            if found:
                squared = 0.0
                for axis in range(3):
                    squared += (rays_mm[1, axis] + column * rays_mm[2, axis] + row * rays_mm[3, axis]) ** 2
                    ray[axis] = rays_ijk[0, axis] + column * rays_ijk[1, axis] + row * rays_ijk[2, axis]
                length = math.sqrt(squared)
                _merge(spans, found, volume, above, source_ijk, ray, step_mm / length, sums)
                i, j = row - row0, column - column0
                metal[i, j] = sums[0] * length
                lengths[0, i, j], lengths[1, i, j] = sums[1] * length, sums[2] * length
                tissue[i, j], dense[i, j] = sums[3] * length * mu_per_value, sums[4] * length * mu_per_value


@njit(cache=True, fastmath=False, error_model="numpy")
def _in_own_axes(solid: Any, rays_mm: Any, start: Any, ways: Any) -> None:
    """The tube in a packed solid's own axes, and there the ray to pixel (0, 0) and the steps of columns and rows."""
    for axis in range(3):
        start[axis] = 0.0
        for x in range(3):
            start[axis] += solid[3 + 3 * axis + x] * (rays_mm[0, x] - solid[x])
        for n in range(3):
            ways[n, axis] = 0.0
            for x in range(3):
                ways[n, axis] += solid[3 + 3 * axis + x] * rays_mm[1 + n, x]


@njit(cache=True, fastmath=False, error_model="numpy")
def chord(solid: Any, source: Any, ray: Any) -> Any:
    """Interval of t in [0, 1] in which source + t * ray lies inside a packed solid; empty where t1 < t0."""
    rays, start, ways = np.zeros((4, 3)), np.empty(3), np.empty((3, 3))
    rays[0], rays[1] = source, ray
    _in_own_axes(solid, rays, start, ways)
    return _own_chord(solid, start, ways[0])


@njit(cache=True, fastmath=False, error_model="numpy")
def _own_chord(solid: Any, s: Any, d: Any) -> Any:
    """As `chord`, of a ray in the solid's own axes.

    The section is convex and made up of three discs and one polygon, so its interval is the hull of theirs. Most rays
    miss the circle round it; a cylinder is that circle.
    """
    t0, t1 = clip_slab(0.0, 1.0, s[2], d[2], 0.0, solid[12])
    if t1 <= t0:
        return 1.0, 0.0
    t0, t1 = _disc(s[0], s[1], d[0], d[1], solid[40], t0, t1)
    if t1 <= t0 or solid[40] == solid[13]:
        return t0, t1
    first, last = np.inf, -np.inf
    for k in range(3):
        a, b = _disc(s[0] - solid[15 + 2 * k], s[1] - solid[16 + 2 * k], d[0], d[1], solid[13], t0, t1)
        if b > a:
            first, last = min(first, a), max(last, b)
    a, b = t0, t1
    for k in range(6):
        nu, nv, limit = solid[21 + 3 * k], solid[22 + 3 * k], solid[23 + 3 * k]
        a, b = clip_slab(a, b, nu * s[0] + nv * s[1], nu * d[0] + nv * d[1], -np.inf, limit)
    if b > a:
        first, last = min(first, a), max(last, b)
    return first, last


@njit(cache=True, fastmath=False, error_model="numpy")
def _disc(x: float, y: float, dx: float, dy: float, radius: float, t0: float, t1: float) -> Any:
    """Part of [t0, t1] in which (x, y) + t (dx, dy) lies within `radius` of the origin."""
    a = dx * dx + dy * dy
    b = x * dx + y * dy
    c = x * x + y * y - radius * radius
    if a < 1e-18:
        return (t0, t1) if c <= 0 else (1.0, 0.0)
    # The distance of the line to the centre, not b * b - a * c: at a source a metre away that loses digits.
    miss = (x * dy - y * dx) / math.sqrt(a)
    if abs(miss) >= radius:
        return 1.0, 0.0
    half = math.sqrt((radius - miss) * (radius + miss) / a)
    return max(t0, -b / a - half), min(t1, -b / a + half)


@njit(cache=True, fastmath=False, error_model="numpy")
def _merge(spans: Any, count: int, volume: Any, above: float, source: Any, ray: Any, step: float, sums: Any) -> None:
    """Fill the sums over the union of the spans, per unit of t; overlaps count the denser metal.

    They are the metal's attenuation, the length of each metal, the tissue that is replaced, and what of it is dense.
    """
    sums[:] = 0.0
    if count == 1:
        a, b = spans[0, 0], spans[0, 1]
        sums[0] = spans[0, 2] * (b - a)
        sums[1 + int(spans[0, 3])] = b - a
        sums[3], sums[4] = _march(volume, above, source, ray, a, b, step)
        return
    a = np.inf
    for k in range(count):
        a = min(a, spans[k, 0])
    while a < np.inf:
        # from a to the next end or beginning of a span, the same solids are met all along
        b, densest, metal = np.inf, 0.0, 0
        for k in range(count):
            for end in range(2):
                if spans[k, end] > a:
                    b = min(b, spans[k, end])
            if spans[k, 0] <= a < spans[k, 1] and spans[k, 2] > densest:
                densest, metal = spans[k, 2], int(spans[k, 3])
        if densest > 0:
            sums[0] += densest * (b - a)
            sums[1 + metal] += b - a
            tissue, dense = _march(volume, above, source, ray, a, b, step)
            sums[3] += tissue
            sums[4] += dense
        a = b


@njit(cache=True, fastmath=False, error_model="numpy")
def _march(volume: Any, above: float, s: Any, d: Any, a: float, b: float, step: float) -> Any:
    """Integrals over t from a to b of the volume, trilinear, by the midpoint rule with steps of at most `step`.

    Of the values themselves, and of what of them lies `above`.
    """
    n = volume.shape
    for axis in range(3):
        a, b = clip_slab(a, b, s[axis], d[axis], 1.0, n[axis] - 2.0)
    if b <= a:
        return 0.0, 0.0
    count = math.ceil((b - a) / step)
    h = (b - a) / count
    flat, kj, ki = volume.reshape(-1), n[2], n[1] * n[2]
    least, total, dense = np.float32(above), np.float32(0.0), np.float32(0.0)
    nothing, asked = np.float32(0.0), above < np.inf
    for m in range(count):
        t = a + (m + 0.5) * h
        x, y, z = s[0] + t * d[0], s[1] + t * d[1], s[2] + t * d[2]
        i, j, k = int(x), int(y), int(z)
        fx, fy, fz = np.float32(x - i), np.float32(y - j), np.float32(z - k)
        gx, gy, gz = np.float32(1.0) - fx, np.float32(1.0) - fy, np.float32(1.0) - fz
        at = i * ki + j * kj + k
        # four neighbours across, each with the one behind it: written out, for a loop costs as much as the sum
        w00, w01, w10, w11 = gx * gy, gx * fy, fx * gy, fx * fy
        near = w00 * np.float32(flat[at]) + w01 * np.float32(flat[at + kj])
        near += w10 * np.float32(flat[at + ki]) + w11 * np.float32(flat[at + ki + kj])
        far = w00 * np.float32(flat[at + 1]) + w01 * np.float32(flat[at + kj + 1])
        far += w10 * np.float32(flat[at + ki + 1]) + w11 * np.float32(flat[at + ki + kj + 1])
        total += gz * near + fz * far
        if asked:
            for di in range(2):
                for dj in range(2):
                    w = (fx if di else gx) * (fy if dj else gy)
                    o = at + di * ki + dj * kj
                    p, q = np.float32(flat[o]), np.float32(flat[o + 1])
                    dense += w * (gz * max(p - least, nothing) + fz * max(q - least, nothing))
    return total * h, dense * h
