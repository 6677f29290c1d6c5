"""Fluoroscopic pictures: overlays go through the C-arm's own projection, and the monitor's look."""

import numpy as np
import pytest
import synthetic
from matplotlib.path import Path as Polygon
from scipy.ndimage import binary_dilation

from sjplan.geometry.solids import cylinder, implant_solid
from sjplan.render.fluoro import (
    FluoroOverlays,
    display_grey,
    edge_letters,
    fluoro_picture,
    fluoro_png,
    structure_points,
)
from sjplan.render.png import decode_png
from sjplan.render.sections import shadow_outline_px
from sjplan.render.style import SLOT_COLOURS
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Detector

POSES = [(0.0, 0.0, 0.0), (0.0, -25.0, 0.0), (0.0, 45.0, 5.0), (90.0, 0.0, 0.0), (-40.0, 20.0, 10.0)]


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def coloured(picture: bytes, colour: str) -> np.ndarray:
    """Rows and columns of the pixels nearly of a colour."""
    far = np.abs(decode_png(picture).astype(int) - rgb(colour)).max(axis=-1)
    return np.argwhere(far < 60)


@pytest.mark.parametrize("pose", POSES)
def test_outline_surrounds_the_shadow_and_no_more(pose):
    carm = CArm(*pose, synthetic.at(40.0, 0.0, 0.0))
    detector = Detector(90, 110, 2.4)
    solid = implant_solid(synthetic.trajectories()[2])
    plain = synthetic.radiograph((), carm, detector).line_integral
    shadow = synthetic.radiograph((solid,), carm, detector).line_integral - plain > 0.05
    ring = shadow_outline_px(solid, CArmGeometry.of(carm, detector))
    columns, rows = np.meshgrid(np.arange(detector.columns), np.arange(detector.rows))
    inside = Polygon(ring).contains_points(np.column_stack([columns.ravel(), rows.ravel()])).reshape(shadow.shape)
    assert shadow.sum() > 20
    assert not (shadow & ~inside).any()
    assert not (inside & ~binary_dilation(shadow, np.ones((3, 3)))).any()


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("zoom", [2, 3])
def test_drawn_outline_lies_where_the_projection_says(anatomy, names, zoom):
    radiograph = synthetic.radiograph()
    trajectory = synthetic.trajectories()[1]
    overlays = FluoroOverlays(
        implants={1: trajectory},
        points_lps_mm={"promontory": anatomy.landmarks["promontory"]} if names else {},
        show_letters=False,
        show_caption=False,
    )
    picture = fluoro_picture(radiograph, overlays, zoom=zoom)
    width = decode_png(picture).shape[1]
    gutter = (width - zoom * radiograph.detector.columns) / 2
    assert (gutter > 0) == names
    ring = shadow_outline_px(implant_solid(trajectory), CArmGeometry.of(radiograph.carm, radiograph.detector))
    wanted = ring * zoom + (zoom - 1) / 2 + (gutter, 0.0)
    found = coloured(picture, SLOT_COLOURS[1])[:, ::-1]
    assert np.abs(found.min(axis=0) - wanted.min(axis=0)).max() < 1.6
    assert np.abs(found.max(axis=0) - wanted.max(axis=0)).max() < 1.6


def test_bare_picture_is_the_display_window_pixel_for_pixel():
    radiograph = synthetic.radiograph(synthetic.implant_solids())
    pixels = decode_png(fluoro_picture(radiograph, zoom=1))
    assert pixels.shape == (128, 160, 3)
    assert np.ptp(pixels) > 100
    assert np.abs(pixels[..., 0].astype(int) - display_grey(radiograph.line_integral)).max() <= 1


@pytest.mark.parametrize("part", ["show_outlines", "show_names", "show_letters", "show_caption"])
def test_every_overlay_can_be_switched_off(anatomy, part):
    radiograph = synthetic.radiograph()
    shown = {"implants": synthetic.trajectories(), "points_lps_mm": structure_points(anatomy), "title": "ap"}
    with_it = decode_png(fluoro_picture(radiograph, FluoroOverlays(**shown), zoom=2))
    without = decode_png(fluoro_picture(radiograph, FluoroOverlays(**shown, **{part: False}), zoom=2))
    assert with_it.shape != without.shape or (with_it != without).any()


