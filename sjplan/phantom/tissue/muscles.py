"""Muscles of the pelvis, the loins and the thighs: where each lies, with planes of fat between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.shapes import cone, smooth_max, smooth_min, smooth_step

# Body's frame at size 1, x to the side that a point lies on; `c` is the centre of that side's femoral head. Where
# muscles lie and how thick they are: default, set by eye to anatomical atlases and to a CT, except where named.

MUSCLE_HU: Final = 56.0
"""Muscle (50 to 60 HU, CLINICAL 4.5, recalled)."""

PLANE_MM: Final = 2.2
"""Fat between neighbouring muscles (default)."""

Chain = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Points and what lies near them, at size 1.

    Parameters
    ----------
    body, sacral : (n, 3) float
        The points in the body's and the sacral frame, x to the side that they lie on.
    centre_mm : (3,) float
        Centre of the femoral head, x to its side.
    bones_mm : mapping of kind to (n,) float
        Distance to the nearest hip, sacrum, L5, L4 and femur.
    gluteal : (n,) float
        How far the way from the nearest hip bone to a point runs outwards and back: 1 over the gluteal face, -1 over
        the iliac fossa.
    skin_mm, fat_mm, seam_mm : (n,) float
        Distance to the skin, negative inside, thickness of the fat under it, and distance to where skin touches skin.
    """

    body: Array
    sacral: Array
    centre_mm: Array
    bones_mm: dict[str, Array]
    gluteal: Array
    skin_mm: Array
    fat_mm: Array
    seam_mm: Array

    @property
    def fascia_mm(self) -> Array:
        """Distance to the fascia under the fat, negative inside."""
        return self.skin_mm + self.fat_mm


def chain_mm(p: Array, links: Chain) -> Array:
    """Distance to round cones through (x, y, z, radius)."""
    out = np.full(len(p), np.inf)
    for a, b in pairwise(links):
        np.minimum(out, cone(p, a[:3], b[:3], a[3], b[3]), out=out)
    return out


def muscles(at: Surroundings) -> dict[str, Array]:
    """Distances (n,) to each muscle: where their shapes overlap, a plane of fat runs half-way between them."""
    shapes = _shapes(at)
    stack = np.stack([shape.astype(np.float32) for shape in shapes.values()])
    nearest, second = np.partition(stack, 1, axis=0)[:2]
    out: dict[str, Array] = {}
    for name, shape in zip(shapes, stack, strict=True):
        other = np.where(shape <= nearest, second, nearest)
        own = np.maximum(shape, (shape - other + PLANE_MM) / 2.0)
        out[name] = np.maximum(smooth_max(own, at.fascia_mm + 0.6, 3.0), 4.0 - at.seam_mm)
    return out


def _shapes(at: Surroundings) -> dict[str, Array]:
    p = at.body - (at.centre_mm - (88.0, -29.0, -96.0))
    return {
        "erector spinae": _erector(at),
        "gluteus maximus": _gluteus_maximus(at, p),
        "gluteus medius": _gluteus_medius(at, p),
        "psoas": chain_mm(
            p,
            ((45.0, -22.0, 150.0, 26.0), (47.0, -26.0, 60.0, 25.0), (64.0, -42.0, 0.0, 20.0),
             (86.0, -66.0, -62.0, 16.0), (97.0, -62.0, -100.0, 14.0), (106.0, -22.0, -145.0, 9.0)),
        ),
        "quadratus lumborum": chain_mm(
            p, ((70.0, 14.0, 150.0, 25.0), (76.0, 14.0, 55.0, 22.0), (82.0, 16.0, 38.0, 10.0))
        ),
        "iliacus": _iliacus(at, p),
        "piriformis": chain_mm(p, ((26.0, 30.0, -52.0, 9.0), (58.0, 30.0, -70.0, 14.0), (122.0, 2.0, -84.0, 6.0))),
        "obturator internus": chain_mm(
            p, ((48.0, -42.0, -112.0, 8.0), (58.0, -12.0, -118.0, 11.0), (70.0, 24.0, -108.0, 10.0),
                (118.0, 2.0, -98.0, 6.0)),
        ),
        "levator": chain_mm(p, ((8.0, -48.0, -134.0, 4.0), (15.0, 0.0, -128.0, 6.0), (3.0, 30.0, -124.0, 8.0))),
        "perineum": chain_mm(p, ((3.0, 26.0, -124.0, 12.0), (2.0, 14.0, -150.0, 12.0), (2.0, -34.0, -158.0, 11.0))),
        "quadratus femoris": chain_mm(p, ((86.0, 14.0, -140.0, 16.0), (124.0, 2.0, -132.0, 14.0))),
        "obturator externus": chain_mm(p, ((46.0, -40.0, -140.0, 15.0), (84.0, -14.0, -130.0, 14.0))),
        "hamstrings": chain_mm(p, ((80.0, 24.0, -166.0, 16.0), (86.0, 36.0, -205.0, 27.0), (90.0, 34.0, -300.0, 33.0))),
        "pectineus": chain_mm(p, ((38.0, -66.0, -128.0, 14.0), (92.0, -36.0, -150.0, 17.0))),
        "adductors": smooth_min(
            chain_mm(p, ((28.0, -52.0, -158.0, 15.0), (52.0, -38.0, -205.0, 34.0), (64.0, -26.0, -300.0, 44.0))),
            chain_mm(p, ((50.0, -16.0, -172.0, 16.0), (70.0, -2.0, -215.0, 34.0), (76.0, 2.0, -300.0, 36.0))), 10.0,
        ),
        "rectus femoris": chain_mm(
            p, ((104.0, -70.0, -62.0, 8.0), (110.0, -70.0, -115.0, 18.0), (110.0, -62.0, -300.0, 26.0))
        ),
        "sartorius": chain_mm(
            p, ((114.0, -78.0, -40.0, 8.0), (92.0, -84.0, -130.0, 11.0), (72.0, -70.0, -240.0, 13.0))
        ),
        "tensor fasciae latae": chain_mm(
            p, ((126.0, -68.0, -42.0, 10.0), (138.0, -60.0, -100.0, 19.0), (142.0, -44.0, -180.0, 14.0),
                (144.0, -30.0, -260.0, 5.0)),
        ),
        "vastus": smooth_min(
            chain_mm(p, ((132.0, -26.0, -128.0, 15.0), (122.0, -34.0, -195.0, 42.0), (118.0, -30.0, -300.0, 46.0))),
            chain_mm(p, ((100.0, -40.0, -150.0, 10.0), (100.0, -44.0, -215.0, 26.0), (98.0, -42.0, -300.0, 30.0))), 8.0,
        ),
        "abdominal wall": _wall(at, p),
    }  # fmt: skip


