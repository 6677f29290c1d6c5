"""Surface nets: closed, outward, in their cells, where the mask is, and knowing whose voxel face they cover."""

import numpy as np
import pytest
from geometry_helpers import ball_mask, rotation, signed_volume_mm3, volume_centroid
from hypothesis import given, settings
from hypothesis import strategies as st

from sjplan.core.grid import Grid
from sjplan.geometry.surface_nets import surface_net

LEFT_HANDED = np.diag([1.0, 1.0, -1.0])


def plain_grid(shape, spacing=(1.0, 1.0, 1.0), direction=None):
    return Grid(shape, spacing, (-7.0, 30.0, 4.0), np.eye(3) if direction is None else direction)


def directed_edges(triangles):
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    spacing=st.tuples(*[st.floats(0.4, 3.0)] * 3),
    share=st.floats(0.05, 0.95),
    mirrored=st.booleans(),
)
def test_any_mask_gives_a_closed_surface_of_its_voxel_faces(seed, spacing, share, mirrored):
    rng = np.random.default_rng(seed)
    mask = rng.random((5, 4, 6)) < share
    mask[2, 2, 2] = True
    grid = plain_grid(mask.shape, spacing, rotation(rng) @ (LEFT_HANDED if mirrored else np.eye(3)))
    net = surface_net(mask, grid)

    # Closed and consistently turned: every directed edge is met by as many opposite ones.
    edges = directed_edges(net.triangles)
    n = len(net.vertices_lps_mm)
    there, counts = np.unique(edges[:, 0].astype(np.int64) * n + edges[:, 1], return_counts=True)
    back, back_counts = np.unique(edges[:, 1].astype(np.int64) * n + edges[:, 0], return_counts=True)
    assert (there == back).all()
    assert (counts == back_counts).all()

    # Two triangles for each voxel face, and the pair of voxels is that face's.
    padded = np.pad(mask, 1).astype(int)
    faces = sum(int(np.abs(np.diff(padded, axis=a)).sum()) for a in range(3))
    assert len(net.triangles) == 2 * faces
    assert padded[tuple((net.inside_ijk + 1).T)].all()
    assert not padded[tuple((net.outside_ijk + 1).T)].any()
    assert (np.abs(net.inside_ijk - net.outside_ijk).sum(axis=1) == 1).all()
    pairs = np.concatenate([net.inside_ijk[0::2], net.outside_ijk[0::2]], axis=1)
    assert len(np.unique(pairs, axis=0)) == faces
    assert (net.inside_ijk[0::2] == net.inside_ijk[1::2]).all()

    # Each corner of a triangle lies in one of the cells that meet at its voxel face's middle.
    middle = 0.5 * (net.inside_ijk + net.outside_ijk)
    corner = grid.ijk_from_lps(net.vertices_lps_mm)[net.triangles]
    assert (np.abs(corner - middle[:, None]) <= 1.0 + 1e-9).all()

    assert signed_volume_mm3(net.vertices_lps_mm, net.triangles) > 0


def test_every_vertex_stays_in_its_own_mixed_cell():
    rng = np.random.default_rng(2)
    mask = rng.random((6, 7, 5)) < 0.4
    grid = plain_grid(mask.shape, (0.7, 1.3, 2.0))
    for relaxations in (0, 2, 20):
        vertices = grid.ijk_from_lps(surface_net(mask, grid, relaxations).vertices_lps_mm)
        padded = np.pad(mask, 1)
        mixed = []
        for i, j, k in np.ndindex(*(n - 1 for n in padded.shape)):
            cell = padded[i : i + 2, j : j + 2, k : k + 2]
            if cell.any() and not cell.all():
                mixed.append((i - 1, j - 1, k - 1))
        # Vertices come in the order of their cells, so each can be held against its own.
        away = vertices - np.array(mixed)
        assert away.shape == vertices.shape
        assert away.min() >= -1e-9
        assert away.max() <= 1 + 1e-9


@pytest.mark.parametrize("mirrored", [False, True])
def test_normals_point_from_inside_to_outside(mirrored):
    rng = np.random.default_rng(8)
    grid = Grid((24, 22, 20), (1.0, 1.2, 0.9), (5, -3, 40), rotation(rng) @ (LEFT_HANDED if mirrored else np.eye(3)))
    mask = ball_mask(grid, grid.centre_lps_mm, 7.0)
    net = surface_net(mask, grid)
    a, b, c = (net.vertices_lps_mm[net.triangles[:, n]] for n in range(3))
    outward = grid.lps_from_ijk(net.outside_ijk) - grid.lps_from_ijk(net.inside_ijk)
    along = np.einsum("ij,ij->i", np.cross(b - a, c - a), outward)
    assert (along > -1e-9).all()
    assert (along > 0).mean() > 0.99


def test_mask_touching_every_border_is_closed_beyond_the_grid():
    mask = np.ones((3, 4, 2), bool)
    grid = plain_grid(mask.shape)
    net = surface_net(mask, grid, relaxations=0)
    edges = np.sort(directed_edges(net.triangles), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all()
    outside = net.outside_ijk
    beyond = ((outside == -1) | (outside == np.array(mask.shape))).any(axis=1)
    assert beyond.all()
    # Flat faces lie half a voxel out; only the rounded edges and corners are lost from 3 x 4 x 2 mm.
    vertices = grid.ijk_from_lps(net.vertices_lps_mm)
    assert vertices.min(axis=0) == pytest.approx([-0.5] * 3)
    assert vertices.max(axis=0) == pytest.approx(np.array(mask.shape) - 0.5)
    assert 16.0 < signed_volume_mm3(net.vertices_lps_mm, net.triangles) < 24.0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 1.6), (1.5, 0.8, 1.0)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_off_centre_ball_lies_where_it_is(spacing, mirrored):
    rng = np.random.default_rng(11)
    direction = rotation(rng) @ (LEFT_HANDED if mirrored else np.eye(3))
    shape = tuple(int(np.ceil(34 / s)) for s in spacing)
    grid = Grid(shape, spacing, (100.0, -40.0, 7.0), direction)
    centre = grid.lps_from_ijk(0.5 * (np.array(shape) - 1) + [0.9, -1.3, 0.4])
    net = surface_net(ball_mask(grid, centre, 13.0), grid)
    found = volume_centroid(net.vertices_lps_mm, net.triangles)
    # A shift by half a voxel would show as 0.35 mm or more.
    assert np.linalg.norm(found - centre) < 0.06
    volume = signed_volume_mm3(net.vertices_lps_mm, net.triangles)
    assert volume == pytest.approx(4 / 3 * np.pi * 13.0**3, rel=0.03)
    off = np.linalg.norm(net.vertices_lps_mm - centre, axis=1) - 13.0
    assert np.abs(off).max() < 0.5 * np.linalg.norm(spacing)


def test_larger_mask_never_gives_a_smaller_enclosed_box():
    small, large = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    small[3:6, 3:6, 3:6] = True
    large[2:6, 3:6, 3:7] = True
    grid = plain_grid(small.shape)
    boxes = [surface_net(m, grid).vertices_lps_mm for m in (small, large)]
    assert (boxes[1].min(axis=0) <= boxes[0].min(axis=0) + 1e-9).all()
    assert (boxes[1].max(axis=0) >= boxes[0].max(axis=0) - 1e-9).all()


def test_empty_mask_gives_an_empty_surface():
    net = surface_net(np.zeros((4, 4, 4), bool), plain_grid((4, 4, 4)))
    assert net.vertices_lps_mm.shape == (0, 3)
    assert net.triangles.shape == (0, 3)
