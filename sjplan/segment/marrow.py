"""Marrow told from what lies outside: lakes between dense bone, cut apart where the ways between them are narrow.

Marrow may be as dark as fat, so no threshold tells it from what lies in a foramen. But marrow is enclosed by a cortex
with holes of a few millimetres, and a foramen is open at both ends. All that is not dense is divided into lakes at its
narrows; a minimum cut then parts inside from outside, where cutting costs the area of the openings, and leaving a lake
on the wrong side of the bent phantom its volume times its distance.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.segment.lakes import Lakes, cut, openings, renumbered, sums
from sjplan.segment.working import Volume, image_of, sitk, values_of

WIDEST_MM: Final = 5.0
"""Half-widths beyond this are all wide (default)."""

NARROWER_MM: Final = 0.75
"""A narrow is one where the half-width falls by more than this between two lakes (default)."""

NO_NARROW: Final = 9.0
FINE_MM: Final = 1.25
"""How much more it costs to cut a lake at the bent phantom's surface, where the CT shows no narrow. Voxels coarser
than the second show ever fewer narrows of a cortex, so that says less, by the fourth power of their size (default)."""

MOST_MM: Final = 4.0
"""A distance to the bent phantom counts up to this: beyond, it is sure enough (default)."""

SPONGY_HU: Final = 100.0
SPONGY_HU_PER_MM: Final = 30.0
MOST_SPONGY_MM: Final = 6.0
"""Denser than the first it is rather spongy bone than soft tissue: every so many HU count as 1 mm inside (default)."""

DEEP_MM: Final = 5.0
AROUND_MM: Final = 15.0
"""So deep inside the bent phantom there is marrow, and so far outside it and no farther soft tissue (default)."""

SURE: Final = 0.95
APART_HU: Final = 30.0
APART_HU_PER_MM: Final = 6.0
MOST_DARK_MM: Final = 12.0
"""Where all but 5 % of this patient's marrow is denser by so much than all but 5 % of the soft tissue round it, what is
as dark as soft tissue counts as outside: 1 mm for so many HU that they lie apart (default)."""

HALF_DENSE_HU: Final = (70.0, 190.0)
LEAST_OPEN: Final = 0.05
"""From soft tissue to a cortex that partial volume has all but hidden; and what is left to close it (default)."""

EXPECTED_MM: Final = 2.0
EXPECTED_SHARE: Final = 0.5
"""So near to the bent phantom's surface a cortex is expected, and closing a hole costs this share (default)."""

PER_OPENING: Final = 20.0
"""What 1 mm2 of opening costs to close, in mm3 times mm of distance on the wrong side (default). A foramen of 20 mm by
10 mm of which the bent phantom knows nothing weighs 1600 mm3 x 3 mm and has 160 mm2 of mouths without a narrow, half of
whose price is waived where a cortex is expected: 14 000 against 4800. Marrow of an ala, 8000 mm3 at 4 mm, stays inside
with 1600 mm2 of small holes."""


def marrow(
    dense: NDArray[np.bool_],
    calm: Volume,
    distance: Volume,
    sought: NDArray[np.bool_],
    grid: Grid,
    voxel_mm: float,
) -> NDArray[np.bool_]:
    """Which voxels that are not dense lie inside bone.

    Parameters
    ----------
    dense : (ni, nj, nk) bool
        Dense bone.
    calm : (ni, nj, nk) float32
        Smoothed HU.
    distance : (ni, nj, nk) float32
        To the nearest bone of the bent phantom, negative inside.
    sought : (ni, nj, nk) bool
        Where bone may be; all that is neither that nor dense is one lake, and outside.
    grid : Grid
        Of all of them.
    voxel_mm : float
        Longest voxel edge of the CT itself.
    """
    room = sitk.SignedMaurerDistanceMap(image_of(grid, dense.astype(np.uint8)), False, False, True)
    depth = sitk.Clamp(room, sitk.sitkFloat32, 0.0, WIDEST_MM) * -1.0
    found = np.asarray(values_of(sitk.MorphologicalWatershed(depth, NARROWER_MM, False, False))).astype(np.int32)
    # Where the cortex is too pale for a narrow, the bent phantom's surface is where a lake may be cut.
    found = 2 * found + (distance < 0)
    found[~sought] = 0
    found[dense] = -1
    lakes, kept = renumbered(found)
    count = len(kept)
    one, two, cost = openings(lakes, _openness(calm, distance) * np.float32(PER_OPENING), count, grid.spacing_mm)
    no_narrow = NO_NARROW * min(1.0, FINE_MM / voxel_mm) ** 4
    parent = kept // 2
    cost = np.where(parent[one] == parent[two], no_narrow * cost, cost)
    inside = cut(count, one, two, cost, _weights(lakes, count, calm, distance, grid))
    inside[0] = False
    return np.asarray(_enclosed(np.append(inside, False)[lakes] | dense, grid) & ~dense)


def _openness(calm: Volume, distance: Volume) -> Volume:
    """What it costs to close a place, 0 to 1: less where it is dense, and where a cortex is expected."""
    low, high = HALF_DENSE_HU
    soft = np.clip((high - calm) / (high - low), LEAST_OPEN, 1.0)
    return np.asarray(np.where(np.abs(distance) < EXPECTED_MM, EXPECTED_SHARE, 1.0) * soft, dtype=np.float32)


def _weights(lakes: Lakes, count: int, calm: Volume, distance: Volume, grid: Grid) -> tuple[Array, Array]:
    """What it costs to call each lake outside, and to call it inside."""
    flat = lakes.ravel()
    spongy = np.clip((calm - SPONGY_HU) / SPONGY_HU_PER_MM, 0.0, MOST_SPONGY_MM)
    near = (np.clip(distance, -MOST_MM, MOST_MM) - spongy + _darker_mm(calm, distance)).ravel()
    own = flat >= 0
    inside = sums(flat[own], -near[own], count) * grid.voxel_volume_mm3
    outside = sums(flat[own], near[own], count) * grid.voxel_volume_mm3
    outside[0] = outside.sum() + 1e6
    return inside, outside


def _darker_mm(calm: Volume, distance: Volume) -> Volume:
    """How much a place is soft tissue rather than this patient's marrow, as mm outside; 0 where the two look alike."""
    deep, around = calm[distance < -DEEP_MM], calm[(distance > DEEP_MM) & (distance < AROUND_MM)]
    if not len(deep) or not len(around):
        return np.zeros_like(calm)
    marrow_hu, soft_hu = float(np.quantile(deep, 1.0 - SURE)), float(np.quantile(around, SURE))
    if marrow_hu - soft_hu < APART_HU:
        return np.zeros_like(calm)
    most_mm = min((marrow_hu - soft_hu) / APART_HU_PER_MM, MOST_DARK_MM)
    return np.asarray(most_mm * np.clip((marrow_hu - calm) / (marrow_hu - soft_hu), 0.0, 1.0))


def _enclosed(solid: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The solid with every hollow that nothing joins to the outside filled."""
    image = sitk.BinaryFillhole(image_of(grid, solid.astype(np.uint8)), False, 1)
    return np.asarray(values_of(image)) > 0
