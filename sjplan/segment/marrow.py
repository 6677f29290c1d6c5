"""Marrow told from what lies outside: lakes between dense bone, cut apart where the ways between them are narrow.

Marrow may be as dark as fat, so no threshold tells it from what lies in a foramen. But marrow is enclosed by a cortex
with holes of a few millimetres, and a foramen is open at both ends. All that is not dense is divided into lakes at its
narrows; a minimum cut then parts inside from outside, where cutting costs the area of the openings, and leaving a lake
on the wrong side of the bent phantom its volume times its distance.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.segment.working import Volume, image_of, sitk, values_of

WIDEST_MM: Final = 5.0
"""Half-widths beyond this are all wide (default)."""

NARROWER_MM: Final = 0.75
"""A narrow is one where the half-width falls by more than this between two lakes (default)."""

SURE_MM: Final = 6.0
"""So far outside the bent phantom all is one lake, and outside."""

MOST_MM: Final = 4.0
"""A distance to the bent phantom counts up to this: beyond, it is sure enough (default)."""

PER_OPENING: Final = 20.0
"""What 1 mm2 of opening costs to close, in mm3 times mm of distance on the wrong side (default). A foramen of 20 mm by
10 mm that lies 3 mm inside the bent phantom's bone stays open: 2 x 80 mm2 x 20 is less than 1600 mm3 x 3 mm no more at
30; marrow of an ala, 8000 mm3 at 5 mm, stays inside with 1500 mm2 of holes."""


def marrow(dense: NDArray[np.bool_], distance: Volume, grid: Grid) -> NDArray[np.bool_]:
    """Which voxels that are not dense lie inside bone.

    Parameters
    ----------
    dense : (ni, nj, nk) bool
        Dense bone.
    distance : (ni, nj, nk) float32
        To the nearest bone of the bent phantom, negative inside.
    grid : Grid
        Of both.
    """
    room = sitk.SignedMaurerDistanceMap(image_of(grid, dense.astype(np.uint8)), False, False, True)
    depth = sitk.Clamp(room, sitk.sitkFloat32, 0.0, WIDEST_MM) * -1.0
    lakes = np.asarray(values_of(sitk.MorphologicalWatershed(depth, NARROWER_MM, False, False))).astype(np.int64)
    lakes[distance > SURE_MM] = 0
    lakes[dense] = -1
    kept, lakes = np.unique(lakes, return_inverse=True)
    lakes = lakes.reshape(dense.shape) - int(kept[0] < 0)
    count = int(lakes.max()) + 1
    inside = _cut(count, *_openings(lakes, count, grid.spacing_mm), _weights(lakes, count, distance, grid))
    inside[0] = False
    found = np.append(inside, False)[lakes]
    return np.asarray(_enclosed(found | dense, grid) & ~dense)


def _openings(
    lakes: NDArray[np.int64], count: int, spacing_mm: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Pairs of lakes that touch, and the area in which they do, mm2."""
    pairs, areas = [], []
    for axis in range(3):
        area = float(np.prod(spacing_mm) / spacing_mm[axis])
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = lakes[tuple(low)], lakes[tuple(high)]
        met = (a != b) & (a >= 0) & (b >= 0)
        one, two = a[met], b[met]
        pair, times = np.unique(np.minimum(one, two) * count + np.maximum(one, two), return_counts=True)
        pairs.append(pair)
        areas.append(times * area)
    pair, place = np.unique(np.concatenate(pairs), return_inverse=True)
    total = np.asarray(np.bincount(place, np.concatenate(areas), len(pair)), dtype=np.float64)
    return pair // count, pair % count, total


def _weights(lakes: NDArray[np.int64], count: int, distance: Volume, grid: Grid) -> tuple[Array, Array]:
    """What it costs to call each lake outside, and to call it inside."""
    flat = lakes.ravel()
    near = np.clip(distance.ravel(), -MOST_MM, MOST_MM)
    own = flat >= 0
    inside = _sum(flat[own], -near[own], count) * grid.voxel_volume_mm3
    outside = _sum(flat[own], near[own], count) * grid.voxel_volume_mm3
    outside[0] = outside.sum() + 1e6
    return inside, outside


def _sum(lakes: NDArray[np.int64], values: Volume, count: int) -> Array:
    """Sum of the positive values of each lake."""
    return np.asarray(np.bincount(lakes, np.maximum(values, 0.0), count), dtype=np.float64)


def _cut(
    count: int, one: NDArray[np.int64], two: NDArray[np.int64], area: Array, weights: tuple[Array, Array]
) -> NDArray[np.bool_]:
    """Which lakes are inside, by a minimum cut."""
    inside, outside = weights
    source, sink = count, count + 1
    nodes = np.arange(count)
    cost = area * PER_OPENING
    rows = np.concatenate([np.full(count, source), nodes, one, two])
    columns = np.concatenate([nodes, np.full(count, sink), two, one])
    capacity = np.concatenate([inside, outside, cost, cost])
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


def _enclosed(solid: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The solid with every hollow that nothing joins to the outside filled."""
    image = sitk.BinaryFillhole(image_of(grid, solid.astype(np.uint8)), False, 1)
    return np.asarray(values_of(image)) > 0
