"""What the bones are made of: spongy bone by site, shells by site and by the way they face, age and wear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.grid import Grid
from sjplan.phantom.bones.shapes import smooth_step
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.sampling import STEEPEST, Band
from sjplan.phantom.tissue.bone_paint import GRAIN, HU_IN, HU_OUT, SPONGY, THICK_IN, THICK_OUT, BoneSites
from sjplan.phantom.tissue.lattice import Lattice
from sjplan.phantom.tissue.texture import grain_axes

SITE_STEP_MM: Final = 4.0
"""Step of the lattice on which sites are given: what varies by site varies over more than this (default)."""

LEVEL_Z_MM: Final = (-100.0, -72.0, -44.0, -14.0)
"""Middles of S4, S3, S2 and S1 in the sacral frame, at 26.5 mm from the S1 to the S2 foramen (default)."""

BODY_HU: Final = (110.0, 150.0, 192.0, 280.0)
ALA_HU: Final = (60.0, 55.0, 60.0, 103.0)
"""Spongy bone of bodies and of ala and lateral mass at these levels: S1 and S2 NAKAM, below default."""

ANTERIOR_ILIUM_HU: Final = ((-44.0, -14.0), (230.0, 255.0))
POSTERIOR_ILIUM_HU: Final = 154.0
"""Spongy bone of the ilium in front of the joint's middle at S2 and S1, and behind it (NAKAM)."""

ISCHIUM_HU, PUBIS_HU, L5_HU = 150.0, 120.0, 160.0
"""Default; L5: the lower end of normal in the lumbar spine (Pickhardt, recalled in CLINICAL 4.5)."""

ROOF_HU: Final = 130.0
"""How much denser the bone above the socket is than the ilium round it (default)."""

REFERENCE_AGE: Final = 45.0
AGE_HU_PER_YEAR: Final = 2.1
"""Spongy bone loses 2.0 to 2.5 HU a year in L1 (CLINICAL 4.5, recalled); the age at which the values hold: default."""

ALA_LOSS: Final = 1.25
"""How much faster the ala loses after that age than the rest (RICH10 and JOR14 say that it does; factor default)."""

MARROW_HU: Final = -60.0
"""What spongy bone without trabeculae would show: fatty marrow with some water (default)."""

SHELL_LOSS_PER_YEAR: Final = 0.004
"""Share of the shell's thickness lost a year after the reference age (uniform thinning: RICH10; rate default)."""

SCLEROSIS_HU: Final = (420.0, 240.0)
SCLEROSIS_DEPTH_MM: Final = 7.0
"""Marked sclerosis beside the joint, on its iliac and sacral side, and how deep it reaches (iliac more: RAD84;
amounts default)."""

SUBCHONDRAL_HU: Final = (150.0, 70.0)
SUBCHONDRAL_DEPTH_MM: Final = 4.0
"""How much denser spongy bone is just behind the iliac and the sacral joint face than deeper (default)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Points in all the frames that densities are given in, x to the side of the body that each lies on."""

    sacral: Array
    pelvic: Array
    side: Array
    joint_mm: Array
    outline_mm: Array

    @classmethod
    def of(cls, pelvis: Pelvis, points_lps_mm: Array, joint: bool) -> _Places:
        s, q = pelvis.sacral_mm(points_lps_mm), pelvis.pelvic_mm(points_lps_mm)
        side = np.where(q[:, 0] >= 0, 1.0, -1.0)
        across, outline = np.full((2, len(q)), 99.0)
        for name, sign in SIDE_SIGN.items() if joint else ():
            mine, shape = side == sign, pelvis.sacrum[name].joint
            y, z = s[mine, 1], s[mine, 2]
            across[mine] = (s[mine, 0] * sign - shape.mid_x(y, z)) / shape.stretch(y, z)
            outline[mine] = shape.outline(y, z)
        mirror = np.column_stack([side, np.ones_like(side), np.ones_like(side)])
        return cls(s * mirror, q * mirror, side, across, outline)

    def beside_joint(self, depth_mm: float) -> Array:
        """1 at the articular faces, fading with depth and off the articular part."""
        on = 1.0 - smooth_step((self.outline_mm + 1.0) / 6.0)
        return np.asarray(on * np.exp(-np.maximum(np.abs(self.joint_mm) - 1.0, 0.0) / depth_mm))


