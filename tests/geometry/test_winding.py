"""Sides of nodes by counting triangles, beside closed forms and beside the nearest point of a triangle tree."""

import numpy as np
import pytest
import trimesh

from sjplan.geometry.triangle_tree import nearest_point, triangle_tree
from sjplan.geometry.winding import winding
from sjplan.testing.problems import phantom_anatomy

SHAPE = (24, 22, 20)
LOW_MM = np.array([-12.0, -11.0, -10.0])


def nodes() -> np.ndarray:
    """Every node of the grid, (24, 22, 20, 3)."""
    return LOW_MM + np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)


def test_a_sphere() -> None:
    """Nodes within the sphere, but for those closer to it than its facets are."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=7.3)
    distance = np.linalg.norm(nodes(), axis=-1) - 7.3
    found = winding(np.asarray(ball.triangles), LOW_MM, SHAPE, 1.0)
    clear = np.abs(distance) > 0.05
    assert (found[clear] == (distance < 0)[clear]).all()


def test_edges_on_the_lines_of_nodes_count_once() -> None:
    """A box whose edges and diagonals run through nodes: the same number inside whichever way its faces are halved."""
    box = trimesh.creation.box((8.0, 6.0, 5.0))
    found = winding(np.asarray(box.triangles), LOW_MM, SHAPE, 1.0)
    assert set(np.unique(found)) == {0, 1}
    within = (np.abs(nodes()) < np.array([4.0, 3.0, 2.5])).all(axis=-1)
    assert (found[within] == 1).all()
    beyond = (np.abs(nodes()) > np.array([4.0, 3.0, 2.5])).any(axis=-1)
    assert (found[beyond] == 0).all()


def test_a_surface_that_goes_beyond_the_grid() -> None:
    """Triangles below, above and beside the grid count where a line of nodes passes them."""
    box = trimesh.creation.box((10.0, 100.0, 100.0))
    found = winding(np.asarray(box.triangles), LOW_MM + 0.5, SHAPE, 1.0)
    assert (found == (np.abs(nodes()[..., 0] + 0.5) < 5.0)).all()


def test_solids_in_each_other_and_in_a_mirror() -> None:
    """Twice inside counts two; a mirror turns triangles round, and so the sign."""
    inner, outer = (trimesh.creation.icosphere(subdivisions=2, radius=r).triangles for r in (4.0, 8.0))
    found = winding(np.concatenate([inner, outer]), LOW_MM, SHAPE, 1.0)
    assert found[12, 11, 10] == 2
    assert set(np.unique(found)) == {0, 1, 2}
    seen = winding(np.concatenate([inner, outer]) * np.array([-1.0, 1.0, 1.0]), LOW_MM, SHAPE, 1.0)
    np.testing.assert_array_equal(seen[1:], -found[:0:-1])


@pytest.mark.parametrize("step_mm", [1.0, 2.5])
def test_a_sacrum(step_mm: float) -> None:
    """Every node on the side that the nearest point of the surface says, foramina and sharp lips of mouths too."""
    corners = phantom_anatomy().sacrum.corners_lps_mm()
    low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
    count = np.ceil((high - low) / step_mm).astype(int)
    found = winding(corners, low, (int(count[0]), int(count[1]), int(count[2])), step_mm)
    tree = triangle_tree(corners)
    for node in np.random.default_rng(0).integers(0, count, (3000, 3)):
        distance, sign, _, _ = nearest_point(tree, low + node * step_mm)
        assert distance < 0.05 or found[tuple(node)] == (sign < 0)
