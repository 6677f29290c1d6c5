"""What comes out of the tube: tungsten spectra by voltage and filter, and what materials take away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from sjplan.core.arrays import Array, frozen
from sjplan.core.errors import GeometryError, unknown_name

KVP_RANGE: Final = (40.0, 150.0)
"""Tube voltages for which there are spectra."""


@dataclass(frozen=True, slots=True, eq=False)
class PhysicsTables:
    """Tables on one energy grid of n bins, 1 keV wide (made by `scripts/make_physics_tables.py`).

    Parameters
    ----------
    energy_kev : (n,) float
        Middles of the bins.
    kvp : (m,) float
        Voltages of the spectra, increasing.
    fluence : (m, n) float
        Photons per cm2, keV and mAs, a metre from the focal spot, nothing in the beam.
    mu_per_mm : dict of (n,) float
        Linear attenuation of each material at its usual density.
    kerma_ugy : (n,) float
        Air kerma in microgray of one photon per cm2.
    """

    energy_kev: Array
    kvp: Array
    fluence: Array
    mu_per_mm: Mapping[str, Array]
    kerma_ugy: Array

    def mu(self, material: str) -> Array:
        """Linear attenuation of a material in every bin, per mm."""
        if material not in self.mu_per_mm:
            raise unknown_name("material", material, self.mu_per_mm)
        return self.mu_per_mm[material]

    def mu_at(self, material: str, energy_kev: float) -> float:
        """Linear attenuation per mm at one energy, between bins by logarithms."""
        return float(np.exp(np.interp(energy_kev, self.energy_kev, np.log(self.mu(material)))))


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """A filtered spectrum: photons per cm2 and mAs in every bin, a metre from the focal spot.

    Parameters
    ----------
    kvp : float
        Tube voltage.
    fluence : (n,) float
        On the energies of the tables that it was made from.
    """

    kvp: float
    fluence: Array


def beam(tables: PhysicsTables, kvp: float, filters_mm: Mapping[str, float]) -> Beam:
    """The spectrum of a tube behind filters.

    Parameters
    ----------
    tables : PhysicsTables
        Spectra between the table's voltages are mixed.
    kvp : float
        40 to 150.
    filters_mm : mapping
        Thickness by material, such as aluminium and copper.

    Raises
    ------
    GeometryError
        For a voltage or a thickness out of range.
    """
    low, high = KVP_RANGE
    if not low <= kvp <= high:
        raise GeometryError("kvp", found=f"{kvp:g}", wanted=f"{low:g} to {high:g} kV")
    path = np.zeros(len(tables.energy_kev))
    for material, thickness in filters_mm.items():
        if not 0.0 <= thickness <= 50.0:
            raise GeometryError(f"filter {material}", found=f"{thickness:g} mm", wanted="0 to 50 mm")
        path = path + thickness * tables.mu(material)
    n = min(int(np.searchsorted(tables.kvp, kvp, side="right")), len(tables.kvp) - 1)
    share = (kvp - tables.kvp[n - 1]) / (tables.kvp[n] - tables.kvp[n - 1])
    bare = (1.0 - share) * tables.fluence[n - 1] + share * tables.fluence[n]
    return Beam(float(kvp), frozen(bare * np.exp(-path)))


def air_kerma_ugy_per_mas(tables: PhysicsTables, source: Beam, distance_mm: float = 1000.0) -> float:
    """Air kerma in microgray per mAs, free in air, so far from the focal spot."""
    return float(source.fluence @ tables.kerma_ugy) * (1000.0 / distance_mm) ** 2


def mean_energy_kev(tables: PhysicsTables, source: Beam) -> float:
    """Mean energy of a beam's photons."""
    return float(source.fluence @ tables.energy_kev / source.fluence.sum())


def half_value_layer_mm(tables: PhysicsTables, source: Beam, material: str = "aluminium") -> float:
    """Thickness of a material behind which half of the air kerma is left."""
    kerma, mu = source.fluence * tables.kerma_ugy, tables.mu(material)

    def beyond_half(thickness: float) -> float:
        return float((kerma * np.exp(-mu * thickness)).sum() / kerma.sum()) - 0.5

    return float(brentq(beyond_half, 0.0, 100.0))


def transmitted(tables: PhysicsTables, source: Beam, weights: ArrayLike, paths_mm: Mapping[str, float]) -> float:
    """What a detector that weighs each bin sees behind slabs, as a share of what it sees without them.

    The direct sum over all bins: slow, and what faster ways are held to.
    """
    path = sum((length * tables.mu(material) for material, length in paths_mm.items()), np.zeros(len(source.fluence)))
    seen = source.fluence * np.asarray(weights)
    return float((seen * np.exp(-path)).sum() / seen.sum())
