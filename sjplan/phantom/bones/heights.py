"""Height fields: a smooth surface over a plane through values at a few stations, sampled finely for fast look-up."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.interpolate import RectBivariateSpline

from sjplan.core.arrays import Array
from sjplan.phantom.kernels import lookup_at

STEP_MM: Final = 0.75
"""Raster of the sampled field; between its nodes the surface is bilinear, and the truth is read from that."""


class HeightField:
    """A smooth function of two coordinates, held at its border beyond the stations.

    Parameters
    ----------
    a_mm, b_mm : (n,) and (m,) float
        Stations, increasing, at least four each.
    values : (n, m) float
        Heights there.
    """

    def __init__(self, a_mm: Array, b_mm: Array, values: Array, step_mm: float = STEP_MM) -> None:
        a, b = np.asarray(a_mm, dtype=np.float64), np.asarray(b_mm, dtype=np.float64)
        self._low, self._step = (float(a[0]), float(b[0])), step_mm
        axes = [c[0] + step_mm * np.arange(int(np.ceil((c[-1] - c[0]) / step_mm)) + 1) for c in (a, b)]
        inside = [np.minimum(axis, c[-1]) for axis, c in zip(axes, (a, b), strict=True)]
        height = RectBivariateSpline(a, b, values)(*inside)
        da, db = np.gradient(height, step_mm)
        self._tables = np.stack([height, np.sqrt(1.0 + da * da + db * db)])

    def at(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Height (n,), and the factor that turns a distance along it into one along its normal, at (n,) places."""
        height, stretch = lookup_at(self._tables, *self._low, self._step, np.ravel(a), np.ravel(b))
        return height, stretch

    def height(self, a: Array, b: Array) -> Array:
        """Height alone, in the shape of `a` and `b` broadcast."""
        a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
        return self.at(a, b)[0].reshape(a.shape)
