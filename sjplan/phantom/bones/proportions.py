"""From parameters to forms: how sacrum, joint and hip bones change when one of their measures does.

Each form is given once, for the measures in `REFERENCE`; a parameter moves the stations, levels and places that belong
to it and leaves the others where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.interpolate import PchipInterpolator

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.phantom.bones.hip_form import ADULT_HIP, REFERENCE_SLOPE_DEG, HipForm, Limb
from sjplan.phantom.bones.joint import ADULT_JOINT, JointForm, JointShape
from sjplan.phantom.bones.sacral_rows import ADULT_SACRUM
from sjplan.phantom.bones.sacrum_form import Row, SacrumForm, Table
from sjplan.phantom.parameters import PhantomParameters

REFERENCE: Final = {
    "sacral_width_mm": 121.0,
    "sacral_height_mm": 121.1,
    "s1_body_width_mm": 49.1,
    "s1_body_depth_mm": 31.2,
    "s1_to_s2_mm": 28.1,
    "canal_width_mm": 31.2,
    "canal_depth_mm": 14.5,
    "interforaminal_mm": 34.2,
    "dorsal_distance_mm": 23.9,
    "ala_height_mm": 23.5,
    "ala_depth_mm": 30.2,
    "joint_angle_deg": 26.6,
    "asis_width_mm": 214.7,
    "hip_distance_mm": 173.4,
    "app_height_mm": 75.0,
    "iliac_height_mm": 131.3,
}
"""What the forms measure as they are given (means over nine pelves, see `sacral_rows` and `hip_form`)."""

BODY_EDGE_MM: Final = 24.0
JOINT_X_MM: Final = 50.0
"""Where across the sacrum a wider body or a wider sacrum takes full effect."""

ALA_DEPTH_SHARE: Final = 1.35
"""The narrowest section does not lie where the ala's front moves most: so much more it has to move."""

AREA_STEP_MM: Final = 1.0
AREA_HALVINGS: Final = 24
LIMB_HALF_WIDTH_MM: Final = (4.0, 20.0)
"""Within this half of the limbs' width is found that gives the joint's area."""


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of one set of parameters, hip bones by side, and the angle under which the endplate sees the hips."""

    sacrum: SacrumForm
    joint: JointForm
    hip: Mapping[str, HipForm]

    @property
    def hips_ahead_deg(self) -> float:
        """Angle at the endplate between straight down and the hip centres, in the frame of the hip's form."""
        _, y, z = self.hip["left"].centre_mm
        return float(np.degrees(np.arctan2(-y, -z)))


def forms_of(
    parameters: PhantomParameters,
    sacrum: SacrumForm = ADULT_SACRUM,
    joint: JointForm = ADULT_JOINT,
    hip: HipForm = ADULT_HIP,
) -> Forms:
    """Forms of sacrum, joint and hip bones.

    Examples
    --------
    >>> narrow, wide = (forms_of(PhantomParameters(sacral_width_mm=width)).joint for width in (105.0, 115.0))
    >>> round(wide.half_width_mm[0] - narrow.half_width_mm[0], 1)
    5.0
    """
    change = {name: getattr(parameters, name) - value for name, value in REFERENCE.items()}
    level = _levels(parameters, sacrum)
    moved_joint = _joint(parameters, joint, change, level)
    hips = {side: _hip(parameters, side, hip, change, level) for side in SIDES}
    return Forms(_sacrum(parameters, sacrum, change, level), moved_joint, hips)


_LEAST_LOWER_SHARE: Final = 0.66
"""The sacrum below S2 is at least this share of the form's (default): S3 and S4 are then some 14 mm apart."""


class _levels:
    """Height in the finished sacrum of a height in the form: S1 to S2 and the whole length as asked, if both can be."""

    def __init__(self, parameters: PhantomParameters, form: SacrumForm) -> None:
        stretch = parameters.sacral_height_mm / REFERENCE["sacral_height_mm"]
        s1, s2 = form.foramen_z_mm[:2]
        upper = s1 * (0.5 + 0.5 * stretch)
        middle = upper + (s2 - s1) * parameters.s1_to_s2_mm / REFERENCE["s1_to_s2_mm"]
        apex = form.apex_z_mm * stretch
        # A short sacrum keeps room for S3 to S5: S1 and S2 lie no farther apart than leaves it.
        middle = max(middle, apex - _LEAST_LOWER_SHARE * (form.apex_z_mm - s2))
        at = (form.apex_z_mm - 40.0, form.apex_z_mm, s2, s1, 0.0, 60.0)
        self._curve = PchipInterpolator(at, (apex - 40.0, apex, middle, upper, 0.0, 60.0), extrapolate=True)

    def __call__(self, z: Any) -> Array:
        return np.asarray(self._curve(np.asarray(z, dtype=np.float64)))

    def row(self, z: Row) -> Row:
        return tuple(float(v) for v in self(z))


