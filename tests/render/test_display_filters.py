"""Compiled filters of the display against those of scipy and numpy, which are slower and plain."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from sjplan.render.blur import WIDE_PX, blurred
from sjplan.render.quantiles import percentiles


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(40, 61), (3, 50), (50, 3), (1, 1)])
@pytest.mark.parametrize("sigma_px", [0.1, 0.4, 1.3, 4.9])
def test_a_narrow_blur_is_a_gaussian(shape, sigma_px, rng):
    image = rng.random(shape)
    assert blurred(image, sigma_px) == pytest.approx(gaussian_filter(image, sigma_px, mode="nearest"), abs=1e-14)


@pytest.mark.parametrize("shape", [(90, 61), (30, 50)])
@pytest.mark.parametrize("sigma_px", [WIDE_PX, 7.7, 20.0])
def test_a_wide_blur_is_three_running_means(shape, sigma_px, rng):
    image = rng.random(shape)
    width = 2 * round((np.sqrt(4.0 * sigma_px**2 + 1.0) - 1.0) / 2.0) + 1
    wanted = image
    for _ in range(3):
        wanted = uniform_filter(wanted, width, mode="nearest")
    assert blurred(image, sigma_px) == pytest.approx(wanted, abs=1e-12)
    assert blurred(np.full(shape, 3.5), sigma_px) == pytest.approx(np.full(shape, 3.5), abs=1e-12)


def test_a_picture_is_not_changed_by_being_blurred(rng):
    image = rng.random((30, 30)).astype(np.float32)
    before = image.copy()
    for sigma_px in (0.5, 9.0):
        blurred(image, sigma_px)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("count", [1, 2, 3, 100, 40_000])
def test_percentiles_are_numpys(count, rng):
    """Skewed, with many equal values, and with one far outside, which leaves nearly all in one bin."""
    for values in (rng.standard_normal(count) ** 3, rng.integers(0, 3, count) * 1.0, np.append(rng.random(count), 1e6)):
        wanted = np.percentile(values, [0.0, 4.0, 50.0, 88.0, 99.9, 100.0])
        assert percentiles(values, [0.0, 4.0, 50.0, 88.0, 99.9, 100.0]) == pytest.approx(wanted, rel=1e-12, abs=1e-15)
