"""Distance fields: exact, against brute force and scipy, for any spacing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from sjplan.geometry.fields import distance_mm, nearest_site

spacings = st.tuples(*[st.floats(0.3, 4.0)] * 3)
shapes = st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 5))


def brute_force(mask, spacing):
    every = np.argwhere(np.ones(mask.shape, bool)) * spacing
    marked = np.argwhere(mask) * spacing
    return np.linalg.norm(every[:, None] - marked[None], axis=-1).min(axis=1).reshape(mask.shape)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, spacing=spacings, seed=st.integers(0, 2**31), share=st.floats(0.02, 0.9))
def test_field_equals_brute_force(shape, spacing, seed, share):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < share
    mask[tuple(rng.integers(0, shape))] = True
    truth = brute_force(mask, np.array(spacing))
    assert np.allclose(distance_mm(mask, spacing), truth, rtol=1e-6, atol=1e-6)
    site = nearest_site(mask, spacing)
    assert mask[tuple(np.moveaxis(site, -1, 0))].all()
    index = np.moveaxis(np.indices(shape), 0, -1)
    reached = np.linalg.norm((site - index) * np.array(spacing), axis=-1)
    assert np.allclose(reached, truth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 0.7, 2.0), (2.0, 0.4, 1.1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_field_equals_scipy(spacing, order):
    rng = np.random.default_rng(5)
    mask = np.asarray(ndi.gaussian_filter(rng.normal(size=(31, 24, 37)), 2.0) > 0.08, order=order)
    truth = ndi.distance_transform_edt(~mask, sampling=spacing)
    assert np.abs(distance_mm(mask, spacing) - truth).max() < 1e-5


def test_nothing_marked_is_infinitely_far():
    mask = np.zeros((3, 4, 2), bool)
    assert np.isposinf(distance_mm(mask, (1, 1, 1))).all()
    assert (nearest_site(mask, (1, 1, 1)) == -1).all()


def test_marked_voxels_are_their_own_site():
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 2:4, 1:5] = True
    index = np.moveaxis(np.indices(mask.shape), 0, -1)
    assert (nearest_site(mask, (0.5, 1, 3))[mask] == index[mask]).all()
    assert not distance_mm(mask, (0.5, 1, 3))[mask].any()
