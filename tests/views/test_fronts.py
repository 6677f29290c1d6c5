"""What a beam touches: known touching points of simple shapes, and the phantom's own fronts."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.geometry.surface import LabelledSurface
from sjplan.testing.problems import phantom_anatomy
from sjplan.views.fronts import front_points, midline_front


@pytest.fixture(scope="module")
def anatomy():
    return phantom_anatomy()


def with_sacrum(anatomy, outline):
    """The anatomy with, for its sacrum, a sheet across the midline: (posterior, cranial) in the frame."""
    lateral = np.arange(-8.0, 8.1, 1.0)
    points = np.array([(x, *point) for point in outline for x in lateral])
    across = len(lateral)
    corner = np.arange((len(outline) - 1) * across).reshape(-1, across)[:, :-1].ravel()
    triangles = np.stack([corner, corner + 1, corner + across], axis=1).astype(np.int32)
    return replace(
        anatomy,
        sacrum=LabelledSurface(anatomy.frame.lps_from_frame(points), triangles, np.zeros(len(triangles), np.uint8)),
    )


def test_the_line_touches_both_bodies_and_not_the_hollow_between(anatomy):
    """Two bulges 36 mm apart, 10 and 5 mm before a wall: the line runs over their tops."""
    heights = np.arange(20.0, -70.0, -0.5)
    posterior = 0.0 - 10.0 * np.exp(-(((heights + 4.0) / 6.0) ** 2)) - 5.0 * np.exp(-(((heights + 40.0) / 6.0) ** 2))
    marks = {"promontory": (0.0, -10.0, 0.0), "s2_anterior": (0.0, -5.0, -40.0)}
    landmarks = anatomy.landmarks | {name: anatomy.frame.lps_from_frame(point) for name, point in marks.items()}
    found = front_points(with_sacrum(replace(anatomy, landmarks=landmarks), np.column_stack([posterior, heights])))
    upper, lower = (anatomy.frame.frame_from_lps(found[name]) for name in ("s1_front", "s2_front"))
    assert upper[1:] == pytest.approx((-10.0, -4.0), abs=1.3)
    assert lower[1:] == pytest.approx((-5.0, -40.0), abs=1.3)
    lean = np.rad2deg(np.arctan2(lower[1] - upper[1], upper[2] - lower[2]))
    assert lean == pytest.approx(np.rad2deg(np.arctan2(5.0, 36.0)), abs=0.6)


def test_fronts_of_the_phantom(anatomy):
    found = front_points(anatomy)
    left = anatomy.frame.left
    sides = {f"asis_front_{side}" for side in ("left", "right")}
    assert set(found) == sides | {"pubic_front", "symphysis_top", "s1_front", "s2_front"}
    up = found["asis_front_left"] + found["asis_front_right"] - 2 * found["pubic_front"]
    up = up - (up @ left) * left
    up = up / np.linalg.norm(up)
    forward = np.cross(left, up)
    bone = np.concatenate([anatomy.ilium[side].vertices_lps_mm for side in ("left", "right")])
    assert ((bone - found["pubic_front"]) @ forward).max() < 3.0, "no bone lies before the anterior pelvic plane"
    assert abs((found["symphysis_top"] - anatomy.frame.origin_lps_mm) @ left) < 1e-9
    assert (found["symphysis_top"] - anatomy.landmarks["symphysis"]) @ up > 5.0


def test_the_midline_front_lies_on_bone_before_the_canal(anatomy):
    outline = midline_front(anatomy, 0.0, -40.0)
    bone = anatomy.frame.frame_from_lps(anatomy.sacrum.vertices_lps_mm)
    assert len(outline) == 40
    for back, height in outline:
        level = bone[(np.abs(bone[:, 2] - height) <= 3.0) & (np.abs(bone[:, 0]) <= 6.0), 1]
        assert level.min() - 0.5 <= back <= level.min() + 3.0


def test_what_is_not_there_is_left_out(anatomy):
    bare = replace(anatomy, landmarks={"symphysis": anatomy.landmarks["symphysis"]})
    assert front_points(bare) == {}
