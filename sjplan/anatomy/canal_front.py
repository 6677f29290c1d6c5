"""The front wall of the sacral canal in the midline: what a lateral radiograph shows as the posterior body line."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array

_MIDLINE_MM: Final = 4.0
_STEP_MM: Final = 1.0


def canal_front(anatomy: Anatomy, window_mm: float) -> Array:
    """Foremost voxels of the canal within 4 mm of the midline, downwards.

    Parameters
    ----------
    anatomy : Anatomy
        The pelvis.
    window_mm : float
        A place is asked for voxels up to so far above and below it. The canal slopes: a wide window draws the line too
        far forward, by as much as the wall comes forward within it.

    Returns
    -------
    (n, 2) float
        Posterior and cranial coordinate in the pelvis's own frame, mm, a place every millimetre, as centres of
        voxels: the wall itself lies half a voxel before them. Empty where the canal does not come near the midline.
    """
    canal = anatomy.frame.frame_from_lps(anatomy.canal.lumen_lps_mm)
    middle = canal[np.abs(canal[:, 0]) <= _MIDLINE_MM]
    found = []
    for height in np.arange(canal[:, 2].max() - window_mm, canal[:, 2].min() + window_mm, -_STEP_MM):
        level = middle[np.abs(middle[:, 2] - height) <= window_mm]
        if len(level):
            found.append((float(level[:, 1].min()), float(height)))
    return np.array(found).reshape(-1, 2)
