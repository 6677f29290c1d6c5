"""Slices of a CT or a label map through each implant, with true outlines drawn over them.

The drawing is matplotlib's, through its Agg canvas and without pyplot, so no global state is touched. PyVista
depends on matplotlib, so it costs no dependency of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.labels import LabelMap
from sjplan.core.structures import PASSAGES, SURFACE_NAMES
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import envelope_solid, implant_solid
from sjplan.geometry.surface import joined
from sjplan.render.display import lumen_mesh, poly_data
from sjplan.render.planes import (
    SlicePlane,
    implant_planes,
    mesh_lines_mm,
    orthogonal_planes,
    sample_ct,
    sample_labels,
)
from sjplan.render.png import save_picture
from sjplan.render.sections import plane_section_mm
from sjplan.render.style import STRUCTURE_COLOURS, slot_colour, words
from sjplan.safety.types import ImplantMargins

BONE_WINDOW_HU: Final = (-500.0, 1300.0)
"""Black to white: the usual bone window of centre 400 and width 1800 HU."""

WITNESS_NEAR_MM: Final = 1.5
"""A witness pair is drawn in a plane that both its points are nearer to than this."""

LABEL_GREYS: Final = {"sacrum": 0.62, "vertebrae_S1": 0.62, "hip_left": 0.46, "hip_right": 0.46}
OTHER_GREY: Final = 0.3
INK: Final = "#ffd84d"
"""Words over a slice."""

DPI: Final = 100
STROKE: Final = [withStroke(linewidth=2.0, foreground="black")]


@dataclass(frozen=True, slots=True, eq=False)
class SliceOverlays:
    """What is drawn over the slices; each part can be switched off."""

    outlines: bool = True
    envelopes: bool = True
    lumina: bool = True
    surfaces: bool = True
    witnesses: bool = True
    letters: bool = True
    scale_bar: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class SliceSubject:
    """All that is shown in any plane: volume, meshes relative to an origin, implants with what was measured."""

    volume: CtVolume | LabelMap
    frame: AnatomicalFrame
    lumina: Mapping[str, pv.PolyData]
    surface: pv.PolyData
    implants: Mapping[int, Trajectory]
    margins: Mapping[int, ImplantMargins]
    overlays: SliceOverlays

    @classmethod
    def of(
        cls,
        volume: CtVolume | LabelMap,
        anatomy: Anatomy,
        implants: Mapping[int, Trajectory],
        margins: Mapping[int, ImplantMargins] | None = None,
        overlays: SliceOverlays | None = None,
    ) -> SliceSubject:
        """Make the meshes that every plane cuts."""
        surface = joined(anatomy.sacrum, *anatomy.ilium.values())
        origin = anatomy.frame.origin_lps_mm
        mesh = poly_data(surface.vertices_lps_mm - origin, surface.triangles)
        mesh.cell_data["label"] = surface.label
        lumina = {f.name: lumen_mesh(f.lumen_lps_mm, anatomy.spacing_mm, origin) for f in anatomy.foramina}
        lumina["canal"] = lumen_mesh(anatomy.canal.lumen_lps_mm, anatomy.spacing_mm, origin)
        return cls(volume, anatomy.frame, lumina, mesh, implants, margins or {}, overlays or SliceOverlays())


def slices_pictures(
    volume: CtVolume | LabelMap,
    anatomy: Anatomy,
    implants: Mapping[int, Trajectory],
    margins: Mapping[int, ImplantMargins] | None = None,
    *,
    overlays: SliceOverlays | None = None,
    width_mm: float = 110.0,
    panel_px: int = 420,
) -> dict[int, bytes]:
    """One PNG an implant: axial, coronal and sagittal through its middle, and the two planes along its axis.

    Parameters
    ----------
    volume : CtVolume or LabelMap
        A CT is interpolated linearly and air outside; a label map shows its nearest voxels.
    anatomy : Anatomy
        Gives the pelvic frame, the lumina and the named surfaces.
    implants : mapping of slot to Trajectory
        All are drawn in every slice that meets them.
    margins : mapping of slot to ImplantMargins, optional
        Where given, the tightest clearance is drawn between its witness points, and listed.
    width_mm : float
        Width and height of each slice.
    panel_px : int
        Pixels of a slice's side.
    """
    subject = SliceSubject.of(volume, anatomy, implants, margins, overlays)
    return {slot: _implant_sheet(subject, slot, width_mm, panel_px) for slot in implants}


def slices_png(
    volume: CtVolume | LabelMap,
    anatomy: Anatomy,
    implants: Mapping[int, Trajectory],
    folder: str | Path,
    margins: Mapping[int, ImplantMargins] | None = None,
    *,
    prefix: str = "slices",
) -> list[Path]:
    """Save `slices_pictures` as PREFIX-SLOT.png in a folder that exists."""
    pictures = slices_pictures(volume, anatomy, implants, margins)
    return [save_picture(picture, Path(folder) / f"{prefix}-{slot}.png") for slot, picture in pictures.items()]


def slice_picture(
    volume: CtVolume | LabelMap, plane: SlicePlane, implants: Mapping[int, Trajectory] | None = None,
    *, envelopes: bool = True,
) -> bytes:  # fmt: skip
    """PNG of one bare plane, a picture pixel for each of the plane's, with the implants' outlines and no words."""
    rows, columns = plane.shape
    figure = Figure(figsize=(columns / DPI, rows / DPI), dpi=DPI)
    axes = plane_axes(figure, (0.0, 0.0, 1.0, 1.0), plane)
    axes.imshow(grey_levels(volume, plane), cmap="gray", vmin=0, vmax=1, extent=_extent(plane), interpolation="nearest")
    _draw_implants(axes, plane, implants or {}, SliceOverlays(envelopes=envelopes))
    return figure_png(figure)


def grey_levels(volume: CtVolume | LabelMap, plane: SlicePlane) -> NDArray[np.float32]:
    """Grey levels 0 to 1 of a volume in a plane, (rows, columns)."""
    if isinstance(volume, CtVolume):
        low, high = BONE_WINDOW_HU
        return np.asarray(np.clip((sample_ct(volume, plane) - low) / (high - low), 0, 1), dtype=np.float32)
    table = np.zeros(256, dtype=np.float32)
    for i, name in volume.names.items():
        table[i] = LABEL_GREYS.get(name, OTHER_GREY)
    table[0] = 0.0
    return np.asarray(table[sample_labels(volume, plane)])


def _implant_sheet(subject: SliceSubject, slot: int, width_mm: float, panel_px: int) -> bytes:
    trajectory = subject.implants[slot]
    middle = (trajectory.entry_lps_mm + trajectory.tip_lps_mm) / 2
    planes = [*implant_planes(trajectory, subject.frame, width_mm), *orthogonal_planes(subject.frame, middle, width_mm)]
    planes = [
        SlicePlane(p.name, p.centre_lps_mm, p.right, p.up, width_mm, width_mm, width_mm / panel_px) for p in planes
    ]
    figure = Figure(figsize=(3 * panel_px / DPI, 2 * panel_px / DPI), dpi=DPI, facecolor="black")
    cells = [(0.0, 0.5), (1 / 3, 0.5), (0.0, 0.0), (1 / 3, 0.0), (2 / 3, 0.0)]
    for plane, (left, bottom) in zip(planes, cells, strict=True):
        draw_plane(plane_axes(figure, (left, bottom, 1 / 3, 0.5), plane), subject, plane, slot)
    _draw_key(figure, subject, slot)
    return figure_png(figure)


def plane_axes(figure: Figure, place: tuple[float, float, float, float], plane: SlicePlane) -> Axes:
    """Axes in mm of a plane, without a frame."""
    axes = figure.add_axes(place, facecolor="black")
    axes.set_axis_off()
    left, right, bottom, top = _extent(plane)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_autoscale_on(False)
    return axes


def _extent(plane: SlicePlane) -> tuple[float, float, float, float]:
    rows, columns = plane.shape
    w, h = columns * plane.pixel_mm / 2, rows * plane.pixel_mm / 2
    return -w, w, -h, h


def draw_plane(axes: Axes, subject: SliceSubject, plane: SlicePlane, slot: int, strong: str = "") -> None:
    """Draw volume, surfaces, implants and letters of one plane; the structure `strong` with a thick line."""
    over = subject.overlays
    extent = _extent(plane)
    axes.imshow(grey_levels(subject.volume, plane), cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    if over.surfaces:
        _draw_surfaces(axes, subject, plane, strong)
    if over.lumina:
        for name, mesh in subject.lumina.items():
            lines = mesh_lines_mm(mesh, subject.frame.origin_lps_mm, plane)
            axes.add_collection(LineCollection(lines, colors=STRUCTURE_COLOURS[name], linewidths=1.4))
    _draw_implants(axes, plane, subject.implants, over)
    if over.witnesses and slot in subject.margins:
        _draw_witness(axes, plane, subject.margins[slot])
    if over.letters:
        _draw_letters(axes, plane, subject.frame)
    if over.scale_bar:
        _draw_scale_bar(axes, plane)
    _write(axes, 0.025, 0.965, plane.name, va="top", weight="bold")
    axes.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], transform=axes.transAxes, color="#404040", linewidth=1.0)


def _draw_implants(axes: Axes, plane: SlicePlane, implants: Mapping[int, Trajectory], over: SliceOverlays) -> None:
    for slot, trajectory in implants.items():
        colour = slot_colour(slot)
        place = (plane.centre_lps_mm, plane.right, plane.up)
        if over.envelopes:
            ring = plane_section_mm(envelope_solid(trajectory), *place)
            axes.plot(ring[:, 0], ring[:, 1], color=colour, linewidth=0.8, linestyle=(0, (4, 3)))
        if over.outlines:
            ring = plane_section_mm(implant_solid(trajectory), *place)
            axes.plot(ring[:, 0], ring[:, 1], color=colour, linewidth=1.6)


def _draw_surfaces(axes: Axes, subject: SliceSubject, plane: SlicePlane, strong: str) -> None:
    """Where the bones' surfaces meet the plane, in the colour of what each is."""
    cut = subject.surface.slice(normal=plane.normal, origin=plane.centre_lps_mm - subject.frame.origin_lps_mm)
    if cut.n_cells == 0:
        return
    ends = np.asarray(cut.lines).reshape(-1, 3)[:, 1:]
    flat = plane.flat_mm(np.asarray(cut.points, dtype=np.float64) + subject.frame.origin_lps_mm)[:, :2]
    names = [SURFACE_NAMES[i] for i in cut.cell_data["label"]]
    widths = [3.0 if name == strong else 0.7 if name in PASSAGES else 1.0 for name in names]
    axes.add_collection(
        LineCollection(list(flat[ends]), colors=[STRUCTURE_COLOURS[n] for n in names], linewidths=widths)
    )