def _sacrum(p: PhantomParameters, form: SacrumForm, change: dict[str, float], level: _levels) -> SacrumForm:
    wider, broader = change["sacral_width_mm"] / 2.0, change["s1_body_width_mm"] / 2.0
    x = np.array(form.station_x_mm)
    knots = (0.0, BODY_EDGE_MM, JOINT_X_MM, 90.0)
    # Lower bodies follow the first by half: stations are moved for all levels alike.
    stations = PchipInterpolator(knots, (0.0, BODY_EDGE_MM + 0.75 * broader, JOINT_X_MM + wider, 90.0 + wider))(x)
    near_s1 = np.clip(np.interp(form.level_z_mm, (-85.0, -30.0), (0.0, 1.0)), 0.0, 1.0)
    in_body = np.interp(x, (BODY_EDGE_MM - 6.0, BODY_EDGE_MM + 10.0), (1.0, 0.0))
    deeper, canal = change["s1_body_depth_mm"], change["canal_depth_mm"] * np.interp(
        form.level_z_mm, form.midline_z_mm, np.array(form.canal_depth_mm) / form.canal_depth_mm[-1]
    )  # fmt: skip
    front = np.array(form.front_y_mm) - 0.5 * deeper * np.outer(near_s1, in_body)
    thinner_ala = np.interp(form.level_z_mm, (-60.0, -38.0), (0.0, 1.0))
    front -= ALA_DEPTH_SHARE * change["ala_depth_mm"] * np.outer(thinner_ala, 1.0 - in_body)
    behind = np.interp(x, (JOINT_X_MM - 22.0, JOINT_X_MM), (1.0, 0.0))
    back = np.array(form.back_y_mm) + np.outer(0.5 * deeper * near_s1 + canal, behind)
    rise = change["ala_height_mm"] + float(level(form.foramen_z_mm[0])) - form.foramen_z_mm[0]
    top = np.array(form.top_z_mm) + rise * np.interp(x, (8.0, 20.0), (0.0, 1.0))[:, None]
    top = _dysmorphic_top(p, form, top)
    share = {name: 1.0 + change[name] / REFERENCE[name] for name in change}
    near = np.interp(form.midline_z_mm, (-85.0, -30.0), (0.0, 1.0))
    edge = form.ventral_x_mm[0] - form.ventral_radius_mm[0]
    inner = (edge + change["interforaminal_mm"] / 2.0) / edge
    ventral = tuple((v - r) * inner + r for v, r in zip(form.ventral_x_mm, form.ventral_radius_mm, strict=True))
    shift = np.array((0.0, 0.5 * deeper + change["canal_depth_mm"], 0.0))
    return replace(
        form,
        station_x_mm=tuple(stations.tolist()),
        level_z_mm=level.row(form.level_z_mm),
        front_y_mm=_table(front),
        back_y_mm=_table(back),
        top_z_mm=_table(top),
        midline_z_mm=level.row(form.midline_z_mm),
        body_depth_mm=tuple((np.array(form.body_depth_mm) + deeper * near).tolist()),
        canal_depth_mm=_times(form.canal_depth_mm, share["canal_depth_mm"]),
        canal_half_width_mm=_times(form.canal_half_width_mm, share["canal_width_mm"]),
        lateral_z_mm=level.row(form.lateral_z_mm),
        lateral_x_mm=_times(form.lateral_x_mm, share["sacral_width_mm"]),
        foramen_z_mm=level.row(form.foramen_z_mm),
        ventral_x_mm=ventral,
        ventral_radius_mm=_times(form.ventral_radius_mm, p.foramen_scale),
        dorsal_x_mm=_times(form.dorsal_x_mm, share["dorsal_distance_mm"]),
        dorsal_radius_mm=_times(form.dorsal_radius_mm, p.foramen_scale),
        oval=p.variants.foramen_oval,
        endplate_half_mm=(form.endplate_half_mm[0] + broader, form.endplate_half_mm[1] + 0.5 * deeper),
        facet_mm=tuple(tuple((np.array(f) + shift).tolist()) for f in form.facet_mm),  # type: ignore[arg-type]
        spine_z_mm=level.row(form.spine_z_mm),
        apex_z_mm=float(level(form.apex_z_mm)),
    )


def _dysmorphic_top(p: PhantomParameters, form: SacrumForm, top: Array) -> Array:
    """The ala's top steeper, falling in front, and with mammillary bodies behind."""
    x, y = np.array(form.station_x_mm), np.array(form.top_y_mm)
    on_ala = np.interp(x, (16.0, 28.0), (0.0, 1.0))
    fall = np.tan(np.deg2rad(p.variants.alar_slope_deg)) * np.maximum(24.0 - y, 0.0)
    bump = np.exp(-(((x[:, None] - 34.0) / 9.0) ** 2 + ((y[None, :] - 24.0) / 8.0) ** 2))
    return np.asarray(top - np.outer(on_ala, fall) + p.variants.mammillary_mm * bump)


