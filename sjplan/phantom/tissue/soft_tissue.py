"""All soft tissue of one phantom, gathered on a lattice: skin, fat, muscles, organs, discs, cartilage, canal."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.structures import LEVELS
from sjplan.phantom.bones.shapes import smooth_max, smooth_min
from sjplan.phantom.pelvis import BONES, Pelvis
from sjplan.phantom.tissue.body import SKIN_MM, Body, body_frame, body_mm, lps_from_body
from sjplan.phantom.tissue.lattice import Lattice
from sjplan.phantom.tissue.muscles import MUSCLE_HU, Surroundings, muscles
from sjplan.phantom.tissue.organs import (
    CONTENT_HU,
    FLUID_HU,
    GAS_HU,
    ORGAN_HU,
    STOOL_HU,
    WALL_HU,
    Bowel,
    bowel_layers,
    pelvic_organs,
    room_mm,
    vessels_mm,
)
from sjplan.phantom.tissue.soft_paint import FAECES, FAT, FAT_HU, MUSCLE, PLAIN, Layer, SoftTissue

STEP_MM: Final = 4.0
"""Step of the lattice: borders bend over more than this; planes of fat are thinner, but each layer has its own."""

OUTSIDE_MM: Final = 12.0
"""How far outside the skin tissue is still looked for, and what distances are held at beyond (default)."""

OVER_BONE_MM: Final = 6.0
"""Least soft tissue over a bone (default; it shows in lean bodies alone)."""

BONE_STEP_MM: Final = 8.0
"""Step at which bones are asked for their distance: soft tissue only keeps clear of them (default)."""

SKIN_HU: Final = 25.0
DISC_HU: Final = 90.0
CARTILAGE_HU: Final = 75.0
LIGAMENT_HU: Final = 30.0
CSF_HU: Final = 14.0
EPIDURAL_HU: Final = -80.0
"""Discs 80 to 100 HU; the others default: skin, cartilage, ligaments with fat behind the joint, cerebrospinal fluid
(water to 20 HU) and the fat of canal and foramina."""

DISC_ROOM_MM: Final = 12.5
"""A disc fills the place between two bodies where the distances to both add up to less than this (default: a disc of
9 mm, and its bulge)."""


def soft_tissue(
    pelvis: Pelvis, body: Body, low_lps_mm: Array, high_lps_mm: Array, rng: np.random.Generator
) -> SoftTissue:
    """Lay out the soft tissue of a box.

    Parameters
    ----------
    pelvis : Pelvis
        The bones.
    body : Body
        Outline and fat.
    low_lps_mm, high_lps_mm : (3,) float
        Corners of the box.
    rng : numpy.random.Generator
        Draws the bowel.

    Returns
    -------
    SoftTissue
        For `paint_soft_tissue`.
    """
    size = pelvis.parameters.size
    lattice = Lattice.over(low_lps_mm, high_lps_mm, STEP_MM)
    points = lattice.points_lps_mm()
    skin = body.skin_mm(body_mm(pelvis, points))
    inside = np.flatnonzero(skin < OUTSIDE_MM)
    at, signed = surroundings(pelvis, body, lattice, inside, skin[inside])
    layers = _layers(pelvis, at, signed, rng)
    packed = np.full((len(points), len(layers)), OUTSIDE_MM * size, dtype=np.float32)
    for n, layer in enumerate(layers):
        packed[inside, n] = layer.distance_mm * size
    habitus = pelvis.parameters.habitus
    frame = body_frame(pelvis)
    return SoftTissue(
        lattice,
        packed.reshape((*lattice.shape, len(layers))),
        np.array([layer.hu for layer in layers]),
        np.array([layer.pattern for layer in layers]),
        np.column_stack([frame.axes, -frame.axes @ frame.origin_lps_mm]),
        float(np.clip(1.75 - 0.012 * (habitus.age_years - 45.0) - 0.012 * (habitus.bmi - 25.0), 0.7, 2.4)),
    )


def surroundings(
    pelvis: Pelvis, body: Body, lattice: Lattice, wanted: NDArray[np.int64], skin_mm: Array
) -> tuple[Surroundings, Array]:
    """What lies near the wanted points of a lattice, and those points in the body's frame with signed x."""
    points = lattice.points_lps_mm()
    q, s = body_mm(pelvis, points[wanted]), pelvis.sacral_mm(points[wanted])
    left = body_mm(pelvis, points)[:, 0].reshape(lattice.shape) >= 0
    far = lattice.origin_lps_mm + lattice.step_mm * (np.array(lattice.shape) - 1)
    coarse = Lattice.over(lattice.origin_lps_mm, far, BONE_STEP_MM)
    coarse_points = coarse.points_lps_mm()
    bones: dict[str, Array] = {}
    outward = np.zeros(lattice.shape, dtype=np.float32)
    for bone in BONES:
        given = pelvis.bone_mm(bone, coarse_points).reshape(coarse.shape) / pelvis.parameters.size
        fine = coarse.refined(given, lattice)
        kind = bone.split("_")[1] if bone.startswith("vertebrae") else bone.split("_")[0]
        mine = fine.ravel()[wanted].astype(np.float64)
        bones[kind] = np.minimum(bones[kind], mine) if kind in bones else mine
        if kind == "hip":
            side = "left" if bone.endswith("left") else "right"
            facing = _gluteal(pelvis, side, fine, lattice.step_mm / pelvis.parameters.size)
            outward = np.where(left == (side == "left"), facing, outward)
    side_sign = np.where(q[:, 0] >= 0, 1.0, -1.0)
    mirror = np.column_stack([side_sign, np.ones_like(side_sign), np.ones_like(side_sign)])
    centre = body_mm(pelvis, pelvis.lps_from_pelvic(np.asarray(pelvis.hip["left"].form.centre_mm)[None]))[0]
    gluteal = outward.ravel()[wanted].astype(np.float64)
    # Where a bone comes near the skin, the skin goes over it.
    skin = smooth_min(skin_mm, np.min(list(bones.values()), axis=0) - OVER_BONE_MM, 12.0)
    outline = (skin, body.fat_mm(q), body.seam_mm(q))
    return Surroundings(q * mirror, s * mirror, centre, bones, gluteal, *outline), q


