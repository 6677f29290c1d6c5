"""One sheet on which a segmentation is accepted or rejected: six slices of the CT with the labels' outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sjplan.core.arrays import Array
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.render.planes import SlicePlane, orthogonal_planes, sample_labels
from sjplan.render.slices import DPI, INK, figure_png, grey_levels, plane_axes

BONE_LINES: Final[Mapping[str, str]] = {
    "sacrum": "#ff9d2e",
    "hip_left": "#34c0ff",
    "hip_right": "#7dff8a",
    "vertebrae_L5": "#ff7ad1",
    "femur_left": "#b9a2ff",
    "femur_right": "#f5f05a",
}
"""Colour of each bone's outline."""

HEIGHTS: Final = (0.78, 0.55)
"""Heights of the two axial slices, as a share of the sacrum's from below: about S1 and S2 (default)."""

WIDTH_MM: Final = 300.0
_PANEL_PX = 520


def segmentation_picture(ct: CtVolume, labels: LabelMap | None, lines: Sequence[str]) -> bytes:
    """PNG of two axial, two coronal and two sagittal slices through the sacrum, with every label's outline.

    Where there is no sacrum, or no labels at all, they pass through the middle half of the scan.

    Parameters
    ----------
    ct : CtVolume
        What was segmented.
    labels : LabelMap, optional
        What was found.
    lines : sequence of str
        Written below the slices.
    """
    planes = _planes(*_shown_box(ct, labels))
    rows = 3
    below = 0.22 * len(lines) + 0.25
    side = _PANEL_PX / DPI
    figure = Figure(figsize=(2 * side, rows * side + below), dpi=DPI, facecolor="black")
    height = side / (rows * side + below)
    for n, plane in enumerate(planes):
        place = (0.5 * (n % 2), 1.0 - height * (n // 2 + 1), 0.5, height)
        _draw(plane_axes(figure, place, plane), ct, labels, plane)
    names = [] if labels is None else [name for name in labels.present() if name in BONE_LINES]
    for n, name in enumerate(names):
        figure.text(
            0.01 + n / max(len(names), 1),
            1.0 - rows * height - 0.008,
            name,
            color=BONE_LINES[name],
            fontsize=10,
            va="top",
        )
    for n, line in enumerate(lines, 1):
        figure.text(
            0.01, 1.0 - rows * height - 0.008 - 0.22 * n / (rows * side + below), line, color=INK, fontsize=9, va="top"
        )
    return figure_png(figure)


def _shown_box(ct: CtVolume, labels: LabelMap | None) -> tuple[Array, Array]:
    """Ends (LPS mm) of the box that slices are laid through: the sacrum's, else the scan's middle half."""
    at = np.empty((0, 3)) if labels is None else np.argwhere(labels.mask("sacrum", "vertebrae_S1"))
    if labels is not None and len(at):
        lps = labels.grid.lps_from_ijk(at)
    else:
        size = np.array(ct.grid.shape) - 1.0
        lps = ct.grid.lps_from_ijk(np.stack(np.meshgrid(*np.outer((0.25, 0.75), size).T), axis=-1).reshape(-1, 3))
    return lps.min(axis=0), lps.max(axis=0)


def _planes(low: Array, high: Array) -> list[SlicePlane]:
    frame = AnatomicalFrame(np.zeros(3), np.eye(3))

    def through(x: float, y: float, z: float) -> Array:
        return np.asarray(low + np.array((x, y, z)) * (high - low))

    def wide(plane: SlicePlane) -> SlicePlane:
        return SlicePlane(
            plane.name, plane.centre_lps_mm, plane.right, plane.up, WIDTH_MM, WIDTH_MM, WIDTH_MM / _PANEL_PX
        )

    planes = [orthogonal_planes(frame, through(0.5, 0.5, z))[0] for z in HEIGHTS]
    planes += [orthogonal_planes(frame, through(0.5, y, 0.5))[1] for y in (0.3, 0.55)]
    planes += [orthogonal_planes(frame, through(x, 0.5, 0.5))[2] for x in (0.5, 0.72)]
    return [wide(plane) for plane in planes]


def _draw(axes: Axes, ct: CtVolume, labels: LabelMap | None, plane: SlicePlane) -> None:
    left, right, bottom, top = (*axes.get_xlim(), *axes.get_ylim())
    extent = (left, right, bottom, top)
    axes.imshow(grey_levels(ct, plane), cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    if labels is not None:
        _outline(axes, labels, plane)
    axes.text(0.025, 0.965, plane.name, transform=axes.transAxes, color=INK, fontsize=9, va="top", fontweight="bold")
    frame = AnatomicalFrame(np.zeros(3), np.eye(3))
    for edge, letter in plane.letters(frame).items():
        px, py = {"left": (0.03, 0.5), "right": (0.97, 0.5), "top": (0.5, 0.97), "bottom": (0.5, 0.03)}[edge]
        axes.text(px, py, letter, transform=axes.transAxes, color=INK, fontsize=11, ha="center", va="center")


def _outline(axes: Axes, labels: LabelMap, plane: SlicePlane) -> None:
    shown = sample_labels(labels, plane)
    rows, columns = plane.shape
    x = (np.arange(columns) - (columns - 1) / 2) * plane.pixel_mm
    y = ((rows - 1) / 2 - np.arange(rows)) * plane.pixel_mm
    for i, name in labels.names.items():
        own = shown == i
        if name in BONE_LINES and own.any():
            axes.contour(x, y, own.astype(float), levels=[0.5], colors=[BONE_LINES[name]], linewidths=0.9)
