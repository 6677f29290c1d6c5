"""Real programs as planners: ones that answer, and ones that fail in every way that a program can."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sjplan.bench.external import ExternalPlanner, ProgramError, ProgramTimeout
from sjplan.core.plan import Outcome
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.testing.problems import fingerprint, impossible_problem

ANSWER = '{"schema": "sjplan.answer/1", "status": "timeout", "evaluations": 3}'

ONE_ENTRY = '{"schema": "sjplan.answer/1", "status": "found", "implants": [{"entry_lps_mm": [%s, 0, 0]}]}'

ACROSS = '''
"""Implants straight along the joint's mean normal, at heights drawn from the seed; refuses what cannot be."""
import json, random, sys

problem = json.load(sys.stdin)
random.seed(problem["seed"])
if problem["limits"]["crossing_spacing_min_mm"] > 40:
    print("no room", file=sys.stderr)
    why = {"constraint": "crossing_spacing", "missing": 20.0, "unit": "mm", "text": "the joint is too short"}
    json.dump({"schema": "sjplan.answer/1", "status": "infeasible", "reasons": [why]}, sys.stdout)
    sys.exit(0)
points = sorted(problem["joint"]["sacral_lps_mm"], key=lambda p: -p[2])
way, implants = problem["joint"]["mean_normal"], []
for slot in range(len(problem["implants"])):
    x = points[int(len(points) * (0.2 + 0.3 * slot) + random.randrange(5))]
    implants.append({"entry_lps_mm": [a - 30 * b for a, b in zip(x, way)],
                     "tip_lps_mm": [a + 10 * b for a, b in zip(x, way)]})
