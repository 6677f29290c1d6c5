"""The canal's axis, from points that are known to lie in a canal or beside it."""

import numpy as np
import pytest

from sjplan.anatomy.canal import find_canal_axis

SPACING_MM = np.array([1.0, 1.0, 1.0])


def canal():
    """A tube 10 mm wide and 60 mm high that leans back, in the sacrum's frame."""
    points = np.argwhere(np.ones((12, 80, 60), dtype=bool)) - np.array([6.0, 40.0, 30.0])
    middle = 8.0 - 0.2 * points[:, 2]
    return points[np.hypot(points[:, 0], points[:, 1] - middle) < 5.0]


def pocket(y_mm, z_mm):
    """A hollow of 5 mm."""
    return np.argwhere(np.ones((5, 5, 5), dtype=bool)) + np.array([-2.0, y_mm, z_mm])


@pytest.mark.parametrize(("y_mm", "z_mm"), [(-22.0, 29.0), (-15.0, 20.0), (0.0, -60.0)])
def test_a_pocket_outside_the_canal_does_not_turn_its_axis(y_mm, z_mm):
    alone = find_canal_axis(canal(), np.ones(len(canal())), SPACING_MM)
    points = np.concatenate([canal(), pocket(y_mm, z_mm)])
    found = find_canal_axis(points, np.ones(len(points)), SPACING_MM)
    assert found.points == pytest.approx(alone.points)
    assert found.cranial == pytest.approx(np.array([0.0, -0.2, 1.0]) / np.hypot(0.2, 1.0), abs=0.02)


def test_a_short_break_does_not_end_the_canal():
    whole = canal()
    for break_mm, length_mm in ((3.0, 58.0), (6.0, 38.0)):
        points = whole[(whole[:, 2] < 10.0) | (whole[:, 2] >= 10.0 + break_mm)]
        found = find_canal_axis(points, np.ones(len(points)), SPACING_MM)
        assert found.last - found.first == pytest.approx(length_mm, abs=4.0)
