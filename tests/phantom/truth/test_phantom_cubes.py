"""Names that take the notches in their edges and the holes in their middles."""

import numpy as np
import pytest

from sjplan.core.frames import AnatomicalFrame
from sjplan.phantom.truth.cubes import Rows, Whole, named_cubes

FRAME = AnatomicalFrame((0.0, 0.0, 0.0), np.eye(3))
RULE = Whole(notch_mm=5.0, hole_mm2=400.0)


class Plate:
    """Bone below z = 0.7; a joint 70 mm wide lies on it, with a notch from the edge to the middle, or a hole, in it."""

    names = ("joint", "posterior")

    def __init__(self, notch_mm: float, hole_mm: float) -> None:
        self.notch_mm, self.hole_mm = notch_mm, hole_mm

    def value_mm(self, points: np.ndarray) -> np.ndarray:
        return points[:, 2] - 0.7

    def wall_mm(self, points: np.ndarray) -> np.ndarray:
        return np.full(len(points), -np.inf)

    def outer_names(self, points: np.ndarray) -> Rows:
        x, y = points[:, 0], points[:, 1]
        joint = (np.abs(x) < 35.0) & (np.abs(y) < 35.0)
        joint &= ~((np.abs(x) < self.notch_mm / 2) & (y > 0))
        joint &= ~((np.abs(x) < self.hole_mm / 2) & (np.abs(y + 20.0) < self.hole_mm / 2))
        return np.where(joint, 0, 1).astype(np.intp)

    def wall_names(self, points: np.ndarray) -> Rows:
        return np.zeros(len(points), dtype=np.intp)


@pytest.mark.parametrize(
    ("notch_mm", "hole_mm", "taken"), [(7.0, 0.0, True), (16.0, 0.0, False), (0.0, 19.0, True), (0.0, 27.0, False)]
)
def test_a_narrow_notch_and_a_small_hole_are_taken(notch_mm: float, hole_mm: float, taken: bool) -> None:
    plate = Plate(notch_mm, hole_mm)
    low, high = np.array((-60.0, -60.0, -8.0)), np.array((60.0, 60.0, 8.0))
    plain = named_cubes(plate, FRAME, low, high)
    cubes = named_cubes(plate, FRAME, low, high, {"joint": RULE})
    assert plate.names[plain.outer[at(plain.centres_lps_mm, notch_mm)]] == "posterior"
    assert (plate.names[cubes.outer[at(cubes.centres_lps_mm, notch_mm)]] == "joint") == taken
    # nothing grows beyond the joint's own edge
    x, y = np.abs(cubes.centres_lps_mm[:, :2]).T
    assert (cubes.outer[(x > 37.0) | (y > 37.0)] == 1).all()


def at(centres: np.ndarray, notch_mm: float) -> int:
    """The cube in the middle of the notch, or else of the hole."""
    return int(np.argmin(np.linalg.norm(centres - np.array((0.0, 14.0 if notch_mm else -20.0, 0.0)), axis=1)))
