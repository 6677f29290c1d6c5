"""Which part of the body the scan holds: L4 at the top, femurs to below the lesser trochanter, all of the outline."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.grid import Grid
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.tissue.body import Body, body_mm, lps_from_body

BESIDE_MM: Final = 10.0
BEFORE_MM: Final = 10.0
BEHIND_MM: Final = 34.0
"""Air beside, in front of and behind the body: there is room for a table (default)."""

WIDEST_MM: Final = 500.0
"""Field of view of a usual scanner: wider bodies are cut at their sides (default)."""

CUT_MM: Final = 5.0
"""How far below its top L4 is cut by the upper end of the scan (default): a body goes on beyond it."""

BELOW_HEAD_MM: Final = 150.0
"""How far the scan goes on below the centre of a femoral head: past the lesser trochanter (default)."""

BELOW_TUBEROSITY_MM: Final = 12.0
"""How far it goes on at least below the lowest point of a hip bone (default)."""


def scan_grid(pelvis: Pelvis, body: Body, spacing_mm: Array) -> Grid:
    """A grid along the scanner's axes that holds the posed pelvis and its body.

    Bones are met at both ends, as a CT meets them: L4 above, the femurs below.

    Parameters
    ----------
    pelvis : Pelvis
        The bones.
    body : Body
        The outline.
    spacing_mm : (3,) float
        Voxel edges.
    """
    size = pelvis.parameters.size
    low_z, high_z = _ends_lps_mm(pelvis)
    low, high = body.box_mm(-260.0, 130.0)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (-200.0, 90.0)])
    posed = lps_from_body(pelvis, corners)
    middle = (posed.min(axis=0) + posed.max(axis=0)) / 2.0
    half = (posed.max(axis=0) - posed.min(axis=0)) / 2.0
    start = middle - half - (BESIDE_MM * size, BEFORE_MM * size, 0.0)
    stop = middle + half + (BESIDE_MM * size, BEHIND_MM * size, 0.0)
    start[0], stop[0] = max(start[0], middle[0] - WIDEST_MM / 2.0), min(stop[0], middle[0] + WIDEST_MM / 2.0)
    start[2], stop[2] = low_z, high_z
    n = np.maximum(np.floor((stop - start) / spacing_mm).astype(int) + 1, 2)
    # Evenly about the middle, so that a mirrored pelvis gets the mirrored voxels.
    start[0] = (start[0] + stop[0] - (n[0] - 1) * spacing_mm[0]) / 2.0
    return Grid((int(n[0]), int(n[1]), int(n[2])), spacing_mm, start, np.eye(3))


def _ends_lps_mm(pelvis: Pelvis) -> tuple[float, float]:
    """Lowest and highest z of the scan."""
    size = pelvis.parameters.size
    column = _box((-12.0, -100.0, 20.0), (13.0, 40.0, 160.0), (6.0, 4.0, 2.0))
    top = lps_from_body(pelvis, column)
    high = float(top[pelvis.bone_mm("vertebrae_L4", top) < 0, 2].max()) - CUT_MM * size
    lowest = []
    for side in SIDES:
        mirror = np.array((SIDE_SIGN[side], 1.0, 1.0))
        head_lps_mm = pelvis.lps_from_pelvic(np.asarray(pelvis.hip[side].form.centre_mm)[None] * mirror)
        lowest.append(float(head_lps_mm[0, 2]) - BELOW_HEAD_MM * size)
        centre = body_mm(pelvis, head_lps_mm)[0] * mirror
        low_part = _box((0.0, -90.0, centre[2] - 130.0), (centre[0] + 25.0, 45.0, centre[2] - 10.0), (5.0, 5.0, 3.0))
        hip = lps_from_body(pelvis, low_part * mirror)
        inside = pelvis.bone_mm(f"hip_{side}", hip) < 0
        lowest.append(float(hip[inside, 2].min()) - BELOW_TUBEROSITY_MM * size)
    return min(lowest), high


def _box(low: tuple[float, ...], high: tuple[float, ...], step: tuple[float, ...]) -> Array:
    axes = [np.arange(a, b, s) for a, b, s in zip(low, high, step, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
