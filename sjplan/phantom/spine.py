"""L4, L5 and the proximal femurs: neighbours that show in a radiograph and in a label map."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.hip_form import HipForm
from sjplan.phantom.shapes import ball, cone, ellipse, slab, smooth_max, smooth_min

DISC_MM: Final = 9.0
"""Height of the L5/S1 disc in its middle (default)."""

WEDGE_DEG: Final = 12.0
"""Lordosis between the S1 endplate and the middle of L5 (default)."""

L5_HALF: Final = (26.0, 17.0, 13.5)
"""Half-width, half-depth and half-height of the body of L5 (default)."""

L4_SHIFT: Final = (0.0, 8.0, 37.0)
"""From L5 to L4 in the sacral frame: body and disc, with some of the lordosis (default)."""


def vertebra_mm(level: str, p: Array) -> Array:
    """First-order signed distance to L5 or L4, points in the sacral frame, x from the midline to either side."""
    if level == "L4":
        p = p - np.array(L4_SHIFT)
    a = -np.deg2rad(WEDGE_DEG)
    pivot = np.array((0.0, 14.0, DISC_MM * 0.6))
    q = p - pivot
    y = np.cos(a) * q[:, 1] + np.sin(a) * q[:, 2] + pivot[1]
    z = -np.sin(a) * q[:, 1] + np.cos(a) * q[:, 2] - L5_HALF[2]
    x = p[:, 0]
    waist = 1.0 - 0.09 * (1.0 - np.clip(z / L5_HALF[2], -1.0, 1.0) ** 2)
    body = smooth_max(ellipse(x, y, L5_HALF[0] * waist, L5_HALF[1] * waist, 2.4), np.abs(z) - L5_HALF[2], 3.0)
    body = smooth_max(body, slab(y, -99.0, 15.5), 3.0)
    local = np.column_stack([x, y, z])
    arch = cone(local, (16.0, 12.0, 4.0), (17.0, 26.0, 3.0), 6.5, 5.5)
    for part in (
        ((17.0, 26.0, 3.0), (3.0, 41.0, -3.0), 5.5, 4.5),
        ((18.0, 20.0, 4.0), (44.0, 22.0, 8.0), 6.5, 4.0),
        ((17.0, 28.0, 3.0), (17.0, 30.0, 18.0), 5.5, 4.0),
        ((14.0, 36.0, 0.0), (11.0, 45.0, -12.0), 5.0, 3.5),
        ((0.0, 41.0, -3.0), (0.0, 62.0, -8.0), 4.5, 4.0),
    ):
        arch = smooth_min(arch, cone(local, *part), 4.0)
    return smooth_min(body, arch, 4.0)


def femur_mm(p: Array, hip: HipForm) -> Array:
    """First-order signed distance to the femur in a hip's socket, points in the pelvic frame, x to this side."""
    x, y, z = hip.centre_mm
    bone = smooth_min(
        cone(p, (x + 6.0, y + 1.0, z - 4.0), (x + 34.0, y + 5.0, z - 26.0), 16.0, 15.0),
        cone(p, (x + 46.0, y + 12.0, z - 10.0), (x + 46.0, y + 10.0, z - 34.0), 12.0, 16.0),
        8.0,
    )
    bone = smooth_min(bone, cone(p, (x + 42.0, y + 8.0, z - 40.0), (x + 34.0, y + 4.0, z - 120.0), 18.0, 14.5), 8.0)
    return smooth_min(bone, ball(p, hip.centre_mm, hip.head_radius_mm), 3.0)
