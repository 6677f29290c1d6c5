import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xray_shapes import GRIDS, grid_about, rotation

from sjplan.core.errors import GeometryError
from sjplan.xray.carm import CArmGeometry, carm_angles, carm_rotation, ray_direction
from sjplan.xray.projector import project_volume
from sjplan.xray.types import CArm, Detector

angle = st.floats(-180, 180)


@given(angle, st.floats(-89.9, 89.9), angle)
def test_ray_follows_the_formula_of_the_design(orbital, tilt, wig_wag):
    o, t, w = np.deg2rad([orbital, tilt, wig_wag])
    base = np.array([np.sin(o), np.cos(o), 0.0])
    expected = rotation((0, 1, 0), np.rad2deg(w)) @ rotation((1, 0, 0), np.rad2deg(t)) @ base
    assert ray_direction(CArm(orbital, tilt, wig_wag, (0, 0, 0))) == pytest.approx(expected, abs=1e-12)


def test_rest_is_a_vertical_beam_through_a_prone_patient():
    geometry = CArmGeometry.of(CArm(0, 0, 0, (1, 2, 3)), Detector())
    assert geometry.source_lps_mm == pytest.approx((1, 2 - 530, 3))  # below a prone patient: in front of the belly
    assert geometry.ray_through([255.5, 255.5]) == pytest.approx((0, 1, 0))


@pytest.mark.parametrize(
    ("angles", "axis", "sign"),
    [((20, 0, 0), 0, 1), ((-20, 0, 0), 0, -1), ((0, 20, 0), 2, 1), ((0, -20, 0), 2, -1)],
    ids=["orbital > 0: detector left", "orbital < 0: right", "tilt > 0: head", "tilt < 0: feet"],
)
def test_signs_of_the_angles(angles, axis, sign):
    assert sign * ray_direction(CArm(*angles, (0, 0, 0)))[axis] > 0.3


@given(angle, st.floats(-90, 90), angle)
def test_angles_of_a_rotation_turn_the_arm_back_to_it(orbital, tilt, wig_wag):
    wanted = carm_rotation(orbital, tilt, wig_wag)
    assert carm_rotation(*carm_angles(wanted)) == pytest.approx(wanted, abs=1e-6)


def test_a_mirrored_matrix_is_refused():
    with pytest.raises(GeometryError, match="right-handed"):
        carm_angles(np.diag([1.0, 1.0, -1.0]))


@given(angle, st.floats(-80, 80), st.floats(-60, 60), st.floats(-100, 700), st.floats(-50, 400), st.floats(10, 900))
def test_points_on_a_pixels_ray_project_onto_it(orbital, tilt, wig_wag, column, row, depth):
    geometry = CArmGeometry.of(CArm(orbital, tilt, wig_wag, (10, -20, 30)), Detector(300, 500, 0.6))
    point = geometry.source_lps_mm + depth * geometry.ray_through([column, row])
    assert geometry.project(point) == pytest.approx((column, row), abs=1e-6)


def test_isocentre_lands_in_the_middle_and_magnified():
    geometry = CArmGeometry.of(CArm(30, 20, -10, (1, 2, 3), 510.0, 1020.0), Detector(301, 501, 0.5))
    assert geometry.project([1, 2, 3]) == pytest.approx((250, 150))
    side = np.array([1, 2, 3]) + carm_rotation(30, 20, -10)[:, 0]
    assert geometry.project(side) == pytest.approx((250 + 2 / 0.5, 150))


def test_points_behind_the_tube_have_no_pixel():
    geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector())
    pixels = geometry.project([[0, -600, 0], [0, -530, 0], [0, 0, 0]])
    assert np.isnan(pixels[:2]).all()
    assert np.isfinite(pixels[2]).all()


def test_source_in_the_detectors_plane_is_refused():
    with pytest.raises(GeometryError, match="detector's plane"):
        CArmGeometry((0, 0, 0), (5, 0, 0), (1, 0, 0), (0, 0, 1), 4, 4)


# ---- image orientation: one bead per direction, each of its own weight, so that no flip and no swap goes unseen
MARKERS = {"left": ((30, 0, 0), 1.0), "posterior": ((0, 20, 0), 2.0), "head": ((0, 0, 25), 4.0)}


def _marker_pixels(carm, detector):
    """(column, row) of each marker as the projector shows it alone."""
    grid = grid_about((0, 0, 0), (81, 61, 71), (1, 1, 1))
    found = {}
    for name, (point, weight) in MARKERS.items():
        mu = np.zeros(grid.shape, dtype=np.float32)
        i, j, k = np.rint(grid.ijk_from_lps(point)).astype(int)
        mu[i, j, k] = weight
        image = project_volume(mu, grid, carm, detector)
        found[name] = _centroid(image)
    return found


def _centroid(image):
    rows, columns = np.indices(image.shape)
    return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()


def test_ap_shows_the_patients_left_on_the_right_and_the_head_on_top():
    detector = Detector(201, 281, 0.6)
    pixels = _marker_pixels(CArm(0, 0, 0, (0, 0, 0)), detector)
    middle = np.array([140.0, 100.0])
    assert pixels["left"][0] > middle[0] + 50
    assert pixels["left"][1] == pytest.approx(middle[1], abs=0.6)
    assert pixels["head"][1] < middle[1] - 50
    assert pixels["head"][0] == pytest.approx(middle[0], abs=0.6)
    assert pixels["posterior"] == pytest.approx(middle, abs=0.6)


def test_lateral_shows_the_front_on_the_right_and_the_head_on_top():
    pixels = _marker_pixels(CArm(90, 0, 0, (0, 0, 0)), Detector(201, 281, 0.6))
    assert pixels["posterior"][0] < 140 - 40
    assert pixels["head"][1] < 100 - 50
    assert pixels["left"] == pytest.approx((140, 100), abs=0.6)


def test_images_are_seen_from_the_tube():
    for orbital, tilt, wig_wag in [(0, 0, 0), (90, 10, 5), (-130, -40, 20)]:
        geometry = CArmGeometry.of(CArm(orbital, tilt, wig_wag, (0, 0, 0)), Detector())
        outwards = np.cross(geometry.column_step_lps_mm, geometry.row_step_lps_mm)
        assert outwards @ geometry.ray_through([255.5, 255.5]) > 0


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("angles", [(0, 0, 0), (35, 20, -15), (90, -10, 5), (-50, -40, 30)])
def test_a_bead_lands_where_its_image_is(name, angles):
    """Projection of a point against the projector's image of a bead there, within 0.1 pixel."""
    grid = GRIDS[name]
    bead = grid.centre_lps_mm + grid.direction @ (6.0, -8.0, 11.0)
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.lps_from_ijk(ijk) - bead, axis=-1)
    mu = np.exp(-0.5 * (distance / 2.5) ** 2)
    mu[distance > 12.0] = 0.0
    carm, detector = CArm(*angles, grid.centre_lps_mm + np.array([3, 4, -5])), Detector(110, 150, 0.9)
    image = project_volume(mu, grid, carm, detector)
    expected = CArmGeometry.of(carm, detector).project(bead)
    assert _centroid(image.astype(np.float64)) == pytest.approx(expected, abs=0.1)
