"""Small things that a coarse lattice cannot hold: nerve roots, remains of a sacral disc, gas in a joint."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.grid import Grid
from sjplan.phantom.bones.shapes import Tube, ellipsoid
from sjplan.phantom.courses.tubes import is_vessel
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.ranges import on_side
from sjplan.phantom.sampling import Band
from sjplan.phantom.tissue.bone_density import pelvis_canal_depth
from sjplan.phantom.tissue.organs import BLOOD_HU
from sjplan.phantom.tissue.partial_volume import fine_shares

ROOT_HU: Final = 38.0
"""Nerve roots and dural sac (default); fat round the roots is what makes foramina dark."""

VACUUM_HU: Final = -600.0
VACUUM_SHARE: Final = 0.72
"""Gas in a joint as a slice shows it, and how much of the gap it takes (default)."""

DISC_REMAINS_HU: Final = 85.0
DISC_RIM_HU: Final = 430.0
DISC_RIM_MM: Final = 1.3
DISC_REMAINS_MM: Final = 3.6
"""Remains of the S1/S2 disc (discs 80 to 100 HU) between dense endplates: HU, rim and greatest height (default)."""


def paint(hu: NDArray[np.float32], voxels: tuple[Array, ...], share: Array, value: float) -> None:
    """Blend one value into some voxels by a share of each."""
    old = hu[voxels]
    hu[voxels] = old + share.astype(np.float32) * (np.float32(value) - old)


def paint_tubes(
    hu: NDArray[np.float32],
    grid: Grid,
    tubes: Mapping[str, Tube],
    bands: Mapping[str, Band],
    pool: ThreadPoolExecutor,
) -> None:
    """Nerves and vessels; bone goes over whatever of them is not in a tunnel."""
    wanted = {name: pool.submit(fine_shares, tube.distance_mm, grid, band=bands[name]) for name, tube in tubes.items()}
    for name, share in wanted.items():
        paint(hu, *share.result(), BLOOD_HU if is_vessel(name) else ROOT_HU)


def paint_disc_remains(hu: NDArray[np.float32], grid: Grid, pelvis: Pelvis) -> None:
    """What is left of the disc between S1 and S2: a lens between two dense lines, inside the fused bodies."""
    p = pelvis.parameters
    z = -29.5 * p.s1_to_s2_mm / 26.5
    behind = float(pelvis_canal_depth(pelvis, np.array([[0.0, 0.0, z]]))[0]) - 0.42 * p.canal_depth_mm
    depth = 0.74 * p.s1_body_depth_mm
    centre = np.array((0.0, behind - depth / 2.0, z))
    # The bodies of a kyphotic sacrum lean against the endplate of S1: so does the disc.
    lean = np.deg2rad(12.0)
    rows = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])

    def lens(points: Array, share: float, height: float) -> Array:
        q = (pelvis.sacral_mm(points) - centre) @ rows.T
        half = (0.33 * p.s1_body_width_mm * share, 0.42 * depth * share, height)
        return np.asarray(ellipsoid(q, (0.0, 0.0, 0.0), half) * p.size)

    left = float(np.sqrt(p.variants.residual_disc))
    line = fine_shares(lambda q: lens(q, 1.0, DISC_RIM_MM), grid)
    paint(hu, line[0], line[1] * 0.6, DISC_RIM_HU)
    if left > 0.0:
        high = DISC_REMAINS_MM / 2.0 * (0.4 + 0.6 * left)
        paint(hu, *fine_shares(lambda q: lens(q, 0.15 + 0.85 * left, high + DISC_RIM_MM), grid), DISC_RIM_HU)
        paint(hu, *fine_shares(lambda q: lens(q, left, high), grid), DISC_REMAINS_HU)


def paint_vacuum(hu: NDArray[np.float32], grid: Grid, pelvis: Pelvis) -> None:
    """Gas in the gap of joints that hold some, in the front of the articular part."""
    size = pelvis.parameters.size
    for side in SIDES:
        if not on_side(pelvis.parameters.variants.vacuum_gas, side):
            continue
        shape, sign = pelvis.sacrum[side].joint, SIDE_SIGN[side]

        def gas(points: Array, shape=shape, sign: float = sign) -> Array:  # type: ignore[no-untyped-def]
            s = pelvis.sacral_mm(points)
            y, z = s[:, 1], s[:, 2]
            from_middle = np.abs(s[:, 0] * sign - shape.mid_x(y, z)) / shape.stretch(y, z)
            patch = np.maximum(shape.outline(y, z) + 3.0, np.hypot(0.8 * (y - 8.0), z + 24.0) - 13.0)
            return np.asarray(np.maximum(from_middle - VACUUM_SHARE * shape.gap_mm / 2.0, patch) * size)

        paint(hu, *fine_shares(gas, grid), VACUUM_HU)
