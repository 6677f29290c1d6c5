"""Stored numbers to Hounsfield units: rounded, clipped to int16, padding turned into air."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.tolerances import AIR_HU

PADDING_HU: Final = -1024
"""Values at or below this are padding outside the scanner's circle (-1024, -2000, -3024): air."""

_INT16 = np.iinfo(np.int16)


def to_hu(plane: NDArray[Any], out: NDArray[np.int16], padded: NDArray[np.bool_] | None = None) -> int:
    """Write one plane of Hounsfield units into `out`; return how many of its pixels were padding.

    Parameters
    ----------
    plane : (rows, columns) number
        Hounsfield units of any type.
    out : (rows, columns) int16
        Where they go.
    padded : (rows, columns) bool, optional
        Pixels that are padding whatever their value.

    Examples
    --------
    >>> out = np.zeros((1, 4), dtype=np.int16)
    >>> to_hu(np.array([[-3024.0, -999.6, 40.4, 90000.0]]), out), out.tolist()
    (1, [[-1000, -1000, 40, 32767]])
    """
    if plane.dtype.kind == "f":
        plane = np.rint(plane)
    outside = plane <= PADDING_HU
    if padded is not None:
        outside |= padded
    out[...] = np.clip(plane, _INT16.min, _INT16.max)
    out[outside] = int(AIR_HU)
    return int(outside.sum())
