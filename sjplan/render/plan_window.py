"""The pelvis with implants while they are moved: one window kept open, in which only metal and viewer move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from sjplan.core.arrays import unit
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Side
from sjplan.core.structures import SURFACE_ID
from sjplan.core.trajectory import Trajectory
from sjplan.render import offscreen
from sjplan.render.camera import ParallelView
from sjplan.render.display import Scene
from sjplan.render.style import BONE_COLOUR, STRUCTURE_COLOURS, slot_colour

NIGHT: Final = "#0c1014"
SHOWN_MM: Final = 165.0
"""Height of what is shown: one side of a pelvis, from the crest to below the joint."""

_PEELS: Final = 3
_BONE_OPACITY: Final = 0.3


class PlanWindow:
    """Transparent bones, foramina, canal, joint and implants of one side; use and close it in one thread.

    Parameters
    ----------
    scene : Scene
        Meshes of the patient, few enough for software GL.
    side : {"left", "right"}
        What the picture is about.
    size_px : int
        Width and height of the pictures.
    """

    def __init__(self, scene: Scene, side: Side, size_px: int) -> None:
        self.scene, self.side, self._size = scene, side, size_px
        self._open = ExitStack()
        self._window = self._open.enter_context(offscreen.plotter(size_px, size_px, NIGHT))
        self._window.renderer.enable_depth_peeling(_PEELS)  # type: ignore[no-untyped-call]
        for name, mesh in scene.bones.items():
            if name != f"ilium_{'right' if side == 'left' else 'left'}":
                self._add(mesh, BONE_COLOUR, _BONE_OPACITY)
        sacrum = scene.bones["sacrum"]
        face = sacrum.cell_data["label"] == SURFACE_ID["joint_articular"]
        if face.any():
            self._add(sacrum.extract_cells(face), STRUCTURE_COLOURS["joint_articular"], 0.5)
        for name, mesh in {**scene.foramina, "canal": scene.canal}.items():
            if mesh.n_cells:
                self._add(mesh, STRUCTURE_COLOURS[name], 1.0)
        self._moving: list[pv.Actor] = []
        joint = scene.anatomy.joints[side]
        self._focus = joint.sacral_lps_mm.mean(axis=0)

    def draw(
        self, implants: Mapping[int, Trajectory], planned: Sequence[Trajectory] = (), *, turned_deg: float = 0.0,
        raised_deg: float = 0.0,
    ) -> NDArray[np.uint8]:  # fmt: skip
        """The implants from somewhere, (size, size, 3) uint8.

        Parameters
        ----------
        implants : mapping of slot to Trajectory
            Solid, in their colours.
        planned : sequence of Trajectory
            As white wires.
        turned_deg, raised_deg : float
            Where the viewer stands: at 0 and 0 behind the patient, at 90 and 0 on the side shown; raised to the head.
        """
        for actor in self._moving:
            self._window.remove_actor(actor, render=False)
        self._moving = [self._add(self.scene.implant(t), slot_colour(n), 1.0) for n, t in implants.items()]
        self._moving += [self._add(self.scene.implant(t), "#ffffff", 0.45) for t in planned]
        self._view(turned_deg, raised_deg).apply(self._window, self.scene.origin_lps_mm)
        self._window.render()
        return offscreen.pixels(self._window)

    def close(self) -> None:
        """Close the window."""
        self._open.close()

    def _add(self, mesh: pv.DataSet, colour: str, opacity: float) -> pv.Actor:
        return self._window.add_mesh(
            mesh,
            color=colour,
            opacity=opacity,
            smooth_shading=True,
            split_sharp_edges=False,
            specular=0.2,
            render=False,
        )

    def _view(self, turned_deg: float, raised_deg: float) -> ParallelView:
        frame = self.scene.anatomy.frame
        turn, rise = np.radians(turned_deg), np.radians(np.clip(raised_deg, -89.0, 89.0))
        aside = SIDE_SIGN[self.side] * frame.left
        level = np.cos(turn) * frame.posterior + np.sin(turn) * aside
        towards = unit(np.cos(rise) * level + np.sin(rise) * frame.cranial)
        up = unit(frame.cranial - (frame.cranial @ towards) * towards)
        right = np.cross(up, towards)
        return ParallelView(self._focus, right, up, towards, SHOWN_MM / self._size, self._size, self._size)
