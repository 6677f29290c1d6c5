"""Curves as pictures: points lie where their values are, text stays inside, a breach is told by its shape."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from sjplan.app.plots import Axes, course_svg, curve_svg, medians, spread, ticks
from sjplan.training.curves import MEASURES, Attempt, Curve, learning_curve

SVG = "{http://www.w3.org/2000/svg}"


def curve(*values: float | None, measure: str = "rating", user: str = "T-1") -> Curve:
    some = [
        Attempt(str(n), user, "x", f"2026-11-{n:02d}", {measure: v}, v is not None and v < 50.0)
        for n, v in enumerate(values, 1)
    ]
    return learning_curve(some, measure)


def parsed(svg: str) -> ET.Element:
    """Also a check that it is well-formed."""
    return ET.fromstring(svg)


@pytest.mark.parametrize("values", [(), (60.0,), (60.0, 60.0), (None, 0.0), (30.0, 120.0, -4.0), (1e-6, 2e-6, 3e-6)])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_everything_lies_inside_the_picture(values: tuple[float | None, ...], measure: str) -> None:
    if measure == "rating":
        values = tuple(None if v is None else min(max(v, 0.0), 100.0) for v in values)
    for svg in (curve_svg(curve(*values, measure=measure)), course_svg({"T-1": curve(*values, measure=measure)})):
        root = parsed(svg)
        width, height = (float(root.attrib[name]) for name in ("width", "height"))
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]
        for element in root.iter():
            for name, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                assert 0.0 <= float(element.attrib.get(name, 0.0)) <= limit, element.attrib
            for pair in element.attrib.get("points", "").split():
                x, y = map(float, pair.split(","))
                assert 0.0 <= x <= width
                assert 0.0 <= y <= height


def test_a_trend_is_drawn_within_the_axes_and_only_where_it_is_told() -> None:
    falls = curve(40.0, 30.0, 20.0, 10.0, 1.0, 1.0, 1.0, measure="shots")
    assert falls.trend.told == "falls"
    lines = [e for e in parsed(curve_svg(falls)).iter() if "5 4" in e.attrib.get("stroke-dasharray", "")]
    assert len(lines) == 1
    heights = [float(pair.split(",")[1]) for pair in lines[0].attrib["points"].split()]
    assert max(heights) <= Axes(270.0, 160.0, 7, 0.0, 40.0).bottom + 0.1
    assert "5 4" not in curve_svg(curve(40.0, 41.0, 40.0, 42.0, 39.0, measure="shots"))


def test_an_attempt_with_a_breach_has_another_shape_and_the_rest_do_not() -> None:
    root = parsed(curve_svg(curve(30.0, 70.0, 80.0)))
    assert len(list(root.iter("polygon"))) == 1
    assert len(list(root.iter("circle"))) == 2
    assert "below: breach" in "".join(root.itertext())


def test_points_stand_in_the_order_of_their_values() -> None:
    root = parsed(curve_svg(curve(60.0, 90.0, 75.0)))
    first, second, third = (float(c.attrib["cy"]) for c in root.iter("circle"))
    assert second < third < first


@pytest.mark.parametrize("seed", range(5))
def test_ticks_span_what_they_are_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(200):
        low = float(rng.normal(0.0, 10.0 ** rng.integers(-3, 5)))
        high = low + float(10.0 ** rng.uniform(-4, 5))
        found = ticks(low, high)
        steps = np.diff(found)
        assert found[0] <= low + 1e-6 * steps[0]
        assert found[-1] >= high - 1e-6 * steps[0]
        assert 2 <= len(found) <= 7
        assert np.allclose(steps, steps[0], rtol=1e-3)


def test_names_are_no_markup_and_never_stand_on_each_other() -> None:
    people = {f"<b>{n}&\"'": curve(60.0 + 0.1 * n, 61.0) for n in range(40)}
    root = parsed(course_svg(people))
    edge = [e for e in root.iter("text") if e.attrib["text-anchor"] == "start" and float(e.attrib["x"]) > 430.0]
    heights = sorted(float(e.attrib["y"]) for e in edge)
    assert min(np.diff(heights)) >= 11.9
    assert any(re.fullmatch(r"and \d+ more", e.text or "") for e in edge)


def test_spread_keeps_order_and_distance() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        wanted = rng.uniform(0.0, 200.0, 12)
        found = np.array(spread(list(wanted), 12.0, 0.0, 200.0))
        assert np.diff(np.sort(found)).min() >= 12.0 - 1e-9
        assert list(np.argsort(found)) == list(np.argsort(wanted))
        assert 0.0 <= found.min() <= found.max() <= 200.0


def test_a_median_needs_three_people() -> None:
    some = [curve(50.0, 60.0), curve(70.0, 80.0), curve(90.0)]
    assert medians(some) == [(1, 70.0)]
    assert "median" not in course_svg({"a": some[0], "b": some[1]})
    assert "median" in course_svg({str(n): curve(50.0, 60.0 + n) for n in range(3)})
