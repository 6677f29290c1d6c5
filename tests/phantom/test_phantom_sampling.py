import numpy as np
import pytest

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis, rotation_matrix
from sjplan.phantom.sampling import doubled, doubled_reference, exact_reach_mm, sample_band


def _dense(distance, grid: Grid) -> Array:  # type: ignore[no-untyped-def]
    ijk = np.argwhere(np.ones(grid.shape, dtype=bool))
    return np.asarray(distance(grid.lps_from_ijk(ijk))).reshape(grid.shape)


def _spread(band, grid: Grid) -> Array:  # type: ignore[no-untyped-def]
    found = np.full(grid.shape, 99.0)
    found[band.slices] = band.distance_mm
    return found


@pytest.mark.parametrize("bone", ["sacrum", "hip_left", "vertebrae_L5"])
def test_the_band_has_the_shapes_own_values_near_it_and_the_right_sign_everywhere(bone: str) -> None:
    pelvis = Pelvis(PhantomParameters(rotation_deg=(5.0, -8.0, 10.0)))
    turned = rotation_matrix((8.0, -5.0, 12.0)) * (1.0, 1.0, -1.0)
    grid = Grid((62, 51, 57), (2.2, 1.9, 2.5), pelvis.lps_from_pelvic([[-50.0, -20.0, 40.0]])[0], turned)
    wanted = _dense(lambda p: pelvis.bone_mm(bone, p), grid)
    found = _spread(sample_band(lambda p: pelvis.bone_mm(bone, p), grid, 8.0), grid)
    assert (wanted < 0).sum() > 800
    assert np.array_equal(found < 0, wanted < 0)
    near = np.abs(wanted) < 0.5 * exact_reach_mm(grid)
    assert np.abs(found[near] - wanted[near]).max() < 1e-4
    deep = np.abs(wanted) < 8.0
    assert np.quantile(np.abs(found[deep] - wanted[deep]), 0.95) < 0.4


def test_thin_and_small_shapes_are_not_missed() -> None:
    grid = Grid((70, 70, 70), (0.7, 0.7, 0.7), (0.0, 0.0, 0.0), np.eye(3))
    for centre in ((20.3, 24.1, 30.2), (6.0, 44.4, 3.3)):
        ball = lambda p, c=centre: np.linalg.norm(p - c, axis=1) - 1.1  # noqa: E731
        assert np.array_equal(_spread(sample_band(ball, grid, 2.0), grid) < 0, _dense(ball, grid) < 0)


def test_values_are_stored_x_fastest() -> None:
    grid = Grid((40, 30, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    band = sample_band(lambda p: np.linalg.norm(p - (20.0, 15.0, 10.0), axis=1) - 5.0, grid, 2.0)
    assert band.distance_mm.flags.f_contiguous


def test_doubling_is_linear_interpolation() -> None:
    coarse = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert np.allclose(doubled(coarse), doubled_reference(coarse), atol=1e-12)


def test_a_shape_outside_the_grid_gives_nothing() -> None:
    grid = Grid((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    band = sample_band(lambda p: np.linalg.norm(p - 500.0, axis=1) - 5.0, grid, 2.0)
    assert (band.distance_mm > 0).all()
