"""Clearance along a path as a small drawing that stands in a page: SVG text, in the page's own ink."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from html import escape
from typing import Final

import numpy as np

from sjplan.core.shown import cut_mm
from sjplan.render.style import clearance_colour, words
from sjplan.safety.path_clearance import PathClearance

_WIDTH, _HEIGHT = 380.0, 132.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 30.0, 8.0, 18.0, 22.0
_LOWEST_MM, _HIGHEST_MM = -5.0, 9.0
"""What lies beyond is drawn at the edge: nothing is decided there."""

Scale = Callable[[float], float]
"""Millimetres to places in the drawing."""

_SHADES: Final = (("ilium", 0.14), ("joint", 0.3), ("sacrum", 0.08))


def clearance_svg(clearance: PathClearance, length_mm: float, name: str, least: tuple[float, str] | None = None) -> str:
    """The clearance of an envelope along its axis, from the lateral end to the tip.

    Parameters
    ----------
    clearance : PathClearance
        What was measured.
    length_mm : float
        Of the path.
    name : str
        Of what it belongs to, for those who hear the page.
    least : (mm, structure), optional
        The judge's least clearance, where it is known: a chart is sampled where its path is out.

    Returns
    -------
    str
        An svg element without any outside reference.
    """
    across = (_WIDTH - _LEFT - _RIGHT) / length_mm
    down = (_HEIGHT - _TOP - _BOTTOM) / (_HIGHEST_MM - _LOWEST_MM)

    def x(mm: float) -> float:
        return _LEFT + across * mm

    def y(mm: float) -> float:
        return _TOP + down * (_HIGHEST_MM - float(np.clip(mm, _LOWEST_MM, _HIGHEST_MM)))

    worst = clearance.worst
    least_mm, nearest = (clearance.least_mm, clearance.structure[worst]) if least is None else least
    label = f"{cut_mm(least_mm)} mm, {words(nearest)}".replace("-", "\u2212")
    parts = [
        f'<svg class="curve" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{escape(name)}: clearance '
        f'along its path, least {escape(label)} at {clearance.along_mm[worst]:.0f} mm from the lateral end" '
        'font-family="system-ui, sans-serif" font-size="10" fill="currentColor">',
        *_stretches(clearance, length_mm, x),
        f'<rect x="{x(0):.1f}" y="{y(0.0):.1f}" width="{across * length_mm:.1f}" height="{y(_LOWEST_MM) - y(0.0):.1f}" '
        'fill="#ff5a36" fill-opacity=".16"/>',
        f'<line x1="{x(0):.1f}" x2="{x(length_mm):.1f}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}" stroke="#ff5a36"/>',
        *(_level(mm, x(0), x(length_mm), y(mm)) for mm in (0.0, 2.0, 5.0)),
        *(_tick(mm, x(mm)) for mm in range(0, int(length_mm) + 1, 10)),
        *_curve(clearance, length_mm, x, y),
        *_worst(clearance, x, y, label),
        "</svg>",
    ]
    return "".join(parts)


def _stretches(clearance: PathClearance, length_mm: float, x: Scale) -> list[str]:
    """Ilium, joint and sacrum behind the curve."""
    way = clearance.passage
    if way.lateral_mm is None or way.iliac_exit_mm is None or way.sacral_entry_mm is None:
        return []
    ends = (way.lateral_mm, *sorted((way.iliac_exit_mm, way.sacral_entry_mm)), length_mm)
    found = []
    for (name, shade), (start, stop) in zip(_SHADES, itertools.pairwise(ends), strict=True):
        a, b = x(min(max(start, 0.0), length_mm)), x(min(max(stop, 0.0), length_mm))
        if b > a:
            found.append(
                f'<rect x="{a:.1f}" y="{_TOP:g}" width="{b - a:.1f}" height="{_HEIGHT - _TOP - _BOTTOM:.1f}" '
                f'fill="currentColor" fill-opacity="{shade:g}"/>'
                f'<text x="{(a + b) / 2:.1f}" y="{_TOP - 6:g}" text-anchor="middle" opacity=".75">{name}</text>'
            )
    return found


def _level(mm: float, left: float, right: float, at: float) -> str:
    return (
        f'<text x="{left - 4:.1f}" y="{at + 3.5:.1f}" text-anchor="end" opacity=".75">{mm:g}</text>'
        f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{at:.1f}" y2="{at:.1f}" stroke="currentColor" '
        'stroke-opacity=".2"/>'
    )


def _tick(mm: int, at: float) -> str:
    unit = " mm" if mm == 0 else ""
    return f'<text x="{at:.1f}" y="{_HEIGHT - 8:g}" text-anchor="middle" opacity=".75">{mm}{unit}</text>'


def _curve(clearance: PathClearance, length_mm: float, x: Scale, y: Scale) -> list[str]:
    """One line a colour; what is out is drawn thicker as well."""
    step = length_mm / len(clearance.along_mm)
    values = [float(mm) for mm in clearance.clearance_mm]
    points = [(x(n * step), x((n + 1) * step), y(mm)) for n, mm in enumerate(values)]
    found = []
    for colour, run in itertools.groupby(range(len(values)), key=lambda n: clearance_colour(values[n])):
        slabs = list(run)
        line = " ".join(f"{a:.1f},{h:.1f} {b:.1f},{h:.1f}" for a, b, h in (points[n] for n in slabs))
        thick = 4 if values[slabs[0]] < 0.0 else 2.5
        found.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{thick}"/>')
    return found


def _worst(clearance: PathClearance, x: Scale, y: Scale, label: str) -> list[str]:
    """A ring at the tightest place, and what it is near to."""
    n = clearance.worst
    at, height = x(float(clearance.along_mm[n])), y(clearance.least_mm)
    left = at > 0.55 * _WIDTH
    beside = at - 8 if left else at + 8
    lower = height + 16 if height < _HEIGHT - _BOTTOM - 20 else height - 9
    return [
        f'<circle cx="{at:.1f}" cy="{height:.1f}" r="4" fill="none" stroke="currentColor" stroke-width="1.6"/>',
        f'<text x="{beside:.1f}" y="{lower:.1f}" text-anchor="{"end" if left else "start"}" '
        f'font-weight="700">{escape(label)}</text>',
    ]
