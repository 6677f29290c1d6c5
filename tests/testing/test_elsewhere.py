"""Asked in another process a planner finds no truth of a phantom, and what it reaches for is told."""

import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.plan import Outcome, Reason
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.testing.contract import PlannerContract
from sjplan.testing.elsewhere import ChildError, ask_elsewhere
from sjplan.testing.problems import fingerprint, phantom_problem


@dataclass
class Reaches:
    """Tries every way to the truth; what it saw there is in its answer."""

    file: str
    spec: PlannerSpec = field(default=PlannerSpec("reaches-v1", "looks for what it should not know"))

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        print("on its way")
        ways = (self.by_import, self.by_the_makers_of_problems, lambda: Path(self.file).read_text())
        return Outcome("infeasible", reasons=tuple(Reason("saw", 1.0, "", self.seen(way)) for way in ways))

    def seen(self, way: Callable[[], str]) -> str:
        try:
            return way()
        except (ImportError, OSError):
            return "nothing"

    def by_import(self) -> str:
        from sjplan.phantom.truth import survey

        return str(survey)

    def by_the_makers_of_problems(self) -> str:
        from sjplan.testing.problems import phantom_labels

        return str(phantom_labels())


@dataclass
class Fails(Reaches):
    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        raise ValueError("lost its way")


@pytest.mark.slow
def test_what_it_reaches_for_is_out_of_reach_and_told(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    truth.write_text("the truth")
    contract, planner = PlannerContract(), Reaches(str(truth))
    with pytest.raises(AssertionError, match=r"the planner reached for sjplan\.phantom"):
        contract.test_truth_is_not_reached_for(planner)
    there = contract.elsewhere(planner)
    assert there.fingerprint == fingerprint(Outcome("infeasible", reasons=(Reason("saw", 1.0, "", "nothing"),) * 3))
    assert there.reached[-1] == str(truth)
    assert len(there.reached) >= 3
    with pytest.raises(ChildError, match=r"planner in another process: found ValueError: lost its way; wanted"):
        ask_elsewhere(Fails(""), phantom_problem(), 0)


def test_nothing_in_a_problem_holds_truth() -> None:
    """A problem as it is sent to a worker: no class of a phantom, no path, no word about truth."""
    sent = pickle.dumps(phantom_problem())
    words = [arg for _, arg, _ in pickletools.genops(sent) if isinstance(arg, str)]
    assert "sjplan.anatomy.types" in words
    assert [w for w in words if "phantom" in w or "truth" in w or "/" in w] == []
