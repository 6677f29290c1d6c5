"""Learning curves: no trend where chance gives as much, one that no single bad day turns, no crash on few."""

import dataclasses

import numpy as np
import pytest

from sjplan.core.errors import UnknownNameError
from sjplan.training.curves import (
    LEAST_ATTEMPTS,
    MEASURES,
    Attempt,
    attempt_of,
    learner,
    learning_curve,
    trend_of,
)


def attempts(*ratings: float | None, user: str = "T-1", breached: bool | None = False) -> list[Attempt]:
    return [
        Attempt(f"s{n}", user, "default", f"2026-11-{n:02d}T10:00:00", {"rating": rating}, breached)
        for n, rating in enumerate(ratings, 1)
    ]


@pytest.mark.parametrize("ratings", [(), (70.0,), (70.0, 80.0), (None,), (None, None), (40.0, None, 60.0), (5.0, 5.0)])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_few_attempts_are_shown_without_a_trend(ratings: tuple[float | None, ...], measure: str) -> None:
    curve = learning_curve(attempts(*ratings), measure)
    assert curve.trend.told is None
    assert curve.trend.words(curve.measure)
    known = [r for r in ratings if r is not None] if measure == "rating" else []
    assert list(curve.values) == known
    row = learner("T-1", attempts(*ratings))
    assert row.attempts == len(ratings)
    assert row.best == max((r for r in ratings if r is not None), default=None)


def test_attempts_are_counted_in_time_and_a_gap_stays_a_gap() -> None:
    curve = learning_curve(reversed(attempts(40.0, None, 60.0, 70.0)), "rating")
    assert curve.numbers == (1, 3, 4)
    assert curve.values == (40.0, 60.0, 70.0)


@pytest.mark.parametrize("few", range(2, LEAST_ATTEMPTS))
def test_below_five_no_order_of_ratings_is_a_trend(few: int) -> None:
    assert trend_of(range(1, few + 1), [float(10 * n) for n in range(few)]).told is None


@pytest.mark.parametrize("n", [5, 6, 8, 12, 25])
def test_ratings_that_do_not_change_are_rarely_called_a_trend(n: int) -> None:
    """The share of false trends is what the page says: one in twenty, give or take four standard errors."""
    rng, trials = np.random.default_rng(n), 1000
    told = sum(trend_of(range(1, n + 1), rng.normal(60.0, 12.0, n)).told is not None for _ in range(trials))
    assert told / trials <= 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / trials)


def test_true_learning_is_told_with_its_size() -> None:
    rng = np.random.default_rng(3)
    found = [trend_of(range(1, 13), 40.0 + 3.0 * np.arange(12) + rng.normal(0.0, 5.0, 12)) for _ in range(200)]
    assert sum(t.told == "rises" for t in found) >= 190
    assert sum(t.low <= 3.0 <= t.high for t in found if t.low is not None and t.high is not None) >= 180


def test_one_bad_day_does_not_turn_a_trend() -> None:
    steady = [40.0, 44.0, 48.0, 52.0, 56.0, 60.0, 64.0, 68.0]
    spoilt = [*steady[:-1], 0.0]
    assert trend_of(range(1, 9), spoilt).slope == pytest.approx(4.0)
    assert np.polyfit(range(1, 9), spoilt, 1)[0] < 0.0, "a line by least squares would fall"


@pytest.mark.parametrize(("measure", "way", "good"), [("rating", 1, "better"), ("rating", -1, "worse"),
                                                      ("shots", 1, "worse"), ("shots", -1, "better")])  # fmt: skip
def test_words_say_which_way_is_better(measure: str, way: int, good: str) -> None:
    trend = trend_of(range(1, 9), [50.0 + way * 2.0 * n for n in range(8)])
    words = trend.words(MEASURES[measure])
    assert words.startswith("rises by 2" if way > 0 else "falls by 2")
    assert words.endswith(good)


def test_a_row_of_the_course_counts_what_happened() -> None:
    some = attempts(30.0, 80.0, 90.0)
    some = [dataclasses.replace(a, breached=b) for a, b in zip(some, (True, False, None), strict=True)]
    row = learner("T-1", some, ["2026-12-01T09:00:00"])
    assert (row.attempts, row.going_on, row.scored, row.breaches) == (3, 1, 2, 1)
    assert (row.best, row.median_rating, row.fluoroscopy_s) == (90.0, 80.0, None)
    assert row.last == "2026-12-01T09:00:00"


def test_values_come_from_audit_fields_and_from_the_score() -> None:
    row = {"session": "k", "user": "T-1", "exercise": "one-pin", "case": "default", "begun": "2026-11-01", "shots": 7,
           "fluoroscopy_s": 12.5, "dose_area_ugy_m2": 80.0, "rating": 71.0}  # fmt: skip
    found = attempt_of(row, {"breach_mm": 0.0, "measures": {"margin_mm": {"value": 3.2}, "shots": {"value": 2.3}}})
    assert dict(found.values) == {"rating": 71.0, "fluoroscopy_s": 12.5, "dose_area_ugy_m2": 80.0, "shots": 7.0,
                                  "margin_mm": 3.2}  # fmt: skip
    assert found.what == "one-pin"
    assert found.breached is False
    unscored = attempt_of(row | {"rating": None}, None)
    assert unscored.breached is None
    assert unscored.values["margin_mm"] is None
    odd = attempt_of(row | {"rating": float("nan")}, {"measures": {"margin_mm": {"value": float("inf")}}})
    assert odd.values["rating"] is None
    assert odd.values["margin_mm"] is None


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(UnknownNameError, match="ratings"):
        learning_curve([], "ratings")
