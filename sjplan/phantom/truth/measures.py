"""What tables of anatomy give of a pelvis, measured on the implicit shape: widths, heights, mouths, joints, angles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.structures import LEVELS
from sjplan.phantom.bones.joint import ANGLE_LEVELS_MM
from sjplan.phantom.truth.facts import PhantomTruth

_STEP_MM: Final = 1.0
_HALVINGS: Final = 6
_OUTSIDE_MM: Final = 90.0
_COCCYX_BESIDE_MM: Final = 6.5
"""S5 is wider than the coccyx by this on either side of the midline: its tip is looked for beside it."""

_BELOW_PLATE_MM: Final = 5.0
_PLATE_SHARES: Final = (0.15, 0.2, 0.25, 0.3, 0.35)
"""Depths of the body, from front to canal, at which its width is looked for: farther back the ala is as high."""

_FINE_MM: Final = 0.05
_PLATE_RIM_MM: Final = 3.5
_ALA_JOINS_MM: Final = 4.0
"""A body that grows so much wider from one depth to the next has met the ala."""
_ALA_X_MM: Final = (22.0, 36.0)
_LEVEL_HALF_MM: Final = 6.0
_PUBIS_X_MM: Final = 9.0
"""So far beside the midline the top of the pubis is looked for."""

Sdf = Callable[[Array], Array]


def pelvic_measures(truth: PhantomTruth) -> dict[str, float]:
    """Measures of one phantom by the names of `phantoms/targets.toml`, in mm, cm2 and degrees.

    Means of both sides where there are two; sacral ones along the axes of the S1 endplate. What needs a foramen that is
    closed on either side is left out.
    """
    return _sacrum(truth) | _foramina(truth) | _joints(truth) | _pelvis(truth)


def first_met_mm(inside_mm: Sdf, starts: Array, direction: Array, reach_mm: float) -> Array:
    """How far rays go before they first meet a shape, (n,) mm; NaN where they do not.

    Examples
    --------
    >>> ball = lambda p: np.linalg.norm(p, axis=1) - 4.0
    >>> first_met_mm(ball, np.array([[-9.0, 0, 0], [-9.0, 6, 0]]), np.array([1.0, 0, 0]), 20.0).round(1).tolist()
    [5.0, nan]
    """
    steps = np.arange(0.0, reach_mm + _STEP_MM, _STEP_MM)
    met = inside_mm((starts[:, None] + steps[:, None] * direction).reshape(-1, 3)).reshape(len(starts), -1) < 0
    high = steps[np.argmax(met, axis=1)]
    low = np.maximum(high - _STEP_MM, 0.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        hit = inside_mm(starts + middle[:, None] * direction) < 0
        low, high = np.where(hit, low, middle), np.where(hit, middle, high)
    return np.asarray(np.where(met.any(axis=1), high, np.nan))


def _sacrum(truth: PhantomTruth) -> dict[str, float]:
    pelvis, size = truth.pelvis, truth.parameters.size

    def solid(points: Array) -> Array:
        return pelvis.solid_sacrum_mm(pelvis.lps_from_sacral(points))

    promontory, centre = (pelvis.sacral_mm(truth.landmarks[n][None])[0] for n in ("promontory", "s1_endplate_centre"))
    level = float(centre[2]) - _BELOW_PLATE_MM
    front = -_OUTSIDE_MM + _first(solid, (0.0, -_OUTSIDE_MM, level), (0.0, 1.0, 0.0))
    canal = float(pelvis.sacral_mm(truth.canal.axis_lps_mm)[0, 1]) - 0.5 * float(truth.canal.height_mm[0]) / size
    y, z = (a.ravel() for a in np.meshgrid(np.arange(-25.0, 60.0, 2.0), np.arange(-80.0, 0.0, 2.0), indexing="ij"))
    half_widths, half_plates, apex = [], [], []
    for side in SIDES:
        sign = SIDE_SIGN[side]
        inward = np.array([-sign, 0.0, 0.0])
        starts = np.column_stack([np.full_like(y, sign * _OUTSIDE_MM), y, z])
        half_widths.append(_OUTSIDE_MM - np.nanmin(first_met_mm(solid, starts, inward, _OUTSIDE_MM)))
        half_plates.append(_plate_half_width_mm(solid, sign, front, canal - front, level + _PLATE_RIM_MM))
        below = np.array([(sign * _COCCYX_BESIDE_MM, back, -140.0) for back in np.arange(-25.0, 20.0, 1.0)])
        rise = first_met_mm(solid, below, np.array([0.0, 0.0, 1.0]), _OUTSIDE_MM)
        apex.append(below[int(np.nanargmin(rise))] + (0.0, 0.0, np.nanmin(rise)))
    tip = np.mean(apex, axis=0) * (0.0, 1.0, 1.0)
    return {
        "sacral_width_mm": float(np.sum(half_widths)) * size,
        "sacral_height_mm": float(np.linalg.norm(promontory - tip)) * size,
        "s1_body_width_mm": float(np.sum(half_plates)) * size,
        "s1_body_depth_mm": (canal - front) * size,
        "canal_s1_width_mm": 2.0 * float(truth.canal.half_width_mm[0]),
        "canal_s1_height_mm": float(truth.canal.height_mm[0]),
    }


def _plate_half_width_mm(solid: Sdf, sign: float, front: float, depth: float, level: float) -> float:
    """From the midline outwards to where the body ends, at its widest before the ala joins it."""
    x = np.arange(0.0, _OUTSIDE_MM / 2.0, _FINE_MM)
    widest = 0.0
    for share in _PLATE_SHARES:
        p = np.column_stack([sign * x, np.full_like(x, front + share * depth), np.full_like(x, level)])
        half_width = float(x[np.argmax(solid(p) >= 0)])
        if widest and half_width > widest + _ALA_JOINS_MM:
            break
        widest = max(widest, half_width)
    return widest


def _first(inside_mm: Sdf, start: tuple[float, float, float], direction: ArrayLike) -> float:
    """How far one ray goes, mm; it may pass the middle and meet what lies on the far side."""
    way = np.asarray(direction, dtype=np.float64)
    return float(first_met_mm(inside_mm, np.array([start]), way, 2.0 * _OUTSIDE_MM)[0])


def _foramina(truth: PhantomTruth) -> dict[str, float]:
    """Diameters and distances of the mouths; the isthmus of the ala between the S1 tunnel's roof and the ala's top."""
    found: dict[str, float] = {}
    mouths: dict[tuple[str, str], Array] = {}
    for level in LEVELS:
        both = [f for f in (truth.foramen(level, side) for side in SIDES) if f is not None]
        if len(both) < len(SIDES):
            continue
        ventral = [truth.pelvis.sacral_frame.frame_from_lps(f.ventral_mouth_lps_mm) for f in both]
        dorsal = [truth.pelvis.sacral_frame.frame_from_lps(f.dorsal_mouth_lps_mm) for f in both]
        mouths[level, "ventral"] = np.mean(ventral * np.array([[SIDE_SIGN[side], 1.0, 1.0] for side in SIDES]), axis=0)
        key = level.lower()
        found[f"ventral_{key}_mm"] = 2.0 * float(np.mean([f.ventral_mouth_radius_mm for f in both]))
        found[f"dorsal_{key}_mm"] = 2.0 * float(np.mean([f.dorsal_mouth_radius_mm for f in both]))
        found[f"between_ventral_{key}_mm"] = float(
            np.sum([abs(p[0]) - f.ventral_mouth_radius_mm for p, f in zip(ventral, both, strict=True)])
        )
        found[f"dorsal_{key}_from_midline_mm"] = float(np.mean([abs(p[0]) for p in dorsal]))
    if ("S1", "ventral") in mouths and ("S2", "ventral") in mouths:
        found["s1_to_s2_mm"] = float(np.linalg.norm(mouths["S1", "ventral"] - mouths["S2", "ventral"]))
    if ("S1", "ventral") in mouths:
        found |= _isthmus(truth, found["ventral_s1_mm"])
    return found


def _isthmus(truth: PhantomTruth, s1_diameter_mm: float) -> dict[str, float]:
    """Height and width of the ala's narrowest sagittal section beside the body, above the S1 tunnel."""
    pelvis, size = truth.pelvis, truth.parameters.size
    heights, widths = [], []
    for side in SIDES:
        sign = SIDE_SIGN[side]
        f = truth.foramen("S1", side)
        assert f is not None
        roof = float(pelvis.sacral_mm(f.ventral_mouth_lps_mm[None])[0, 2]) + 0.5 * s1_diameter_mm / size

        def solid(points: Array) -> Array:
            return pelvis.solid_sacrum_mm(pelvis.lps_from_sacral(points))

        sections = []
        for x in np.arange(*_ALA_X_MM, 2.0):
            tops = np.array([(sign * x, back, 30.0) for back in np.arange(-10.0, 40.0, 2.0)])
            height = 30.0 - first_met_mm(solid, tops, np.array([0.0, 0.0, -1.0]), 60.0) - roof
            if not (height > 4.0).any():
                continue
            middle = roof + 0.5 * float(np.nanmedian(height[height > 4.0]))
            front = -_OUTSIDE_MM + _first(solid, (sign * x, -_OUTSIDE_MM, middle), (0.0, 1.0, 0.0))
            back = _OUTSIDE_MM - _first(solid, (sign * x, _OUTSIDE_MM, middle), (0.0, -1.0, 0.0))
            at = float(np.interp(0.5 * (front + back), tops[:, 1], np.nan_to_num(height)))
            if np.isfinite(at * (back - front)):
                sections.append((at * (back - front), at, back - front))
        if not sections:
            return {}
        _, height_mm, width_mm = min(sections)
        heights.append(height_mm * size)
        widths.append(width_mm * size)
    return {"ala_isthmus_height_mm": float(np.mean(heights)), "ala_isthmus_width_mm": float(np.mean(widths))}


