"""Marrow is enclosed by a cortex with small holes, a foramen is open at both ends; grey values may be the same."""

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.segment.marrow import marrow
from sjplan.segment.voxels import edge_hu

SIDE = 60
GRID = Grid((SIDE, SIDE, SIDE), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
SOFT_HU = 40.0
SOUGHT_MM = 10.0


def box_with_tunnel(tunnel_mm: float, hole_mm: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense shell of a box with marrow in it, a walled tunnel through it, a hole in its top; the box's distances.

    The distance knows nothing of the tunnel: that is what the CT has to tell.
    """
    i, j, k = np.indices((SIDE,) * 3).astype(float)
    centre = (SIDE - 1) / 2
    q = np.stack([np.abs(axis - centre) for axis in (i, j, k)]) - 20.0
    outside = np.linalg.norm(np.maximum(q, 0.0), axis=0) + np.minimum(q.max(axis=0), 0.0)
    radius = np.hypot(i - 18.0, k - centre)
    tunnel = radius < tunnel_mm / 2
    solid = (outside <= 0) & ~tunnel
    wall = (radius < tunnel_mm / 2 + 2.0) & ~tunnel
    dense = solid & ((outside > -2.0) | wall)
    middle = round(centre) + 8
    dense[middle : middle + hole_mm, middle : middle + hole_mm, 48:] = False
    return dense, outside.astype(np.float32), tunnel & (outside <= 0)


@pytest.mark.parametrize("hole_mm", [0, 2, 4])
def test_marrow_stays_inside_and_the_tunnel_open(hole_mm: int) -> None:
    dense, distance, tunnel = box_with_tunnel(10.0, hole_mm)
    calm = np.where(dense, 700.0, SOFT_HU).astype(np.float32)
    found = marrow(dense, calm, distance, distance < SOUGHT_MM, GRID, 1.0)
    truly = (distance <= 0) & ~tunnel & ~dense
    deep = truly & (distance < -4.0)
    assert found[deep].mean() > 0.99
    assert not found[distance > 2.0].any()
    # the middle of the tunnel, over its whole length
    core = tunnel & (np.hypot(*(np.indices(dense.shape)[[0, 2]] - np.array([18.0, 29.5])[:, None, None, None])) < 3.0)
    assert not found[core].any()


@pytest.mark.parametrize(("marrow_hu", "opened"), [(200.0, True), (SOFT_HU, False)])
def test_a_hollow_with_narrow_mouths_is_open_where_marrow_is_plainly_denser(marrow_hu: float, opened: bool) -> None:
    dense, distance, tunnel = box_with_tunnel(7.0, 0)
    i, _, k = np.indices(dense.shape)
    axis = np.hypot(i - 18.0, k - 29.5)
    dense |= tunnel & (distance > -2.0) & (axis > 1.0)
    hollow = tunnel & ~dense
    calm = np.where(dense, 700.0, np.where((distance <= 0) & ~hollow, marrow_hu, SOFT_HU)).astype(np.float32)
    found = marrow(dense, calm, distance, distance < SOUGHT_MM, GRID, 1.0)
    core = hollow & (axis < 3.0) & (distance < -4.0)
    assert found[core].mean() == pytest.approx(0.0 if opened else 1.0, abs=0.05)
    assert found[(distance < -4.0) & ~dense & ~hollow].mean() > 0.99


def test_what_is_enclosed_is_filled_whatever_the_template_says() -> None:
    dense, distance, tunnel = box_with_tunnel(0.0, 0)
    calm = np.where(dense, 700.0, SOFT_HU).astype(np.float32)
    found = marrow(dense, calm, distance + 6.0, distance + 6.0 < SOUGHT_MM, GRID, 1.0)
    assert not tunnel.any()
    assert (found | dense)[distance < -2.5].all()


def test_nothing_is_inside_where_there_is_no_bone() -> None:
    _, distance, _ = box_with_tunnel(0.0, 0)
    nothing = np.zeros(distance.shape, dtype=bool)
    soft = np.full(distance.shape, SOFT_HU, np.float32)
    assert not marrow(nothing, soft, distance, distance < SOUGHT_MM, GRID, 1.0).any()


def test_edge_of_a_blurred_plate_is_where_the_plate_ends() -> None:
    """Against a plate blurred numerically, from thin to thick; the formula is capped for the thinnest."""
    fine = np.arange(-30.0, 30.0, 0.01)
    kernel = np.exp(-0.5 * (np.arange(-5.0, 5.0, 0.01) / 0.9) ** 2)
    kernel /= kernel.sum()
    for thickness in (1.6, 2.0, 3.0, 5.0):
        profile = np.convolve(np.where(np.abs(fine) < thickness / 2, 750.0, 0.0), kernel, mode="same") + 50.0
        threshold = float(edge_hu(np.array([profile.max()]), 800.0)[0])
        width = 0.01 * np.count_nonzero(profile > threshold)
        assert width == pytest.approx(thickness, abs=0.15), thickness
