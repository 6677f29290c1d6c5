"""What the shots that were taken showed of an implant that is out or nearly so, and the view that would have told.

A view shows a breach where the implant's shadow crosses the edge that stands for the structure (`sjplan.views.hides`).
A shot with only the pin in is asked about the implant that later went over it: that is what an eye has to add.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.shown import clear_or_out, cut_mm
from sjplan.core.structure_words import structure_words
from sjplan.core.trajectory import Trajectory
from sjplan.safety.types import Clearance, ImplantMargins
from sjplan.training.actions import MoveArm, Shoot
from sjplan.training.courses import GUIDE_PIN, follows
from sjplan.training.happenings import Moment, clock
from sjplan.training.moves import NEAR_MM, pose
from sjplan.training.process import arm_for, meant
from sjplan.training.state import Implanted
from sjplan.training.theatre import Theatre
from sjplan.views.hides import STANDARD, Viewer, extra_view
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.pincushion import DrawnOut
from sjplan.xray.types import CArm

Verdict = Literal["showed", "hid", "inside", "false alarm", "no edge", "outside"]

_UNSEEN: Final = ("metal", "scan_edge")
"""No edge of bone stands for these."""


@dataclass(frozen=True, slots=True)
class ShotSeen:
    """One shot and one structure near one implant.

    Parameters
    ----------
    number : int
        Of the event that took it.
    seconds : float
        When.
    view : str
        What it was meant to be: ap, lateral, inlet or outlet.
    implant_in : bool
        Whether the implant was in; else its pin was.
    clearance_mm : float
        Of the implant's shadow from the structure's edge, at the isocentre's scale; NaN without an edge.
    pin_mm : float
        The same of the pin as it stood; NaN where the implant was in, or the pin had not come so far.
    verdict : str
        Of a breach: whether it `showed` the shadow across the edge, or `hid` it inside. Of an implant that is in:
        `inside`, or across as a `false alarm`. Of both: `no edge` to judge by, or the place `outside` the picture.
    """

    number: int
    seconds: float
    view: str
    implant_in: bool
    clearance_mm: float
    pin_mm: float
    verdict: Verdict

    @property
    def text(self) -> str:
        """In words."""
        what = "with the implant" if self.implant_in else "with its pin"
        said = {
            "showed": f"shows it {-self.clearance_mm:.1f} mm across the edge",
            "hid": f"hides it, {self.clearance_mm:.1f} mm inside the edge",
            "inside": f"shows it {self.clearance_mm:.1f} mm inside the edge",
            "false alarm": f"makes it look {-self.clearance_mm:.1f} mm out, which it is not",
            "no edge": "shows no edge to judge it by",
            "outside": "does not hold the place",
        }[self.verdict]
        pin = "" if math.isnan(self.pin_mm) else f" (the pin alone {_side_of_edge(self.pin_mm)})"
        return f"{clock(self.seconds)}, {self.view} {what}: {said}{pin}"


@dataclass(frozen=True, slots=True)
class TellingView:
    """A view that tells: that shows a breach, or comes nearest to showing what is near.

    Parameters
    ----------
    name : str
        A standard view, or the one from which it is turned.
    turned_deg : float
        By how much; 0 for a standard view.
    carm : CArm
        The pose.
    arm : MoveArm or None
        The move that brings the arm there; None where this device does not go so far.
    clearance_mm : float
        Of the shadow from the edge: negative for a breach.
    """

    name: str
    turned_deg: float
    carm: CArm
    arm: MoveArm | None
    clearance_mm: float

    @property
    def text(self) -> str:
        """In words, with the arm's numbers."""
        turned = f" turned by {self.turned_deg:.0f} degrees" if self.turned_deg else ""
        numbers = f"orbital {round(self.carm.orbital_deg)}, tilt {round(self.carm.tilt_deg)}"
        wig_wag = f", wig-wag {round(self.carm.wig_wag_deg)}" if round(self.carm.wig_wag_deg) else ""
        far = "" if self.arm is not None else "; this arm does not go there"
        shows = f"shows it {_side_of_edge(self.clearance_mm)} the edge"
        return f"{self.name}{turned} ({numbers}{wig_wag}) {shows}{far}"


