"""Depths looked up at nodes: each bounds that of every point nearby."""

import numpy as np
import trimesh

from sjplan.geometry.triangle_tree import triangle_tree
from sjplan.planning.bone_depth import bone_depth, depth_at, depth_nearby


def test_a_looked_up_depth_bounds_the_measured_one_whichever_side_counts_as_inside() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=10.0)
    tree = triangle_tree(ball.triangles)
    rng, moved = np.random.default_rng(1), np.empty(1)
    for inward in (-1.0, 1.0):
        depths = bone_depth(np.full(3, -12.0), (25, 25, 25), inward)
        for x in rng.uniform(-14.0, 14.0, (500, 3)):
            own, near = depth_at(tree, depths, x), depth_nearby(tree, depths, x, moved)
            assert abs(own - -inward * (10.0 - np.linalg.norm(x))) < 0.1
            assert abs(near - own) <= moved[0] + 1e-9
            assert moved[0] <= np.sqrt(0.75) + 1e-9
            assert near == depth_nearby(tree, depths, x, moved)
        measured = ~np.isnan(depths.node)
        assert 200 < measured.sum() <= 500


def test_beyond_the_nodes_the_depth_is_the_points_own() -> None:
    tree = triangle_tree(trimesh.creation.icosphere(subdivisions=3, radius=10.0).triangles)
    depths, moved = bone_depth(np.zeros(3), (5, 5, 5), -1.0), np.empty(1)
    for x in ([-0.6, 0.0, 0.0], [0.0, 4.6, 0.0], [0.0, 0.0, 30.0]):
        point = np.array(x)
        assert depth_nearby(tree, depths, point, moved) == depth_at(tree, depths, point)
        assert moved[0] == 0.0
    assert np.isnan(depths.node).all()
