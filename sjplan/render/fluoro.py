"""Fluoroscopic views as a C-arm's monitor shows them, with overlays that can be switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike, NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, cylinder, implant_solid
from sjplan.render import offscreen
from sjplan.render.blur import blurred
from sjplan.render.overlay import draw_labels, draw_lines, draw_text, place_labels
from sjplan.render.png import encode_png, save_picture
from sjplan.render.quantiles import percentiles
from sjplan.render.sections import shadow_outline_px
from sjplan.render.style import PIN_COLOUR, landmark_colour, slot_colour, words
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.pincushion import DrawnOut
from sjplan.xray.solids import Pin, PinLike
from sjplan.xray.types import Blades, Radiograph

MEASURING_FIELD: Final = 0.75
"""Middle share of the rows and columns that the display window is measured in, as a C-arm's exposure control does:
bare air beside a lateral pelvis must not take the bone its contrast."""

WINDOW_PERCENTILES: Final = (4.0, 88.0)
"""Share of the measuring field that spans the display window. Three implants cover up to 9 % of it and stop far more
than bone does: a window that reached up to them would leave the bone pale."""

WINDOW_HEADROOM: Final = 0.6
"""How far the window goes on beyond the upper percentile, as a share of its width: dense bone keeps its shades."""


class Look(NamedTuple):
    """Display processing, as C-arms do it by default.

    `harmonise` is the share of the slow changes (soft tissue, wedge of the body) that is taken out; slow is what a blur
    of `slow` times the image's width leaves (a sacrum is about half of the width). `edge` is how much of what a blur of
    `fine` takes away is added. The window is measured where it is at least `thick` times as dark as almost everywhere.
    """

    harmonise: float
    slow: float
    edge: float
    fine: float
    thick: float


INTEGRAL_LOOK: Final = Look(0.65, 0.06, 0.0, 0.005, 0.0)
"""For line integrals, which have all their contrast."""

FRAME_LOOK: Final = Look(0.85, 0.08, 0.7, 0.005, 0.6)
"""For a detector's signal: scatter takes contrast from it, most behind the thickest parts."""

_DIRECT_BEAM: Final = 0.05
"""Line integral below which a pixel counts as direct beam: a few millimetres of tissue."""

_GUTTER_PX: Final = 138
_INK, _PAPER, _LEADER = "#f0f0f0", "black", "#00aee8"
_LETTERS: Final = "#ffd84d"

_BETWEEN: Final = 0.7
"""A second direction of the body is named where it is at least so strong: from 35 degrees between two axes on."""