@dataclass(frozen=True, slots=True)
class ImplantSeen:
    """One structure that an implant is in, or comes nearest to, and how that could be seen.

    Parameters
    ----------
    structure : str
        A name of `sjplan.core.structures.DANGERS`.
    distance_mm : float
        Of the envelope in space; negative where it is in.
    at_lps_mm : (3,) float
        The structure's point nearest to the implant.
    shots : tuple of ShotSeen
        That were taken of it, with the pin or with the implant.
    standard_mm : mapping of view to float
        What the true standard views of this patient show, as `clearance_mm`.
    telling : TellingView or None
        For a breach: the view that shows it, a standard one if any does. Else the standard view in which the shadow
        comes nearest to the edge.
    """

    structure: str
    distance_mm: float
    at_lps_mm: Array
    shots: tuple[ShotSeen, ...]
    standard_mm: Mapping[str, float]
    telling: TellingView | None

    @property
    def breach(self) -> bool:
        """Whether the envelope is in the structure."""
        return self.distance_mm < 0.0

    @property
    def text(self) -> str:
        """In words: where it lies, what the shots said, and which view tells."""
        name = structure_words(self.structure)
        near = f"in, {cut_mm(self.distance_mm)} mm from the {name}"
        where = f"{clear_or_out(self.distance_mm)} at the {name}" if self.breach else near
        counts = {word: sum(s.verdict == word for s in self.shots) for word in ("showed", "hid")}
        if not self.breach:
            alarms = sum(s.verdict == "false alarm" for s in self.shots)
            alarm = f"; {alarms} of {len(self.shots)} shots made it look out" if alarms else ""
            tells = "" if self.telling is None else f"; {self.telling.text}"
            return f"{where}{alarm}{tells}"
        if not self.shots:
            taken = "no shot was taken of it"
        else:
            taken = f"of {len(self.shots)} shots of it {counts['showed']} showed it and {counts['hid']} hid it"
        tells = "no view up to 40 degrees off a standard one shows it" if self.telling is None else self.telling.text
        return f"{where}; {taken}; {tells}"


def implant_seen(
    theatre: Theatre,
    viewer: Viewer,
    views: Mapping[str, CArm],
    moments: tuple[Moment, ...],
    implanted: Implanted,
    margins: ImplantMargins,
) -> tuple[ImplantSeen, ...]:
    """How one implant's breaches could be seen; of one that only comes near, the structure that it comes nearest to.

    Parameters
    ----------
    theatre : Theatre
        The patient.
    viewer : Viewer
        Of this anatomy; it keeps the edges of every view.
    views : mapping of name to CArm
        This patient's true standard views.
    moments : tuple of Moment
        The whole operation.
    implanted : Implanted
        The implant.
    margins : ImplantMargins
        What the judge says of it.

    Returns
    -------
    tuple of ImplantSeen
        Empty for an implant that stays farther than 2 mm from everything.
    """
    crossing = margins.crossing_lps_mm
    if crossing is None:
        crossing = 0.5 * (implanted.trajectory.entry_lps_mm + implanted.trajectory.tip_lps_mm)
    shots = shots_of(moments, implanted)
    return tuple(
        _structure_seen(theatre, viewer, views, implanted.trajectory, crossing, clearance, shots)
        for clearance in _asked(margins)
    )


def shots_of(moments: tuple[Moment, ...], implanted: Implanted) -> tuple[tuple[Moment, bool], ...]:
    """The shots that were taken while an implant, or the pin that it went over, was in; and whether the implant was."""
    found = []
    for moment in moments:
        if not isinstance(moment.action, Shoot) or moment.refused:
            continue
        state = moment.state
        implant_in = any(i is implanted for i in state.implants)
        pin_in = state.pin is not None and state.reached_bone and follows(state.pin, implanted.passage)
        if implant_in or pin_in:
            found.append((moment, implant_in))
    return tuple(found)


def _asked(margins: ImplantMargins) -> list[Clearance]:
    """Every breach; where there is none, the nearest structure if it is near."""
    seen = [c for c in margins.clearances if c.structure not in _UNSEEN]
    breaches = sorted((c for c in seen if c.envelope_mm < 0.0), key=lambda c: c.envelope_mm)
    nearest = sorted(seen, key=lambda c: c.envelope_mm)[:1]
    return breaches or [c for c in nearest if c.envelope_mm < NEAR_MM]


