"""What lies in the pelvis: bladder, uterus or prostate, rectum and bowel with gas, vessels, discs, joints, canal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.shapes import Tube, ellipsoid, smooth_max, tube_along
from sjplan.phantom.habitus import Habitus
from sjplan.phantom.kernels import swept_ball_mm
from sjplan.phantom.tissue.muscles import Surroundings, chain_mm

# Body's frame at size 1. Positions and sizes: default, set by eye.

GAS_HU: Final = -900.0
FLUID_HU: Final = 10.0
"""Bowel gas and bladder (CLINICAL 4.5, recalled)."""

WALL_HU: Final = 42.0
CONTENT_HU: Final = 26.0
STOOL_HU: Final = 20.0
ORGAN_HU: Final = 48.0
BLOOD_HU: Final = 46.0
"""Bowel wall and content, stool, uterus or prostate, blood without contrast medium (default)."""

WALL_MM: Final = 2.4
"""Thickness of the bowel's wall (default)."""

SMALL_LOOPS: Final = 26
"""Loops of small bowel (default)."""


@dataclass(frozen=True, slots=True, eq=False)
class Bowel:
    """Loops of bowel as tubes, and which part of each holds gas.

    Parameters
    ----------
    loops : tuple of Tube
        Centrelines and radii.
    stool : tuple of bool
        Whether a loop holds stool.
    level_mm : (k,) float
        y of each loop's level: what lies in front of it is gas.
    """

    loops: tuple[Tube, ...]
    stool: tuple[bool, ...]
    level_mm: Array

    @classmethod
    def drawn(cls, habitus: Habitus, promontory_mm: Array, rng: np.random.Generator) -> Bowel:
        """Lay the bowel out at random: colon along its usual way, small bowel in between."""
        py, pz = float(promontory_mm[1]), float(promontory_mm[2])
        front = py - 16.0
        rectum = ((0.0, 24.0, -132.0), (0.0, 22.0, -100.0), (4.0, 14.0, -66.0), (-6.0, front + 22.0, pz - 44.0),
                  (14.0, front - 4.0, pz - 18.0), (48.0, front - 14.0, pz - 12.0), (92.0, -52.0, pz + 10.0),
                  (112.0, -30.0, 50.0), (118.0, -10.0, 160.0))  # fmt: skip
        ascending = ((-84.0, -62.0, -18.0), (-98.0, -46.0, 20.0), (-112.0, -28.0, 70.0), (-116.0, -14.0, 160.0))
        jitter = rng.uniform(-6.0, 6.0, (2, 3))
        loops = [
            tube_along(np.array(rectum) + jitter[0] * (0.0, 0.3, 1.0), (11, 14, 15, 12, 14, 14, 14, 14, 16)),
            tube_along(np.array(ascending) + jitter[1], (17.0, 23.0, 21.0, 20.0)),
        ]
        for n in range(SMALL_LOOPS):
            z = -58.0 + 178.0 * (n + rng.uniform()) / SMALL_LOOPS
            middle = np.array((rng.uniform(-68.0, 68.0), rng.uniform(front - 46.0, front - 6.0), z))
            reach = rng.uniform(24.0, 46.0) * np.array((1.0, 0.5, 0.5))
            turns = np.cumsum(rng.uniform(0.6, 1.5, 6)) + rng.uniform(0.0, 6.0)
            tilt = rng.uniform(-1.0, 1.0, (2, 3)) * reach
            curve = middle + np.cos(turns)[:, None] * tilt[0] + np.sin(turns)[:, None] * tilt[1]
            loops.append(tube_along(curve, rng.uniform(8.5, 13.0, 6)))
        share = np.clip(habitus.bowel_gas * rng.uniform(0.3, 1.7, len(loops)), 0.0, 0.95)
        share *= rng.uniform(size=len(loops)) < 0.25 + 0.75 * habitus.bowel_gas
        low = np.array([float((t.points_mm[:, 1] - t.radius_mm).min()) for t in loops])
        level = low + share * 0.85 * np.array([2.0 * float(t.radius_mm.mean()) for t in loops])
        return cls(tuple(loops), (True, True, *(False,) * SMALL_LOOPS), level)


