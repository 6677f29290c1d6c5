"""What every planner keeps, as tests that ship: inherit `PlannerContract`, give it your planner, run pytest.

    class TestMyPlanner(PlannerContract):
        @pytest.fixture
        def planner(self):
            return MyPlanner()

pytest is imported here and nowhere else in the package; it comes with the extra `dev`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import multiprocessing
import pickle
import random
import re
import threading
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from sjplan.core.plan import Outcome, Side
from sjplan.planning.protocol import Budget, Planner, Problem
from sjplan.safety.judge import judge
from sjplan.safety.types import MarginReport
from sjplan.testing.elsewhere import There, ask_elsewhere
from sjplan.testing.problems import arrays, dishonesty, fingerprint, impossible_problem, phantom_problem

SEED = 20
SOFT_LIMITS = "soft-limits"
"""Capability of a planner that gives limits no priority: its plan may break one where another plan keeps all."""

Heard = list[tuple[str, float]]
"""What a listener to progress was told."""

FEW = 2000
"""Evaluations of a glimpse: what a planner does beside its answer is seen from a short run."""

SHOWN = 3
"""Claims that do not hold are named up to so many."""

SHARE_OF_TIME = 0.25
"""Share of the seconds that a planner takes without a budget, after which it is asked to end."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One short run on the first phantom, and what it left behind."""

    outcome: Outcome
    problem_changed: bool
    writable: int
    printed: str
    randomness_touched: bool
    left_running: tuple[str, ...]
    spec_changed: bool


