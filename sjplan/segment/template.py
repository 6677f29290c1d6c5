"""The project's own phantom as a template: points on its bones, and how each parameter moves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.parameters import INCIDENCE_DEG, RANGES, PhantomParameters
from sjplan.phantom.sampling import sample_band
from sjplan.segment.curved import CurvedPelvis

BONES: Final = ("sacrum", "hip_left", "hip_right", "vertebrae_L5", "femur_left", "femur_right")
"""Bones that are sought."""

CORE: Final = ("sacrum", "hip_left", "hip_right")
"""Bones without which there is no pelvis; the others may be missing in a scan."""

POINT_STEP_MM: Final = 5.0
"""Step of the lattice from which points are dropped onto a bone's surface."""

HALF_BOX_MM: Final = (165.0, 150.0, 190.0)
"""Half of the box round the S1 endplate's centre in which a pelvis of size 1 lies, with the upper femora."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How far one parameter is changed to see what it moves, and how much it varies in adults (sd)."""

    step: float
    sd: float


SHAPE: Final = {
    "sacral_slope_deg": Spread(2.0, 8.0),
    "pelvic_tilt_deg": Spread(2.0, 7.0),
    "sacral_width_mm": Spread(3.0, 9.0),
    "sacral_height_mm": Spread(3.0, 9.0),
    "s1_body_width_mm": Spread(2.0, 5.0),
    "s1_body_depth_mm": Spread(2.0, 3.5),
    "s1_to_s2_mm": Spread(2.0, 3.8),
    "canal_width_mm": Spread(2.0, 4.2),
    "canal_depth_mm": Spread(1.5, 2.2),
    "foramen_scale": Spread(0.1, 0.15),
    "interforaminal_mm": Spread(2.0, 5.0),
    "dorsal_distance_mm": Spread(2.0, 2.8),
    "ala_height_mm": Spread(2.0, 4.0),
    "ala_depth_mm": Spread(2.0, 4.0),
    "joint_angle_deg": Spread(2.0, 4.0),
    "asis_width_mm": Spread(5.0, 18.0),
    "hip_distance_mm": Spread(4.0, 9.0),
    "app_height_mm": Spread(3.0, 9.0),
    "iliac_height_mm": Spread(4.0, 10.0),
    "asymmetry_mm": Spread(1.5, 2.0),
    "wing_asymmetry_mm": Spread(3.0, 5.0),
}
"""Parameters that are fitted, with the spread of the cohort `adults` (rounded) and steps of a part of it."""

CURVE: Final = Spread(2.0, 8.0)
"""The same for the sacrum's curve, which no parameter has (default)."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points on the bones of one phantom.

    Parameters
    ----------
    lps_mm : (n, 3) float
        On the surface.
    normal : (n, 3) float
        Outward unit normals.
    bone : (n,) int
        Index into `BONES`.
    gap_mm : (n,) float
        Distance to the nearest other bone; 0 in the hip joint, in whose thin walls lines are not its own.
    """

    lps_mm: Array
    normal: Array
    bone: NDArray[np.int64]
    gap_mm: Array


def surface_points(pelvis: CurvedPelvis, bones: tuple[str, ...] = BONES, step_mm: float = POINT_STEP_MM) -> Points:
    """Points on the surfaces of some of `BONES`, about one for each square of the step."""
    size = pelvis.parameters.size
    centre = pelvis.parameters.offset_lps_mm
    half = np.asarray(HALF_BOX_MM) * size
    low, high = centre - half + np.array([0.0, 0.0, -40.0]) * size, centre + half * np.array([1.0, 1.0, 0.5])
    count = np.ceil((high - low) / step_mm).astype(int) + 1
    grid = Grid((int(count[0]), int(count[1]), int(count[2])), np.full(3, step_mm), low, np.eye(3))
    places, normals, owners = [], [], []
    for n, bone in enumerate(BONES):
        if bone not in bones:
            continue
        band = sample_band(lambda p, bone=bone: pelvis.bone_mm(bone, p), grid, 0.0)  # type: ignore[misc]
        near = np.argwhere(np.abs(band.distance_mm) < 0.5 * step_mm)
        edge = (near + band.start <= 0).any(axis=1) | (near + band.start >= np.asarray(grid.shape) - 1).any(axis=1)
        points = grid.lps_from_ijk(near[~edge] + band.start)
        for _ in range(3):
            value = pelvis.bone_mm(bone, points)
            slope = gradient(pelvis, bone, points)
            steep = np.maximum((slope**2).sum(axis=1), 0.25)
            points = points - np.clip(value / steep, -step_mm, step_mm)[:, None] * slope
        value, slope = pelvis.bone_mm(bone, points), gradient(pelvis, bone, points)
        length = np.linalg.norm(slope, axis=1)
        good = (np.abs(value) < 0.5) & (length > 0.3)
        places.append(points[good])
        normals.append(slope[good] / length[good, None])
        owners.append(np.full(int(good.sum()), n))
    lps_mm, owner = np.concatenate(places), np.concatenate(owners)
    return Points(lps_mm, np.concatenate(normals), owner, _gaps(pelvis, lps_mm, owner, bones))


