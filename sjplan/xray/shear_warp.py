"""The same line integrals as `projector`, by shear and warp: slice by slice in place of ray by ray.

Along the index axis that the central ray follows most closely, the source sees each slice of the volume as a shifted
and scaled picture of one of them. An intermediate image in that one's plane, its rows and columns along the volume's
own axes, takes the slices one after the other: interpolation there separates into two passes that run along memory, and
what lies outside a slice's own content is left out. One reading then warps the sum to the detector, by cubic curves
(Catmull and Rom 1974): a bilinear one blunts edges. What is summed is what Joseph's method sums, but for that reading.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.xray.attenuation import Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.projector import index_rays, project

_LANES = 32
"""Rows of the intermediate image that are worked on together: neighbours in memory, and in one register."""

DRAFT_STEP = 0.5
"""Of a draft's intermediate image, in voxels at least: what lies closer together holds no more than the voxels do."""

_OBLIQUE = 0.25
"""Rays may run so much less along the main axis than their whole length at least, in voxels."""

_FAST = {"reassoc", "contract", "nsz"}  # as in `projector`


class Slices(NamedTuple):
    """A volume seen as slices across one of its axes, and the part of each slice that is not zero.

    `flat` holds the values in an order in which index (m, t, z) lies at m * step_m + t * step_t + z; `count_t` and
    `count_z` say how many t and z there are. Of a value only what lies `above` counts. `content` (m, 4) is the first
    and last t and z of each slice where that is more than nothing, widened by one; a slice without any has its last
    before its first.
    """

    flat: NDArray[Any]
    count_t: int
    count_z: int
    step_m: int
    step_t: int
    above: float
    content: NDArray[np.int64]


class Sheet(NamedTuple):
    """The intermediate image: in the plane of main index `plane`, first t and z, and steps of its columns and rows."""

    plane: float
    t0: float
    dt: float
    columns: int
    z0: float
    dz: float
    rows: int


def slices_across(values: NDArray[Any], axis: int, above: float = 0.0) -> Slices:
    """The slices of a C-ordered volume across one of its axes, and what of its values is `above`.

    The values are copied only for the last axis.

    Examples
    --------
    >>> volume = np.zeros((5, 6, 7), np.int16)
    >>> volume[2, 3, 4] = 1
    >>> [slices_across(volume, axis).content.max(axis=0).tolist() for axis in range(3)]
    [[2, 4, 3, 5], [1, 3, 3, 5], [1, 3, 2, 4]]
    """
    ni, nj, nk = values.shape
    if axis == 0:
        flat, shape, step_m, step_t = values, (ni, nj, nk), nj * nk, nk
    elif axis == 1:
        flat, shape, step_m, step_t = values, (nj, ni, nk), nk, nj * nk
    else:
        flat, shape, step_m, step_t = np.ascontiguousarray(values.transpose(2, 0, 1)), (nk, ni, nj), ni * nj, nj
        flat.setflags(write=False)  # as the other two are: one compiled kernel serves all three
    flat = flat.reshape(-1)
    return Slices(flat, shape[1], shape[2], step_m, step_t, above, _content(flat, *shape, step_m, step_t, above))


@njit(cache=True, parallel=True)
def _content(flat: Any, nm: int, nt: int, nz: int, step_m: int, step_t: int, above: float) -> NDArray[np.int64]:
    content = np.empty((nm, 4), np.int64)
    for m in prange(nm):
        t_first, t_last, z_first, z_last = nt, -1, nz, -1
        for t in range(nt):
            start = m * step_m + t * step_t
            for z in range(nz):
                if flat[start + z] > above:
                    t_first, t_last = min(t_first, t), t
                    z_first, z_last = min(z_first, z), max(z_last, z)
        if t_last < 0:
            content[m, 0], content[m, 1], content[m, 2], content[m, 3] = 1, 0, 1, 0
        else:
            content[m, 0], content[m, 1] = max(t_first - 1, 0), min(t_last + 1, nt - 1)
            content[m, 2], content[m, 3] = max(z_first - 1, 0), min(z_last + 1, nz - 1)
    return content


