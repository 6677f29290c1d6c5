"""The C-arm at the trainee's hand: where it is wanted, the live picture while it moves, and what the mouse means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.worker import Latest, Worker, one_thread
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import SjplanError
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Side
from sjplan.training.actions import MoveArm
from sjplan.training.moves import metal, pose
from sjplan.training.session import Session
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm

TURN_DEG: Final = 90.0
"""Dragging across the whole screen turns the arm so far."""

MOST_WISHES: Final = 50
"""Wishes that can be taken back, one after another (default)."""

TOLD_S: Final = 0.15
"""The numbers of a dragged arm go to the page no more often: it is drawn anew for each."""

SIZES: Final = (512, 384, 256)
"""Rows of a live picture's field, of which a draft draws half as many (default)."""

LATE_S: Final = 0.06
"""A live picture that comes later than this is late: fifteen a second, and the way to the page takes as long again."""

LEAST_SIDEWAYS: Final = 0.5
"""Share of a ray's direction that has to go from side to side for the skin of a side to be found on it."""

NUMBERS: Final = ("orbital_deg", "tilt_deg", "wig_wag_deg", "across_mm", "lift_mm", "along_mm")

COARSE: Final[Mapping[str, Mapping[str, float]]] = {
    "ap": {"orbital_deg": 0.0, "tilt_deg": 0.0, "wig_wag_deg": 0.0},
    "lateral": {"orbital_deg": 90.0, "tilt_deg": 0.0, "wig_wag_deg": 0.0},
    "inlet": {"orbital_deg": 0.0, "tilt_deg": -25.0, "wig_wag_deg": 0.0},
    "outlet": {"orbital_deg": 0.0, "tilt_deg": 40.0, "wig_wag_deg": 0.0},
}
"""Where a radiographer puts the arm when a view is called out; this patient's true views lie some degrees off."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How large live pictures are: smaller ones while several people want theirs at once and wait for them.

    Parameters
    ----------
    step : int
        Which of `SIZES`.

    Examples
    --------
    >>> slow = Pace().after(0.09, others=True)
    >>> slow.pixels, slow.after(0.09, others=False).pixels, slow.after(0.01, others=True).pixels
    (384, 384, 384)
    """

    step: int = 0

    @property
    def pixels(self) -> int:
        """Rows of the whole field; a draft has half as many."""
        return SIZES[self.step]

    def after(self, seconds: float, *, others: bool) -> Pace:
        """What to go on with, once a picture has come so long after it was wanted, while others waited or not."""
        if not others and seconds < LATE_S:
            return Pace(max(self.step - 1, 0))
        return Pace(min(self.step + 1, len(SIZES) - 1)) if others and seconds > LATE_S else self


