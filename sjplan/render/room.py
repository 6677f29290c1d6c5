"""The operating room as it changes: one window kept open, in which only the arm and the metal move."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import outline
from sjplan.render import offscreen
from sjplan.render.carm_scene import BODY_LOOK, arm_meshes, arm_motion, at_rest, bodies, look_at_room, table_mesh
from sjplan.render.display import poly_data
from sjplan.render.style import PIN_COLOUR, slot_colour
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.solids import Pin, PinLike
from sjplan.xray.types import CArm, Detector

_NIGHT: Final = "#0c1014"
_PIN_SHOWN_MM: Final = 3.0
"""Radius of a pin in this picture: its own 1.6 mm would be lost at this scale."""

MOST_TRIANGLES: Final = (4_000, 14_000)
"""Of skin and bone: enough for a picture of the size of a stamp, and few for software GL."""


class RoomWindow:
    """A patient prone on the table with the arm round them; use and close it in one thread.

    Parameters
    ----------
    ct : CtVolume
        The patient; densities assumed from labels will do.
    size_px : (width, height)
        Of the pictures.

    Examples
    --------
    >>> from sjplan.core.grid import Grid
    >>> water = np.full((12, 10, 14), -1000, np.int16)
    >>> water[2:-2, 2:-2, 2:-2] = 40
    >>> ct = CtVolume(Grid(water.shape, (20.0,) * 3, (-110.0, -90.0, -130.0), np.eye(3)), water)
    >>> room = RoomWindow(ct, (80, 80))
    >>> room.draw(CArm(0, 0, 0, (0, 0, 0)), Detector()).shape
    (80, 80, 3)
    >>> room.close()
    """

    def __init__(self, ct: CtVolume, size_px: tuple[int, int] = (320, 320)) -> None:
        self._open = ExitStack()
        self._window = self._open.enter_context(offscreen.plotter(*size_px, _NIGHT))
        skin, bone = (_light(mesh, most) for mesh, most in zip(bodies(ct), MOST_TRIANGLES, strict=True))
        self._skin = skin
        for mesh, (colour, opacity) in zip((bone, skin), reversed(BODY_LOOK), strict=True):
            if mesh.n_cells:
                self._window.add_mesh(mesh, color=colour, opacity=opacity, smooth_shading=True, specular=0.1)
        self._arm: list[pv.Actor] = []
        self._arm_form: tuple[object, ...] = ()
        self._metal: list[pv.Actor] = []
        self._metal_shown: tuple[object, ...] = ()

    def draw(
        self, carm: CArm, detector: Detector, implants: Sequence[Trajectory] = (), pins: Sequence[PinLike] = ()
    ) -> NDArray[np.uint8]:
        """The room with the arm and the metal where they are, (height, width, 3) uint8."""
        self._build_arm(carm, detector)
        for actor in self._arm:
            actor.user_matrix = arm_motion(carm)
        self._build_metal(implants, pins)
        look_at_room(self._window, CArmGeometry.of(carm, detector), carm)
        self._window.render()
        return offscreen.pixels(self._window)

    def _build_arm(self, carm: CArm, detector: Detector) -> None:
        """The arm before any motion, and the table; they stay until another device comes in."""
        form = detector, carm.source_to_isocentre_mm, carm.source_to_detector_mm
        if form == self._arm_form:
            return
        for actor in self._arm:
            self._window.remove_actor(actor, render=False)
        rest = at_rest(carm)
        self._arm = self._added(arm_meshes(CArmGeometry.of(rest, detector), rest))
        if not self._arm_form:
            self._added([(table_mesh(self._skin, carm), "#78909c", 0.5)])
        self._arm_form = form

    def _build_metal(self, implants: Sequence[Trajectory], pins: Sequence[PinLike]) -> None:
        """Implants and pins, where others are to be shown than before."""
        solid_pins = [given if isinstance(given, Pin) else Pin(*given) for given in pins]  # type: ignore[arg-type]
        shown = (
            *((t.model, t.roll_deg, t.entry_lps_mm.tobytes(), t.tip_lps_mm.tobytes()) for t in implants),
            *((p.entry_lps_mm.tobytes(), p.tip_lps_mm.tobytes()) for p in solid_pins),
        )
        if shown == self._metal_shown:
            return
        for actor in self._metal:
            self._window.remove_actor(actor, render=False)
        meshes = [(poly_data(*outline(implant)), slot_colour(n), 1.0) for n, implant in enumerate(implants, 1)]
        for pin in solid_pins:
            line = pv.Line(pin.entry_lps_mm, pin.tip_lps_mm)
            meshes.append((line.tube(radius=_PIN_SHOWN_MM), PIN_COLOUR, 1.0))
        self._metal, self._metal_shown = self._added(meshes), shown

    def _added(self, meshes: Sequence[tuple[pv.PolyData, str, float]]) -> list[pv.Actor]:
        return [
            self._window.add_mesh(mesh, color=colour, opacity=opacity, smooth_shading=True, specular=0.2, render=False)
            for mesh, colour, opacity in meshes
        ]

    def close(self) -> None:
        """Close the window."""
        self._open.close()


def _light(mesh: pv.PolyData, most: int) -> pv.PolyData:
    """The mesh with at most about so many triangles."""
    if mesh.n_cells <= most:
        return mesh
    lighter: pv.PolyData = mesh.decimate_pro(1.0 - most / mesh.n_cells, preserve_topology=False)
    return lighter
