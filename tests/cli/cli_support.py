"""What the tests of the command line share: the outcome of a command, and checks on it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from sjplan.core.plan import Outcome, Plan
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.planfile import plan_from_entry, read_plan
from sjplan.planning.protocol import Budget, PlannerSpec, Problem


@dataclass(frozen=True)
class Done:
    """What one command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; fails if there is anything else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


Sjplan = Callable[..., Done]


def changed(image: sitk.Image, change: Callable[[np.ndarray], np.ndarray]) -> sitk.Image:
    """The same image with other voxels ([k, j, i])."""
    result = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
    result.CopyInformation(image)
    return result


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.startswith("sjplan: ") and "Traceback" not in text


def moved(trajectory: Trajectory, by_mm: tuple[float, float, float]) -> Trajectory:
    shift = np.array(by_mm)
    return replace(trajectory, entry_lps_mm=trajectory.entry_lps_mm + shift, tip_lps_mm=trajectory.tip_lps_mm + shift)


class Stub:
    """A planner that always gives one answer."""

    spec = PlannerSpec("stub-v1", "answers what it was told")

    def __init__(self, answer: Callable[[Problem], Outcome]) -> None:
        self.answer = answer

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        budget.report("answering", 0.5)
        return self.answer(problem)


def use_stub(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Problem], Outcome]) -> None:
    monkeypatch.setattr("sjplan.planning.registry.load", lambda planner_id: Stub(answer))


def good_plan(folder: Path) -> Plan:
    return plan_from_entry(read_plan(folder / "plan.json").sides[0], read_implants())
