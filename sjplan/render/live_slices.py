"""Slices fast enough to follow a hand: grey levels, cut surfaces and outlines of implants, drawn by kernels of our own.

`slices` draws the same for paper, with matplotlib and words; here 300 x 300 pixels take some ten milliseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.labels import LabelMap
from sjplan.core.structures import PASSAGES, SURFACE_NAMES
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import Solid, envelope_solid, implant_solid, solid_mesh
from sjplan.geometry.surface import joined
from sjplan.render.planes import SlicePlane
from sjplan.render.slices import BONE_WINDOW_HU, LABEL_GREYS, OTHER_GREY
from sjplan.render.style import STRUCTURE_COLOURS, slot_colour

Rgb = NDArray[np.uint8]

KEPT: Final = 6
"""Planes that are remembered."""

_POINTS_PER_CORNER: Final = 8
_RING: Final = np.linspace(0.0, 2.0 * np.pi, 17)
GHOST: Final = "#ffffff"
"""Colour of a planned implant: no slot has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """Lines to be drawn over a slice.

    Parameters
    ----------
    segments_mm : (n, 2, 2) float
        Both ends, mm to the right and up from the plane's centre.
    colour : str
        As `#rrggbb`.
    width_px : float
        Of the line.
    opacity : float
        0 to 1.
    """

    segments_mm: Array
    colour: str
    width_px: float = 1.5
    opacity: float = 1.0


class LiveSlices:
    """Volume and surfaces of a patient, ready to be cut.

    Parameters
    ----------
    volume : CtVolume or LabelMap
        A CT in the bone window, or labels as shades of grey.
    anatomy : Anatomy
        Its bones are drawn where a plane cuts them, each part in its structure's colour.
    """

    def __init__(self, volume: CtVolume | LabelMap, anatomy: Anatomy) -> None:
        surface = joined(anatomy.sacrum, *anatomy.ilium.values())
        self._volume = volume
        self._vertices = np.ascontiguousarray(surface.vertices_lps_mm, dtype=np.float64)
        self._triangles = np.ascontiguousarray(surface.triangles, dtype=np.int64)
        self._label = np.ascontiguousarray(surface.label, dtype=np.int64)
        self._colours = np.array([_rgb(STRUCTURE_COLOURS[name]) for name in SURFACE_NAMES])
        self._widths = np.array([2.2 if name in PASSAGES else 1.2 for name in SURFACE_NAMES])
        self._kept: OrderedDict[tuple[object, ...], Array] = OrderedDict()
        self._table = np.zeros(256, np.float64)
        if isinstance(volume, LabelMap):
            for i, name in volume.names.items():
                self._table[i] = LABEL_GREYS.get(name, OTHER_GREY)
            self._table[0] = 0.0

    def picture(self, plane: SlicePlane, strokes: Sequence[Stroke] = ()) -> Rgb:
        """The plane with what it cuts and strokes over it, (rows, columns, 3) uint8."""
        image = self._bare(plane).copy()
        for stroke in strokes:
            count = len(stroke.segments_mm)
            colour, width = np.tile(_rgb(stroke.colour), (count, 1)), np.full(count, stroke.width_px)
            _draw(image, _pixels(stroke.segments_mm, plane), colour, width, stroke.opacity)
        return np.asarray(np.rint(image), np.uint8)

    def _bare(self, plane: SlicePlane) -> Array:
        """Volume and surfaces in a plane; the last planes are kept, as one stands still while a hand moves in it."""
        place = np.stack([plane.centre_lps_mm, plane.right, plane.up])
        key = (np.round(place, 6).tobytes(), plane.shape, plane.pixel_mm)
        if key not in self._kept:
            image = np.repeat(self._grey(plane)[..., None], 3, axis=2)
            axes = np.stack([plane.right, plane.up, plane.normal])
            flat, which = _cut(self._vertices, self._triangles, plane.centre_lps_mm, axes)
            label = self._label[which]
            _draw(image, _pixels(flat, plane), self._colours[label], self._widths[label], 1.0)
            self._kept[key] = image
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _grey(self, plane: SlicePlane) -> Array:
        """Grey levels 0 to 255 in the middle of each pixel."""
        rows, columns = plane.shape
        corner = plane.centre_lps_mm - plane.pixel_mm * (
            0.5 * (columns - 1) * plane.right - 0.5 * (rows - 1) * plane.up
        )
        ends = np.stack([corner, corner + plane.pixel_mm * plane.right, corner - plane.pixel_mm * plane.up])
        ijk = self._volume.grid.ijk_from_lps(ends)
        steps = ijk[0], ijk[1] - ijk[0], ijk[2] - ijk[0]
        out = np.zeros((rows, columns))
        if isinstance(self._volume, CtVolume):
            _grey_of_ct(self._volume.hu, *steps, *BONE_WINDOW_HU, out)
        else:
            _grey_of_labels(self._volume.label, self._table, *steps, out)
        return out


