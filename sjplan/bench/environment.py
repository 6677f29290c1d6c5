"""Placing implants as a gymnasium environment, for learning methods: `sjplan/PinPlacement-v0` (extra `learn`).

An agent sees what a surgeon at a planning desk would see in numbers, moves every implant a little, and is paid what the
judge says that its plan has gained. Import this module, or name it: `gymnasium.make(MODULE_ID)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.plan import Plan, Side, other_side
from sjplan.core.structures import DANGERS, LEVELS, foramen_name
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import read_preset
from sjplan.phantom.build import build_labels
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Problem
from sjplan.planning.workshop import missing_mm
from sjplan.safety.live import LiveJudge
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.safety.types import ImplantMargins, MarginReport

ENV_ID: Final = "sjplan/PinPlacement-v0"
MODULE_ID: Final = f"{__name__}:{ENV_ID}"
"""The id with the module that gymnasium imports for it."""

MAX_STEPS: Final = 200
"""Steps after which an episode is cut, where gymnasium made the environment."""

FLOOR_MM: Final = -20.0
"""No plan scores less: beyond this a plan is simply off."""

NUMBERS: Final = (
    *("lateral_mm", "posterior_mm", "cranial_mm", "lean_posterior_deg", "lean_cranial_deg", "roll_deg", "length_mm"),
)
"""What places one implant: its lateral end in the side's pelvic frame, its lean off straight medially, roll, length."""

STEP: Final = np.array([2.0, 2.0, 2.0, 3.0, 3.0, 10.0, 5.0])
"""How far an action of 1 moves each of `NUMBERS`."""

_LEAN_MAX_DEG = 60.0
_AROUND_MM = np.array([[0.0, 25.0, 25.0], [75.0, 25.0, 25.0]])
_START_LEAN_DEG, _START_LATERAL_MM = 10.0, 30.0
_SCALE_MM, _LENGTH_SCALE_MM, _ANGLE_SCALE_DEG = 20.0, 60.0, 90.0
_TRIANGLE_DEG = 120.0


def score_mm(report: MarginReport, cap_mm: float) -> float:
    """What a plan is worth: its worst slack up to the cap where the judge accepts it, else minus what it misses.

    Misses are in mm: an angle as what it moves at 30 mm. Never below `FLOOR_MM`; below zero exactly where the judge
    does not accept.
    """
    worth = min(report.slack_mm, cap_mm)
    if report.violations:
        worth = min(worth, -missing_mm(report))
    return float(max(worth, FLOOR_MM))


