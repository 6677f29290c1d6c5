"""Dural sac and the roots of L5, S1 and S2: from the canal through their foramina to the greater sciatic notch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.bones.spine import Spine
from sjplan.phantom.courses.routing import (
    Course,
    before_sacrum,
    canal_middle_mm,
    foremost_mm,
    front_of_sacrum_mm,
    notch_roof_mm,
    routed,
)

if TYPE_CHECKING:
    from sjplan.phantom.pelvis import Pelvis

ROOT_RADIUS_MM: Final = {"L5": 3.0, "S1": 3.2, "S2": 2.5}
"""Radius of each root (recalled: L5 and S1 about 6 mm thick, S2 5)."""

GANGLION_MM: Final = {"S1": 4.5, "S2": 3.2}
"""Radius of the root with its ganglion inside the foramen (recalled: S1 ganglion 6 x 12 mm and more; S2 default)."""

SHARE_OF_TUNNEL: Final = 0.78
"""A root fills at most this share of its tunnel's radius: fat and veins take the rest (default)."""

L5_TO_JOINT_MM: Final = ((-9.0, 20.0), (-24.0, 17.9), (-42.0, 12.3))
"""Sacral z (default) and distance of the L5 root or lumbosacral trunk from the SI joint, three levels (KULAK)."""

CLEARANCE_MM: Final = 0.3
"""Between a root's wall and bone (default)."""

SAC_RADIUS_MM: Final = (6.5, 5.8, 2.5)
"""Dural sac at L4, at the S1 endplate and at its end (recalled: 12 to 15 mm wide at L5)."""

SAC_LEVELS_Z_MM: Final = (-2.0, -14.0, -28.0, -42.0, -54.0)
"""Sacral z where the sac is placed in the middle of the canal (default)."""

SAC_END_ABOVE_S3_MM: Final = 12.0
"""The sac ends at S2 in most (THECAL): so far above the S3 mouths (default)."""

EXIT_BELOW_ROOF_MM: Final = (16.0, 20.0, 24.0)
"""How far below the roof of the greater notch L5, S1 and S2 leave (default)."""


def spine_of(pelvis: Pelvis) -> Spine:
    """Places of L5 and L4 above this pelvis."""
    p = pelvis.parameters
    return Spine(p.s1_body_width_mm, p.s1_body_depth_mm, p.variants.scoliosis_deg, p.variants.transitional)


def nerve_tubes(pelvis: Pelvis) -> dict[str, Tube]:
    """Dural sac and roots, in LPS mm; a root whose foramen is closed is left out.

    Parameters
    ----------
    pelvis : Pelvis
        Finished shape.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> from sjplan.phantom.pelvis import Pelvis
    >>> sorted(nerve_tubes(Pelvis(PhantomParameters(closed_foramina=("S1_left",)))))[:3]
    ['dural_sac', 'nerve_root_L5_left', 'nerve_root_L5_right']
    """
    spine = spine_of(pelvis)
    courses = [_dural_sac(pelvis, spine)]
    for side in SIDES:
        courses.append(_l5_root(pelvis, spine, side))
        courses += [_sacral_root(pelvis, level, side) for level in ("S1", "S2") if level in pelvis.sacrum[side].ventral]
    return routed(pelvis, courses, {})


def _dural_sac(pelvis: Pelvis, spine: Spine) -> Course:
    upper = np.concatenate([spine.canal_middle_mm(level) for level in ("L4", "L5")])
    end_z = min(float(pelvis.sacrum[side].ventral["S3"].points_mm[-1, 2]) for side in SIDES if _has(pelvis, side, "S3"))
    levels = [*[z for z in SAC_LEVELS_Z_MM if z > end_z + SAC_END_ABOVE_S3_MM + 8.0], end_z + SAC_END_ABOVE_S3_MM]
    lower = np.array([canal_middle_mm(pelvis, z) for z in levels])
    room = np.minimum(0.85 * lower[:, 1], np.linspace(*SAC_RADIUS_MM[1:], len(levels)))
    knots = np.concatenate([upper, np.column_stack([np.zeros(len(levels)), lower[:, 0], levels])])
    radii = np.concatenate([np.linspace(*SAC_RADIUS_MM[:2], len(upper)), room])
    return Course(
        "dural_sac", pelvis.lps_from_sacral(knots), np.maximum(radii, 1.5) * pelvis.parameters.size, CLEARANCE_MM
    )


