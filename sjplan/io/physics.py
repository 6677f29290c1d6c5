"""The tables that ship with the package: spectra and attenuation (`scripts/make_physics_tables.py` makes them)."""

from __future__ import annotations

import functools
import io
from importlib import resources

import numpy as np

from sjplan.core.arrays import frozen
from sjplan.xray.spectrum import PhysicsTables


@functools.cache
def read_physics() -> PhysicsTables:
    """Read the tables; once a process.

    Examples
    --------
    >>> tables = read_physics()
    >>> round(tables.mu_at("water", 60.0), 5)
    0.02059
    """
    data = (resources.files("sjplan") / "data" / "physics.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        names, mu = stored["materials"].tolist(), stored["mu_per_mm"]
        return PhysicsTables(
            energy_kev=frozen(stored["energy_kev"]),
            kvp=frozen(stored["kvp"]),
            fluence=frozen(stored["fluence"].astype(np.float64)),
            mu_per_mm={name: frozen(row) for name, row in zip(names, mu, strict=True)},
            kerma_ugy=frozen(stored["kerma_ugy"]),
        )