def _gluteal(pelvis: Pelvis, side: str, hip_mm: NDArray[np.float32], step_mm: float) -> NDArray[np.float32]:
    """How far the way away from a hip bone runs outwards and back, -1 to 1, on a lattice of its distances."""
    slope = np.stack([np.gradient(hip_mm, step_mm, axis=axis) for axis in range(3)], axis=-1)
    left, back = (axis.astype(np.float32) for axis in body_frame(pelvis).axes[:2])
    outwards = slope @ (0.85 * np.float32(SIDE_SIGN[side]) * left + 0.53 * back)
    return np.asarray(outwards / np.maximum(np.linalg.norm(slope, axis=-1), 0.3), dtype=np.float32)


def _layers(pelvis: Pelvis, at: Surroundings, signed: Array, rng: np.random.Generator) -> list[Layer]:
    habitus = pelvis.parameters.habitus
    promontory, symphysis = _middle_points(pelvis)
    layers = [Layer("skin", at.skin_mm, SKIN_HU), Layer("fat", at.skin_mm + SKIN_MM, FAT_HU, FAT)]
    layers.append(Layer("seam", np.maximum(at.seam_mm, at.skin_mm), SKIN_HU))
    muscle = muscles(at)
    layers += [Layer(name, d, MUSCLE_HU, MUSCLE) for name, d in muscle.items()]
    lean = np.min(list(muscle.values()), axis=0)
    organs = pelvic_organs(at, habitus, symphysis)
    blood = np.maximum(vessels_mm(at), at.skin_mm + 8.0)
    room = smooth_max(room_mm(at, 9.0), 3.0 - lean, 3.0)
    room = np.maximum(np.maximum(room, 3.0 - organs["bladder wall"]), np.maximum(3.0 - organs["organ"], 2.0 - blood))
    bowel = bowel_layers(Bowel.drawn(habitus, promontory, rng), signed, room)
    layers += [
        Layer("organ", organs["organ"], ORGAN_HU, PLAIN),
        Layer("bladder wall", organs["bladder wall"], WALL_HU),
        Layer("bladder", organs["bladder"], FLUID_HU),
        Layer("bowel wall", bowel["bowel wall"], WALL_HU),
        Layer("bowel content", bowel["bowel content"], CONTENT_HU),
        Layer("stool", bowel["stool"], STOOL_HU, FAECES),
        Layer("bowel gas", bowel["bowel gas"], GAS_HU),
    ]
    return layers + _between_bones(pelvis, at)


