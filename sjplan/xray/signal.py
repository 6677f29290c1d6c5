"""What the detector makes of a ray: its signal behind so much soft tissue, bone and metal, over the whole spectrum.

The direct sum over all energies (`spectrum.transmitted`) is too slow for every pixel. Its logarithm is smooth, so it is
tabulated, densely where the beam still hardens fast, and read between the table's points.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.xray.spectrum import Beam, PhysicsTables

CSI_MM: Final = 0.6 * 0.8
"""Needles of 600 um that fill 80 % of the layer: a flat panel's caesium iodide (CLINICAL.md 3.5)."""

_WATER_MM, _BONE_MM, _METAL_MM = 900.0, 160.0, 80.0
_WATER_STEPS, _BONE_STEPS, _METAL_STEPS = 90, 64, 64
"""Ranges and steps: even for water, growing evenly from zero for bone and metal."""

_LEAST_SHARE: Final = 1e-30


def csi_weights(tables: PhysicsTables) -> Array:
    """Signal of one photon of each bin in keV: what of its energy stays in the caesium iodide, on average."""
    return np.asarray(tables.energy_kev * (1.0 - np.exp(-tables.mu("csi") * CSI_MM)))


class SignalTable(NamedTuple):
    """Logarithm of the transmitted share, (water, bone, metal); steps in mm and the growing steps' factors."""

    log_share: NDArray[np.float32]
    water_step_mm: float
    bone_factor_mm: float
    metal_factor_mm: float


def signal_table(tables: PhysicsTables, source: Beam, weights: Array, metal: str | None = None) -> SignalTable:
    """Tabulate the share of the open beam's signal that is left behind water, bone and one metal.

    Parameters
    ----------
    tables, source : PhysicsTables, Beam
        The beam in front of the patient.
    weights : (n,) float
        Signal of one photon of each bin; see `csi_weights`.
    metal : str, optional
        Its name in the tables; none makes a table of one layer.
    """
    seen = source.fluence * weights
    used = np.flatnonzero(seen > 1e-9 * seen.max())
    share = seen[used] / seen[used].sum()
    water = np.linspace(0.0, _WATER_MM, _WATER_STEPS + 1)
    bone_factor, metal_factor = _BONE_MM / _BONE_STEPS**2, _METAL_MM / _METAL_STEPS**2
    bone = bone_factor * np.arange(_BONE_STEPS + 1.0) ** 2
    thick = metal_factor * np.arange(_METAL_STEPS + 1.0) ** 2 if metal else np.zeros(1)
    behind_bone = np.exp(-np.outer(bone, tables.mu("bone")[used]))
    behind_water = np.exp(-np.outer(water, tables.mu("water")[used])) * share
    behind_metal = np.exp(-np.outer(thick, tables.mu(metal)[used])) if metal else np.ones((1, len(used)))
    both = (behind_water[:, None, :] * behind_bone[None]).reshape(-1, len(used))
    left = (both @ behind_metal.T).reshape(len(water), len(bone), len(thick))
    log_share = np.log(np.maximum(left, _LEAST_SHARE)).astype(np.float32)
    return SignalTable(log_share, float(water[1]), bone_factor, metal_factor)


@njit(cache=True, parallel=True, error_model="numpy")
def shares(table: SignalTable, water: Any, bone: Any, metal: Any, out: Any) -> None:
    """Fill `out` with the transmitted share of every pixel; `water`, `bone` and `metal` are paths in mm.

    Paths beyond the table's ranges count as its ends.
    """
    log_share = table.log_share
    nw, nb, nm = log_share.shape
    for row in prange(out.shape[0]):
        for column in range(out.shape[1]):
            a = min(max(water[row, column] / table.water_step_mm, 0.0), nw - 1.001)
            i = int(a)
            f = a - i
            j, g = _between(bone[row, column], table.bone_factor_mm, nb)
            low = _layer(log_share, i, f, j, g, 0)
            if nm > 1 and metal[row, column] > 0.0:
                k, h = _between(metal[row, column], table.metal_factor_mm, nm)
                low = _layer(log_share, i, f, j, g, k)
                low += h * (_layer(log_share, i, f, j, g, k + 1) - low)
            out[row, column] = np.exp(low)


@njit(cache=True, inline="always", error_model="numpy")
def _between(path: float, factor: float, count: int) -> Any:
    """The table's last point before a path, and how far the path is on the way to the next."""
    path = max(path, 0.0)
    n = min(int(np.sqrt(path / factor)), count - 2)
    return n, min((path / factor - n * n) / (2.0 * n + 1.0), 1.0)


@njit(cache=True, inline="always", error_model="numpy")
def _layer(log_share: Any, i: int, f: float, j: int, g: float, k: int) -> Any:
    near = log_share[i, j, k] + g * (log_share[i, j + 1, k] - log_share[i, j, k])
    far = log_share[i + 1, j, k] + g * (log_share[i + 1, j + 1, k] - log_share[i + 1, j, k])
    return near + f * (far - near)
