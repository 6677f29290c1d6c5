"""Blends one bone into a volume: shell, spongy bone and their shares of each voxel, from sampled distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.sampling import Band
from sjplan.phantom.tissue.lattice import Lattice, interpolate
from sjplan.phantom.tissue.partial_volume import box_share
from sjplan.phantom.tissue.texture import OCTAVE_SHIFT, Texture, blurred_amplitude, noise_at

SPONGY, THICK_OUT, THICK_IN, HU_OUT, HU_IN, GRAIN = range(6)
"""Columns of a bone's sites: HU of spongy bone, thickness (mm) and HU of the shell where it faces outwards and
inwards, deviation of the spongy texture (HU)."""

OCTAVES: Final = ((1.25, 0.75), (2.6, 0.55), (7.0, 0.24))
"""Trabecular texture: size of grains (mm) and their part of the deviation (default; grains of a millimetre are
bundles of trabeculae, as a clinical CT shows them)."""


@dataclass(frozen=True, slots=True, eq=False)
class BoneSites:
    """What a bone is made of, place by place.

    Parameters
    ----------
    lattice : Lattice
        Where the values are given.
    values : (nx, ny, nz, 6) float32
        Columns as named above.
    outward_axes : (2, 3) float
        Unit vectors in LPS: the direction to the patient's left and the one to the back.
    outward : (2,) float
        Cosines of "outwards" along them; the first is mirrored on the right.
    midline_lps_mm : (3,) float
        A point of the midline.
    grain_from_lps : (3, 3) float
        Turns LPS into coordinates in which the grains are round.
    """

    lattice: Lattice
    values: NDArray[np.float32]
    outward_axes: Array
    outward: tuple[float, float]
    midline_lps_mm: Array
    grain_from_lps: Array


def paint_bone(
    hu: NDArray[np.float32], grid: Grid, band: Band, sites: BoneSites, texture: Texture, planes: slice
) -> None:
    """Blend one bone into `hu` (the whole grid, changed in place), only in the given planes k of the grid."""
    first, count = int(band.start[2]), band.distance_mm.shape[2]
    k0, k1 = max(planes.start - first, 0), min(planes.stop - first, count)
    if k0 >= k1:
        return
    voxel_mm = float(np.cbrt(grid.voxel_volume_mm3))
    octaves = np.array([(mm, part * blurred_amplitude(mm, voxel_mm)) for mm, part in OCTAVES])
    axes = np.vstack([sites.outward_axes, sites.midline_lps_mm])
    _paint(
        hu[band.slices], band.distance_mm, k0, k1, grid.lps_from_ijk(band.start), np.asarray(grid.spacing_mm),
        sites.values, np.asarray(sites.lattice.origin_lps_mm), sites.lattice.step_mm,
        axes, np.array(sites.outward), np.ascontiguousarray(sites.grain_from_lps), texture.lattice, octaves,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _paint(
    hu: NDArray[Any], distance: NDArray[Any], k0: int, k1: int, origin: NDArray[Any], spacing: NDArray[Any],
    values: NDArray[Any], site_origin: NDArray[Any], site_step: float,
    axes: NDArray[Any], outward: NDArray[Any], grain: NDArray[Any], lattice: NDArray[Any], octaves: NDArray[Any],
) -> None:  # fmt: skip
    ni, nj, nk = distance.shape
    h = spacing
    corner = 0.5 * np.sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2])
    site = np.zeros(6)
    for k in range(k0, k1):
        for j in range(nj):
            for i in range(ni):
                d = distance[i, j, k]
                if d >= corner:
                    continue
                x, y, z = origin[0] + i * h[0], origin[1] + j * h[1], origin[2] + k * h[2]
                interpolate(
                    values, 6, (x - site_origin[0]) / site_step, (y - site_origin[1]) / site_step,
                    (z - site_origin[2]) / site_step, site,
                )  # fmt: skip
                thickest = max(site[THICK_OUT], site[THICK_IN])
                whole, deep, shell = 1.0, 1.0, 0.0
                if d > -1.7 * thickest - 2.0 * corner:
                    gx, gy, gz = _gradient(distance, i, j, k, ni, nj, nk, h)
                    steep = np.sqrt(gx * gx + gy * gy + gz * gz)
                    if steep > 1e-6:
                        gx, gy, gz = gx / steep, gy / steep, gz / steep
                    # Across a crease or the middle of a thin plate the difference quotient is no slope.
                    d /= min(max(steep, 0.75), 1.5)
                    a, b, c = 0.5 * abs(gx) * h[0], 0.5 * abs(gy) * h[1], 0.5 * abs(gz) * h[2]
                    lateral = gx * axes[0, 0] + gy * axes[0, 1] + gz * axes[0, 2]
                    left = (x - axes[2, 0]) * axes[0, 0] + (y - axes[2, 1]) * axes[0, 1] + (z - axes[2, 2]) * axes[0, 2]
                    if left < 0.0:
                        lateral = -lateral
                    back = gx * axes[1, 0] + gy * axes[1, 1] + gz * axes[1, 2]
                    out = min(max(0.5 + 0.9 * (lateral * outward[0] + back * outward[1]), 0.0), 1.0)
                    thick = out * site[THICK_OUT] + (1.0 - out) * site[THICK_IN]
                    shell = out * site[HU_OUT] + (1.0 - out) * site[HU_IN]
                    whole = box_share(-d, a, b, c)
                    deep = box_share(-d - thick, a, b, c)
                if whole <= 0.0:
                    continue
                spongy = 0.0
                if deep > 0.0:
                    u = grain[0, 0] * x + grain[0, 1] * y + grain[0, 2] * z
                    v = grain[1, 0] * x + grain[1, 1] * y + grain[1, 2] * z
                    w = grain[2, 0] * x + grain[2, 1] * y + grain[2, 2] * z
                    noise = 0.0
                    for o in range(len(octaves)):
                        mm, shift = octaves[o, 0], OCTAVE_SHIFT * o
                        noise += octaves[o, 1] * noise_at(lattice, u / mm + shift, v / mm + shift, w / mm + shift)
                    spongy = site[SPONGY] + site[GRAIN] * noise
                hu[i, j, k] = (1.0 - whole) * hu[i, j, k] + (whole - deep) * shell + deep * spongy


@njit(cache=True, nogil=True, inline="always")
def _gradient(
    d: NDArray[Any], i: int, j: int, k: int, ni: int, nj: int, nk: int, h: NDArray[Any]
) -> tuple[float, float, float]:
    """Central differences, one-sided at the border (mm per mm)."""
    i0, i1, j0, j1 = max(i - 1, 0), min(i + 1, ni - 1), max(j - 1, 0), min(j + 1, nj - 1)
    k0, k1 = max(k - 1, 0), min(k + 1, nk - 1)
    gx = (d[i1, j, k] - d[i0, j, k]) / (max(i1 - i0, 1) * h[0])
    gy = (d[i, j1, k] - d[i, j0, k]) / (max(j1 - j0, 1) * h[1])
    gz = (d[i, j, k1] - d[i, j, k0]) / (max(k1 - k0, 1) * h[2])
    return gx, gy, gz