def _between_bones(pelvis: Pelvis, at: Surroundings) -> list[Layer]:
    """What bones leave between them: discs, joint cartilage, ligaments, the canal with its sac."""
    s, bones = at.sacral, at.bones_mm
    mid, outline = np.full((2, len(s)), OUTSIDE_MM)
    beside = np.flatnonzero((bones["hip"] < 22.0) & (bones["sacrum"] < 22.0))
    shape = pelvis.sacrum["left"].joint
    y, z = s[beside, 1], s[beside, 2]
    mid[beside] = np.abs(s[beside, 0] - shape.mid_x(y, z)) / shape.stretch(y, z)
    outline[beside] = shape.outline(y, z)
    ligament = np.maximum(mid - 9.0, np.maximum(outline - 26.0, -s[:, 1] - 2.0))
    cartilage = np.maximum(mid - 4.0, outline - 2.0)
    depth = pelvis.parameters.s1_body_depth_mm / 2.0
    before_canal = s[:, 1] - depth + 0.5 - 0.15 * np.maximum(s[:, 2], 0.0)
    discs = [np.maximum(bones[a] + bones[b] - DISC_ROOM_MM, before_canal) for a, b in (("sacrum", "L5"), ("L5", "L4"))]
    hip_joint = np.linalg.norm(at.body - at.centre_mm, axis=1) - 26.5
    canal = np.full(len(s), OUTSIDE_MM)
    middle = np.flatnonzero(
        (s[:, 0] < 28.0) & (np.minimum(np.minimum(bones["sacrum"], bones["L5"]), bones["L4"]) < 20.0)
    )
    canal[middle] = pelvis.canal_mm(pelvis.lps_from_sacral(s[middle])) / pelvis.parameters.size
    return [
        Layer("ligament", ligament, LIGAMENT_HU, MUSCLE),
        Layer("cartilage", cartilage, CARTILAGE_HU),
        Layer("hip joint", hip_joint, CARTILAGE_HU),
        Layer("discs", np.minimum(*discs), DISC_HU),
        Layer("foramina", _foramina(pelvis, at), EPIDURAL_HU),
        Layer("epidural fat", canal - 1.5, EPIDURAL_HU),
        Layer("dural sac", np.maximum(canal + 3.2, -62.0 - s[:, 2]), CSF_HU),
    ]


def _foramina(pelvis: Pelvis, at: Surroundings) -> Array:
    """The fat that fills the foramina: their tunnels, wider than they are, as bone is painted over it."""
    size = pelvis.parameters.size
    out = np.full(len(at.sacral), OUTSIDE_MM)
    near = np.flatnonzero((at.bones_mm["sacrum"] < 9.0) & (at.sacral[:, 0] < 45.0) & (at.sacral[:, 2] < 0.0))
    points = pelvis.lps_from_sacral(at.sacral[near])
    tunnels = np.full(len(near), OUTSIDE_MM)
    for level in LEVELS:
        tunnels = np.minimum(tunnels, pelvis.foramen_mm(level, "left", points) / size)
    out[near] = smooth_max(tunnels - 2.0, pelvis.solid_sacrum_mm(points) / size - 2.0, 3.0)
    return out


def _middle_points(pelvis: Pelvis) -> tuple[Array, Array]:
    """Promontory and symphysis in the body's frame at size 1, found on the bones by marching in the midline."""
    depth = pelvis.parameters.s1_body_depth_mm / 2.0
    promontory = body_mm(pelvis, pelvis.lps_from_sacral([[0.0, -depth, -1.0]]))[0]
    y, z = (a.ravel() for a in np.meshgrid(np.arange(-110.0, -20.0, 2.0), np.arange(-180.0, -80.0, 2.0), indexing="ij"))
    line = lps_from_body(pelvis, np.column_stack([np.zeros_like(y), y, z]))
    near = np.minimum(pelvis.bone_mm("hip_left", line), pelvis.bone_mm("hip_right", line)) < 4.0
    if not near.any():
        return promontory, np.array((0.0, -60.0, -139.0))
    return promontory, np.array((0.0, float(y[near].mean()), float(z[near].mean())))
