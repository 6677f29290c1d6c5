"""The operating room behind its page: buttons become actions of a session, and what came of them becomes words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

from sjplan.app.arm import COARSE, NUMBERS, Arm, skin_under
from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.undo import Undo, undo_of
from sjplan.app.words import clock, felt, said
from sjplan.app.worker import Latest
from sjplan.core.errors import SjplanError
from sjplan.core.plan import Side
from sjplan.core.shown import cut
from sjplan.render.fluoro import edge_letters
from sjplan.render.room import RoomWindow
from sjplan.training import actions as act
from sjplan.training.actions import Action
from sjplan.training.history import Recorded, sheet_document
from sjplan.training.moves import metal
from sjplan.training.pin import angles_deg
from sjplan.training.score import ScoreSheet, score
from sjplan.training.session import Observation
from sjplan.training.sheet_words import verdict
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Radiograph

if TYPE_CHECKING:
    from sjplan.app.debrief import DebriefPage
    from sjplan.app.house import Bed
    from sjplan.app.visit import Visit

ROOM_PX: Final = 262
ROOM_PAUSE_S: Final = 0.2  # It follows the arm a few times a second, and not at all while X-rays are on.

TAP_S: Final = 0.3
"""A short step on the pedal: as long as a person's foot takes (default)."""


