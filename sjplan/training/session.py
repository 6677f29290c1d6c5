"""One operation from start to end: the same case, seed and actions always give the same states, images and log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

import sjplan
from sjplan.core.errors import InputError
from sjplan.training.actions import Action, Shoot, as_dict, checked, from_dict
from sjplan.training.given import given_from, require_given
from sjplan.training.lie import lie_from
from sjplan.training.moves import Refused, applied, frames_of, metal, pose
from sjplan.training.pin import Feel
from sjplan.training.state import Implanted, State
from sjplan.training.theatre import Theatre
from sjplan.xray.types import Radiograph

SCHEMA: Final = "sjplan.session/1"
_MOVE_STREAM, _IMAGE_STREAM = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a trainee perceives of one step.

    Parameters
    ----------
    refused : str or None
        Why the action could not be done; nothing has changed then.
    image : Radiograph or None
        Of a shot, where images are on.
    feel : Feel or None
        Of a pin that was moved.
    said : mapping
        What was read off.
    """

    refused: str | None = None
    image: Radiograph | None = None
    feel: Feel | None = None
    said: Mapping[str, Any] | None = None


class Session:
    """A rehearsal without a window.

    Every step has random numbers of its own, from the seed and the step's number: a replay is the same to the bit, and
    does not depend on whether images are drawn.

    Parameters
    ----------
    theatre : Theatre
        Patient and tools.
    seed : int
        Of skids, drags and noise.
    given : sequence of Implanted
        In the patient from the start, from an earlier operation; the one that came last is the first to be backed out.
    images : bool
        Whether shots are drawn; dose and states are the same without.
    pixels : int
        Rows and columns of an image.

    Raises
    ------
    InputError
        For a seed that is none, or given implants that no shelf or side has.

    Attributes
    ----------
    events, states : list
        The log's events, and the state after each of them.
    """

    def __init__(
        self,
        theatre: Theatre,
        seed: int = 0,
        *,
        given: Sequence[Implanted] = (),
        images: bool = True,
        pixels: int = 512,
    ) -> None:
        self.theatre, self.images, self.pixels = theatre, images, pixels
        self.given = require_given(given, theatre.models)
        self.record: Callable[[Mapping[str, Any]], None] | None = None
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin anew."""
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise InputError("seed", found=repr(seed), wanted="a whole number from 0")
        self.seed, self.state = seed, State(implants=self.given)
        self.events: list[dict[str, Any]] = []
        self.states: list[State] = []

    @property
    def header(self) -> dict[str, Any]:
        """First line of the log: what the events belong to."""
        return {
            "schema": SCHEMA,
            "case": self.theatre.name,
            "sha256": dict(self.theatre.sha256),
            "device": self.theatre.maker.device.id,
            "seed": self.seed,
            **({} if self.theatre.lie is None else {"lie": asdict(self.theatre.lie)}),
            **({"given": [implant.as_dict() for implant in self.given]} if self.given else {}),
            "sjplan": sjplan.__version__,
            "not_for_clinical_use": True,
        }

    def was_given(self, implant: Implanted) -> bool:
        """Whether an implant lay in the patient from the start."""
        return any(implant is one for one in self.given)

    def step(self, action: Action) -> Observation:
        """Do one action, and log it; where `record` is set, it is called with the event before anything has changed.

        Raises
        ------
        SjplanError
            For values that no action has; what cannot be done now is no error but an observation.
        Exception
            Whatever `record` raises: what could not be recorded has not happened.
        """
        action = checked(action)
        number = len(self.events)
        try:
            effect = applied(self.theatre, self.state, action, self._rng(number, _MOVE_STREAM))
        except Refused as reason:
            self._log(action, self.state, refused=str(reason))
            return Observation(refused=str(reason))
        self._log(
            action,
            effect.state,
            feel=None if effect.feel is None else asdict(effect.feel),
            said=dict(effect.said),
            hidden=[dict(event) for event in effect.hidden],
        )
        image = self.image(number) if self.images and isinstance(action, Shoot) else None
        return Observation(None, image, effect.feel, effect.said)

    def image(self, number: int | None = None) -> Radiograph:
        """The radiograph of the present state, with the noise of one step (the last one if not given)."""
        number = max(len(self.events) - 1, 0) if number is None else number
        shot = from_dict(self.events[number]["action"]) if self.events else Shoot()
        return self._drawn(self.state, number, shot if isinstance(shot, Shoot) else Shoot(), self.pixels)

    def shot(self, number: int, pixels: int | None = None) -> Radiograph:
        """The radiograph that one event took, again: arm and metal as they were then, and its own noise.

        Parameters
        ----------
        number : int
            Of the event.
        pixels : int, optional
            Rows and columns, the session's own if not given: as many as it was taken with give the same picture to the
            last bit.

        Raises
        ------
        InputError
            If that event took none.
        """
        event = self.events[number] if 0 <= number < len(self.events) else None
        action = None if event is None else from_dict(event["action"])
        if event is None or not isinstance(action, Shoot) or "refused" in event:
            found = "no such event" if event is None else f"event {number}, {event['action']['do']}"
            raise InputError("shot", found=found, wanted="the number of an event that took a radiograph")
        return self._drawn(self.states[number], number, action, self.pixels if pixels is None else pixels)

    def _drawn(self, state: State, number: int, shot: Shoot, pixels: int) -> Radiograph:
        implants, pins = metal(state)
        rng = self._rng(number, _IMAGE_STREAM)
        carm, frames = pose(self.theatre, state.arm), frames_of(self.theatre, shot)
        return self.theatre.radiograph(carm, implants, pins, shot.mode, rng, pixels, frames)

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, stream])

    def _log(self, action: Action, after: State, **what: Any) -> None:
        event = {
            "n": len(self.events),
            "action": as_dict(action),
            **{name: value for name, value in what.items() if value},
            "seconds": after.seconds,
            "fluoroscopy_s": after.fluoroscopy_s,
            "dose_area_ugy_m2": after.dose_area_ugy_m2,
            "state": after.fingerprint,
        }
        if self.record is not None:
            self.record(event)
        self.events.append(event)
        self.states.append(after)
        self.state = after


def replayed(theatre: Theatre, header: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Session:
    """A session brought by its log to where it stood.

    Raises
    ------
    InputError
        If the log is of another schema, case or device, begins with implants or a patient that cannot be, or an event
        does not come out as it is written.
    """
    if header.get("schema") != SCHEMA:
        raise InputError("session log", found=f"schema {header.get('schema')!r}", wanted=SCHEMA)
    given = given_from(header.get("given", []), theatre.models)
    session = Session(theatre.lying(lie_from(header.get("lie"))), header.get("seed", -1), given=given, images=False)
    for name in ("case", "sha256", "device"):
        if header.get(name) != session.header[name]:
            found, wanted = (repr(h.get(name)) for h in (header, session.header))
            raise InputError(f"session log {name}", found=found, wanted=wanted, fix="open the case that it is of")
    for event in events:
        session.step(from_dict(event["action"]))
        again = session.events[-1]
        if again != dict(event):
            changed = sorted(k for k in {*again, *event} if again.get(k) != event.get(k))
            raise InputError(
                f"session log event {event.get('n')}",
                found=f"other {', '.join(changed)} on replay",
                wanted="the same to the last bit",
                fix="replay with the version and machine that wrote it",
            )
    return session