def _draw_witness(axes: Axes, plane: SlicePlane, margins: ImplantMargins) -> None:
    """The tightest clearance as a line between its two points, where both lie near the plane."""
    binding = margins.binding
    pair = plane.flat_mm([binding.on_implant_lps_mm, binding.at_lps_mm])
    if np.abs(pair[:, 2]).max() > WITNESS_NEAR_MM:
        return
    axes.plot(pair[:, 0], pair[:, 1], color="white", linewidth=1.4, marker="o", markersize=3, path_effects=STROKE)
    axes.annotate(
        f"{binding.distance_mm:.1f} mm",
        (float(pair[1, 0]), float(pair[1, 1])),
        xytext=(6, -10),
        textcoords="offset points",
        color="white",
        fontsize=8,
        path_effects=STROKE,
    )


def _draw_letters(axes: Axes, plane: SlicePlane, frame: AnatomicalFrame) -> None:
    places = {"left": (0.03, 0.5), "right": (0.97, 0.5), "top": (0.5, 0.965), "bottom": (0.5, 0.035)}
    for edge, letter in plane.letters(frame).items():
        x, y = places[edge]
        _write(axes, x, y, letter, ha="center", va="center", size=11, weight="bold")


def _draw_scale_bar(axes: Axes, plane: SlicePlane) -> None:
    right, bottom = plane.width_mm / 2 - 5.0, -plane.height_mm / 2 + 5.0
    axes.plot([right - 10.0, right], [bottom, bottom], color=INK, linewidth=2.5, solid_capstyle="butt")
    axes.text(right - 5.0, bottom + 1.5, "10 mm", color=INK, fontsize=8, ha="center", path_effects=STROKE)