class OperatePage:
    """One operation at a time.

    State of the page begins with `op_`: numbers of the arm and the pin, counters, and the last message.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.live = Monitor(mouse=self._mouse)
        self.second = Monitor()
        self.room = Monitor(ROOM_PX)
        self._window: RoomWindow | None = None
        self._room = Latest(self._draw_room, ROOM_PAUSE_S)
        self._hands = asyncio.Lock()
        self.recorded: Recorded | None = None
        self.bed: Bed | None = None
        self.sheet: ScoreSheet | None = None
        self.arm: Arm | None = None
        self.shot_with: CArm | None = None
        self.state.update(
            {"op_busy": False, "op_title": "", "op_side": "left",
             "op_sides": ["left"], "op_message": "", "op_tone": "plain", "op_clock": "0:00", "op_shots": 0,
             "op_fluoro": "0.0", "op_dose": "0.0", "op_pedal": False, "op_tool": "turn", "op_view": "no shot yet",
             "op_moved": False, "op_edges": {}, "op_undo": "", "op_undo_why": "",
             "op_pin": "none", "op_up": 0.0, "op_along": 0.0, "op_cranial": 0.0, "op_ventral": 0.0,
             "op_push": 20.0, "op_blows": 3, "op_joules": 1.0, "op_back": 10.0, "op_apart": 20.0, "op_drill": 40.0,
             "op_model": "tri-7", "op_models": [], "op_length": 50.0, "op_lengths": [], "op_protrusion": 3.0,
             "op_roll": 0.0, "op_implants": [], "op_broach": 40.0,
             **{f"arm_{name}": 0.0 for name in NUMBERS}}
        )  # fmt: skip

    async def begin(self, recorded: Recorded, bed: Bed, sides: tuple[Side, ...]) -> None:
        """Show a session, new or resumed."""
        session, self.bed = recorded.session, bed
        await self.close()
        ct = session.theatre.scanned
        self._window = await self.visit.windows.open(lambda: RoomWindow(ct, (ROOM_PX, ROOM_PX)))
        self.recorded = recorded
        self.arm = Arm(session, self.live, self.visit.house.worker, self._arm_changed)
        self.shot_with = None
        models = session.theatre.models
        self.state.update(
            {"op_title": bed.title, "op_sides": list(sides), "op_side": sides[0], "op_models": list(models),
             "op_view": "no shot yet", "op_edges": {}}
        )  # fmt: skip
        self.choose_model("tri-7" if "tri-7" in models else next(iter(models)))
        self.live.clear()
        self.second.clear()
        middle = session.theatre.labels.grid.centre_lps_mm
        self.state.update({"op_up": round(float(middle[1])), "op_along": round(float(middle[2]))})
        self._after(Observation())
        shots = [e for e in session.events if e["action"]["do"] == "shoot" and "refused" not in e]
        self._say(
            "The patient lies prone. Bring in the C-arm."
            if not session.events
            else f"Resumed after {len(session.events)} steps, {len(shots)} shots."
        )

    async def act(self, action: Action) -> Observation | None:
        """Do one action, once the arm is where it is wanted."""
        if self.recorded is None or self.arm is None or self._hands.locked():
            return None
        async with self._hands:
            return await self._acted(action)

    async def _acted(self, action: Action) -> Observation | None:
        assert self.recorded is not None
        assert self.arm is not None
        self.state.op_busy = True
        self.state.flush()
        try:
            if self.arm.moved and not isinstance(action, act.MoveArm):
                moved = await self._step(self.arm.wanted)
                if moved.refused:
                    self.arm.wanted = self.recorded.session.state.arm
                    self._after(moved)
                    return moved
            if isinstance(action, act.Shoot):
                self.shot_with = self.arm.pose
            observation = await self._step(action)
            self._after(observation)
            return observation
        except SjplanError as error:
            self._say(str(error), "warn")
            return None
        finally:
            self.state.op_busy = False
            self.state.flush()

    async def shoot(self, seconds: float = TAP_S) -> None:
        """Step on the pedal for so long."""
        observation = await self.act(act.Shoot(seconds=seconds))
        if observation is not None and observation.image is not None:
            picture = await self.visit.house.worker.do(grey_of, observation.image)
            self.live.show(picture)
            self.state.update({"op_view": self._pose_words(), "op_edges": self._edges(observation.image)})
            self.state.flush()

    async def keep(self) -> None:
        """Put the picture on the second screen."""
        self.second.show(self.live.image)

    def set_arm(self, name: str, value: Any) -> None:
        """Want one number of the arm."""
        number = _number(value)
        if self.arm is None or number is None or name not in NUMBERS:
            return
        refused = self.arm.to(**{name: number})
        if refused:
            self._say(refused, "warn")
        self._arm_changed()

    def nudge_arm(self, name: str, by: float) -> None:
        """Want one number of the arm more or less."""
        if self.arm is not None:
            self.set_arm(name, getattr(self.arm.wanted, name) + by)

    def call_view(self, name: str) -> None:
        """Let the radiographer put the arm about where a view is."""
        attempt = self.visit.exercise.attempt
        sought = attempt is not None and attempt.exercise.kind == "view"
        if self.arm is not None and name in COARSE and not sought:
            refused = self.arm.to(**COARSE[name])
            if refused:
                self._say(refused, "warn")

    async def place_pin(self) -> None:
        """Set the pin on the skin where the numbers say; one that has not gone in yet is taken up again."""
        s = self.state
        if self.recorded is not None and (pin := self.recorded.session.state.pin) is not None and pin.depth_mm == 0.0:
            await self.act(act.WithdrawPin(1.0))
        await self.act(
            act.PlacePin(s.op_side, float(s.op_up), float(s.op_along), float(s.op_cranial), float(s.op_ventral))
        )

    async def move_entry(self, up: float, along: float) -> None:
        """Shift where the pin is to be set, and set it again if it stands on the skin."""
        self.state.update({"op_up": round(self.state.op_up + up, 1), "op_along": round(self.state.op_along + along, 1)})
        if self.recorded is not None and (pin := self.recorded.session.state.pin) is not None and pin.depth_mm == 0.0:
            await self.place_pin()

    async def tilt(self, cranial: float, ventral: float) -> None:
        """Turn the pin by so much; without a pin, what it will be set with."""
        s = self.state
        s.update({"op_cranial": round(s.op_cranial + cranial, 1), "op_ventral": round(s.op_ventral + ventral, 1)})
        await self.tilt_to()

    async def tilt_to(self) -> None:
        """Turn the pin to the numbers."""
        if self.recorded is not None and self.recorded.session.state.pin is not None:
            await self.act(act.TiltPin(float(self.state.op_cranial), float(self.state.op_ventral)))

    def choose_model(self, name: str) -> None:
        """Take an implant from the shelf."""
        if self.recorded is None or name not in self.recorded.session.theatre.models:
            return
        lengths = list(self.recorded.session.theatre.models[name].lengths_mm)
        near = min(lengths, key=lambda length: abs(length - self.state.op_length))
        self.state.update({"op_model": name, "op_lengths": lengths, "op_length": near})

    async def undo(self) -> None:
        """Take back the last thing, where the operation has a way back from it."""
        if self.recorded is None or self.arm is None:
            return
        undo = self._undo()
        if undo.action is None:
            self.arm.back()
        elif (observation := await self.act(undo.action)) is not None and observation.refused is None:
            self._say(f"Taken back: {undo.words}.")

    def _undo(self) -> Undo:
        assert self.recorded is not None
        assert self.arm is not None
        session = self.recorded.session
        return undo_of(session.state, session.events, self.arm.before)

    async def finish(self) -> bool:
        """End the operation; whether it is over."""
        async with self._hands:
            pass  # What is being done comes first; the wish to end is not lost.
        if self.recorded is not None and self.recorded.session.state.finished:
            return True  # Killed between its end and its rating: what is left is done now.
        observation = await self.act(act.Finish())
        return observation is not None and observation.refused is None

    async def rate(self, tell: Callable[[str], None]) -> str:
        """Rate the operation against the certified plan, end it in the history, and say how it went.

        Without a plan of a side that was operated on there is no rating; the operation is ended all the same.
        """
        assert self.recorded is not None
        assert self.bed is not None
        house, recorded = self.visit.house, self.recorded
        self.sheet = None
        sides = {implant.side for implant in recorded.session.state.implants}
        tell("looking for the best plan to compare with: up to a minute where there is none yet")
        why = "this patient has no accepted plan of that side to compare with"
        try:
            plans = await house.plans(self.bed)
        except SjplanError as error:
            plans, why = {}, str(error)
        wanted = {side: plans[side] for side in sides or plans if side in plans}
        if not wanted or not sides <= set(wanted):
            await house.worker.do(recorded.finish)
            return f"The operation is in the history, without a rating: {why}."
        tell("rating")
        self.sheet = await house.worker.do(score, recorded.session, house.scoring, wanted)
        await house.worker.do(recorded.finish, self.sheet)
        return rated(self.sheet)

    async def tell(self, debrief: DebriefPage) -> None:
        """Hand the operation that is over to its debrief."""
        assert self.recorded is not None
        assert self.bed is not None
        reports = None if self.sheet is None else self.sheet.reports
        await debrief.open(self.recorded.session, self.bed, self.recorded.id, reports)

    async def _step(self, action: Action) -> Observation:
        assert self.recorded is not None
        return await self.visit.house.worker.do(self.recorded.step, action)

    def _mouse(self, what: str, across: float, down: float) -> None:
        """The mouse on the radiograph: turns the arm, or marks the skin."""
        if self.arm is None or self.recorded is None:
            return
        with self.state:
            if self.state.op_tool == "mark":
                if what == "press":
                    self._mark(across, down)
            elif what == "press":
                self.arm.press(across, down, pedal=bool(self.state.op_pedal))
            elif what == "move":
                self.arm.drag(across, down)
            else:
                self.visit.soon(self._released())

    async def _released(self) -> None:
        assert self.arm is not None
        seconds = await self.arm.release()
        if seconds is not None:
            await self.shoot(min(seconds, 60.0))

    async def let_go(self) -> None:
        """Take foot and hand off: the page is gone, and nobody else can."""
        if self.arm is not None:
            await self._released()

    def _mark(self, across: float, down: float) -> None:
        assert self.recorded is not None
        if self.shot_with is None:
            self._say("Take a shot first: the mark is set on its picture.", "warn")
            return
        at = skin_under(self.recorded.session, self.shot_with, self.state.op_side, across, down)
        if at is None:
            self._say("Marks are set on a lateral picture, inside the body.", "warn")
            return
        self.state.update({"op_up": round(float(at[1]), 1), "op_along": round(float(at[2]), 1), "op_tool": "turn"})
        self.visit.soon(self.act(act.MarkSkin(self.state.op_side, float(at[1]), float(at[2]))))

    def _arm_changed(self) -> None:
        if self.arm is None:
            return
        self.state.update({f"arm_{name}": getattr(self.arm.wanted, name) for name in NUMBERS})
        undo = self._undo()
        self.state.update({"op_moved": self.arm.moved, "op_undo": undo.words, "op_undo_why": undo.why})
        if not self.arm.live:
            self._room.ask()
        self.state.flush()

    async def _draw_room(self) -> None:
        """Draw the room as the arm and the metal are now."""
        if self._window is None or self.recorded is None or self.arm is None:
            return
        session = self.recorded.session
        implants, pins = metal(session.state)
        window = self._window
        picture = await self.visit.house.worker.do(
            window.draw, self.arm.pose, session.theatre.detector(), implants, pins
        )
        if self._window is window:
            self.room.show(picture)

    async def close(self) -> None:
        """Close the window of the room."""
        window, self._window = self._window, None
        await self.visit.windows.close(window)

    async def drop(self) -> None:
        """Nobody operates here any more; the session stands in the history."""
        await self.close()
        self.recorded, self.bed, self.sheet, self.arm, self.shot_with = None, None, None, None, None
        for screen in (self.live, self.second, self.room):
            screen.clear()

    def _after(self, observation: Observation) -> None:
        """Put what is known after a step on the page."""
        assert self.recorded is not None
        state = self.recorded.session.state
        if observation.refused:
            self._say(observation.refused[:1].upper() + observation.refused[1:] + ".", "warn")
        elif observation.feel is not None:
            self._say(felt(observation.feel))
        elif observation.said:
            self._say(said(observation.said))
        else:
            self._say("")
        pin = state.pin
        if pin is not None:
            cranial, ventral = angles_deg(pin.side, pin.axis)
            self.state.update({"op_cranial": round(cranial, 1), "op_ventral": round(ventral, 1)})
        self.state.update(
            {"op_clock": clock(state.seconds), "op_shots": state.shots, "op_fluoro": f"{state.fluoroscopy_s:.1f}",
             "op_dose": f"{state.dose_area_ugy_m2:.1f}",
             "op_pin": "none" if pin is None else f"{pin.depth_mm:.0f} mm behind the skin",
             "op_implants": [
                 f"{i.side} {i.trajectory.model.id} {i.trajectory.length_mm:g} mm" for i in state.implants]}
        )  # fmt: skip
        self._arm_changed()

    def _say(self, text: str, tone: str = "plain") -> None:
        self.state.update({"op_message": text, "op_tone": tone})

    def _pose_words(self) -> str:
        assert self.arm is not None
        a = self.arm.wanted
        return f"orbital {a.orbital_deg:.0f}°  tilt {a.tilt_deg:.0f}°  wig-wag {a.wig_wag_deg:.0f}°"

    def _edges(self, image: Radiograph) -> dict[str, str]:
        assert self.recorded is not None
        frame = self.recorded.session.theatre.anatomy.frame
        return edge_letters(image, CArmGeometry.of(image.carm, image.detector), frame)


def rated(sheet: ScoreSheet) -> str:
    """How an operation went, in a sentence; what the labels leave open is not called clear."""
    return f"Rating {cut(sheet.rating, 0)} of 100: {verdict(sheet_document(sheet)).headline}"


def sides_of(word: str) -> tuple[Side, ...]:
    """One side, or both.

    Examples
    --------
    >>> sides_of("both"), sides_of("left")
    (('left', 'right'), ('left',))
    """
    sides: tuple[Side, ...] = get_args(Side)
    return sides if word == "both" else tuple(side for side in sides if side == word)


def _number(value: Any) -> float | None:
    """A number that a page sent, if it is one."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 1e5 else None
