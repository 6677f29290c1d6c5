"""Each fast kernel against a slow, obvious one."""

import numpy as np
import pytest
from scipy import ndimage as ndi
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from sjplan.anatomy.faces import absorb_specks, closed, components, find_faces, majority
from sjplan.anatomy.mouths import section
from sjplan.anatomy.normals import ball_normals
from sjplan.anatomy.paths import cheapest_paths, smoothed, walk_back
from sjplan.anatomy.pockets import enclosure, enclosure_reference
from sjplan.core.grid import Grid
from sjplan.core.structures import SURFACE_NAMES
from sjplan.geometry.fields import distance_mm


def drilled_block(shape, hole_radius_mm, spacing):
    """A slab with a round hole along k through its middle."""
    index = np.indices(shape).reshape(3, -1).T * spacing
    middle = (np.array(shape) - 1) / 2 * spacing
    mask = np.zeros(shape, dtype=bool)
    mask[:, :, 8:-8] = True
    hole = np.hypot(*(index - middle)[:, :2].T).reshape(shape) < hole_radius_mm
    return mask & ~hole, middle


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 1.6)])
def test_enclosure_agrees_with_walking_every_ray(spacing):
    spacing = np.array(spacing)
    mask, _ = drilled_block((31, 33, 35), 5.0, spacing)
    rng = np.random.default_rng(3)
    free = np.argwhere(~mask)
    voxels = free[rng.choice(len(free), 25, replace=False)]
    fast = enclosure(distance_mm(mask, spacing), voxels, spacing, 12.0)
    slow = enclosure_reference(mask, voxels, spacing, 12.0)
    assert np.abs(fast - slow).mean() < 0.05
    assert np.abs(fast - slow).max() < 0.2


def test_enclosure_orders_tunnel_mouth_and_open_space():
    spacing = np.ones(3)
    mask, _ = drilled_block((31, 31, 35), 4.0, spacing)
    voxels = np.array([[15, 15, 17], [15, 15, 8], [15, 15, 2]])
    deep, mouth, outside = enclosure(distance_mm(mask, spacing), voxels, spacing, 30.0)
    assert deep > 0.75 > mouth > outside


def blobs():
    rng = np.random.default_rng(0)
    return ndi.gaussian_filter(rng.normal(size=(18, 20, 22)), 2.0) > 0.02


def test_components_agree_with_a_graph_of_shared_corners():
    faces = find_faces(blobs(), Grid((18, 20, 22), (1, 1, 1.5), (3, 4, 5), np.eye(3)))
    chosen = np.random.default_rng(1).random(len(faces)) < 0.4
    count, part, area = components(faces, chosen)
    quads = faces.quads[chosen]
    rows = np.repeat(np.arange(len(quads)), 4)
    touch = sparse.csr_array((np.ones(4 * len(quads)), (rows, quads.ravel())))
    wanted, label = connected_components(sparse.csr_array(touch @ touch.T), directed=False)
    assert count == wanted
    assert len(np.unique(np.column_stack([part, label]), axis=0)) == count
    assert area.sum() == pytest.approx(faces.area_mm2[chosen].sum())


def test_majority_agrees_with_counting_by_hand():
    faces = find_faces(blobs(), Grid((18, 20, 22), (1, 1, 1), (0, 0, 0), np.eye(3)))
    rng = np.random.default_rng(2)
    label = rng.integers(8, 12, len(faces)).astype(np.uint8)
    movable = rng.random(len(faces)) < 0.8
    voted = majority(faces, label, movable, 1)
    for face in rng.choice(len(faces), 40, replace=False):
        count = np.zeros(len(SURFACE_NAMES))
        for corner in faces.quads[face]:
            for neighbour in np.flatnonzero((faces.quads == corner).any(axis=1)):
                count[label[neighbour]] += 1
        assert voted[face] == (np.argmax(count) if movable[face] else label[face])


def test_specks_vanish_and_walls_stay():
    mask = np.zeros((14, 14, 14), dtype=bool)
    mask[2:12, 2:12, 2:12] = True
    faces = find_faces(mask, Grid((14, 14, 14), (1, 1, 1), (0, 0, 0), np.eye(3)))
    label = np.full(len(faces), 9, np.uint8)
    middle = np.argsort(np.linalg.norm(faces.points_mm - [7, 7, 11.5], axis=1))
    label[middle[:4]] = 12
    fixed = np.zeros(len(faces), dtype=bool)
    fixed[middle[200:210]] = True
    label[middle[200:210]] = 3
    out = absorb_specks(faces, label, ~fixed, 20.0, 0.0)
    assert (out[middle[:4]] == 9).all()
    assert (out[middle[200:210]] == 3).all()


def closed_slowly(faces, chosen, reach_mm):
    """Every path over all faces that share a corner, two by two."""
    middle = faces.centres_lps_mm(np.arange(len(faces)))
    shared = (faces.quads[:, None, :, None] == faces.quads[None, :, None, :]).any(axis=(2, 3))
    far = dijkstra(np.where(shared, np.linalg.norm(middle[:, None] - middle[None], axis=2), 0.0))
    wide = (far[chosen] <= reach_mm).any(axis=0)
    return chosen | ~(far[~wide] <= reach_mm).any(axis=0)


