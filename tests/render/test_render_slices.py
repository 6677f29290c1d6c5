"""Slices: what is sampled where, and true outlines at a known scale."""

import numpy as np
import pytest
import synthetic

from sjplan.core.errors import GeometryError
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.grid import Grid
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import envelope_solid, implant_solid, signed_distance
from sjplan.render.planes import SlicePlane, implant_planes, orthogonal_planes, sample_ct, sample_labels
from sjplan.render.png import decode_png
from sjplan.render.sections import plane_section_mm
from sjplan.render.slices import SliceOverlays, slice_picture, slices_pictures, slices_png
from sjplan.render.style import SLOT_COLOURS

FRAME = AnatomicalFrame(synthetic.CENTRE, np.eye(3))


def oblique_frame() -> AnatomicalFrame:
    turn = np.linalg.qr(np.array([[0.9, 0.2, -0.1], [-0.3, 0.8, 0.4], [0.1, -0.3, 0.9]]))[0]
    turn *= np.sign(np.diag(turn))
    turn[2] *= np.linalg.det(turn)
    return AnatomicalFrame(synthetic.CENTRE, turn)


def ramp(direction: np.ndarray) -> CtVolume:
    """HU rises by 2 per mm along LPS x, 3 along y, 5 along z."""
    grid = Grid((30, 24, 20), (2.0, 2.0, 2.0), synthetic.CENTRE, direction)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return CtVolume(grid, np.rint((grid.lps_from_ijk(ijk) - synthetic.CENTRE) @ (2.0, 3.0, 5.0)).astype(np.int16))


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), oblique_frame().axes.T])
def test_ct_is_read_where_the_plane_lies(direction):
    ct = ramp(direction)
    plane = SlicePlane("any", ct.grid.centre_lps_mm, (1, 0.2, 0), (-0.2, 1, 0), 20.0, 16.0, 0.5)
    sampled = sample_ct(ct, plane)
    wanted = (plane.pixels_lps_mm() - synthetic.CENTRE) @ (2.0, 3.0, 5.0)
    assert sampled.shape == (32, 40)
    assert np.abs(sampled - wanted).max() < 1.0  # HU are whole numbers


def test_outside_is_air_and_the_border_voxel_is_whole():
    ct = CtVolume(Grid((4, 4, 4), (2, 2, 2), (0, 0, 0), np.eye(3)), np.full((4, 4, 4), 700, np.int16))
    plane = SlicePlane("axial", (3.0, 3.0, 3.0), (1, 0, 0), (0, 1, 0), 20.0, 20.0, 1.0)
    sampled = sample_ct(ct, plane)
    assert (sampled == -1000).sum() == 20 * 20 - 8 * 8
    assert (sampled == 700).sum() == 8 * 8


def test_labels_show_the_nearest_voxel():
    labels = synthetic.labels()
    plane = SlicePlane("axial", synthetic.CENTRE, (1, 0, 0), (0, -1, 0), 150.0, 100.0, 1.0)
    shown = sample_labels(labels, plane)
    points = plane.pixels_lps_mm()
    ijk = np.clip(np.rint(labels.grid.ijk_from_lps(points)).astype(int), 0, np.array(labels.grid.shape) - 1)
    clear = np.abs(labels.grid.ijk_from_lps(points) % 1 - 0.5).min(axis=-1) > 1e-6  # ties may go either way
    assert (shown == labels.label[tuple(np.moveaxis(ijk, -1, 0))])[clear].all()
    assert set(np.unique(shown)) == {0, 25, 77, 78}


def test_planes_are_shown_as_radiologists_do():
    axial, coronal, sagittal = orthogonal_planes(FRAME, synthetic.CENTRE)
    assert axial.letters(FRAME) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert coronal.letters(FRAME) == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    assert sagittal.letters(FRAME) == {"left": "A", "right": "P", "top": "H", "bottom": "F"}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("frame", [FRAME, oblique_frame()])
def test_implant_planes_hold_the_axis(side, frame):
    trajectory = synthetic.trajectories(side)[1]
    for plane in implant_planes(trajectory, frame):
        ends = plane.flat_mm([trajectory.entry_lps_mm, trajectory.tip_lps_mm])
        assert np.abs(ends[:, 1:]).max() < 1e-9
        assert plane.letters(frame)["left"] == "R"


def test_slanted_axes_are_refused():
    with pytest.raises(GeometryError, match="slice axes: found cosine"):
        SlicePlane("bad", (0, 0, 0), (1, 0, 0), (1, 1, 0))


