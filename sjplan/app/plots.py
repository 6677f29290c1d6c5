"""Learning curves as SVG: labelled axes, labels beside what they name, shapes that tell apart what colours do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import median
from typing import Final

from sjplan.training.curves import Curve
from sjplan.training.score import CLEAN_FROM

LINE: Final = "#56b4e9"
BREACH: Final = "#e69f00"
"""Sky blue and orange of Okabe and Ito (2008), told apart by all common kinds of colour blindness."""

QUIET: Final = "#7d8b98"
TEXT: Final = "#c4cfd9"
MIDDLE: Final = "#ffffff"
BACK: Final = "#11161b"
GRID: Final = "#2a343e"

BOUNDS: Final[Mapping[str, float]] = {"rating": CLEAN_FROM, "margin_mm": 0.0}
"""Values below which an implant lies outside bone."""

LABEL_PX: Final = 12.0
"""Height of a label: two never stand nearer."""

FEWEST_FOR_MEDIAN: Final = 3
"""People of whom a course's median says more than they do themselves (default)."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Where numbers lie on a picture.

    Parameters
    ----------
    width, height : float
        Of the whole picture, pixels.
    last : int
        Highest attempt.
    low, high : float
        Ends of the upright axis.
    right : float
        Room beside the last point, for labels.
    """

    width: float
    height: float
    last: int
    low: float
    high: float
    right: float = 46.0

    @property
    def left(self) -> float:
        """Where the first attempt's column begins."""
        return 40.0

    @property
    def bottom(self) -> float:
        """Where the level axis lies."""
        return self.height - 30.0

    def x(self, attempt: float) -> float:
        """Of an attempt."""
        width = self.width - self.left - self.right
        return self.left + 8.0 + (width - 8.0) * (attempt - 1.0) / max(self.last - 1, 1)

    def y(self, value: float) -> float:
        """Of a value."""
        return self.bottom - (self.bottom - 12.0) * (value - self.low) / (self.high - self.low)

    def points(self, attempts: Iterable[float], values: Iterable[float]) -> list[tuple[float, float]]:
        """Of attempts and their values."""
        return [(self.x(n), self.y(v)) for n, v in zip(attempts, values, strict=True)]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers that span a range, at most so many steps apart.

    Examples
    --------
    >>> ticks(0.0, 47.0), ticks(-1.2, 3.0), ticks(0.0, 0.0)
    ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0], [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    """
    if high <= low:
        high = low + 1.0
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * by for by in (1.0, 2.0, 5.0, 10.0, 20.0) if (high - low) / (size * by) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * n, 10) for n in range(first, last + 1)]


def curve_svg(curve: Curve, width: float = 270.0, height: float = 160.0) -> str:
    """One measure of one person: a round point for each attempt, a diamond where an implant lay outside bone.

    Examples
    --------
    >>> from sjplan.training.curves import learning_curve
    >>> "nothing to show yet" in curve_svg(learning_curve([], "shots"))
    True
    """
    title, trend = curve.measure.title, curve.trend
    if not curve.values:
        nothing = "nothing to show yet"
        return _svg(width, height, f"{title}: {nothing}", _words(width / 2, height / 2, nothing))
    rounded = _rounded([curve])
    axes = Axes(width, height, max(curve.numbers), rounded[0], rounded[-1])
    points = axes.points(curve.numbers, curve.values)
    parts = [_frame(axes, rounded), *_bounds(axes, curve.measure.key), _path(points, LINE, 2.0)]
    if trend.told and trend.slope is not None and trend.intercept is not None:
        parts.append(_path(_within(axes, trend.intercept, trend.slope), TEXT, 1.2, "5 4"))
    parts += [_mark(x, y, out) for (x, y), out in zip(points, curve.breached, strict=True)]
    x, y = points[-1]
    parts.append(_words(x + 8.0, y + 4.0, f"{curve.values[-1]:.3g}", TEXT, "start"))
    if any(curve.breached) and curve.measure.key not in BOUNDS:
        x, y = points[max(n for n, out in enumerate(curve.breached) if out)]
        low = y > axes.bottom - 2.0 * LABEL_PX
        parts.append(_words(x, y - 9.0 if low else y + 17.0, "breach", BREACH))
    said = ", ".join(f"{n}: {v:.3g}" for n, v in zip(curve.numbers, curve.values, strict=True))
    return _svg(width, height, f"{title}, by attempt. {said}. {trend.words(curve.measure)}", "".join(parts))


def course_svg(curves: Mapping[str, Curve], chosen: str = "", width: float = 520.0, height: float = 300.0) -> str:
    """One measure of everybody: a line and a name for each, the chosen one bright, and the course's median.

    Parameters
    ----------
    curves : mapping of user to Curve
        All of one measure.
    chosen : str
        Whose line stands out.
    """
    shown = {user: curve for user, curve in curves.items() if curve.values}
    if not shown:
        return _svg(width, height, "nothing to show yet", _words(width / 2, height / 2, "no rated session yet"))
    measure = next(iter(shown.values())).measure
    rounded = _rounded(list(shown.values()))
    axes = Axes(width, height, max(max(c.numbers) for c in shown.values()), rounded[0], rounded[-1], right=96.0)
    parts = [_frame(axes, rounded), *_bounds(axes, measure.key)]
    labels: list[tuple[float, float, str, str]] = []
    for user, curve in sorted(shown.items(), key=lambda item: item[0] == chosen):
        colour, thick = (LINE, 2.4) if user == chosen else (QUIET, 1.0)
        points = axes.points(curve.numbers, curve.values)
        parts.append(_path(points, colour, thick))
        parts += [_mark(x, y, out, colour, 3.0) for (x, y), out in zip(points, curve.breached, strict=True)]
        labels.append((*points[-1], _short(user), LINE if user == chosen else TEXT))
    middle = medians(shown.values())
    if middle:
        points = axes.points(*zip(*middle, strict=True))
        parts.append(_path(points, MIDDLE, 2.0, "6 4"))
        labels.append((*points[-1], "median", MIDDLE))
    parts += _beside(axes, labels, chosen)
    said = ", ".join(f"{user}: {curve.values[-1]:.3g} at attempt {curve.numbers[-1]}" for user, curve in shown.items())
    return _svg(width, height, f"{measure.title} of everybody, by attempt. Last: {said}", "".join(parts))


def medians(curves: Iterable[Curve]) -> list[tuple[int, float]]:
    """Attempts that at least three people have made, and the median of what was measured at each."""
    by_attempt: dict[int, list[float]] = {}
    for curve in curves:
        for number, value in zip(curve.numbers, curve.values, strict=True):
            by_attempt.setdefault(number, []).append(value)
    return [(n, median(values)) for n, values in sorted(by_attempt.items()) if len(values) >= FEWEST_FOR_MEDIAN]


def spread(heights: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Heights moved as little as will do so that no two stand nearer than `apart`, all of them within a range.

    Examples
    --------
    >>> spread([50.0, 51.0, 90.0], 12.0, 0.0, 100.0)
    [50.0, 62.0, 90.0]
    >>> spread([99.0, 100.0], 12.0, 0.0, 100.0)
    [88.0, 100.0]
    """
    order = sorted(range(len(heights)), key=lambda n: heights[n])
    placed = dict.fromkeys(order, 0.0)
    edge = low
    for n in order:
        placed[n] = max(heights[n], edge)
        edge = placed[n] + apart
    edge = high
    for n in reversed(order):
        placed[n] = min(placed[n], edge)
        edge = placed[n] - apart
    return [placed[n] for n in range(len(heights))]


def _beside(axes: Axes, labels: Sequence[tuple[float, float, str, str]], chosen: str) -> list[str]:
    """Names beside the ends of their lines, with a thread to each; as many as there is room for."""
    most = int((axes.bottom - 12.0) // LABEL_PX)
    wanted = sorted(labels, key=lambda one: one[2] not in (_short(chosen), "median"))[:most]
    heights = spread([y for _, y, _, _ in wanted], LABEL_PX, 12.0, axes.bottom)
    edge = axes.width - axes.right + 16.0
    parts = []
    for (x, y, name, colour), height in zip(wanted, heights, strict=True):
        parts.append(_path([(x + 4.0, y), (edge - 3.0, height)], GRID, 0.8))
        parts.append(_words(edge, height + 4.0, name, colour, "start"))
    if len(labels) > most:
        parts.append(_words(edge, axes.bottom + 18.0, f"and {len(labels) - most} more", QUIET, "start"))
    return parts


def _within(axes: Axes, intercept: float, slope: float) -> list[tuple[float, float]]:
    """The part of a sloping line that lies between the axes' ends."""
    reach = sorted((end - intercept) / slope for end in (axes.low, axes.high))
    ends = (min(max(1.0, reach[0]), float(axes.last)), max(min(float(axes.last), reach[1]), 1.0))
    return axes.points(ends, [intercept + slope * n for n in ends]) if ends[0] < ends[1] else []


def _rounded(curves: Sequence[Curve]) -> list[float]:
    """Marks of the upright axis."""
    if curves[0].measure.key == "rating":
        return ticks(0.0, 100.0)
    return ticks(min(0.0, *(min(c.values) for c in curves)), max(max(c.values) for c in curves))


def _bounds(axes: Axes, key: str) -> list[str]:
    """The line below which an implant lies outside bone."""
    at = BOUNDS.get(key)
    if at is None or not axes.low < at < axes.high:
        return []
    y = axes.y(at)
    line = _path([(axes.left, y), (axes.width - axes.right, y)], BREACH, 1.0, "2 3")
    return [line, _words(axes.width - axes.right - 2.0, y + 12.0, "below: breach", BREACH, "end", 10.0)]


def _frame(axes: Axes, rounded: Sequence[float]) -> str:
    parts = []
    for value in rounded:
        y = axes.y(value)
        parts.append(_path([(axes.left, y), (axes.width - axes.right, y)], GRID, 1.0))
        parts.append(_words(axes.left - 5.0, y + 4.0, f"{value:g}", TEXT, "end"))
    every = max(1, math.ceil(axes.last / 10))
    for number in sorted({1, *range(every, axes.last + 1, every)}):
        parts.append(_words(axes.x(number), axes.bottom + 14.0, str(number)))
    parts.append(_words((axes.left + axes.width - axes.right) / 2.0, axes.height - 3.0, "attempt"))
    return "".join(parts)


def _mark(x: float, y: float, breached: bool, colour: str = LINE, size: float = 3.6) -> str:
    if not breached:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'
    far = size + 2.0
    corners = f"{x:.1f},{y - far:.1f} {x + far:.1f},{y:.1f} {x:.1f},{y + far:.1f} {x - far:.1f},{y:.1f}"
    return f'<polygon points="{corners}" fill="{BACK}" stroke="{BREACH}" stroke-width="2"/>'


def _path(points: Sequence[tuple[float, float]], colour: str, thick: float, dashes: str = "") -> str:
    if len(points) < 2 or all(a == b for a, b in pairwise(points)):
        return ""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{thick}"{dashed}/>'


def _words(x: float, y: float, text: str, colour: str = TEXT, anchor: str = "middle", size: float = 11.0) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" paint-order="stroke" stroke="{BACK}" stroke-width="3"'
    return f'<text {where} fill="{colour}" font-size="{size:g}">{escape(text)}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _svg(width: float, height: float, said: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(said)}" font-family="inherit">{inside}</svg>'
    )