class Arm:
    """Where the arm is wanted; it goes there, and the log says so, before the next thing that is done.

    Parameters
    ----------
    session : Session
        Whose arm it is.
    monitor : Monitor
        Shows live pictures.
    worker : Worker
        Draws them.
    changed : callable
        Told when the wanted pose has changed.
    """

    def __init__(self, session: Session, monitor: Monitor, worker: Worker, changed: Callable[[], None]) -> None:
        self.session, self.monitor, self._worker, self._changed = session, monitor, worker, changed
        self.wanted = session.state.arm
        self.frames = 0
        self._before: list[MoveArm] = []
        self._live = Latest(self._draw)
        self._telling = Latest(self._tell, TOLD_S)
        self._held_from: tuple[float, float, MoveArm] | None = None
        self._pedal_since: float | None = None
        self._dragged = False
        self._rng = np.random.default_rng(0)
        self._pace = Pace()

    @property
    def pose(self) -> CArm:
        """Of the wanted numbers."""
        return pose(self.session.theatre, self.wanted)

    def to(self, **numbers: float) -> str | None:
        """Want other numbers; says why not where the device does not go there."""
        wanted = replace(self.wanted, **numbers)
        try:
            pose(self.session.theatre, wanted)
        except SjplanError as error:
            return str(error)
        if wanted != self.wanted and not self._dragged:
            self._before = [*(self._before if self.moved else []), self.wanted][-MOST_WISHES:]
            self._dragged = self._held_from is not None
        self.wanted = wanted
        if self._pedal_since is None:
            self._changed()
        else:
            self._telling.ask()
        return None

    @property
    def before(self) -> MoveArm | None:
        """What was wanted before the last wish, while the arm has not gone there yet."""
        return self._before[-1] if self._before and self.moved else None

    def back(self) -> None:
        """Take the last wish back."""
        before = self.before
        if before is not None:
            self._before, self.wanted = self._before[:-1], before
            self._changed()

    @property
    def live(self) -> bool:
        """Whether X-rays are on while the picture is dragged."""
        return self._pedal_since is not None

    async def _tell(self) -> None:
        self._changed()

    @property
    def moved(self) -> bool:
        """Whether the arm has to go anywhere."""
        return self.wanted != self.session.state.arm

    def press(self, across: float, down: float, *, pedal: bool) -> None:
        """Take hold of the picture; with the pedal down, X-rays are on."""
        self._held_from, self._dragged = (across, down, self.wanted), False
        self._pedal_since = time.monotonic() if pedal else None
        if pedal:
            self._live.ask()

    def drag(self, across: float, down: float) -> None:
        """Turn the arm by how far the mouse has moved: across is orbital, down is tilt."""
        if self._held_from is None:
            return
        from_across, from_down, start = self._held_from
        self.to(
            orbital_deg=round(start.orbital_deg + TURN_DEG * (across - from_across), 1),
            tilt_deg=round(start.tilt_deg + TURN_DEG * (down - from_down), 1),
        )
        if self._pedal_since is not None:
            self._live.ask()

    async def release(self) -> float | None:
        """Let go; the seconds that X-rays were on, or None if they were not."""
        since, self._held_from, self._pedal_since = self._pedal_since, None, None
        self._dragged = False
        await self._live.settled()
        return None if since is None else max(time.monotonic() - since, 0.1)

    async def _draw(self) -> None:
        # What a slow page has not taken yet is not drawn past it: others wait for the worker.
        await self.monitor.taken.wait()
        implants, pins = metal(self.session.state)
        theatre, carm = self.session.theatre, self.pose

        def frame() -> None:
            with one_thread():
                shot = theatre.scope.shoot(
                    carm, theatre.maker, implants, pins, pixels=self._pace.pixels, rng=self._rng, draft=True
                )
            self._grey = grey_of(shot)

        others, begun = self._worker.waiting > 0, time.monotonic()
        await self._worker.do(frame)
        self._pace = self._pace.after(time.monotonic() - begun, others=others)
        self.frames += 1
        self.monitor.show(self._grey)


def skin_under(session: Session, carm: CArm, side: Side, across: float, down: float) -> Array | None:
    """The skin of one side at a place of the picture: where a wire's tip would lie that casts its shadow there.

    Parameters
    ----------
    carm : CArm
        That the picture was taken with.
    side : {"left", "right"}
        Whose skin.
    across, down : float
        Shares of the picture from the left and from the top.

    Returns
    -------
    (3,) float or None
        LPS mm; None where the ray misses the body, or does not go from side to side.
    """
    detector = session.theatre.detector(session.pixels)
    geometry = CArmGeometry.of(carm, detector)
    pixel = np.array([[across * detector.columns - 0.5, down * detector.rows - 0.5]])
    ray = unit(geometry.pixel_lps_mm(pixel)[0] - geometry.source_lps_mm)
    if abs(ray[0]) < LEAST_SIDEWAYS:
        return None
    inwards = -SIDE_SIGN[side] * np.sign(ray[0]) * ray
    foot = geometry.source_lps_mm + ((carm.isocentre_lps_mm - geometry.source_lps_mm) @ ray) * ray
    return session.theatre.tissue.skin_on_line(foot, inwards)