class PinPlacement(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Two or three implants of one side, moved a little each step, judged after each.

    **Action**, (7 count,) in -1 to 1: for each implant, cranial to caudal, how far each of `NUMBERS` moves, in units of
    `STEP`. Lengths are rounded to the catalogue's nearest where the implant is judged.

    **Observation**, (n,) float32 in -1 to 1, see `names`: for each implant its place, the judge's slack to every danger
    by name (20 mm is 1; own side's foramina first), the direction from the implant to the danger that binds it, lengths
    and angles; for each pair gap, spacing and angle; the score. Truth of a phantom is not in it.

    **Reward**: by how much the score has risen (mm), see `score_mm`: the rewards of an episode add up to its last score
    less its first. **Terminated** when the score reaches the cap: no planner asks for more. `info` holds `score_mm`,
    `slack_mm`, `accepted` and the `broken` limits by name; the attribute `plan` is the plan, `report` the judge's.

    Parameters
    ----------
    problems : Problem or sequence of Problem, optional
        What is planned: each episode draws one. Without any, the phantom preset `case`.
    case : str
        Phantom preset, built at 2 mm.
    side : {"left", "right"}
        Side of the preset that is planned.
    cap_mm : float
        Slack beyond which no more is asked for.
    render_mode : {"ansi"}, optional
        A few lines of text.

    Raises
    ------
    InputError
        For problems with different numbers of implants, or with obstacles, which the judge does not see.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium declares it so)

    def __init__(
        self,
        problems: Problem | Sequence[Problem] | None = None,
        *,
        case: str = "default",
        side: Side = "left",
        cap_mm: float = 3.0,
        render_mode: str | None = None,
    ) -> None:
        if problems is None:
            problems = phantom_problem(case, side)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        counts = {problem.count for problem in self.problems}
        if len(counts) != 1:
            raise InputError("problems", found=f"{sorted(counts)} implants", wanted="one number of implants in all")
        if any(problem.obstacles for problem in self.problems):
            raise InputError("problems", found="obstacles", wanted="problems without obstacles")
        if not 0 < cap_mm <= -FLOOR_MM:
            raise InputError("cap_mm", found=f"{cap_mm:g}", wanted=f"above 0, at most {-FLOOR_MM:g} mm")
        self.cap_mm, self.render_mode, self.count = cap_mm, render_mode, counts.pop()
        self.names = observation_names(self.count)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.count * len(NUMBERS),), np.float32)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (len(self.names),), np.float32)
        self._scenes: dict[int, _Scene] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin anew: implants through the joint's upper, middle and lower part, places and directions drawn.

        Parameters
        ----------
        seed : int, optional
            Of all chance from here on.
        options : dict, optional
            `problem`: index of the problem; `plan`: a plan of it to begin with.
        """
        super().reset(seed=seed)
        asked = options or {}
        number = int(asked.get("problem", self.np_random.integers(len(self.problems))))
        if not 0 <= number < len(self.problems):
            raise InputError("options: problem", found=str(number), wanted=f"0 to {len(self.problems) - 1}")
        if number not in self._scenes:
            self._scenes[number] = _Scene(self.problems[number])
        self._scene = self._scenes[number]
        plan = asked.get("plan")
        self._state = self._scene.drawn(self.np_random) if plan is None else self._scene.state_of(plan)
        self._judge()
        return self._observation(), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move every implant, and ask the judge.

        Raises
        ------
        InputError
            For an action of another shape or with NaN.
        """
        moves = np.asarray(action, dtype=np.float64)
        if moves.shape != self.action_space.shape or not np.isfinite(moves).all():
            found = f"shape {moves.shape}" if moves.shape != self.action_space.shape else "NaN or infinite numbers"
            raise InputError("action", found=found, wanted=f"{self.action_space.shape} finite numbers")
        before = self._score
        self._state = self._scene.kept(self._state + np.clip(moves, -1.0, 1.0).reshape(self.count, -1) * STEP)
        self._judge()
        return self._observation(), self._score - before, self._score >= self.cap_mm, False, self._info()

    def render(self) -> str | None:
        """The plan in words, where `render_mode` is ansi."""
        if self.render_mode != "ansi":
            return None
        verdict = "accepted" if self.report.accepted else "not accepted"
        lines = [f"{self._scene.problem.side}: {verdict}, score {self._score:.2f} mm"]
        for m in self.report.implants:
            b = m.binding
            lines.append(f"  {m.slot}  {m.trajectory.length_mm:.0f} mm, slack {b.slack_mm:+.2f} mm to {b.structure}")
        return "\n".join([*lines, *(f"  {v.text}" for v in self.report.violations)])

    @property
    def plan(self) -> Plan:
        """The plan as it lies now."""
        return Plan(self._scene.problem.side, self._trajectories, "pin-placement-v0")

    def action_toward(self, plan: Plan) -> NDArray[np.float32]:
        """The action that brings the implants nearest to a plan of the same problem."""
        way = (self._scene.state_of(plan) - self._state) / STEP
        return np.asarray(np.clip(way, -1.0, 1.0).ravel(), dtype=np.float32)

    def _judge(self) -> None:
        self._trajectories = self._scene.trajectories(self._state)
        self.report = self._scene.judge.report(self._trajectories)
        self._score = score_mm(self.report, self.cap_mm)

    def _info(self) -> dict[str, Any]:
        return {
            "score_mm": self._score,
            "slack_mm": self.report.slack_mm,
            "accepted": self.report.accepted,
            "broken": tuple(v.constraint for v in self.report.violations),
        }

    def _observation(self) -> NDArray[np.float32]:
        scene, report = self._scene, self.report
        numbers = [
            np.concatenate([place, scene.seen(margins)])
            for place, margins in zip(scene.scaled(self._state), report.implants, strict=True)
        ]
        pairs = [
            value
            for p in report.pairs
            for value in (p.gap_mm / _SCALE_MM, p.spacing_mm / _LENGTH_SCALE_MM, p.angle_deg / _ANGLE_SCALE_DEG)
        ]
        flat = np.concatenate([*numbers, pairs, [self._score / _SCALE_MM]])
        return np.asarray(np.clip(np.nan_to_num(flat, nan=-1.0), -1.0, 1.0), dtype=np.float32)


