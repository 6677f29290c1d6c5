"""A cohort at a glance: an AP radiograph and an axial cut through S1 of each member, in small tiles on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from sjplan.core.arrays import Array, check_vector
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.render.fluoro import display_grey
from sjplan.render.overlay import FONT_FOLDER
from sjplan.render.png import encode_png
from sjplan.render.slices import BONE_WINDOW_HU
from sjplan.xray.fluoroscope import Fluoroscope
from sjplan.xray.types import CArm, Detector

MOST_TILES: Final = 100
"""Members on a sheet; of more, so many are shown, evenly spread."""

COARSE_MM: Final = 2.0
"""Voxel edge that tiles are made from: half of a tile's pixel or less is lost."""

FILM: Final = Detector(rows=168, columns=200, pixel_mm=2.2)
SOURCE_TO_CENTRE_MM: Final = 900.0
SOURCE_TO_FILM_MM: Final = 1100.0
"""A film of 440 x 370 mm, which holds the whole pelvis; distances of a radiograph on a table (default)."""

AXIAL_WIDTH_MM: Final = 320.0
BELOW_ENDPLATE_MM: Final = 15.0
"""Width of the axial cut, which holds both ilia of a turned pelvis too; and the middle of S1 below its endplate: S1 is
28 to 30 mm high (PMCT)."""

_GAP_PX: Final = 6
_NAME_PX: Final = 16
_TITLE_PX: Final = 30
_ASPECT: Final = 1.5
"""Width of a full sheet as a share of its height."""

Tile = NDArray[np.uint8]


def tile(ct: CtVolume, ap: CArm, s1_lps_mm: ArrayLike) -> Tile:
    """AP radiograph, bone white as on a film, and axial cut of one pelvis beside each other, uint8.

    Parameters
    ----------
    ct : CtVolume
        Any spacing; it is looked at in voxels of about 2 mm.
    ap : CArm
        Direction of the AP view; the film is centred on the CT.
    s1_lps_mm : (3,) float
        Where the axial cut goes through.

    Returns
    -------
    (rows, columns) uint8

    Examples
    --------
    >>> grid = Grid((40, 30, 40), (4, 4, 4), (-78, -58, -78), np.eye(3))
    >>> tile(CtVolume(grid, np.zeros(grid.shape, np.int16)), CArm(0, 0, 0, (0, 0, 0)), (0, 0, 0)).shape
    (168, 402)
    """
    coarse = coarsened(ct)
    centre = coarse.grid.lps_from_ijk((np.array(coarse.grid.shape) - 1) / 2.0)
    pose = CArm(ap.orbital_deg, ap.tilt_deg, ap.wig_wag_deg, centre, SOURCE_TO_CENTRE_MM, SOURCE_TO_FILM_MM)
    radiograph = Fluoroscope(coarse, backend="cpu").take(pose, FILM)
    film = display_grey(radiograph.darkness, inverted=True)
    cut = _axial(coarse, check_vector("s1_lps_mm", s1_lps_mm), film.shape)
    return np.hstack([film, np.zeros((film.shape[0], 2), np.uint8), cut])


def coarsened(ct: CtVolume, edge_mm: float = COARSE_MM) -> CtVolume:
    """The CT in voxels of about `edge_mm`: means of whole blocks, the incomplete ones at the far ends left out.

    Examples
    --------
    >>> grid = Grid((8, 8, 8), (1, 1, 1), (0, 0, 0), np.eye(3))
    >>> coarse = coarsened(CtVolume(grid, np.zeros(grid.shape, np.int16)))
    >>> coarse.grid.shape, coarse.grid.origin_lps_mm.tolist()
    ((4, 4, 4), [0.5, 0.5, 0.5])
    """
    shape = np.array(ct.grid.shape)
    block = np.clip(np.floor(edge_mm / ct.grid.spacing_mm + 1e-6).astype(int), 1, shape)
    if (block == 1).all():
        return ct
    count = shape // block
    total = np.zeros(tuple(count), dtype=np.float32, order="F")
    for i in range(block[0]):
        for j in range(block[1]):
            for k in range(block[2]):
                steps = zip((i, j, k), count * block, block, strict=True)
                total += ct.hu[tuple(slice(start, int(stop), int(step)) for start, stop, step in steps)]
    grid = Grid(
        (int(count[0]), int(count[1]), int(count[2])),
        ct.grid.spacing_mm * block,
        ct.grid.lps_from_ijk((block - 1) / 2.0),
        ct.grid.direction,
    )
    return CtVolume(grid, np.rint(total / block.prod()).astype(np.int16), assumed=ct.assumed)


def _axial(ct: CtVolume, point_lps_mm: Array, size: tuple[int, ...]) -> Tile:
    """The slice nearest to a point, patient's right on the left of the picture, `AXIAL_WIDTH_MM` wide."""
    rows, columns = size
    i, j, k = np.rint(ct.grid.ijk_from_lps(point_lps_mm)).astype(int)
    plane = ct.hu[:, :, int(np.clip(k, 0, ct.grid.shape[2] - 1))].T
    low, high = BONE_WINDOW_HU
    grey = np.rint(np.clip((plane - low) / (high - low), 0.0, 1.0) * 255.0).astype(np.uint8)
    half_mm = np.array((AXIAL_WIDTH_MM, AXIAL_WIDTH_MM * rows / columns)) / 2.0
    reach = half_mm / ct.grid.spacing_mm[:2]
    box = (i - reach[0], j - reach[1], i + reach[0], j + reach[1])
    return np.asarray(Image.fromarray(grey).transform(
        (columns, rows), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
    ))  # fmt: skip


def sampled(count: int, most: int = MOST_TILES) -> list[int]:
    """Which of `count` members are shown: all, or `most` of them evenly spread, first and last among them.

    Examples
    --------
    >>> sampled(3), sampled(7, most=4)
    ([0, 1, 2], [0, 2, 4, 6])
    """
    if count <= most:
        return list(range(count))
    return [round(n) for n in np.linspace(0, count - 1, most)]


def contact_sheet(tiles: Sequence[tuple[str, Tile]], title: str) -> bytes:
    """PNG of named tiles in rows, the name under each, a title above.

    Raises
    ------
    GeometryError
        For no tiles, or tiles of different size.

    Examples
    --------
    >>> blank = np.zeros((168, 402), np.uint8)
    >>> contact_sheet([("one", blank), ("two", blank)], "both")[1:4]
    b'PNG'
    """
    shapes = {picture.shape for _, picture in tiles}
    if len(shapes) != 1:
        raise GeometryError("contact sheet", found=f"tiles of {len(shapes)} sizes", wanted="tiles of one size")
    height, width = (n + _GAP_PX for n in shapes.pop())
    height += _NAME_PX
    columns = min(len(tiles), max(1, round(float(np.sqrt(len(tiles) * _ASPECT * height / width)))))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("L", (columns * width + _GAP_PX, _TITLE_PX + rows * height + _GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans.ttf"), 12)
    draw.text((_GAP_PX, 8), title, fill=0, font=font)
    for n, (name, picture) in enumerate(tiles):
        left, top = _GAP_PX + (n % columns) * width, _TITLE_PX + (n // columns) * height
        sheet.paste(Image.fromarray(picture), (left, top))
        draw.text((left, top + height - _GAP_PX - _NAME_PX), name, fill=0, font=font)
    return encode_png(np.asarray(sheet))
