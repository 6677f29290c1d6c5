"""How far each bone's label can be trusted: its surface on edges of the CT, and a second template's word."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from sjplan.segment.deform import Deformed
from sjplan.segment.fit import edges
from sjplan.segment.template import BONES
from sjplan.segment.types import Confidence
from sjplan.segment.voxels import BoneVoxels
from sjplan.segment.working import Working

ON_EDGE_MM: Final = 2.5
"""How far off the label's surface its edge may lie."""

EDGE_WEIGHT: Final = 0.2
"""Weight of an edge (see `fit.edges`) from which it counts: a fall of 80 HU."""

AGREE_MM: Final = 4.0
"""How far off the second template's surface may lie: foramina are 6 to 13 mm wide (default)."""

SAMPLES: Final = 4000


def confidence_of(bone: NDArray[np.uint8], result: BoneVoxels, fine: Working, other: Deformed) -> dict[str, Confidence]:
    """Confidence of every bone that has voxels.

    Parameters
    ----------
    bone : (ni, nj, nk) uint8
        1 + index into `BONES`, on the grid of `result`.
    result : BoneVoxels
        Gives the grid.
    fine : Working
        Clipped and smoothed HU.
    other : Deformed
        The second template.
    """
    out = {}
    grid = result.grid
    for n, name in enumerate(BONES, 1):
        box = ndi.find_objects((bone == n).astype(np.uint8))
        if not box or box[0] is None:
            continue
        start = np.array([max(s.start - 2, 0) for s in box[0]])
        own = np.ascontiguousarray(bone[tuple(slice(a, s.stop + 2) for a, s in zip(start, box[0], strict=True))] == n)
        rim = own & ~ndi.binary_erosion(own, border_value=1)
        at = np.argwhere(rim)
        at = at[:: max(1, len(at) // SAMPLES)]
        blurred = ndi.gaussian_filter(own.astype(np.float32), 1.2)
        slope = np.stack([ndi.sobel(blurred, axis)[tuple(at.T)] for axis in range(3)], axis=1) / grid.spacing_mm
        normal = -slope @ grid.direction.T
        length = np.linalg.norm(normal, axis=1)
        good = length > 1e-6
        if not good.any():  # a voxel or two are no bone
            continue
        lps = grid.lps_from_ijk(at[good] + start)
        normal = normal[good] / length[good, None]
        found = edges(fine, lps, normal, ON_EDGE_MM)
        agreed = np.abs(other.distance_mm(name, lps)) < AGREE_MM
        volume = float(own.sum()) * grid.voxel_volume_mm3 / 1000.0
        out[name] = Confidence(float((found.weight > EDGE_WEIGHT).mean()), float(agreed.mean()), volume)
    return out