class PlannerContract:
    """Tests that a planner passes, whoever wrote it.

    A planner that names the capability "soft-limits" does not look for a plan that keeps all limits (it trades them, or
    states one plan by rule): the judge may refuse it on an easy problem, and then it has to say `infeasible` with
    reasons and that plan as `nearest`. Everything else is asked of it as of any other.

    A subclass gives a fixture `planner`; each test asks it for a planner, and answers to the same question are
    kept within a process, so a contract costs about a dozen plans of the phantom at 2 mm. A planner has to be
    picklable: benchmarks send it to other processes.

    Attributes
    ----------
    invariance_tol_mm : float
        By how much the worst slack of a plan may differ between the phantom and its mirrored, shifted or turned
        self (mm). The default is what the project promises for margins; a planner that samples may need more.
    enough_slack_mm : float
        Worst slack beyond which the planner does not care for more (mm); such plans count as equally good.
    overrun_s : float
        How long a planner may go on after its seconds are over (s): it looks at the clock between its steps.
    """

    invariance_tol_mm: ClassVar[float] = 0.05
    enough_slack_mm: ClassVar[float] = math.inf
    overrun_s: ClassVar[float] = 3.0
    _answers: ClassVar[dict[str, tuple[Outcome, Heard]]] = {}
    _glimpses: ClassVar[dict[str, Glimpse]] = {}
    _elsewhere: ClassVar[dict[str, There]] = {}

    def solve(self, planner: Planner, problem: Problem) -> Outcome:
        """The planner's answer without a budget's bounds, made once a process."""
        return self.answer(planner, problem)[0]

    def answer(self, planner: Planner, problem: Problem) -> tuple[Outcome, Heard]:
        """The same with the progress that was heard."""
        key = _key(planner) + fingerprint(problem)
        if key not in self._answers:
            heard: Heard = []
            budget = Budget(progress=lambda what, fraction: heard.append((what, fraction)))
            self._answers[key] = self.fresh(planner, problem, budget), heard
        return self._answers[key]

    def fresh(self, planner: Planner, problem: Problem, budget: Budget) -> Outcome:
        """An answer that is made now."""
        return planner.plan(problem, rng=np.random.default_rng(SEED), budget=budget)

    def glimpse(self, planner: Planner) -> Glimpse:
        """A short run, made once a process, and what it did beside answering."""
        key = _key(planner)
        if key not in self._glimpses:
            self._glimpses[key] = self._seen(planner)
        return self._glimpses[key]

    def _seen(self, planner: Planner) -> Glimpse:
        problem = phantom_problem()
        before, spec = fingerprint(problem), fingerprint(planner.spec)
        threads, chance = {*threading.enumerate()}, _chance()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            outcome = self.fresh(planner, problem, Budget(evaluations=FEW))
        running = [t.name for t in threading.enumerate() if t not in threads and not t.daemon]
        running += [f"process {child.name}" for child in multiprocessing.active_children()]
        return Glimpse(
            outcome,
            problem_changed=fingerprint(problem) != before,
            writable=sum(array.flags.writeable for array in arrays(problem)),
            printed=printed.getvalue(),
            randomness_touched=_chance() != chance,
            left_running=tuple(running),
            spec_changed=fingerprint(planner.spec) != spec,
        )

    def elsewhere(self, planner: Planner) -> There:
        """What came of asking in another process, made once."""
        key = _key(planner)
        if key not in self._elsewhere:
            self._elsewhere[key] = ask_elsewhere(planner, phantom_problem(), SEED)
        return self._elsewhere[key]

    def require_honest(self, planner: Planner, problem: Problem, outcome: Outcome) -> None:
        """Fail where the answer claims what does not hold."""
        wrong = dishonesty(problem, outcome, planner.spec.id)
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        assert not wrong, f"{planner.spec.id} on the {problem.side} side: " + "; ".join(wrong[:SHOWN]) + more

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
        there = self.elsewhere(planner).fingerprint
        assert there == fingerprint(self.solve(planner, phantom_problem())), "another process gave another answer"

    def test_truth_is_not_reached_for(self, planner: Planner) -> None:
        """In that process no part of a phantom can be imported and no truth file opened: the planner does not try."""
        reached = self.elsewhere(planner).reached
        assert not reached, f"the planner reached for {', '.join(reached)}"

    def test_it_can_be_sent_to_another_process(self, planner: Planner) -> None:
        """Pickled and restored it is the same planner: benchmarks send planners to workers."""
        restored = pickle.loads(pickle.dumps(planner))
        assert isinstance(restored, Planner), "what comes back is no planner"
        assert fingerprint(restored.spec) == fingerprint(planner.spec), "another spec comes back"

    def test_answer_does_not_depend_on_what_was_asked_before(self, planner: Planner) -> None:
        """The first question again, after one about another side with other models: the same answer to the last bit."""
        first = self.glimpse(planner).outcome
        self.fresh(planner, phantom_problem(side="right", models=("screw-7.3",) * 2), Budget(evaluations=FEW))
        again = self.fresh(planner, phantom_problem(), Budget(evaluations=FEW))
        assert fingerprint(again) == fingerprint(first), "another question in between changed the answer"

    # --- what it leaves behind ----------------------------------------------------------------------------------------

    def test_problem_is_left_alone(self, planner: Planner) -> None:
        """Nothing that the planner was given is changed, and its arrays are as read-only as they were."""
        seen = self.glimpse(planner)
        assert not seen.problem_changed, "the planner changed its problem"
        assert not seen.writable, f"the planner made {seen.writable} arrays of its problem writable"

    def test_nothing_is_printed(self, planner: Planner) -> None:
        """Standard output belongs to whoever asks: `--json` prints one object there, workers send results."""
        printed = self.glimpse(planner).printed
        assert not printed, f"the planner printed {printed[:60]!r}: use budget.report, or sys.stderr"

    def test_global_randomness_is_left_alone(self, planner: Planner) -> None:
        """Chance comes from `rng` alone: the generators of `random` and `numpy.random` stand where they stood."""
        touched = self.glimpse(planner).randomness_touched
        assert not touched, "the planner drew from or seeded the global generator: use the rng that it is given"

    def test_nothing_is_left_running(self, planner: Planner) -> None:
        """Threads and processes that it started have ended with the answer."""
        left = self.glimpse(planner).left_running
        assert not left, f"the planner left running: {', '.join(left)}"

    def test_spec_stays(self, planner: Planner) -> None:
        """Who it is does not change while it plans."""
        assert not self.glimpse(planner).spec_changed, "the planner changed its spec"

    # --- where the patient lies ---------------------------------------------------------------------------------------

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

    def test_seconds_are_kept(self, planner: Planner) -> None:
        """Asked to end after a quarter of the time it likes to take, it soon does, and says what it has."""
        problem = phantom_problem()
        budget = Budget(seconds=max(0.05, SHARE_OF_TIME * self.solve(planner, problem).seconds))
        outcome = self.fresh(planner, problem, budget)
        took = budget.elapsed_s
        over = took - (budget.seconds or 0.0)
        self.require_honest(planner, problem, outcome)
        assert over <= self.overrun_s, f"{over:.1f} s after its seconds were over; {self.overrun_s:g} s are allowed"
        assert outcome.seconds <= took + 0.01, f"it says {outcome.seconds:.2f} s, and took {took:.2f} s"

    def test_impossible_problem_under_a_tiny_budget(self, planner: Planner) -> None:
        """No plan comes of haste either: `timeout` or `infeasible`, and nothing claimed that does not hold."""
        problem = impossible_problem()
        outcome = self.fresh(planner, problem, Budget(evaluations=FEW))
        self.require_honest(planner, problem, outcome)
        assert outcome.plan is None, f"an impossible problem ended {outcome.status}"

    def test_obstacles_are_kept_clear_of(self, planner: Planner) -> None:
        """Where an implant of the other side stands in the way of the planner's own plan, the next plan goes round it.

        Asked with half of the evaluations that it likes to make: no plan in that time is an answer too.
        """
        free = self.solve(planner, phantom_problem())
        plan = free.plan or free.nearest
        assert plan is not None, "an easy problem was answered without any plan"
        problem = replace(phantom_problem(), obstacles=plan.trajectories[:1])
        outcome = self.fresh(planner, problem, Budget(evaluations=max(1, free.evaluations // 2)))
        self.require_honest(planner, problem, outcome)

    def test_progress_is_a_fraction(self, planner: Planner) -> None:
        """Whoever listens hears a few words and a fraction from 0 to 1 that never falls."""
        self.require_progress(self.answer(planner, phantom_problem())[1])


def _key(planner: Planner) -> str:
    """Planners with one key give one answer."""
    return hashlib.sha256(pickle.dumps(planner)).hexdigest()


def _chance() -> str:
    """Where the global generators stand."""
    return fingerprint(random.getstate(), np.random.get_state(legacy=True))  # noqa: NPY002
