"""What every planner keeps, as tests that ship: inherit `PlannerContract`, give it your planner, run pytest.

    class TestMyPlanner(PlannerContract):
        @pytest.fixture
        def planner(self):
            return MyPlanner()

pytest is imported here and nowhere else in the package; it comes with the extra `dev`.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import re
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from sjplan.core.plan import Outcome, Side
from sjplan.planning.protocol import Budget, Planner, Problem
from sjplan.safety.judge import judge
from sjplan.safety.types import MarginReport
from sjplan.testing.problems import dishonesty, fingerprint, impossible_problem, phantom_problem

SEED = 20
SOFT_LIMITS = "soft-limits"
"""Capability of a planner that gives limits no priority: its plan may break one where another plan keeps all."""

Heard = list[tuple[str, float]]
"""What a listener to progress was told."""

_CHILD = """
import pickle, sys
path, planner, problem, seed = pickle.loads(sys.stdin.buffer.read())
sys.path[:] = path
import numpy as np
from sjplan.planning.protocol import Budget
from sjplan.testing.problems import fingerprint
planner, problem = pickle.loads(planner), pickle.loads(problem)
print(fingerprint(planner.plan(problem, rng=np.random.default_rng(seed), budget=Budget())))
"""
"""Plans in a fresh process: modules are looked for where the parent looks for them."""


class PlannerContract:
    """Tests that a planner passes, whoever wrote it.

    A planner that names the capability "soft-limits" does not look for a plan that keeps all limits (it trades them, or
    states one plan by rule): the judge may refuse it on an easy problem, and then it has to say `infeasible` with
    reasons and that plan as `nearest`. Everything else is asked of it as of any other.

    A subclass gives a fixture `planner`; each test asks it for a planner, and answers to the same question are
    kept within a process, so a contract costs about ten plans of the phantom at 2 mm. A planner has to be picklable:
    benchmarks send it to other processes.

    Attributes
    ----------
    invariance_tol_mm : float
        By how much the worst slack of a plan may differ between the phantom and its mirrored, shifted or turned
        self (mm). The default is what the project promises for margins; a planner that samples may need more.
    enough_slack_mm : float
        Worst slack beyond which the planner does not care for more (mm); such plans count as equally good.
    """

    invariance_tol_mm: ClassVar[float] = 0.05
    enough_slack_mm: ClassVar[float] = math.inf
    _answers: ClassVar[dict[str, tuple[Outcome, Heard]]] = {}

    def solve(self, planner: Planner, problem: Problem) -> Outcome:
        """The planner's answer without a budget's bounds, made once a process."""
        return self.answer(planner, problem)[0]

    def answer(self, planner: Planner, problem: Problem) -> tuple[Outcome, Heard]:
        """The same with the progress that was heard."""
        key = hashlib.sha256(pickle.dumps(planner)).hexdigest() + fingerprint(problem)
        if key not in self._answers:
            heard: Heard = []
            budget = Budget(progress=lambda what, fraction: heard.append((what, fraction)))
            self._answers[key] = self.fresh(planner, problem, budget), heard
        return self._answers[key]

    def fresh(self, planner: Planner, problem: Problem, budget: Budget) -> Outcome:
        """An answer that is made now."""
        return planner.plan(problem, rng=np.random.default_rng(SEED), budget=budget)

    def require_honest(self, planner: Planner, problem: Problem, outcome: Outcome) -> None:
        """Fail where the answer claims what does not hold."""
        wrong = dishonesty(problem, outcome, planner.spec.id)
        assert not wrong, f"{planner.spec.id} on the {problem.side} side: " + "; ".join(wrong)

    def require_progress(self, heard: Heard) -> None:
        """Fail where progress is missing, wordless, out of 0 to 1, or falls back."""
        assert heard, "no progress was reported"
        for what, fraction in heard:
            assert what.strip(), "progress without words"
            assert 0.0 <= fraction <= 1.0, f"progress {fraction} at {what!r}"
        fractions = [fraction for _, fraction in heard]
        assert fractions == sorted(fractions), f"progress fell back: {fractions}"

    def solved(self, planner: Planner, problem: Problem) -> MarginReport:
        """The judge's report on a plan that has to be found."""
        outcome = self.solve(planner, problem)
        self.require_honest(planner, problem, outcome)
        because = "; ".join(reason.text for reason in outcome.reasons)
        may_be_refused = SOFT_LIMITS in planner.spec.capabilities and outcome.nearest is not None
        assert outcome.status == "found" or (may_be_refused and outcome.status == "infeasible"), (
            f"an easy problem without a budget ended {outcome.status}: {because}"
        )
        plan = outcome.plan or outcome.nearest
        assert plan is not None
        return judge(plan, problem.anatomy, problem.limits)

    # --- what it says of itself ---------------------------------------------------------------------------------

    def test_it_is_a_planner(self, planner: Planner) -> None:
        """It has a spec and a method `plan`."""
        assert isinstance(planner, Planner), f"{type(planner).__name__} has no spec or no plan()"

    def test_spec_is_valid(self, planner: Planner) -> None:
        """The id carries a version, the summary is one line, parameters and capabilities are plain values."""
        spec = planner.spec
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-v[0-9]+", spec.id), f"id {spec.id!r}: wanted a form like name-v1"
        assert spec.summary.strip(), "the summary is empty"
        assert "\n" not in spec.summary, "the summary is more than one line"
        for capability in spec.capabilities:
            assert isinstance(capability, str), f"capability {capability!r} is no string"
        for name, value in spec.parameters.items():
            assert isinstance(name, str), f"parameter name {name!r} is no string"
            assert isinstance(value, (bool, int, float, str)), f"parameter {name} is a {type(value).__name__}"
            assert not isinstance(value, float) or math.isfinite(value), f"parameter {name} is {value}"

    # --- plans ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_easy_problem_is_solved(self, planner: Planner, side: Side) -> None:
        """The phantom has millimetres to spare: three implants, accepted, in order, of catalogue lengths."""
        report = self.solved(planner, phantom_problem(side=side))
        assert report.side == side
        assert len(report.implants) == 3
        heights = [float(i.crossing_lps_mm[2]) for i in report.implants if i.crossing_lps_mm is not None]
        assert heights == sorted(heights, reverse=True), "implants are not in order from cranial to caudal"
        assert all(i.trajectory.in_catalogue for i in report.implants), "a length is not in the catalogue"

    def test_plan_says_who_made_it(self, planner: Planner) -> None:
        """A plan carries the planner's id and plain parameters, so that a file can name them."""
        self.solved(planner, phantom_problem())
        outcome = self.solve(planner, phantom_problem())
        plan = outcome.plan or outcome.nearest
        assert plan is not None
        assert plan.planner == planner.spec.id
        for name, value in plan.parameters.items():
            assert isinstance(value, (bool, int, float, str)), f"plan parameter {name} is a {type(value).__name__}"

    def test_two_implants(self, planner: Planner) -> None:
        """A problem with two slots gets two implants."""
        assert len(self.solved(planner, phantom_problem(models=("tri-7", "tri-7"))).implants) == 2

    @pytest.mark.parametrize("models", [("screw-7.3",) * 3, ("tri-7", "screw-7.3", "tri-7")], ids=["same", "mixed"])
    def test_other_models(self, planner: Planner, models: tuple[str, ...]) -> None:
        """Cylinders, and a model of its own for each slot."""
        report = self.solved(planner, phantom_problem(models=models))
        assert tuple(i.trajectory.model.id for i in report.implants) == models

    def test_impossible_problem_is_refused(self, planner: Planner) -> None:
        """No three crossings lie 60 mm apart: `infeasible`, with reasons; never an exception, never a plan."""
        problem = impossible_problem()
        outcome, heard = self.answer(planner, problem)
        self.require_honest(planner, problem, outcome)
        self.require_progress(heard)
        assert outcome.status == "infeasible", f"an impossible problem ended {outcome.status}"
        assert any(reason.missing > 0 for reason in outcome.reasons), "no reason says how much is missing"
        if "nearest" in planner.spec.capabilities:
            assert outcome.nearest is not None, "the planner claims 'nearest' and gives none"

    # --- the same question, the same answer -------------------------------------------------------------------------

    def test_same_seed_same_answer(self, planner: Planner) -> None:
        """Asked again in the same process, after other work, the answer is the same to the last bit."""
        problem = phantom_problem()
        first = self.solve(planner, problem)
        again = self.fresh(planner, problem, Budget())
        assert fingerprint(again) == fingerprint(first), "the same seed gave two different answers"

    def test_same_seed_same_answer_in_another_process(self, planner: Planner) -> None:
        """A fresh process, with another order of sets and dictionaries, gives the same answer to the last bit."""
        problem = phantom_problem()
        sent = pickle.dumps((sys.path, pickle.dumps(planner), pickle.dumps(problem), SEED))
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=sent,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "1234"},
        )
        assert child.returncode == 0, child.stderr.decode(errors="replace")
        there = child.stdout.decode().split()[-1]
        assert there == fingerprint(self.solve(planner, problem)), "another process gave another answer"

    def test_problem_is_left_alone(self, planner: Planner) -> None:
        """Nothing that the planner was given is changed."""
        problem = phantom_problem()
        before = fingerprint(problem)
        self.fresh(planner, problem, Budget(evaluations=2000))
        assert fingerprint(problem) == before, "the planner changed its problem"

    @pytest.mark.parametrize("case", ["mirrored", "shifted", "turned"])
    def test_answer_does_not_depend_on_where_the_patient_lies(self, planner: Planner, case: str) -> None:
        """The same voxels on a grid that lies elsewhere, or mirrored: a plan of the same worst slack."""
        here = min(self.solved(planner, phantom_problem()).slack_mm, self.enough_slack_mm)
        there = min(self.solved(planner, phantom_problem(case)).slack_mm, self.enough_slack_mm)
        assert abs(there - here) <= self.invariance_tol_mm, f"worst slack {here:.3f} mm, {case} {there:.3f} mm"

    # --- budgets ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
    def test_evaluations_are_capped(self, planner: Planner, share: float) -> None:
        """Never more evaluations than paid for; and what was cut short is neither `found` nor `infeasible`."""
        problem = phantom_problem()
        free = self.solve(planner, problem).evaluations
        if free < 2:
            pytest.skip("this planner counts no evaluations")
        cap = max(1, int(share * free))
        outcome = self.fresh(planner, problem, Budget(evaluations=cap))
        self.require_honest(planner, problem, outcome)
        assert outcome.evaluations <= cap, f"{outcome.evaluations} evaluations, {cap} were allowed"
        assert outcome.status in ("best_effort", "timeout"), f"cut short, and called {outcome.status}"

    @pytest.mark.parametrize("bound", ["evaluations", "seconds"])
    def test_tiny_budget_is_no_error(self, planner: Planner, bound: str) -> None:
        """One evaluation, or a hundredth of a second: a legal status, and a small share of the whole work."""
        problem = phantom_problem()
        budget = Budget(evaluations=1) if bound == "evaluations" else Budget(seconds=0.01)
        outcome = self.fresh(planner, problem, budget)
        self.require_honest(planner, problem, outcome)
        assert outcome.status != "infeasible", "an easy problem was called infeasible because the budget ended"
        free = self.solve(planner, problem)
        if free.evaluations > 100:
            assert outcome.evaluations <= 0.2 * free.evaluations, "the planner went on after its budget had ended"

    def test_progress_is_a_fraction(self, planner: Planner) -> None:
        """Whoever listens hears a few words and a fraction from 0 to 1 that never falls."""
        self.require_progress(self.answer(planner, phantom_problem())[1])
