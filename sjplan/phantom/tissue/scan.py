"""What the scanner does: blur in the slice and along z, noise as the kernel correlates it, streaks, padding, table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import ive

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.scanner import Scanner
from sjplan.phantom.tissue.lattice import Lattice, interpolate

LOWEST_HU: Final = -1024
HIGHEST_HU: Final = 3071
"""Ends of the scale of a CT of 12 bits."""

FWHM_PER_SIGMA: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))

GRAIN_MM: Final = 0.32
"""Standard deviation of the least blur of the noise: detector and interpolation, without any kernel (default)."""

LOW_CUT: Final = 2.5
"""The ramp of a reconstruction takes slow noise away: what a blur so many times wider leaves is subtracted."""

LOW_SHARE: Final = 0.8
"""How much of it (default)."""

MU_PER_MM: Final = 0.0193
"""Attenuation of water at 70 keV (CLINICAL 3.4)."""

STARVATION: Final = 0.6
"""Part of the attenuation that a tube current modulation leaves in the noise (default)."""

REFERENCE_PATHS: Final = (7.0, 4.3)
"""Sums of attenuation across and through a body of 370 by 216 mm (HIPBR, CLINICAL 4.6): there noise is as stated."""

NOISE_SPAN: Final = (0.12, 4.0)
"""Least noise, in air, and most, behind metal, relative to that in soft tissue (default)."""

TABLE_HU: Final = (-150.0, -930.0)
TABLE_MM: Final = (2.5, 26.0, 210.0, 520.0)
"""Shell and foam of the table, its shell's thickness, its height, its half-width and its radius (mm, default)."""


def discrete_gaussian(variance: float) -> Array:
    """Weights whose variance (voxels squared) is exactly as wanted, however narrow; 1 for variance 0.

    Examples
    --------
    >>> w = discrete_gaussian(0.3)
    >>> round(float((w * np.arange(-(len(w) // 2), len(w) // 2 + 1) ** 2).sum()), 3)
    0.3
    """
    if variance <= 0.0:
        return np.ones(1)
    reach = int(np.ceil(4.0 * np.sqrt(variance))) + 2
    weights = ive(np.abs(np.arange(-reach, reach + 1)), variance)
    return np.asarray(weights / weights.sum())


def in_plane_weights(scanner: Scanner, grid: Grid) -> tuple[Array, Array]:
    """Weights of the kernel along i and j."""
    sigma = scanner.kernel_fwhm_mm / FWHM_PER_SIGMA
    i, j = (discrete_gaussian((sigma / h) ** 2) for h in grid.spacing_mm[:2])
    return i, j


def slice_weights(scanner: Scanner, grid: Grid) -> Array:
    """Weights along k: what a slice thicker than the voxel takes from its neighbours."""
    step = float(grid.spacing_mm[2])
    return discrete_gaussian(max((scanner.slice_thickness_mm / step) ** 2 - 1.0, 0.0) / 12.0)


def table_mm(points_lps_mm: Array, top_y_mm: float, middle_x_mm: float) -> tuple[Array, Array]:
    """The table under a patient: distances (n,) to its shell and to its foam at LPS points (mm)."""
    thick, high, half, radius = TABLE_MM
    x, y = points_lps_mm[:, 0] - middle_x_mm, points_lps_mm[:, 1] - top_y_mm
    upper = radius - np.hypot(x, y + radius)
    lower = np.hypot(x, y - high + 1.6 * radius) - 1.6 * radius
    outside = np.maximum(np.maximum(upper, lower), np.abs(x) - half)
    return np.maximum(outside, -outside - thick), outside + thick


def scan_planes(
    hu: NDArray[np.float32],
    out: NDArray[np.int16],
    grid: Grid,
    scanner: Scanner,
    seed: int,
    planes: Iterable[int],
    streaks: tuple[Lattice, NDArray[np.float32]] | None = None,
) -> None:
    """Write planes k of the scanned volume.

    Parameters
    ----------
    hu : (ni, nj, nk) float32
        The volume as it is, sampled without noise.
    out : (ni, nj, nk) int16
        Where the planes go.
    grid : Grid
        Grid of both.
    scanner : Scanner
        What the scanner does.
    seed : int
        Noise depends on it and on the plane's number alone.
    planes : iterable of int
        Which planes.
    streaks : (Lattice, values), optional
        HU to add (`metal.streaks`).
    """
    wi, wj = in_plane_weights(scanner, grid)
    wk = slice_weights(scanner, grid)
    noise = _Noise(scanner, grid, seed, wk)
    outside = _outside_circle(grid) if scanner.circular_padding else None
    for k in planes:
        plane = _thick_slice(hu, k, wk)
        plane = correlate1d(correlate1d(plane, wi, axis=0, mode="nearest"), wj, axis=1, mode="nearest")
        plane = np.ascontiguousarray(plane, dtype=np.float32)
        relative = noise_map(plane, np.asarray(grid.spacing_mm))
        if streaks is not None:
            lattice, values = streaks
            _add_streaks(plane, values[..., None], _plane_origin(grid, k, lattice), grid.spacing_mm / lattice.step_mm)
        plane += noise.plane(k) * relative * np.float32(scanner.noise_hu)
        final = np.rint(plane).clip(LOWEST_HU, HIGHEST_HU).astype(np.int16)
        if outside is not None:
            final[outside] = scanner.padding_hu
        out[:, :, k] = final


