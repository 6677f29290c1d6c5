"""Where an axis enters the ilium, leaves it, and enters the sacrum.

The bones' fields are read every half millimetre along the axis; where `leaps` says that a field's sign stays what it
is, the readings in between are left out. The plain reading stands beside the fast one.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.field import PlanningField, sample

MARCH_MM = 0.5
_GAP_MM = 16.0
_ILIUM_MM = 60.0

GridAxis = tuple[float, float, float, float, float, float]
"""Node indices of an axis' point, and nodes passed a mm."""


@nb.njit(cache=True, error_model="numpy")
def reading(values: NDArray[np.float32], x: float, y: float, z: float) -> float:
    """`sample` at grid coordinates: trilinear value, -30 outside the grid."""
    i, j, k = int(x), int(y), int(z)
    if x < 0 or y < 0 or z < 0 or i >= values.shape[0] - 1 or j >= values.shape[1] - 1 or k >= values.shape[2] - 1:
        return -30.0
    u, v, w = x - i, y - j, z - k
    a, b, c = nb.uint32(i), nb.uint32(j), nb.uint32(k)
    d, e, f = nb.uint32(i + 1), nb.uint32(j + 1), nb.uint32(k + 1)
    p, q = np.float64(values[a, b, c]), np.float64(values[a, e, c])
    r, s = np.float64(values[d, b, c]), np.float64(values[d, e, c])
    p += w * (values[a, b, f] - p)
    q += w * (values[a, e, f] - q)
    r += w * (values[d, b, f] - r)
    s += w * (values[d, e, f] - s)
    p += v * (q - p)
    r += v * (s - r)
    return float(p + u * (r - p))


@nb.njit(cache=True, error_model="numpy")
def _turn(
    values: NDArray[np.float32],
    leap: NDArray[np.int8],
    grid: GridAxis,
    start: float,
    stride: float,
    most: int,
    into: bool,
) -> int:
    """First of `most` steps from `start` at which the bone is entered (`into`) or left; -1 where it is not.

    A bone counts as entered only where the step before lay outside, and as left only where it lay inside. Where
    `leap` lets it, the walk goes on to the end of the block of cells in which the sign stays.
    """
    x0, y0, z0 = grid[0] + start * grid[3], grid[1] + start * grid[4], grid[2] + start * grid[5]
    hx, hy, hz = stride * grid[3], stride * grid[4], stride * grid[5]
    ix, iy, iz = 1.0 / max(abs(hx), 1e-9), 1.0 / max(abs(hy), 1e-9), 1.0 / max(abs(hz), 1e-9)
    ni, nj, nk = values.shape[0] - 1, values.shape[1] - 1, values.shape[2] - 1
    n, was = 0, not into
    while True:
        x, y, z = x0 + n * hx, y0 + n * hy, z0 + n * hz
        i, j, k = int(x), int(y), int(z)
        if x < 0 or y < 0 or z < 0 or i >= ni or j >= nj or k >= nk:
            below, steps = True, 1
        else:
            cells = int(leap[nb.uint32(i), nb.uint32(j), nb.uint32(k)])
            if cells == 0:
                below, steps = reading(values, x, y, z) < 0.0, 1
            else:
                below, reach = cells < 0, abs(cells) - 1.0
                free = (reach + (i + 1 - x if hx > 0.0 else x - i)) * ix
                free = min(free, (reach + (j + 1 - y if hy > 0.0 else y - j)) * iy)
                free = min(free, (reach + (k + 1 - z if hz > 0.0 else z - k)) * iz)
                steps = max(int(min(free, 1000.0)), 1)
        if n > 0 and below == into and was != into:
            return n
        if n + steps > most:
            return -1
        n, was = n + steps, below


@nb.njit(cache=True, error_model="numpy")
def grid_axis(field: PlanningField, axis: NDArray[np.float64]) -> GridAxis:
    """An axis in grid coordinates: node indices of its point, and nodes passed a mm."""
    o, s = field.origin, 1.0 / field.step
    x, y, z = (axis[0] - o[0]) * s, (axis[1] - o[1]) * s, (axis[2] - o[2]) * s
    return x, y, z, axis[3] * s, axis[4] * s, axis[5] * s


