"""Off-screen PyVista plotters that are always closed, and the pixels they drew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import vtkObject

Rgb = NDArray[np.uint8]

SUPERSAMPLE: Final = 2
"""Windows are drawn this many times larger and averaged down: smooth lines and text on every GL, software ones too."""


@contextmanager
def plotter(width_px: int, height_px: int, background: str = "white") -> Iterator[pv.Plotter]:
    """An off-screen plotter, closed at the end whatever happens.

    The window is `SUPERSAMPLE` times the wanted size; `pixels` averages it down. The theme is passed in, so that a
    user's own PyVista settings neither change our pictures nor are changed by them. VTK looks for an X server
    before it falls back to off-screen GL and writes a warning when it finds none: that one warning is held back.
    """
    size = [width_px * SUPERSAMPLE, height_px * SUPERSAMPLE]
    shown = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()
    try:
        window = pv.Plotter(off_screen=True, window_size=size, theme=pv.themes.DocumentTheme())
    finally:
        vtkObject.SetGlobalWarningDisplay(shown)
    window.disable_anti_aliasing()  # multisampling hides whatever depth peeling sorts
    try:
        window.renderer.set_background(background)
        yield window
    finally:
        window.close()


def pixels(window: pv.Plotter) -> Rgb:
    """What the plotter shows, (height, width, 3) uint8, averaged down to the wanted size."""
    image = np.asarray(window.screenshot(return_img=True))[..., :3]
    total = np.zeros((image.shape[0] // SUPERSAMPLE, image.shape[1] // SUPERSAMPLE, 3), dtype=np.uint16)
    for row, column in np.ndindex(SUPERSAMPLE, SUPERSAMPLE):
        total += image[row::SUPERSAMPLE, column::SUPERSAMPLE]
    return np.asarray((total + SUPERSAMPLE**2 // 2) // SUPERSAMPLE**2, dtype=np.uint8)