def _erector(at: Surroundings) -> Array:
    p = at.body
    mass = chain_mm(
        p, ((34.0, 34.0, 150.0, 37.0), (34.0, 36.0, 70.0, 35.0), (26.0, 58.0, 12.0, 20.0), (16.0, 68.0, -32.0, 9.0),
            (10.0, 64.0, -60.0, 3.0))
    )  # fmt: skip
    return np.maximum(mass, 1.6 - p[:, 0])


def _gluteus_maximus(at: Surroundings, p: Array) -> Array:
    """From the back of ilium and sacrum down and outwards to the femur: a slab 25 to 45 mm thick under the fat."""
    x, y, z = p.T
    depth = (24.0 + 24.0 * smooth_step((30.0 - z) / 80.0)) * (1.0 - 0.72 * smooth_step((x - 92.0) / 58.0))
    upper = (z - 16.0 + 0.55 * (x - 40.0)) * 0.87
    lower = (-186.0 - z) + 0.35 * (x - 60.0)
    front = (-22.0 - 0.2 * (x - 140.0) - y) * 0.9
    medial = 9.0 + 0.45 * np.maximum(y - 38.0, 0.0) + 0.1 * np.maximum(-70.0 - z, 0.0)
    slab = smooth_max(-at.fascia_mm - depth, smooth_max(upper, front, 22.0), 16.0)
    return smooth_max(smooth_max(slab, lower * 0.8, 20.0), medial - x, 12.0)


def _gluteus_medius(at: Surroundings, p: Array) -> Array:
    """Medius and minimus: what fills the gluteal fossa, down to the trochanter."""
    z = p[:, 2]
    thick = 12.0 + 34.0 * smooth_step((45.0 - z) / 75.0)
    face = 20.0 * (-0.1 - at.gluteal)
    over = smooth_max(at.bones_mm["hip"] - thick, face, 8.0)
    over = smooth_max(over, (-92.0 - z) * 0.9, 12.0)
    to_trochanter = chain_mm(p, ((116.0, -18.0, -55.0, 26.0), (138.0, -18.0, -100.0, 12.0)))
    return smooth_min(over, to_trochanter, 12.0)


def _iliacus(at: Surroundings, p: Array) -> Array:
    z = p[:, 2]
    thick = 9.0 + 9.0 * smooth_step((15.0 - z) / 50.0)
    fossa = smooth_max(at.bones_mm["hip"] - thick, 16.0 * (0.05 + at.gluteal), 8.0)
    # In front of the joint and below the brim the ilium faces the pelvis, not the fossa.
    brim = -70.0 + 0.9 * (p[:, 1] + 30.0)
    fossa = smooth_max(fossa, (brim - z) * 0.7, 10.0)
    return smooth_max(fossa, (p[:, 1] - 14.0) * 0.9, 8.0)


def _wall(at: Surroundings, p: Array) -> Array:
    """Rectus in front, the three flat muscles at the side; from the crest and the inguinal ligament upwards."""
    x, y, z = p.T
    rectus = 1.0 - smooth_step((x - 58.0) / 16.0)
    seam = np.exp(-(((x - 68.0) / 5.0) ** 2))
    thick = 11.0 * rectus + 17.0 * (1.0 - rectus) - 8.0 * seam
    ring = -at.fascia_mm - np.maximum(thick, 3.0)
    ring = smooth_max(ring, 2.2 - x, 2.0)
    behind = (y - 4.0 - 0.8 * np.clip(z - 34.0, 0.0, 30.0)) * 0.8
    crest = np.where(x > 60.0, -34.0 + 0.9 * np.clip(y + 74.0, 0.0, 78.0), -34.0)
    inguinal = crest - 0.82 * np.maximum(112.0 - x, 0.0) * (y < -40.0)
    return smooth_max(smooth_max(ring, behind, 10.0), (np.maximum(inguinal, -128.0) - z) * 0.8, 8.0)
