import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from xray_shapes import GRIDS, Box, Ellipsoid, grid_about, rotation, share_inside

from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.xray import reference
from sjplan.xray.attenuation import MU_WATER_PER_MM, Attenuation, mu_per_mm
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.projector import project, project_volume
from sjplan.xray.types import CArm, Detector

POSES = [(0, 0, 0), (35, 20, -15), (90, -10, 5), (10, 85, 0), (-130, -40, 30)]


def _carm(grid, angles):
    return CArm(*angles, grid.centre_lps_mm + np.array([3, 4, -5]), 300.0, 600.0)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("angles", POSES)
def test_agrees_with_the_slow_joseph_on_white_noise(name, angles, rng):
    """Within 2e-5 of the image's maximum: the kernel sums in float32."""
    grid = GRIDS[name]
    mu = rng.random(grid.shape).astype(np.float32)
    carm, detector = _carm(grid, angles), Detector(7, 11, 16.0)
    expected = reference.joseph(mu, grid, CArmGeometry.of(carm, detector))
    assert project_volume(mu, grid, carm, detector) == pytest.approx(expected, abs=2e-5 * expected.max())


@pytest.mark.parametrize("name", GRIDS)
def test_agrees_with_dense_marching_on_a_smooth_volume(name, rng):
    """Within 0.6 % of the image's maximum, and without bias."""
    grid = GRIDS[name]
    mu = np.maximum(gaussian_filter(rng.standard_normal(grid.shape), 3.0), 0.0)
    mu *= np.pad(np.ones([n - 8 for n in grid.shape]), 4)
    mu = gaussian_filter(mu, 1.5)
    carm, detector = _carm(grid, (25, 30, 10)), Detector(20, 30, 6.0)
    expected = reference.march(mu, grid, CArmGeometry.of(carm, detector), step_mm=0.5)
    difference = project_volume(mu, grid, carm, detector) - expected
    assert np.abs(difference).max() < 6e-3 * expected.max()
    assert abs(difference.mean()) < 1e-4 * expected.max()


SOLIDS = {
    "sphere": Ellipsoid((4, -2, 6), (14, 14, 14)),
    "ellipsoid": Ellipsoid((8, 3, 2), (18, 9, 13)),
    "box": Box((4.3, -5.2, 7.7), (13.4, 8.1, 11.6)),
}


@pytest.mark.parametrize("solid", SOLIDS)
@pytest.mark.parametrize("turned", [False, True], ids=["along LPS", "oblique"])
def test_converges_to_analytic_line_integrals(solid, turned):
    """Mean error below 1 % of the longest chord at 1 mm, and at most 0.6 of that at twice the voxel size."""
    direction = rotation((1, -2, 1.5), 30) @ np.diag([1, -1, 1]) if turned else np.eye(3)
    carm, detector = CArm(20, 25, -10, (5, 0, 5), 300.0, 600.0), Detector(60, 70, 1.9)
    exact = SOLIDS[solid].chords_mm(CArmGeometry.of(carm, detector))
    errors = []
    for voxel in (2.0, 1.0):
        spacing = voxel * np.array([1.0, 0.8, 1.2])
        shape = tuple(int(n) for n in np.ceil(64 / spacing))
        grid = grid_about((5, 0, 5), shape, spacing, direction)
        image = project_volume(share_inside(SOLIDS[solid], grid), grid, carm, detector)
        errors.append(np.abs(image - exact).mean() / exact.max())
    assert exact.max() > 15
    assert errors[1] < 0.01
    assert errors[1] < 0.6 * errors[0]


def test_off_centre_solid_is_not_shifted():
    solid = Ellipsoid((14, -9, 6), (9, 9, 9))
    carm, detector = CArm(15, -20, 5, (0, 0, 0), 300.0, 600.0), Detector(100, 140, 1.0)
    grid = grid_about((3, 2, 1), (72, 60, 40), (0.9, 1.1, 1.6))
    image = project_volume(share_inside(solid, grid), grid, carm, detector)
    exact = solid.chords_mm(CArmGeometry.of(carm, detector))
    rows, columns = np.indices(image.shape)
    for axis in (rows, columns):
        assert (axis * image).sum() / image.sum() == pytest.approx((axis * exact).sum() / exact.sum(), abs=0.02)