def bowel_layers(bowel: Bowel, points_mm: Array, room_mm: Array) -> dict[str, Array]:
    """Distances to wall, content, stool and gas at signed points of the body's frame; bowel keeps to its room.

    `room_mm` is the signed distance to the space that bowel may fill, negative inside.
    """
    far = np.full(len(points_mm), 30.0)
    wall, content, stool, gas = (far.copy() for _ in range(4))
    near = np.flatnonzero(room_mm < 6.0)
    p = np.ascontiguousarray(points_mm[near])
    each = np.stack([swept_ball_mm(p, t.points_mm, t.radius_mm) for t in bowel.loops])
    owner = np.argmin(each, axis=0)
    ranked = np.partition(each, 1, axis=0)
    nearest, second = np.maximum(ranked[0], room_mm[near]), ranked[1]
    lumen = np.maximum(nearest + WALL_MM, (ranked[0] - second) / 2.0 + WALL_MM / 2.0)
    holds_stool = np.array(bowel.stool)[owner]
    wall[near] = nearest
    content[near] = lumen
    stool[near] = np.where(holds_stool, lumen, np.maximum(lumen, 2.0))
    gas[near] = smooth_max(lumen + 0.4, p[:, 1] - bowel.level_mm[owner], 2.0)
    return {"bowel wall": wall, "bowel content": content, "stool": stool, "bowel gas": gas}


def bladder_radius_mm(habitus: Habitus) -> float:
    """Radius of the ball that holds what the bladder does."""
    return float(10.0 * np.cbrt(0.75 * max(habitus.bladder_ml, 5.0) / np.pi))


def pelvic_organs(at: Surroundings, habitus: Habitus, symphysis_mm: Array) -> dict[str, Array]:
    """Distances to bladder (wall and content) and uterus or prostate; x may be taken to either side."""
    r = bladder_radius_mm(habitus)
    sy, sz = float(symphysis_mm[1]), float(symphysis_mm[2])
    base = np.array((0.0, sy + 14.0, sz + 14.0))
    bladder = ellipsoid(at.body, base + r * np.array((0.0, 0.75, 0.85)), (1.15 * r, 0.95 * r, 0.92 * r))
    room = room_mm(at, 7.0)
    bladder = smooth_max(bladder, room, 8.0)
    back = sy + 16.0 + 1.7 * r
    if habitus.sex == "female":
        organ = ellipsoid(at.body, (0.0, back + 9.0, sz + 0.95 * r + 30.0), (27.0, 19.0, 26.0))
    else:
        organ = ellipsoid(at.body, (0.0, sy + 24.0, sz + 2.0), (22.0, 15.0, 17.0))
    return {"bladder wall": bladder - 3.0, "bladder": bladder, "organ": smooth_max(organ, room, 6.0)}


def room_mm(at: Surroundings, clear_mm: float) -> Array:
    """Signed distance to the space inside the walls and in front of spine and sacrum, negative inside."""
    bones = np.min(list(at.bones_mm.values()), axis=0)
    sacral = at.sacral
    # Above the promontory bowel lies in front of the spine and psoas; below, in front of the sacrum's hollow.
    behind = np.where(sacral[:, 2] > -8.0, sacral[:, 1] + 24.0 - 0.3 * sacral[:, 2], -99.0)
    out = smooth_max(at.fascia_mm + 17.0, clear_mm - bones, 4.0)
    out = smooth_max(out, behind, 4.0)
    lateral = np.interp(at.body[:, 2], (-130.0, -90.0, -40.0, 10.0, 60.0), (30.0, 44.0, 66.0, 104.0, 125.0))
    out = smooth_max(out, at.body[:, 0] - lateral, 6.0)
    floor = np.interp(at.body[:, 1], (-70.0, 0.0, 40.0), (-118.0, -128.0, -118.0))
    return smooth_max(out, floor - at.body[:, 2], 6.0)


def vessels_mm(at: Surroundings) -> Array:
    """Iliac and femoral arteries and veins: along the psoas' inner edge to the groin."""
    p = at.body - (at.centre_mm - (88.0, -29.0, -96.0))
    # fmt: off
    artery = chain_mm(p, ((10.0, -50.0, 150.0, 8.0), (12.0, -60.0, 42.0, 7.0), (44.0, -46.0, 0.0, 5.0),
                          (68.0, -60.0, -50.0, 4.8), (76.0, -84.0, -98.0, 4.6), (74.0, -78.0, -260.0, 4.2)))
    vein = chain_mm(p, ((14.0, -44.0, 150.0, 9.0), (16.0, -50.0, 30.0, 8.0), (42.0, -36.0, -6.0, 6.5),
                        (60.0, -52.0, -56.0, 6.0), (66.0, -80.0, -100.0, 5.8), (70.0, -68.0, -260.0, 5.2)))
    # fmt: on
    internal = chain_mm(p, ((46.0, -40.0, -4.0, 4.5), (50.0, -10.0, -50.0, 3.6), (52.0, 8.0, -74.0, 2.6)))
    return np.minimum(np.minimum(artery, vein), internal)
