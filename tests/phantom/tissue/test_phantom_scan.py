import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from sjplan.core.grid import Grid
from sjplan.phantom.scanner import Scanner
from sjplan.phantom.tissue.metal import _back_project, _project
from sjplan.phantom.tissue.scan import (
    HIGHEST_HU,
    LOWEST_HU,
    discrete_gaussian,
    noise_map,
    scan_planes,
    slice_weights,
    table_mm,
)

GRID = Grid((72, 60, 24), (0.9, 1.1, 1.3), (-30.0, 10.0, 50.0), np.eye(3))


def _scan(hu: np.ndarray, scanner: Scanner, seed: int = 0, planes: object = None, grid: Grid = GRID) -> np.ndarray:  # type: ignore[type-arg]
    out = np.zeros(grid.shape, dtype=np.int16, order="F")
    scan_planes(hu.astype(np.float32), out, grid, scanner, seed, range(grid.shape[2]) if planes is None else planes)  # type: ignore[arg-type]
    return out


def _flat(value: float, grid: Grid = GRID) -> np.ndarray:  # type: ignore[type-arg]
    return np.full(grid.shape, value, dtype=np.float32, order="F")


def test_weights_have_the_wanted_variance_and_meet_the_gaussian_where_it_is_wide() -> None:
    for variance in (0.0, 0.02, 0.3, 2.0, 9.0):
        w = discrete_gaussian(variance)
        at = np.arange(len(w)) - len(w) // 2
        assert w.sum() == pytest.approx(1.0)
        assert float((w * at**2).sum()) == pytest.approx(variance, abs=2e-3 * max(variance, 1.0))
    impulse = np.zeros(61)
    impulse[30] = 1.0
    wide = discrete_gaussian(9.0)
    assert np.abs(np.convolve(impulse, wide, "same") - gaussian_filter1d(impulse, 3.0)).max() < 2e-3


def test_the_kernel_blurs_as_far_as_it_says_in_mm_on_both_axes() -> None:
    hu = _flat(0.0)
    hu[36, 30, :] = 3000.0
    plane = _scan(hu, Scanner(kernel_fwhm_mm=2.4, noise_hu=0.0))[:, :, 5].astype(float)
    at_i, at_j = 0.9 * (np.arange(72) - 36), 1.1 * (np.arange(60) - 30)
    sigma = 2.4 / 2.3548
    for profile, at in ((plane.sum(axis=1), at_i), (plane.sum(axis=0), at_j)):
        assert np.sqrt((profile * at**2).sum() / profile.sum()) == pytest.approx(sigma, rel=0.04)


def test_thick_slices_keep_the_mean_and_widen_along_z_alone() -> None:
    scanner = Scanner(slice_thickness_mm=5.0, kernel_fwhm_mm=0.0, noise_hu=0.0)
    w = slice_weights(scanner, GRID)
    at = 1.3 * (np.arange(len(w)) - len(w) // 2)
    # A box of 5 mm is a voxel's box of 1.3 mm and the weights, one after the other: variances add.
    assert (w * at**2).sum() + 1.3**2 / 12.0 == pytest.approx(25.0 / 12.0, rel=0.01)
    hu = _flat(0.0)
    hu[20, 20, 12] = 2000.0
    out = _scan(hu, scanner)
    assert out[20, 20].sum() == pytest.approx(2000, rel=0.01)
    assert (out[19, 20] == 0).all()
    assert len(slice_weights(Scanner(), GRID)) == 1


def test_noise_has_its_deviation_and_is_correlated_by_the_kernel() -> None:
    # A body as wide and deep as the reference: 370 by 216 mm.
    grid = Grid((370, 216, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    for fwhm in (0.6, 2.0):
        out = _scan(_flat(0.0, grid), Scanner(kernel_fwhm_mm=fwhm, noise_hu=10.0), grid=grid)[:, :, 1].astype(float)
        assert out.std() == pytest.approx(10.0, rel=0.12)
        assert abs(out.mean()) < 0.3
        neighbours = float(np.corrcoef(out[:-1].ravel(), out[1:].ravel())[0, 1])
        assert neighbours < 0.2 if fwhm < 1.0 else neighbours > 0.45
        far = float(np.corrcoef(out[:-12].ravel(), out[12:].ravel())[0, 1])
        assert abs(far) < 0.05


def test_noise_grows_behind_bone_and_in_wide_bodies_and_is_small_in_air() -> None:
    plane = np.full((370, 216), -1000.0, dtype=np.float32)
    plane[40:330, 20:200] = 40.0
    thin = noise_map(plane, np.array((1.0, 1.0, 1.0)))
    assert thin[5, 5] < 0.25 < thin[185, 110] < 1.1
    wide = np.full((500, 300), 40.0, dtype=np.float32)
    assert noise_map(wide, np.array((1.0, 1.0, 1.0)))[250, 150] > 1.8
    plane[60:100, 100:120] = 1200.0
    assert noise_map(plane, np.array((1.0, 1.0, 1.0)))[200, 110] > 1.2 * thin[200, 110]


def test_planes_do_not_depend_on_how_they_are_shared_out() -> None:
    hu = _flat(30.0)
    scanner = Scanner(slice_thickness_mm=3.0)
    whole = _scan(hu, scanner, seed=4)
    for part in (range(0, 7), [23, 3, 11], [0]):
        some = _scan(hu, scanner, seed=4, planes=part)
        assert np.array_equal(some[:, :, list(part)], whole[:, :, list(part)])
    assert not np.array_equal(_scan(hu, scanner, seed=5), whole)


@pytest.mark.parametrize("padding", [-1024, -2000, -3024])
def test_padding_fills_what_lies_outside_the_circle(padding: int) -> None:
    out = _scan(_flat(0.0), Scanner(circular_padding=True, padding_hu=padding, noise_hu=0.0))
    x, y = 0.9 * (np.arange(72) - 35.5), 1.1 * (np.arange(60) - 29.5)
    outside = np.hypot(x[:, None], y[None]) > max(x[-1], y[-1])
    assert outside[0, 0]
    assert np.array_equal(out == padding, np.broadcast_to(outside[..., None], out.shape))


def test_values_keep_to_the_scale_of_a_scanner() -> None:
    hu = _flat(0.0)
    hu[10:30] = 9000.0
    hu[40:] = -3000.0
    out = _scan(hu, Scanner())
    assert (int(out.min()), int(out.max())) == (LOWEST_HU, HIGHEST_HU)


def test_the_table_is_a_thin_shell_below_the_patient() -> None:
    p = np.array([[0.0, y, 0.0] for y in np.arange(-20.0, 60.0, 0.25)])
    shell, foam = table_mm(p, 0.0, 0.0)
    assert (p[shell < 0, 1] >= 0.0).all()
    assert 1.5 < 0.25 * (shell < 0).sum() / 2.0 < 3.5
    assert (foam[p[:, 1] < 0] > 0).all()
    assert (foam < 0).any()


def test_filtered_projections_come_back_to_where_they_came_from() -> None:
    amount = np.zeros((40, 36))
    amount[24, 11] = 1.0
    angles = np.pi * (np.arange(90) + 0.5) / 90
    sums = _project(amount, angles, 58)
    assert np.allclose(sums.sum(axis=1), 1.0)
    back = _back_project(sums, angles, 40, 36)
    assert np.unravel_index(int(np.argmax(back)), back.shape) == (24, 11)
