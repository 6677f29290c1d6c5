"""Scenes: cameras that agree with their formula, display meshes that keep shape and names, the anatomy sheet."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.core.structures import SURFACE_ID, SURFACE_NAMES
from sjplan.render.camera import VIEWS, ParallelView
from sjplan.render.display import Scene, lumen_mesh, simplified
from sjplan.render.overlay import place_labels
from sjplan.render.png import compact_png, decode_png, encode_png, lighter, save_picture
from sjplan.render.scene import scene_picture, scene_png, surface_labels_picture, surface_labels_png
from sjplan.render.sheet import anatomy_picture
from sjplan.render.steps import steps_of
from sjplan.render.style import STRUCTURE_COLOURS, slot_colour

SMALL = (240, 200)


def near(pixels: np.ndarray, colour: str, tolerance: int = 70) -> np.ndarray:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.asarray(np.abs(pixels.astype(int) - wanted).max(axis=-1) < tolerance)


@pytest.mark.parametrize("view", ["posterior", "left", "axial", "oblique-left"])
def test_implants_are_drawn_where_the_camera_formula_says(scene, view):
    implants = {1: synthetic.trajectories()[1]}
    shown = decode_png(scene_picture(scene, implants, view, size_px=SMALL, names=False, bone_opacity=0.0))
    without = decode_png(scene_picture(scene, {}, view, size_px=SMALL, names=False, bone_opacity=0.0))
    changed = np.argwhere((shown != without).any(axis=-1))
    points = [scene.lps(mesh) for mesh in scene.bones.values()]
    camera = ParallelView.fitting(view, scene.anatomy.frame, points, *SMALL)
    solid = scene.lps(scene.implant(implants[1]))
    wanted = camera.project(solid)[:, ::-1]
    assert np.abs(changed.min(axis=0) - wanted.min(axis=0)).max() < 2.0
    assert np.abs(changed.max(axis=0) - wanted.max(axis=0)).max() < 2.0


def test_left_is_left_seen_from_behind_and_right_from_the_front(scene):
    left = scene.anatomy.frame.lps_from_frame([50.0, 0.0, 0.0])
    points = [scene.lps(mesh) for mesh in scene.bones.values()]
    column = {v: ParallelView.fitting(v, scene.anatomy.frame, points, *SMALL).project(left)[0] for v in VIEWS}
    assert column["posterior"] < SMALL[0] / 2 < column["anterior"]
    assert column["axial"] > SMALL[0] / 2 > column["cranial"]


def test_bones_are_transparent_and_names_can_be_left_out(scene):
    clear = decode_png(scene_picture(scene, {}, size_px=SMALL, names=False, bone_opacity=0.0))
    glass = decode_png(scene_picture(scene, {}, size_px=SMALL, names=False))
    solid = decode_png(scene_picture(scene, {}, size_px=SMALL, names=False, bone_opacity=1.0))
    named = decode_png(scene_picture(scene, {}, size_px=(520, 200)))
    foramen = STRUCTURE_COLOURS["foramen_S1_left"]
    assert near(clear, foramen).sum() > near(solid, foramen).sum()
    assert (glass != clear).any()
    assert (glass != solid).any()
    assert named.shape == (200, 520, 3)


def test_surface_labels_show_each_structure_in_its_colour(scene):
    pixels = decode_png(surface_labels_picture(scene, "anterior", bones=("sacrum",), lumina=False, size_px=SMALL))
    for name in ("anterior", "superior", "joint_articular"):
        assert near(pixels, STRUCTURE_COLOURS[name], 60).sum() > 30, name


def test_unknown_view_and_bone_are_named_with_a_suggestion(scene):
    with pytest.raises(UnknownNameError, match="did you mean 'posterior'"):
        scene_picture(scene, {}, "postrior")
    with pytest.raises(UnknownNameError, match="bone: found 'femur'"):
        surface_labels_picture(scene, bones=("femur",))


def test_simplified_keeps_shape_labels_and_budget(anatomy):
    whole = simplified(anatomy.sacrum, synthetic.CENTRE, None)
    small = simplified(anatomy.sacrum, synthetic.CENTRE, 900)
    assert whole.n_cells == len(anatomy.sacrum.triangles)
    assert small.n_cells <= 900
    radius = np.linalg.norm(np.asarray(small.points) / (50, 28, 45), axis=1)
    assert np.abs(radius - 1).max() < 0.06
    middles = small.cell_centers().points
    for name in ("superior", "joint_articular", "anterior"):
        own = middles[small.cell_data["label"] == SURFACE_ID[name]]
        assert len(own) > 5
    assert small.cell_data["label"][middles[:, 2] > 35].tolist().count(SURFACE_ID["superior"]) > 5


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 1.5)])
@pytest.mark.parametrize("turned", [False, True])
def test_lumen_solid_has_the_voxels_volume_and_place(spacing, turned):
    ijk = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = ijk * np.array(spacing)
    points = points[np.linalg.norm(points, axis=1) <= 7.0]
    if turned:
        angle = np.deg2rad(31.0)
        points = points @ np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    mesh = lumen_mesh(points + synthetic.CENTRE, spacing, synthetic.CENTRE)
    wanted = len(points) * np.prod(spacing)
    assert mesh.volume == pytest.approx(wanted, rel=0.06)
    assert np.abs(np.asarray(mesh.center)).max() < 0.3


def test_an_empty_lumen_is_an_empty_mesh():
    assert lumen_mesh(np.zeros((0, 3)), (1, 1, 1), (0, 0, 0)).n_cells == 0


def test_scene_of_a_scene_is_itself(scene):
    assert Scene.of(scene) is scene


@pytest.mark.slow
def test_anatomy_sheet_shows_every_view(anatomy):
    pixels = decode_png(anatomy_picture(anatomy, "synthetic"))
    height, width = pixels.shape[:2]
    for row in range(2):
        for column in range(3):
            top, left = 34 + row * 430, column * width // 3
            assert near(pixels[top + 40 : top + 420, left : left + width // 3], "#ffffff", 5).mean() < 0.97
    assert width > 1500
    assert height > 900


def test_saved_scenes_are_the_pictures(scene, tmp_path):
    implants = synthetic.trajectories()
    path = scene_png(scene, implants, tmp_path / "a.png", "left", size_px=SMALL, names=False)
    assert path.read_bytes() == scene_picture(scene, implants, "left", size_px=SMALL, names=False)
    assert surface_labels_png(scene, tmp_path / "b.png", size_px=SMALL).stat().st_size > 1000


def test_saving_into_a_missing_folder_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="wanted a folder that exists"):
        save_picture(encode_png(np.zeros((2, 2), np.uint8)), tmp_path / "none" / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_smaller_pictures_keep_their_proportions():
    noise = np.random.default_rng(1).integers(0, 255, (60, 120, 3), dtype=np.uint8)
    picture = encode_png(noise)
    assert (decode_png(picture) == noise).all()
    assert decode_png(lighter(picture, 60)).shape == (30, 60, 3)
    assert lighter(picture).startswith(b"\xff\xd8"), "noise is smaller as JPEG"
    assert len(lighter(picture)) < len(picture)
    flat = encode_png(np.full((60, 120, 3), 255, np.uint8))
    assert (decode_png(lighter(flat)) == 255).all()
    assert lighter(flat).startswith(b"\x89PNG")
    assert decode_png(compact_png(picture, 500)).shape == (60, 120, 3)
    assert len(compact_png(picture, 500)) < len(picture)


def test_few_colours_keep_greys_grey_and_a_small_patch_its_colour():
    rng = np.random.default_rng(2)
    pixels = np.repeat(rng.normal(110, 40, (200, 200, 1)).clip(0, 255).astype(np.uint8), 3, axis=2)
    pixels[:20, :150] = rng.integers(0, 255, (20, 150, 3), dtype=np.uint8)
    pixels[190:, 190:] = (228, 26, 28)
    shown = decode_png(compact_png(encode_png(pixels), 500)).astype(int)
    assert np.abs(shown - pixels)[20:180].mean() < 6.0
    assert np.ptp(shown[20:180], axis=-1).mean() < 8.0
    assert np.abs(shown[192:, 192:] - (228, 26, 28)).max() < 12


def test_every_surface_name_has_a_colour_of_its_own_or_its_level():
    colours = {STRUCTURE_COLOURS[name] for name in SURFACE_NAMES}
    assert len(colours) == len(SURFACE_NAMES) - 4
    assert slot_colour(5) == slot_colour(2) != slot_colour(3)


@given(
    points=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.tuples(st.floats(-20, 420), st.floats(-20, 320)),
        max_size=20,
    )
)
def test_labels_never_overlap_and_stay_in_the_picture(points):
    labels = place_labels(points, 0, 400, 300, line_px=18)
    inside = {n for n, (x, y) in points.items() if 0 <= x <= 400 and 0 <= y <= 300}
    assert {label.text for label in labels} == inside
    for on_left in (True, False):
        rows = sorted(label.row_px for label in labels if label.on_left == on_left)
        assert all(b - a >= 18 - 1e-6 for a, b in itertools.pairwise(rows))
        assert all(9 - 1e-6 <= row <= 291 + 1e-6 for row in rows)


def test_steps_put_in_what_came_before():
    implants = synthetic.trajectories()
    crossing = implants[2].entry_lps_mm + 20.0 * implants[2].axis + (0.0, 3.0, 0.0)
    joint, depth, done = steps_of(2, implants, crossing)
    assert [set(s.implants) for s in (joint, depth, done)] == [{1}, {1}, {1, 2}]
    reach = (joint.pins[0].tip_lps_mm - implants[2].entry_lps_mm) @ implants[2].axis
    assert reach == pytest.approx(20.0 + 3.0 * implants[2].axis[1])
    assert depth.pins[0].tip_lps_mm == pytest.approx(implants[2].tip_lps_mm)
    assert done.pins == ()
    assert [s.name for s in steps_of(1, implants)] == ["pin at depth", "implant"]


@pytest.mark.slow
def test_nothing_is_written_to_stderr():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import synthetic as s\n"
        "from sjplan.render.scene import scene_picture\n"
        "from sjplan.render.fluoro import fluoro_picture\n"
        "scene_picture(s.anatomy(), s.trajectories(), size_px=(200, 150)); fluoro_picture(s.radiograph())\n"
    )
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, folder], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
