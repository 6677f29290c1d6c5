"""From the bent phantom to voxels: bone told from soft tissue, then bone from bone, by floods from what is sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.special import erf, erfinv

from sjplan.core.grid import Grid
from sjplan.segment.deform import Deformed
from sjplan.segment.marrow import marrow
from sjplan.segment.template import BONES
from sjplan.segment.working import Volume, grid_between, image_of, resampled, sitk, values_of

LATTICE_MM: Final = 2.5
"""Step at which distances to the bent phantom are worked out; between, they are interpolated."""

SOFT_HU: Final = 50.0
LEAST_HU: Final = 140.0
"""Muscle, and what bone is denser than at the least where it is not marrow (default)."""

PEAK_MM: Final = 2.5
"""The edge of bone lies where the CT falls to half-way between soft tissue and the densest place so near."""

BLUR_MM: Final = 0.6
"""Smoothing against noise (sd, mm; default)."""

SHELL_MM: Final = 3.5
REACH_MM: Final = 8.0
"""Dense voxels so near to the bent phantom are bone, and what hangs together with them up to the second distance."""

CORTEX_HU: Final = 800.0
"""Density of cortex as thick plates show it: 700 to 1500 HU at 1 mm (CLINICAL.md 4.5); sacrum about 800 (default)."""

PRESENT: Final = 0.25
"""Mean weight of edges on a bone's points from which the bone is in the scan; asked of L5 and femora only."""

CLEFT_MM: Final = 3.0
"""Dark lines up to about this width between bones guide the second flood (default)."""

BETWEEN_MM: Final = 3.0
"""Dark lines so near to two bones of the bent phantom count in full, others less (default)."""

GAP_MM: Final = 2.0
GAP_SHARE: Final = 0.4
"""How wide a gap is looked for on either side of where two bones meet, and how much darker it is than they are."""

OWN_MM: Final = 2.5
"""So deep inside one bone of the bent phantom it belongs to that bone."""


@dataclass(frozen=True, slots=True, eq=False)
class Flooded:
    """Which bone each voxel is: 0 none, 1 + index into `BONES`; on a grid."""

    grid: Grid
    bone: NDArray[np.uint8]
    hu: Volume
    distance_mm: Volume


def nearest_bone(bent: Deformed, grid: Grid) -> tuple[Volume, Volume, NDArray[np.uint8]]:
    """Distance to the nearest and second nearest bone of the bent phantom, and the one that is entered by `OWN_MM`."""
    corners = grid.corners_lps_mm()
    lattice = grid_between(corners.min(axis=0) - LATTICE_MM, corners.max(axis=0) + LATTICE_MM, LATTICE_MM)
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    own = bent.phantom_of(lattice.lps_from_ijk(ijk))
    nearest = np.full(grid.shape, 99.0, dtype=np.float32, order="F")
    second = nearest.copy(order="F")
    sure = np.zeros(grid.shape, dtype=np.uint8, order="F")
    for n, bone in enumerate(BONES):
        if n > 2 and not present(bent, n):
            continue
        coarse = bent.fit.pelvis.bone_mm(bone, own).reshape(lattice.shape).astype(np.float32)
        distance = resampled(image_of(lattice, np.clip(coarse, -30.0, 60.0)), grid, 60.0)
        np.minimum(second, np.maximum(nearest, distance), out=second)
        np.minimum(nearest, distance, out=nearest)
        sure[distance < -OWN_MM] = n + 1
    return nearest, second, sure


def flooded(ct: Any, grid: Grid, bent: Deformed) -> Flooded:
    """Tell bones apart on a grid.

    Parameters
    ----------
    ct : SimpleITK image
        HU.
    grid : Grid
        Where to.
    bent : Deformed
        The phantom bent onto the scan.
    """
    distance, second, sure = nearest_bone(bent, grid)
    hu = resampled(ct, grid)
    smooth = sitk.SmoothingRecursiveGaussian(image_of(grid, hu), BLUR_MM)
    bone = _bone(smooth, grid, distance)
    split = np.where(bone, sure, 0).astype(np.uint8)
    # Outside bone the landscape is higher than anywhere in it: floods of bones reach there last, and are cut off.
    dark, level = _cleft(smooth, grid)
    dark /= 1.0 + (np.maximum(second, 0.0) / BETWEEN_MM) ** 2
    cleft = np.where(bone, dark, np.float32(1e6))
    which = _watershed(image_of(grid, cleft), grid, split)
    which[~bone] = 0
    which[_gap(which, dark, level, grid)] = 0
    return Flooded(grid, which, hu, distance)


