"""Charts of a plan: clearance along each implant's path, and slack against length in the sacrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sjplan.core.arrays import Array
from sjplan.render.slices import DPI, figure_png
from sjplan.render.style import STRUCTURE_COLOURS, slot_colour, words
from sjplan.safety.profile import ClearanceProfile

BONE_SHADES: Final[Mapping[str, str]] = {"ilium": "#efe6d2", "joint": "#bfe3bf", "sacrum": "#dde5ef"}
"""Backgrounds of the stretches along an axis."""

BAD_COLOUR: Final = "#a3161b"
_QUIET: Final = "#59636e"
_INK: Final = "#1c2126"
_NOTICE: Final = "not for clinical use"
_HIGHEST_MM: Final = 9.0
"""Slack above this is not shown: nothing is decided there."""

_LEAST_NAMED_MM: Final = 1.5
"""A stretch of one structure that is shorter than this bears no name; the tightest place has its own."""


def profile_picture(profiles: Mapping[int, ClearanceProfile], lengths_mm: Mapping[int, float], title: str) -> bytes:
    """PNG of the slack along each implant, one panel under the other.

    Parameters
    ----------
    profiles : mapping of slot to ClearanceProfile
        What was measured along each axis.
    lengths_mm : mapping of slot to float
        Length of each implant.
    title : str
        Above the panels.
    """
    figure = Figure(figsize=(10.4, 0.75 + 2.45 * len(profiles)), dpi=DPI, facecolor="white")
    panels = figure.subplots(len(profiles), 1, squeeze=False)[:, 0]
    longest = max(lengths_mm.values())
    top = min(max(float(p.slack_mm.max()) for p in profiles.values()) + 1.2, _HIGHEST_MM)
    low = min(-0.8, min(float(p.slack_mm.min()) for p in profiles.values()) - 0.8)
    for axes, (slot, profile) in zip(panels, profiles.items(), strict=True):
        axes.set_xlim(-1.0, longest + 1.0)
        axes.set_ylim(low, top)
        _draw_stretches(axes, profile, lengths_mm[slot])
        _draw_slack(axes, profile)
        axes.set_title(f"implant {slot}", color=slot_colour(slot), fontsize=11, fontweight="bold", loc="left")
        axes.set_ylabel("slack (mm)")
        plain_axes(axes)
    panels[-1].set_xlabel("mm along the axis: 0 is the lateral end (entry), the medial end is the tip")
    heading(figure, title)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.36 / figure.get_figheight()))
    return figure_png(figure)


def _draw_stretches(axes: Axes, profile: ClearanceProfile, length_mm: float) -> None:
    """Ilium, joint and sacrum behind the curve, named above; what is beyond the implant is left white."""
    way = profile.passage
    if way.lateral_mm is None or way.iliac_exit_mm is None or way.sacral_entry_mm is None:
        axes.text(0.5, 0.97, "the axis does not pass from the ilium into the sacrum", transform=axes.transAxes,
                  ha="center", va="top", color=BAD_COLOUR, fontsize=9)  # fmt: skip
        return
    ends = (way.lateral_mm, *sorted((way.iliac_exit_mm, way.sacral_entry_mm)), length_mm)
    for name, a, b in zip(BONE_SHADES, ends[:-1], ends[1:], strict=True):
        start, stop = max(a, 0.0), min(b, length_mm)
        if stop > start:
            axes.axvspan(start, stop, color=BONE_SHADES[name], linewidth=0, zorder=0)
            axes.text(0.5 * (start + stop), 1.02, name, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
                      color=_QUIET, fontsize=9)  # fmt: skip


def _draw_slack(axes: Axes, profile: ClearanceProfile) -> None:
    """The curve in the nearest structure's colour and its name, the limit, and the tightest place."""
    low, _ = axes.get_ylim()
    axes.axhspan(low, 0.0, facecolor="#f6d5d5", edgecolor="#e0a0a0", hatch="//", linewidth=0, zorder=0.5)
    axes.axhline(0.0, color=BAD_COLOUR, linewidth=1.4, zorder=1)
    axes.text(1.0, 0.0, " limit", transform=axes.get_yaxis_transform(), color=BAD_COLOUR, fontsize=9, va="center")
    x, y = profile.along_mm, profile.slack_mm
    points = np.column_stack([x, y])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    colours = [STRUCTURE_COLOURS[name] for name in profile.structure[1:]]
    axes.plot(x, y, color=_INK, linewidth=4.6, solid_capstyle="round", zorder=2)
    axes.add_collection(LineCollection(list(pieces), colors=colours, linewidths=3.0, capstyle="round", zorder=3))
    for name, first, last in _runs(profile.structure):
        shown = np.flatnonzero(y[first : last + 1] < axes.get_ylim()[1]) + first
        if not first <= profile.worst <= last and len(shown) and x[shown[-1]] - x[shown[0]] >= _LEAST_NAMED_MM:
            _name_run(axes, words(name), x[shown], y[shown])
    n = profile.worst
    axes.plot(x[n], y[n], marker="o", markersize=8, color="white", markeredgecolor=_INK, markeredgewidth=1.6, zorder=5)
    side = "left" if x[n] < 0.6 * axes.get_xlim()[1] else "right"
    text = f"{profile.slack_mm[n]:.2f} mm to {words(profile.structure[n])}".replace("-", "\u2212")
    room = float(y[n]) > low + 1.0
    axes.annotate(text, (float(x[n]), float(y[n])), xytext=(10 if side == "left" else -10, -4 if room else 5),
                  textcoords="offset points", ha=side, va="top" if room else "bottom",
                  color=_INK, fontsize=9.5, fontweight="bold", zorder=6,
                  path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip


def _name_run(axes: Axes, name: str, x: Array, y: Array) -> None:
    """A structure's name over the middle of its stretch, under the curve where there is no room above."""
    top = axes.get_ylim()[1]
    place = float(y[len(y) // 2])
    above = place < 0.72 * top
    axes.annotate(name, (float(0.5 * (x[0] + x[-1])), place), xytext=(0, 7 if above else -9),
                  textcoords="offset points", ha="center", va="bottom" if above else "top", color=_INK, fontsize=8.5,
                  zorder=4, path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip


def _runs(names: Sequence[str]) -> list[tuple[str, int, int]]:
    """Stretches of equal names: name, first and last index."""
    starts = [n for n in range(len(names)) if n == 0 or names[n] != names[n - 1]]
    return [(names[a], a, b - 1) for a, b in zip(starts, [*starts[1:], len(names)], strict=True)]


@dataclass(frozen=True, slots=True)
class Trade:
    """A plan as the Pareto chart shows it: summed length in the sacrum, worst slack, and the implants' lengths."""

    sacral_mm: float
    slack_mm: float
    lengths_mm: tuple[float, ...]


def pareto_picture(chosen: Trade, trades: Sequence[Trade], title: str, bound: tuple[float, str] | None = None) -> bytes:
    """PNG of slack against length in the sacrum: the chosen plan marked, and what more length would cost.

    Parameters
    ----------
    chosen : Trade
        The plan that is proposed.
    trades : sequence of Trade
        Accepted plans on the same axes; the chosen one may be among them.
    title : str
        Above the chart.
    bound : (float, str), optional
        Slack in mm that no plan exceeds or that more is not asked for beyond, and which of the two it is.
    """
    figure = Figure(figsize=(7.4, 4.6), dpi=DPI, facecolor="white")
    axes = figure.subplots()
    others = [t for t in trades if (round(t.sacral_mm, 2), round(t.slack_mm, 2)) != (
        round(chosen.sacral_mm, 2), round(chosen.slack_mm, 2))]  # fmt: skip
    line = sorted([chosen, *others], key=lambda t: t.sacral_mm)
    x, y = [t.sacral_mm for t in line], [t.slack_mm for t in line]
    axes.plot(x, y, color=_QUIET, linewidth=1.2, linestyle=(0, (4, 3)), zorder=2)
    axes.scatter([t.sacral_mm for t in others], [t.slack_mm for t in others], s=55, color="#0084d1", zorder=3,
                 edgecolor=_INK, label="longer implants on the same axes (accepted)")  # fmt: skip
    axes.scatter([chosen.sacral_mm], [chosen.slack_mm], s=210, marker="*", color="#e69f00", edgecolor=_INK, zorder=4,
                 label="the chosen plan")  # fmt: skip
    for t in line:
        text, mine = " / ".join(f"{length:.0f}" for length in t.lengths_mm) + " mm", t is chosen
        axes.annotate(text, (t.sacral_mm, t.slack_mm), xytext=(-11, -5) if mine else (10, 5),
                      textcoords="offset points", ha="right" if mine else "left", va="top" if mine else "bottom",
                      fontsize=8.5, color=_INK,
                      path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip
    reach = max(max(x) - min(x), 8.0)
    middle = 0.5 * (max(x) + min(x))
    axes.set_xlim(middle - 0.8 * reach, middle + 0.8 * reach)
    top = max([*y, bound[0] if bound is not None else 0.0]) * 1.25 + 0.3
    axes.set_ylim(min(-0.15 * top, min(y) - 0.3), top)
    axes.axhspan(axes.get_ylim()[0], 0.0, facecolor="#f6d5d5", edgecolor="#e0a0a0", hatch="//", linewidth=0, zorder=0.5)
    axes.axhline(0.0, color=BAD_COLOUR, linewidth=1.4, zorder=1)
    axes.text(0.01, 0.0, "limit", transform=axes.get_yaxis_transform(), color=BAD_COLOUR, fontsize=9, va="top")
    if bound is not None:
        axes.axhline(bound[0], color=_INK, linewidth=1.0, linestyle=":", zorder=1)
        axes.text(0.99, bound[0], bound[1], transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=9,
                  color=_INK)  # fmt: skip
    axes.set_xlabel("length in the sacrum, all implants together (mm)")
    axes.set_ylabel("worst slack (mm)")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12), fontsize=8.5, frameon=False)
    plain_axes(axes)
    heading(figure, title)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    return figure_png(figure)


def heading(figure: Figure, title: str) -> None:
    """A title at the top left, and what it is not for at the top right."""
    top = 1 - 0.09 / figure.get_figheight()
    figure.text(0.012, top, title, fontsize=12, fontweight="bold", color=_INK, va="top")
    figure.text(0.99, top, _NOTICE, fontsize=8.5, color=_QUIET, ha="right", va="top")


def plain_axes(axes: Axes) -> None:
    """Axes with two edges and faint level lines."""
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    axes.grid(axis="y", color="#e3e7eb", linewidth=0.6, zorder=0.2)
    axes.tick_params(labelsize=9)