@pytest.mark.parametrize("roll", [0.0, 17.0, 60.0])
def test_section_across_the_axis_is_the_rounded_triangle(roll):
    base = synthetic.trajectories()[1]
    trajectory = Trajectory(base.entry_lps_mm, base.tip_lps_mm, roll, synthetic.TRIANGLE)
    u, v = trajectory.section_axes()
    middle = (trajectory.entry_lps_mm + trajectory.tip_lps_mm) / 2
    ring = plane_section_mm(implant_solid(trajectory), middle, u, v)
    radii = np.linalg.norm(ring, axis=1)
    assert radii.max() == pytest.approx(6.0, abs=0.02)  # circumscribed
    edges = np.stack([ring[:-1], ring[1:]], axis=1)
    nearest = np.abs(np.cross(np.c_[edges[:, 1] - edges[:, 0], np.zeros(len(edges))],
                              np.c_[edges[:, 0], np.zeros(len(edges))])[:, 2])  # fmt: skip
    nearest /= np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    assert nearest.min() == pytest.approx(3.5, abs=0.02)  # inscribed: 7 mm across
    on_surface = signed_distance(implant_solid(trajectory), middle + ring @ np.stack([u, v]))
    assert np.abs(on_surface).max() < 0.02


@pytest.mark.parametrize("frame", [FRAME, oblique_frame()])
def test_section_by_any_plane_lies_on_the_solid(frame):
    trajectory = synthetic.trajectories()[3]
    middle = 0.6 * trajectory.entry_lps_mm + 0.4 * trajectory.tip_lps_mm
    for solid in (implant_solid(trajectory), envelope_solid(trajectory)):
        for plane in (*orthogonal_planes(frame, middle), *implant_planes(trajectory, frame)):
            ring = plane_section_mm(solid, plane.centre_lps_mm, plane.right, plane.up)
            points = plane.centre_lps_mm + ring @ np.stack([plane.right, plane.up])
            assert len(ring) > 3
            assert np.abs(signed_distance(solid, points)).max() < 0.03


def test_a_plane_that_misses_gives_nothing():
    solid = implant_solid(synthetic.trajectories()[1])
    assert plane_section_mm(solid, synthetic.at(0, 0, 300), (1, 0, 0), (0, 1, 0)).shape == (0, 2)


@pytest.mark.parametrize(("model", "roll", "wanted_mm"), [("rod", 0.0, 10.0), ("triangle", 0.0, 9.5)])
def test_drawn_outline_has_the_true_width(model, roll, wanted_mm):
    """A rod of 10 mm; and a triangle cut from corner to flat, 3.5 inscribed plus 6.0 circumscribed."""
    entry, tip = synthetic.at(70, 0, 0), synthetic.at(20, 0, 0)
    kind = synthetic.ROD if model == "rod" else synthetic.TRIANGLE
    trajectory = Trajectory(entry, tip, roll, kind)
    coronal = SlicePlane("coronal", (entry + tip) / 2, (1, 0, 0), (0, 0, 1), 60.0, 40.0, 0.1)
    picture = slice_picture(synthetic.ct(), coronal, {1: trajectory}, envelopes=False)
    pixels = decode_png(picture).astype(int)
    assert pixels.shape == (400, 600, 3)
    wanted = np.array([int(SLOT_COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)])
    rows = np.flatnonzero(np.abs(pixels[:, 300] - wanted).max(axis=-1) < 60)
    middle_of_lines = [group.mean() for group in np.split(rows, np.flatnonzero(np.diff(rows) > 3) + 1)]
    assert len(middle_of_lines) == 2
    assert (middle_of_lines[1] - middle_of_lines[0]) * 0.1 == pytest.approx(wanted_mm, abs=0.15)


def test_one_sheet_an_implant_for_ct_and_labels(anatomy):
    implants = {1: synthetic.trajectories()[1]}
    margins = {1: synthetic.margins(1)}
    shown = {}
    for name, volume in (("ct", synthetic.ct()), ("labels", synthetic.labels())):
        pictures = slices_pictures(volume, anatomy, implants, margins, panel_px=200)
        assert set(pictures) == {1}
        shown[name] = decode_png(pictures[1])
        assert shown[name].shape == (400, 600, 3)
    assert (shown["ct"] != shown["labels"]).any()


@pytest.mark.parametrize("part", ["outlines", "envelopes", "lumina", "surfaces", "witnesses", "letters", "scale_bar"])
def test_every_overlay_of_a_slice_can_be_switched_off(anatomy, part):
    implants = {1: synthetic.trajectories()[1]}
    margins = {1: synthetic.margins(1)}
    volume = synthetic.labels()
    full = slices_pictures(volume, anatomy, implants, margins, panel_px=160)[1]
    less = slices_pictures(volume, anatomy, implants, margins, panel_px=160, overlays=SliceOverlays(**{part: False}))[1]
    assert (decode_png(full) != decode_png(less)).any()


def test_saved_by_slot(anatomy, tmp_path):
    paths = slices_png(synthetic.labels(), anatomy, {3: synthetic.trajectories()[3]}, tmp_path, prefix="left")
    assert [p.name for p in paths] == ["left-3.png"]
    assert decode_png(paths[0].read_bytes()).shape[2] == 3
