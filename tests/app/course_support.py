"""A history of a course: people who practise, with scores that are given here and events that really were."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sjplan.training import actions as act
from sjplan.training.history import History
from sjplan.training.score import Rated, ScoreSheet, Sign
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre

COURSE: Mapping[str, Sequence[float | None]] = {
    "T-01": (32, 38, 45, 58, 66, 71, 80, 84),
    "T-02": (72, 40, 66, 75, 70, 74),
    "T-03": (55, 61),
    "T-04": (None, 64, 31),
}
"""Ratings of each person's sessions; None for one without a score."""


def sheet(rating: float) -> ScoreSheet:
    """A score as a rating goes with it: below 50 an implant lies outside bone."""
    margin = (rating - 50.0) / 10.0
    measures = (Rated("margin_mm", "geometry", margin, max(0.0, min(1.0, margin / 5.0)), 1.0),)
    why = (f"left implant 1 lies {-margin:.1f} mm out behind foramen_S1_left",) if margin < 0.0 else ()
    signs = (Sign("malposition", why, 0.05, True, "a test"),)
    return ScoreSheet(rating, max(-margin, 0.0), "foramen_S1_left" if why else "", margin, {}, measures, signs, {})


def fill(path: Path, theatre: Theatre, course: Mapping[str, Sequence[float | None]] = COURSE) -> None:
    """Write the course, and one session that goes on."""
    with History(path) as history:
        for user, ratings in course.items():
            for n, rating in enumerate(ratings):
                recorded = history.begin(user, Session(theatre, n, images=False))
                recorded.step(act.MoveArm(tilt_deg=10.0 + n))
                for _ in range(max(1, 6 - n)):
                    recorded.step(act.Shoot(seconds=1.0))
                recorded.finish(None if rating is None else sheet(rating))
        history.begin("T-05", Session(theatre, 1, images=False)).step(act.MoveArm(tilt_deg=1.0))
