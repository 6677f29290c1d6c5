"""What happened inside the bone, as sentences for the debrief: what the trainee was not told while operating."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sjplan.core.shown import cut
from sjplan.core.structure_words import structure_words
from sjplan.training.actions import Action, PlaceParallel, PlacePin, TiltPin, from_dict
from sjplan.training.session import Session
from sjplan.training.state import State

Gravity = Literal["bad", "near", "note"]

AT_MM: Final = 2.0
"""A pin that comes out no farther than this from a danger comes out at it (default)."""

GRAVITY: Final[Mapping[str, Gravity]] = {
    "perforation": "bad",
    "pin-broken": "bad",
    "near-miss": "near",
    "pin-bent": "near",
    "pin-dragged": "near",
    "implant-forced": "near",
    "path-given-up": "note",
    "redirection": "note",
    "implant": "note",
    "backed-out": "note",
}
"""How grave each kind is; a kind that is not listed is a note."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One event of a log: what was done, and the states on both sides of it.

    Parameters
    ----------
    number : int
        Of the event.
    action : Action
        What was done, or attempted.
    before, state : State
        The same where it was refused.
    refused : str
        Why it could not be done; "" where it was.
    hidden : tuple of mapping
        What happened inside.
    """

    number: int
    action: Action
    before: State
    state: State
    refused: str
    hidden: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened inside the bone.

    Parameters
    ----------
    number : int
        Of its event.
    seconds : float
        Since the operation began.
    kind : str
        A name of `GRAVITY`, or of a hidden event that is newer than this list.
    gravity : {"bad", "near", "note"}
        How grave it is.
    text : str
        One sentence.
    structure : str
        The danger that it was at, or ""; a name of `sjplan.core.structures.DANGERS`.
    """

    number: int
    seconds: float
    kind: str
    gravity: Gravity
    text: str
    structure: str = ""

    @property
    def clock(self) -> str:
        """Its time as minutes and seconds."""
        return clock(self.seconds)


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Examples
    --------
    >>> clock(155.4)
    '02:35'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def timeline(session: Session) -> tuple[Moment, ...]:
    """Every event of a session with the states before and after it, so that any moment can be shown again."""
    before = [State(implants=session.given), *session.states]
    return tuple(
        Moment(
            number,
            from_dict(event["action"]),
            before[number],
            session.states[number],
            event.get("refused", ""),
            tuple(event.get("hidden", ())),
        )
        for number, event in enumerate(session.events)
    )


def happenings(moments: tuple[Moment, ...]) -> tuple[Happening, ...]:
    """What happened inside the bone, in order: perforations, near misses, harmed pins, redirections, implants."""
    found: list[Happening] = []
    pins, side = 0, ""
    for moment in moments:
        if isinstance(moment.action, PlacePin | PlaceParallel) and not moment.refused:
            pins, side = pins + 1, moment.action.side
        pin = f"pin {pins} ({side})"
        for hidden in moment.hidden:
            found.append(_happening(moment, str(hidden["event"]), _sentence(hidden, pin), hidden.get("structure", "")))
        found += [_happening(moment, kind, text) for kind, text in _seen_in_states(moment, pin)]
    return tuple(found)


def _happening(moment: Moment, kind: str, text: str, structure: str = "") -> Happening:
    sentence = text[0].upper() + text[1:] + "."
    return Happening(moment.number, moment.state.seconds, kind, GRAVITY.get(kind, "note"), sentence, structure)


def _sentence(hidden: Mapping[str, Any], pin: str) -> str:
    """One hidden event in words."""
    kind, mm, deg = str(hidden["event"]), float(hidden.get("mm", 0.0)), float(hidden.get("deg", 0.0))
    structure = structure_words(str(hidden.get("structure", "")))
    if kind == "perforation" and mm > AT_MM:
        return f"{pin} came out of the bone, {cut(mm, 0)} mm from the nearest danger: {structure}"
    sentences = {
        "perforation": f"{pin} came out of the bone at this danger: {structure}",
        "near-miss": f"{pin} came within {cut(mm)} mm of a danger: {structure}",
        "pin-broken": f"{pin} broke: it was turned too far while bone held it",
        "pin-bent": f"{pin} was bent by {deg:.0f} degrees for good: bone held it when it was turned",
        "pin-dragged": f"the drill carried {pin} {mm:.1f} mm deeper",
        "implant-forced": f"the implant over {pin} was forced through {mm:.0f} mm of bone that was not drilled",
        "path-given-up": f"the path over {pin}, drilled to {mm:.0f} mm, was given up",
    }
    rest = ", ".join(f"{name} {value}" for name, value in hidden.items() if name != "event")
    return sentences.get(kind, f"{pin}: {kind.replace('-', ' ')}" + (f" ({rest})" if rest else ""))


def _seen_in_states(moment: Moment, pin: str) -> Iterator[tuple[str, str]]:
    """What no hidden event names but the states tell."""
    before, after = moment.before, moment.state
    if after.redirections > before.redirections:
        if isinstance(moment.action, TiltPin):
            yield "redirection", f"{pin} was turned after it had touched bone: a redirection"
        else:
            yield "redirection", f"{pin} had touched bone and was taken out without an implant: a redirection"
    if len(after.implants) > len(before.implants):
        new = after.implants[-1]
        size = f"{new.trajectory.model.id}, {new.trajectory.length_mm:.0f} mm"
        yield "implant", f"an implant went in over {pin}: {size}"
    if len(after.implants) < len(before.implants):
        gone = next(i for i in before.implants if all(i is not kept for kept in after.implants))
        size = f"{gone.trajectory.model.id}, {gone.trajectory.length_mm:.0f} mm"
        yield "backed-out", f"the last implant on the {gone.side} was taken out again: {size}"
