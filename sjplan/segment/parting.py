"""Bone parted from bone along the dark lines between them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.grid import Grid
from sjplan.segment.lakes import Lakes, cut, openings, renumbered, sums
from sjplan.segment.working import Volume, image_of, sitk, values_of

SHALLOW_HU: Final = 40.0
"""Dark lines less deep than this divide nothing (default)."""

DARK_SHARE: Final = 0.5
"""A line is as dark as it gets where it lies so much of the way from the bone beside it to soft tissue (default)."""

LEAST_COST: Final = 0.03
PER_AREA: Final = 60.0
"""What 1 mm2 of such a line costs to cut, as a share of what bone costs; and what bone costs, in mm3 times mm on the
wrong side of the bent phantom. A slab of 5 mm over 400 mm2 of joint that lies on its wrong side weighs 10 000; cutting
through its bone in place of the joint would cost 400 x 60 more (default)."""

MOST_MM: Final = 8.0
"""Distances count up to this."""


def bone_lakes(bone: NDArray[np.bool_], dark: Volume, grid: Grid) -> Lakes:
    """Parts of bone between its dark lines; -1 where there is no bone."""
    # Beyond bone the landscape is higher than anywhere in it, so that no lake reaches another around a joint.
    walled = np.where(bone, dark, np.float32(1e4))
    found = sitk.MorphologicalWatershed(image_of(grid, walled), SHALLOW_HU, False, False)
    lakes = np.asarray(values_of(found)).astype(np.int32)
    lakes[~bone] = -1
    return lakes


def parted(lakes: Lakes, dark: Volume, level: Volume, one_mm: Volume, two_mm: Volume, grid: Grid) -> NDArray[np.bool_]:
    """Which voxels of the lakes belong to the first of two bones.

    Parameters
    ----------
    lakes : (ni, nj, nk) int
        Parts of bone; -1 where there is none.
    dark, level : (ni, nj, nk) float32
        How much darker each place is than both sides of it, and how bright these are, HU.
    one_mm, two_mm : (ni, nj, nk) float32
        Distance to each of the bones of the bent phantom, negative inside.
    grid : Grid
        Of all of them.
    """
    # Where no dark line is seen, bones are parted half-way between those of the bent phantom.
    own, kept = renumbered(np.where(lakes < 0, -1, 2 * lakes + (one_mm < two_mm)).astype(np.int32))
    count = len(kept)
    if count == 0:
        return np.zeros(lakes.shape, dtype=bool)
    solid = np.clip(1.0 - dark / (DARK_SHARE * np.maximum(level - SOFT_HU, 50.0)), LEAST_COST, 1.0)
    in_bone = own >= 0
    nearer = np.clip(two_mm - one_mm, -MOST_MM, MOST_MM)[in_bone] * np.float32(grid.voxel_volume_mm3)
    weights = sums(own[in_bone], nearer, count), sums(own[in_bone], -nearer, count)
    first = cut(count, *openings(own, (solid * PER_AREA).astype(np.float32), count, grid.spacing_mm), weights)
    return np.asarray(np.append(first, False)[own])


SOFT_HU: Final = 50.0
