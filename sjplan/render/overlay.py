"""Lines, dots, names and captions drawn over a plotter in picture pixels (column from the left, row from the top)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D

from sjplan.core.arrays import Array
from sjplan.render.offscreen import SUPERSAMPLE

FONT_PX: Final = 13
"""Height of overlay text in picture pixels."""

FONT_FOLDER: Final = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
"""Fonts that come with matplotlib, which PyVista needs anyway: VTK's own ones lack many characters."""

_DASH_PX, _GAP_PX = 6.0, 4.0


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """A name in the gutter beside a picture, and the point that its leader line ends at."""

    text: str
    point_px: tuple[float, float]
    row_px: float
    on_left: bool


def place_labels(
    points_px: Mapping[str, ArrayLike], left_px: float, right_px: float, height_px: float, line_px: float = FONT_PX + 5
) -> tuple[PlacedLabel, ...]:
    """Stack names in the gutters left and right of the band `left_px` to `right_px`, without overlaps.

    Each name goes to the nearer gutter, in the order of its point's row, as near to that row as the others allow;
    points outside the band are dropped, and names beyond what fits in the height go to the other gutter.

    Examples
    --------
    >>> [p.row_px for p in place_labels({"a": (10, 50), "b": (12, 51)}, 0, 100, 100, line_px=20)]
    [40.5, 60.5]
    """
    inside = {
        name: (float(p[0]), float(p[1]))
        for name, p in ((name, np.asarray(point, dtype=np.float64)) for name, point in points_px.items())
        if left_px <= p[0] <= right_px and 0 <= p[1] <= height_px
    }
    room = int(height_px // line_px)
    middle = (left_px + right_px) / 2
    by_column = sorted(inside, key=lambda name: inside[name][0])
    left = [name for name in by_column if inside[name][0] < middle]
    right = [name for name in by_column if inside[name][0] >= middle]
    while len(left) > room and len(right) < room:
        right.append(left.pop())
    while len(right) > room and len(left) < room:
        left.append(right.pop(0))
    placed = []
    for names, on_left in ((left[:room], True), (right[:room], False)):
        names = sorted(names, key=lambda name: inside[name][1])
        rows = _spread([inside[name][1] for name in names], line_px, height_px)
        placed += [PlacedLabel(n, inside[n], row, on_left) for n, row in zip(names, rows, strict=True)]
    return tuple(placed)


def _spread(rows: Sequence[float], line_px: float, height_px: float) -> list[float]:
    """Rows moved as little as needed (least squares) to lie `line_px` apart inside the height."""
    groups: list[list[float]] = []  # each: sum of wished starts, count, start
    for i, row in enumerate(rows):
        groups.append([row - i * line_px, 1.0, row - i * line_px])
        while len(groups) > 1 and groups[-2][2] > groups[-1][2]:
            total, count, _ = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
            groups[-1][2] = groups[-1][0] / groups[-1][1]
    starts = [g[2] for g in groups for _ in range(int(g[1]))]
    low, high = line_px / 2, height_px - line_px / 2 - (len(rows) - 1) * line_px
    return [float(np.clip(start, low, max(low, high)) + i * line_px) for i, start in enumerate(starts)]


def _flip(points_px: ArrayLike, height_px: int) -> Array:
    """Window coordinates of picture pixels, (n, 3): y upward, supersampled, pixel (0, 0) centred on its blocks."""
    points = np.asarray(points_px, dtype=np.float64).reshape(-1, 2) + 0.5
    flat = np.column_stack([points[:, 0], height_px - points[:, 1], np.zeros(len(points))])
    return np.asarray(flat * SUPERSAMPLE)


def draw_lines(
    window: pv.Plotter,
    lines_px: Sequence[ArrayLike],
    height_px: int,
    colour: str,
    width_px: float = 1.5,
    dashed: bool = False,
) -> None:
    """Polylines over the picture."""
    pieces = [_flip(line, height_px) for line in lines_px]
    if dashed:
        pieces = [dash for line in pieces for dash in _dashes(line)]
    pieces = [line for line in pieces if len(line) > 1]
    if not pieces:
        return
    start = np.cumsum([0, *(len(line) for line in pieces)])
    cells = [
        np.concatenate([[len(line)], np.arange(len(line)) + s]) for line, s in zip(pieces, start[:-1], strict=True)
    ]
    _add_flat(window, pv.PolyData(np.concatenate(pieces), lines=np.concatenate(cells)), colour, width_px)


def _dashes(line: Array) -> list[Array]:
    """Pieces of a window polyline, drawn and left out in turn."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    on, period = _DASH_PX * SUPERSAMPLE, (_DASH_PX + _GAP_PX) * SUPERSAMPLE
    dashes = []
    for start in np.arange(0.0, along[-1], period):
        stop = min(start + on, along[-1])
        at = np.concatenate([[start], along[(along > start) & (along < stop)], [stop]])
        dashes.append(np.column_stack([np.interp(at, along, line[:, k]) for k in range(3)]))
    return dashes


def draw_dots(window: pv.Plotter, points_px: ArrayLike, height_px: int, colour: str, size_px: float = 5.0) -> None:
    """Round dots over the picture."""
    points = _flip(points_px, height_px)
    if len(points):
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        ring = np.column_stack([np.cos(turn), np.sin(turn), 0 * turn]) * size_px * SUPERSAMPLE / 2
        disc = np.concatenate([p + ring for p in points])
        faces = np.column_stack([np.full(len(points), 12), np.arange(12 * len(points)).reshape(-1, 12)])
        _add_flat(window, pv.PolyData(disc, faces=faces.ravel()), colour, 1.0)


def _add_flat(window: pv.Plotter, mesh: pv.PolyData, colour: str, width_px: float) -> None:
    mapper = vtkPolyDataMapper2D()
    mapper.SetInputData(mesh)
    actor = vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(pv.Color(colour).float_rgb)
    actor.GetProperty().SetLineWidth(width_px * SUPERSAMPLE)
    window.renderer.add_actor(actor, reset_camera=False, render=False)


def draw_text(
    window: pv.Plotter,
    text: str,
    point_px: tuple[float, float],
    height_px: int,
    colour: str,
    *,
    size_px: int = FONT_PX,
    align: str = "left",
    backed: bool = False,
    bold: bool = False,
) -> None:
    """Text whose left end, centre or right end (`align`) lies at a point; `backed` darkens what is behind it."""
    x, y, _ = _flip(point_px, height_px)[0]
    style = pv.TextProperty(theme=window.theme, color=colour, font_size=size_px * SUPERSAMPLE)
    if backed:
        style.background_color = "black"
        style.background_opacity = 0.45
    style.set_font_file(str(FONT_FOLDER / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")))
    style.justification_horizontal = align
    style.justification_vertical = "center"
    actor = pv.Text(text, position=(x, y))
    actor.prop = style
    window.renderer.add_actor(actor, reset_camera=False, render=False)


def draw_labels(
    window: pv.Plotter,
    labels: Sequence[PlacedLabel],
    band_px: tuple[float, float],
    height_px: int,
    colour: str,
    dot: str,
) -> None:
    """Names in the gutters with a leader line to a dot at each point."""
    leaders = []
    for label in labels:
        edge = band_px[0] - 4 if label.on_left else band_px[1] + 4
        leaders.append([(edge, label.row_px), label.point_px])
        draw_text(window, label.text, (edge - 3 if label.on_left else edge + 3, label.row_px), height_px, colour,
                  align="right" if label.on_left else "left")  # fmt: skip
    draw_lines(window, leaders, height_px, dot, width_px=1.0)
    draw_dots(window, [label.point_px for label in labels], height_px, dot, size_px=6.0)
