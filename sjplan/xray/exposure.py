"""How a frame is exposed: voltage and charge by automatic brightness control, and what dose that is."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.xray.device import GRID_PRIMARY, TARGET_NGY, Device, Mode
from sjplan.xray.spectrum import PhysicsTables, air_kerma_ugy_per_mas, beam
from sjplan.xray.types import Exposure, Paths

_MEASURED = 0.5
"""Middle share of rows and columns that exposure control looks at."""

_EVERY: Final = 16
_KVP_STEP: Final = 1.0
_LEAST_TO_SKIN_MM: Final = 200.0


def automatic_exposure(
    tables: PhysicsTables,
    device: Device,
    paths: Paths,
    mode: Mode = "fluoroscopy",
    kvp: float | None = None,
) -> Exposure:
    """The exposure that brings the mode's kerma to the detector: the least voltage whose current is enough.

    Parameters
    ----------
    tables : PhysicsTables
        Spectra and attenuation.
    device : Device
        The C-arm.
    paths : Paths
        What the rays go through; metal counts.
    mode : {"fluoroscopy", "single-shot"}
        What the frame is for; single shots take as many pulses as they need.
    kvp : float, optional
        A voltage set by hand; the charge then follows, as far as the tube gives it.

    Raises
    ------
    GeometryError
        For a voltage that the device does not have.
    """
    low, high = device.kvp_min, device.kvp_max
    if kvp is not None and not low <= kvp <= high:
        raise GeometryError("kvp", found=f"{kvp:g}", wanted=f"{low:g} to {high:g} kV, as {device.id} gives")
    target, sample = TARGET_NGY[mode], _middle(paths)
    pulses = target / TARGET_NGY["fluoroscopy"]
    mu = np.stack([tables.mu(name) for name in ("water", "bone", "titanium", "steel")])
    kerma = np.exp(-np.maximum(sample, 0.0) @ mu).mean(axis=0) * tables.kerma_ugy
    for voltage in [kvp] if kvp is not None else [*np.arange(low, high, _KVP_STEP), high]:
        per_mas = _detector_ngy_per_mas(tables, device, float(voltage), kerma)
        most = pulses * device.ma_at(float(voltage)) / device.frames_per_s
        mas = min(target / max(per_mas, 1e-12), most)
        if mas < most:
            break
    return _exposure(tables, device, float(voltage), mas, per_mas * mas, sample)


def _middle(paths: Paths) -> Array:
    """Some rays of the measured field, (n, 4): water, bone, titanium and steel in mm."""
    rows, columns = paths.water_mm.shape
    a, b = (round(n * (1.0 - _MEASURED) / 2) for n in (rows, columns))
    step = max(1, min(rows, columns) * _EVERY // 512)
    return np.stack([p[a : rows - a : step, b : columns - b : step].ravel() for p in paths], axis=1).astype(np.float64)


def _detector_ngy_per_mas(tables: PhysicsTables, device: Device, kvp: float, kerma_ugy: Array) -> float:
    """Behind the grid; `kerma_ugy` is that of a photon of each bin, on average over the rays measured."""
    source = beam(tables, kvp, device.filters_mm)
    behind = float(source.fluence @ kerma_ugy) * GRID_PRIMARY
    return 1000.0 * behind * (1000.0 / device.source_to_detector_mm) ** 2


def _exposure(
    tables: PhysicsTables, device: Device, kvp: float, mas: float, detector_ngy: float, sample: Array
) -> Exposure:
    """With the dose: the skin lies half the mean water path before the isocentre."""
    open_ugy = air_kerma_ugy_per_mas(tables, beam(tables, kvp, device.filters_mm)) * mas
    to_skin = max(device.source_to_isocentre_mm - 0.5 * float(sample[:, 0].mean()), _LEAST_TO_SKIN_MM)
    side_m = device.field_mm / device.source_to_detector_mm
    area_m2 = side_m**2 if device.kind == "flat-panel" else np.pi / 4.0 * side_m**2
    return Exposure(kvp, mas, detector_ngy, open_ugy * (1000.0 / to_skin) ** 2, open_ugy * area_m2)
