"""Make the tables that radiographs rest on: tungsten spectra, attenuation of materials, air kerma.

    pip install 'sjplan[physics]' && python scripts/make_physics_tables.py

Writes sjplan/data/physics.npz (what the package reads) and docs/results/spectra.json (what spekpy itself says of
filtered beams, for the tests). Spectra: spekpy, tungsten, 12 degrees. Attenuation: xraydb, with the compositions below.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import spekpy
import xraydb

ENERGY_KEV = np.arange(10.5, 150.0, 1.0)
KVP = np.arange(40, 151)
ANODE_DEG = 12.0

CORTICAL = {"H": 3.4, "C": 15.5, "N": 4.2, "O": 43.5, "Na": 0.1, "Mg": 0.2, "P": 10.3, "S": 0.3, "Ca": 22.5}
"""Percent by mass, ICRU 44."""

STEEL = {"Fe": 65.5, "Cr": 17.0, "Ni": 12.0, "Mo": 2.5, "Mn": 2.0, "Si": 1.0}
"""Percent by mass, AISI 316L in the middle of its ranges."""

MATERIALS = {
    "water": (1.00, {"H": 2 * 1.008, "O": 15.999}),
    "bone": (1.92, CORTICAL),
    "titanium": (4.43, {"Ti": 90.0, "Al": 6.0, "V": 4.0}),
    "steel": (8.00, STEEL),
    "aluminium": (2.699, {"Al": 1.0}),
    "copper": (8.96, {"Cu": 1.0}),
    "csi": (4.51, {"Cs": 132.905, "I": 126.904}),
}
"""Density in g/cm3, and shares by mass; titanium is the alloy Ti-6Al-4V."""

FILTERS = ({"Al": 3.0}, {"Al": 4.0, "Cu": 0.1}, {"Al": 4.0, "Cu": 0.3})


def attenuation_per_mm(density: float, shares: dict[str, float]) -> np.ndarray:
    """Linear attenuation coefficient at every energy, coherent scatter included."""
    total = sum(shares.values())
    return (
        density / 10.0 * sum(w / total * xraydb.mu_elam(element, 1000.0 * ENERGY_KEV) for element, w in shares.items())
    )


def tube(kvp: float) -> spekpy.Spek:
    return spekpy.Spek(kvp=kvp, th=ANODE_DEG, dk=1.0, z=100.0)


def fluence(kvp: float) -> np.ndarray:
    """Photons per cm2, keV and mAs, a metre from the focal spot, with nothing in the beam."""
    energy, values = tube(kvp).get_spectrum(edges=False)
    return np.interp(ENERGY_KEV, energy, values, left=0.0, right=0.0)


def kerma_per_photon() -> np.ndarray:
    """Air kerma in microgray of one photon per cm2."""
    joule = 1000.0 * ENERGY_KEV * 1.602176634e-19
    return 1e6 * joule * tube(100.0).muen_air_data.get_muen_over_rho_air(ENERGY_KEV) * 1000.0


def said_by_spekpy() -> list[dict[str, object]]:
    rows = []
    for kvp in (60, 70, 80, 90, 100, 110, 120):
        for filters in FILTERS:
            beam = tube(float(kvp))
            beam.multi_filter(list(filters.items()))
            rows.append({
                "kvp": kvp, "filters_mm": filters, "hvl_al_mm": round(beam.get_hvl1(), 4),
                "hvl_cu_mm": round(beam.get_hvl1(matl="Cu"), 5), "air_kerma_ugy_per_mas": round(beam.get_kerma(), 3),
                "mean_kev": round(beam.get_emean(), 3),
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=Path("sjplan/data/physics.npz"))
    parser.add_argument("--said", type=Path, default=Path("docs/results/spectra.json"))
    arguments = parser.parse_args()
    np.savez_compressed(
        arguments.tables,
        energy_kev=ENERGY_KEV,
        kvp=KVP.astype(np.float64),
        fluence=np.array([fluence(float(k)) for k in KVP], dtype=np.float32),
        materials=np.array(list(MATERIALS)),
        mu_per_mm=np.array([attenuation_per_mm(*m) for m in MATERIALS.values()]),
        kerma_ugy=kerma_per_photon(),
    )
    versions = {"spekpy": spekpy.__version__, "xraydb": xraydb.__version__}
    text = json.dumps({"versions": versions, "rows": said_by_spekpy()}, indent=1)
    arguments.said.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