class _Noise:
    """Correlated noise of deviation 1, plane by plane; white noise of a plane is drawn from seed and plane alone."""

    def __init__(self, scanner: Scanner, grid: Grid, seed: int, along: Array) -> None:
        sigma = max(scanner.kernel_fwhm_mm / FWHM_PER_SIGMA, GRAIN_MM)
        self._shape, self._seed, self._along = grid.shape[:2], seed, along
        self._sharp = [discrete_gaussian((sigma / h) ** 2) for h in grid.spacing_mm[:2]]
        self._slow = [discrete_gaussian((LOW_CUT * sigma / h) ** 2) for h in grid.spacing_mm[:2]]
        kernel = np.zeros([max(len(w) for w in self._slow) + 2] * 2)
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1.0
        gain = float(np.sqrt((self._filtered(kernel) ** 2).sum() * (along**2).sum()))
        self._scale = np.float32(1.0 / gain)
        self._white: dict[int, NDArray[np.float32]] = {}

    def plane(self, k: int) -> NDArray[np.float32]:
        """Noise of plane k, (ni, nj)."""
        half = len(self._along) // 2
        wanted = range(k - half, k + half + 1)
        self._white = {n: self._white[n] if n in self._white else self._drawn(n) for n in wanted}
        mixed = sum(np.float32(w) * self._white[n] for w, n in zip(self._along, wanted, strict=True))
        return np.asarray(self._filtered(np.asarray(mixed)) * self._scale, dtype=np.float32)

    def _drawn(self, k: int) -> NDArray[np.float32]:
        # Planes before the first get numbers of their own too: a slice's profile reaches beyond the grid.
        generator = np.random.Generator(np.random.Philox(key=[self._seed, k + 100_000]))
        return generator.standard_normal(self._shape, dtype=np.float32)

    def _filtered(self, plane: NDArray[Any]) -> NDArray[Any]:
        sharp, slow = plane, plane
        for axis in (0, 1):
            sharp = correlate1d(sharp, self._sharp[axis], axis=axis, mode="wrap")
            slow = correlate1d(slow, self._slow[axis], axis=axis, mode="wrap")
        return np.asarray(sharp - LOW_SHARE * slow)


def noise_map(plane: NDArray[np.float32], spacing_mm: Array) -> NDArray[np.float32]:
    """Noise relative to that of soft tissue in a body of usual size, (ni, nj): more where rays lose more.

    The rays along i and along j through a voxel stand for all of them.
    """
    mu = (np.clip(plane, -1000.0, 3000.0) / 1000.0 + 1.0) * MU_PER_MM
    across = mu.sum(axis=0, dtype=np.float64) * spacing_mm[0]
    through = mu.sum(axis=1, dtype=np.float64) * spacing_mm[1]
    reference = np.exp(STARVATION * np.array(REFERENCE_PATHS)).sum()
    variance = (np.exp(STARVATION * across)[None, :] + np.exp(STARVATION * through)[:, None]) / reference
    return np.asarray(np.sqrt(variance).clip(*NOISE_SPAN), dtype=np.float32)


def _thick_slice(hu: NDArray[np.float32], k: int, weights: Array) -> NDArray[np.float32]:
    half, last = len(weights) // 2, hu.shape[2] - 1
    if not half:
        return hu[:, :, k]
    total = np.zeros(hu.shape[:2], dtype=np.float32)
    for n, weight in enumerate(weights):
        total += np.float32(weight) * hu[:, :, min(max(k + n - half, 0), last)]
    return total


def _outside_circle(grid: Grid) -> NDArray[np.bool_]:
    """Where a slice lies outside the largest circle that fits it."""
    x, y = (grid.spacing_mm[a] * (np.arange(grid.shape[a]) - (grid.shape[a] - 1) / 2.0) for a in (0, 1))
    radius = max(float(np.abs(x).max()), float(np.abs(y).max()))
    return np.asarray(np.hypot(x[:, None], y[None, :]) > radius)


def _plane_origin(grid: Grid, k: int, lattice: Lattice) -> Array:
    return np.asarray((grid.lps_from_ijk((0, 0, k)) - lattice.origin_lps_mm) / lattice.step_mm)


@njit(cache=True, nogil=True)
def _add_streaks(plane: NDArray[Any], values: NDArray[Any], start: NDArray[Any], step: NDArray[Any]) -> None:
    one = np.zeros(1)
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            interpolate(values, 1, start[0] + i * step[0], start[1] + j * step[1], start[2], one)
            plane[i, j] += one[0]
