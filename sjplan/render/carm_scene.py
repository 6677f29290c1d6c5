"""The operating room round a radiograph: patient prone on the table, the arm, its beam and the detector."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pyvista as pv
from scipy import ndimage as ndi

from sjplan.core.arrays import Array, unit
from sjplan.core.volume import CtVolume
from sjplan.render import offscreen
from sjplan.render.overlay import draw_text
from sjplan.render.png import encode_png
from sjplan.render.style import BONE_COLOUR
from sjplan.xray.carm import CArmGeometry, carm_axes
from sjplan.xray.types import CArm, Detector

_SKIN_HU, _BONE_HU = -300.0, 180.0
_STEP_MM: Final = 4.0
_SKIN_COLOUR, _STEEL, _PLATE, _BEAM, _TABLE = "#e7b99a", "#9aa4ad", "#37474f", "#ffd54f", "#78909c"
_INK: Final = "#202020"
BODY_LOOK: Final = ((_SKIN_COLOUR, 0.35), (BONE_COLOUR, 1.0))
"""Colour and opacity of skin and of bone."""

_UP: Final = np.array([0.0, 1.0, 0.0])
"""The room's vertical: the patient lies prone, the back up."""

_VIEWER: Final = np.array([0.75, 0.5, -1.0])
"""Where one stands to look: beside the patient's left leg, from above."""

_ARC_SIDES: Final = 64
_TUBE_MM, _TUBE_LENGTH_MM = 75.0, 190.0
_PLATE_MM: Final = 60.0
_ARC_MM: Final = 28.0
_TABLE_MM, _TABLE_HALF_MM, _TABLE_GAP_MM = 40.0, 240.0, 15.0


def carm_picture(
    ct: CtVolume, carm: CArm, detector: Detector, title: str = "", size_px: tuple[int, int] = (620, 620)
) -> bytes:
    """PNG of the room as the arm stands.

    Parameters
    ----------
    ct : CtVolume
        The patient; densities assumed from labels will do.
    carm, detector : CArm, Detector
        How the radiograph was taken.
    title : str
        Such as the view's name.
    """
    geometry = CArmGeometry.of(carm, detector)
    skin, bone = bodies(ct)
    with offscreen.plotter(*size_px) as window:
        window.renderer.enable_depth_peeling(8)  # type: ignore[no-untyped-call]
        if skin.n_cells:
            window.add_mesh(skin, color=_SKIN_COLOUR, opacity=0.35, smooth_shading=True, specular=0.0)
        if bone.n_cells:
            window.add_mesh(bone, color=BONE_COLOUR, smooth_shading=True, specular=0.1)
        window.add_mesh(table_mesh(skin, carm), color=_TABLE, opacity=0.55)
        for mesh, colour, opacity in arm_meshes(geometry, carm):
            window.add_mesh(mesh, color=colour, opacity=opacity, smooth_shading=True, specular=0.2)
        look_at_room(window, geometry, carm)
        height = size_px[1]
        draw_text(window, title, (8, 13), height, _INK, size_px=14, bold=True)
        angles = (("orbital", carm.orbital_deg), ("tilt", carm.tilt_deg), ("wig-wag", carm.wig_wag_deg))
        numbers = "  ".join(f"{name} {round(angle):d}°" for name, angle in angles)
        draw_text(window, numbers, (8, 31), height, _INK)
        draw_text(window, "patient prone, head away, tube below at rest", (8, height - 14), height, _INK, size_px=11)
        return encode_png(offscreen.pixels(window))


