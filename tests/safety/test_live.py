"""The judge kept warm says what the judge says, to the last digit, and never more while an implant is dragged."""

from dataclasses import fields, replace

import numpy as np
import pytest

import sjplan.safety.live as live_module
from sjplan.core.arrays import unit
from sjplan.core.limits import Limits
from sjplan.core.plan import Plan
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.triangle_tree import lowest_solid_distance
from sjplan.io.catalogue import read_implants
from sjplan.safety.judge import judge
from sjplan.safety.live import KEPT, NEAREST, Glance, LiveJudge
from sjplan.safety.measures import implant_margins
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.safety.types import ImplantMargins, MarginReport
from sjplan.testing.problems import phantom_anatomy


@pytest.fixture(scope="module")
def surfaces() -> MeasuringSurfaces:
    return measuring_surfaces(phantom_anatomy(), "left")


def through_the_joint(surfaces: MeasuringSurfaces, seed: int) -> Trajectory:
    """An implant about square to the joint, within a centimetre of its middle."""
    rng, joint = np.random.default_rng(seed), surfaces.anatomy.joints["left"]
    middle = joint.sacral_lps_mm[joint.articular].mean(axis=0) + rng.normal(0.0, 4.0, 3)
    axis = unit(joint.mean_normal + rng.normal(0.0, 0.08, 3))
    return Trajectory(middle - 25.0 * axis, middle + 20.0 * axis, 0.0, read_implants()["tri-7"])


def assert_same(one: object, other: object) -> None:
    """Equal to the last digit, arrays and NaN included."""
    if isinstance(one, np.ndarray):
        assert np.array_equal(one, other, equal_nan=True)  # type: ignore[arg-type]
    elif isinstance(one, tuple):
        assert isinstance(other, tuple)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif hasattr(type(one), "__dataclass_fields__"):
        assert type(one) is type(other)
        for f in fields(one):  # type: ignore[arg-type]
            assert_same(getattr(one, f.name), getattr(other, f.name))
    else:
        assert one == other or (one != one and other != other)


def whole(surfaces: MeasuringSurfaces, paths: list[Trajectory], limits: Limits) -> MarginReport:
    return judge(Plan("left", tuple(paths), "by-hand"), surfaces.anatomy, limits, surfaces)


def test_every_change_is_judged_like_the_whole_to_the_last_digit(surfaces: MeasuringSurfaces, limits: Limits) -> None:
    live = LiveJudge(surfaces, limits)
    paths = [through_the_joint(surfaces, seed) for seed in (1, 4, 6)]
    assert_same(live.report(paths), whole(surfaces, paths, limits))
    paths[1] = replace(paths[1], entry_lps_mm=paths[1].entry_lps_mm + 1.5, tip_lps_mm=paths[1].tip_lps_mm + 1.5)
    assert_same(live.report(paths), whole(surfaces, paths, limits))
    paths[0] = replace(paths[0], roll_deg=75.0)
    assert_same(live.report(paths), whole(surfaces, paths, limits))
    # Another order gives other slots, and with them other rules on the tip.
    paths = [paths[2], paths[0]]
    assert_same(live.report(paths), whole(surfaces, paths, limits))


def test_only_what_is_new_is_measured(
    surfaces: MeasuringSurfaces, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Trajectory] = []
    known: ImplantMargins | None = None

    def counted(prepared: MeasuringSurfaces, slot: int, path: Trajectory, bounds: Limits) -> object:
        measured.append(path)
        return known if known is not None else implant_margins(prepared, slot, path, bounds)

    monkeypatch.setattr(live_module, "implant_margins", counted)
    live = LiveJudge(surfaces, limits)
    first, second = (through_the_joint(surfaces, seed) for seed in (1, 4))
    live.report([first])
    live.report([first, second])
    live.report([second, first])
    live.report([replace(first), replace(second)])
    assert measured == [first, second]
    known = live.margins(1, first)
    for n in range(KEPT):
        live.margins(1, replace(first, roll_deg=float(n + 1)))
    assert len(live._known) == KEPT
    live.margins(1, second)
    assert measured[-1] is second


def assert_never_above(seen: Glance, margins: ImplantMargins, error_mm: float) -> None:
    """A glance beside the judge's measures of the same place."""
    theirs = {c.structure: c for c in margins.clearances}
    assert seen.crosses == (margins.crossing_lps_mm is not None)
    for near in seen.near:
        clearance = theirs[near.structure]
        assert near.limit_mm == clearance.limit_mm
        assert near.lower_bound_mm <= clearance.lower_bound_mm + 1e-9
        if not seen.crosses or clearance.envelope_mm <= 0.0:
            assert near.envelope_mm == -np.inf
        else:
            assert near.envelope_mm == pytest.approx(clearance.envelope_mm, abs=JUDGE_TOL_MM)
            assert near.lower_bound_mm == pytest.approx(near.envelope_mm - error_mm, abs=2 * JUDGE_TOL_MM)
    assert (margins.margin_mm <= 0.0) <= seen.out
    if not seen.out:
        assert {n.structure for n in seen.near} == {
            c.structure for c in sorted(margins.clearances, key=lambda c: c.slack_mm)[:NEAREST]
        }
        assert seen.near[0].slack_mm == pytest.approx(margins.slack_mm, abs=JUDGE_TOL_MM)


def test_a_glance_says_what_the_judge_says_all_along_a_drag(surfaces: MeasuringSurfaces, limits: Limits) -> None:
    live, frame = LiveJudge(surfaces, limits), surfaces.anatomy.frame
    error = surfaces.anatomy.geometry_error_mm
    model, rng = read_implants()["tri-7"], np.random.default_rng(5)
    clear = Trajectory((69.8, 20.3, -0.4), (25.1, 15.9, 2.8), 0.0, model)
    outs = []
    for n in range(21):
        by, tip = rng.normal(0.0, (0.2, 1.0, 2.5)[n % 3], 3), rng.normal(0.0, 0.5, 3)
        if n == 20:
            by = 60.0 * frame.posterior
        path = replace(clear, entry_lps_mm=clear.entry_lps_mm + by, tip_lps_mm=clear.tip_lps_mm + by + tip)
        seen = live.glance(1, path)
        assert seen == LiveJudge(surfaces, limits).glance(2, path), "what is left out changes nothing"
        if not seen.out or n >= 18:
            assert_never_above(seen, implant_margins(surfaces, 1, path, limits), error)
        outs.append(seen.out)
    assert {True, False} == set(outs)


def test_a_glance_measures_little_again_where_little_moved(
    surfaces: MeasuringSurfaces, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: object) -> object:
        calls.append(1)
        return lowest_solid_distance(*arguments)

    monkeypatch.setattr(live_module, "lowest_solid_distance", counted)
    live, path = LiveJudge(surfaces, limits), through_the_joint(surfaces, 1)
    live.glance(1, path)
    first = len(calls)
    live.glance(1, replace(path, tip_lps_mm=path.tip_lps_mm + 0.2))
    assert first == len(surfaces.dangers)
    assert len(calls) - first <= NEAREST + 2
