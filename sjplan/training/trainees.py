"""Virtual trainees: policies that play the trainer's own actions, as skilled and as patient as their parameters say.

They know a plan (what they were taught), see their own pin in the views that they take, with errors, and move it until
they are content. They know nothing of what happens inside the patient, and nothing of any score.

What they take from the literature (CLINICAL.md 5): surgeons with a plan end 4.9 +- 1.3 mm and 4.0 +- 1.4 degrees off
it, some 3 mm and 3 degrees along each axis (KAMP23), untrained ones more than 12 mm (STRAIGHT, comparator); 6 to 8
shots a pin for experts and 12 to 16 for novices, at most 2 redirections (5.4, suggested); training takes away four
fifths of the retries and two thirds of the images (SUGAND). The rest is set between those, before any score was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array, unit
from sjplan.core.errors import unknown_name
from sjplan.core.plan import Plan
from sjplan.core.trajectory import Trajectory
from sjplan.training import actions as act
from sjplan.training.pin import Pin, angles_deg
from sjplan.training.session import Session
from sjplan.views.patient import views_of_anatomy
from sjplan.xray.carm import carm_axes
from sjplan.xray.types import CArm

PROTRUSION_MM: Final = 3.0
"""What everybody was taught to leave outside (CLINICAL.md 1.3)."""

LONGEST_DRIVE: Final = 60
"""Groups of blows after which anybody gives a pin up."""

LEAST_DEPTH_MM: Final = 16.0
"""No implant is put over a pin that the gauge reads less of."""

LESS_MM: Final = 3.0
"""So much less is drilled where a drill would run off the pin."""


@dataclass(frozen=True, slots=True)
class Trainee:
    """How somebody operates.

    Parameters
    ----------
    id : str
        Name.
    skill : int
        Rank among the others: 0 is the least.
    aim_mm, aim_deg : float
        Standard deviation, along each axis, of where a pin is first set and how it is held.
    reading_mm : float
        Standard deviation of what is read off one view.
    view_deg : float
        Standard deviation of each angle of the arm against the true view, before it is corrected.
    view_content_deg : float
        A view turned off by more is taken again.
    content_mm : float
        A pin that seems farther off than this is redirected.
    patience : int
        How often, for one pin; and how often one view is taken again.
    blows : int
        Between two looks.
    looks : tuple of str
        Views in which an advancing pin is looked at, in turn.
    gauge : bool
        Whether depth is measured; else it is read off the last view.
    """

    id: str
    skill: int
    aim_mm: float
    aim_deg: float
    reading_mm: float
    view_deg: float
    view_content_deg: float
    content_mm: float
    patience: int
    blows: int
    looks: tuple[str, ...] = ("inlet", "outlet")
    gauge: bool = True


TRAINEES: Final[Mapping[str, Trainee]] = {
    trainee.id: trainee
    for trainee in (
        Trainee("novice", 0, 9.0, 8.0, 5.0, 9.0, 8.0, 9.0, 2, 6, gauge=False),
        Trainee("improving", 1, 6.0, 5.0, 3.0, 5.0, 5.0, 6.0, 2, 4),
        Trainee("expert", 2, 3.0, 2.5, 1.5, 2.5, 4.0, 3.0, 2, 3),
        # As skilled as an expert, and fooled: only one view is looked at, which hides what lies along its ray.
        Trainee("one-view", 1, 3.0, 2.5, 1.5, 2.5, 4.0, 3.0, 2, 3, ("inlet",), gauge=False),
    )
}
"""The virtual trainees that ship."""


def trainee(name: str) -> Trainee:
    """One by name.

    Raises
    ------
    UnknownNameError
        For a name that nobody has.

    Examples
    --------
    >>> trainee("expert").skill > trainee("novice").skill
    True
    """
    if name not in TRAINEES:
        raise unknown_name("trainee", name, TRAINEES)
    return TRAINEES[name]


class Hands:
    """One operation by one trainee, plan in mind."""

    def __init__(self, session: Session, who: Trainee, plan: Plan, rng: np.random.Generator) -> None:
        self.session, self.who, self.plan, self.rng = session, who, plan, rng
        theatre = session.theatre
        self.views = views_of_anatomy(theatre.anatomy, theatre.maker.device.source_to_isocentre_mm)

    def operate(self) -> None:
        """The whole operation, and its end."""
        for path in self.plan.trajectories:
            self._implant(path)
        if self.session.state.pin is not None:
            self.session.step(act.WithdrawPin(300.0))
        self.session.step(act.Finish())

    def _implant(self, path: Trajectory) -> None:
        for attempt in range(self.who.patience + 1):
            last = attempt == self.who.patience
            if not self._set(path):
                return
            if self._advance(path, last=last):
                break
            self.session.step(act.WithdrawPin(300.0))
        else:
            return
        self._over_the_pin(path)

    def _set(self, path: Trajectory) -> bool:
        """A pin against the ilium, where a lateral shows it well enough; False if there is none."""
        self._view("lateral")
        theatre, side = self.session.theatre, self.plan.side
        skin = theatre.tissue.skin_on_line(path.entry_lps_mm, path.axis)
        if skin is None:
            return False
        wanted = angles_deg(side, path.axis)
        at = skin[1:] + self.rng.normal(0.0, self.who.aim_mm, 2)
        held_deg = np.add(wanted, self.rng.normal(0.0, self.who.aim_deg, 2))
        for again in range(self.who.patience + 1):
            self.session.step(act.PlacePin(side, float(at[0]), float(at[1]), *_steady(held_deg)))
            self.session.step(act.PushPin(200.0))
            pin = self.session.state.pin
            if pin is None:
                return False
            off = self._seen("lateral", pin.tip_lps_mm - _on_line(path, pin.tip_lps_mm))
            if np.linalg.norm(off) <= self.who.content_mm or again == self.who.patience:
                return True
            self.session.step(act.WithdrawPin(300.0))
            at = at - off[1:]
        return True

    def _advance(self, path: Trajectory, *, last: bool) -> bool:
        """The pin driven home; False where it is off and there is patience to begin anew."""
        wanted_mm = path.length_mm - PROTRUSION_MM
        redirected = 0
        for group, view in zip(range(LONGEST_DRIVE), self._looks(), strict=False):
            depth = self._depth_mm(path)
            if depth >= wanted_mm - 1.0:
                return True
            self.session.step(act.TapPin(self.who.blows if depth < wanted_mm - 8.0 else 2, 1.0))
            pin = self.session.state.pin
            assert pin is not None
            if group % 2 == 0 or depth > 0.6 * wanted_mm:
                self._view(view)
                off = self._seen(view, pin.tip_lps_mm - _on_line(path, pin.tip_lps_mm))
                if np.linalg.norm(off) > self.who.content_mm:
                    if self._depth_mm(path) < 10.0 and redirected < self.who.patience:
                        redirected += 1
                        self._redirect(path, pin, off)
                    elif not last and self._depth_mm(path) < 0.6 * wanted_mm:
                        return False
        return True

    def _redirect(self, path: Trajectory, pin: Pin, off: Array) -> None:
        """Back out of bone, and turned towards where the tip should have been."""
        self.session.step(act.WithdrawPin(12.0))
        now = self.session.state.pin
        if now is None:
            return
        towards = unit(pin.tip_lps_mm - off + 0.5 * path.length_mm * path.axis - now.skin_lps_mm)
        held_deg = np.add(angles_deg(self.plan.side, towards), self.rng.normal(0.0, 0.3 * self.who.aim_deg, 2))
        self.session.step(act.TiltPin(*_steady(held_deg)))
        self.session.step(act.PushPin(50.0))

    def _over_the_pin(self, path: Trajectory) -> None:
        depth = self._depth_mm(path)
        if depth < LEAST_DEPTH_MM:
            self.session.step(act.WithdrawPin(300.0))
            return
        depth = min(depth, 199.0)
        while self.session.step(act.Drill(depth)).refused and depth > LEAST_DEPTH_MM:
            depth -= LESS_MM
        self._view("outlet" if "outlet" in self.who.looks else self.who.looks[-1])
        self.session.step(act.Broach(depth))
        length = min(path.model.lengths_mm, key=lambda mm: abs(mm - PROTRUSION_MM - depth))
        self.session.step(act.Insert(path.model.id, length, PROTRUSION_MM, path.roll_deg))
        if self.session.state.pin is not None:
            self.session.step(act.WithdrawPin(300.0))

    def _looks(self) -> Iterator[str]:
        while True:
            yield from self.who.looks

    def _depth_mm(self, path: Trajectory) -> float:
        """How deep the pin seems: off the gauge, or read against where the ilium should be."""
        if self.who.gauge:
            said = self.session.step(act.MeasureDepth()).said
            if said:
                return float(said["depth_mm"])
        pin = self.session.state.pin
        if pin is None:
            return 0.0
        along = float((pin.tip_lps_mm - path.entry_lps_mm) @ path.axis) - PROTRUSION_MM
        return max(along + float(self.rng.normal(0.0, self.who.reading_mm)), 0.0)

    def _view(self, name: str) -> None:
        """A shot in a view, taken again while it looks untrue and patience lasts."""
        true = self.views[name]
        for again in range(self.who.patience + 1):
            error = self.rng.normal(0.0, self.who.view_deg / (1.0 + again), 2)
            self.session.step(self._arm(true, error))
            self.session.step(act.Shoot())
            if np.abs(error).max() <= self.who.view_content_deg:
                return

    def _arm(self, true: CArm, error_deg: Array) -> act.MoveArm:
        """The arm's numbers for a view, off by an error, as far as the device goes."""
        device, start = self.session.theatre.maker.device, self.session.theatre.start
        travel = true.isocentre_lps_mm - start.isocentre_lps_mm
        asked = (true.orbital_deg + error_deg[0], true.tilt_deg + error_deg[1], true.wig_wag_deg, *travel)
        ranges = (device.orbital_deg, device.tilt_deg, device.wig_wag_deg, device.across_mm, device.lift_mm,
                  device.along_mm)  # fmt: skip
        return act.MoveArm(*(float(np.clip(v, *r)) for v, r in zip(asked, ranges, strict=True)))

    def _seen(self, view: str, off_lps_mm: Array) -> Array:
        """A distance as one view shows it: nothing of what lies along its ray, and the rest with the reader's error."""
        column, _, up = carm_axes(self.views[view])
        seen = np.array((off_lps_mm @ column, off_lps_mm @ up)) + self.rng.normal(0.0, self.who.reading_mm, 2)
        return np.asarray(seen[0] * column + seen[1] * up)


def operate(session: Session, who: Trainee, plan: Plan, seed: int) -> Session:
    """Let a virtual trainee operate one side from start to end.

    Parameters
    ----------
    session : Session
        That has not begun; it is played to its end.
    who : Trainee
        See `TRAINEES`.
    plan : Plan
        What they have in mind.
    seed : int
        Of their errors; the session has a seed of its own.
    """
    Hands(session, who, plan, np.random.default_rng([seed, who.skill, len(who.looks)])).operate()
    return session


def _on_line(path: Trajectory, point_lps_mm: Array) -> Array:
    """The point of a planned axis nearest to a point."""
    return np.asarray(path.entry_lps_mm + ((point_lps_mm - path.entry_lps_mm) @ path.axis) * path.axis)


def _steady(angles: Sequence[float] | Array) -> tuple[float, float]:
    """Angles within what an action takes."""
    first, second = (float(np.clip(a, -70.0, 70.0)) for a in angles)
    return first, second
