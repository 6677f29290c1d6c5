"""Parallel views of a pelvis, named by where the viewer stands in the pelvic frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, unit
from sjplan.core.errors import unknown_name
from sjplan.core.frames import AnatomicalFrame

VIEWS: Final[Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "anterior": ((0, -1, 0), (0, 0, 1)),
    "posterior": ((0, 1, 0), (0, 0, 1)),
    "left": ((1, 0, 0), (0, 0, 1)),
    "right": ((-1, 0, 0), (0, 0, 1)),
    "axial": ((0, 0, -1), (0, -1, 0)),
    "cranial": ((0, 0, 1), (0, -1, 0)),
    "oblique-left": ((0.8, 0.9, 0.55), (0, 0, 1)),
    "oblique-right": ((-0.8, 0.9, 0.55), (0, 0, 1)),
    "inlet": ((0, -0.45, 1), (0, -1, 0)),
}
"""Towards the viewer and up, as (left, posterior, cranial) of the pelvic frame. `axial` is seen from the feet with
the front on top, as CT slices are shown; `cranial` from the head."""


@dataclass(frozen=True, slots=True, eq=False)
class ParallelView:
    """A parallel camera whose picture coordinates are known by formula, so that overlays need no window.

    Parameters
    ----------
    focus_lps_mm : (3,) float
        Point in the middle of the picture.
    right, up, towards : (3,) float
        Unit vectors of the picture, `towards` pointing to the viewer.
    mm_per_px : float
        Size of a picture pixel.
    width_px, height_px : int
        Size of the picture.
    """

    focus_lps_mm: Array
    right: Array
    up: Array
    towards: Array
    mm_per_px: float
    width_px: int
    height_px: int

    @classmethod
    def fitting(
        cls,
        name: str,
        frame: AnatomicalFrame,
        points_lps_mm: Sequence[ArrayLike],
        width_px: int,
        height_px: int,
        margin: float = 0.06,
    ) -> ParallelView:
        """The named view with all points in the picture.

        Raises
        ------
        UnknownNameError
            For a name that is not in `VIEWS`.
        """
        if name not in VIEWS:
            raise unknown_name("view of the scene", name, VIEWS)
        towards, up = (unit(np.asarray(v, dtype=np.float64) @ frame.axes) for v in VIEWS[name])
        right = unit(np.cross(up, towards))
        up = np.cross(towards, right)
        axes = np.stack([right, up, towards])
        flat = np.concatenate([np.asarray(p, dtype=np.float64).reshape(-1, 3) for p in points_lps_mm]) @ axes.T
        low, high = flat.min(axis=0), flat.max(axis=0)
        size = (high - low)[:2] / (1.0 - 2.0 * margin)
        scale = float(max(size[0] / width_px, size[1] / height_px, 1e-6))
        return cls((low + high) / 2 @ axes, right, up, towards, scale, width_px, height_px)

    def project(self, points_lps_mm: ArrayLike) -> Array:
        """Picture pixels (column, row), fractional, of LPS points, (..., 3) to (..., 2)."""
        offset = np.asarray(points_lps_mm, dtype=np.float64) - self.focus_lps_mm
        column = (self.width_px - 1) / 2 + offset @ self.right / self.mm_per_px
        row = (self.height_px - 1) / 2 - offset @ self.up / self.mm_per_px
        return np.stack([column, row], axis=-1)

    def apply(self, window: pv.Plotter, origin_lps_mm: ArrayLike) -> None:
        """Point the window's camera; meshes are shown relative to `origin_lps_mm`."""
        focus = self.focus_lps_mm - np.asarray(origin_lps_mm)
        reach = 2000.0
        camera = window.camera
        camera.parallel_projection = True
        camera.focal_point = tuple(focus)
        camera.position = tuple(focus + reach * self.towards)
        camera.up = tuple(self.up)
        camera.parallel_scale = self.mm_per_px * self.height_px / 2
        camera.clipping_range = (reach - 900.0, reach + 900.0)
