"""A screen on the page: grey or coloured pixels that are streamed to a page, and the mouse on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from trame_rca.protocol import AreaAdapter

from sjplan.render.blur import blurred
from sjplan.render.fluoro import FRAME_LOOK, display_grey
from sjplan.xray.types import Radiograph

BLANK: Final = 16
"""Grey of a screen that shows nothing yet."""

SMOOTHED_PX: Final = 0.8
"""Blur of a screen against quantum noise, in pixels of a picture of 512 (default; every C-arm has some)."""

Mouse = Callable[[str, float, float], None]
"""Called with press, move or release, and where: shares of the width from the left and of the height from the top."""


class Monitor(AreaAdapter):  # type: ignore[misc]
    """What a screen shows, and what the mouse does on it; trame_rca's protocol is that of an area's adapter.

    Parameters
    ----------
    pixels : int
        Width and height until a picture is shown.
    mouse : callable, optional
        Told what the mouse does on it.

    Attributes
    ----------
    changed : callable or None
        Told that there is something new to show.
    taken : Event
        Set while the newest picture has gone to the page, or there is none to take it.
    """

    def __init__(self, pixels: int = 512, mouse: Mouse | None = None) -> None:
        super().__init__("")
        self._dark = np.full((pixels, pixels), BLANK, np.uint8)
        self._image: NDArray[np.uint8] = self._dark
        self._mouse, self._size, self._pressed = mouse, (pixels, pixels), False
        self.changed: Callable[[], None] | None = None
        self.taken = asyncio.Event()
        self.taken.set()
        self.shown = 0

    @property
    def image(self) -> NDArray[np.uint8]:
        """What is shown, (rows, columns) grey or (rows, columns, 3)."""
        return self._image

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show (rows, columns) grey or (rows, columns, 3) coloured pixels."""
        self._image = np.ascontiguousarray(image)
        self.shown += 1
        self.reset()

    def clear(self) -> None:
        """Show nothing."""
        self.show(self._dark)

    def reset(self) -> None:
        """Send what is shown."""
        if self.changed is not None:
            self.changed()

    def update_size(self, _origin: str, size: Mapping[str, Any]) -> None:
        """For trame_rca: the area has come on the page, or has another size; its picture may have gone with it."""
        self._size = (max(int(size.get("w", 1)), 1), max(int(size.get("h", 1)), 1))
        self.reset()

    def on_interaction(self, _origin: str, event: Mapping[str, Any]) -> None:
        """For trame_rca: the mouse, counted from the lower left corner."""
        if self._mouse is None or "x" not in event or "y" not in event:
            return
        kind = str(event.get("type", ""))
        across = min(max(float(event["x"]) / self._size[0], 0.0), 1.0)
        down = min(max(1.0 - float(event["y"]) / self._size[1], 0.0), 1.0)
        if kind.endswith("ButtonPress"):
            self._pressed = True
            self._mouse("press", across, down)
        elif kind.endswith("ButtonRelease") and self._pressed:
            self._pressed = False
            self._mouse("release", across, down)
        elif "Move" in kind and self._pressed:
            self._mouse("move", across, down)


def grey_of(radiograph: Radiograph) -> NDArray[np.uint8]:
    """A frame as the C-arm's screen shows it, (rows, columns) uint8."""
    darkness = blurred(radiograph.darkness, SMOOTHED_PX * radiograph.detector.rows / 512)
    return display_grey(darkness, look=FRAME_LOOK, blades=radiograph.blades)