def _joint(p: PhantomParameters, form: JointForm, change: dict[str, float], level: _levels) -> JointForm:
    corner, cranial, caudal = ((y, float(level(z))) for y, z in (form.corner, form.cranial_end, form.caudal_end))
    share = 1.0 + change["joint_angle_deg"] / REFERENCE["joint_angle_deg"]
    moved = replace(
        form,
        width_z_mm=level.row(form.width_z_mm),
        half_width_mm=tuple(w + change["sacral_width_mm"] / 2.0 for w in form.half_width_mm),
        angle_deg=_times(form.angle_deg, share),
        ridge_mm=form.ridge_mm + p.variants.tongue_in_groove_mm,
        corner=corner,
        cranial_end=cranial,
        caudal_end=caudal,
    )
    return _with_area(moved, p.joint_area_cm2)


def _with_area(form: JointForm, area_cm2: float) -> JointForm:
    """The form whose auricular outline has this area on the mid-surface, by halving."""
    low, high = LIMB_HALF_WIDTH_MM
    widest = JointShape(1.0, 0.0, replace(form, limb_half_width_mm=high))
    (y0, z0), (y1, z1) = widest.box()
    y, z = (a.ravel() for a in np.meshgrid(np.arange(y0, y1, AREA_STEP_MM), np.arange(z0, z1, AREA_STEP_MM)))
    stretch, outline = widest.stretch(y, z), widest.outline(y, z) + high
    for _ in range(AREA_HALVINGS):
        middle = 0.5 * (low + high)
        # Smooth in the width: each place counts by how far it lies within the outline.
        area = float((stretch * np.clip(0.5 + (middle - outline) / AREA_STEP_MM, 0.0, 1.0)).sum()) * AREA_STEP_MM**2
        low, high = (middle, high) if area < 100.0 * area_cm2 else (low, middle)
    return replace(form, limb_half_width_mm=0.5 * (low + high))


PIVOT_Z_MM: Final = -49.0
"""Height of the ASIS in the hip's form: above it the wing is stretched, below it what leads to hip and pubis."""

HIP_Z_MM: Final = -95.6

PUBIS_Z_MM: Final = -112.0
"""Height of the top of the pubis in the hip's form: ischium and lower rami hang below it at their own length."""


def _hip(p: PhantomParameters, side: str, form: HipForm, change: dict[str, float], level: _levels) -> HipForm:
    lower = p.app_height_mm / REFERENCE["app_height_mm"]
    shaft = (PIVOT_Z_MM - HIP_Z_MM) * lower
    upper = (p.iliac_height_mm - shaft) / (REFERENCE["iliac_height_mm"] - (PIVOT_Z_MM - HIP_Z_MM))
    farther = SIDE_SIGN[side] * p.wing_asymmetry_mm / REFERENCE["asis_width_mm"]
    at_asis = p.asis_width_mm / REFERENCE["asis_width_mm"] + farther
    at_hip = p.hip_distance_mm / REFERENCE["hip_distance_mm"] + 0.5 * farther
    wider = change["sacral_width_mm"] / 2.0

    def moved(x: float, y: float, z: float, weight: float) -> tuple[float, float, float]:
        free = 1.0 - weight
        share = float(np.interp(z, (HIP_Z_MM, PIVOT_Z_MM), (at_hip, at_asis)))
        up = PIVOT_Z_MM + (max(z, PUBIS_Z_MM) - PIVOT_Z_MM) * (upper if z > PIVOT_Z_MM else lower)
        up += min(z - PUBIS_Z_MM, 0.0)
        a = np.deg2rad(REFERENCE_SLOPE_DEG)
        sz = -np.sin(a) * y + np.cos(a) * z
        lift = float(level(sz)) - sz
        return (
            x * (1.0 + free * (share - 1.0)) + weight * wider,
            y - weight * np.sin(a) * lift,
            z + free * (up - z) + weight * np.cos(a) * lift,
        )

    def outline(row: tuple[float, float, float]) -> tuple[float, float, float]:
        _, y, z = moved(0.0, row[0], row[1], row[2])
        return y, z, row[2]

    def blade(row: tuple[float, float, float, float, float]) -> tuple[float, float, float, float, float]:
        x, y, z = moved(row[2], row[0], row[1], row[4])
        return y, z, x, row[3], row[4]

    limbs = tuple(Limb(n.name, tuple(moved(*q, 0.0) for q in n.points_mm), n.radii_mm) for n in form.limbs)
    thick_z, thick = form.thickness_at_joint
    return replace(
        form,
        centre_mm=moved(*form.centre_mm, 0.0),
        outline=tuple(outline(row) for row in form.outline),
        blade=tuple(blade(row) for row in form.blade),
        limbs=limbs,
        notch_chord=tuple(outline(row) for row in form.notch_chord),  # type: ignore[arg-type]
        thickness_at_joint=(level.row(thick_z), thick),
    )


def _times(row: Row, factor: float) -> Row:
    return tuple(v * factor for v in row)


def _table(values: Array) -> Table:
    return tuple(tuple(row) for row in values.tolist())
