"""One implant as it lies beside the same as it was planned: along the planned axis, and across it at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sjplan.anatomy.types import Anatomy
from sjplan.core.labels import LabelMap
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import implant_solid
from sjplan.render.planes import SlicePlane, across_plane, implant_planes
from sjplan.render.sections import plane_section_mm
from sjplan.render.slices import DPI, INK, STROKE, SliceOverlays, SliceSubject, draw_plane, figure_png, plane_axes
from sjplan.render.style import slot_colour

_ALONG_MM: Final = 90.0
"""Width of the pictures along the axis: an implant, and another that is as far off as an audit pairs."""

_ACROSS_MM: Final = 45.0
_PANEL_PX: Final = 480
_HEAD_PX: Final = 84
_INSIDE_MM: Final = 2.0
"""Planes across the axis lie so far inside the planned ends."""

PLANNED: Final = "#ffffff"


def deviation_picture(
    volume: CtVolume | LabelMap,
    anatomy: Anatomy,
    slot: int,
    planned: Trajectory,
    placed: Trajectory,
    title: str,
    lines: Sequence[str] = (),
) -> bytes:
    """PNG of four planes: two along the planned axis, and across it near the planned entry and the planned tip.

    Parameters
    ----------
    volume : CtVolume or LabelMap
        Shown in grey.
    anatomy : Anatomy
        Gives frame, lumina and named surfaces.
    slot : int
        Gives the colour of the implant as it lies; the planned one is white and dashed.
    planned, placed : Trajectory
        In the same frame.
    title : str
        On top.
    lines : sequence of str
        Numbers below the title, two at most.
    """
    subject = SliceSubject.of(
        volume, anatomy, {slot: placed}, overlays=SliceOverlays(envelopes=False, witnesses=False)
    )  # fmt: skip
    height = 2 * _PANEL_PX + _HEAD_PX
    figure = Figure(figsize=(2 * _PANEL_PX / DPI, height / DPI), dpi=DPI, facecolor="black")
    share = _PANEL_PX / height
    places = ((0.0, share), (0.5, share), (0.0, 0.0), (0.5, 0.0))
    for plane, (left, bottom) in zip(_planes(subject, planned), places, strict=True):
        axes = plane_axes(figure, (left, bottom, 0.5, share), plane)
        draw_plane(axes, subject, plane, slot)
        _draw_planned(axes, plane, planned)
    head = 1.0 - 2.0 * share
    figure.text(0.012, 1 - 0.1 * head, title, color=slot_colour(slot), fontsize=13, fontweight="bold", va="top")
    for n, line in enumerate(lines[:2]):
        figure.text(0.012, 1 - (0.45 + 0.27 * n) * head, line, color="white", fontsize=10, va="top")
    figure.text(0.99, 1 - 0.1 * head, "not for clinical use", color=INK, fontsize=9, ha="right", va="top")
    handles = [
        Line2D([], [], color=PLANNED, linewidth=1.4, linestyle=(0, (4, 3)), label="planned"),
        Line2D([], [], color=slot_colour(slot), linewidth=1.6, label="as it lies"),
    ]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(1.0, 1 - 0.3 * head), fontsize=9, ncols=2,
                  frameon=False, labelcolor="white")  # fmt: skip
    return figure_png(figure)


def _planes(subject: SliceSubject, planned: Trajectory) -> list[SlicePlane]:
    frame, axis = subject.frame, planned.axis
    along = implant_planes(planned, frame, _ALONG_MM)
    ends = {"entry": planned.entry_lps_mm + _INSIDE_MM * axis, "tip": planned.tip_lps_mm - _INSIDE_MM * axis}
    across = [
        replace(across_plane(planned, at, frame, _ACROSS_MM), name=f"across, at the {name}")
        for name, at in ends.items()
    ]
    return [replace(plane, pixel_mm=plane.width_mm / _PANEL_PX) for plane in (*along, *across)]


def _draw_planned(axes: Axes, plane: SlicePlane, planned: Trajectory) -> None:
    ring = plane_section_mm(implant_solid(planned), plane.centre_lps_mm, plane.right, plane.up)
    axes.plot(ring[:, 0], ring[:, 1], color=PLANNED, linewidth=1.4, linestyle=(0, (4, 3)), path_effects=STROKE)
