"""Figures of an experiment: colours that all common kinds of colour blindness tell apart, and shapes that do so too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sjplan.bench.curves import Curve
from sjplan.bench.page_words import TRAITS
from sjplan.bench.statistics import ALPHA
from sjplan.bench.tables import QUANTILES, Runs, TableRow
from sjplan.core.arrays import Array
from sjplan.render.charts import BAD_COLOUR, heading, plain_axes
from sjplan.render.slices import figure_png

COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#1c2126", "#8a8a8a")
"""After Okabe and Ito (2008), yellow left out: it is faint on white."""

DASHES: Final = ("-", "--", "-.", ":")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")

MOST_PLANNERS: Final = 12
"""Planners that a figure shows; tables show all."""

MOST_PAIRS: Final = 21
"""Pairs that the figure of differences shows: all of seven planners. Of more it shows those with the first."""

DPI: Final = 150
"""Of figures: as wide as the page on a screen with finer pixels."""

_QUIET: Final = "#59636e"
_WIDTH_IN: Final = 10.4
_BIN_MM: Final = 0.25


def shown(planners: Sequence[str]) -> tuple[str, ...]:
    """The planners that figures show."""
    return tuple(planners[:MOST_PLANNERS])


def _colour(k: int) -> str:
    return COLOURS[k % len(COLOURS)]


def _dash(k: int) -> str:
    return DASHES[(k + k // len(COLOURS)) % len(DASHES)]


def profile_picture(runs: Runs, curves: tuple[Curve, Curve]) -> bytes:
    """PNG of both performance profiles."""
    n = curves[0].n
    return _labelled(runs, curves, f"Performance profiles, n = {n} problems a planner", (False, True),
                     ("worst slack behind the best planner's by at most (mm)", "time at most so many times the best"),
                     ("problems (%)", "problems (%)"))  # fmt: skip


def anytime_picture(runs: Runs, curves: tuple[Curve, Curve]) -> bytes:
    """PNG of what runs had by a time."""
    return _labelled(runs, curves, f"What there was by a time, n = {curves[0].n} runs a planner at most", (True, True),
                     ("seconds", "seconds"), ("runs with an accepted plan (%)", "median worst slack (mm)"))  # fmt: skip


def _labelled(
    runs: Runs, curves: tuple[Curve, Curve], title: str, log: tuple[bool, bool], across: tuple[str, str],
    upright: tuple[str, str],
) -> bytes:  # fmt: skip
    figure = Figure(figsize=(_WIDTH_IN, 4.5), dpi=DPI, facecolor="white")
    panels = figure.subplots(1, 2)
    for axes, curve, logarithmic, below, beside in zip(panels, curves, log, across, upright, strict=True):
        _draw_curve(axes, runs.planners, curve, 100.0 if "%" in beside else 1.0)
        axes.set_xlim(float(curve.steps[0]), float(curve.steps[-1]))
        if logarithmic:
            _log_scale(axes)
        if not np.isfinite(curve.values).any():
            axes.text(0.5, 0.5, "no planner has an accepted plan\nin more than half of its runs", ha="center",
                      va="center", transform=axes.transAxes, color=_QUIET)  # fmt: skip
        if "%" in beside:
            axes.set_ylim(0, 101)
        axes.set_xlabel(below)
        axes.set_ylabel(beside)
        plain_axes(axes)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=min(6, len(labels)), frameon=False, fontsize=9)
    heading(figure, title)
    return figure_png(_laid_out(figure, 0.02 + 0.05 * ((len(labels) - 1) // 6 + 1)))


def _draw_curve(axes: Axes, planners: Sequence[str], curve: Curve, scale: float) -> None:
    for k, name in enumerate(shown(planners)):
        axes.plot(curve.steps, scale * curve.values[k], color=_colour(k), linestyle=_dash(k), linewidth=2.0, label=name,
                  drawstyle="steps-post", marker=MARKERS[k % len(MARKERS)], markevery=(2 + 3 * k % 12, 12),
                  markersize=5, clip_on=False)  # fmt: skip


def _log_scale(axes: Axes) -> None:
    """A logarithmic axis with numbers at 1, 2 and 5, or at whole powers where it spans more than three of them.

    A span of less than a factor of two stays linear: no such number might lie in it.
    """
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 2 * low:
        axes.set_xscale("linear")
        return
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _laid_out(figure: Figure, bottom: float = 0.0) -> Figure:
    figure.tight_layout(rect=(0, bottom, 1, 1 - 0.36 / figure.get_figheight()))
    return figure


def margin_picture(runs: Runs) -> bytes:
    """PNG of the margins of accepted plans: for each planner how many lie where, the median, and 5 to 95 %."""
    names = shown(runs.planners)
    figure = Figure(figsize=(_WIDTH_IN, 1.3 + 0.62 * len(names)), dpi=DPI, facecolor="white")
    axes = figure.subplots()
    known = [runs["margin_mm"][runs.of(k) & runs.accepted] for k in range(len(names))]
    known = [values[np.isfinite(values)].astype(float) for values in known]
    everything = np.concatenate([*known, [0.0, 1.0]])
    edges = np.arange(np.floor(everything.min() / _BIN_MM), np.ceil(everything.max() / _BIN_MM) + 1) * _BIN_MM
    for k, values in enumerate(known):
        _draw_ridge(axes, len(names) - 1 - k, values, edges, _colour(k))
    axes.set_yticks(range(len(names) - 1, -1, -1), [f"{n}\nn = {len(v)}" for n, v in zip(names, known, strict=True)])
    axes.set_ylim(-0.25, len(names) - 0.05)
    axes.set_xlabel("margin: smallest envelope distance to any danger structure (mm)")
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.6)
    heading(figure, "Margins of accepted plans: how many lie where, median, and 5 to 95 %")
    return figure_png(_laid_out(figure))


def _draw_ridge(axes: Axes, level: float, values: Array, edges: Array, colour: str) -> None:
    if not len(values):
        axes.text(float(edges[0]), level, "no accepted plan", color=_QUIET, fontsize=9, va="bottom")
        return
    count = np.histogram(values, edges)[0]
    axes.stairs(level + 0.8 * count / count.max(), edges, baseline=level, fill=True, color=colour, alpha=0.35)
    axes.stairs(level + 0.8 * count / count.max(), edges, baseline=level, color=colour, linewidth=1.2)
    low, _, middle, _, high = np.quantile(values, QUANTILES)
    axes.plot([low, high], [level - 0.09] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
    axes.plot([middle], [level - 0.09], marker="o", markersize=6, color="white", markeredgecolor=colour,
              markeredgewidth=2)  # fmt: skip


def pairs_picture(runs: Runs, rows: Sequence[TableRow]) -> bytes:
    """PNG of the differences between planners with their intervals; filled where significant after correction."""
    couples = list(dict.fromkeys((row["a"], row["b"]) for row in rows))
    if len(couples) > MOST_PAIRS:
        couples = [(a, b) for a, b in couples if a == runs.planners[0]][:MOST_PAIRS]
    figure = Figure(figsize=(_WIDTH_IN, 1.35 + 0.3 * len(couples)), dpi=DPI, facecolor="white")
    panels = figure.subplots(1, 3, sharey=True)
    scales: tuple[tuple[str, str, Callable[[float], float], float], ...] = (
        ("slack_mm", "worst slack, first less second (mm)", float, 0.0),
        ("accepted", "accepted, first less second (% points)", lambda x: 100 * x, 0.0),
        ("seconds_ratio", "time, first over second (ratio)", float, 1.0),
    )
    for axes, (measure, label, scaled, nothing) in zip(panels, scales, strict=True):
        axes.axvline(nothing, color=BAD_COLOUR, linewidth=1.2)
        for row in (row for row in rows if row["measure"] == measure and (row["a"], row["b"]) in couples):
            if row["difference"] is not None:
                _draw_difference(axes, len(couples) - 1 - couples.index((row["a"], row["b"])), row, scaled)
        axes.set_xlabel(label, fontsize=9)
        plain_axes(axes)
    _log_scale(panels[2])
    panels[0].set_yticks(range(len(couples) - 1, -1, -1), [f"{a} \u2212 {b}" for a, b in couples])
    panels[0].set_ylim(-0.6, len(couples) - 0.4)
    heading(figure, "Differences on the same problems, 95 % intervals; filled: significant after correction")
    return figure_png(_laid_out(figure))


def _draw_difference(axes: Axes, level: float, row: TableRow, scaled: Callable[[float], float]) -> None:
    if row["low"] is not None:
        axes.plot([scaled(row["low"]), scaled(row["high"])], [level] * 2, color=COLOURS[0], linewidth=2.2)
    sure = row["p_corrected"] <= ALPHA
    axes.plot([scaled(row["difference"])], [level], marker="o", markersize=7, markeredgecolor=COLOURS[0],
              markeredgewidth=1.8, color=COLOURS[0] if sure else "white")  # fmt: skip


def breakdown_picture(runs: Runs, rows: Sequence[TableRow]) -> bytes:
    """PNG of the accepted share of each planner in each group of cases, with intervals."""
    names = shown(runs.planners)
    groups = list(dict.fromkeys((row["trait"], row["group"]) for row in rows))
    step = 0.8 / len(names)
    figure = Figure(figsize=(_WIDTH_IN, 1.4 + len(groups) * max(0.34, 0.11 * len(names))), dpi=DPI, facecolor="white")
    axes = figure.subplots()
    place = {group: len(groups) - 1 - n for n, group in enumerate(groups)}
    for k, name in enumerate(names):
        mine = [row for row in rows if row["planner"] == name]
        level = np.array([place[row["trait"], row["group"]] for row in mine]) + 0.4 - step * (k + 0.5)
        ends = 100 * np.array([[row["accepted_low"], row["accepted_high"]] for row in mine])
        axes.hlines(level, ends[:, 0], ends[:, 1], color=_colour(k), linewidth=1.6)
        axes.plot([100 * row["accepted_share"] for row in mine], level, color=_colour(k), linestyle="none", label=name,
                  marker=MARKERS[k % len(MARKERS)], markersize=5.5)  # fmt: skip
    for n in range(1, len(groups)):
        other = groups[n][0] != groups[n - 1][0]
        axes.axhline(len(groups) - n - 0.5, color=_QUIET if other else "#e3e7eb", linewidth=1.0 if other else 0.6)
    cases = {(row["trait"], row["group"]): row["cases"] for row in rows}
    axes.set_yticks(
        list(place.values()),
        [f"{TRAITS.get(t, t)}: {g} ({cases[t, g]} case{'s' * (cases[t, g] != 1)})" for t, g in groups],
    )
    axes.set_ylim(-0.5, len(groups) - 0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("runs with an accepted plan (%), 95 % intervals")
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.6)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=min(6, len(names)), frameon=False, fontsize=9)
    heading(figure, "Accepted plans by what the cases are like")
    return figure_png(_laid_out(figure, 0.35 / figure.get_figheight()))
