"""The contract's phantom as an operating room, a plan of either side, and one operation that went wrong."""

from collections.abc import Mapping

import pytest
import training_support
from training_support import implant, into_s1, pin_along

from sjplan.core.plan import Plan, Side
from sjplan.io.cases import Case
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training import actions as act
from sjplan.training.debrief import Debrief, debrief
from sjplan.training.process import Looks
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre() -> Theatre:
    return open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())


@pytest.fixture(scope="session")
def planned() -> Plan:
    return training_support.planned()


@pytest.fixture(scope="session")
def plans(theatre: Theatre, planned: Plan) -> Mapping[Side, Plan]:
    """Of both sides."""
    right = training_support.mirrored(planned)
    assert judge(right, theatre.anatomy, theatre.limits, theatre.surfaces("right")).accepted
    return {"left": planned, "right": right}


@pytest.fixture(scope="session")
def looks(theatre: Theatre) -> Looks:
    return Looks(theatre)


@pytest.fixture(scope="session")
def plan(planned: Plan) -> Plan:
    return planned


@pytest.fixture(scope="session")
def told(theatre: Theatre, plan: Plan) -> Session:
    """One implant in the S1 foramen, one pin turned and given up, one implant by the plan."""
    session = Session(theatre, 3, images=False)
    implant(session, plan.side, into_s1(theatre, plan), "inlet", "outlet", "ap")
    session.step(pin_along(theatre, plan.side, plan.trajectories[1]))
    session.step(act.PushPin(200.0))
    session.step(act.TapPin(3, 1.0))
    session.step(act.TiltPin(0.0, 0.0))
    session.step(act.WithdrawPin(300.0))
    implant(session, plan.side, plan.trajectories[2], "inlet")
    session.step(act.Finish())
    return session


@pytest.fixture(scope="session")
def found(told: Session, plan: Plan) -> Debrief:
    return debrief(told, {plan.side: plan})