def bone_sites(pelvis: Pelvis, bone: str, band: Band, grid: Grid) -> BoneSites:
    """Sites of one bone on a lattice round it; only points in or near the bone are worked out.

    Parameters
    ----------
    pelvis : Pelvis
        Whose bone.
    bone : str
        One of `BONES`.
    band : Band
        Its distances on a grid.
    grid : Grid
        That grid, along the scanner's axes.

    Returns
    -------
    BoneSites
        For `paint_bone`.
    """
    last = np.array(band.distance_mm.shape) - 1
    low, high = grid.lps_from_ijk(band.start), grid.lps_from_ijk(band.start + last)
    lattice = Lattice.over(low, high, SITE_STEP_MM)
    points = lattice.points_lps_mm()
    nearest = np.clip(np.rint((points - low) / grid.spacing_mm).astype(np.int64), 0, last)
    # Every corner of a cell that holds bone, allowing for the step to the nearest voxel.
    reach = STEEPEST * (np.sqrt(3.0) * SITE_STEP_MM + float(np.linalg.norm(grid.spacing_mm)))
    near = np.flatnonzero(band.distance_mm[tuple(nearest.T)] < reach)
    values = np.zeros((len(points), 6), dtype=np.float32)
    values[near] = site_values(pelvis, bone, points[near])
    kind = bone.split("_")[0]
    return BoneSites(
        lattice,
        values.reshape((*lattice.shape, 6)),
        pelvis.pelvic_frame.axes[:2],
        (0.85, 0.53) if kind == "hip" else (1.0, 0.0),
        pelvis.lps_from_pelvic(np.zeros((1, 3)))[0],
        _grain(pelvis, bone),
    )


def site_values(pelvis: Pelvis, bone: str, points_lps_mm: Array) -> Array:
    """Columns of `BoneSites.values` (n, 6) at LPS points: thickness in mm of the finished pelvis.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> pelvis = Pelvis(PhantomParameters())
    >>> site_values(pelvis, "sacrum", pelvis.lps_from_sacral([[0.0, 0.0, -14.0]]))[0, SPONGY].round()
    np.float64(280.0)
    """
    kind = bone.split("_")[0]
    places = _Places.of(pelvis, points_lps_mm, joint=kind in ("hip", "sacrum"))
    out = _KINDS[kind](pelvis, places)
    habitus, variants = pelvis.parameters.habitus, pelvis.parameters.variants
    past = habitus.age_years - REFERENCE_AGE
    loss = AGE_HU_PER_YEAR * past * (out[:, GRAIN] if past > 0 else 1.0)
    spongy = np.maximum(out[:, SPONGY] - loss - MARROW_HU, 15.0)
    if kind in ("hip", "sacrum"):
        spongy = spongy + SUBCHONDRAL_HU[kind == "sacrum"] * places.beside_joint(SUBCHONDRAL_DEPTH_MM)
    out[:, SPONGY] = spongy * habitus.bone_density + MARROW_HU
    thin = np.clip(1.0 - SHELL_LOSS_PER_YEAR * past, 0.7, 1.08) * (0.7 + 0.3 * min(habitus.bone_density, 1.2))
    out[:, [THICK_OUT, THICK_IN]] *= thin * pelvis.parameters.size
    out[:, [HU_OUT, HU_IN]] *= 0.88 + 0.12 * min(habitus.bone_density, 1.2)
    if kind in ("hip", "sacrum"):
        grade = np.where(places.side > 0, variants.sclerosis_left, variants.sclerosis_right)
        # Sclerosis is patchy in front and most marked on the ilium's side of the joint's front edge.
        front = 0.55 + 0.45 * (1.0 - smooth_step((places.sacral[:, 1] - 4.0) / 16.0))
        beside = places.beside_joint(SCLEROSIS_DEPTH_MM) * front * grade
        out[:, SPONGY] += SCLEROSIS_HU[kind == "sacrum"] * beside
    out[:, GRAIN] = 26.0 + 0.15 * np.maximum(out[:, SPONGY] - MARROW_HU, 0.0)
    return out


def _rows(n: int, thick: float, hu: float) -> Array:
    """Sites with an even shell; GRAIN holds the factor of the loss by age until the texture is known."""
    out = np.ones((n, 6))
    out[:, [THICK_OUT, THICK_IN]] = thick
    out[:, [HU_OUT, HU_IN]] = hu
    return out


