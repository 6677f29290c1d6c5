"""Convex hulls in the plane."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from sjplan.core.arrays import Array


def closed_hull(points: Array) -> Array:
    """Closed convex outline of points (n, 2), counter-clockwise; empty where they lie on one line or are too few.

    Examples
    --------
    >>> closed_hull(np.array([(0.0, 0.0), (2.0, 0.0), (1.0, 0.5), (1.0, 2.0)])).shape
    (4, 2)
    """
    if len(points) < 3:
        return np.zeros((0, 2))
    try:
        ring = points[ConvexHull(points).vertices]
    except QhullError:  # all points on one line
        return np.zeros((0, 2))
    return np.asarray(np.concatenate([ring, ring[:1]]))
