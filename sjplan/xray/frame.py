"""One frame of a C-arm: from the paths of the rays to what its detector shows, with scatter, noise and blur."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sjplan.core.arrays import Array
from sjplan.xray.device import GRID_PRIMARY, GRID_SCATTER, Device, Mode
from sjplan.xray.exposure import automatic_exposure
from sjplan.xray.pincushion import drawn_out
from sjplan.xray.signal import SignalTable, csi_weights, shares, signal_table
from sjplan.xray.spectrum import Beam, PhysicsTables, beam
from sjplan.xray.types import Blades, Exposure, Paths

_SCATTER_EVERY: Final = 16
_SCATTER_MM: Final = 50.0
"""Standard deviation of the scatter's spread at the detector (40 to 60 mm, CLINICAL.md 3.6)."""

_SCATTER_AT_210_MM, _SCATTER_POWER = 3.0, 1.36
"""Scatter to primary without a grid: 2 to 4 behind 20 to 22 cm, 4 to 8 behind 32 to 38 cm (CLINICAL.md 3.6)."""

_BONE_AS_WATER: Final = 1.8
"""Bone scatters about as its mass of water does."""

_GLARE_SHARE_OF_FIELD, _GLARE_EVERY = 0.15, 8
_ELECTRONIC_QUANTA: Final = 3.0
"""Electronic noise of a pixel, as so many typical quanta; a default."""

_LEAST_SHARE: Final = 1e-6

_KEPT_TABLES: Final = 16
"""Of voltages and metals; 1.5 MB each."""

_KEPT_BEAMS: Final = 8
"""Of sizes of pictures; 1 MB each."""


class Exposed(NamedTuple):
    """What frames of one exposure have in common.

    Parameters
    ----------
    signal : (rows, columns) float32
        Before quanta are counted, scatter and the focal spot's blur included.
    quantum : float32
        What one quantum adds to a pixel.
    pixel_mm : float
        Distance between pixels.
    exposure : Exposure
        Voltage, charge and dose of one frame.
    """

    signal: NDArray[np.float32]
    quantum: np.float32
    pixel_mm: float
    exposure: Exposure