def _has(pelvis: Pelvis, side: str, level: str) -> bool:
    return level in pelvis.sacrum[side].ventral


def _exit(pelvis: Pelvis, side: str, fall_mm: float) -> Array:
    """Through the notch: inside the pelvis, in the plane of the bone, and behind it; (3, 3) in LPS."""
    roof, out = notch_roof_mm(pelvis, side), SIDE_SIGN[side]
    way = np.array(((-14.0 * out, -7.0, 4.0), (-2.0 * out, 2.0, 0.0), (6.0 * out, 10.0, -8.0)))
    within, *out_of_it = pelvis.lps_from_pelvic(roof - np.array((0.0, 0.0, fall_mm)) + way)
    return np.concatenate([before_sacrum(pelvis, within[None], 6.0), np.array(out_of_it)])


def _l5_root(pelvis: Pelvis, spine: Spine, side: str) -> Course:
    """From the sac below the pedicle, across the front of the ala at KULAK's distances from the joint, to the notch."""
    sign, radius = SIDE_SIGN[side], ROOT_RADIUS_MM["L5"]
    upper, _, _ = spine.canal_middle_mm("L5")
    below = spine.below_pedicle_mm("L5", sign, radius)
    joint = pelvis.sacrum[side].joint
    ala = []
    for z, distance in L5_TO_JOINT_MM:
        x = float(joint.mid_x(np.array(0.0), np.array(z))) - distance
        y = foremost_mm(pelvis, sign * x, z)
        x = float(joint.mid_x(np.array(y), np.array(z))) - distance
        y = foremost_mm(pelvis, sign * x, z, y) if z > -30.0 else front_of_sacrum_mm(pelvis, sign * x, z, y)
        ala.append((sign * x, y - radius - 1.0, z))
    beside = spine.beside_body_mm("L5", sign, radius)
    sacral = np.array(((sign * 5.0, *upper[1:]), below, beside, *ala))
    knots = np.concatenate([pelvis.lps_from_sacral(sacral), _exit(pelvis, side, EXIT_BELOW_ROOF_MM[0])])
    radii = np.full(len(knots), radius)
    radii[0] = 1.8
    return Course(f"nerve_root_L5_{side}", knots, radii * pelvis.parameters.size, CLEARANCE_MM)


def _sacral_root(pelvis: Pelvis, level: str, side: str) -> Course:
    """Down the canal, along the middle of the ventral tunnel, then in front of the sacrum to the notch."""
    sign, radius = SIDE_SIGN[side], ROOT_RADIUS_MM[level]
    tunnel = pelvis.sacrum[side].ventral[level]
    line, room = tunnel.points_mm, SHARE_OF_TUNNEL * tunnel.radius_mm
    buried = pelvis.solid_sacrum_mm(pelvis.lps_from_sacral(line * (sign, 1.0, 1.0))) < radius
    within = int(np.flatnonzero(buried).max(initial=1)) + 1
    start = line[0]
    above = [
        (sign * share * start[0], canal_middle_mm(pelvis, start[2] + rise)[0], start[2] + rise)
        for share, rise in ((0.6, 22.0), (0.9, 9.0))
    ]
    middle = line[:within] * (sign, 1.0, 1.0)
    x, y, z = middle[-1]
    off = (x + sign * 6.0, front_of_sacrum_mm(pelvis, x + sign * 6.0, z - 13.0, y) - radius - 3.0, z - 13.0)
    fall = EXIT_BELOW_ROOF_MM[1] if level == "S1" else EXIT_BELOW_ROOF_MM[2]
    knots = np.concatenate([pelvis.lps_from_sacral(np.array((*above, *middle, off))), _exit(pelvis, side, fall)])
    along = np.linspace(0.0, 1.0, within)
    swelling = radius + (GANGLION_MM[level] - radius) * np.sin(np.pi * np.clip(along, 0.0, 1.0)) ** 2
    radii = np.concatenate([[0.6 * radius, 0.8 * radius], np.minimum(swelling, room[:within]), np.full(4, radius)])
    return Course(f"nerve_root_{level}_{side}", knots, radii * pelvis.parameters.size, CLEARANCE_MM)
