"""The entry map as a picture: where on the ilium an implant could go in, laid out as on the lateral radiograph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.trajectory import Trajectory
from sjplan.planning.entry_map import FLOOR_MM, EntryMap
from sjplan.planning.field import SideFrame
from sjplan.render.charts import BAD_COLOUR
from sjplan.render.planes import SlicePlane
from sjplan.render.slices import DPI, figure_png
from sjplan.render.style import STRUCTURE_COLOURS, slot_colour

_SHADOW_MM: Final = 1.5
"""Pixel of a silhouette; its holes up to four pixels are closed."""

_AROUND_MM: Final = 28.0
"""How much is shown round joint and map."""

_INK: Final = "#1c2126"
_HALO: Final = [withStroke(linewidth=2.5, foreground="white")]
_SIZE: Final = (9.0, 7.2)


def entry_map_picture(
    found: EntryMap,
    anatomy: Anatomy,
    entries: Mapping[int, Trajectory],
    right: ArrayLike,
    up: ArrayLike,
    title: str,
) -> bytes:
    """PNG of an entry map over the outlines of the bones.

    Parameters
    ----------
    found : EntryMap
        What was found per cell.
    anatomy : Anatomy
        Gives the outlines of ilium and sacrum, the joint and the foramina.
    entries : mapping of slot to Trajectory
        Planned implants: each is drawn as a circle of its envelope where it enters, with a line to its tip.
    right, up : (3,) float
        Directions in LPS along the picture's rows and against its columns: those of the lateral radiograph.
    title : str
        Above the picture.
    """
    plane = _view(anatomy, right, up)
    figure = Figure(figsize=_SIZE, dpi=DPI, facecolor="white")
    axes = figure.add_axes((0.01, 0.02, 0.84, 0.88))
    _draw_cells(figure, axes, found, SideFrame(anatomy.frame, found.side), plane)
    places = np.array([plane.flat_mm(t.entry_lps_mm)[:2] for t in entries.values()]).reshape(-1, 2)
    _draw_bones(axes, anatomy, found, plane, places)
    for slot, trajectory in entries.items():
        x, y = plane.flat_mm(trajectory.entry_lps_mm)[:2]
        tip = plane.flat_mm(trajectory.tip_lps_mm)[:2]
        axes.plot([x, tip[0]], [y, tip[1]], color=slot_colour(slot), linewidth=2.4, zorder=6,
                  path_effects=[withStroke(linewidth=4.2, foreground="white")])  # fmt: skip
        radius = trajectory.model.circumscribed_radius_mm
        axes.add_patch(Circle((x, y), radius, facecolor="none", edgecolor="white", linewidth=4.0, zorder=6))
        axes.add_patch(Circle((x, y), radius, facecolor="none", edgecolor=slot_colour(slot), linewidth=2.4, zorder=7))
        axes.text(x, y, str(slot), ha="center", va="center", fontsize=11, fontweight="bold", color=_INK, zorder=8,
                  path_effects=_HALO)  # fmt: skip
    _frame(axes, anatomy, found, plane)
    figure.text(0.012, 0.985, title, fontsize=12, fontweight="bold", color=_INK, va="top")
    note = "each 2 mm cell: best slack of any one implant entering there, on the search field (some tenths too kind)"
    figure.text(0.012, 0.945, note, fontsize=9, color="#59636e", va="top")
    figure.text(0.99, 0.985, "not for clinical use", fontsize=8.5, color="#59636e", ha="right", va="top")
    return figure_png(figure)


def _view(anatomy: Anatomy, right: ArrayLike, up: ArrayLike) -> SlicePlane:
    across = unit(np.asarray(right, dtype=np.float64))
    upward = np.asarray(up, dtype=np.float64)
    return SlicePlane("lateral", anatomy.frame.origin_lps_mm, across, unit(upward - (upward @ across) * across))


def _draw_cells(figure: Figure, axes: Axes, found: EntryMap, frame: SideFrame, plane: SlicePlane) -> None:
    """Cells in their colour: grey below zero, viridis from zero to the cap."""
    a, b = np.meshgrid(found.posterior_mm, found.cranial_mm, indexing="ij")
    corners = plane.flat_mm(frame.lps_from_side(np.stack([0 * a, a, b], axis=-1)))
    high = found.cap_mm if np.isfinite(found.cap_mm) else max(1.0, float(np.nanmax(found.slack_mm, initial=1.0)))
    shown = axes.pcolormesh(
        corners[..., 0], corners[..., 1], np.ma.masked_invalid(found.slack_mm), cmap=slack_colours(high), vmin=FLOOR_MM,
        vmax=high, alpha=0.92, linewidth=0, zorder=2,
    )  # fmt: skip
    bar = figure.colorbar(shown, cax=figure.add_axes((0.87, 0.14, 0.022, 0.6)))
    ticks = [FLOOR_MM, *range(int(high) + 1)]
    bar.set_ticks(ticks, labels=[f"{FLOOR_MM:g} or less".replace("-", "−"), "0: limit",
                                 *(f"{t}" for t in ticks[2:-1]), f"{ticks[-1]} or more"])  # fmt: skip
    bar.ax.tick_params(labelsize=9)
    bar.ax.set_title("best slack\n(mm)", fontsize=9.5, loc="left", pad=8)
    bar.ax.axhline(0.0, color=BAD_COLOUR, linewidth=1.6)


def slack_colours(high_mm: float) -> ListedColormap:
    """Colours from `FLOOR_MM` to a slack: greys below the limit, then viridis; told apart by the colour-blind too."""
    from matplotlib import colormaps

    steps = 256
    below = round(steps * -FLOOR_MM / (high_mm - FLOOR_MM))
    greys = np.repeat(np.linspace(0.55, 0.86, below)[:, None], 4, axis=1)
    greys[:, 3] = 1.0
    return ListedColormap(np.concatenate([greys, colormaps["viridis"](np.linspace(0.0, 1.0, steps - below))]))


def _draw_bones(axes: Axes, anatomy: Anatomy, found: EntryMap, plane: SlicePlane, taken: Array) -> None:
    side = found.side
    _outline(axes, plane, anatomy.ilium[side].vertices_lps_mm, "#8a7a58", 1.8, "ilium")
    _outline(axes, plane, anatomy.sacrum.vertices_lps_mm, "#4a5561", 1.8, "sacrum", dash=(5, 2))
    joint = anatomy.joints[side]
    if joint.articular.any():
        middle = 0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm)
        _outline(axes, plane, middle[joint.articular], STRUCTURE_COLOURS["joint_articular"], 2.2, "joint, articular")
    for foramen in anatomy.foramina:
        if foramen.side == side:
            colour = STRUCTURE_COLOURS[foramen.name]
            _outline(axes, plane, foramen.lumen_lps_mm, colour, 2.0, f"{foramen.level} foramen")
            x, y = _free_place(plane.flat_mm(foramen.lumen_lps_mm)[:, :2], taken)
            axes.text(x, y, foramen.level, color=colour, fontsize=10, fontweight="bold", ha="center", va="center",
                      zorder=5, path_effects=_HALO, clip_on=True)  # fmt: skip
    axes.legend(loc="lower right", fontsize=8, frameon=True, framealpha=0.9, edgecolor="#d3d9df").set_zorder(9)


def _free_place(points: Array, taken: Array) -> Array:
    """Where a name goes: the middle, or that end of a cloud of points (n, 2) which is farthest from what is drawn."""
    middle = points.mean(axis=0)
    if not len(taken) or np.linalg.norm(taken - middle, axis=1).min() > 9.0:
        return np.asarray(middle)
    ends = points[[points[:, 0].argmin(), points[:, 0].argmax(), points[:, 1].argmin(), points[:, 1].argmax()]]
    return np.asarray(ends[np.linalg.norm(ends[:, None] - taken, axis=2).min(axis=1).argmax()])


def _outline(
    axes: Axes, plane: SlicePlane, points_lps_mm: Array, colour: str, width: float, name: str,
    *, dash: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """Outline of what a cloud of points covers, seen from the side."""
    flat = plane.flat_mm(points_lps_mm)[:, :2]
    low = flat.min(axis=0) - 5 * _SHADOW_MM
    mask = shadow(flat, low, _SHADOW_MM)
    x, y = (low[k] + (np.arange(mask.shape[k]) + 0.5) * _SHADOW_MM for k in (0, 1))
    style = "solid" if dash is None else (0, dash)
    soft = ndimage.gaussian_filter(mask.astype(float), 0.8)
    axes.contour(x, y, soft.T, levels=[0.5], colors=[colour], linewidths=width, linestyles=[style], zorder=4)
    axes.plot([], [], color=colour, linewidth=width, linestyle=style, label=name)


def shadow(points_mm: Array, low_mm: Array, pixel_mm: float) -> NDArray[np.bool_]:
    """Pixels (i along x, j along y) that points (n, 2) cover, with gaps of up to four pixels and all holes closed."""
    at = np.floor((points_mm - low_mm) / pixel_mm).astype(np.int64)
    mask = np.zeros(at.max(axis=0) + 6, dtype=bool)
    mask[tuple(at.T)] = True
    return np.asarray(
        ndimage.binary_fill_holes(ndimage.binary_closing(mask, np.ones((3, 3), dtype=bool), iterations=2))
    )


def _letter_frame(frame: AnatomicalFrame) -> AnatomicalFrame:
    """Left of the pelvis and head of the scan, as on a radiograph: a pelvic frame may lean back by 45 degrees."""
    head = np.array([0.0, 0.0, 1.0])
    cranial = unit(head - (head @ frame.left) * frame.left)
    return AnatomicalFrame(frame.origin_lps_mm, np.stack([frame.left, np.cross(cranial, frame.left), cranial]))


def _frame(axes: Axes, anatomy: Anatomy, found: EntryMap, plane: SlicePlane) -> None:
    """What is shown, letters at its edges, and a scale bar."""
    joint = plane.flat_mm(anatomy.joints[found.side].sacral_lps_mm)[:, :2]
    middle, half = 0.5 * (joint.min(axis=0) + joint.max(axis=0)), 0.5 * np.ptp(joint, axis=0).max() + _AROUND_MM
    wide = half * (0.84 * _SIZE[0]) / (0.88 * _SIZE[1])
    axes.set_xlim(middle[0] - wide, middle[0] + wide)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#d3d9df")
    places = {"left": (0.015, 0.5), "right": (0.985, 0.5), "top": (0.5, 0.975), "bottom": (0.5, 0.025)}
    for edge, letter in plane.letters(_letter_frame(anatomy.frame)).items():
        x, y = places[edge]
        axes.text(x, y, letter, transform=axes.transAxes, fontsize=13, fontweight="bold", color=_INK, ha="center",
                  va="center", path_effects=_HALO, zorder=9)  # fmt: skip
    x, y = middle[0] - wide + 6.0, middle[1] - half + 5.0
    axes.plot([x, x + 10.0], [y, y], color=_INK, linewidth=2.5, solid_capstyle="butt", zorder=9)
    axes.text(x + 5.0, y + 1.2, "10 mm", ha="center", va="bottom", fontsize=9, color=_INK, zorder=9)
