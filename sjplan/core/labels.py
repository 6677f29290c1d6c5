"""Label maps: which voxel belongs to which structure, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.volume import Source, readonly

TOTALSEGMENTATOR_V2: Final[Mapping[int, str]] = {
    25: "sacrum",
    26: "vertebrae_S1",
    27: "vertebrae_L5",
    28: "vertebrae_L4",
    65: "iliac_artery_left",
    66: "iliac_artery_right",
    67: "iliac_vena_left",
    68: "iliac_vena_right",
    75: "femur_left",
    76: "femur_right",
    77: "hip_left",
    78: "hip_right",
}
"""TotalSegmentator v2 names of the ids that sjplan reads; ids change between versions, names do not."""

SJPLAN_OWN: Final[Mapping[int, str]] = {
    200: "disc_L5_S1",
    201: "disc_L4_L5",
    202: "dural_sac",
    203: "nerve_root_L5_left",
    204: "nerve_root_L5_right",
    205: "nerve_root_S1_left",
    206: "nerve_root_S1_right",
    207: "nerve_root_S2_left",
    208: "nerve_root_S2_right",
    209: "superior_gluteal_artery_left",
    210: "superior_gluteal_artery_right",
}
"""Ids of sjplan's own for what TotalSegmentator's main task does not name; from 200 on, where that task has none."""


MAX_SURFACE_ERROR_MM: Final = 3.0
"""Labels that may be farther off than this are not planned on: an S1 foramen is 10 mm wide."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """A label map: grid, integer labels indexed [i, j, k], and the structure name of each id.

    `surface_error_mm` is how much farther than its voxels tell the labelled surfaces may lie off the real ones, for
    labels whose maker knows that; lower bounds of all distances are less by it, and what may be a danger is named one.

    Examples
    --------
    >>> grid = Grid((2, 2, 2), (1, 1, 1), (0, 0, 0), np.eye(3))
    >>> labels = LabelMap(grid, np.full((2, 2, 2), 25), {25: "sacrum"})
    >>> int(labels.mask("sacrum").sum()), int(labels.mask("hip_left").sum())
    (8, 0)
    """

    grid: Grid
    label: NDArray[np.uint8]
    names: Mapping[int, str]
    source: Source | None = None
    surface_error_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.surface_error_mm <= MAX_SURFACE_ERROR_MM:
            wanted = f"0 to {MAX_SURFACE_ERROR_MM:g} mm"
            raise GeometryError("surface_error_mm", found=f"{self.surface_error_mm}", wanted=wanted)
        if self.label.shape != self.grid.shape:
            raise GeometryError("label", found=f"shape {self.label.shape}", wanted=f"the grid's {self.grid.shape}")
        if self.label.dtype != np.uint8 and self.label.size:
            low, high = int(self.label.min()), int(self.label.max())
            if low < 0 or high > 255:
                raise GeometryError("label", found=f"values {low} to {high}", wanted="0 to 255")
        object.__setattr__(self, "label", readonly(self.label, np.uint8))
        object.__setattr__(self, "names", dict(self.names))

    def mask(self, *structures: str) -> NDArray[np.bool_]:
        """Voxels of any of the named structures; empty where a name has no voxel."""
        ids = [i for i, name in self.names.items() if name in structures]
        return np.isin(self.label, np.asarray(ids, dtype=np.uint8)) if ids else np.zeros(self.grid.shape, dtype=bool)

    def present(self) -> tuple[str, ...]:
        """Names of the structures that have at least one voxel, in order of id."""
        count = np.bincount(self.label.ravel(order="K"), minlength=256)
        return tuple(name for i, name in sorted(self.names.items()) if count[i])
