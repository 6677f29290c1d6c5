"""An image intensifier's picture: drawn out towards the edge, because its input is curved."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array
from sjplan.xray.carm import CArmGeometry

_ROUNDS = 8


def drawn_out(image: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The picture with its edge drawn out: what is shown there lay nearer to the middle, by 1 + `share`."""
    rows, columns = image.shape
    middle = np.array([rows - 1, columns - 1]) / 2.0
    at = np.moveaxis(np.indices((rows, columns), dtype=np.float64), 0, -1) - middle
    inner = at * _inward(at, middle, share)[..., None] + middle
    found = map_coordinates(image, [inner[..., 0], inner[..., 1]], order=1, mode="nearest")
    return np.asarray(found, dtype=np.float32)


def _inward(at: Array, middle: Array, share: float) -> Array:
    """Where a shown point lay, as a share of its distance from the middle."""
    squared = np.square(at / np.maximum(middle, 1.0)).sum(axis=-1)
    return np.asarray(1.0 - share * squared / (1.0 + share))


@dataclass(frozen=True, slots=True, eq=False)
class DrawnOut(CArmGeometry):
    """A geometry whose points lie where the drawn-out picture shows them; for overlays.

    Examples
    --------
    >>> from sjplan.xray.types import CArm, Detector
    >>> plain = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(201, 201, 1.0))
    >>> shown = DrawnOut.like(plain, 0.04)
    >>> plain.project([45, 0, 0]).round(1).tolist(), shown.project([45, 0, 0]).round(1).tolist()
    ([186.6, 100.0], [189.3, 100.0])
    """

    share: float = 0.0

    @classmethod
    def like(cls, geometry: CArmGeometry, share: float) -> DrawnOut:
        """The same geometry, shown drawn out."""
        return cls(**{f.name: getattr(geometry, f.name) for f in fields(CArmGeometry)}, share=share)

    def undrawn(self, pixels: ArrayLike) -> Array:
        """Where pixels (..., 2) of the picture that is shown would lie without its being drawn out.

        Examples
        --------
        >>> from sjplan.xray.types import CArm, Detector
        >>> shown = DrawnOut.like(CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(201, 201, 1.0)), 0.04)
        >>> shown.undrawn(shown.project([45, 0, 30])).round(3).tolist()
        [186.604, 42.264]
        """
        middle = np.array([self.columns - 1, self.rows - 1]) / 2.0
        at = np.asarray(pixels, dtype=np.float64) - middle
        return np.asarray(at * _inward(at, middle, self.share)[..., None] + middle)

    def project(self, points_lps_mm: ArrayLike) -> Array:
        """Pixel coordinates (column, row) in the picture that is shown."""
        middle = np.array([self.columns - 1, self.rows - 1]) / 2.0
        inner = CArmGeometry.project(self, points_lps_mm) - middle
        at = inner
        for _ in range(_ROUNDS):
            at = inner / np.maximum(_inward(at, middle, self.share), 0.5)[..., None]
        return np.asarray(at + middle)