def _gap(which: NDArray[np.uint8], dark: Volume, level: Volume, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of bone where one bone meets another that are too dark for bone: the joint between them."""
    meets = np.zeros(which.shape, dtype=bool)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = which[tuple(low)], which[tuple(high)]
        differ = (a != b) & (a > 0) & (b > 0)
        meets[tuple(low)] |= differ
        meets[tuple(high)] |= differ
    steps = max(0, round(GAP_MM / float(grid.spacing_mm.max())) - 1)
    near = ndi.binary_dilation(meets, iterations=steps) if steps else meets
    return near & (dark > GAP_SHARE * (level - SOFT_HU))


def present(bent: Deformed, n: int) -> bool:
    """Whether a bone that may be missing is in the scan."""
    own = bent.fit.points.bone == n
    return bool(own.any() and bent.weight[own].mean() > PRESENT)


def _bone(smooth: Any, grid: Grid, distance: Volume) -> NDArray[np.bool_]:
    """Dense voxels near the bent phantom, and the marrow that they enclose."""
    calm = np.asarray(values_of(smooth))
    radius = [max(1, round(PEAK_MM / float(s))) for s in grid.spacing_mm]
    clamped = sitk.Clamp(smooth, sitk.sitkFloat32, SOFT_HU, CORTEX_HU + 1000.0)
    peak = np.asarray(values_of(sitk.GrayscaleDilate(clamped, radius, sitk.sitkBall)))
    dense = (calm > edge_hu(peak)) & (calm > LEAST_HU) & (distance < REACH_MM)
    dense = ndi.binary_propagation(dense & (distance < SHELL_MM), mask=dense)
    return dense | marrow(dense, distance, grid)


def edge_hu(peak_hu: Volume) -> Volume:
    """HU at the edge of a plate of cortex whose densest place, in the CT, is `peak_hu`.

    A blurred plate that is thick shows its full density in the middle, and half of it at its edge. A thin one shows
    less in the middle, and at its edge nearly as much. For a plate of density C and a Gaussian blur the middle is
    C erf(a) and the edge C erf(2 a) / 2, with a the half-width over the blur.

    Examples
    --------
    >>> edge_hu(np.array([450.0, 750.0, 1150.0])).round().tolist()
    [370.0, 425.0, 600.0]
    """
    share = np.clip((peak_hu - SOFT_HU) / (CORTEX_HU - SOFT_HU), 0.0, None)
    steps = np.linspace(0.0, 1.0, 201)
    edge = 0.5 * erf(2.0 * erfinv(np.minimum(steps, 0.999)))
    return np.asarray(
        SOFT_HU + (CORTEX_HU - SOFT_HU) * np.where(share < 1.0, np.interp(share, steps, edge), 0.5 * share),
        dtype=np.float32,
    )


def _watershed(landscape: Any, grid: Grid, markers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    found = sitk.MorphologicalWatershedFromMarkers(landscape, image_of(grid, markers), False, False)
    return np.asarray(values_of(found)).astype(np.uint8)


def _cleft(smooth: Any, grid: Grid) -> tuple[Volume, Volume]:
    """How much darker each place is than both sides of it, a few millimetres off; and how bright these are."""
    radius = [max(1, round(CLEFT_MM / float(s))) for s in grid.spacing_mm]
    clipped = sitk.Clamp(smooth, sitk.sitkFloat32, -50.0, 900.0)
    closed = sitk.GrayscaleMorphologicalClosing(clipped, radius, sitk.sitkBall)
    return np.asarray(values_of(closed - clipped)), np.asarray(values_of(closed))
