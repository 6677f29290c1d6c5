"""How pictures get to the page: pixel by pixel, at once, and never the same one twice.

A browser decodes a JPEG in its own time, twice for the area that shows it, and leaves out what it has no time for; bare
pixels are on the screen with the next refresh. At 256 x 256 that is 0.2 MB a picture, which a wire or a good wireless
network carries 25 times a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from sjplan.app.monitor import Monitor

Push = Callable[[bytes, dict[str, Any]], None]


class PixelStream:
    """What trame_rca calls a scheduler: hands on what a monitor shows.

    Parameters
    ----------
    monitor : Monitor
        Whose pictures; it asks for each by itself.
    """

    target_fps = 60.0

    def __init__(self, monitor: Monitor) -> None:
        self.rca = monitor
        self._push: Push | None = None
        self._asked = False

    def set_push_callback(self, callback: Push) -> None:
        """Where pictures go."""
        self._push = callback

    def schedule_render(self) -> None:
        """Send the picture as it is once the present call is done; asked for twice until then, it goes once."""
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._send)

    def reset(self) -> None:
        """A page has come (back): it has to be told what is shown."""
        self.schedule_render()

    async def close(self) -> None:
        """Send no more."""
        self._push = None

    def _send(self) -> None:
        self._asked = False
        if self._push is not None:
            image, columns, rows = self.rca.img_cols_rows
            told = {"type": "image/rgb24", "codec": "", "w": columns, "h": rows, "key": "key"}
            self._push(image.tobytes(), {**told, "st": int(1000 * time.time())})