def _sacrum(pelvis: Pelvis, at: _Places) -> Array:
    p, s = pelvis.parameters, at.sacral
    z = s[:, 2] * (26.5 / p.s1_to_s2_mm)
    half_body = p.s1_body_width_mm / 2.0 * np.interp(z, (-100.0, -44.0, 0.0), (0.38, 0.62, 1.0))
    lateral = smooth_step((s[:, 0] - 0.72 * half_body) / 11.0)
    body, ala = np.interp(z, LEVEL_Z_MM, BODY_HU), np.interp(z, LEVEL_Z_MM, ALA_HU)
    out = _rows(len(s), 1.1, 1150.0)
    out[:, SPONGY] = body + (ala - body) * lateral
    out[:, GRAIN] = 1.0 + (ALA_LOSS - 1.0) * lateral
    # Laminae and articular processes behind the canal are compact; ala's shell 0.8 to 1.5 mm (CLINICAL 4.4).
    behind = 1.0 - smooth_step((pelvis_canal_depth(pelvis, s) + 3.0) / 8.0)
    out[:, SPONGY] += (230.0 - out[:, SPONGY]) * 0.6 * behind * (1.0 - lateral)
    out[:, [THICK_OUT, THICK_IN]] += (0.45 * behind - 0.15 * lateral)[:, None]
    face = at.beside_joint(3.0)
    out[:, THICK_OUT] = out[:, THICK_OUT] * (1.0 - face) + 1.15 * face
    return out


def pelvis_canal_depth(pelvis: Pelvis, sacral: Array) -> Array:
    """How far in front of the canal's middle points of the sacral frame lie (mm at size 1, negative behind it)."""
    probe = np.linspace(-10.0, 60.0, 36)
    levels = np.linspace(-110.0, 0.0, 23)
    y, z = np.meshgrid(probe, levels, indexing="ij")
    line = np.column_stack([np.zeros(y.size), y.ravel(), z.ravel()])
    inside = pelvis.canal_mm(pelvis.lps_from_sacral(line)).reshape(y.shape)
    middle = probe[np.argmin(inside, axis=0)]
    return np.asarray(np.interp(sacral[:, 2], levels, middle) - sacral[:, 1])


def _hip(pelvis: Pelvis, at: _Places) -> Array:
    s, q = at.sacral, at.pelvic
    centre = np.asarray(pelvis.hip["left"].form.centre_mm)
    from_head = q - centre
    r = np.linalg.norm(from_head, axis=1)
    out = _rows(len(q), 1.5, 1250.0)
    back = smooth_step((s[:, 1] + 4.0) / 30.0)
    front = np.interp(s[:, 2], *ANTERIOR_ILIUM_HU)
    spongy = front + (POSTERIOR_ILIUM_HU - front) * back
    below = smooth_step((centre[2] - 8.0 - q[:, 2]) / 25.0)
    ischium = smooth_step((from_head[:, 1] - 4.0) / 20.0)
    low = PUBIS_HU + (ISCHIUM_HU - PUBIS_HU) * ischium
    spongy = spongy + (low - spongy) * below
    toward = (from_head @ unit((0.15, 0.25, 0.95))) / np.maximum(r, 1e-6)
    roof = np.exp(-(((r - 30.0) / 9.0) ** 2)) * smooth_step((toward - 0.35) / 0.5)
    corner = _joint_corner(pelvis, "left")
    bundle = np.exp(-((_segment_mm(q, corner, centre + np.array((-8.0, 8.0, 34.0))) / 9.0) ** 2))
    out[:, SPONGY] = spongy + ROOF_HU * roof + 60.0 * bundle
    # Outer table 1.5 to 3 mm, thickest in the pillar above the socket; inner 1 to 2 mm (CLINICAL 4.4, recalled).
    low, high = centre + np.array((8.0, -2.0, 30.0)), centre + np.array((34.0, -10.0, 150.0))
    pillar = np.exp(-((_segment_mm(q, low, high) / 16.0) ** 2))
    out[:, THICK_OUT] = 1.9 + 0.9 * pillar + 0.5 * roof - 0.3 * back
    out[:, THICK_IN] = 1.45 - 0.2 * back
    socket = np.exp(-(((r - 26.0) / 4.0) ** 2)) * smooth_step((r - 20.0) / 3.0)
    # The socket's plate is thin but for its roof, the sourcil.
    plate = (0.9 + 0.8 * roof)[:, None] - out[:, [THICK_OUT, THICK_IN]]
    out[:, [THICK_OUT, THICK_IN]] += socket[:, None] * plate + (0.2 * below * (1.0 - socket))[:, None]
    # The dense strip in front of the joint along the arcuate line, up to 3 mm and 900 to 1300 HU as seen at 1 mm.
    strip = np.exp(-((_segment_mm(q, corner, centre + np.array((-22.0, -26.0, 30.0))) / 11.0) ** 2))
    out[:, THICK_IN] += 1.7 * strip
    out[:, HU_IN] += 400.0 * strip
    face = at.beside_joint(3.0)
    out[:, THICK_IN] = out[:, THICK_IN] * (1.0 - face) + 1.6 * face
    symphysis = np.exp(-((q[:, 0] / 7.0) ** 2)) * below
    out[:, [THICK_OUT, THICK_IN]] += (0.5 * symphysis)[:, None]
    return out