def _structure_seen(
    theatre: Theatre,
    viewer: Viewer,
    views: Mapping[str, CArm],
    implant: Trajectory,
    crossing_lps_mm: Array,
    clearance: Clearance,
    shots: tuple[tuple[Moment, bool], ...],
) -> ImplantSeen:
    name = clearance.structure
    standard = {
        view: viewer.clearance_mm(implant, crossing_lps_mm, name, views[view]) for view in STANDARD if view in views
    }
    seen = tuple(
        _shot_seen(theatre, viewer, moment, implant_in, implant, crossing_lps_mm, clearance)
        for moment, implant_in in shots
    )
    if clearance.envelope_mm < 0.0:
        telling = _telling(theatre, viewer, views, standard, implant, crossing_lps_mm, name)
    else:
        telling = _nearest_edge(theatre, views, standard)
    return ImplantSeen(name, clearance.envelope_mm, clearance.at_lps_mm, seen, standard, telling)


def _shot_seen(
    theatre: Theatre,
    viewer: Viewer,
    moment: Moment,
    implant_in: bool,
    implant: Trajectory,
    crossing_lps_mm: Array,
    clearance: Clearance,
) -> ShotSeen:
    state, carm = moment.state, pose(theatre, moment.state.arm)
    shadow_mm = viewer.clearance_mm(implant, crossing_lps_mm, clearance.structure, carm)
    pin_mm = float("nan")
    if not implant_in and state.pin is not None:
        reached = float((state.pin.tip_lps_mm - implant.entry_lps_mm) @ implant.axis)
        if reached > 0.0:
            tip = implant.entry_lps_mm + reached * implant.axis
            pin = replace(implant, tip_lps_mm=tip, model=GUIDE_PIN)
            pin_mm = viewer.clearance_mm(pin, crossing_lps_mm, clearance.structure, carm)
    if not _in_picture(theatre, carm, clearance.at_lps_mm):
        verdict: Verdict = "outside"
    elif math.isnan(shadow_mm):
        verdict = "no edge"
    elif clearance.envelope_mm < 0.0:
        verdict = "showed" if shadow_mm < 0.0 else "hid"
    else:
        verdict = "false alarm" if shadow_mm < 0.0 else "inside"
    return ShotSeen(moment.number, state.seconds, meant(state.arm), implant_in, shadow_mm, pin_mm, verdict)


def _telling(
    theatre: Theatre,
    viewer: Viewer,
    views: Mapping[str, CArm],
    standard: Mapping[str, float],
    implant: Trajectory,
    crossing_lps_mm: Array,
    structure: str,
) -> TellingView | None:
    """The standard view that shows a breach most, one that this arm reaches first; else the least turn from one."""
    shown = [name for name in standard if standard[name] < 0.0]
    if shown:
        arms = {name: arm_for(theatre, views[name]) for name in shown}
        best = min(shown, key=lambda name: (arms[name] is None, standard[name]))
        return TellingView(best, 0.0, views[best], arms[best], standard[best])
    extra = extra_view(viewer, implant, crossing_lps_mm, structure, {name: views[name] for name in standard})
    if extra is None:
        return None
    return TellingView(extra.start, extra.turned_deg, extra.carm, arm_for(theatre, extra.carm), extra.clearance_mm)


def _nearest_edge(theatre: Theatre, views: Mapping[str, CArm], standard: Mapping[str, float]) -> TellingView | None:
    """The standard view, one that this arm reaches first, in which a shadow comes nearest to the edge."""
    seen = {name: mm for name, mm in standard.items() if not math.isnan(mm)}
    if not seen:
        return None
    arms = {name: arm_for(theatre, views[name]) for name in seen}
    best = min(seen, key=lambda name: (arms[name] is None, seen[name]))
    return TellingView(best, 0.0, views[best], arms[best], seen[best])


def _in_picture(theatre: Theatre, carm: CArm, point_lps_mm: Array) -> bool:
    """Whether a point lies in the field of a shot."""
    detector = theatre.detector()
    geometry = DrawnOut.like(CArmGeometry.of(carm, detector), theatre.maker.device.pincushion)
    column, row = geometry.project(point_lps_mm)
    inside = 0.0 <= column <= detector.columns - 1 and 0.0 <= row <= detector.rows - 1
    if theatre.maker.device.kind == "intensifier":
        middle = 0.5 * (detector.columns - 1), 0.5 * (detector.rows - 1)
        return inside and float(np.hypot(column - middle[0], row - middle[1])) <= 0.5 * detector.columns
    return bool(inside)


def _side_of_edge(mm: float) -> str:
    return f"{-mm:.1f} mm across" if mm < 0.0 else f"{mm:.1f} mm inside"