def _write(axes: Axes, x: float, y: float, text: str, *, ha: str = "left", va: str = "baseline", size: int = 9,
           weight: str = "normal") -> None:  # fmt: skip
    axes.text(x, y, text, transform=axes.transAxes, color=INK, fontsize=size, ha=ha, va=va, fontweight=weight,
              path_effects=STROKE)  # fmt: skip


def _draw_key(figure: Figure, subject: SliceSubject, slot: int) -> None:
    """The sixth cell: which implant, its tightest distances, and what the lines mean."""
    axes = figure.add_axes((2 / 3, 0.5, 1 / 3, 0.5))
    axes.set_axis_off()
    trajectory = subject.implants[slot]
    heading = f"Implant {slot}: {trajectory.model.id}, {trajectory.length_mm:.0f} mm"
    axes.text(0.05, 0.94, heading, color=slot_colour(slot), fontsize=12, fontweight="bold", va="top")
    kind = "CT" if isinstance(subject.volume, CtVolume) else "label map, no CT"
    axes.text(0.05, 0.865, f"{kind}; planes of the pelvic frame", color="white", fontsize=9, va="top")
    row = 0.80
    if slot in subject.margins:
        for c in sorted(subject.margins[slot].clearances, key=lambda c: c.slack_mm)[:5]:
            axes.text(0.05, row, words(c.structure), color=STRUCTURE_COLOURS[c.structure], fontsize=9, va="top")
            axes.text(0.95, row, f"{c.distance_mm:.1f} mm, envelope {c.envelope_mm:.1f}", color="white", fontsize=9,
                      va="top", ha="right")  # fmt: skip
            row -= 0.058
    handles = [
        Line2D([], [], color=slot_colour(slot), linewidth=1.6, label="true outline of the implant"),
        Line2D([], [], color=slot_colour(slot), linewidth=0.8, linestyle=(0, (4, 3)), label="clearance envelope"),
        Line2D(
            [],
            [],
            color=STRUCTURE_COLOURS["foramen_S1_left"],
            linewidth=1.4,
            label="foramen (S1 red, S2 orange, S3 ochre, S4 violet)",
        ),
        Line2D([], [], color=STRUCTURE_COLOURS["canal"], linewidth=1.4, label="canal"),
        Line2D([], [], color=STRUCTURE_COLOURS["joint_articular"], linewidth=1.0, label="joint, articular"),
        Line2D([], [], color=STRUCTURE_COLOURS["anterior"], linewidth=1.0, label="anterior face"),
        Line2D([], [], color=STRUCTURE_COLOURS["superior"], linewidth=1.0, label="ala top, S1 endplate"),
    ]
    axes.legend(handles=handles, loc="lower left", fontsize=8, frameon=False, labelcolor="white", borderaxespad=0.3)
    axes.text(0.95, 0.02, "not for clinical use", color=INK, fontsize=8, ha="right")


def figure_png(figure: Figure) -> bytes:
    """PNG of a figure."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