def implant_strokes(
    plane: SlicePlane, slot: int, trajectory: Trajectory, *, chosen: bool = False, ghost: bool = False
) -> list[Stroke]:
    """Outline and envelope of an implant in a plane; a chosen one has handles at the ends that lie in the plane.

    Parameters
    ----------
    plane : SlicePlane
        Where it is cut.
    slot : int
        Gives its colour.
    chosen : bool
        Whether it is the one that is being moved.
    ghost : bool
        Whether it is a planned one: thin and white, without an envelope.
    """
    if ghost:
        return [Stroke(_section(implant_solid(trajectory), plane), GHOST, 1.2, 0.9)]
    colour = slot_colour(slot)
    strokes = [
        Stroke(_section(envelope_solid(trajectory), plane), colour, 1.0, 0.6),
        Stroke(_section(implant_solid(trajectory), plane), colour, 2.8 if chosen else 1.8),
    ]
    if chosen:
        strokes += [Stroke(ring_mm(at, 2.2), "#ffffff", 1.6) for _, at in handles_mm(plane, trajectory)]
    return strokes


HANDLE_WITHIN_MM: Final = 12.0
"""An end is shown, and can be drawn at, in a plane that it is nearer to than this."""


def handles_mm(plane: SlicePlane, trajectory: Trajectory) -> list[tuple[str, Array]]:
    """Ends of an implant that can be drawn at in a plane: entry or tip, and where, mm to the right and up.

    Seen along its axis an implant has no ends that could be told apart.
    """
    flat = plane.flat_mm(np.stack([trajectory.entry_lps_mm, trajectory.tip_lps_mm]))
    if float(np.linalg.norm(flat[1, :2] - flat[0, :2])) < 0.5 * trajectory.length_mm:
        return []
    return [(name, at[:2]) for name, at in zip(("entry", "tip"), flat, strict=True) if abs(at[2]) < HANDLE_WITHIN_MM]


def ring_mm(centre_mm: ArrayLike, radius_mm: float) -> Array:
    """Segments of a circle, (16, 2, 2)."""
    points = np.asarray(centre_mm, dtype=np.float64) + radius_mm * np.stack([np.cos(_RING), np.sin(_RING)], axis=1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _section(solid: Solid, plane: SlicePlane) -> Array:
    vertices, triangles = solid_mesh(solid, _POINTS_PER_CORNER)
    axes = np.stack([plane.right, plane.up, plane.normal])
    return _cut(np.ascontiguousarray(vertices), triangles.astype(np.int64), plane.centre_lps_mm, axes)[0]


def _rgb(colour: str) -> Array:
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)], dtype=np.float64)


def _pixels(flat_mm: Array, plane: SlicePlane) -> Array:
    """Columns and rows of points in mm to the right and up."""
    rows, columns = plane.shape
    turned = flat_mm * np.array([1.0, -1.0]) / plane.pixel_mm
    return np.asarray(turned + 0.5 * np.array([columns - 1.0, rows - 1.0]))