def bodies(ct: CtVolume) -> tuple[pv.PolyData, pv.PolyData]:
    """Skin and bone as coarse surfaces, LPS mm."""
    grid = ct.grid
    step = np.maximum(np.rint(_STEP_MM / grid.spacing_mm).astype(int), 1)
    shape = [int(n) // int(s) for n, s in zip(grid.shape, step, strict=True)]
    if min(shape) < 2:
        return pv.PolyData(), pv.PolyData()
    cut = ct.hu[tuple(slice(0, n * int(s)) for n, s in zip(shape, step, strict=True))].astype(np.float32)
    blocks = cut.reshape(shape[0], step[0], shape[1], step[1], shape[2], step[2])
    mean, top = blocks.mean(axis=(1, 3, 5)), blocks.max(axis=(1, 3, 5))
    first = grid.lps_from_ijk((step - 1) / 2)
    return (
        _surface(ndi.gaussian_filter(mean, 0.7), _SKIN_HU, first, grid.direction, grid.spacing_mm * step),
        _surface(ndi.gaussian_filter(top, 0.6), _BONE_HU, first, grid.direction, grid.spacing_mm * step),
    )


def _surface(values: Array, level: float, first: Array, direction: Array, spacing: Array) -> pv.PolyData:
    """Where the values pass a level, closed at the volume's ends."""
    padded = np.pad(values, 1, constant_values=-1000.0)
    image = pv.ImageData(dimensions=padded.shape, spacing=(1.0, 1.0, 1.0), origin=(-1.0, -1.0, -1.0))
    image.point_data["value"] = padded.ravel(order="F")
    mesh: pv.PolyData = image.contour([level], scalars="value")
    if mesh.n_points:
        mesh.points = np.asarray(mesh.points, dtype=np.float64) * spacing @ direction.T + first
    return mesh


def table_mesh(skin: pv.PolyData, carm: CArm) -> pv.PolyData:
    """A slab under the belly, along the patient."""
    low, high = carm.isocentre_lps_mm - 150.0, carm.isocentre_lps_mm + 150.0
    if skin.n_points:
        x0, x1, y0, _, z0, z1 = skin.bounds
        low, high = np.array([x0, y0, z0]), np.array([x1, y0, z1])
    middle = 0.5 * (low[0] + high[0])
    top = low[1] - _TABLE_GAP_MM
    slab: pv.PolyData = pv.Box(
        (middle - _TABLE_HALF_MM, middle + _TABLE_HALF_MM, top - _TABLE_MM, top, low[2] - 150.0, high[2] + 150.0)
    )
    return slab


def arm_meshes(geometry: CArmGeometry, carm: CArm) -> list[tuple[pv.PolyData, str, float]]:
    """Tube, arc, detector and beam, each with colour and opacity."""
    column, ray, up = carm_axes(carm)
    source = geometry.source_lps_mm
    across, down = geometry.columns - 0.5, geometry.rows - 0.5
    corners = geometry.pixel_lps_mm([(-0.5, -0.5), (across, -0.5), (across, down), (-0.5, down)])
    plate = np.concatenate([corners, corners + _PLATE_MM * ray])
    far = 0.5 * (corners[0] + corners[2]) + _PLATE_MM * ray
    near = source - 0.5 * _TUBE_LENGTH_MM * ray
    middle, radius = 0.5 * (far + near), 0.5 * float(np.linalg.norm(far - near))
    angle = np.linspace(-np.pi / 2, np.pi / 2, _ARC_SIDES)
    arc = middle - radius * np.cos(angle)[:, None] * column + radius * np.sin(angle)[:, None] * ray
    faces = [(0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    beam = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 1)]
    return [
        (_cylinder(source - 0.25 * _TUBE_LENGTH_MM * ray, ray), _STEEL, 1.0),
        (pv.Spline(arc, 4 * _ARC_SIDES).tube(radius=_ARC_MM), _STEEL, 1.0),
        (pv.PolyData(plate, faces=np.hstack([(4, *f) for f in faces])), _PLATE, 1.0),
        (pv.PolyData(np.vstack([source, corners]), faces=np.hstack([(3, *f) for f in beam])), _BEAM, 0.28),
        (_edges(source, corners), _BEAM, 1.0),
        (pv.Arrow(start=far + 40.0 * ray, direction=up, scale=90.0), _PLATE, 1.0),
    ]


def at_rest(carm: CArm) -> CArm:
    """The same device before any motion, round the origin."""
    return replace(carm, orbital_deg=0.0, tilt_deg=0.0, wig_wag_deg=0.0, isocentre_lps_mm=np.zeros(3))


def arm_motion(carm: CArm) -> Array:
    """The motion from `at_rest` to the pose, (4, 4): what was built there once stands where the arm is now.

    Examples
    --------
    >>> np.round(arm_motion(CArm(90.0, 0.0, 0.0, (1.0, 2.0, 3.0)))[:3, 3], 6).tolist()
    [1.0, 2.0, 3.0]
    """
    motion = np.eye(4)
    motion[:3, :3] = carm_axes(carm).T @ carm_axes(at_rest(carm))
    motion[:3, 3] = carm.isocentre_lps_mm
    return motion


def _cylinder(centre: Array, direction: Array) -> pv.PolyData:
    tube: pv.PolyData = pv.Cylinder(center=centre, direction=direction, radius=_TUBE_MM, height=_TUBE_LENGTH_MM)
    return tube


def _edges(source: Array, corners: Array) -> pv.PolyData:
    lines = pv.PolyData(np.vstack([source, corners]), lines=np.hstack([(2, 0, n) for n in (1, 2, 3, 4)]))
    tubes: pv.PolyData = lines.tube(radius=1.5)
    return tubes


def look_at_room(window: pv.Plotter, geometry: CArmGeometry, carm: CArm) -> None:
    """Always from beside the patient's left leg, the whole arm in the picture."""
    ray = unit(carm.isocentre_lps_mm - geometry.source_lps_mm)
    focus = geometry.source_lps_mm + 0.5 * carm.source_to_detector_mm * ray
    reach = 2.8 * carm.source_to_detector_mm
    camera = window.camera
    camera.focal_point = tuple(focus)
    camera.position = tuple(focus + reach * unit(_VIEWER))
    camera.up = tuple(_UP)
    camera.view_angle = 32.0
    window.renderer.reset_camera_clipping_range()
