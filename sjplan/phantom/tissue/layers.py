"""Fills a grid with tissue and scans it: soft tissue, bones, details, metal, then the scanner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.sampling import Band
from sjplan.phantom.tissue.body import Body, lps_from_body
from sjplan.phantom.tissue.bone_density import bone_sites
from sjplan.phantom.tissue.bone_paint import paint_bone
from sjplan.phantom.tissue.details import paint_disc_remains, paint_tubes, paint_vacuum
from sjplan.phantom.tissue.metal import metal_parts, paint_metal, streaks
from sjplan.phantom.tissue.partial_volume import fine_shares
from sjplan.phantom.tissue.scan import TABLE_HU, scan_planes, table_mm
from sjplan.phantom.tissue.soft_paint import SoftTissue, cells_of, paint_soft_tissue
from sjplan.phantom.tissue.soft_tissue import soft_tissue
from sjplan.phantom.tissue.texture import Texture

Volume = NDArray[np.float32]

SLAB: Final = 16
"""Planes that one thread works on at a time (default)."""

BOWEL_STREAM, TRABECULAE_STREAM, SOFT_STREAM = 1, 2, 3
"""Which random numbers of a seed belong to what, so that one never shifts another."""


def paint_tissue(
    pelvis: Pelvis,
    body: Body,
    grid: Grid,
    tissue: SoftTissue,
    bands: Mapping[str, Band],
    tubes: Mapping[str, Tube],
    tube_bands: Mapping[str, Band],
    seed: int,
    pool: ThreadPoolExecutor,
) -> NDArray[np.int16]:
    """The CT of one phantom.

    Parameters
    ----------
    pelvis : Pelvis
        The bones.
    body : Body
        Outline and fat.
    grid : Grid
        Where the CT is wanted, along the scanner's axes.
    tissue : SoftTissue
        What `lay_out` gave.
    bands : mapping of bone to Band
        Distances of all bones on that grid, at least 8 mm deep; painted in this order.
    tubes : Mapping of str to Tube
        Nerves and vessels, LPS mm.
    tube_bands : mapping of tube to Band
        Their distances on that grid, at least `exact_reach_mm` deep.
    seed : int
        Of bowel, texture and noise.
    pool : ThreadPoolExecutor
        Who does the work; the result is the same for any number of threads.

    Returns
    -------
    (ni, nj, nk) int16
        HU, x fastest.
    """
    hu: Volume = np.zeros(grid.shape[::-1], dtype=np.float32).T
    _paint_soft(hu, grid, tissue, seed, pool)
    if pelvis.parameters.scanner.table:
        _paint_table(hu, pelvis, body, grid)
    paint_tubes(hu, grid, tubes, tube_bands, pool)
    _paint_bones(hu, pelvis, grid, bands, seed, pool)
    paint_disc_remains(hu, grid, pelvis)
    paint_vacuum(hu, grid, pelvis)
    parts = metal_parts(pelvis, grid)
    paint_metal(hu, parts)
    scanner = pelvis.parameters.scanner
    rays = streaks(parts, grid, scanner.metal_streaks, seed)
    out: NDArray[np.int16] = np.zeros(grid.shape[::-1], dtype=np.int16).T
    _over_slabs(grid, pool, lambda s: scan_planes(hu, out, grid, scanner, seed, range(s.start, s.stop), rays))
    return out


def lay_out(pelvis: Pelvis, body: Body, grid: Grid, seed: int) -> SoftTissue:
    """The soft tissue of a grid's box; the seed draws the bowel."""
    corners = grid.corners_lps_mm()
    rng = np.random.default_rng((seed, BOWEL_STREAM))
    return soft_tissue(pelvis, body, corners.min(axis=0), corners.max(axis=0), rng)


def _paint_soft(hu: Volume, grid: Grid, tissue: SoftTissue, seed: int, pool: ThreadPoolExecutor) -> None:
    texture = Texture.drawn(np.random.default_rng((seed, SOFT_STREAM)))
    at = cells_of(tissue, grid)
    _over_slabs(grid, pool, lambda planes: paint_soft_tissue(hu, grid, tissue, at, texture, planes))


def _paint_bones(
    hu: Volume, pelvis: Pelvis, grid: Grid, bands: Mapping[str, Band], seed: int, pool: ThreadPoolExecutor
) -> None:
    texture = Texture.drawn(np.random.default_rng((seed, TRABECULAE_STREAM)))
    wanted = {bone: pool.submit(bone_sites, pelvis, bone, band, grid) for bone, band in bands.items()}
    sites = {bone: job.result() for bone, job in wanted.items()}

    def slab(planes: slice) -> None:
        for bone, band in bands.items():
            paint_bone(hu, grid, band, sites[bone], texture, planes)

    _over_slabs(grid, pool, slab)


def _paint_table(hu: Volume, pelvis: Pelvis, body: Body, grid: Grid) -> None:
    """The table lies under the body, whatever the body's turn; it goes through the whole scan."""
    lowest = lps_from_body(pelvis, [[0.0, body.table_y_mm, -60.0]])[0]
    flat = Grid((grid.shape[0], grid.shape[1], 1), grid.spacing_mm, grid.origin_lps_mm, grid.direction)
    for n, value in enumerate(TABLE_HU):

        def part(p: Array, n: int = n) -> Array:
            return table_mm(p, float(lowest[1]), float(lowest[0]))[n]

        (i, j, _), share = fine_shares(part, flat)
        plane = share.astype(np.float32)[:, None]
        hu[i, j] = hu[i, j] + plane * np.where(hu[i, j] < -700.0, np.float32(value) - hu[i, j], np.float32(0.0))


def _over_slabs(grid: Grid, pool: ThreadPoolExecutor, work: Callable[[slice], None]) -> None:
    n = grid.shape[2]
    for done in [pool.submit(work, slice(k, min(k + SLAB, n))) for k in range(0, n, SLAB)]:
        done.result()
