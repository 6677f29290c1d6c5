"""The oracle is exact over its raster, held against trying every set; a bound below what it finds is called wrong."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import GeometryError
from sjplan.safety.judge import judge
from sjplan.testing.oracle import Raster, ask_oracle, best_triple, counted
from sjplan.testing.problems import phantom_problem

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("articular_min", [0, 2])
def test_the_best_set_is_that_of_trying_all(articular_min: int) -> None:
    rng = np.random.default_rng(7)
    for n in (0, 2, 3, 9, 14):
        links = np.triu(rng.random((n, n)) < 0.4, 1)
        slack, fits, articular = rng.random(n).round(1), rng.random((n, 3)) < 0.7, rng.random(n) < 0.5
        allowed = {
            (a, b, c)
            for a, b, c in itertools.combinations(range(n), 3)
            if links[a, b] and links[b, c] and links[a, c] and fits[a, 0] and fits[b, 1] and fits[c, 2]
            if articular[[a, b, c]].sum() >= articular_min
        }
        assert counted(links, fits, articular, articular_min).sum() == len(allowed)
        chosen, best = best_triple(links, slack, fits, articular, articular_min)
        assert best == max((slack[list(s)].min() for s in allowed), default=-np.inf)
        assert (chosen in allowed) if allowed else (chosen is None)
        if chosen is not None:
            assert slack[list(chosen)].min() == best


def test_three_times_one_model_is_asked_for() -> None:
    with pytest.raises(GeometryError, match=r"oracle models: found tri-7, thread-10, tri-7; wanted three times"):
        ask_oracle(phantom_problem(models=("tri-7", "thread-10", "tri-7")))


@pytest.mark.slow
def test_what_the_oracle_answers_is_a_plan_and_finer_rasters_find_more() -> None:
    problem = phantom_problem()
    coarse, fine = (ask_oracle(problem, Raster(*steps)) for steps in ((8.0, 16.0), (4.0, 8.0)))
    for answer in (coarse, fine):
        assert answer.plan is not None
        report = judge(answer.plan, problem.anatomy, problem.limits)
        assert report.accepted
        assert answer.slack_mm == pytest.approx(report.slack_mm, abs=1e-9)
        assert answer.loose_mm >= answer.slack_mm - 1e-3
        assert 0 < answer.measured < answer.axes
    assert fine.slack_mm > coarse.slack_mm
    assert fine.sets > 0


@pytest.mark.slow
def test_no_certificate_is_contradicted_on_two_phantoms(tmp_path: Path) -> None:
    """And a file in which a bound lies below the oracle is called wrong by the exit code."""
    out = tmp_path / "bound.json"
    command = [sys.executable, str(ROOT / "scripts" / "validate_bound.py"), "--phantoms", "2", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads(out.read_text(encoding="utf-8"))
    assert len(content["rows"]) == 2
    assert sum(row["oracle_mm"] is not None for row in content["rows"]) > 0
    for row in content["rows"]:
        assert row["wrong"] == []
        if row["oracle_mm"] is not None:
            assert row["sets"] > 0
            for answer in row["certified"].values():
                assert answer["upper_mm"] >= min(row["oracle_mm"], 3.0)
    content["rows"][0]["wrong"] = ["the oracle beat the bound"]
    out.write_text(json.dumps(content), encoding="utf-8")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=500, check=False)
    assert again.returncode == 1
    assert "contradict a certificate" in again.stdout
