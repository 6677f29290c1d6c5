"""An operation inside the bone: transparent bones in one window kept open, in which only the metal moves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.render import offscreen
from sjplan.render.camera import ParallelView
from sjplan.render.display import Scene
from sjplan.render.overlay import FONT_FOLDER
from sjplan.render.style import (
    BONE_COLOUR,
    CLEARANCE_STEPS,
    PIN_COLOUR,
    STRUCTURE_COLOURS,
    clearance_colour,
    slot_colour,
)

LOOKS: Final = {"behind": (0.0, 12.0), "side": (90.0, 0.0), "head": (0.0, 80.0), "front": (180.0, 12.0)}
"""Where one stands to look, as turns in degrees: from behind towards the side that is operated on, and up."""

_NIGHT: Final = "#0c1014"
_INK: Final = (232, 235, 238)
_PLANNED, _GONE = "#ffffff", "#9a9a9a"
_PEELS: Final = 3
_BONE_OPACITY: Final = 0.2
_TRIANGLES: Final = 9_000
"""A bone's: enough for a picture of some 400 pixels, and few for software GL."""

_ACROSS_MM: Final = {1: 150.0, 2: 230.0}
"""Width of the picture for one side and for both."""

_PIN_SHOWN_MM: Final = 1.6
_PATH_MM, _OUT_MM = 2.4, 3.6
"""Radius of a path where it is clear, and where it is out: told apart without colour as well."""


@dataclass(frozen=True, slots=True, eq=False)
class PathShown:
    """A path whose clearance is shown.

    Parameters
    ----------
    ends_lps_mm : (n + 1, 3) float
        Ends of its slabs, from the lateral end.
    clearance_mm : (n,) float
        Of each slab; negative is out.
    """

    ends_lps_mm: Array
    clearance_mm: Array


@dataclass(frozen=True, slots=True)
class Look:
    """From where one looks: degrees round from behind to the operated side, degrees up, and how near.

    Examples
    --------
    >>> Look(170.0, 60.0).turned(20.0, 40.0)
    Look(round_deg=-170.0, up_deg=89.0, near=1.0)
    """

    round_deg: float = 0.0
    up_deg: float = 12.0
    near: float = 1.0

    def turned(self, round_deg: float, up_deg: float) -> Look:
        """Turned by so much; never over the head."""
        far_round = (self.round_deg + round_deg + 180.0) % 360.0 - 180.0
        return Look(far_round, float(np.clip(self.up_deg + up_deg, -89.0, 89.0)), self.near)

    def nearer(self, times: float) -> Look:
        """So many times nearer, within what makes sense."""
        return Look(self.round_deg, self.up_deg, float(np.clip(self.near * times, 0.6, 4.0)))


