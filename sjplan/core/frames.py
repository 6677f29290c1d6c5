"""The one frame inside sjplan is LPS in millimetres; anatomical frames are rigid views of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_shape, check_vector
from sjplan.core.errors import GeometryError
from sjplan.core.tolerances import DIRECTION_TOL

SIDES = ("left", "right")
SIDE_SIGN = {"left": 1.0, "right": -1.0}
"""Sign of the patient's left-right coordinate on each side (LPS: +x is the patient's left)."""


@dataclass(frozen=True, slots=True, eq=False)
class AnatomicalFrame:
    """A right-handed frame whose axes point to the patient's left, back and head.

    Parameters
    ----------
    origin_lps_mm : (3,) float
        Origin.
    axes : (3, 3) float
        Rows are the unit vectors left, posterior and cranial, in LPS.

    Examples
    --------
    >>> frame = AnatomicalFrame((10, 0, 0), np.eye(3))
    >>> frame.frame_from_lps([[11, 2, 3]]).tolist()
    [[1.0, 2.0, 3.0]]
    """

    origin_lps_mm: Array
    axes: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin_lps_mm", check_vector("origin_lps_mm", self.origin_lps_mm))
        axes = check_shape("axes", self.axes, (3, 3))
        if np.abs(axes @ axes.T - np.eye(3)).max() > DIRECTION_TOL or np.linalg.det(axes) < 0:
            raise GeometryError("axes", found=f"{axes.tolist()}", wanted="a right-handed orthonormal triple")
        object.__setattr__(self, "axes", axes)

    @property
    def left(self) -> Array:
        """Unit vector to the patient's left."""
        return np.asarray(self.axes[0])

    @property
    def posterior(self) -> Array:
        """Unit vector to the patient's back."""
        return np.asarray(self.axes[1])

    @property
    def cranial(self) -> Array:
        """Unit vector to the patient's head."""
        return np.asarray(self.axes[2])

    def frame_from_lps(self, points_lps_mm: ArrayLike) -> Array:
        """Coordinates (left, posterior, cranial) in mm of LPS points, (..., 3)."""
        return np.asarray((np.asarray(points_lps_mm, dtype=np.float64) - self.origin_lps_mm) @ self.axes.T)

    def lps_from_frame(self, points_mm: ArrayLike) -> Array:
        """LPS points of (left, posterior, cranial) coordinates in mm, (..., 3)."""
        return np.asarray(np.asarray(points_mm, dtype=np.float64) @ self.axes + self.origin_lps_mm)
