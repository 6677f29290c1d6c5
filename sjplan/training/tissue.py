"""What an instrument meets in the patient: how dense, of which bone, and how hard it is to drive a pin through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.grid import Grid, require_same_space
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Side
from sjplan.core.tolerances import AIR_HU
from sjplan.core.volume import CtVolume

BONES: Final = ("none", "sacrum", "hip_left", "hip_right", "other")
"""What a point may lie in; the place in this list is the number that `Tissue.bone` gives."""

SACRUM_NAMES: Final = ("sacrum", "vertebrae_S1")
OTHER_BONES: Final = ("vertebrae_L5", "vertebrae_L4", "femur_left", "femur_right")

SKIN_HU: Final = -300.0
BODY_MM: Final = 20.0
"""Skin: from outside, the first place behind which the body goes on for so long. Sheets and a table are thinner."""

SOFT_N: Final = 12.0
"""Force that drives a pin of 3.2 mm through soft tissue (default)."""

BONE_N: Final = 40.0
BONE_N_PER_HU: Final = 1.0
"""Force in bone: so much, and so much for every HU above zero (default): some 300 N in cancellous bone of 250 HU, above
1000 N in cortex. Screws hold in proportion to density too (CLINICAL.md 6)."""

_STEP_MM: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """The patient as instruments feel it.

    Parameters
    ----------
    ct : CtVolume
        Densities; assumed ones will do.
    labels : LabelMap
        With sacrum and hips by name; its grid may be smaller than the CT's.

    Raises
    ------
    InputError
        If no sacrum is labelled.
    """

    ct: CtVolume
    labels: LabelMap
    _code: NDArray[np.uint8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not set(SACRUM_NAMES) & set(self.labels.present()):
            raise InputError("labels", found="no sacrum", wanted="a pelvis with a sacrum and hip bones")
        code = np.zeros(256, dtype=np.uint8)
        for number, name in self.labels.names.items():
            if name in SACRUM_NAMES:
                code[number] = BONES.index("sacrum")
            elif name in BONES:
                code[number] = BONES.index(name)
            elif name in OTHER_BONES:
                code[number] = BONES.index("other")
        object.__setattr__(self, "_code", code)
        if not self.ct.assumed:
            require_same_space("CT", self.ct.grid, "labels", self.labels.grid)

    def hu(self, points_lps_mm: Array) -> Array:
        """Density between voxels, (n, 3) -> (n,); air outside the scan."""
        at = self.ct.grid.ijk_from_lps(points_lps_mm).T
        found = map_coordinates(self.ct.hu, at, output=np.float64, order=1, mode="constant", cval=AIR_HU)
        return np.asarray(found)

    def bone(self, points_lps_mm: Array) -> NDArray[np.uint8]:
        """Which bone the nearest voxel belongs to, (n, 3) -> (n,): places in `BONES`; 0 outside the map."""
        at = np.rint(self.labels.grid.ijk_from_lps(points_lps_mm)).astype(np.intp)
        inside = ((at >= 0) & (at < self.labels.grid.shape)).all(axis=1)
        found = np.zeros(len(at), dtype=np.uint8)
        found[inside] = self._code[self.labels.label[tuple(at[inside].T)]]
        return found

    def resistance_n(self, points_lps_mm: Array) -> Array:
        """Force at a pin's tip, (n, 3) -> (n,): nothing in air, little in soft tissue, by density in bone."""
        hu, bone = self.hu(points_lps_mm), self.bone(points_lps_mm)
        soft = np.where(hu > SKIN_HU, SOFT_N, 0.0)
        return np.asarray(np.where(bone > 0, BONE_N + BONE_N_PER_HU * np.clip(hu, 0.0, 2000.0), soft))

    def skin(self, side: Side, up_mm: float, along_mm: float) -> Array | None:
        """Skin of one side, (3,), at a height (LPS y) and a place along the body (LPS z); None beside the body."""
        sign, (low, high) = SIDE_SIGN[side], _box(self.ct.grid)
        far = high[0] if sign > 0 else low[0]
        middle = 0.5 * (low[0] + high[0])
        x = np.arange(abs(far - middle), 0.0, -_STEP_MM) * sign + middle
        return self._first_body(np.column_stack([x, np.full(len(x), up_mm), np.full(len(x), along_mm)]))

    def skin_on_line(self, point_lps_mm: Array, axis: Array) -> Array | None:
        """Where a line enters the body that goes through a point inside it along an axis."""
        low, high = _box(self.ct.grid)
        reach = float(np.linalg.norm(high - low))
        s = np.arange(-reach, 0.0, _STEP_MM)
        return self._first_body(point_lps_mm + s[:, None] * axis)

    def _first_body(self, line: Array) -> Array | None:
        """First point of a line (n, 3) behind which it stays in the body for `BODY_MM`."""
        body = self.hu(line) > SKIN_HU
        count = round(BODY_MM / _STEP_MM)
        if len(body) < count:
            return None
        total = np.concatenate([[0], np.cumsum(body)])
        whole = np.flatnonzero(total[count:] - total[:-count] == count)
        return np.asarray(line[whole[0]]) if len(whole) else None


def _box(grid: Grid) -> tuple[Array, Array]:
    corners = grid.corners_lps_mm()
    return corners.min(axis=0), corners.max(axis=0)
