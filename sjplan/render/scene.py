"""The pelvis in three dimensions: transparent bones, implants, foramina, canal and joint; and named surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike

from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import unknown_name
from sjplan.core.structures import SURFACE_ID, SURFACE_NAMES
from sjplan.core.trajectory import Trajectory
from sjplan.render import offscreen
from sjplan.render.camera import ParallelView
from sjplan.render.display import Scene
from sjplan.render.overlay import draw_labels, draw_text, place_labels
from sjplan.render.png import encode_png, save_picture
from sjplan.render.style import BONE_COLOUR, STRUCTURE_COLOURS, legend_entries, slot_colour, words

_GUTTER_PX: Final = 138
_LEGEND_PX: Final = 150
_INK, _LEADER = "#202020", "#d02020"
_PEELS: Final = 5
"""Layers of transparency that are sorted exactly: two walls of three bones behind each other."""


def scene_picture(
    anatomy: Anatomy | Scene,
    implants: Mapping[int, Trajectory] | None = None,
    view: str = "posterior",
    *,
    size_px: tuple[int, int] = (900, 560),
    names: bool = True,
    points: Mapping[str, ArrayLike] | None = None,
    bone_opacity: float = 0.28,
    focus: Sequence[str] = ("sacrum", "ilium_left", "ilium_right"),
    title: str = "",
) -> bytes:
    """PNG of the whole scene.

    Parameters
    ----------
    anatomy : Anatomy or Scene
        A `Scene` saves making the display meshes again.
    implants : mapping of slot to Trajectory
        Drawn as their true solids in the slot's colour.
    view : str
        A name of `sjplan.render.camera.VIEWS`.
    size_px : (width, height)
        Of the picture.
    names : bool
        Whether foramina and implants are named beside the picture.
    points : mapping of name to (3,) float, optional
        LPS points to name instead of these.
    bone_opacity : float
        0 (unseen) to 1.
    focus : sequence of str
        Bones that the picture is fitted to; all are drawn.

    Raises
    ------
    UnknownNameError
        For an unknown view or bone.
    """
    scene = Scene.of(anatomy)
    width, height = size_px
    gutter = _GUTTER_PX if names else 0
    implants = implants or {}
    shown = [scene.lps(_bone(scene, name)) for name in focus]
    camera = _camera(scene, view, shown, (gutter, gutter), size_px)
    with offscreen.plotter(width, height) as window:
        _add_scene(window, scene, implants, bone_opacity)
        camera.apply(window, scene.origin_lps_mm)
        if names:
            named = _scene_names(scene, implants) if points is None else {words(n): p for n, p in points.items()}
            _add_names(window, camera, named, (gutter, gutter))
        _add_title(window, title or view, height)
        return encode_png(offscreen.pixels(window))


def scene_png(
    anatomy: Anatomy | Scene, implants: Mapping[int, Trajectory], path: str | Path, view: str = "posterior",
    *, size_px: tuple[int, int] = (900, 560), names: bool = True,
) -> Path:  # fmt: skip
    """Save `scene_picture` to a file."""
    return save_picture(scene_picture(anatomy, implants, view, size_px=size_px, names=names), path)


def surface_labels_picture(
    anatomy: Anatomy | Scene,
    view: str = "anterior",
    *,
    bones: Sequence[str] = ("sacrum", "ilium_left", "ilium_right"),
    lumina: bool = True,
    names: Mapping[str, ArrayLike] | None = None,
    size_px: tuple[int, int] = (620, 520),
    legend: bool = True,
    title: str = "",
) -> bytes:
    """PNG of the bones, each surface in its structure's colour: to check whether the labels are right.

    Parameters
    ----------
    bones : sequence of str
        Which of sacrum, ilium_left, ilium_right.
    lumina : bool
        Whether foramina and canal are shown as solids.
    names : mapping of name to (3,) float, optional
        LPS points to name beside the picture.
    legend : bool
        Whether the colours are explained at the bottom left.

    Raises
    ------
    UnknownNameError
        For an unknown view or bone.
    """
    scene = Scene.of(anatomy)
    width, height = size_px
    gutter = _GUTTER_PX if names else 0
    low = max(gutter, _LEGEND_PX if legend else 0)
    meshes = [_bone(scene, name) for name in bones]
    camera = _camera(scene, view, [scene.lps(m) for m in meshes], (low, gutter), size_px)
    with offscreen.plotter(width, height) as window:
        for mesh in meshes:
            _add_labelled(window, mesh)
        if lumina:
            _add_lumina(window, scene)
        camera.apply(window, scene.origin_lps_mm)
        if names:
            _add_names(window, camera, {words(n): p for n, p in names.items()}, (low, gutter))
        if legend:
            present = {int(i) for mesh in meshes for i in np.unique(mesh.cell_data["label"])}
            draw_legend(window, [SURFACE_NAMES[i] for i in sorted(present)], height)
        _add_title(window, title or view, height)
        return encode_png(offscreen.pixels(window))


def surface_labels_png(
    anatomy: Anatomy | Scene, path: str | Path, view: str = "anterior", *, size_px: tuple[int, int] = (900, 700)
) -> Path:
    """Save `surface_labels_picture` to a file."""
    return save_picture(surface_labels_picture(anatomy, view, size_px=size_px), path)


def draw_legend(window: pv.Plotter, structures: Sequence[str], height_px: int) -> None:
    """Colours and names of structures, stacked from the bottom left; the foramina of a level share a line."""
    for n, (text, colour) in enumerate(reversed(legend_entries(structures).items())):
        row = height_px - 12.0 - 16.0 * n
        draw_text(window, "■", (8, row), height_px, colour, size_px=15)
        draw_text(window, text, (26, row), height_px, _INK, size_px=12)


def _bone(scene: Scene, name: str) -> pv.PolyData:
    if name not in scene.bones:
        raise unknown_name("bone", name, scene.bones)
    return scene.bones[name]


def _camera(
    scene: Scene, view: str, points: Sequence[ArrayLike], gutters_px: tuple[int, int], size_px: tuple[int, int]
) -> ParallelView:
    """A camera that fits the points between the left and right gutters of the full picture."""
    (low, high), (width, height) = gutters_px, size_px
    fit = ParallelView.fitting(view, scene.anatomy.frame, points, width - low - high, height)
    focus = fit.focus_lps_mm + (high - low) / 2 * fit.mm_per_px * fit.right
    return ParallelView(focus, fit.right, fit.up, fit.towards, fit.mm_per_px, width, height)


def _add_scene(window: pv.Plotter, scene: Scene, implants: Mapping[int, Trajectory], bone_opacity: float) -> None:
    """Transparent bones, joints, foramina, canal and implants."""
    window.renderer.enable_depth_peeling(_PEELS)  # type: ignore[no-untyped-call]
    for mesh in scene.bones.values():
        window.add_mesh(mesh, color=BONE_COLOUR, opacity=bone_opacity, smooth_shading=True, specular=0.1)
    _add_joints(window, scene)
    _add_lumina(window, scene)
    for slot, trajectory in implants.items():
        mesh = scene.implant(trajectory)
        window.add_mesh(mesh, color=slot_colour(slot), split_sharp_edges=True, smooth_shading=True, specular=0.4)


def _add_labelled(window: pv.Plotter, mesh: pv.PolyData) -> None:
    for i in np.unique(mesh.cell_data["label"]):
        part = mesh.extract_cells(mesh.cell_data["label"] == i)
        window.add_mesh(
            part, color=STRUCTURE_COLOURS[SURFACE_NAMES[i]], smooth_shading=True, specular=0.05, ambient=0.15
        )


def _add_joints(window: pv.Plotter, scene: Scene) -> None:
    mesh = scene.bones["sacrum"]
    articular = mesh.cell_data["label"] == SURFACE_ID["joint_articular"]
    if articular.any():
        colour = STRUCTURE_COLOURS["joint_articular"]
        window.add_mesh(mesh.extract_cells(articular), color=colour, opacity=0.65, specular=0.0)


def _add_lumina(window: pv.Plotter, scene: Scene) -> None:
    for name, mesh in scene.foramina.items():
        if mesh.n_cells:
            window.add_mesh(mesh, color=STRUCTURE_COLOURS[name], smooth_shading=True)
    if scene.canal.n_cells:
        window.add_mesh(scene.canal, color=STRUCTURE_COLOURS["canal"], smooth_shading=True, opacity=0.75)


def _scene_names(scene: Scene, implants: Mapping[int, Trajectory]) -> dict[str, ArrayLike]:
    points: dict[str, ArrayLike] = {
        words(f.name): f.lumen_lps_mm.mean(axis=0) for f in scene.anatomy.foramina if len(f.lumen_lps_mm)
    }
    points |= {f"implant {slot}": t.entry_lps_mm for slot, t in implants.items()}
    return points


def _add_names(
    window: pv.Plotter, camera: ParallelView, points: Mapping[str, ArrayLike], gutters_px: tuple[int, int]
) -> None:
    band = (float(gutters_px[0]), float(camera.width_px - gutters_px[1]))
    pixels = {name: camera.project(p) for name, p in points.items()}
    labels = place_labels(pixels, *band, camera.height_px)
    draw_labels(window, labels, band, camera.height_px, _INK, _LEADER)


def _add_title(window: pv.Plotter, title: str, height: int) -> None:
    draw_text(window, title, (8, 13), height, _INK, size_px=14, bold=True)