def _gaps(pelvis: CurvedPelvis, lps_mm: Array, owner: NDArray[np.int64], bones: tuple[str, ...]) -> Array:
    """Distance (n,) of points on bones to the nearest of the other bones; 0 in the hip joint."""
    gap = np.full(len(lps_mm), np.inf)
    kind = np.array([bone.split("_")[0] for bone in BONES])[owner]
    for bone in bones:
        others = owner != BONES.index(bone)
        far = pelvis.bone_mm(bone, lps_mm[others])
        hip_joint = (
            np.isin(kind[others], ("hip", "femur")) & (kind[others] != bone.split("_")[0]) & (far < HIP_JOINT_MM)
        )
        hip_joint &= bone.startswith(("hip", "femur"))
        gap[others] = np.minimum(gap[others], np.where(hip_joint, 0.0, far))
    return np.asarray(np.maximum(gap, 0.0))


HIP_JOINT_MM: Final = 5.0
"""Hip and femur so near to each other face each other in the hip joint (default)."""


def gradient(pelvis: CurvedPelvis, bone: str, points_lps_mm: Array, step_mm: float = 0.5) -> Array:
    """Gradient (n, 3) of a bone's signed distance, by central differences."""
    out = np.zeros_like(points_lps_mm)
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step_mm
        ahead, behind = pelvis.bone_mm(bone, points_lps_mm + shift), pelvis.bone_mm(bone, points_lps_mm - shift)
        out[:, axis] = (ahead - behind) / (2.0 * step_mm)
    return out


def moves(pelvis: CurvedPelvis, points: Points) -> Array:
    """How far each point goes outward for one unit of each parameter of `SHAPE`, and of the curve, (n, parameters + 1).

    A point on a surface stays on it by going -d(distance)/d(parameter) along its outward normal.
    """
    parameters, curve_mm = pelvis.parameters, pelvis.curve_mm
    out = np.zeros((len(points.lps_mm), len(SHAPE) + 1))
    for column, (name, spread) in enumerate(SHAPE.items()):
        value = getattr(parameters, name)
        step = spread.step if value + spread.step <= RANGES[name].high else -spread.step
        changed = bounded(parameters, {name: value + step})
        step = getattr(changed, name) - value
        if abs(step) < 1e-9:
            continue
        moved = CurvedPelvis(changed, curve_mm)
        for n in np.unique(points.bone):
            bone, own = BONES[n], points.bone == n
            out[own, column] = -moved.bone_mm(bone, points.lps_mm[own]) / step
    own = points.bone == BONES.index("sacrum")
    curved = CurvedPelvis(parameters, curve_mm + CURVE.step)
    out[own, -1] = -curved.bone_mm("sacrum", points.lps_mm[own]) / CURVE.step
    return out


def bounded(parameters: PhantomParameters, values: dict[str, float]) -> PhantomParameters:
    """The parameters with these values, each cut to its range, slope and tilt to what people have together."""
    cut = {n: float(np.clip(v, RANGES[n].low, RANGES[n].high)) for n, v in values.items()}
    slope = cut.get("sacral_slope_deg", parameters.sacral_slope_deg)
    tilt = cut.get("pelvic_tilt_deg", parameters.pelvic_tilt_deg)
    low, high, _ = INCIDENCE_DEG
    incidence = float(np.clip(slope + tilt, low, high))
    tilt = float(np.clip(incidence - slope, RANGES["pelvic_tilt_deg"].low, RANGES["pelvic_tilt_deg"].high))
    slope = incidence - tilt
    new: dict[str, Any] = {**cut, "sacral_slope_deg": slope, "pelvic_tilt_deg": tilt}
    return replace(parameters, **new)
