"""A hip replacement in the volume: head, cup and stem, and the streaks that metal leaves in its slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.grid import Grid
from sjplan.phantom.bones.shapes import ball, cone
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.ranges import on_side
from sjplan.phantom.tissue.lattice import Lattice
from sjplan.phantom.tissue.partial_volume import fine_shares

HEAD_RADIUS_MM: Final = 16.0
"""Cobalt-chromium head of 32 mm (28 to 36 are usual; default)."""

CUP_MM: Final = (21.5, 25.5)
"""Radii of the titanium cup's inner and outer face; the liner fills it to the head (default)."""

CUP_OPENING: Final = (0.62, -0.28, -0.73)
"""Where the cup opens to: outwards, forward and down, about 42 degrees steep (default)."""

TITANIUM_HU: Final = 9000.0
COBALT_CHROMIUM_HU: Final = 16000.0
LINER_HU: Final = 20.0
"""What metal would show if a scanner's scale did not end: titanium from CLINICAL 3.4 at 70 keV, rounded down; cobalt
chromium and the polyethylene liner default."""

STEM_MM: Final = ((-38.0, 9.5), (-70.0, 8.0), (-140.0, 5.0))
"""Height below the head's centre and radius of the stem (default)."""

STREAK_STEP_MM: Final = 4.0
"""Step of the lattice on which streaks are computed (default): they are broad, and fade with distance."""

VIEWS: Final = 120
"""Directions of the projections (default)."""

STREAK_HU: Final = 420.0
"""Depth of the darkest streaks at strength 1, outside the metal (default)."""


STREAK_GAIN: Final = 80.0
STARVATION_NOISE: Final = 0.06
"""Depth of what hardening leaves, before it is cut at `STREAK_HU`, and noise of rays through metal (default)."""


@dataclass(frozen=True, slots=True, eq=False)
class MetalPart:
    """One piece: what it is, its HU, and the voxels that it touches with its share of each."""

    name: str
    hu: float
    voxels: tuple[Array, ...]
    share: Array


def metal_parts(pelvis: Pelvis, grid: Grid) -> list[MetalPart]:
    """Parts of every hip replacement, in the order in which they are painted.

    The bone of head and neck that a surgeon takes out is replaced by liner and joint fluid.
    """
    return [
        part
        for side in SIDES
        if on_side(pelvis.parameters.variants.hip_replacement, side)
        for part in _parts_of(pelvis, side, grid)
    ]


def paint_metal(hu: NDArray[np.float32], parts: list[MetalPart]) -> None:
    """Blend metal into `hu` by the share of each voxel."""
    for part in parts:
        view = hu[part.voxels]
        hu[part.voxels] = view + part.share.astype(np.float32) * (np.float32(part.hu) - view)


def _parts_of(pelvis: Pelvis, side: str, grid: Grid) -> list[MetalPart]:
    size, mirror = pelvis.parameters.size, np.array((SIDE_SIGN[side], 1.0, 1.0))
    centre = np.asarray(pelvis.hip[side].form.centre_mm, dtype=np.float64)
    axis = _canal(pelvis, side, centre)
    opening = unit(CUP_OPENING)

    def local(points_lps_mm: Array) -> Array:
        return np.asarray(pelvis.pelvic_mm(points_lps_mm) * mirror)

    def shell(p: Array, inner: float, outer: float) -> Array:
        r = np.linalg.norm(p - centre, axis=1)
        return np.asarray(np.maximum(np.maximum(inner - r, r - outer), (p - centre) @ opening - 2.0))

    def stem(p: Array) -> Array:
        out = cone(p, centre, axis[0], 6.0, STEM_MM[0][1])
        for n in range(len(axis) - 1):
            out = np.minimum(out, cone(p, axis[n], axis[n + 1], STEM_MM[n][1], STEM_MM[n + 1][1]))
        return out

    shapes = (
        ("liner", LINER_HU, lambda p: ball(p, centre, CUP_MM[0] + 1.0)),
        ("stem", TITANIUM_HU, stem),
        ("cup", TITANIUM_HU, lambda p: shell(p, *CUP_MM)),
        ("head", COBALT_CHROMIUM_HU, lambda p: ball(p, centre, HEAD_RADIUS_MM)),
    )
    parts = []
    for name, hu, shape in shapes:
        voxels, share = fine_shares(lambda p, shape=shape: shape(local(p)) * size, grid)  # type: ignore[misc]
        parts.append(MetalPart(f"{name} {side}", hu, voxels, share))
    return parts