class ReplayWindow:
    """Transparent bones with the dangers in them; use and close it in one thread.

    Parameters
    ----------
    anatomy : Anatomy or Scene
        The patient.
    sides : sequence of {"left", "right"}
        That were operated on: what the picture is centred on.
    size_px : int
        Width and height of the pictures.
    """

    def __init__(self, anatomy: Anatomy | Scene, sides: Sequence[Side], size_px: int = 400) -> None:
        self.scene = Scene.of(anatomy, _TRIANGLES)
        self.sides, self.size_px = tuple(sides), size_px
        joints = [self.scene.anatomy.joints[s].sacral_lps_mm.mean(axis=0) for s in self.sides]
        self._middle = np.mean(joints, axis=0) if joints else self.scene.origin_lps_mm
        self._open = ExitStack()
        self._window = self._open.enter_context(offscreen.plotter(size_px, size_px, _NIGHT))
        for mesh in self.scene.bones.values():
            self._window.add_mesh(mesh, color=BONE_COLOUR, opacity=_BONE_OPACITY, smooth_shading=True, specular=0.1)
        for name, mesh in {**self.scene.foramina, "canal": self.scene.canal}.items():
            if mesh.n_cells:
                self._window.add_mesh(mesh, color=STRUCTURE_COLOURS[name], smooth_shading=True, specular=0.1)
        self._moving: list[pv.Actor] = []

    def draw(
        self,
        look: Look,
        implants: Sequence[tuple[int, Trajectory]] = (),
        pin: tuple[Array, Array] | None = None,
        paths: Sequence[PathShown] = (),
        planned: Sequence[Trajectory] = (),
        *,
        quick: bool = False,
    ) -> NDArray[np.uint8]:
        """The bones with the metal in them, (size, size, 3) uint8.

        Parameters
        ----------
        look : Look
            From where.
        implants : sequence of (number, Trajectory)
            In place, in the colours of their numbers; 0 is one that did not stay.
        pin : (outer end, tip), optional
            LPS mm.
        paths : sequence of PathShown
            Drawn in the colours of their clearance, thicker where they are out; implants are then drawn faint.
        planned : sequence of Trajectory
            Drawn as white edges and axes.
        quick : bool
            Three times as fast, with layers of bone in any order: while it is being turned.
        """
        window = self._window
        if quick:
            window.renderer.disable_depth_peeling()
        else:
            window.renderer.enable_depth_peeling(_PEELS)  # type: ignore[no-untyped-call]
        for actor in self._moving:
            window.remove_actor(actor, render=False)
        self._moving = []
        for number, implant in implants:
            colour = slot_colour(number) if number else _GONE
            self._add(self.scene.implant(implant), colour, 0.3 if paths else 1.0)
        for wanted in planned:
            edges = self.scene.implant(wanted).extract_feature_edges(40.0)
            self._add(edges, _PLANNED, 1.0, line_width=4, lighting=False)
            axis = self._line(wanted.entry_lps_mm, wanted.tip_lps_mm)
            self._add(axis, _PLANNED, 1.0, line_width=4, lighting=False)
        if pin is not None:
            line = self._line(*pin)
            self._add(line.tube(radius=_PIN_SHOWN_MM), PIN_COLOUR, 1.0)
        for ends, colour, radius in (piece for path in paths for piece in _pieces(path)):
            tube = pv.lines_from_points(ends - self.scene.origin_lps_mm).tube(radius=radius)
            self._add(tube, colour, 1.0)
        view = self.view(look)
        view.apply(window, self.scene.origin_lps_mm)
        window.render()
        return _labelled(offscreen.pixels(window), self._names(view), bool(paths))

    def close(self) -> None:
        """Close the window."""
        self._open.close()

    def _line(self, start_lps_mm: Array, end_lps_mm: Array) -> pv.PolyData:
        line: pv.PolyData = pv.lines_from_points(np.stack([start_lps_mm, end_lps_mm]) - self.scene.origin_lps_mm)
        return line

    def _add(self, mesh: pv.PolyData, colour: str, opacity: float, **more: Any) -> None:
        if mesh.n_cells:
            look = more or {"smooth_shading": True, "split_sharp_edges": True, "specular": 0.3}
            self._moving.append(self._window.add_mesh(mesh, color=colour, opacity=opacity, render=False, **look))

    def view(self, look: Look) -> ParallelView:
        """The camera of a look."""
        across = _ACROSS_MM[max(len(self.sides), 1)] / look.near
        towards, right = _directions(self.scene.anatomy.frame, look, -1.0 if self.sides == ("right",) else 1.0)
        size = self.size_px
        return ParallelView(self._middle, right, np.cross(towards, right), towards, across / size, size, size)

    def _names(self, view: ParallelView) -> list[tuple[str, tuple[float, float]]]:
        """What is named in the picture, and where."""
        found = []
        for foramen in self.scene.anatomy.foramina:
            if not self.sides or foramen.side in self.sides:
                column, row = view.project(foramen.lumen_lps_mm.mean(axis=0))
                found.append((foramen.level, (float(column), float(row))))
        return found


def _directions(frame: AnatomicalFrame, look: Look, sign: float) -> tuple[Array, Array]:
    """Towards the viewer, and to the right of the picture."""
    turn, up = np.deg2rad([look.round_deg, look.up_deg])
    level = np.cos(turn) * frame.posterior + sign * np.sin(turn) * frame.left
    towards = np.cos(up) * level + np.sin(up) * frame.cranial
    return unit(towards), unit(np.cross(frame.cranial, level))


def _pieces(path: PathShown) -> list[tuple[Array, str, float]]:
    """Stretches of one colour: their ends, colour and radius."""
    found = []
    colours = [clearance_colour(float(mm)) for mm in path.clearance_mm]
    for colour, run in itertools.groupby(range(len(colours)), key=colours.__getitem__):
        slabs = list(run)
        out = path.clearance_mm[slabs[0]] < 0.0
        found.append((path.ends_lps_mm[slabs[0] : slabs[-1] + 2], colour, _OUT_MM if out else _PATH_MM))
    return found


def _labelled(picture: NDArray[np.uint8], names: Sequence[tuple[str, ArrayLike]], key: bool) -> NDArray[np.uint8]:
    """The picture with names of foramina, and what the path's colours mean."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans.ttf"), 12)
    for text, at in names:
        column, row = np.asarray(at, dtype=np.float64)
        draw.text((column, row), text, _INK, font, "mm", stroke_width=2, stroke_fill="black")
    if key:
        top = image.height - 16 * len(CLEARANCE_STEPS) - 22
        for n, (_, colour, text) in enumerate(CLEARANCE_STEPS):
            y = top + 16 * n
            thick = 6 if n == 0 else 4
            draw.rectangle((8, y + 6 - thick // 2, 24, y + 6 + thick // 2), colour)
            draw.text((30, y + 6), text, _INK, font, "lm", stroke_width=2, stroke_fill="black")
    return np.asarray(image, dtype=np.uint8)