@nb.njit(cache=True, error_model="numpy")
def along(values: NDArray[np.float32], grid: GridAxis, t: float) -> float:
    """Reading `t` mm along an axis."""
    return reading(values, grid[0] + t * grid[3], grid[1] + t * grid[4], grid[2] + t * grid[5])


@nb.njit(cache=True, error_model="numpy")
def passage(field: PlanningField, axis: NDArray[np.float64]) -> tuple[bool, float, float, float]:
    """Whether the axis passes ilium, joint, sacrum; and where it enters the ilium, leaves it, enters the sacrum.

    `plain_passage` reads every step; this one leaves out those that cannot matter.
    """
    grid = grid_axis(field, axis)
    most = int(2.0 * _GAP_MM / MARCH_MM)
    n = _turn(field.sacrum, field.sacrum_leap, grid, -_GAP_MM, MARCH_MM, most, True)
    if n < 0:
        return False, 0.0, 0.0, 0.0
    t = -_GAP_MM + n * MARCH_MM
    before, now = along(field.sacrum, grid, t - MARCH_MM), along(field.sacrum, grid, t)
    entry = t - MARCH_MM * now / (now - before) if now != before else t
    t = leave = entry + 1.0
    if not along(field.ilium, grid, t) < 0.0:
        most = int(np.ceil((1.0 + _GAP_MM) / MARCH_MM))
        n = _turn(field.ilium, field.ilium_leap, grid, t, -MARCH_MM, most, True)
        if n < 0:
            return False, 0.0, 0.0, 0.0
        t -= n * MARCH_MM
        before, now = along(field.ilium, grid, t + MARCH_MM), along(field.ilium, grid, t)
        leave = t + MARCH_MM * now / (now - before) if now != before else t
    leave, t = min(leave, entry), min(t, entry)
    most = int(np.ceil((t - leave + _ILIUM_MM) / MARCH_MM))
    n = 1
    if along(field.ilium, grid, t - MARCH_MM) < 0.0:
        n = _turn(field.ilium, field.ilium_leap, grid, t - MARCH_MM, -MARCH_MM, most - 1, False)
        if n < 0:
            return False, 0.0, 0.0, 0.0
        n += 1
    t -= n * MARCH_MM
    now, before = along(field.ilium, grid, t), along(field.ilium, grid, t + MARCH_MM) if n > 1 else -1.0
    lateral = t + MARCH_MM * now / (now - before) if now != before else t
    return True, lateral, leave, entry


@nb.njit(cache=True)
def plain_passage(field: PlanningField, axis: NDArray[np.float64]) -> tuple[bool, float, float, float]:
    """The same, reading every step."""
    c0, c1, c2, w0, w1, w2 = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    t, before = -_GAP_MM, 0.0
    found = False
    before = sample(field.sacrum, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
    while t < _GAP_MM:
        t += MARCH_MM
        now = sample(field.sacrum, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now < 0.0 <= before:
            found = True
            break
        before = now
    if not found:
        return False, 0.0, 0.0, 0.0
    entry = t - MARCH_MM * now / (now - before) if now != before else t
    t = entry + 1.0
    before = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
    found = before < 0.0
    while not found and t > entry - _GAP_MM:
        t -= MARCH_MM
        now = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now < 0.0:
            found = True
            break
        before = now
    if not found:
        return False, 0.0, 0.0, 0.0
    leave = t + MARCH_MM * now / (now - before) if before >= 0.0 and now != before else t
    leave, t = min(leave, entry), min(t, entry)
    before = -1.0
    while t > leave - _ILIUM_MM:
        t -= MARCH_MM
        now = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now >= 0.0:
            lateral = t + MARCH_MM * now / (now - before) if now != before else t
            return True, lateral, leave, entry
        before = now
    return False, 0.0, 0.0, 0.0
