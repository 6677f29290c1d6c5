"""How often a closed surface goes round each node of a grid: the side a node is on, whichever way triangles face.

A nearest triangle tells sides only by its own normal, and beyond a sharp edge that of the two triangles beside it that
faces away may be as near as the other. Counting the triangles below a node has no such places.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray


@nb.njit(cache=True)
def _turns(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> int:
    """1 or -1 where an edge passes a point on the right, upwards or downwards in y, else 0.

    The edge is taken from its lower end whichever way it is given, so two triangles agree about the one they share.
    """
    if (ay > y) == (by > y):
        return 0
    if ay < by:
        right = ax + (y - ay) / (by - ay) * (bx - ax) > x
        return 1 if right else 0
    right = bx + (y - by) / (ay - by) * (ax - bx) > x
    return -1 if right else 0


@nb.njit(cache=True)
def _passings(corners: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.int8]:
    """Triangles that the line of nodes through (i, j) passes between node k - 1 and k: 1 inwards, -1 outwards."""
    out = np.zeros(shape, np.int8)
    for n in range(len(corners)):
        a, b, c = corners[n]
        first_i = max(int(np.ceil(min(a[0], b[0], c[0]))), 0)
        last_i = min(int(np.floor(max(a[0], b[0], c[0]))), shape[0] - 1)
        first_j = max(int(np.ceil(min(a[1], b[1], c[1]))), 0)
        last_j = min(int(np.floor(max(a[1], b[1], c[1]))), shape[1] - 1)
        least, most = min(a[2], b[2], c[2]), max(a[2], b[2], c[2])
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        for i in range(first_i, last_i + 1):
            for j in range(first_j, last_j + 1):
                turn = (
                    _turns(i, j, a[0], a[1], b[0], b[1])
                    + _turns(i, j, b[0], b[1], c[0], c[1])
                    + _turns(i, j, c[0], c[1], a[0], a[1])
                )
                if turn == 0:
                    continue
                # A triangle seen edge-on may count by rounding; to leave it out would open the surface.
                size = area if area != 0.0 else np.inf
                v = ((i - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (j - a[1])) / size
                w = ((b[0] - a[0]) * (j - a[1]) - (i - a[0]) * (b[1] - a[1])) / size
                height = min(max(a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2]), least), most)
                k = max(int(np.ceil(height)), 0)
                if k < shape[2]:
                    out[i, j, k] -= turn
    return out


def winding(
    corners_mm: NDArray[np.float64], low_mm: ArrayLike, shape: tuple[int, int, int], step_mm: float
) -> NDArray[np.int8]:
    """How often closed surfaces go round each node of a grid: 0 outside, 1 inside (-1 where they are seen in a mirror).

    Parameters
    ----------
    corners_mm : array, (n, 3, 3)
        Every triangle of the surfaces, corners anticlockwise seen from outside; those beyond the grid too.
    low_mm : array-like, (3,)
        The first node.
    shape : tuple of int
        Nodes along each axis.
    step_mm : float
        From node to node.

    Returns
    -------
    array, int8
        One value a node.

    Examples
    --------
    >>> import trimesh
    >>> box = trimesh.creation.box((2.0, 2.0, 2.0))
    >>> int(winding(np.asarray(box.triangles), (-1.5, -1.5, -1.5), (4, 4, 4), 1.0).sum())
    8
    """
    corners = np.ascontiguousarray((corners_mm - np.asarray(low_mm, float)) / step_mm)
    passings: NDArray[np.int8] = _passings(corners, shape)
    return np.cumsum(passings, axis=2, dtype=np.int8)