class _Scene:
    """One problem: its judge, and what places an implant, as numbers and as a trajectory."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.frame = SideFrame(problem.anatomy.frame, problem.side)
        self.judge = LiveJudge(measuring_surfaces(problem.anatomy, problem.side), problem.limits)
        joint = problem.anatomy.joints[problem.side]
        self._joint = self.frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
        low, high = self._joint.min(axis=0) - _AROUND_MM[0], self._joint.max(axis=0) + _AROUND_MM[1]
        lengths = [(min(m.lengths_mm), max(m.lengths_mm)) for m in problem.models]
        lean, roll = _LEAN_MAX_DEG, 0.5 * _TRIANGLE_DEG
        self._low = np.array([[*low, -lean, -lean, -roll, shortest] for shortest, _ in lengths])
        self._high = np.array([[*high, lean, lean, roll, longest] for _, longest in lengths])
        self._dangers = danger_order(problem.side)

    def drawn(self, rng: np.random.Generator) -> Array:
        """Implants (count, 7) through points drawn from the joint's upper, middle and lower part, directions drawn."""
        count = self.problem.count
        edges = np.quantile(self._joint[:, 2], np.linspace(1.0, 0.0, count + 1))
        state = np.zeros((count, len(NUMBERS)))
        for slot in range(count):
            between = self._joint[(self._joint[:, 2] <= edges[slot]) & (self._joint[:, 2] >= edges[slot + 1])]
            leans = rng.uniform(-_START_LEAN_DEG, _START_LEAN_DEG, 2)
            state[slot, :3] = between[rng.integers(len(between))] - _START_LATERAL_MM * _direction(leans)
            state[slot, 3:5] = leans
            state[slot, 6] = np.median(self.problem.models[slot].lengths_mm)
        return self.kept(state)

    def kept(self, state: Array) -> Array:
        """The state within its bounds."""
        return np.clip(state, self._low, self._high)

    def scaled(self, state: Array) -> Array:
        """The state with its bounds as -1 and 1; where a model has one length, 0."""
        size = self._high - self._low
        return np.where(size > 0, 2.0 * (state - self._low) / np.where(size > 0, size, 1.0) - 1.0, 0.0)

    def trajectories(self, state: Array) -> tuple[Trajectory, ...]:
        """Implants of catalogue lengths."""
        result = []
        for numbers, model in zip(state, self.problem.models, strict=True):
            length = min(model.lengths_mm, key=lambda v: (abs(v - numbers[6]), v))
            head = numbers[:3]
            ends = self.frame.lps_from_side(np.stack([head, head + length * _direction(numbers[3:5])]))
            result.append(Trajectory(ends[0], ends[1], float(numbers[5]), model))
        return tuple(result)

    def state_of(self, plan: Plan) -> Array:
        """The numbers (count, 7) that place a plan.

        Raises
        ------
        InputError
            If the plan is for another side or other models, or an implant lies outside what numbers can say.
        """
        if plan.side != self.problem.side or tuple(t.model for t in plan.trajectories) != self.problem.models:
            raise InputError(
                "plan", found=f"{len(plan.trajectories)} implants, {plan.side}", wanted="a plan of this problem"
            )
        rows = []
        for t in plan.trajectories:
            axis = self.frame.side_from_vector(t.axis)
            leans = np.degrees(np.arctan2(axis[1:], -axis[0]))
            roll = (t.roll_deg + 0.5 * _TRIANGLE_DEG) % _TRIANGLE_DEG - 0.5 * _TRIANGLE_DEG
            rows.append([*self.frame.side_from_lps(t.entry_lps_mm), *leans, roll, t.length_mm])
        state = np.array(rows)
        if np.abs(self.kept(state) - state).max() > 1e-6:
            raise InputError("plan", found="an implant far off the joint", wanted="implants round it")
        return state

    def seen(self, margins: ImplantMargins) -> Array:
        """What is seen of one implant but its place; see `observation_names`."""
        slack = {c.structure: c.slack_mm / _SCALE_MM for c in margins.clearances}
        binding = margins.binding
        way = self.frame.side_from_vector(binding.at_lps_mm - binding.on_implant_lps_mm)
        size = float(np.linalg.norm(way))
        lengths = (
            margins.protrusion_mm,
            margins.iliac_mm,
            margins.joint_mm,
            margins.sacral_mm,
            margins.tip_to_midline_mm,
        )
        return np.array(
            [
                *(slack.get(name, 1.0) for name in self._dangers),
                *(way / size if size > 0 else way),
                *(length / _LENGTH_SCALE_MM for length in lengths),
                margins.joint_normal_angle_deg / _ANGLE_SCALE_DEG,
                1.0 if margins.crosses_articular else -1.0,
            ]
        )