def test_same_voxels_in_another_order_give_the_same_image(rng):
    grid = GRIDS["anisotropic"]
    mu = rng.random(grid.shape).astype(np.float32)
    carm, detector = _carm(grid, (25, 30, 10)), Detector(40, 50, 3.0)
    image = project_volume(mu, grid, carm, detector)
    flipped = Grid(
        (grid.shape[2], grid.shape[0], grid.shape[1]),
        grid.spacing_mm[[2, 0, 1]],
        grid.lps_from_ijk([0, grid.shape[1] - 1, 0]),
        (grid.direction * (1, -1, 1))[:, [2, 0, 1]],
    )
    other = project_volume(np.ascontiguousarray(mu[:, ::-1, :].transpose(2, 0, 1)), flipped, carm, detector)
    assert other == pytest.approx(image, rel=1e-4, abs=1e-4)


def test_hounsfield_units_are_scaled_so_that_air_weighs_nothing():
    grid = grid_about((0, 0, 0), (30, 30, 30), (4, 4, 4))
    carm, detector = CArm(0, 0, 0, (0, 0, 0)), Detector(9, 9, 2.0)
    for hu, expected in [(-1000, 0.0), (-3024, 0.0), (-1024, 0.0), (-970, 0.0), (0, 120 * MU_WATER_PER_MM)]:
        image = project_volume(np.full(grid.shape, hu, dtype=np.int16), grid, carm, detector)
        assert float(image[4, 4]) == pytest.approx(expected, rel=1e-4), hu
    dense = project_volume(np.full(grid.shape, 32767, dtype=np.int16), grid, carm, detector)
    assert float(dense[4, 4]) == pytest.approx(32.767 * 120 * MU_WATER_PER_MM, rel=1e-4)


def test_what_lies_behind_the_tube_or_the_detector_does_not_count():
    grid = grid_about((0, 0, 0), (10, 400, 10), (2, 2, 2))
    water = np.zeros(grid.shape, dtype=np.int16)
    image = project_volume(water, grid, CArm(0, 0, 0, (0, 0, 0), 100.0, 150.0), Detector(3, 3, 0.5))
    assert float(image[1, 1]) == pytest.approx(150 * MU_WATER_PER_MM, abs=2 * MU_WATER_PER_MM)


def test_air_is_cut_away_without_a_trace(rng):
    grid = GRIDS["oblique"]
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[14:25, 9:31, 18:22] = rng.integers(-200, 1500, (11, 22, 4))
    attenuation = Attenuation.from_hu(hu, grid)
    assert attenuation.values.shape == (15, 26, 8)
    carm, detector = _carm(grid, (40, 10, 0)), Detector(40, 50, 3.0)
    whole = project_volume(mu_per_mm(hu), grid, carm, detector)
    assert project(attenuation, CArmGeometry.of(carm, detector)) == pytest.approx(whole, abs=2e-5 * float(whole.max()))


def test_volume_that_touches_its_border_counts_in_full():
    grid = grid_about((0, 0, 0), (7, 5, 6), (3, 4, 5))
    image = project_volume(np.ones(grid.shape), grid, CArm(0, 0, 0, (0, 0, 0)), Detector(3, 3, 0.1))
    assert float(image[1, 1]) == pytest.approx(20.0, rel=1e-5)


def test_negative_or_nan_attenuation_is_refused():
    grid = grid_about((0, 0, 0), (4, 4, 4), (1, 1, 1))
    for bad in (-0.1, np.nan):
        mu = np.zeros(grid.shape)
        mu[1, 1, 1] = bad
        with pytest.raises(GeometryError, match="mu: found negative, NaN"):
            project_volume(mu, grid, CArm(0, 0, 0, (0, 0, 0)), Detector(4, 4, 1.0))
