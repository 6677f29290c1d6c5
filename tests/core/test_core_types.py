"""A finished value is a valid value; errors say what, found, wanted and fix."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjplan.core.arrays import check_unit, unit
from sjplan.core.errors import (
    FrameMismatchError,
    GeometryError,
    InputError,
    SjplanError,
    UnknownNameError,
    unknown_name,
)
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.grid import Grid, require_same_space
from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Outcome, Plan, check_side
from sjplan.core.structures import DANGERS, FORAMINA, LIMIT_KINDS, PASSAGES, SURFACE_ID, limit_kind
from sjplan.core.trajectory import Trajectory, section_axes
from sjplan.core.volume import CtVolume

TRIANGLE = ImplantModel("tri", "triangle", "triangle", 3.5, 1.0, (30.0, 40.0))


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q


def test_errors_are_one_line_and_survive_a_process_boundary() -> None:
    error = InputError("a\nfile", found="two\nlines", wanted="one", fix="shorten it")
    again = pickle.loads(pickle.dumps(error))
    assert "\n" not in str(error)
    assert str(again) == str(error)
    assert type(again) is InputError
    assert again.wanted == "one"


def test_unknown_name_lists_the_legal_ones_and_suggests_the_nearest() -> None:
    error = unknown_name("planner", "rastr-v1", ["raster-v1", "other"])
    assert isinstance(error, UnknownNameError)
    assert "did you mean 'raster-v1'" in str(error)
    assert "other" in str(error)
    assert "did you mean" not in str(unknown_name("planner", "zzz", ["raster-v1"]))


@given(st.integers(0, 10**6), st.booleans())
def test_grid_round_trip_in_any_orientation(seed: int, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    direction = rotation(seed) @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    grid = Grid((7, 5, 3), rng.uniform(0.3, 3, 3), rng.uniform(-2000, 2000, 3), direction)
    ijk = rng.uniform(-3, 9, (20, 3))
    np.testing.assert_allclose(grid.ijk_from_lps(grid.lps_from_ijk(ijk)), ijk, atol=1e-9)
    crop = grid.cropped((2, 1, 0), (6, 4, 3))
    np.testing.assert_allclose(crop.lps_from_ijk((0, 0, 0)), grid.lps_from_ijk((2, 1, 0)), atol=1e-9)
    assert crop.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"spacing_mm": (1, 0, 1)}, "> 0 mm"),
        ({"spacing_mm": (1, np.nan, 1)}, "NaN"),
        ({"spacing_mm": (1, -1, 1)}, "> 0 mm"),
        ({"shape": (0, 2, 2)}, "positive counts"),
        ({"direction": np.array([[1, 0, 0], [0, 1, 0.5], [0, 0, 1]])}, "orthonormal"),
        ({"origin_lps_mm": (0, 0)}, "shape (3)"),
    ],
)
def test_a_bad_grid_is_never_made(change: dict[str, object], word: str) -> None:
    good = {"shape": (2, 2, 2), "spacing_mm": (1, 1, 1), "origin_lps_mm": (0, 0, 0), "direction": np.eye(3)}
    with pytest.raises(GeometryError) as caught:
        Grid(**(good | change))
    assert word in str(caught.value)


def test_different_spaces_are_refused_by_both_names() -> None:
    a = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    b = Grid((4, 4, 4), (1, 1, 1), (0.02, 0, 0), np.eye(3))
    require_same_space("CT", a, "labels", Grid((4, 4, 4), (1, 1, 1), (0.005, 0, 0), np.eye(3)))
    with pytest.raises(FrameMismatchError, match="CT and labels"):
        require_same_space("CT", a, "labels", b)


def test_volumes_cannot_be_written_to_from_outside() -> None:
    grid = Grid((2, 3, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    values = np.zeros((2, 3, 4), np.int16)
    volume = CtVolume(grid, values)
    values[0, 0, 0] = 7
    assert volume.hu[0, 0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        volume.hu[0, 0, 0] = 1
    with pytest.raises(GeometryError, match="shape"):
        CtVolume(grid, np.zeros((4, 3, 2), np.int16))
    with pytest.raises(GeometryError, match="0 to 255"):
        LabelMap(grid, np.full((2, 3, 4), 300), {})


def test_labels_are_found_by_name_and_joined() -> None:
    grid = Grid((2, 1, 2), (1, 1, 1), (0, 0, 0), np.eye(3))
    labels = LabelMap(grid, np.array([[[25, 26]], [[0, 25]]]), {25: "sacrum", 26: "vertebrae_S1", 77: "hip_left"})
    assert labels.mask("sacrum", "vertebrae_S1").sum() == 3
    assert labels.present() == ("sacrum", "vertebrae_S1")


@given(st.integers(0, 10**6))
def test_anatomical_frame_round_trip(seed: int) -> None:
    axes = rotation(seed)
    axes[0] *= np.sign(np.linalg.det(axes))
    frame = AnatomicalFrame(np.arange(3.0), axes)
    points = np.random.default_rng(seed).normal(size=(5, 3)) * 100
    np.testing.assert_allclose(frame.lps_from_frame(frame.frame_from_lps(points)), points, atol=1e-9)


def test_a_left_handed_frame_is_refused() -> None:
    with pytest.raises(GeometryError, match="right-handed"):
        AnatomicalFrame((0, 0, 0), np.diag([-1.0, 1, 1]))


def test_circumscribed_radius_of_a_rounded_triangle() -> None:
    assert TRIANGLE.circumscribed_radius_mm == pytest.approx(6.0)
    assert ImplantModel("t", "", "triangle", 3.5, 0.0, (30.0,)).circumscribed_radius_mm == pytest.approx(7.0)
    assert ImplantModel("c", "", "cylinder", 5.0, 0.3, (30.0,)).circumscribed_radius_mm == 5.0


@pytest.mark.parametrize(
    "bad",
    [("triangle", 0.0, 0.0, (30.0,)), ("triangle", 3.5, 4.0, (30.0,)), ("square", 3.5, 1.0, (30.0,))]
    + [("cylinder", 3.5, 1.0, lengths) for lengths in ((), (40.0, 30.0), (30.0, 30.0), (-5.0,))],
)
def test_impossible_implants_are_refused(bad: tuple[str, float, float, tuple[float, ...]]) -> None:
    with pytest.raises(GeometryError):
        ImplantModel("x", "", *bad)  # type: ignore[arg-type]


@given(st.integers(0, 10**6), st.floats(-360, 360))
def test_section_axes_are_a_right_handed_frame_that_turns_with_roll(seed: int, roll: float) -> None:
    axis = unit(np.random.default_rng(seed).normal(size=3))
    u, v = section_axes(axis, roll)
    np.testing.assert_allclose(np.cross(u, v), axis, atol=1e-9)
    u0, v0 = section_axes(axis, 0.0)
    a = np.deg2rad(roll)
    np.testing.assert_allclose(u, np.cos(a) * u0 + np.sin(a) * v0, atol=1e-9)
    if abs(axis[2]) < 0.98:
        assert u0[2] > 0
        assert abs(v0[2]) < 1e-9


def test_trajectory_knows_its_length_and_catalogue() -> None:
    t = Trajectory((50, 0, 0), (10, 0, 0), 30, TRIANGLE)
    assert t.length_mm == pytest.approx(40)
    assert t.in_catalogue
    assert not Trajectory((50, 0, 0), (12, 0, 0), 30, TRIANGLE).in_catalogue
    with pytest.raises(GeometryError, match="one point"):
        Trajectory((1, 1, 1), (1, 1, 1), 0, TRIANGLE)
    with pytest.raises(GeometryError, match="finite"):
        Trajectory((np.nan, 1, 1), (1, 1, 1), 0, TRIANGLE)


def test_outcome_holds_a_plan_exactly_when_it_says_so() -> None:
    plan = Plan("left", (Trajectory((50, 0, 0), (10, 0, 0), 0, TRIANGLE),), "p")
    assert Outcome("found", plan=plan).plan is plan
    for status, given_plan in (("infeasible", plan), ("found", None), ("timeout", plan)):
        with pytest.raises(GeometryError):
            Outcome(status, plan=given_plan)  # type: ignore[arg-type]
    with pytest.raises(SjplanError, match="did you mean 'left'"):
        check_side("lefft")


def test_every_surface_name_has_one_place() -> None:
    assert set(SURFACE_ID) == set(DANGERS) | set(PASSAGES)
    assert not set(DANGERS) & set(PASSAGES)
    assert {limit_kind(name) for name in DANGERS} == set(LIMIT_KINDS)
    assert len(FORAMINA) == 8
    with pytest.raises(GeometryError, match="unit vector"):
        check_unit("n", (1, 1, 0))
