"""Random fields that belong to the body, not to the grid: trabeculae, marbled muscle, strands in fat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array, frozen

NODES: Final = 64
"""Nodes of the periodic lattice along an axis: at a grain of 1.2 mm it repeats after 77 mm (default)."""

BLEND_DEVIATION: Final = (2.0 / 3.0) ** 1.5
"""Standard deviation of trilinear blends of independent nodes of deviation 1, averaged over all places: each axis
leaves the mean of t^2 + (1 - t)^2, two thirds, of the variance."""

OCTAVE_SHIFT: Final = 17.3
"""Nodes by which one size of grain is shifted against the next, so that they share no nodes (default)."""


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A periodic random lattice, drawn once a phantom.

    Parameters
    ----------
    lattice : (64, 64, 64) float32
        Independent standard normal values.

    Examples
    --------
    >>> Texture.drawn(np.random.default_rng(0)).lattice.shape
    (64, 64, 64)
    """

    lattice: NDArray[np.float32]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Texture:
        """Draw the lattice."""
        return cls(rng.standard_normal((NODES, NODES, NODES), dtype=np.float32))

    def at(self, places: Array) -> Array:
        """Values of deviation 1 (over all places) at lattice coordinates (n, 3): the slow reference of `noise_at`."""
        smooth = map_coordinates(self.lattice.astype(np.float64), np.asarray(places).T, order=1, mode="grid-wrap")
        return np.asarray(smooth / BLEND_DEVIATION)


@njit(cache=True, nogil=True, inline="always")
def noise_at(lattice: NDArray[Any], x: float, y: float, z: float) -> float:
    """Trilinear value of a periodic lattice at one place, of deviation 1 over all places. Agrees with `Texture.at`."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    m = NODES - 1
    i0, j0, k0 = i & m, j & m, k & m
    i1, j1, k1 = (i + 1) & m, (j + 1) & m, (k + 1) & m
    a = (1.0 - w) * lattice[i0, j0, k0] + w * lattice[i0, j0, k1]
    b = (1.0 - w) * lattice[i0, j1, k0] + w * lattice[i0, j1, k1]
    c = (1.0 - w) * lattice[i1, j0, k0] + w * lattice[i1, j0, k1]
    d = (1.0 - w) * lattice[i1, j1, k0] + w * lattice[i1, j1, k1]
    value: float = (1.0 - u) * ((1.0 - v) * a + v * b) + u * ((1.0 - v) * c + v * d)
    return value / BLEND_DEVIATION


def blurred_amplitude(grain_mm: float, voxel_mm: float) -> float:
    """What is left of a texture's deviation once voxels of an edge have averaged grains of a size (default form)."""
    return 1.0 / (1.0 + (0.7 * voxel_mm / grain_mm) ** 2)


def grain_axes(rotation: Array, stretch: tuple[float, float, float]) -> Array:
    """Matrix that takes body coordinates (mm) to those in which grains are round.

    Parameters
    ----------
    rotation : (3, 3) float
        Rows: the grains' own axes.
    stretch : (3,) float
        How much longer grains are along each of them.

    Examples
    --------
    >>> grain_axes(np.eye(3), (1.0, 1.0, 2.0))[2].tolist()
    [0.0, 0.0, 0.5]
    """
    return frozen(np.asarray(rotation) / np.asarray(stretch)[:, None])
