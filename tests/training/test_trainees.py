"""Virtual trainees play as the literature says people do, by the trainer's own actions and nothing else."""

import ast
import inspect

import numpy as np
import pytest

from sjplan.core.errors import UnknownNameError
from sjplan.core.plan import Plan
from sjplan.training import trainees
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre
from sjplan.training.trainees import operate, trainee

SKILLED = ("novice", "improving", "expert")
OPERATIONS = 5


def played(theatre: Theatre, plan: Plan, name: str, seed: int) -> Session:
    return operate(Session(theatre, seed, images=False), trainee(name), plan, seed)


def off_the_plan(session: Session, plan: Plan) -> list[tuple[float, float]]:
    """Tip (mm) and angle (degrees) of each implant off the planned one that it begins nearest to."""
    found = []
    for placed in session.state.implants:
        own = placed.trajectory
        path = min(plan.trajectories, key=lambda p: float(np.linalg.norm(own.entry_lps_mm - p.entry_lps_mm)))
        turn = np.rad2deg(np.arccos(np.clip(own.axis @ path.axis, -1.0, 1.0)))
        found.append((float(np.linalg.norm(own.tip_lps_mm - path.tip_lps_mm)), float(turn)))
    return found


def test_an_expert_ends_an_operation_and_its_log_replays(theatre: Theatre, planned: Plan) -> None:
    session = played(theatre, planned, "expert", 0)
    assert session.state.finished
    assert len(session.state.implants) == 3
    assert played(theatre, planned, "expert", 0).events == session.events
    assert played(theatre, planned, "expert", 1).events != session.events
    assert replayed(theatre, session.header, session.events).state.fingerprint == session.state.fingerprint


def test_one_who_is_fooled_never_looks_the_other_way(theatre: Theatre, planned: Plan) -> None:
    session = played(theatre, planned, "one-view", 0)
    tilts = [event["action"]["tilt_deg"] for event in session.events if event["action"]["do"] == "move-arm"]
    assert session.state.finished
    assert (
        max(tilts)
        < 15.0
        < max(
            event["action"]["tilt_deg"]
            for event in played(theatre, planned, "expert", 0).events
            if event["action"]["do"] == "move-arm"
        )
    )


def test_an_unknown_trainee_gets_a_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'expert'"):
        trainee("expertt")


def test_trainees_know_no_score() -> None:
    """What they do must not follow from what is rewarded."""
    tree = ast.parse(inspect.getsource(trainees))
    named = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    named += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    assert not [name for name in named if "score" in name or "safety" in name]


@pytest.mark.slow
def test_they_end_as_far_off_and_take_as_many_shots_as_people_do(theatre: Theatre, planned: Plan) -> None:
    """KAMP23: 4.9 +- 1.3 mm and 4.0 +- 1.4 degrees; STRAIGHT: more than 12 mm untrained; CLINICAL.md 5.4: shots."""
    tip, turn, shots = {}, {}, {}
    for name in SKILLED:
        sessions = [played(theatre, planned, name, seed) for seed in range(OPERATIONS)]
        off = np.array([pair for session in sessions for pair in off_the_plan(session, planned)])
        tip[name], turn[name] = off.mean(axis=0)
        placed = sum(len(session.state.implants) for session in sessions)
        shots[name] = sum(session.state.shots for session in sessions) / placed
        assert placed > 2.5 * OPERATIONS
    assert tip["expert"] == pytest.approx(4.9, abs=1.3)
    assert turn["expert"] == pytest.approx(4.0, abs=1.4)
    assert tip["novice"] > 9.0
    assert tip["expert"] < tip["improving"] < tip["novice"]
    assert turn["expert"] < turn["improving"] < turn["novice"]
    assert 6.0 <= shots["expert"] <= 10.0
