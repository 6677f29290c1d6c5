"""Deviations are what was injected, wherever the patient lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sjplan.audit.deviations import angle_deg, deviation, roll_of_corner, shortest_turn
from sjplan.audit.meshes import changed
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants

CATALOGUE = read_implants()
NUMBERS = st.floats(-1.0, 1.0)
VECTORS = st.tuples(NUMBERS, NUMBERS, NUMBERS).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


def planned(direction: np.ndarray, model: str = "tri-7", roll: float = 25.0) -> Trajectory:
    axis = direction / np.linalg.norm(direction)
    return Trajectory((70.0, 20.0, -300.0), (70.0, 20.0, -300.0) + 45.0 * axis, roll, CATALOGUE[model])


@settings(max_examples=60, deadline=None)
@given(VECTORS, VECTORS, st.floats(0.0, 30.0), st.floats(-59.0, 59.0), st.floats(-20.0, 20.0), st.floats(0.0, 20.0))
def test_injected_errors_come_back(
    direction: np.ndarray, across: np.ndarray, tilt: float, roll: float, depth: float, aside: float
) -> None:
    """The implant is moved at its tip, tilted about it the shortest way, and rolled about its new axis."""
    plan = planned(direction)
    side = np.cross(plan.axis, across)
    if np.linalg.norm(side) < 0.05:
        return
    side /= np.linalg.norm(side)
    turn = Rotation.from_rotvec(np.radians(tilt) * side).as_matrix()
    axis = turn @ plan.axis
    tip = plan.tip_lps_mm + depth * plan.axis + aside * side
    corner = Rotation.from_rotvec(np.radians(roll) * axis).as_matrix() @ turn @ plan.section_axes()[0]
    placed = Trajectory(tip - plan.length_mm * axis, tip, roll_of_corner(axis, corner) + 240.0, plan.model)
    off = deviation(plan, placed)
    assert off.angle_deg == pytest.approx(tilt, abs=1e-6)
    assert off.depth_mm == pytest.approx(depth, abs=1e-9)
    assert off.lateral_mm == pytest.approx(aside, abs=1e-9)
    assert off.tip_mm == pytest.approx(np.hypot(depth, aside), abs=1e-9)
    assert off.roll_deg == pytest.approx(roll, abs=1e-6)
    assert off.length_mm == pytest.approx(0.0, abs=1e-9)
    assert off.entry_mm == pytest.approx(np.linalg.norm(placed.entry_lps_mm - plan.entry_lps_mm))


def test_a_cylinder_and_a_line_have_no_roll() -> None:
    rod = planned(np.array([-1.0, 0.0, 0.0]), "thread-10")
    assert deviation(rod, rod).roll_deg is None
    triangle = planned(np.array([-1.0, 0.0, 0.0]))
    assert deviation(triangle, triangle, roll_known=False).roll_deg is None
    assert deviation(triangle, triangle).roll_deg == pytest.approx(0.0)


def test_a_small_angle_is_exact() -> None:
    assert angle_deg(np.array([0, 0, 1.0]), np.array([np.sin(1e-7), 0, np.cos(1e-7)])) == pytest.approx(
        np.degrees(1e-7)
    )


@given(VECTORS, VECTORS)
def test_the_shortest_turn_turns_no_farther_than_the_angle(first: np.ndarray, second: np.ndarray) -> None:
    a, b = first / np.linalg.norm(first), second / np.linalg.norm(second)
    if a @ b < -0.99:
        return
    turn = shortest_turn(a, b)
    assert turn @ a == pytest.approx(b, abs=1e-9)
    assert np.degrees(np.linalg.norm(Rotation.from_matrix(turn).as_rotvec())) == pytest.approx(
        angle_deg(a, b), abs=1e-6
    )


def test_moving_an_end_does_not_roll() -> None:
    start = planned(np.array([-1.0, 0.2, 0.1]))
    moved = changed(start, np.array([0.0, 3.0, -2.0, 1.0, 0.0, 4.0, 0.0]))
    assert deviation(start, moved).roll_deg == pytest.approx(0.0, abs=1e-9)
    assert deviation(start, changed(start, np.array([0, 0, 0, 0, 0, 0, np.radians(7.0)]))).roll_deg == pytest.approx(
        7.0
    )
