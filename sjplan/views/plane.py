"""What a view shows of points, in the plane through the isocentre square to the central ray."""

from __future__ import annotations

import numpy as np

from sjplan.core.arrays import Array
from sjplan.xray.carm import carm_axes
from sjplan.xray.types import CArm


def seen_mm(points_lps_mm: Array, carm: CArm, *, parallel: bool = False) -> Array:
    """Where a view shows points (n, 3), as (n, 2): along its columns and up, mm at the isocentre's scale.

    With `parallel` along the central ray, as from a tube infinitely far away. For points in front of the tube.

    Examples
    --------
    >>> carm = CArm(0, 0, 0, (0, 0, 0), 650.0)
    >>> seen_mm(np.array([[10.0, 0.0, 20.0], [10.0, 650.0, 20.0]]), carm).tolist()
    [[10.0, 20.0], [5.0, 10.0]]
    """
    column, ray, up = carm_axes(carm)
    from_centre = points_lps_mm - carm.isocentre_lps_mm
    flat = np.column_stack([from_centre @ column, from_centre @ up])
    if parallel:
        return flat
    scale = carm.source_to_isocentre_mm / (carm.source_to_isocentre_mm + from_centre @ ray)
    return np.asarray(flat * scale[:, None])
