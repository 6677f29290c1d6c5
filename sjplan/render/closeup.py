"""Close-ups of where each implant comes nearest to what limits it: along its axis and across it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.labels import LabelMap
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.render.planes import SlicePlane, across_plane
from sjplan.render.slices import (
    DPI,
    INK,
    STROKE,
    WITNESS_NEAR_MM,
    SliceOverlays,
    SliceSubject,
    draw_plane,
    figure_png,
    plane_axes,
)
from sjplan.render.style import slot_colour, words
from sjplan.safety.types import Clearance, ImplantMargins

_ALONG_MM: Final = 72.0
"""Width of the picture along the axis: a whole implant and what lies ahead of it."""

_ACROSS_MM: Final = 40.0
_PANEL_PX: Final = 560
_HEAD_PX: Final = 64
_INSIDE_MM: Final = 0.5
"""A plane across an implant's end is drawn so far inside it."""

_LEAST_MM: Final = 0.05
"""Witness points nearer to each other than this, or to the axis, give no direction."""


def closeup_pictures(
    volume: CtVolume | LabelMap,
    anatomy: Anatomy,
    implants: Mapping[int, Trajectory],
    margins: Mapping[int, ImplantMargins],
    title: str = "",
) -> dict[int, bytes]:
    """One PNG an implant: the plane along its axis that holds the tightest distance, and the plane across it there.

    Parameters
    ----------
    volume : CtVolume or LabelMap
        Shown in grey.
    anatomy : Anatomy
        Gives frame, lumina and named surfaces; the structure that limits the implant is drawn thick.
    implants : mapping of slot to Trajectory
        All are drawn where a plane meets them.
    margins : mapping of slot to ImplantMargins
        Of those that are to be shown: what binds is the clearance with the worst slack.
    title : str
        Such as the side's name.
    """
    subject = SliceSubject.of(volume, anatomy, implants, margins, SliceOverlays(witnesses=False))
    return {slot: _closeup(subject, slot, title) for slot in implants if slot in margins}


def binding_planes(trajectory: Trajectory, binding: Clearance, frame: AnatomicalFrame) -> tuple[SlicePlane, SlicePlane]:
    """The plane along an implant's axis that holds both witness points, and the plane across it at the implant's own.

    The first is parallel to the axis, with the patient's right on the picture's left. Where the two points lie along
    the axis, or on each other, it holds the axis and the point on the structure.
    """
    on, at = binding.on_implant_lps_mm, binding.at_lps_mm
    along = trajectory.axis if trajectory.axis @ frame.left > 0 else -trajectory.axis
    ways = (at - on, at - trajectory.entry_lps_mm, -frame.posterior)
    across = next(w for w in (_across(way, along) for way in ways) if w is not None)
    # Up is where the head or the front is, as in the other slices; what the plane holds is the same either way.
    looks = np.array([across @ frame.cranial, across @ -frame.posterior])
    up = across if looks[np.argmax(np.abs(looks))] > 0 else -across
    middle = 0.5 * (on + at)
    shift = float((0.5 * (trajectory.entry_lps_mm + trajectory.tip_lps_mm) - middle) @ along)
    first = SlicePlane("along the axis", middle + shift * along, along, up, _ALONG_MM, _ALONG_MM, _ALONG_MM / _PANEL_PX)
    station = np.clip((on - trajectory.entry_lps_mm) @ trajectory.axis, _INSIDE_MM, trajectory.length_mm - _INSIDE_MM)
    here = trajectory.entry_lps_mm + station * trajectory.axis
    centre = here + 0.5 * ((at - here) - ((at - here) @ along) * along)
    second = across_plane(trajectory, centre, frame, _ACROSS_MM)
    return first, replace(second, pixel_mm=_ACROSS_MM / _PANEL_PX)


def _across(way: Array, along: Array) -> Array | None:
    """Unit vector of what of a way lies across the axis; None where nearly nothing does."""
    rest = way - (way @ along) * along
    return unit(rest) if np.linalg.norm(rest) > _LEAST_MM else None


def _closeup(subject: SliceSubject, slot: int, title: str) -> bytes:
    margins = subject.margins[slot]
    binding = margins.binding
    height = _PANEL_PX + _HEAD_PX
    figure = Figure(figsize=(2 * _PANEL_PX / DPI, height / DPI), dpi=DPI, facecolor="black")
    share = _PANEL_PX / height
    for n, plane in enumerate(binding_planes(margins.trajectory, binding, subject.frame)):
        axes = plane_axes(figure, (n / 2, 0.0, 0.5, share), plane)
        draw_plane(axes, subject, plane, slot, strong=binding.structure)
        _draw_binding(axes, plane, binding)
    heading = f"{title}, implant {slot}" if title else f"Implant {slot}"
    figure.text(0.012, 1 - 0.2 * (1 - share), f"{heading}: tightest to {words(binding.structure)}",
                color=slot_colour(slot), fontsize=13, fontweight="bold", va="top")  # fmt: skip
    slack = f"{binding.slack_mm:+.2f}".replace("-", "\u2212")
    numbers = (
        f"implant (solid line) {_distance(binding.distance_mm)} it, envelope (dashed) {_distance(binding.envelope_mm)} "
        f"it, limit {binding.limit_mm:g} mm: slack {slack} mm"
    )
    figure.text(0.012, share + 0.15 * (1 - share), numbers, color="white", fontsize=10, va="bottom")
    figure.text(0.99, 1 - 0.2 * (1 - share), "not for clinical use", color=INK, fontsize=9, ha="right", va="top")
    return figure_png(figure)


def _distance(distance_mm: float) -> str:
    """How far from a structure, or how far beyond it."""
    return f"{abs(distance_mm):.1f} mm " + ("beyond" if distance_mm < 0 else "from")


def _draw_binding(axes: Axes, plane: SlicePlane, binding: Clearance) -> None:
    """The distance between its two points; dotted, with how far off it ends, where it leaves the plane."""
    pair = plane.flat_mm([binding.on_implant_lps_mm, binding.at_lps_mm])
    off = float(np.abs(pair[:, 2]).max())
    near = off <= WITNESS_NEAR_MM
    axes.plot(pair[:, 0], pair[:, 1], color="white", linewidth=2.0, linestyle="solid" if near else (0, (1, 2)),
              marker="o", markersize=5, path_effects=STROKE)  # fmt: skip
    if not near:
        text = f"dotted: its end lies {off:.1f} mm off this plane"
        axes.text(0.025, 0.08, text, transform=axes.transAxes, color="white", fontsize=10, path_effects=STROKE)
        return
    right = pair[1, 0] < 0.1 * plane.width_mm
    text = f"{abs(binding.distance_mm):.1f} mm" + (" beyond" if binding.distance_mm < 0 else "")
    axes.annotate(text, (float(pair[1, 0]), float(pair[1, 1])),
                  xytext=(9 if right else -9, -16), textcoords="offset points", ha="left" if right else "right",
                  color="white", fontsize=12, fontweight="bold", path_effects=STROKE)  # fmt: skip