@nb.njit(cache=True)
def _grey_of_ct(
    hu: NDArray[np.int16], start: Array, right: Array, down: Array, low: float, high: float, out: Array
) -> None:
    """Between voxels by the trilinear rule, 0 to 255 from low to high; black outside."""
    ni, nj, nk = hu.shape
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            x = start[0] + c * right[0] + r * down[0]
            y = start[1] + c * right[1] + r * down[1]
            z = start[2] + c * right[2] + r * down[2]
            if x < -0.5 or y < -0.5 or z < -0.5 or x > ni - 0.5 or y > nj - 0.5 or z > nk - 0.5:
                continue
            x, y, z = min(max(x, 0.0), ni - 1.0), min(max(y, 0.0), nj - 1.0), min(max(z, 0.0), nk - 1.0)
            i, j, k = min(int(x), max(ni - 2, 0)), min(int(y), max(nj - 2, 0)), min(int(z), max(nk - 2, 0))
            fx, fy, fz = x - i, y - j, z - k
            value = 0.0
            for a in range(2):
                for b in range(2):
                    for d in range(2):
                        weight = (fx if a else 1.0 - fx) * (fy if b else 1.0 - fy) * (fz if d else 1.0 - fz)
                        if weight > 0.0:
                            value += weight * hu[i + a, j + b, k + d]
            out[r, c] = 255.0 * min(max((value - low) / (high - low), 0.0), 1.0)


@nb.njit(cache=True)
def _grey_of_labels(
    label: NDArray[np.uint8], table: Array, start: Array, right: Array, down: Array, out: Array
) -> None:
    """Of the nearest voxel; black outside."""
    ni, nj, nk = label.shape
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            i = int(np.floor(start[0] + c * right[0] + r * down[0] + 0.5))
            j = int(np.floor(start[1] + c * right[1] + r * down[1] + 0.5))
            k = int(np.floor(start[2] + c * right[2] + r * down[2] + 0.5))
            if 0 <= i < ni and 0 <= j < nj and 0 <= k < nk:
                out[r, c] = 255.0 * table[label[i, j, k]]


@nb.njit(cache=True)
def _cut(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64], centre: NDArray[np.float64], axes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Segments in which triangles meet a plane, (n, 2, 2) along its first two axes, and the triangle of each."""
    height = np.zeros(len(vertices))
    for v in range(len(vertices)):
        for d in range(3):
            height[v] += (vertices[v, d] - centre[d]) * axes[2, d]
    count = 0
    for t in range(len(triangles)):
        above = 0
        for e in range(3):
            above += height[triangles[t, e]] > 0.0
        count += 0 < above < 3
    flat, which = np.zeros((count, 2, 2)), np.zeros(count, np.int64)
    n = 0
    for t in range(len(triangles)):
        ends = 0
        for e in range(3):
            a, b = triangles[t, e], triangles[t, (e + 1) % 3]
            if (height[a] > 0.0) == (height[b] > 0.0):
                continue
            share = height[a] / (height[a] - height[b])
            for axis in range(2):
                for d in range(3):
                    along = vertices[a, d] + share * (vertices[b, d] - vertices[a, d]) - centre[d]
                    flat[n, ends, axis] += along * axes[axis, d]
            ends += 1
        if ends == 2:
            which[n] = t
            n += 1
    return flat, which


@nb.njit(cache=True)
def _draw(
    image: NDArray[np.float64],
    ends: NDArray[np.float64],
    colour: NDArray[np.float64],
    width: NDArray[np.float64],
    opacity: float,
) -> None:
    """Lines with soft edges, (n, 2, 2) columns and rows, over an image (rows, columns, 3)."""
    rows, columns = image.shape[:2]
    for n in range(len(ends)):
        x0, y0, x1, y1 = ends[n, 0, 0], ends[n, 0, 1], ends[n, 1, 0], ends[n, 1, 1]
        reach = 0.5 * width[n] + 0.5
        left, right = max(int(np.floor(min(x0, x1) - reach)), 0), min(int(np.ceil(max(x0, x1) + reach)), columns - 1)
        top, bottom = max(int(np.floor(min(y0, y1) - reach)), 0), min(int(np.ceil(max(y0, y1) + reach)), rows - 1)
        dx, dy = x1 - x0, y1 - y0
        squared = dx * dx + dy * dy
        for r in range(top, bottom + 1):
            for c in range(left, right + 1):
                share = 0.0
                if squared > 0.0:
                    share = min(max(((c - x0) * dx + (r - y0) * dy) / squared, 0.0), 1.0)
                away = np.hypot(c - x0 - share * dx, r - y0 - share * dy)
                cover = opacity * min(max(reach - away, 0.0), 1.0)
                if cover > 0.0:
                    for d in range(3):
                        image[r, c, d] += cover * (colour[n, d] - image[r, c, d])
