"""Closing of mathematical morphology among the places of a surface, measured along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

Mask = NDArray[np.bool_]


def closed(ways_mm: csr_array, chosen: Mask, reach_mm: float) -> Mask:
    """The chosen places without notches and gaps narrower than twice the reach.

    Closing: what lies within reach of a chosen place, less what lies within reach of everything else.

    Parameters
    ----------
    ways_mm : (n, n) sparse float
        Distances between places that are neighbours.
    chosen : (n,) bool
        What is closed.
    reach_mm : float
        Half the width of the widest gap that is filled.

    Returns
    -------
    (n,) bool
        The chosen, and what was filled.

    Examples
    --------
    Places 1 mm apart in a row:

    >>> row = csr_array(np.eye(12, k=1) + np.eye(12, k=-1))
    >>> gaps = np.array([c == "x" for c in "xxx..xxx...."])
    >>> "".join("x" if c else "." for c in closed(row, gaps, 1.0))
    'xxxxxxxx....'
    """
    wide = _within(ways_mm, chosen, reach_mm)
    return np.asarray(chosen | ~_within(ways_mm, ~wide, reach_mm))


def _within(ways_mm: csr_array, sources: Mask, reach_mm: float) -> Mask:
    if not sources.any():
        return sources
    far = dijkstra(ways_mm, indices=np.flatnonzero(sources), min_only=True, limit=reach_mm)
    return np.asarray(np.isfinite(far))
