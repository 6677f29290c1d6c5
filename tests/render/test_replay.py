"""The bones that are looked back at: what is drawn shows, where it is, thicker where it is out; and its chart."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
import synthetic

from sjplan.anatomy.types import Anatomy
from sjplan.core.trajectory import Trajectory
from sjplan.render.display import Scene
from sjplan.render.path_svg import clearance_svg
from sjplan.render.replay import LOOKS, Look, PathShown, ReplayWindow
from sjplan.render.style import CLEARANCE_STEPS, clearance_colour
from sjplan.safety.measures import AxisPassage
from sjplan.safety.path_clearance import PathClearance

SIZE = 160


@pytest.fixture(scope="module")
def window(scene: Scene) -> Iterator[ReplayWindow]:
    opened = ReplayWindow(scene, ("left",), SIZE)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def implant() -> Trajectory:
    return synthetic.trajectories("left")[1]


def shown(path: Trajectory, *clearance_mm: float) -> PathShown:
    share = np.linspace(0.0, 1.0, len(clearance_mm) + 1)[:, None]
    return PathShown(path.entry_lps_mm + share * (path.tip_lps_mm - path.entry_lps_mm), np.asarray(clearance_mm))


def changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two pictures differ clearly."""
    return np.abs(one.astype(int) - other.astype(int)).max(axis=2) > 40


def test_metal_shows_where_it_lies_and_is_gone_again(window: ReplayWindow, implant: Trajectory) -> None:
    bare = window.draw(Look())
    assert bare.shape == (SIZE, SIZE, 3)
    with_metal = window.draw(Look(), [(1, implant)])
    differs = changed(bare, with_metal)
    assert differs.sum() > 50
    view = window.view(Look())
    column, row = view.project(0.5 * (implant.entry_lps_mm + implant.tip_lps_mm))
    rows, columns = np.nonzero(differs)
    assert abs(rows.mean() - row) < 6
    assert abs(columns.mean() - column) < 12
    assert np.array_equal(window.draw(Look()), bare)


def test_a_path_has_the_colours_of_its_clearance_and_is_thicker_where_it_is_out(
    window: ReplayWindow, implant: Trajectory
) -> None:
    bare = window.draw(Look())
    clear = window.draw(Look(), paths=[shown(implant, 6.0, 6.0)])
    out = window.draw(Look(), paths=[shown(implant, -1.0, -1.0)])
    # The key at the lower left says what the colours mean: only the path itself is compared.
    region = (slice(0, SIZE - 90), slice(None))
    assert changed(bare, out)[region].sum() > 1.2 * changed(bare, clear)[region].sum() > 0
    reddish = out[region][changed(bare, out)[region]].mean(axis=0)
    bluish = clear[region][changed(bare, clear)[region]].mean(axis=0)
    assert reddish[0] > reddish[2]
    assert bluish[2] > bluish[0]


def test_plan_and_pin_are_drawn_and_a_quick_picture_is_much_like_a_slow_one(
    window: ReplayWindow, implant: Trajectory
) -> None:
    bare = window.draw(Look())
    assert changed(bare, window.draw(Look(), planned=[implant])).any()
    pin = (implant.entry_lps_mm, implant.tip_lps_mm)
    assert changed(bare, window.draw(Look(), pin=pin)).any()
    quick = window.draw(Look(), quick=True)
    assert np.abs(quick.astype(int) - bare.astype(int)).mean() < 12


def test_looks_are_where_they_say(anatomy: Anatomy, scene: Scene) -> None:
    frame = anatomy.frame
    for side, sign in (("left", 1.0), ("right", -1.0)):
        window = ReplayWindow(scene, (side,), 32)  # type: ignore[arg-type]
        towards = {name: window.view(Look(*angles)).towards for name, angles in LOOKS.items()}
        window.close()
        assert towards["behind"] @ frame.posterior > 0.9
        assert towards["front"] @ -frame.posterior > 0.9
        assert towards["head"] @ frame.cranial > 0.9
        assert towards["side"] @ frame.left * sign > 0.9
    assert Look().nearer(100.0).near == Look().nearer(4.0).near
    assert Look(0.0, 80.0).turned(0.0, 30.0).up_deg < 90.0


def curve(*clearance_mm: float) -> PathClearance:
    n = len(clearance_mm)
    along = np.arange(n) + 0.5
    passage = AxisPassage(0.0, 0.4 * n, 0.5 * n, 0.4 * n, 0.5 * n)
    return PathClearance(along, np.zeros((n, 3)), np.asarray(clearance_mm), ("foramen_S1_left",) * n, passage)


def test_a_chart_says_the_least_clearance_draws_every_slab_and_asks_for_nothing_outside() -> None:
    values = [8.0] * 10 + [1.0] * 10 + [-2.04] + [3.0] * 19
    svg = clearance_svg(curve(*values), 40.0, 'left <implant> "1"')
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert 'left <implant> "1": clearance' in (root.get("aria-label") or "")
    assert "\u22122.1 mm, S1 foramen L" in "".join(root.itertext())
    assert {"ilium", "joint", "sacrum"} <= set(root.itertext())
    lines = root.findall("polyline")
    assert sum(len(re.findall(r"\S+,\S+", line.get("points") or "")) for line in lines) == 2 * len(values)
    widths = {line.get("stroke"): float(line.get("stroke-width") or 0) for line in lines}
    assert widths[clearance_colour(-2.0)] > max(w for c, w in widths.items() if c != clearance_colour(-2.0))
    assert not re.search(r"href|url\(|http", svg)
    assert "0.4 mm, sciatic notch" in clearance_svg(curve(*values), 40.0, "x", (0.44, "notch"))


def test_a_path_beside_the_joint_has_no_stretches() -> None:
    beside = PathClearance(np.array([0.5]), np.zeros((1, 3)), np.array([1.0]), ("notch",),
                           AxisPassage(None, None, None, 0.0, 0.0))  # fmt: skip
    assert "ilium" not in clearance_svg(beside, 1.0, "x")


def test_colours_of_clearance_have_no_gap() -> None:
    limits = [below for below, _, _ in CLEARANCE_STEPS]
    assert limits == sorted(limits)
    assert [clearance_colour(below - 1e-6) for below in limits[:-1]] == [c for _, c, _ in CLEARANCE_STEPS[:-1]]
    assert clearance_colour(limits[0]) != clearance_colour(limits[0] - 1e-6)