def _direction(leans_deg: ArrayLike) -> Array:
    """Unit direction in the side frame of an implant that leans so far posteriorly and cranially."""
    posterior, cranial = np.tan(np.deg2rad(leans_deg))
    way = np.array([-1.0, posterior, cranial])
    return np.asarray(way / np.linalg.norm(way))


def danger_order(side: Side) -> tuple[str, ...]:
    """Every danger, the own side's foramina first, then the other side's: both sides are seen alike.

    Examples
    --------
    >>> danger_order("right")[0], danger_order("right")[4]
    ('foramen_S1_right', 'foramen_S1_left')
    """
    foramina = [foramen_name(level, s) for s in (side, other_side(side)) for level in LEVELS]
    return (*foramina, *(name for name in DANGERS if name not in foramina))


def observation_names(count: int) -> tuple[str, ...]:
    """What each number of an observation is, for so many implants of a left side.

    Examples
    --------
    >>> observation_names(3)[:2], len(observation_names(3))
    (('1 lateral_mm', '1 posterior_mm'), 115)
    """
    own = (
        *NUMBERS,
        *(f"slack to {name}" for name in danger_order("left")),
        *(f"way to what binds, {axis}" for axis in ("lateral", "posterior", "cranial")),
        *("protrusion", "in ilium", "in joint", "in sacrum", "tip to midline", "angle to joint", "articular"),
    )
    pairs = [(i, j) for i in range(1, count + 1) for j in range(i + 1, count + 1)]
    return (
        *(f"{slot} {name}" for slot in range(1, count + 1) for name in own),
        *(f"{i} and {j} {name}" for i, j in pairs for name in ("gap", "spacing", "angle")),
        "score",
    )


def phantom_problem(case: str = "default", side: Side = "left") -> Problem:
    """Three triangular rods of 7 mm in a phantom preset at 2 mm, under the default limits."""
    labels = build_labels(read_preset(case), spacing_mm=2.0)[0]
    return Problem(anatomy_from_labels(labels), side, (read_implants()["tri-7"],) * 3, read_limits())


gymnasium.register(id=ENV_ID, entry_point=f"{__name__}:PinPlacement", max_episode_steps=MAX_STEPS)
