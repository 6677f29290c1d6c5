"""Hounsfield units of the phantom: soft tissue, cortical shells, textured trabecular bone, partial volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array
from sjplan.core.tolerances import AIR_HU
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.sampling import Band
from sjplan.phantom.shapes import smooth_step

Volume = NDArray[np.float32]

MUSCLE_HU: Final = 55.0
FAT_HU: Final = -100.0
"""Muscle 50 to 60 and fat -100 HU (CLINICAL 4.5, recalled)."""

CORTEX: Final = {
    # bone: thickness mm, HU
    "sacrum": (1.2, 900.0),
    "hip": (1.9, 1150.0),
    "vertebrae": (1.0, 850.0),
    "femur": (2.2, 1250.0),
}
"""Cortex: ilium 1 to 3 mm, sacral ala 0.8 to 1.5 mm, 700 to 1500 HU at 1 mm (CLINICAL 4.4 and 4.5, recalled)."""

S1_BODY_HU: Final = 280.0
S2_BODY_HU: Final = 192.0
S1_ALA_HU: Final = 103.0
S2_ALA_HU: Final = 60.0
ILIUM_FRONT_HU: Final = 255.0
ILIUM_BACK_HU: Final = 154.0
"""Trabecular bone of sacrum and ilium (NAKAM; ala and posterior ilium derived there)."""

OTHER_TRABECULAR_HU: Final = {"vertebrae": 160.0, "femur": 260.0}
"""L5 (Pickhardt's normal, recalled) and femoral head (default)."""

TEXTURE: Final = ((1.6, 55.0), (3.7, 40.0), (11.0, 25.0))
"""Trabecular texture: size of the grains (mm) and their standard deviation (HU), default."""

NOISE_HU: Final = 9.0
"""Standard deviation of the image noise inside the body (default)."""

BODY_HALF: Final = (166.0, 106.0)
BODY_CENTRE_Y: Final = -14.0
FAT_SHARE: Final = 0.86
"""Body: half-width and half-depth (lying pelvis 200 to 230 mm deep, CLINICAL 4.6), muscle within this share of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A periodic random field in the pelvis' own coordinates: independent of grid and pose."""

    lattice: NDArray[np.float32]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Texture:
        """Draw the lattice."""
        return cls(rng.standard_normal((48, 48, 48)).astype(np.float32))

    def at(self, points_mm: Array) -> Array:
        """HU to add at points of the pelvic frame (n, 3)."""
        total = np.zeros(len(points_mm))
        for octave, (size_mm, deviation_hu) in enumerate(TEXTURE):
            at = (points_mm / size_mm + 7.3 * octave).T
            # Trilinear blending of independent nodes shrinks the deviation to about 0.54 of theirs.
            total += map_coordinates(self.lattice, at, order=1, mode="grid-wrap") * (deviation_hu / 0.54)
        return total


def soft_tissue(pelvis: Pelvis, points_lps_mm: Array, voxel_mm: float) -> Array:
    """HU of body and air at LPS points, without bones."""
    q = pelvis.pelvic_mm(points_lps_mm)
    u2, v2 = (q[:, 0] / BODY_HALF[0]) ** 2, ((q[:, 1] - BODY_CENTRE_Y) / BODY_HALF[1]) ** 2
    radius = np.sqrt(u2 + v2 - 0.25 * u2 * v2 * (u2 + v2 < 2.0))
    depth = (1.0 - radius) * BODY_HALF[1] * pelvis.parameters.size
    inside = np.clip(0.5 + depth / voxel_mm, 0.0, 1.0)
    lean = smooth_step((FAT_SHARE - radius) / 0.03 + 0.5)
    body = FAT_HU + (MUSCLE_HU - FAT_HU) * lean
    return np.asarray(AIR_HU + (body - AIR_HU) * inside)


def add_bone(
    hu: Volume, bone: str, band: Band, pelvis: Pelvis, lps_of: Array, texture: Texture, voxel_mm: float
) -> None:
    """Blend one bone into `hu` (the whole grid, changed in place) by the share of each voxel that it fills.

    `lps_of` holds the LPS points of the band's voxels with a distance below half a voxel, in C order.
    """
    filled = band.distance_mm < 0.5 * voxel_mm
    distance = band.distance_mm[filled].astype(np.float64)
    share = np.clip(0.5 - distance / voxel_mm, 0.0, 1.0)
    kind = bone.split("_")[0]
    thickness, cortex = CORTEX[kind]
    size = pelvis.parameters.size
    spongy = trabecular_hu(kind, pelvis, lps_of) + texture.at(pelvis.pelvic_mm(lps_of))
    shell = smooth_step((distance + thickness * size) / 0.8 + 0.5)
    value = spongy + (cortex - spongy) * shell
    view = hu[band.slices]
    view[filled] = (view[filled] * (1.0 - share) + value * share).astype(np.float32)


def trabecular_hu(kind: str, pelvis: Pelvis, points_lps_mm: Array) -> Array:
    """Mean HU of trabecular bone at LPS points inside a bone."""
    q = pelvis.sacral_mm(points_lps_mm)
    if kind == "sacrum":
        lower = smooth_step((-20.0 - q[:, 2]) / 24.0)
        lateral = smooth_step((np.abs(q[:, 0]) - 16.0) / 14.0)
        body = S1_BODY_HU + (S2_BODY_HU - S1_BODY_HU) * lower
        ala = S1_ALA_HU + (S2_ALA_HU - S1_ALA_HU) * lower
        return np.asarray(body + (ala - body) * lateral)
    if kind == "hip":
        back = smooth_step((q[:, 1] + 20.0) / 40.0)
        return np.asarray(ILIUM_FRONT_HU + (ILIUM_BACK_HU - ILIUM_FRONT_HU) * back)
    return np.full(len(q), OTHER_TRABECULAR_HU[kind])