def _joints(truth: PhantomTruth) -> dict[str, float]:
    """Area and gap; angles to the sagittal plane in sections square to the endplate's normal, at three levels."""
    found = {
        "joint_area_cm2": float(np.mean([j.area_mm2 for j in truth.joints.values()])) / 100.0,
        "joint_gap_mm": float(np.mean([j.gap_mm for j in truth.joints.values()])),
    }
    axes = truth.sacral_frame.axes
    for name, level in zip(("caudal", "middle", "cranial"), ANGLE_LEVELS_MM, strict=True):
        angles = []
        for joint in truth.joints.values():
            z = truth.pelvis.sacral_mm(joint.points_lps_mm)[:, 2]
            normal = joint.normals[np.abs(z - level) <= _LEVEL_HALF_MM] @ axes.T
            if len(normal):
                angles.append(np.degrees(np.arctan2(-normal[:, 1], np.abs(normal[:, 0]))).mean())
        if angles:
            found[f"joint_angle_{name}_deg"] = float(np.mean(angles))
    return found


def _pelvis(truth: PhantomTruth) -> dict[str, float]:
    """Pelvic incidence, sacral slope, and the anterior pelvic plane."""
    pelvis, marks = truth.pelvis, truth.landmarks
    centres = [pelvis.hip[side].form.centre_mm * np.array([SIDE_SIGN[side], 1.0, 1.0]) for side in SIDES]
    hips = pelvis.lps_from_pelvic(centres).mean(axis=0)
    plate = -truth.sacral_frame.cranial
    incidence = np.degrees(np.arccos(np.clip(unit(hips - marks["s1_endplate_centre"]) @ plate, -1.0, 1.0)))
    spines = marks["asis_left"], marks["asis_right"]
    symphysis = pelvis.pelvic_mm(marks["symphysis"][None])[0]

    def pubis(points: Array) -> Array:
        return pelvis.bone_mm("hip_left", pelvis.lps_from_pelvic(points))

    drop = _first(pubis, (_PUBIS_X_MM, symphysis[1], symphysis[2] + 60.0), (0.0, 0.0, -1.0))
    top = pelvis.lps_from_pelvic([[0.0, symphysis[1], symphysis[2] + 60.0 - drop]])[0]
    return {
        "pelvic_incidence_deg": float(incidence),
        "sacral_slope_deg": truth.parameters.sacral_slope_deg,
        "asis_width_mm": float(np.linalg.norm(spines[0] - spines[1])),
        "app_height_mm": float(np.linalg.norm(0.5 * (spines[0] + spines[1]) - top)),
    }
