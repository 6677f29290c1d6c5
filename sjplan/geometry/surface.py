"""Triangle surfaces in LPS whose every triangle carries the name of what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array, check_shape, frozen
from sjplan.core.errors import GeometryError
from sjplan.core.structures import SURFACE_ID, SURFACE_NAMES


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSurface:
    """A triangle surface.

    Parameters
    ----------
    vertices_lps_mm : (n, 3) float
        Points.
    triangles : (m, 3) int
        Vertex indices, counter-clockwise seen from outside the bone.
    label : (m,) int
        Index into `sjplan.core.structures.SURFACE_NAMES` of each triangle.
    also : (m,) int, optional
        What each may be besides, where that is in doubt; left out, and where it is not, the same as its label.
    """

    vertices_lps_mm: Array
    triangles: NDArray[np.int32]
    label: NDArray[np.uint8]
    also: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices_lps_mm", check_shape("vertices_lps_mm", self.vertices_lps_mm, (None, 3)))
        triangles, label = frozen(self.triangles, np.int32), frozen(self.label, np.uint8)
        also = label if self.also is None else frozen(self.also, np.uint8)
        if triangles.ndim != 2 or triangles.shape[1] != 3 or {label.shape, also.shape} != {(len(triangles),)}:
            found = f"triangles {triangles.shape}, label {label.shape}, also {also.shape}"
            raise GeometryError("surface", found=found, wanted="(m, 3), (m,) and (m,)")
        if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(self.vertices_lps_mm)):
            raise GeometryError("surface", found="a vertex index out of range", wanted="0 to n - 1")
        most = max(label.max(initial=0), also.max(initial=0))
        if most >= len(SURFACE_NAMES):
            raise GeometryError("surface", found=f"label {most}", wanted=f"0 to {len(SURFACE_NAMES) - 1}")
        object.__setattr__(self, "triangles", triangles)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "also", also)

    def corners_lps_mm(self, *structures: str) -> Array:
        """Corner points (k, 3, 3) of the triangles that carry one of the names (all where none is given)."""
        chosen = self.triangles
        if structures:
            chosen = chosen[np.isin(self.label, [SURFACE_ID[name] for name in structures])]
        return np.asarray(self.vertices_lps_mm[chosen])

    def may_be(self, structure: str) -> NDArray[np.bool_]:
        """Which triangles (m,) carry a name, or may."""
        return np.asarray((self.label == SURFACE_ID[structure]) | (self.also == SURFACE_ID[structure]))

    def structures(self) -> tuple[str, ...]:
        """Names that at least one triangle carries."""
        return tuple(SURFACE_NAMES[i] for i in np.unique(self.label))


def joined(*surfaces: LabelledSurface) -> LabelledSurface:
    """One surface holding all triangles of several."""
    offset = np.cumsum([0, *(len(s.vertices_lps_mm) for s in surfaces)])
    return LabelledSurface(
        np.concatenate([s.vertices_lps_mm for s in surfaces]),
        np.concatenate([s.triangles + n for s, n in zip(surfaces, offset, strict=False)]).astype(np.int32),
        np.concatenate([s.label for s in surfaces]),
        np.concatenate([np.asarray(s.also) for s in surfaces]),
    )
