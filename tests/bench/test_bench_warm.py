"""Planners that ship are asked once a process before they are timed, and nobody else is."""

import time

import numpy as np
import pytest

from sjplan.bench import warm
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.testing.problems import fingerprint


def test_who_ships_is_asked_once_and_changes_nothing(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_warm", set())
    before = fingerprint(problem)
    assert warm.warmed("rule-v1", problem)
    assert not warm.warmed("rule-v1", problem)
    assert warm.warmed("greedy-v1", problem)
    assert not warm.warmed("odd_planners:Straight", problem)
    assert not warm.warmed("exec:./program", problem)
    assert fingerprint(problem) == before


def test_the_first_answer_takes_no_longer_than_the_second(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_warm", set())
    warm.warmed("greedy-v1", problem)
    seconds = []
    for _ in range(2):
        begun = time.process_time()
        load("greedy-v1").plan(problem, rng=np.random.default_rng(0), budget=Budget(evaluations=150_000))
        seconds.append(time.process_time() - begun)
    assert seconds[0] < 1.6 * seconds[1] + 0.2
