"""Small checks that turn what a caller gives into read-only float64 arrays, or say what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.errors import GeometryError
from sjplan.core.tolerances import UNIT_VECTOR_TOL

Array = NDArray[np.float64]


def frozen(values: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
    """Copy `values` into a read-only C-ordered array."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def check_shape(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """Return `values` as a finite, read-only float64 array of `shape` (None: any length).

    Raises
    ------
    GeometryError
        If the shape differs or a value is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != len(shape) or any(w is not None and w != n for n, w in zip(array.shape, shape, strict=True)):
        wanted = "(" + ", ".join("n" if s is None else str(s) for s in shape) + ")"
        raise GeometryError(name, found=f"shape {array.shape}", wanted=f"shape {wanted}")
    if not np.isfinite(array).all():
        raise GeometryError(name, found="NaN or infinite values", wanted="finite numbers")
    return frozen(array)


def check_vector(name: str, values: ArrayLike) -> Array:
    """Return a finite point or vector, (3,) float64, read-only."""
    return check_shape(name, values, (3,))


def check_unit(name: str, values: ArrayLike) -> Array:
    """Return a unit vector, (3,) float64, read-only."""
    vector = check_vector(name, values)
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > UNIT_VECTOR_TOL:
        raise GeometryError(name, found=f"length {length:.6g}", wanted="a unit vector")
    return vector


def unit(values: ArrayLike) -> Array:
    """Scale a vector to length one.

    Examples
    --------
    >>> unit([0, 3, 4]).tolist()
    [0.0, 0.6, 0.8]
    """
    vector = np.asarray(values, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if not length > 0:
        raise GeometryError("vector", found="length 0", wanted="a direction")
    return np.asarray(vector / length, dtype=np.float64)
