"""What one run of a benchmark is: a planner on one side of a case, with a seed and a budget; and its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sjplan.core.errors import GeometryError
from sjplan.core.plan import Parameters, Side, check_side

CaseKind = Literal["preset", "cohort", "labels"]
CAP: Final = "slack_cap_mm"
"""Parameter of planners that stop at a cap: the bench file's is theirs, so that all are asked for the same."""

ID_LENGTH: Final = 16
"""Hexadecimal digits of a run's name: 64 bits, so that a million runs share none."""


@dataclass(frozen=True, slots=True)
class CaseRef:
    """Where a case comes from, and what may be broken down by it.

    Parameters
    ----------
    key : str
        Name in tables, unique in an experiment: "adults-00007", "default", or a label map's stem.
    kind : {"preset", "cohort", "labels"}
        A phantom by preset, a member of a cohort, or a label map in a file.
    source : str
        Name or file of the preset or cohort; path of the label map.
    sha256 : str
        Of that file: a case whose file has changed is another case.
    index : int
        Member of the cohort; 0 for others.
    seed : int
        Seed of the cohort; 0 for others.
    spacing_mm : float
        Voxel edge at which a phantom is sampled; 0 for label maps.
    names : str
        Path of a names file beside a label map, or empty.
    traits : mapping
        What the case is like ("sex", "age", "dysmorphism", "density"): plain values, empty where nothing is known.
    """

    key: str
    kind: CaseKind
    source: str
    sha256: str
    index: int = 0
    seed: int = 0
    spacing_mm: float = 0.0
    names: str = ""
    traits: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannerRef:
    """A planner as a bench file names it: an id, `module:Class` or `exec:program`, with parameters.

    `name` is what tables call it: one planner may stand there twice with other parameters.
    """

    name: str
    planner: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunBudget:
    """What a run may use. A planner is told seconds and evaluations; the limits are enforced from outside.

    Suites that have to give the same numbers everywhere give evaluations and no seconds.
    """

    seconds: float | None = None
    evaluations: int | None = None
    wall_limit_s: float = 120.0
    memory_limit_mb: float = 1500.0

    def __post_init__(self) -> None:
        for name in ("seconds", "evaluations", "wall_limit_s", "memory_limit_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise GeometryError(f"run budget {name}", found=f"{value}", wanted="> 0")


@dataclass(frozen=True, slots=True)
class Run:
    """One row to be: who plans what, with what seed and budget.

    `models` are implant ids, one a slot, `catalogue` a file with more of them; `limits` is a file ("" is the default
    limits); `error_model` is an id, `errors` a file with more of them (no error model means that breach probabilities
    are not asked for). `bound` and `truth` say whether regret and, for phantoms, the true margin are measured,
    `bound_boxes` how much work a proof of a bound may be. `settings_sha256` is of the content of all these.
    """

    case: CaseRef
    side: Side
    planner: PlannerRef
    models: tuple[str, ...]
    budget: RunBudget
    seed: int = 0
    limits: str = ""
    error_model: str = ""
    cap_mm: float = 3.0
    settings_sha256: str = ""
    catalogue: str = ""
    errors: str = ""
    bound: bool = True
    bound_boxes: int = 1_000_000
    truth: bool = False

    def __post_init__(self) -> None:
        check_side(self.side)

    @property
    def id(self) -> str:
        """Name made of everything that decides the answer: the same in every process, and for no other run.

        Where a file lies and what it is called do not decide the answer, its content does; nor do wall and memory
        limits decide it, which only end a run.
        """
        planner, budget = self.planner, self.budget
        return _name(
            {
                **self._asked,
                "planner": [planner.name, planner.planner, dict(planner.parameters)],
                "budget": [budget.seconds, budget.evaluations],
                "seed": self.seed,
            }
        )

    @property
    def problem(self) -> str:
        """Name made of all that is asked and how it is measured: the same for every planner, budget and seed."""
        return _name(self._asked)

    @property
    def _asked(self) -> dict[str, Any]:
        case = self.case
        return {
            "case": [case.key, case.kind, case.sha256, case.index, case.seed, case.spacing_mm],
            "side": self.side,
            "models": list(self.models),
            "settings": [self.cap_mm, self.settings_sha256],
        }


def _name(decides: Mapping[str, Any]) -> str:
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]