def _joint_corner(pelvis: Pelvis, side: str) -> Array:
    """Where the joint's front edge meets the pelvic brim, in the pelvic frame with x to that side (mm at size 1)."""
    shape = pelvis.sacrum[side].joint
    y, z = (a.ravel() for a in np.meshgrid(np.arange(-20.0, 30.0), np.arange(-60.0, 0.0), indexing="ij"))
    edge = np.where(shape.outline(y, z) < 0, y, np.inf)
    at = int(np.argmin(edge))
    corner = np.array([[shape.mid_x(y[at : at + 1], z[at : at + 1])[0] * SIDE_SIGN[side], y[at], z[at]]])
    return np.asarray(pelvis.pelvic_mm(pelvis.lps_from_sacral(corner))[0] * (SIDE_SIGN[side], 1.0, 1.0))


def _femur(pelvis: Pelvis, at: _Places) -> Array:
    centre = np.asarray(pelvis.hip["left"].form.centre_mm)
    d = at.pelvic - centre
    r, down = np.linalg.norm(d, axis=1), smooth_step((-22.0 - d[:, 2]) / 55.0)
    head = 1.0 - smooth_step((r - 20.0) / 10.0)
    out = _rows(len(d), 1.4, 1350.0)
    trochanter = smooth_step((d[:, 0] - 34.0) / 14.0)
    spongy = 165.0 + 85.0 * head - 105.0 * trochanter
    # Compression trabeculae run from the top of the head to the calcar; Ward's triangle beside them is fatty.
    press = np.exp(-((_segment_mm(d, np.array((-4.0, 0.0, 16.0)), np.array((20.0, 4.0, -36.0))) / 8.0) ** 2))
    ward = np.exp(-((np.linalg.norm(d - (26.0, 4.0, -10.0), axis=1) / 10.0) ** 2))
    spongy = spongy + 90.0 * press - 95.0 * ward
    out[:, SPONGY] = spongy + (-20.0 - spongy) * down
    shaft = smooth_step((-40.0 - d[:, 2]) / 70.0)
    out[:, THICK_OUT] = 1.4 - 0.6 * head + 4.6 * shaft
    out[:, THICK_IN] = 1.4 - 0.6 * head + 4.6 * shaft + 2.2 * np.exp(-(((d[:, 2] + 38.0) / 22.0) ** 2))
    out[:, [HU_OUT, HU_IN]] += (350.0 * shaft - 350.0 * head)[:, None]
    return out


def _vertebra(pelvis: Pelvis, at: _Places) -> Array:
    s = at.sacral
    out = _rows(len(s), 0.9, 1100.0)
    behind = smooth_step((s[:, 1] - 0.16 * s[:, 2] - 0.5 * pelvis.parameters.s1_body_depth_mm) / 6.0)
    out[:, SPONGY] = L5_HU + 110.0 * behind
    out[:, [THICK_OUT, THICK_IN]] += (0.7 * behind)[:, None]
    return out


_KINDS: Final[dict[str, Callable[[Pelvis, _Places], Array]]] = {
    "sacrum": _sacrum,
    "hip": _hip,
    "femur": _femur,
    "vertebrae": _vertebra,
}


def _grain(pelvis: Pelvis, bone: str) -> Array:
    """Grains run along what the bone carries: up the bodies, from joint to socket in the hip, down the femur."""
    left, back, up = pelvis.pelvic_frame.axes
    kind = bone.split("_")[0]
    if kind in ("sacrum", "vertebrae"):
        return grain_axes(pelvis.sacral_frame.axes, (1.0, 1.0, 1.5))
    side = SIDE_SIGN["left" if bone.endswith("left") else "right"]
    run = unit(0.45 * side * left - 0.55 * back - 0.7 * up) if kind == "hip" else unit(0.35 * side * left - 0.94 * up)
    across = unit(np.cross(run, back))
    return grain_axes(np.stack([across, np.cross(run, across), run]), (1.0, 1.0, 1.6))


def _segment_mm(p: Array, a: Array, b: Array) -> Array:
    """Distance (n,) of points to the segment a-b."""
    d = b - a
    t = np.clip((p - a) @ d / (d @ d), 0.0, 1.0)
    return np.asarray(np.linalg.norm(p - a - t[:, None] * d, axis=1))