@dataclass(frozen=True, slots=True, eq=False)
class FluoroOverlays:
    """What is drawn over the radiograph; each part can be switched off.

    Parameters
    ----------
    implants : mapping of slot to Trajectory
        Their outlines are drawn in the slot's colour.
    pins : sequence of Pin, or of (entry_lps_mm, tip_lps_mm[, radius_mm])
        As given to the fluoroscope; outlines exact like the implants'.
    points_lps_mm : mapping of name to (3,) float
        Structures to name; see `structure_points`.
    lines_lps_mm : mapping of name to (n, 3) float
        Landmarks to draw and to name, as `sjplan.views.landmarks` finds them.
    frame : AnatomicalFrame, optional
        For the letters at the edges (R L A P H F), see `edge_letters`; the scan's own axes where there is none.
    title : str
        Name of the view.
    show_outlines, show_names, show_letters, show_caption : bool
        Switches.
    """

    implants: Mapping[int, Trajectory] = field(default_factory=dict)
    pins: Sequence[PinLike] = ()
    points_lps_mm: Mapping[str, ArrayLike] = field(default_factory=dict)
    lines_lps_mm: Mapping[str, Array] = field(default_factory=dict)
    frame: AnatomicalFrame | None = None
    title: str = ""
    show_outlines: bool = True
    show_names: bool = True
    show_letters: bool = True
    show_caption: bool = True

    @property
    def named_lps_mm(self) -> dict[str, ArrayLike]:
        """Points that carry a name: those given, and the middle one of every line."""
        return {**self.points_lps_mm, **{name: line[len(line) // 2] for name, line in self.lines_lps_mm.items()}}


def structure_points(anatomy: Anatomy, side: str | None = None) -> dict[str, Array]:
    """Where a radiograph's names point: ventral mouths of the foramina, and the landmarks.

    With a side, structures of the other side are left out.
    """
    points: dict[str, Array] = {}
    for foramen in anatomy.foramina:
        if side in (None, foramen.side):
            mouth = foramen.ventral
            centre = foramen.lumen_lps_mm.mean(axis=0) if mouth is None else mouth.centre_lps_mm
            points[foramen.name] = centre
    for name, point in anatomy.landmarks.items():
        if side is None or not name.endswith(("_left", "_right")) or name.endswith(f"_{side}"):
            points[name] = point
    return points


def display_grey(
    darkness: ArrayLike, *, inverted: bool = False, look: Look = INTEGRAL_LOOK, blades: Blades | None = None
) -> NDArray[np.uint8]:
    """Grey levels of a radiograph as a monitor shows them, (rows, columns) uint8.

    Line integrals are already the logarithm of the signal, so a linear window on them is the log-compressed
    picture. Slow changes are damped and the window fits bone, so metal is black throughout. Bone and metal are dark:
    what stops the beam leaves the screen dark, which is how a C-arm's live image comes up. `inverted` gives the look
    of a film (bone white), which many monitors offer on a button. Outside collimator `blades` the screen stays black.

    Examples
    --------
    >>> wedge = np.tile(np.linspace(2.0, 3.0, 50), (50, 1))
    >>> wedge[20:30, 20:30] += 3.0  # metal
    >>> grey = display_grey(wedge)
    >>> int(grey[25, 25]), int(display_grey(wedge, inverted=True)[25, 25])
    (0, 255)
    """
    values = np.asarray(darkness, dtype=np.float64)
    if blades is not None:
        grey = np.zeros(values.shape, dtype=np.uint8)
        grey[blades.open_part] = display_grey(values[blades.open_part], inverted=inverted, look=look)
        return grey
    part = tuple(slice(m, n - m) for n in values.shape for m in [round(n * (1.0 - MEASURING_FIELD) / 2)])
    behind = np.asarray(values[part] > _DIRECT_BEAM)
    low, top = 0.0, 1.0
    if look.thick > 0.0 and behind.any():
        behind &= values[part] >= look.thick * percentiles(values[part][behind], [95.0])[0]
        low = float(values[part][behind].min())
    # Metal counts as dense bone in the blur: else it would stand in a bright halo.
    if behind.any():
        top = percentiles(values[part][behind], WINDOW_PERCENTILES[1:])[0]
    slow = blurred(np.clip(values, low, max(top, low)), look.slow * values.shape[1])
    flat = values - look.harmonise * slow
    if look.edge > 0.0:
        flat += look.edge * (flat - blurred(flat, look.fine * values.shape[1]))
    low, high = _window(flat[part][behind])
    share = np.clip((flat - low) / (high - low), 0.0, 1.0)
    bright = np.rint(255 * (share if inverted else 1.0 - share))
    return np.asarray(bright, dtype=np.uint8)


def _window(measured: Array) -> tuple[float, float]:
    """Limits of the display window, from the pixels that are measured."""
    if not measured.size:
        return 0.0, 1.0
    low, high = percentiles(measured, WINDOW_PERCENTILES)
    return low, max(high + WINDOW_HEADROOM * (high - low), low + 1e-3)


def fluoro_picture(
    radiograph: Radiograph,
    overlays: FluoroOverlays | None = None,
    *,
    zoom: int = 2,
    inverted: bool = False,
    around_lps_mm: ArrayLike | None = None,
) -> bytes:
    """PNG of a radiograph with its overlays.

    Parameters
    ----------
    radiograph : Radiograph
        The image and its pose; overlays go through the pose's own projection.
    overlays : FluoroOverlays, optional
        What to draw over it; nothing where it is None.
    zoom : int
        Picture pixels per detector pixel.
    inverted : bool
        Bone white, as on a film.
    around_lps_mm : (n, 3) float, optional
        Show only a square round the shadows of these points, with a margin: for pictures that are printed small.
        The display window stays that of the whole radiograph.

    Returns
    -------
    bytes
        PNG of rows x columns detector pixels times `zoom`; names, where shown, stand in a gutter on either side.
    """
    over = overlays or FluoroOverlays(show_outlines=False, show_names=False, show_letters=False, show_caption=False)
    look = INTEGRAL_LOOK if radiograph.signal is None else FRAME_LOOK
    grey = display_grey(radiograph.darkness, inverted=inverted, look=look, blades=radiograph.blades)
    geometry = DrawnOut.like(CArmGeometry.of(radiograph.carm, radiograph.detector), radiograph.pincushion)
    first_column, first_row = 0, 0
    if around_lps_mm is not None:
        first_column, first_row, side = _square(geometry.project(around_lps_mm), grey.shape)
        grey = grey[first_row : first_row + side, first_column : first_column + side]
    rows, columns = grey.shape
    gutter = _GUTTER_PX if over.show_names and over.named_lps_mm else 0
    width, height = columns * zoom + 2 * gutter, rows * zoom
    shift = np.array([gutter - first_column * zoom, -first_row * zoom]) + (zoom - 1) / 2
    with offscreen.plotter(width, height, _PAPER) as window:
        _show_image(window, grey, width / zoom, height / zoom)
        if over.show_outlines:
            _draw_outlines(window, over, geometry, zoom, shift, height)
            for name, line in over.lines_lps_mm.items():
                line_px = geometry.project(line) * zoom + shift
                draw_lines(window, [line_px], height, landmark_colour(name), width_px=1.6)
        if gutter:
            seen = {words(n): geometry.project(p) for n, p in over.named_lps_mm.items()}
            points = {n: p * zoom + shift for n, p in seen.items() if _reached(radiograph.blades, p)}
            _draw_names(window, points, (float(gutter), float(width - gutter)), height)
        if over.show_letters:
            _draw_letters(window, radiograph, geometry, over.frame, (gutter, width - gutter), height)
        if over.show_caption:
            _draw_caption(window, radiograph, over, gutter, height)
        return encode_png(offscreen.pixels(window))


def fluoro_png(
    radiograph: Radiograph, path: str | Path, overlays: FluoroOverlays | None = None, *, zoom: int = 2,
    inverted: bool = False,
) -> Path:  # fmt: skip
    """Save `fluoro_picture` to a file."""
    return save_picture(fluoro_picture(radiograph, overlays, zoom=zoom, inverted=inverted), path)


def _square(points_px: Array, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """First column, first row and side of a square round the points, a quarter wider than they need, in the image."""
    points = points_px.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return 0, 0, min(shape)
    low, high = points.min(axis=0), points.max(axis=0)
    side = int(np.clip(round(1.5 * float((high - low).max())), min(shape) // 4, min(shape)))
    first = np.rint((low + high) / 2 - side / 2).astype(int)
    column, row = np.clip(first, 0, [shape[1] - side, shape[0] - side])
    return int(column), int(row), side


def _show_image(window: pv.Plotter, grey: NDArray[np.uint8], width: float, height: float) -> None:
    """The radiograph as an image plane, one cell a detector pixel, filling the height of the window."""
    rows, columns = grey.shape
    plane = pv.ImageData(dimensions=(columns + 1, rows + 1, 1))
    plane.cell_data["grey"] = grey[::-1].ravel()
    window.add_mesh(plane, scalars="grey", cmap="gray", clim=(0, 255), show_scalar_bar=False, lighting=False)
    window.camera.parallel_projection = True
    window.camera.parallel_scale = height / 2
    middle = (columns / 2, rows / 2)
    window.camera.focal_point = (*middle, 0.0)
    window.camera.position = (*middle, width + height)
    window.camera.up = (0.0, 1.0, 0.0)
    window.camera.clipping_range = (0.5 * height, 3.0 * (width + height))


def _draw_outlines(
    window: pv.Plotter, over: FluoroOverlays, geometry: CArmGeometry, zoom: int, shift: Array, height: int
) -> None:
    solids = [(implant_solid(t), slot_colour(slot)) for slot, t in over.implants.items()]
    for solid, colour in [*solids, *((_pin_solid(pin), PIN_COLOUR) for pin in over.pins)]:
        draw_lines(window, [shadow_outline_px(solid, geometry) * zoom + shift], height, colour, width_px=1.6)


def _draw_names(window: pv.Plotter, points: Mapping[str, Array], band: tuple[float, float], height: int) -> None:
    """Names of the points that the tube sees, in the gutters."""
    seen = {name: point for name, point in points.items() if np.isfinite(point).all()}
    draw_labels(window, place_labels(seen, *band, height), band, height, _INK, _LEADER)


def _reached(blades: Blades | None, pixel: Array) -> bool:
    """Whether the beam reaches a pixel."""
    if blades is None:
        return True
    column, row = pixel
    inside = blades.first_column <= column < blades.last_column and blades.first_row <= row < blades.last_row
    return bool(inside)


def _pin_solid(pin: PinLike) -> Solid:
    p = pin if isinstance(pin, Pin) else Pin(*pin)  # type: ignore[arg-type]
    return cylinder(p.entry_lps_mm, p.tip_lps_mm, p.radius_mm)


def _draw_letters(
    window: pv.Plotter, radiograph: Radiograph, geometry: CArmGeometry, frame: AnatomicalFrame | None,
    band: tuple[int, int], height: int,
) -> None:  # fmt: skip
    """R L A P H F where these directions of the body meet the picture's edges."""
    left, right = band
    places = {"left": (left + 12, height / 2), "right": (right - 12, height / 2),
              "top": ((left + right) / 2, 12), "bottom": ((left + right) / 2, height - 12)}  # fmt: skip
    for edge, letter in edge_letters(radiograph, geometry, frame).items():
        draw_text(window, letter, places[edge], height, _LETTERS, size_px=18, align="center", backed=True, bold=True)


def edge_letters(radiograph: Radiograph, geometry: CArmGeometry, frame: AnatomicalFrame | None) -> dict[str, str]:
    """Which direction of the body each edge of the picture looks to: one letter, or two where it lies between.

    The stronger one first, as on other displays: the top of a steep outlet looks to head and front, HA.
    Left is the pelvis's own where there is a frame. The head's direction stays the scan's: a pelvic frame leans with
    the sacrum, by half a right angle in many people, and would call the top of an AP view the back.
    """
    left = np.array([1.0, 0.0, 0.0]) if frame is None else frame.left
    head = np.array([0.0, 0.0, 1.0])
    head = unit(head - (head @ left) * left)
    axes = np.stack([left, np.cross(head, left), head])
    centre = radiograph.carm.isocentre_lps_mm
    middle = geometry.project(centre)
    moves = {}
    for axis, (plus, minus) in zip(axes, (("L", "R"), ("P", "A"), ("H", "F")), strict=True):
        for sign, letter in ((10.0, plus), (-10.0, minus)):
            moves[letter] = geometry.project(centre + sign * axis) - middle
    looks = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
    found = {}
    for edge, look in looks.items():
        share = {letter: float(move @ np.asarray(look, dtype=np.float64)) for letter, move in moves.items()}
        first, second = sorted(share, key=lambda letter: -share[letter])[:2]
        found[edge] = first + second if share[second] >= _BETWEEN * share[first] else first
    return found


def _draw_caption(window: pv.Plotter, radiograph: Radiograph, over: FluoroOverlays, gutter: int, height: int) -> None:
    carm = radiograph.carm
    angles = (("orbital", carm.orbital_deg), ("tilt", carm.tilt_deg), ("wig-wag", carm.wig_wag_deg))
    numbers = "  ".join(f"{name} {round(angle):d}°" for name, angle in angles)
    lines = [over.title] if over.title else []
    lines += [numbers] + (["assumed density (no CT)"] if radiograph.assumed_density else [])
    for n, line in enumerate(lines):
        draw_text(
            window, line, (gutter + 10, 16 + 17 * n), height, _LETTERS, backed=True, bold=n == 0 and bool(over.title)
        )
    draw_text(
        window, "simulated, not for clinical use", (gutter + 10, height - 14), height, _LETTERS, backed=True, size_px=11
    )
