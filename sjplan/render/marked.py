"""A radiograph with outlines of the metal and a ring round the place that one should look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from sjplan.core.frames import AnatomicalFrame
from sjplan.core.trajectory import Trajectory
from sjplan.render.fluoro import FluoroOverlays, fluoro_picture
from sjplan.render.overlay import FONT_FOLDER
from sjplan.render.png import decode_png
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.pincushion import DrawnOut
from sjplan.xray.types import Radiograph

_MARK: Final = (255, 216, 77)
_RING_PX: Final = 0.055
"""Radius of the ring, as a share of the picture."""


def marked_picture(
    radiograph: Radiograph,
    implants: Mapping[int, Trajectory],
    at_lps_mm: ArrayLike,
    text: str,
    frame: AnatomicalFrame | None = None,
) -> NDArray[np.uint8]:
    """The radiograph, (rows, columns, 3) uint8, with a ring and a word at a place.

    Parameters
    ----------
    radiograph : Radiograph
        The picture and its pose.
    implants : mapping of number to Trajectory
        Outlined in the colours of their numbers.
    at_lps_mm : (3,) float
        The place.
    text : str
        Such as the structure's name.
    frame : AnatomicalFrame, optional
        For the letters at the edges.
    """
    overlays = FluoroOverlays(implants=implants, frame=frame, show_names=False, show_caption=False)
    picture = Image.fromarray(decode_png(fluoro_picture(radiograph, overlays, zoom=1)))
    geometry = DrawnOut.like(CArmGeometry.of(radiograph.carm, radiograph.detector), radiograph.pincushion)
    column, row = (float(v) for v in geometry.project(at_lps_mm))
    if np.isfinite([column, row]).all():
        draw, radius = ImageDraw.Draw(picture), _RING_PX * picture.width
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), outline=_MARK, width=2)
        font = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans-Bold.ttf"), max(picture.height // 36, 10))
        right = column < 0.6 * picture.width
        place = (column + (radius + 4) * (1 if right else -1), row)
        draw.text(place, text, _MARK, font, "lm" if right else "rm", stroke_width=2, stroke_fill="black")
    return np.asarray(picture, dtype=np.uint8)