@pytest.mark.parametrize("reach_mm", [1.5, 3.0])
def test_closing_agrees_with_walking_over_all_faces(reach_mm):
    faces = find_faces(blobs()[:12, :12, :12], Grid((12, 12, 12), (1, 1.2, 1.5), (3, 4, 5), np.eye(3)))
    chosen = np.random.default_rng(1).random(len(faces)) < 0.25
    fast = closed(faces, chosen, reach_mm)
    assert (fast == closed_slowly(faces, chosen, reach_mm)).all()
    assert chosen.sum() < fast.sum() < len(faces)


def test_closing_fills_a_narrow_notch_and_keeps_to_its_side_of_a_thin_plate():
    mask = np.zeros((50, 50, 9), dtype=bool)
    mask[5:45, 5:45, 3:6] = True
    faces = find_faces(mask, Grid(mask.shape, (1, 1, 1), (0, 0, 0), np.eye(3)))
    upper = (faces.outside - faces.inside)[:, 2] > 0
    x, y = faces.points_mm[:, 0], faces.points_mm[:, 1]
    sheet = upper & (x > 12) & (x < 38) & (y > 12) & (y < 38)
    narrow, broad = np.abs(x - 25) < 3, np.abs(x - 25) < 8
    for notch, filled in ((narrow, True), (broad, False)):
        out = closed(faces, sheet & ~(notch & (y > 20)), 5.0)
        inner = sheet & notch & (y > 22) & (y < 30) & (np.abs(x - 25) < 2)
        assert out[inner].all() == filled
        assert not (out & ~sheet).any()


def test_quads_cover_the_surface():
    faces = find_faces(blobs(), Grid((18, 20, 22), (1, 2, 1), (0, 0, 0), np.eye(3)))
    triangles = faces.net.triangles.reshape(-1, 6)
    assert all(set(q) == set(t) for q, t in zip(faces.quads.tolist(), triangles.tolist(), strict=True))


def test_cheapest_paths_agree_with_scipy():
    rng = np.random.default_rng(5)
    cost = np.where(rng.random((5, 6, 4)) < 0.2, 0.0, rng.random((5, 6, 4)) + 0.2)
    cost[0, 0, 0] = 1.0
    spacing = np.array([1.0, 1.5, 0.7])
    total, parent = cheapest_paths(cost, np.array([[0, 0, 0]]), spacing)
    index = np.argwhere(cost > 0)
    step = index[:, None] - index[None]
    near = (np.abs(step).max(axis=2) == 1) * np.linalg.norm(step * spacing, axis=2)
    price = cost[tuple(index.T)]
    wanted = dijkstra(near * 0.5 * (price[:, None] + price[None]), indices=0)
    assert total[tuple(index.T)] == pytest.approx(wanted)
    end = index[int(np.argmax(np.where(np.isfinite(wanted), wanted, -1)))]
    path = walk_back(parent, end)
    assert path[0].tolist() == [0, 0, 0]
    assert path[-1].tolist() == end.tolist()
    assert np.abs(np.diff(path, axis=0)).max() == 1


def test_smoothing_keeps_the_ends():
    line = np.random.default_rng(0).random((9, 3))
    out = smoothed(line)
    assert out[[0, -1]].tolist() == line[[0, -1]].tolist()
    assert np.abs(np.diff(out, 2, axis=0)).sum() < np.abs(np.diff(line, 2, axis=0)).sum()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.2, 1.5)])
def test_normals_of_a_ball_point_outwards(spacing):
    spacing = np.array(spacing)
    shape = np.ceil(40 / spacing).astype(int)
    points = np.indices(shape).reshape(3, -1).T * spacing
    centre = (shape - 1) / 2 * spacing
    radius = np.linalg.norm(points - centre, axis=1).reshape(tuple(shape))
    mask = radius < 15
    shell = np.argwhere(mask & (radius > 14.3))[::17]
    normal = ball_normals(mask, shell, spacing, 3.5)
    outward = (shell * spacing - centre) / np.linalg.norm(shell * spacing - centre, axis=1)[:, None]
    assert (np.einsum("ij,ij->i", normal, outward) > 0.97).all()


@pytest.mark.parametrize("tilt_deg", [0.0, 25.0])
def test_section_of_a_round_hole(tilt_deg):
    spacing = np.ones(3)
    mask, middle = drilled_block((41, 41, 30), 6.0, spacing)
    a = np.deg2rad(tilt_deg)
    ring = section(~mask, middle, np.array([np.sin(a), 0.0, np.cos(a)]), spacing)
    assert ring.closed
    assert ring.area_mm2 == pytest.approx(np.pi * 36 / np.cos(a), rel=0.08)
    assert ring.major_mm == pytest.approx(12 / np.cos(a), rel=0.06)
    assert ring.minor_mm == pytest.approx(12, rel=0.06)
    assert np.linalg.norm(ring.centre_mm - middle) < 0.3


def test_section_of_a_hole_broken_to_the_side_is_open():
    mask, middle = drilled_block((41, 41, 30), 6.0, np.ones(3))
    mask[20:, 17:24] = False
    assert not section(~mask, middle, np.array([0.0, 0.0, 1.0]), np.ones(3)).closed


def test_section_in_bone_is_empty():
    mask, _ = drilled_block((41, 41, 30), 6.0, np.ones(3))
    assert section(~mask, np.array([5.0, 5.0, 15.0]), np.array([0.0, 0.0, 1.0]), np.ones(3)).area_mm2 == 0
