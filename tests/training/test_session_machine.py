"""Random sequences of actions: whatever a trainee does, the state stays one that an operation can have.

`SJPLAN_SEQUENCES=10000 pytest tests/training/test_session_machine.py` asks as many as that.
"""

import math
import os
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training import actions as act
from sjplan.training.moves import MOST_IMPLANTS, metal
from sjplan.training.pin import BROKEN_DEG, PIN_LENGTH_MM, held
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import open_theatre

SEQUENCES, STEPS = int(os.environ.get("SJPLAN_SEQUENCES", "25")), 20
_THEATRE = []


def theatre_of_all():
    if not _THEATRE:
        _THEATRE.append(open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy()))
    return _THEATRE[0]


def values(name: str) -> st.SearchStrategy:
    """Any value that a field takes, and often one that a surgeon would choose."""
    usual = {
        "up_mm": st.floats(0.0, 40.0),
        "along_mm": st.floats(-60.0, 20.0),
        "cranial_deg": st.floats(-10.0, 20.0),
        "ventral_deg": st.floats(-10.0, 20.0),
        "distance_mm": st.floats(0.0, 200.0),
        "depth_mm": st.floats(0.0, 45.0),
        "tilt_deg": st.floats(-40.0, 40.0),
        "seconds": st.floats(0.0, 2.0),
    }
    words = {
        "side": st.sampled_from(["left", "right"]),
        "mode": st.sampled_from(["fluoroscopy", "single-shot"]),
        "model": st.sampled_from(["tri-7", "none"]),
        "length_mm": st.sampled_from([35.0, 40.0, 41.0, 45.0, 50.0]),
    }
    if name in words:
        return words[name]
    low, high = act.LIMITS[name]
    whole = st.integers(int(low), int(high)) if name == "blows" else st.floats(low, high)
    return st.one_of(usual[name], usual[name], whole) if name in usual else whole


def an_action(kind: type) -> st.SearchStrategy:
    return st.builds(kind, **{f.name: values(f.name) for f in fields(kind)})


class Operation(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.session = Session(theatre_of_all(), seed, images=False)
        self.before = self.session.state

    def _do(self, action: act.Action) -> None:
        self.before = self.session.state
        seen = self.session.step(action)
        assert (self.session.state is self.before) == (seen.refused is not None)

    @rule(action=st.sampled_from(list(act.KINDS.values())).flatmap(an_action))
    def anything(self, action: act.Action) -> None:
        self._do(action)

    @precondition(lambda self: self.session.state.pin is None and not self.session.state.finished)
    @rule(action=an_action(act.PlacePin))
    def begin_a_pin(self, action: act.Action) -> None:
        self._do(action)
        self._do(act.PushPin(200.0))

    @precondition(lambda self: self.session.state.pin is not None)
    @rule(action=st.one_of(*(an_action(k) for k in (act.TapPin, act.Drill, act.Broach, act.Insert))))
    def go_on(self, action: act.Action) -> None:
        self._do(action)

    @invariant()
    def every_number_is_one(self) -> None:
        def finite(value: object) -> bool:
            if isinstance(value, dict):
                return all(finite(v) for v in value.values())
            if isinstance(value, list):
                return all(finite(v) for v in value)
            return not isinstance(value, float) or math.isfinite(value)

        assert finite(self.session.state.as_dict())

    @invariant()
    def time_dose_and_counts_never_fall(self) -> None:
        for name in (
            "seconds",
            "fluoroscopy_s",
            "dose_area_ugy_m2",
            "shots",
            "redirections",
            "perforations",
            "finished",
        ):
            assert getattr(self.session.state, name) >= getattr(self.before, name)

    @invariant()
    def pin_and_path_belong_together(self) -> None:
        state = self.session.state
        if state.pin is None:
            assert state.passage is None
            assert not state.reached_bone
            return
        pin = state.pin
        assert 0.0 <= pin.depth_mm <= PIN_LENGTH_MM
        assert np.linalg.norm(pin.axis) == pytest.approx(1.0, abs=1e-9)
        assert pin.broken == (pin.bend_deg >= BROKEN_DEG)
        where = held(self.session.theatre.tissue, pin)
        assert len(where.exits_mm) == state.runs_out
        assert state.reached_bone or where.first_mm is None
        if state.passage is not None:
            assert 0.0 <= state.passage.broached_mm <= state.passage.drilled_mm
            off = np.cross(state.passage.entry_lps_mm - pin.skin_lps_mm, pin.axis)
            assert np.linalg.norm(off) < 1e-6

    @invariant()
    def implants_are_real_ones_and_no_more_than_fit(self) -> None:
        state = self.session.state
        for side in ("left", "right"):
            assert len(state.of_side(side)) <= MOST_IMPLANTS  # type: ignore[arg-type]
        assert all(i.trajectory.in_catalogue for i in state.implants)
        assert len(metal(state)[0]) == len(state.implants)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            again = replayed(self.session.theatre, self.session.header, self.session.events)
            assert again.state.fingerprint == self.session.state.fingerprint


@pytest.mark.slow
def test_no_sequence_of_actions_breaks_an_operation() -> None:
    run_state_machine_as_test(
        Operation,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
