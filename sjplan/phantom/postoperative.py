"""A later CT of a phantom: the patient lies otherwise, implants show as metal, the scanner blurs, cuts and streaks.

It is made from the CT before: sampled where each place of the patient was, with the exact solids of the implants mixed
in by their share of each voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.phantom.tissue.metal import TITANIUM_HU, MetalPart, streaks

_FINE: Final = 4
"""A voxel's share of metal is counted at so many places along each axis."""

_NOISE_BLUR_VOXELS: Final = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """How the patient lies in the later CT, and what the scanner makes of it.

    Parameters
    ----------
    rotation : (3, 3) float
        A place p of the first CT lies at `rotation @ p + shift_mm` in the later one (LPS mm).
    shift_mm : (3,) float
        See there.
    blur_mm : float
        Standard deviation of the blur that metal and tissue get.
    noise_hu : float
        Standard deviation of the noise.
    streaks : float
        Strength of metal streaks, 0 to 1.
    metal_hu : float
        Brightness of solid metal before the scale ends.
    highest_hu : float
        End of the scale: 3071 for 12 bits.
    """

    rotation: Array
    shift_mm: Array
    blur_mm: float = 0.6
    noise_hu: float = 15.0
    streaks: float = 0.3
    metal_hu: float = TITANIUM_HU
    highest_hu: float = 3071.0


def later_ct(ct: CtVolume, implants: Sequence[Trajectory], grid: Grid, later: Later, seed: int = 0) -> CtVolume:
    """The CT of a patient after the operation.

    Parameters
    ----------
    ct : CtVolume
        The CT before.
    implants : sequence of Trajectory
        As they lie in the frame of the CT before.
    grid : Grid
        Of the later CT, in its own frame.
    later : Later
        Position and scanner.
    seed : int
        Of noise and streaks.
    """
    matrix = np.linalg.inv(ct.grid.matrix) @ later.rotation.T @ grid.matrix
    first = ct.grid.ijk_from_lps((grid.origin_lps_mm - later.shift_mm) @ later.rotation)
    hu = ndimage.affine_transform(ct.hu, matrix, first, grid.shape, output=np.float32, order=1, cval=-1000.0)
    parts = [_metal_part(t, grid, later) for t in implants]
    for part in parts:
        view = hu[part.voxels]
        hu[part.voxels] = view + part.share * (part.hu - view)
    hu = ndimage.gaussian_filter(hu, later.blur_mm / grid.spacing_mm)
    _add_streaks(hu, grid, parts, later.streaks, seed)
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(grid.shape, dtype=np.float32), _NOISE_BLUR_VOXELS)
    hu += later.noise_hu * noise / noise.std()
    return CtVolume(grid, np.rint(np.clip(hu, -1024.0, later.highest_hu)).astype(np.int16))


def _metal_part(implant: Trajectory, grid: Grid, later: Later) -> MetalPart:
    """Voxels that an implant touches with its share of each."""
    solid = implant_solid(implant)
    reach = implant.model.circumscribed_radius_mm + 2.0 * float(grid.spacing_mm.max())
    ends = np.stack([implant.entry_lps_mm, implant.tip_lps_mm]) @ later.rotation.T + later.shift_mm
    index = grid.ijk_from_lps(ends)
    low = np.clip(np.floor(index.min(axis=0) - reach / grid.spacing_mm), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0) + reach / grid.spacing_mm) + 1, grid.shape).astype(int)
    box = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    ijk = np.stack(box, axis=-1).reshape(-1, 3)
    at = (grid.lps_from_ijk(ijk) - later.shift_mm) @ later.rotation
    touched = signed_distance(solid, at) < float(np.linalg.norm(grid.spacing_mm))
    fine = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    within = np.stack(np.meshgrid(fine, fine, fine, indexing="ij"), axis=-1).reshape(-1, 3) @ grid.matrix.T
    inner = (at[touched][:, None, :] + (within @ later.rotation)[None]).reshape(-1, 3)
    share = (signed_distance(solid, inner) < 0).reshape(-1, len(within)).mean(axis=1)
    return MetalPart("implant", later.metal_hu, tuple(ijk[touched].T), share.astype(np.float32))


def _add_streaks(hu: NDArray[np.float32], grid: Grid, parts: list[MetalPart], strength: float, seed: int) -> None:
    rays = streaks(parts, grid, strength, seed)
    if rays is None:
        return
    lattice, values = rays
    matrix = grid.matrix / np.asarray(lattice.step_mm)
    first = (grid.origin_lps_mm - lattice.origin_lps_mm) / lattice.step_mm
    hu += ndimage.affine_transform(values, matrix, first, grid.shape, output=np.float32, order=1, mode="nearest")