@dataclass(slots=True, eq=False)
class FrameMaker:
    """Makes frames of one C-arm; tables of the detector's signal are kept for each voltage.

    Parameters
    ----------
    tables, device : PhysicsTables, Device
        What the frames rest on.
    """

    tables: PhysicsTables
    device: Device
    _signal: dict[tuple[float, str], SignalTable] = field(default_factory=dict)
    _beams: dict[tuple[tuple[int, ...], float], NDArray[np.float32]] = field(default_factory=dict)

    def make(
        self,
        paths: Paths,
        pixel_mm: float,
        rng: np.random.Generator | None = None,
        mode: Mode = "fluoroscopy",
        kvp: float | None = None,
        blades: Blades | None = None,
    ) -> tuple[NDArray[np.float32], Exposure]:
        """One frame, and how it was exposed.

        Parameters
        ----------
        paths : Paths
            What the rays go through.
        pixel_mm : float
            Distance between the detector's pixels.
        rng : Generator, optional
            For quanta and electronics; without one the frame has no noise.
        mode, kvp
            See `automatic_exposure`.
        blades : Blades, optional
            Collimation: what lies outside gets no primary beam and scatters none.

        Returns
        -------
        (rows, columns) float32
            Signal as a share of what the open beam gives behind the grid in the middle of the field, above 0.
        Exposure
            Voltage, charge and dose.
        """
        exposed = self.exposed(paths, pixel_mm, mode, kvp, blades)
        return self.frame(exposed, rng), exposed.exposure

    def exposed(
        self,
        paths: Paths,
        pixel_mm: float,
        mode: Mode = "fluoroscopy",
        kvp: float | None = None,
        blades: Blades | None = None,
    ) -> Exposed:
        """What all frames of one exposure have in common; parameters as in `make`."""
        exposure = automatic_exposure(self.tables, self.device, paths, mode, kvp)
        source = beam(self.tables, exposure.kvp, self.device.filters_mm)
        primary = self._behind(source, paths) * self._open(paths.water_mm.shape, pixel_mm)
        if blades is not None:
            primary, exposure = _collimated(primary, blades), self._narrowed(exposure, blades, primary.shape)
        signal = np.empty_like(primary)
        scatter = self._scatter(primary, paths, pixel_mm) * np.float32(GRID_SCATTER / GRID_PRIMARY)
        _with_coarse(primary, np.float32(1.0), scatter, _SCATTER_EVERY, signal)
        signal = _blurred(signal, self.device.spot_blur_mm / pixel_mm)
        return Exposed(signal, self._quantum(source, exposure, paths, pixel_mm), pixel_mm, exposure)

    def frame(self, exposed: Exposed, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        """One frame's signal, as `make` gives it; each takes deviates of its own from the generator."""
        signal, one = exposed.signal, exposed.quantum
        if rng is not None:
            signal = signal + _deviates(rng, signal.shape) * np.sqrt(signal * one)
        signal = self._glaring(_blurred(signal, self.device.detector_blur_mm / exposed.pixel_mm))
        if rng is not None:
            signal = signal + _deviates(rng, signal.shape) * (np.float32(_ELECTRONIC_QUANTA) * one)
        if self.device.kind == "intensifier":
            signal = drawn_out(signal, self.device.pincushion) * self._field(signal.shape)
        return np.maximum(signal, np.float32(_LEAST_SHARE))

    def _table(self, source: Beam, metal: str) -> SignalTable:
        key = source.kvp, metal
        if key not in self._signal:
            if len(self._signal) >= _KEPT_TABLES:
                self._signal.pop(next(iter(self._signal)))
            self._signal[key] = signal_table(self.tables, source, csi_weights(self.tables), metal or None)
        return self._signal[key]

    def _behind(self, source: Beam, paths: Paths) -> NDArray[np.float32]:
        """Share of the open beam's signal behind the patient; where both metals are met, by the direct sum."""
        out = np.empty(paths.water_mm.shape, np.float32)
        titanium, steel = (bool(p.any()) for p in paths[2:])
        shares(self._table(source, "titanium" if titanium else ""), *paths[:3], out)
        if steel:
            pinned = np.nonzero(paths.steel_mm > 0)
            rows = Paths(*(p[pinned][None] for p in paths))
            some = np.empty((1, len(pinned[0])), np.float32)
            shares(self._table(source, "steel"), rows.water_mm, rows.bone_mm, rows.steel_mm, some)
            both = np.flatnonzero(rows.titanium_mm[0] > 0)
            some[0, both] = self._direct(source, np.stack([p[0, both] for p in rows], axis=1))
            out[pinned] = some[0]
        return out

    def _direct(self, source: Beam, paths_mm: Array) -> Array:
        """Share of the open beam's signal behind (n, 4) paths, summed over all energies."""
        seen = source.fluence * csi_weights(self.tables)
        return np.asarray(np.exp(-np.maximum(paths_mm, 0.0) @ self._mu()) @ (seen / seen.sum()))

    def _mu(self) -> Array:
        return np.stack([self.tables.mu(name) for name in ("water", "bone", "titanium", "steel")])

    def _open(self, shape: tuple[int, ...], pixel_mm: float) -> NDArray[np.float32]:
        """The open beam as a share of its middle; kept."""
        key = shape, pixel_mm
        if key not in self._beams:
            if len(self._beams) >= _KEPT_BEAMS:
                self._beams.pop(next(iter(self._beams)))
            self._beams[key] = self._open_beam(shape, pixel_mm)
        return self._beams[key]

    def _open_beam(self, shape: tuple[int, ...], pixel_mm: float) -> NDArray[np.float32]:
        """The open beam as a share of its middle: heel effect, distance and slant, and the field's edge.

        The anode takes more from rays at its own side, the feet of the picture. Towards the corners the detector lies
        farther from the tube and the rays fall on it at a slant.
        """
        down, across = (_from_middle(n) for n in shape)
        far_mm = 0.5 * pixel_mm * np.hypot(shape[0] * down[:, None], shape[1] * across[None])
        slant = (1.0 + (far_mm / self.device.source_to_detector_mm) ** 2) ** -1.5
        heel = 1.0 - self.device.heel_share * down[:, None]
        return np.asarray(slant * heel * self._field(shape), dtype=np.float32)

    def _field(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """1 inside the field, 0 outside: round for an intensifier."""
        if self.device.kind == "flat-panel":
            return np.ones((1, 1), np.float32)
        down, across = (_from_middle(n) for n in shape)
        return np.asarray(np.hypot(down[:, None], across[None]) <= 1.0, dtype=np.float32)

    def _narrowed(self, exposure: Exposure, blades: Blades, shape: tuple[int, ...]) -> Exposure:
        """The same kerma on less area."""
        field = np.broadcast_to(self._field(shape), shape)
        share = float(field[blades.open_part].sum() / field.sum())
        return replace(exposure, dose_area_ugy_m2=exposure.dose_area_ugy_m2 * share)

    def _scatter(self, primary: NDArray[np.float32], paths: Paths, pixel_mm: float) -> NDArray[np.float32]:
        """Scattered signal in front of the grid, at few pixels: more behind more tissue, and spread far."""
        every = _SCATTER_EVERY
        thick = np.maximum(paths.water_mm[::every, ::every] + _BONE_AS_WATER * paths.bone_mm[::every, ::every], 0.0)
        ratio = _SCATTER_AT_210_MM * (thick / 210.0) ** _SCATTER_POWER
        spread = gaussian_filter(ratio * primary[::every, ::every], _SCATTER_MM / (every * pixel_mm), mode="nearest")
        return np.asarray(spread, dtype=np.float32)

    def _quantum(self, source: Beam, exposure: Exposure, paths: Paths, pixel_mm: float) -> np.float32:
        """What one quantum that is detected adds to a pixel, as a share of the open beam's signal.

        Quanta add their energy, those of each bin as often as they are stopped; energies weigh as they do behind the
        mean path of the field's middle, so that the variance of a signal is the signal times this.
        """
        rows, columns = paths.water_mm.shape
        a, b = rows // 4, columns // 4
        middle = [float(p[a : rows - a, b : columns - b].mean()) for p in paths[:2]]
        behind, weights = np.exp(-np.array(middle) @ self._mu()[:2]), csi_weights(self.tables)
        seen = source.fluence * behind * weights
        energy = float((seen * self.tables.energy_kev).sum() / seen.sum())
        area_cm2 = (pixel_mm / 10.0) ** 2 * (1000.0 / self.device.source_to_detector_mm) ** 2
        total = float((source.fluence * weights).sum()) * exposure.mas * area_cm2 * GRID_PRIMARY
        return np.float32(energy / total)

    def _glaring(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """With the light that an intensifier spreads over the picture."""
        share = self.device.glare_share
        if share == 0.0:
            return signal
        spread = _GLARE_SHARE_OF_FIELD * signal.shape[0] / _GLARE_EVERY
        glare = gaussian_filter(signal[::_GLARE_EVERY, ::_GLARE_EVERY], spread) * np.float32(share)
        both = np.empty_like(signal)
        _with_coarse(signal, np.float32(1.0 - share), glare, _GLARE_EVERY, both)
        return both


def _collimated(primary: NDArray[np.float32], blades: Blades) -> NDArray[np.float32]:
    """The primary beam where the blades let it through, nothing elsewhere."""
    out = np.zeros_like(primary)
    out[blades.open_part] = primary[blades.open_part]
    return out


def _from_middle(count: int) -> Array:
    """Place of every pixel's centre along one axis of the field, -1 to 1 from edge to edge."""
    return np.asarray((np.arange(count) + 0.5) * (2.0 / count) - 1.0)


def _deviates(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Normal deviates in place of Poisson's: a pixel has tens of quanta behind the thickest patients."""
    return rng.standard_normal(shape, dtype=np.float32)


def _blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Smoothed by a kernel of 3 by 3 with the same spread, or by a true Gaussian where it has to be wider."""
    if sigma_px > 0.7:
        return np.asarray(gaussian_filter(image, sigma_px, mode="nearest"))
    out = np.empty_like(image)
    _three_by_three(image, np.float32(0.5 * sigma_px**2), out)
    return out


@njit(cache=True, parallel=True)
def _with_coarse(image: Any, factor: Any, coarse: Any, every: int, out: Any) -> None:
    """Fill `out` with an image times a factor plus what is known at every so many pixels, linear between them."""
    rows, columns = image.shape
    down, across = coarse.shape
    for row in prange(rows):
        i = min(row // every, max(down - 2, 0))
        f = min(np.float32(row - i * every) / np.float32(every), np.float32(1.0))
        below = min(i + 1, down - 1)
        for column in range(columns):
            j = min(column // every, max(across - 2, 0))
            g = min(np.float32(column - j * every) / np.float32(every), np.float32(1.0))
            right = min(j + 1, across - 1)
            p = coarse[i, j] + g * (coarse[i, right] - coarse[i, j])
            q = coarse[below, j] + g * (coarse[below, right] - coarse[below, j])
            out[row, column] = factor * image[row, column] + p + f * (q - p)


@njit(cache=True, parallel=True)
def _three_by_three(image: Any, beside: Any, out: Any) -> None:
    """Weights (beside, 1 - 2 beside, beside) down and across; the edge counts twice."""
    rows, columns = image.shape
    middle = np.float32(1.0) - np.float32(2.0) * beside
    for row in prange(rows):
        above, below = max(row - 1, 0), min(row + 1, rows - 1)
        line = np.empty(columns + 2, np.float32)
        for column in range(columns):
            line[column + 1] = middle * image[row, column] + beside * (image[above, column] + image[below, column])
        line[0], line[columns + 1] = line[1], line[columns]
        for column in range(columns):
            out[row, column] = middle * line[column + 1] + beside * (line[column] + line[column + 2])
