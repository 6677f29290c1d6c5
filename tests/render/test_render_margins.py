"""Charts, close-ups and the entry map: planes that hold what they show, colours that tell, pictures that are there."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic

from sjplan.planning.entry_map import FLOOR_MM, EntryMap
from sjplan.render.charts import Trade, pareto_picture, profile_picture
from sjplan.render.closeup import binding_planes, closeup_pictures
from sjplan.render.entries import entry_map_picture, shadow, slack_colours
from sjplan.render.png import decode_png
from sjplan.render.style import STRUCTURE_COLOURS
from sjplan.safety.measures import AxisPassage
from sjplan.safety.profile import ClearanceProfile
from sjplan.safety.types import Clearance


def pixels_like(picture: bytes, colour: str, off: int = 12) -> int:
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return int((np.abs(decode_png(picture).astype(int) - wanted).max(axis=2) <= off).sum())


def binding(on: np.ndarray, at: np.ndarray) -> Clearance:
    return Clearance("foramen_S1_left", float(np.linalg.norm(at - on)), 2.1, 2.0, 1.0, at, on)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("way", [(0.0, 0.0, -8.0), (0.0, 9.0, 1.0), (0.0, -5.0, 0.1), (0.0, 0.0, 0.0)])
def test_the_plane_along_the_axis_holds_both_witnesses(anatomy, side, way):
    trajectory = synthetic.trajectories(side)[2]
    on = trajectory.tip_lps_mm + 2.0 * trajectory.section_axes()[0]
    at = on + np.array(way)
    first, second = binding_planes(trajectory, binding(on, at), anatomy.frame)
    assert abs(float(first.normal @ trajectory.axis)) < 1e-9
    assert np.abs(first.flat_mm([on, at])[:, 2]).max() < (1e-9 if np.linalg.norm(way) else 3.0)
    assert abs(abs(float(second.normal @ trajectory.axis)) - 1) < 1e-9
    assert np.abs(second.flat_mm([on, at])[:, :2]).max() < second.width_mm / 2
    letters = first.letters(anatomy.frame)
    assert (letters["left"], letters["right"]) == ("R", "L")
    assert letters["top"] in "HA"
    assert second.letters(anatomy.frame)["top"] == "H"


def test_a_witness_straight_ahead_still_gives_a_plane(anatomy):
    trajectory = synthetic.trajectories()[1]
    tip = trajectory.tip_lps_mm
    first, _ = binding_planes(trajectory, binding(tip, tip + 4.0 * trajectory.axis), anatomy.frame)
    assert abs(float(first.normal @ trajectory.axis)) < 1e-9


def test_closeups_show_the_structure_that_binds(anatomy):
    implants = synthetic.trajectories()
    margins = {1: synthetic.margins(1), 2: synthetic.margins(2)}
    drawn = closeup_pictures(synthetic.labels(), anatomy, implants, margins, "left side")
    assert sorted(drawn) == [1, 2]
    for picture in drawn.values():
        assert decode_png(picture).shape == (624, 1120, 3)
        assert pixels_like(picture, "#ffffff") > 100


def profile(slack: np.ndarray, passage: AxisPassage | None = None) -> ClearanceProfile:
    along = 0.5 * np.arange(len(slack)) + 0.25
    half = len(slack) // 2
    names = ("iliac_inner",) * half + ("foramen_S1_left",) * (len(slack) - half)
    return ClearanceProfile(along, slack, names, passage or AxisPassage(3.0, 20.0, 22.0, 17.0, 20.0))


def test_profile_has_the_structures_colours_and_a_panel_each():
    slack = np.linspace(6.0, 1.0, 90)
    one = profile_picture({1: profile(slack)}, {1: 45.0}, "left side")
    three = profile_picture({n: profile(slack) for n in (1, 2, 3)}, dict.fromkeys((1, 2, 3), 45.0), "left side")
    assert decode_png(three).shape[0] > 2 * decode_png(one).shape[0]
    for name in ("iliac_inner", "foramen_S1_left"):
        assert pixels_like(one, STRUCTURE_COLOURS[name]) > 100
    assert profile_picture({1: profile(slack)}, {1: 45.0}, "left side") == one


def test_profile_below_the_limit_and_without_a_passage_is_drawn():
    lost = profile(np.linspace(2.0, -6.0, 60), AxisPassage(None, None, None, 0.0, 0.0))
    assert decode_png(profile_picture({2: lost}, {2: 30.0}, "right side, nearest plan (NOT accepted)")).std() > 5


def test_pareto_marks_the_chosen_plan_once():
    chosen, longer = Trade(44.0, 2.9, (45, 40, 30)), Trade(52.0, 1.2, (50, 45, 40))
    alone = pareto_picture(chosen, [], "left")
    same = pareto_picture(chosen, [replace(chosen)], "left")
    assert alone == same
    both = pareto_picture(chosen, [chosen, longer], "left", (3.0, "cap 3 mm"))
    assert pixels_like(both, "#0084d1") > pixels_like(alone, "#0084d1")
    assert pixels_like(both, "#e69f00") > 50


def test_slack_colours_turn_from_grey_to_colour_at_zero():
    colours = slack_colours(5.0)
    values = np.linspace(FLOOR_MM, 5.0, 400)
    rgb = colours((values - FLOOR_MM) / (5.0 - FLOOR_MM))[:, :3]
    grey = np.ptp(rgb, axis=1) < 1e-9
    assert grey[values < -0.05].all()
    assert not grey[values > 0.05].any()
    lightness = rgb[values > 0.05] @ (0.299, 0.587, 0.114)
    assert (np.diff(lightness) >= -1e-3).all(), "also in print without colours more slack is lighter"


def test_shadow_closes_gaps_and_keeps_its_place():
    points = np.stack(np.meshgrid(np.arange(0, 30, 4.0), np.arange(0, 20, 4.0)), axis=-1).reshape(-1, 2)
    mask = shadow(points, np.array([-7.5, -7.5]), 1.5)
    i, j = np.nonzero(mask)
    assert mask[5:23, 5:16].all()
    assert (i.min(), j.min()) == (5, 5)


def found(side: str, slack: np.ndarray) -> EntryMap:
    edges = (np.arange(slack.shape[0] + 1) * 2.0 - 10.0, np.arange(slack.shape[1] + 1) * 2.0 - 30.0)
    return EntryMap(side, *edges, slack, 5.0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_entry_map_lies_where_its_cells_are(anatomy, side):
    """Posterior on the left: a good cell behind is drawn left of the middle, on either side of the patient."""
    frame = anatomy.frame
    slack = np.full((12, 12), np.nan)
    slack[8:, 4:8] = 5.0
    behind = entry_map_picture(found(side, slack), anatomy, {}, -frame.posterior, frame.cranial, "x")
    ahead = entry_map_picture(found(side, slack[::-1]), anatomy, {}, -frame.posterior, frame.cranial, "x")

    def middle(picture: bytes) -> float:
        pixels = decode_png(picture)[70:, :760].astype(int)
        yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 200) & (pixels[..., 2] < 110)
        assert yellow.sum() > 500
        return float(np.nonzero(yellow)[1].mean())

    assert middle(behind) < middle(ahead)


def test_empty_entry_map_still_shows_the_bones(anatomy):
    nothing = found("left", np.full((3, 3), np.nan))
    picture = entry_map_picture(
        nothing, anatomy, synthetic.trajectories(), -anatomy.frame.posterior, anatomy.frame.cranial, "left"
    )
    assert pixels_like(picture, STRUCTURE_COLOURS["foramen_S1_left"]) > 50