def main_axis(rays_ijk: Array, geometry: CArmGeometry) -> int:
    """The index axis that the ray to the middle of the detector follows most closely."""
    middle = rays_ijk[0] + 0.5 * (geometry.columns - 1) * rays_ijk[1] + 0.5 * (geometry.rows - 1) * rays_ijk[2]
    return int(np.argmax(np.abs(middle)))


def axes_of(main: int) -> tuple[int, int, int]:
    """Main axis, t and z of `slices_across`."""
    return ((0, 1, 2), (1, 0, 2), (2, 0, 1))[main]


def sheet_for(
    slices: Slices, main: int, source_ijk: Array, rays_ijk: Array, geometry: CArmGeometry, least_step: float = 0.0
) -> Sheet | None:
    """The intermediate image for a pose, its steps as fine as the detector's pixels; None where there is none.

    Ray by ray is the only way where the volume reaches behind the tube or behind the detector, or some rays run too
    oblique to the slices.
    """
    m, t, z = axes_of(main)
    counts = {m: len(slices.content), t: slices.count_t, z: slices.count_z}
    high = [counts[axis] - 1.0 for axis in range(3)]
    box = np.array(list(itertools.product(*((0.0, h) for h in high)))) - source_ijk
    normal = np.cross(rays_ijk[1], rays_ijk[2])
    depth = (box @ normal) / float(rays_ijk[0] @ normal)
    if not (depth.min() > 0.0 and depth.max() < 1.0):
        return None
    corner = np.array([(c, r) for c in (0, geometry.columns - 1) for r in (0, geometry.rows - 1)], dtype=np.float64)
    rays = rays_ijk[0] + corner @ rays_ijk[1:]
    if np.ptp(np.sign(rays[:, m])) or (np.abs(rays[:, m]) < _OBLIQUE * np.linalg.norm(rays, axis=1)).any():
        return None
    if not (box[:, m] * np.sign(rays[0, m]) > 0.0).all():
        return None
    plane = 0.5 * (len(slices.content) - 1)
    to_plane = plane - source_ijk[m]
    shadow, seen = (points[:, [t, z]] * (to_plane / points[:, m])[:, None] for points in (box, rays))
    middle = rays_ijk[0] + 0.5 * (geometry.columns - 1) * rays_ijk[1] + 0.5 * (geometry.rows - 1) * rays_ijk[2]
    here = middle[[t, z]] * to_plane / middle[m]
    beside = [(middle + step)[[t, z]] * to_plane / (middle + step)[m] for step in rays_ijk[1:]]
    step = np.maximum(np.max(np.abs(np.array(beside) - here), axis=0), least_step)
    low = np.maximum(shadow.min(axis=0), seen.min(axis=0)) - 2.0 * step
    size = np.minimum(shadow.max(axis=0), seen.max(axis=0)) + 2.0 * step - low
    if (size <= 0.0).any():
        return None
    columns, rows = (int(n) for n in np.ceil(size / step) + 1)
    rows = -(-rows // _LANES) * _LANES
    first = low + source_ijk[[t, z]]
    return Sheet(plane, float(first[0]), float(step[0]), columns, float(first[1]), float(step[1]), rows)


class SliceProjector:
    """A volume made ready for shear and warp; the slices across an axis are prepared when a pose first asks for them.

    Where a pose cannot be had that way (see `sheet_for`), it is projected ray by ray.

    Parameters
    ----------
    attenuation : Attenuation
        The volume.
    least_step : float
        Of the intermediate image, in voxels; 0 lets it follow the detector's pixels, however fine.

    Examples
    --------
    >>> from sjplan.core.grid import Grid
    >>> from sjplan.xray.types import CArm, Detector
    >>> water = Grid((20, 20, 20), (5, 5, 5), (-47.5, -47.5, -47.5), np.eye(3))
    >>> projector = SliceProjector(Attenuation.of(np.zeros(water.shape, np.int16), water))
    >>> image = projector.project(CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(65, 65, 4)))
    >>> round(float(image[32, 32]) / 0.02059, 2)
    100.0
    """

    def __init__(self, attenuation: Attenuation, least_step: float = 0.0) -> None:
        self.attenuation, self._least_step = attenuation, least_step
        self._slices: dict[tuple[int, float], Slices] = {}

    def project(self, geometry: CArmGeometry, above: float = 0.0) -> NDArray[np.float32]:
        """Attenuation integrated along the ray to every pixel, (rows, columns); see `projector.project_volume`.

        Of every voxel's value, only what lies `above` counts.
        """
        source, rays = index_rays(self.attenuation.grid, geometry)
        main = main_axis(rays, geometry)
        slices, order = self._across(main, above), list(axes_of(main))
        sheet = sheet_for(slices, main, source, rays, geometry, self._least_step)
        if sheet is None:
            values = np.maximum(self.attenuation.values - self.attenuation.values.dtype.type(above), 0)
            return project(replace(self.attenuation, values=values), geometry)
        total = np.empty((sheet.rows, sheet.columns), np.float32)
        sheared(slices, source[order], sheet, total)
        image = np.empty((geometry.rows, geometry.columns), np.float32)
        rays_mm = np.stack(
            [geometry.origin_lps_mm - geometry.source_lps_mm, geometry.column_step_lps_mm, geometry.row_step_lps_mm]
        )
        mtz = np.ascontiguousarray(rays[:, order])
        warped(total, sheet, source[order], mtz, rays_mm, float(self.attenuation.mu_per_value), image)
        return image

    def _across(self, main: int, above: float) -> Slices:
        if (main, above) not in self._slices:
            same = next((s for (axis, _), s in self._slices.items() if axis == main), None)
            found = slices_across(self.attenuation.values, main, above)
            self._slices[main, above] = found if same is None else found._replace(flat=same.flat)
        return self._slices[main, above]


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def sheared(slices: Slices, source: Any, sheet: Sheet, out: Any) -> None:
    """Fill `out` (rows, columns) with the sum over all slices, each read where the sheet's rays meet it.

    `source` is the tube's (m, t, z). Places in memory are unsigned: of a signed one the compiler asks at every reading
    whether it counts from the end, which takes half as long again.
    """
    flat, content, nt, nz = slices.flat, slices.content, slices.count_t, slices.count_z
    above, nothing, lanes = np.float32(slices.above), np.float32(0.0), np.uint64(_LANES)
    for block in prange(sheet.rows // _LANES):
        total = np.zeros(sheet.columns * _LANES, np.float32)
        line = np.zeros((nt + 2) * _LANES, np.float32)
        column = np.zeros(nz + 2, np.float32)
        at, part = np.empty(_LANES, np.uint32), np.empty(_LANES, np.float32)
        for m in range(len(content)):
            if content[m, 1] < content[m, 0]:
                continue
            scale = (m - source[0]) / (sheet.plane - source[0])
            z0 = source[2] + (sheet.z0 + sheet.dz * (block * _LANES) - source[2]) * scale
            dz = sheet.dz * scale
            z_low, z_high = z0, z0 + dz * (_LANES - 1)
            if z_high < content[m, 2] or z_low > content[m, 3]:
                continue
            t0, dt = source[1] + (sheet.t0 - source[1]) * scale, sheet.dt * scale
            first = max(math.floor(t0), content[m, 0])
            last = min(math.floor(t0 + dt * (sheet.columns - 1)) + 1, content[m, 1])
            if last <= first:
                continue
            low = min(max(math.floor(z_low), 0), nz - 2)
            high = min(max(math.floor(z_high) + 1, 1), nz - 1)
            for lane in range(_LANES):
                z = min(max(z0 + dz * lane, 0.0), nz - 1.001)
                at[lane] = np.uint32(np.int32(z) - low)
                part[lane] = np.float32(z - np.int32(z))
            for t in range(first, last + 1):
                start, here = np.uint64(m * slices.step_m + t * slices.step_t + low), np.uint64(t - first) * lanes
                for k in range(high - low + 1):
                    column[k] = max(np.float32(flat[start + np.uint64(k)]) - above, nothing)
                for lane in range(_LANES):
                    p, q = column[at[lane]], column[at[lane] + np.uint32(1)]
                    line[here + np.uint64(lane)] = p + part[lane] * (q - p)
            begin = max(0, math.ceil((first - t0) / dt))
            end = min(sheet.columns, math.floor((last - 1e-6 - t0) / dt) + 1)
            for i in range(begin, end):
                t_at = t0 + dt * i - first
                n = int(t_at)
                f = np.float32(t_at - n)
                g = np.float32(1.0) - f
                here, near = np.uint64(i) * lanes, np.uint64(n) * lanes
                for lane in range(_LANES):
                    on = np.uint64(lane)
                    total[here + on] += g * line[near + on] + f * line[near + lanes + on]
        for lane in range(_LANES):
            for i in range(sheet.columns):
                out[block * _LANES + lane, i] = total[i * _LANES + lane]


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def warped(total: Any, sheet: Sheet, source: Any, rays_mtz: Any, rays_mm: Any, mu_per_value: float, out: Any) -> None:
    """Fill the image: where each pixel's ray meets the sheet, times how long the ray is from slice to slice."""
    rows, columns = out.shape
    for row in prange(rows):
        for column in range(columns):
            dm = rays_mtz[0, 0] + column * rays_mtz[1, 0] + row * rays_mtz[2, 0]
            a = (sheet.plane - source[0]) / dm
            t = source[1] + a * (rays_mtz[0, 1] + column * rays_mtz[1, 1] + row * rays_mtz[2, 1])
            z = source[2] + a * (rays_mtz[0, 2] + column * rays_mtz[1, 2] + row * rays_mtz[2, 2])
            t, z = (t - sheet.t0) / sheet.dt, (z - sheet.z0) / sheet.dz
            if not (0.0 <= t <= sheet.columns - 1.0 and 0.0 <= z <= sheet.rows - 1.0):
                out[row, column] = np.float32(0.0)
                continue
            i, k = min(int(t), sheet.columns - 2), min(int(z), sheet.rows - 2)
            f, g = np.float32(t - i), np.float32(z - k)
            if 1 <= i <= sheet.columns - 3 and 1 <= k <= sheet.rows - 3:
                across, down = _catmull_rom(f), _catmull_rom(g)
                value = down[0] * _four(total, k - 1, i, across) + down[1] * _four(total, k, i, across)
                value += down[2] * _four(total, k + 1, i, across) + down[3] * _four(total, k + 2, i, across)
                value = max(value, np.float32(0.0))
            else:
                p, q = total[k, i], total[k, i + 1]
                low = p + f * (q - p)
                p, q = total[k + 1, i], total[k + 1, i + 1]
                value = low + g * (p + f * (q - p) - low)
            squared = 0.0
            for axis in range(3):
                squared += (rays_mm[0, axis] + column * rays_mm[1, axis] + row * rays_mm[2, axis]) ** 2
            length = math.sqrt(squared) / abs(dm) * mu_per_value
            out[row, column] = np.float32(value * length)


@njit(cache=True, inline="always", fastmath=_FAST)
def _catmull_rom(f: Any) -> Any:
    """Weights of four neighbours at a place between the middle two; a straight line between these would blunt edges."""
    half, two, three = np.float32(0.5), np.float32(2.0), np.float32(3.0)
    first = half * f * (f * (two - f) - np.float32(1.0))
    second = half * (f * f * (three * f - np.float32(5.0)) + two)
    third = half * f * (f * (np.float32(4.0) - three * f) + np.float32(1.0))
    return first, second, third, half * f * f * (f - np.float32(1.0))


@njit(cache=True, inline="always", fastmath=_FAST)
def _four(total: Any, k: int, i: int, weights: Any) -> Any:
    low = weights[0] * total[k, i - 1] + weights[1] * total[k, i]
    return low + weights[2] * total[k, i + 1] + weights[3] * total[k, i + 2]
