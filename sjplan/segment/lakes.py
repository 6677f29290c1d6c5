"""Lakes: parts of a scan between narrows, and the minimum cut that parts them in two."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from sjplan.core.arrays import Array
from sjplan.segment.working import Volume

Lakes = NDArray[np.int32]
"""Number of each voxel's lake, -1 none: the largest arrays there are, hence of 32 bits."""


def openings(
    lakes: Lakes, cost: Volume, count: int, spacing_mm: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Pairs of lakes that touch, and what it costs to part them: area in mm2 times the cost there."""
    pairs, areas = [], []
    for axis in range(3):
        area = float(np.prod(spacing_mm) / spacing_mm[axis])
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = lakes[tuple(low)], lakes[tuple(high)]
        met = (a != b) & (a >= 0) & (b >= 0)
        one, two = a[met].astype(np.int64), b[met].astype(np.int64)
        pairs.append(np.minimum(one, two) * count + np.maximum(one, two))
        areas.append(np.minimum(cost[tuple(low)][met], cost[tuple(high)][met]) * area)
    pair, place = np.unique(np.concatenate(pairs), return_inverse=True)
    total = np.asarray(np.bincount(place, np.concatenate(areas), len(pair)), dtype=np.float64)
    return pair // count, pair % count, total


def renumbered(lakes: NDArray[np.int32]) -> tuple[Lakes, NDArray[np.int64]]:
    """Lakes numbered from 0 on without gaps, -1 kept; and the number that each had before.

    Examples
    --------
    >>> renumbered(np.array([7, -1, 3, 7], dtype=np.int32))
    (array([ 1, -1,  0,  1], dtype=int32), array([3, 7]))
    """
    before = np.flatnonzero(np.bincount(lakes.ravel(order="K") + 1))
    table = np.full(int(before[-1]) + 1 if len(before) else 1, -1, dtype=np.int32)
    kept = before[before > 0]
    table[kept] = np.arange(len(kept))
    return table[lakes + 1], kept - 1


def sums(lakes: Lakes, values: Volume, count: int) -> Array:
    """Sum of the positive values of each lake."""
    return np.asarray(np.bincount(lakes, np.maximum(values, 0.0), count), dtype=np.float64)


def cut(
    count: int, one: NDArray[np.int64], two: NDArray[np.int64], area: Array, weights: tuple[Array, Array]
) -> NDArray[np.bool_]:
    """Which lakes are inside, by a minimum cut; `weights`: costs of calling each outside, and of calling it inside."""
    inside, outside = weights
    source, sink = count, count + 1
    nodes = np.arange(count)
    rows = np.concatenate([np.full(count, source), nodes, one, two])
    columns = np.concatenate([nodes, np.full(count, sink), two, one])
    capacity = np.concatenate([inside, outside, area, area])
    # The flow counts in whole numbers of 32 bits.
    scaled = np.minimum(np.rint(capacity * SCALE), 2**28).astype(np.int32)
    graph: Any = csr_matrix(coo_matrix((scaled, (rows, columns)), shape=(count + 2, count + 2)))
    flow = maximum_flow(graph, source, sink)
    left = csr_matrix(graph - flow.flow)
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = breadth_first_order(left, source, return_predecessors=False)
    found = np.zeros(count + 2, dtype=bool)
    found[reached] = True
    return found[:count]


SCALE: Final = 8.0
"""Whole numbers a unit of cost: an eighth is far below anything that decides."""
