"""From Hounsfield units to attenuation, at one effective energy of 60 keV.

That is near the mean that a CsI detector sees behind 22 to 32 cm of water at 80 kVp (58 and 60 keV, CLINICAL.md 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid

MU_WATER_PER_MM: Final = 0.2059 * 1.00 / 10.0
"""Water: 0.2059 cm2/g at 60 keV (CLINICAL.md 3.4, xraylib 4.3.0) times 1.00 g/cm3."""

MU_TITANIUM_PER_MM: Final = 0.7392 * 4.43 / 10.0
"""Ti-6Al-4V, what implants are made of: 0.7392 cm2/g at 60 keV times 4.43 g/cm3; pure titanium takes 5 % more."""

MU_STEEL_PER_MM: Final = 1.266 * 8.0 / 10.0
"""Stainless steel 316L, the pin: 1.266 cm2/g at 60 keV times 8.0 g/cm3."""

AIR_BELOW_HU: Final = -950.0
"""Voxels below this are air and weigh nothing, so that the noise of the room's air (about 20 HU) does not add up
over half a metre and rays can be cut to the box that holds the patient. Fat starts near -120 HU."""

SOFT_VALUE: Final = 1100.0
"""Value of `Attenuation.from_hu` up to which a voxel is all soft tissue: 100 HU, above muscle and marrow."""

BONE_VALUE: Final = 1000.0 * (0.3148 * 1.92) / 0.2059
"""That of a voxel full of cortical bone: 0.3148 cm2/g at 60 keV times 1.92 g/cm3, beside water's. Between the two, a
voxel holds both, by volume; what is denser counts as more than full."""

_PAD = 2
_INT32_VOXELS = 2**31 - 1


def mu_per_mm(hu: NDArray[np.floating] | NDArray[np.integer] | float) -> NDArray[np.float64]:
    """Linear attenuation of Hounsfield units at 60 keV: water scaled by (HU + 1000) / 1000, never negative.

    One straight line for all tissues: at 60 keV it reads cortical bone about 10 % too thin (CLINICAL.md 3.4:
    0.604 per cm, against 0.551 per cm for the +1675 HU that a CT near 70 keV shows).

    Examples
    --------
    >>> mu_per_mm(np.array([-1000.0, 0.0, 1000.0])).round(5).tolist()
    [0.0, 0.02059, 0.04118]
    """
    return np.asarray(np.maximum(np.asarray(hu, dtype=np.float64) + 1000.0, 0.0) * (MU_WATER_PER_MM / 1000.0))


@dataclass(frozen=True, slots=True, eq=False)
class Attenuation:
    """A volume made ready for projection: cropped to what attenuates, with a border of zeros.

    Parameters
    ----------
    values : (i, j, k) int16 or float32
        Not negative, C-ordered; the two outermost layers on every side are 0.
    grid : Grid
        Of `values`.
    mu_per_value : float
        Linear attenuation per mm of the value 1.
    """

    values: NDArray[np.int16] | NDArray[np.float32]
    grid: Grid
    mu_per_value: float

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape or not self.values.flags.c_contiguous:
            raise GeometryError("attenuation", found=f"shape {self.values.shape}", wanted="the grid's, C-ordered")
        if self.values.size > _INT32_VOXELS:
            raise GeometryError("attenuation", found=f"{self.values.size} voxels", wanted=f"at most {_INT32_VOXELS}")

    def fills(self, point_lps_mm: Array) -> bool:
        """Whether a point lies in a voxel that attenuates."""
        index = np.rint(self.grid.ijk_from_lps(point_lps_mm)).astype(int)
        inside = bool(((index >= 0) & (index < self.grid.shape)).all())
        return inside and bool(self.values[tuple(index)] > 0)

    @classmethod
    def of(cls, values: NDArray[Any], grid: Grid) -> Attenuation:
        """Attenuation of a volume of Hounsfield units (integers) or of attenuation per mm (floats)."""
        return cls.from_hu(values, grid) if np.issubdtype(values.dtype, np.integer) else cls.from_mu(values, grid)

    @classmethod
    def from_hu(cls, hu: NDArray[np.int16], grid: Grid) -> Attenuation:
        """Attenuation of a CT; air and everything outside the grid weigh nothing."""
        start, stop = _box(hu >= AIR_BELOW_HU)
        part = hu[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
        # HU above 31767 would overflow int16; such values are no tissue and no metal that a CT can tell apart.
        values = np.where(part >= AIR_BELOW_HU, np.minimum(part, 31767) + np.int16(1000), 0).astype(np.int16)
        return cls(_padded(values), grid.cropped(start - _PAD, stop + _PAD), MU_WATER_PER_MM / 1000.0)

    @classmethod
    def from_mu(cls, mu: NDArray[np.floating], grid: Grid) -> Attenuation:
        """Attenuation of a volume of linear attenuation coefficients per mm.

        Raises
        ------
        GeometryError
            For negative, NaN or infinite values.
        """
        if not np.isfinite(mu).all() or (mu < 0).any():
            raise GeometryError("mu", found="negative, NaN or infinite values", wanted="finite values >= 0")
        start, stop = _box(mu > 0)
        part = mu[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
        return cls(_padded(part.astype(np.float32)), grid.cropped(start - _PAD, stop + _PAD), 1.0)


def halved(fine: Attenuation) -> Attenuation:
    """The same body in voxels twice as large, each the mean of eight, for pictures that have to come fast.

    Examples
    --------
    >>> grid = Grid((8, 9, 10), np.ones(3), np.zeros(3), np.eye(3))
    >>> coarse = halved(Attenuation.from_hu(np.zeros(grid.shape, np.int16), grid))
    >>> coarse.grid.shape, coarse.grid.spacing_mm.tolist()
    ((8, 9, 9), [2.0, 2.0, 2.0])
    >>> coarse.values[2, 2:-2, 2].tolist()
    [1000, 1000, 1000, 1000, 500]
    """
    inner = fine.values[_PAD:-_PAD, _PAD:-_PAD, _PAD:-_PAD]
    if inner.size == 0:
        return fine
    even = np.pad(inner, [(0, n % 2) for n in inner.shape])
    i, j, k = (n // 2 for n in even.shape)
    mean = even.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    values = mean if fine.values.dtype == np.float32 else np.rint(mean).astype(fine.values.dtype)
    first = fine.grid.lps_from_ijk(np.full(3, _PAD + 0.5))
    grid = Grid((i, j, k), 2.0 * fine.grid.spacing_mm, first, fine.grid.direction)
    return Attenuation(_padded(values), grid.cropped(np.full(3, -_PAD), np.array([i, j, k]) + _PAD), fine.mu_per_value)


def _box(mask: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """First and past-the-last index of the True voxels; an empty box at 0 where there are none."""
    ij: NDArray[np.bool_] = np.asarray(mask.any(axis=2))
    lines = (ij.any(axis=1), ij.any(axis=0), mask.any(axis=(0, 1)))
    hits = [np.flatnonzero(line) for line in lines]
    if not hits[0].size:
        return np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    return np.array([h[0] for h in hits]), np.array([h[-1] + 1 for h in hits])


def _padded(values: NDArray[Any]) -> NDArray[Any]:
    padded = np.zeros([n + 2 * _PAD for n in values.shape], dtype=values.dtype)
    padded[tuple(slice(_PAD, _PAD + n) for n in values.shape)] = values
    padded.setflags(write=False)
    return padded