json.dump({"schema": "sjplan.answer/1", "status": "best_effort", "implants": implants}, sys.stdout)
'''


def ask(planner: ExternalPlanner, problem: Problem, seed: int = 0, budget: Budget | None = None) -> Outcome:
    return planner.plan(problem, rng=np.random.default_rng(seed), budget=budget or Budget())


def shell(script: str, seconds: float = 20.0) -> ExternalPlanner:
    return ExternalPlanner(["sh", "-c", script], time_limit_s=seconds)


@pytest.fixture
def across(tmp_path: Path) -> ExternalPlanner:
    path = tmp_path / "across-v2"
    path.write_text(f"#!{sys.executable}\n{ACROSS}")
    path.chmod(0o755)
    return ExternalPlanner([str(path)])


def test_a_python_program_plans_through_the_joint(across: ExternalPlanner, problem: Problem) -> None:
    heard: list[tuple[str, float]] = []
    outcome = ask(across, problem, budget=Budget(progress=lambda what, share: heard.append((what, share))))
    assert outcome.plan is not None
    assert outcome.plan.planner == across.spec.id == "exec-across-v2"
    joint = problem.anatomy.joints["left"]
    for t in outcome.plan.trajectories:
        assert t.length_mm == pytest.approx(40.0, abs=1e-3)
        crossing = t.entry_lps_mm + 30.0 * t.axis
        assert np.linalg.norm(joint.sacral_lps_mm - crossing, axis=1).min() < 0.01
    assert [share for _, share in heard] == [0.0, 1.0]
    assert outcome.seconds > 0


def test_it_refuses_and_repeats_itself(across: ExternalPlanner, problem: Problem) -> None:
    refusal = ask(across, impossible_problem())
    assert (refusal.status, refusal.reasons[0].text) == ("infeasible", "the joint is too short")
    sent = pickle.loads(pickle.dumps(across))
    assert fingerprint(ask(sent, problem, seed=4)) == fingerprint(ask(across, problem, seed=4))
    assert fingerprint(ask(across, problem, seed=5)) != fingerprint(ask(across, problem, seed=4))


def test_arguments_name_files_of_the_folder_it_was_named_in(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answer.json").write_text(ANSWER)
    monkeypatch.chdir(tmp_path)
    planner = ExternalPlanner(["cat", "answer.json"])
    monkeypatch.chdir("/")
    assert ask(planner, problem).evaluations == 3


def test_ids_come_from_the_command_or_from_a_spec() -> None:
    assert ExternalPlanner(["awk", "-f", "some/Rule_2.awk"]).spec.id == "exec-awk-f-rule-2-awk-v0"
    assert ExternalPlanner(["true"], spec=PlannerSpec("mine-v3", "mine")).spec.id == "mine-v3"


@pytest.mark.parametrize(
    ("script", "match"),
    [("exit 3", "program sh: found exit code 3, nothing on stderr; wanted exit code 0"),
     ("echo oh no >&2; exit 4", "found exit code 4, stderr ends 'oh no'"),
     ("yes complaint | head -c 9000000 >&2; exit 1", "found exit code 1, stderr ends 'complaint"),
     ("kill -SEGV $$", "found ended by SIGSEGV"),
     ("true", "found nothing on stdout"),
     ("echo planning...; cat > /dev/null", "found 'planning...'"),
     (f"echo 'loading'; echo '{ANSWER}'", "found 'loading"),
     ("head -c 3000 /dev/urandom", "program sh: found"),
     ("yes", "found more than 4194304 bytes on stdout"),
     (f"echo '{ONE_ENTRY % 'nan'}'", "wanted one JSON object"),
     (f"echo '{ONE_ENTRY % 'NaN'}'", "NaN is no JSON number")],
)  # fmt: skip
def test_a_program_that_fails_is_one_line(problem: Problem, script: str, match: str) -> None:
    with pytest.raises(ProgramError, match=match) as caught:
        ask(shell(script), problem)
    assert not isinstance(caught.value, ProgramTimeout)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "script",
    ["sleep 60", "trap '' TERM; while true; do sleep 1; done", "exec >&- 2>&-; sleep 60", "yes >&2",
     f"echo '{ANSWER}'; sleep 60"],
)  # fmt: skip
def test_a_program_that_does_not_end_is_ended(problem: Problem, script: str) -> None:
    started = time.monotonic()
    with pytest.raises(ProgramTimeout, match=r"program sh: found no answer after 0.5 s; wanted an answer in time"):
        ask(shell(script, seconds=0.5), problem)
    assert time.monotonic() - started < 10


def test_what_it_starts_ends_with_it(problem: Problem, tmp_path: Path) -> None:
    """A child in the background neither holds the answer up nor lives on."""
    sign = tmp_path / "sign of life"
    started = time.monotonic()
    script = f"(while true; do echo alive >> '{sign}'; sleep 0.05; done) & sleep 0.2; echo '{ANSWER}'"
    assert ask(shell(script), problem).status == "timeout"
    assert time.monotonic() - started < 15
    size = sign.stat().st_size
    assert size > 0
    time.sleep(0.4)
    assert sign.stat().st_size == size


def test_a_child_that_left_the_group_does_not_hold_the_answer_up(problem: Problem) -> None:
    started = time.monotonic()
    assert ask(shell(f"setsid sleep 15 & echo '{ANSWER}'"), problem).status == "timeout"
    assert time.monotonic() - started < 10


ASKS = """
import pickle, sys
planner, problem = pickle.load(sys.stdin.buffer)
import numpy as np
from sjplan.planning.protocol import Budget
planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a program with whoever started it")
def test_it_ends_with_a_worker_that_is_killed(problem: Problem, tmp_path: Path) -> None:
    sign = tmp_path / "sign of life"
    planner = shell(f"while true; do echo alive >> '{sign}'; sleep 0.05; done", seconds=120)
    worker = subprocess.Popen([sys.executable, "-c", ASKS], stdin=subprocess.PIPE)
    assert worker.stdin is not None
    with worker.stdin as pipe:
        pipe.write(pickle.dumps((planner, problem)))
    started = time.monotonic()
    while not sign.exists() and time.monotonic() - started < 60:
        time.sleep(0.05)
    assert sign.exists()
    worker.kill()
    worker.wait()
    time.sleep(0.3)
    size = sign.stat().st_size
    time.sleep(0.4)
    assert sign.stat().st_size == size


def test_the_budget_is_told_and_sets_the_limit(problem: Problem) -> None:
    said = ask(shell(f"""grep -q '^"budget": {{"seconds": 0.25, "evaluations": 40}},$' && echo '{ANSWER}'"""), problem,
               budget=Budget(seconds=0.25, evaluations=40))  # fmt: skip
    assert said.evaluations == 3


def test_a_file_without_an_interpreter(problem: Problem, tmp_path: Path) -> None:
    path = tmp_path / "planner"
    path.write_bytes(b"\x00\x01 no program")
    path.chmod(0o755)
    with pytest.raises(ProgramError, match=r"Exec format error; .*fix: does its first line name an interpreter"):
        ask(ExternalPlanner([str(path)]), problem)
