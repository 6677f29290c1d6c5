"""Reads the exact truth off an implicit pelvis: mouths, mid-surfaces, areas and landmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.optimize import brentq

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.plan import check_side
from sjplan.core.structures import LEVELS
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.facts import CanalTruth, ForamenTruth, JointTruth, PhantomTruth
from sjplan.phantom.truth.hip_marks import HipMarks, hip_marks
from sjplan.phantom.truth.view_angles import view_angles_deg

HIATUS_ABOVE_APEX_MM: Final = 10.0
"""The canal's axis is given down to the hiatus, so far above the tip of S5."""

JOINT_STEP_MM: Final = 1.0
"""Step of the joint's sampled mid-surface."""


def survey(pelvis: Pelvis) -> PhantomTruth:
    """Measure everything that a test may want to compare with."""
    foramina = tuple(
        _foramen(pelvis, level, side) for level in LEVELS for side in SIDES if level in pelvis.sacrum[side].ventral
    )
    marks = hip_marks(pelvis.hip)
    return PhantomTruth(
        pelvis=pelvis,
        parameters=pelvis.parameters,
        sacral_frame=pelvis.sacral_frame,
        foramina=foramina,
        canal=_canal(pelvis),
        joints={check_side(side): _joint(pelvis, side) for side in SIDES},
        landmarks=landmarks(pelvis, marks),
        view_angles_deg=view_angles_deg(pelvis, marks),
    )


def _foramen(pelvis: Pelvis, level: str, side: str) -> ForamenTruth:
    half, size = pelvis.sacrum[side], pelvis.parameters.size
    mirror = np.array((SIDE_SIGN[side], 1.0, 1.0))
    ventral, dorsal = half.ventral[level], half.dorsal[level]
    front, front_radius = _mouth(ventral, lambda p: half.solid_mm(p))
    back, back_radius = _mouth(dorsal, lambda p: half.solid_mm(p))
    return ForamenTruth(
        pelvis=pelvis,
        level=level,
        side=check_side(side),
        ventral_line_lps_mm=pelvis.lps_from_sacral(ventral.points_mm * mirror),
        ventral_radius_mm=ventral.radius_mm * size,
        dorsal_line_lps_mm=pelvis.lps_from_sacral(dorsal.points_mm * mirror),
        dorsal_radius_mm=dorsal.radius_mm * size,
        ventral_mouth_lps_mm=pelvis.lps_from_sacral(front * mirror),
        ventral_mouth_radius_mm=front_radius * size,
        dorsal_mouth_lps_mm=pelvis.lps_from_sacral(back * mirror),
        dorsal_mouth_radius_mm=back_radius * size,
    )


def _mouth(tube: Tube, solid_mm: Callable[[Array], Array]) -> tuple[Array, float]:
    """Where a centreline leaves the solid for the last time, and the radius there."""
    at = np.arange(len(tube.points_mm), dtype=np.float64)

    def point(t: float) -> Array:
        return np.array([np.interp(t, at, tube.points_mm[:, axis]) for axis in range(3)])

    inside = solid_mm(tube.points_mm) < 0
    last = int(np.flatnonzero(inside)[-1])
    t = float(brentq(lambda t: float(solid_mm(point(t)[None])[0]), last, last + 1))
    return point(t), float(np.interp(t, at, tube.radius_mm))


def _canal(pelvis: Pelvis) -> CanalTruth:
    form, curves = pelvis.forms.sacrum, pelvis.sacrum["left"].curves
    z = np.arange(0.0, form.apex_z_mm + HIATUS_ABOVE_APEX_MM, -1.0)
    axis = np.column_stack([np.zeros_like(z), curves.canal_y(z), z])
    size = pelvis.parameters.size
    return CanalTruth(
        pelvis, pelvis.lps_from_sacral(axis), curves.canal_half_width(z) * size, curves.canal_height(z) * size
    )  # fmt: skip


def _joint(pelvis: Pelvis, side: str) -> JointTruth:
    shape, size, step = pelvis.sacrum[side].joint, pelvis.parameters.size, JOINT_STEP_MM
    (y0, z0), (y1, z1) = shape.box()
    y, z = (a.ravel() for a in np.meshgrid(np.arange(y0, y1, step), np.arange(z0, z1, step), indexing="ij"))
    keep = pelvis.articular(side, y, z)
    y, z = y[keep], z[keep]
    mirror = np.array((SIDE_SIGN[side], 1.0, 1.0))
    normals = (shape.normal(y, z) * mirror) @ pelvis.sacral_frame.axes
    points = pelvis.lps_from_sacral(np.column_stack([shape.mid_x(y, z), y, z]) * mirror)
    area = float(shape.stretch(y, z).sum()) * (step * size) ** 2
    gap = shape.gap_mm * size
    return JointTruth(pelvis, check_side(side), gap, points, normals, unit(normals.mean(axis=0)), area)


def landmarks(pelvis: Pelvis, marks: HipMarks) -> dict[str, Array]:
    """The named landmarks in LPS mm, each on the surface that it belongs to."""
    half = pelvis.sacrum["left"]

    def on_sacrum(start: Array, direction: Array) -> Array:
        reach = brentq(lambda t: float(half.solid_mm((start + t * direction)[None])[0]), 0.0, 40.0)
        return np.asarray(start + reach * direction)

    back, up = np.array((0.0, 1.0, 0.0)), np.array((0.0, 0.0, 1.0))
    s2_z = 0.5 * sum(pelvis.forms.sacrum.foramen_z_mm[:2])
    s2_y = float(half.curves.canal_y(np.array(s2_z))) - 0.6 * half.curves.body_depth.at(s2_z)
    found = {
        "s1_endplate_centre": pelvis.lps_from_sacral(on_sacrum(np.array((0.0, 0.0, -15.0)), up)),
        "promontory": pelvis.lps_from_sacral(_promontory(half.solid_mm, on_sacrum)),
        "s2_anterior": pelvis.lps_from_sacral(on_sacrum(np.array((0.0, s2_y, s2_z)), -back)),
    }
    for name, point in marks.points_mm.items():
        mirror = np.array((SIDE_SIGN.get(name.rpartition("_")[2], 1.0), 1.0, 1.0))
        found[name] = pelvis.lps_from_pelvic(point * mirror)
    for side in SIDES:
        hip = pelvis.hip[side]
        found[f"notch_{side}"] = pelvis.lps_from_pelvic(hip.middle(hip.notch_apex()) * (SIDE_SIGN[side], 1.0, 1.0))
    return found


def _promontory(solid_mm: Callable[[Array], Array], on_sacrum: Callable[[Array, Array], Array]) -> Array:
    """The point of the midline that lies farthest up and forward: the front rim of the S1 endplate."""
    centre, angles = np.array((0.0, 0.0, -8.0)), np.deg2rad(np.arange(20.0, 90.0, 0.5))
    rays = np.column_stack([np.zeros_like(angles), -np.sin(angles), np.cos(angles)])
    reach = np.arange(0.0, 30.0, 0.25)
    inside = solid_mm((centre + reach[:, None, None] * rays).reshape(-1, 3)).reshape(len(reach), len(rays)) < 0
    rim = centre + reach[inside.sum(axis=0) - 1][:, None] * rays
    return on_sacrum(centre, rays[np.argmax(rim[:, 2] - rim[:, 1])])