def test_all_switched_off_equals_no_overlays(anatomy):
    radiograph = synthetic.radiograph()
    off = dict.fromkeys(("show_outlines", "show_names", "show_letters", "show_caption"), False)
    overlays = FluoroOverlays(synthetic.trajectories(), (), structure_points(anatomy), **off)
    assert fluoro_picture(radiograph, overlays) == fluoro_picture(radiograph)


def test_pins_are_outlined_like_the_fluoroscope_takes_them():
    radiograph = synthetic.radiograph()
    off = {"show_letters": False, "show_caption": False}
    entry, tip = synthetic.at(75.0, 0.0, 0.0), synthetic.at(20.0, 0.0, 0.0)
    picture = fluoro_picture(radiograph, FluoroOverlays(pins=[(entry, tip, 4.0)], **off), zoom=2)
    ring = shadow_outline_px(cylinder(entry, tip, 4.0), CArmGeometry.of(radiograph.carm, radiograph.detector)) * 2 + 0.5
    found = coloured(picture, "#00c8a0")[:, ::-1]
    assert np.abs(found.min(axis=0) - ring.min(axis=0)).max() < 1.6


def test_crop_shows_the_points_and_keeps_the_display_window():
    radiograph = synthetic.radiograph()
    trajectory = synthetic.trajectories()[1]
    ends = np.stack([trajectory.entry_lps_mm, trajectory.tip_lps_mm])
    picture = decode_png(fluoro_picture(radiograph, around_lps_mm=ends, zoom=1))[..., 0]
    assert picture.shape[0] == picture.shape[1] < 128
    whole = decode_png(fluoro_picture(radiograph, zoom=1))[..., 0]
    side = len(picture)
    places = [
        (r, c)
        for r in range(128 - side + 1)
        for c in range(160 - side + 1)
        if (whole[r : r + side, c : c + side] == picture).all()
    ]
    assert len(places) == 1
    columns_rows = CArmGeometry.of(radiograph.carm, radiograph.detector).project(ends)
    row, column = places[0]
    assert (columns_rows >= (column, row)).all()
    assert (columns_rows <= (column + side, row + side)).all()


def test_metal_is_black_and_does_not_take_bone_its_contrast():
    plain = synthetic.radiograph()
    metal = synthetic.radiograph(synthetic.implant_solids())
    thick = metal.line_integral - plain.line_integral > 1.0
    away = metal.line_integral - plain.line_integral == 0
    without, with_metal = display_grey(plain.line_integral), display_grey(metal.line_integral)
    assert np.median(with_metal[thick]) < 10
    assert with_metal[away].std() > 0.7 * without[away].std()
    assert (display_grey(metal.line_integral, inverted=True).astype(int) + with_metal == 255).all()


def test_flat_and_empty_images_are_shown_without_warning():
    assert display_grey(np.zeros((8, 8))).shape == (8, 8)
    assert display_grey(np.full((8, 8), 3.0)).shape == (8, 8)


@pytest.mark.parametrize(
    ("pose", "wanted"),
    [
        ((0, 0, 0), {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
        ((0, -30, 0), {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
        ((0, 44, 0), {"left": "R", "right": "L", "top": "HA", "bottom": "FP"}),
        ((0, 68, 0), {"left": "R", "right": "L", "top": "A", "bottom": "P"}),
        ((0, -46, 0), {"left": "R", "right": "L", "top": "PH", "bottom": "AF"}),
        ((180, 0, 0), {"left": "L", "right": "R", "top": "H", "bottom": "F"}),
        ((90, 0, 0), {"left": "P", "right": "A", "top": "H", "bottom": "F"}),
        ((-90, 0, 0), {"left": "A", "right": "P", "top": "H", "bottom": "F"}),
    ],
)
def test_letters_follow_the_projection(pose, wanted):
    carm = CArm(*pose, synthetic.CENTRE)
    radiograph = synthetic.radiograph((), carm, Detector(20, 20, 10.0))
    assert edge_letters(radiograph, CArmGeometry.of(carm, radiograph.detector), None) == wanted


def test_points_of_one_side_leave_out_the_other(anatomy):
    left = structure_points(anatomy, "left")
    assert {"foramen_S1_left", "psis_left", "promontory"} <= set(left)
    assert not any(name.endswith("_right") for name in left)


def test_saved_picture_is_the_picture(tmp_path):
    radiograph = synthetic.radiograph()
    path = fluoro_png(radiograph, tmp_path / "view.png", zoom=1)
    assert path.read_bytes() == fluoro_picture(radiograph, zoom=1)
    assert [p.name for p in tmp_path.iterdir()] == ["view.png"]