def _canal(pelvis: Pelvis, side: str, centre: Array) -> Array:
    """Points of the stem: the middle of the femur at each of its heights, in the pelvic frame with x to the side."""
    mirror = np.array((SIDE_SIGN[side], 1.0, 1.0))
    x, y = (a.ravel() for a in np.meshgrid(np.arange(0.0, 80.0, 2.0), np.arange(-40.0, 50.0, 2.0), indexing="ij"))
    out = []
    for z, _ in STEM_MM:
        at = centre + np.column_stack([x, y, np.full_like(x, z)])
        depth = pelvis.bone_mm(f"femur_{side}", pelvis.lps_from_pelvic(at * mirror))
        deep = depth < depth.min() + 2.0
        out.append(at[deep].mean(axis=0))
    return np.array(out)


def streaks(
    parts: list[MetalPart], grid: Grid, strength: float, seed: int
) -> tuple[Lattice, NDArray[np.float32]] | None:
    """HU that streaks add, on a lattice along the scanner's axes; None where there is no metal or no strength.

    Each slice's metal is projected; what hardening of the beam takes from the sums, and noise where few photons come
    through, is filtered and projected back: dark bands between and beside metal, bright and dark rays from it.
    """
    metal = [part for part in parts if part.hu > 2000.0 and part.share.size]
    if not metal or strength == 0.0:
        return None
    low, high = grid.corners_lps_mm().min(axis=0), grid.corners_lps_mm().max(axis=0)
    lattice = Lattice.over(low, high, STREAK_STEP_MM)
    amount = np.zeros(lattice.shape)
    for part in metal:
        at = grid.lps_from_ijk(np.column_stack(part.voxels))
        node = np.rint((at - lattice.origin_lps_mm) / lattice.step_mm).astype(np.int64)
        weight = part.share * part.hu / TITANIUM_HU * grid.voxel_volume_mm3 / lattice.step_mm**3
        np.add.at(amount, tuple(node.T), weight)
    out = np.zeros(lattice.shape, dtype=np.float32)
    for k in np.flatnonzero(amount.any(axis=(0, 1))):
        rng = np.random.Generator(np.random.Philox(key=[seed, int(k) + 1_000_000]))
        out[:, :, k] = _slice_streaks(np.minimum(amount[:, :, k], 1.8), rng)
    return lattice, out * np.float32(strength * STREAK_HU)


def _slice_streaks(amount: Array, rng: np.random.Generator) -> Array:
    """Streaks of one slice, in units of `STREAK_HU`."""
    nx, ny = amount.shape
    rays = int(np.ceil(np.hypot(nx, ny))) + 3
    angles = np.pi * (np.arange(VIEWS) + 0.5) / VIEWS
    sums = _project(amount, angles, rays)
    # Ten steps of metal, four centimetres, stop nearly every photon.
    load = sums / 10.0
    error = -load * load + STARVATION_NOISE * load**1.5 * rng.standard_normal(sums.shape)
    n = next_fast_len(2 * rays, real=True)
    ramp = np.abs(np.fft.rfftfreq(n)) * np.cos(np.pi * np.fft.rfftfreq(n))
    filtered = irfft(rfft(error, n, axis=1) * ramp, n, axis=1)[:, :rays]
    out = _back_project(np.ascontiguousarray(filtered), angles, nx, ny) * (STREAK_GAIN * np.pi / VIEWS)
    return np.asarray(np.tanh(out))


@njit(cache=True, nogil=True)
def _project(amount: NDArray[Any], angles: NDArray[Any], rays: int) -> NDArray[Any]:
    """Sums (views, rays) along parallel rays, each value shared between its two nearest rays."""
    nx, ny = amount.shape
    out = np.zeros((len(angles), rays))
    for i in range(nx):
        for j in range(ny):
            if amount[i, j] == 0.0:
                continue
            for a in range(len(angles)):
                s = (i - nx / 2) * np.cos(angles[a]) + (j - ny / 2) * np.sin(angles[a]) + rays / 2
                n = int(s)
                out[a, n] += amount[i, j] * (1.0 - (s - n))
                out[a, n + 1] += amount[i, j] * (s - n)
    return out


@njit(cache=True, nogil=True)
def _back_project(sums: NDArray[Any], angles: NDArray[Any], nx: int, ny: int) -> NDArray[Any]:
    """Sum over views of the value of the ray through each place."""
    rays = sums.shape[1]
    out = np.zeros((nx, ny))
    for a in range(len(angles)):
        c, d = np.cos(angles[a]), np.sin(angles[a])
        for i in range(nx):
            for j in range(ny):
                s = (i - nx / 2) * c + (j - ny / 2) * d + rays / 2
                n = int(s)
                out[i, j] += sums[a, n] * (1.0 - (s - n)) + sums[a, n + 1] * (s - n)
    return out
