"""Learning curves: what sessions say of a person, attempt by attempt, and how far a trend can be told at all.

Nothing here reads a file. Few attempts, one value that is far off, and cases that differ are the rule: the slope is the
median of all slopes between two attempts (Theil and Sen), and a trend is only spoken of where its 95 % interval leaves
out zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from scipy.stats import theilslopes

from sjplan.core.errors import unknown_name

LEAST_ATTEMPTS: Final = 5
"""Fewer cannot tell a trend: four that rise one after another do so by chance twice in 24 orders, more than 5 %."""

CONFIDENCE: Final = 0.95
"""Of a trend's interval: of twenty trends that are not there, about one is told all the same."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is followed from attempt to attempt.

    Parameters
    ----------
    key, label, unit : str
        By which name, and as a person reads it.
    better : {"more", "less"}
        Which way is better.
    """

    key: str
    label: str
    unit: str
    better: Literal["more", "less"]

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


MEASURES: Final[Mapping[str, Measure]] = MappingProxyType(
    {
        m.key: m
        for m in (
            Measure("rating", "Rating", "of 100", "more"),
            Measure("fluoroscopy_s", "Fluoroscopy", "s", "less"),
            Measure("dose_area_ugy_m2", "Dose", "µGy m²", "less"),
            Measure("shots", "Shots", "", "less"),
            Measure("margin_mm", "Worst margin", "mm", "more"),
        )
    }
)
"""What is followed, in the order in which it is shown."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One session that is over.

    Parameters
    ----------
    session, user, what, begun : str
        Which, whose, of what exercise or case, and when (UTC, ISO 8601).
    values : mapping of measure to float or None
        None where there was nothing to measure.
    breached : bool or None
        Whether an implant lies outside bone; None without a score.
    """

    session: str
    user: str
    what: str
    begun: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    breached: bool | None = None


def attempt_of(row: Mapping[str, Any], sheet: Mapping[str, Any] | None) -> Attempt:
    """A session from its audit fields and its score.

    Parameters
    ----------
    row : mapping
        As `sjplan.training.history.audit_row` gives it.
    sheet : mapping, optional
        As `sjplan.training.history.sheet_document` wrote it; None where there is no score.

    Examples
    --------
    >>> row = {"session": "a", "user": "T-1", "exercise": "", "case": "default", "begun": "2026-11-29", "shots": 9}
    >>> attempt = attempt_of(row, {"breach_mm": 0.4, "measures": {"margin_mm": {"value": -0.4}}})
    >>> attempt.what, attempt.breached, attempt.values["shots"], attempt.values["rating"]
    ('default', True, 9.0, None)
    """
    measures = {} if sheet is None else sheet.get("measures", {})
    values = {key: _number(row.get(key, measures.get(key, {}).get("value"))) for key in MEASURES}
    breached = None if sheet is None else float(sheet.get("breach_mm") or 0.0) > 0.0
    what = str(row["exercise"] or row["case"])
    return Attempt(str(row["session"]), str(row["user"]), what, str(row["begun"]), MappingProxyType(values), breached)


@dataclass(frozen=True, slots=True)
class Trend:
    """How a measure goes from attempt to attempt.

    Parameters
    ----------
    attempts : int
        With a value.
    slope, low, high : float or None
        Change an attempt, and its 95 % interval; None for fewer than two.
    intercept : float or None
        Of the line, at attempt 0.
    """

    attempts: int
    slope: float | None = None
    low: float | None = None
    high: float | None = None
    intercept: float | None = None

    @property
    def told(self) -> Literal["rises", "falls"] | None:
        """Which way it goes, where that is more than chance would give."""
        if self.attempts < LEAST_ATTEMPTS or self.low is None or self.high is None or self.low <= 0.0 <= self.high:
            return None
        return "rises" if self.low > 0.0 else "falls"

    def words(self, measure: Measure) -> str:
        """What can be said of it, in a sentence without an end.

        Examples
        --------
        >>> Trend(3, 2.0, -1.0, 6.0).words(MEASURES["rating"])
        'too few attempts to tell a trend: 3, and 5 are needed'
        >>> Trend(8, -2.0, -3.1, -0.5).words(MEASURES["shots"])
        'falls by 2 an attempt (95 % interval 0.5 to 3.1): better'
        >>> Trend(8, 0.4, -3.0, 3.0).words(MEASURES["fluoroscopy_s"])
        'no trend can be told: -3 to +3 s an attempt'
        """
        if self.attempts == 0:
            return "nothing to show yet"
        if self.attempts < LEAST_ATTEMPTS or self.slope is None or self.low is None or self.high is None:
            return f"too few attempts to tell a trend: {self.attempts}, and {LEAST_ATTEMPTS} are needed"
        unit = "" if measure.unit in ("", "of 100") else f" {measure.unit}"
        if self.told is None:
            return f"no trend can be told: {self.low:+.3g} to {self.high:+.3g}{unit} an attempt"
        near, far = sorted((abs(self.low), abs(self.high)))
        good = "better" if (self.told == "rises") == (measure.better == "more") else "worse"
        by = f"{abs(self.slope):.3g}{unit} an attempt (95 % interval {near:.3g} to {far:.3g})"
        return f"{self.told} by {by}: {good}"


@dataclass(frozen=True, slots=True)
class Curve:
    """One measure of one person.

    Parameters
    ----------
    measure : Measure
        Which.
    numbers : tuple of int
        Attempts that have a value, counted from 1.
    values : tuple of float
        Theirs.
    breached : tuple of bool
        Whether an implant lay outside bone.
    trend : Trend
        Of all of them.
    """

    measure: Measure
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    breached: tuple[bool, ...]
    trend: Trend


def learning_curve(attempts: Iterable[Attempt], measure: str) -> Curve:
    """How one measure goes, attempt by attempt.

    Parameters
    ----------
    attempts : iterable of Attempt
        Of one person; put in the order of time here.
    measure : str
        A key of `MEASURES`.

    Raises
    ------
    UnknownNameError
        For any other measure.

    Examples
    --------
    >>> some = [Attempt(str(n), "T-1", "default", f"2026-11-0{n}", {"shots": 30.0 - 3 * n}, False) for n in range(1, 7)]
    >>> curve = learning_curve(some, "shots")
    >>> curve.values[-1], curve.trend.told, curve.trend.slope
    (12.0, 'falls', -3.0)
    """
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    found = [
        (number, value, bool(attempt.breached))
        for number, attempt in enumerate(_in_time(attempts), 1)
        if (value := attempt.values.get(measure)) is not None
    ]
    numbers, values, breached = zip(*found, strict=True) if found else ((), (), ())
    return Curve(MEASURES[measure], numbers, values, breached, trend_of(numbers, values))


def trend_of(numbers: Sequence[int], values: Sequence[float]) -> Trend:
    """The median of all slopes between two attempts, and its interval.

    Parameters
    ----------
    numbers, values : (n,) sequences
        Attempts, and what was measured at each; n may be 0.

    Examples
    --------
    >>> trend_of([1, 2, 3, 4, 5, 6], [10, 12, 14, 16, 18, -900]).slope
    2.0
    >>> trend_of([], []), trend_of([1], [3.0]).slope
    (Trend(attempts=0, slope=None, low=None, high=None, intercept=None), None)
    """
    if len(values) < 2:
        return Trend(len(values))
    found = theilslopes(np.asarray(values, np.float64), np.asarray(numbers, np.float64), alpha=CONFIDENCE)
    slope, intercept, low, high = (float(x) for x in found)
    return Trend(len(values), slope, low, high, intercept)


@dataclass(frozen=True, slots=True)
class Learner:
    """One line of a course's table.

    Parameters
    ----------
    user, last : str
        Who, and when they last began a session (UTC, ISO 8601).
    attempts, going_on : int
        Sessions that are over, and others.
    scored, breaches : int
        Sessions with a score, and those of them with an implant outside bone.
    best, median_rating, fluoroscopy_s : float or None
        Of the ratings the highest and the median; median seconds of X-rays a session.
    cases : int
        How many different exercises or cases.
    trend : Trend
        Of the rating.
    """

    user: str
    last: str
    attempts: int
    going_on: int
    scored: int
    breaches: int
    best: float | None
    median_rating: float | None
    fluoroscopy_s: float | None
    cases: int
    trend: Trend


def learner(user: str, attempts: Sequence[Attempt], going_on: Sequence[str] = ()) -> Learner:
    """What a person's sessions come to.

    Parameters
    ----------
    user : str
        Who.
    attempts : sequence of Attempt
        Theirs that are over; may be empty.
    going_on : sequence of str
        When each of those began that are not.

    Examples
    --------
    >>> nobody = learner("T-9", [])
    >>> nobody.attempts, nobody.best, nobody.trend.words(MEASURES["rating"])
    (0, None, 'nothing to show yet')
    """
    ratings = learning_curve(attempts, "rating")
    seconds = learning_curve(attempts, "fluoroscopy_s").values
    scored = [a for a in attempts if a.breached is not None]
    return Learner(
        user=user,
        last=max((*(a.begun for a in attempts), *going_on), default=""),
        attempts=len(attempts),
        going_on=len(going_on),
        scored=len(scored),
        breaches=sum(bool(a.breached) for a in scored),
        best=max(ratings.values, default=None),
        median_rating=median(ratings.values) if ratings.values else None,
        fluoroscopy_s=median(seconds) if seconds else None,
        cases=len({a.what for a in attempts}),
        trend=ratings.trend,
    )


def _in_time(attempts: Iterable[Attempt]) -> list[Attempt]:
    return sorted(attempts, key=lambda a: a.begun)


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if number else None
