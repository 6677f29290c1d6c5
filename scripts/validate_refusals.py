"""Ask certified-v1 on phantoms made too narrow in one known way, and see whether a refusal names that first.

    python scripts/validate_refusals.py [--quick] [--draws 5] [--out docs/results/refusals.json] [--fresh]

Every draw is asked a second time with only the narrow thing widened (column `wide`): where that gives a plan, what made
it infeasible is known, if not proved (`proved` says whether the planner proved it). Goes on where an interrupted
run stopped; exit code 1 if any was not refused. scripts/tabulate_planners.py renders the table of docs/planners.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.labels import LabelMap
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome
from sjplan.core.structures import limit_kind
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load

SEED, SPACING_MM, SIDE = 0, 2.0, "left"
QUICK = {
    "crossing_step_mm": 3.0,
    "direction_step_deg": 6.0,
    "pool": 1500,
    "starts": 8,
    "climb_steps": 600,
    "refinements": 15,
    "evolutions": 1,
    "generations": 20,
    "bound_boxes": 1,
}
ENOUGH_MM = 0.3
"""Cap for the widened phantoms: that there is a plan is all that is asked."""

THIN_MM = (13.0, 15.0)
FRONT_MM = (13.0, 15.0)


@dataclass(frozen=True, slots=True)
class Draw:
    """One case: phantom, what is cut off the front of its sacrum in mm, and limits in place of the default ones.

    `spacing_mm` is that between crossings; `front_mm` that from the front of the sacrum, which then counts as so much
    nearer, and nothing else changes.
    """

    phantom: PhantomParameters
    shaved_mm: float = 0.0
    spacing_mm: float | None = None
    front_mm: float | None = None


Law = Callable[[np.random.Generator, bool], Draw]
"""A draw, and the same one widened where asked."""


def wide_foramina(rng: np.random.Generator, wide: bool) -> Draw:
    size, scale = rng.uniform(0.81, 0.85), rng.uniform(1.42, 1.5)
    return Draw(PhantomParameters(size=size, foramen_scale=1.0 if wide else scale))


def low_ala(rng: np.random.Generator, wide: bool) -> Draw:
    size, height, scale = rng.uniform(0.80, 0.81), rng.uniform(8.0, 8.2), rng.uniform(0.95, 1.0)
    return Draw(PhantomParameters(size=size, ala_height_mm=20.0 if wide else height, foramen_scale=scale))


def near_foramina(rng: np.random.Generator, wide: bool) -> Draw:
    """The joint of this side lies nearer to the midline, and with it to the foramina."""
    size, shift = rng.uniform(0.81, 0.825), rng.uniform(-6.0, -5.7)
    return Draw(PhantomParameters(size=size, asymmetry_mm=0.0 if wide else shift))


def short_joint(rng: np.random.Generator, wide: bool) -> Draw:
    size, spacing = rng.uniform(0.9, 1.0), rng.uniform(33.0, 38.0)
    return Draw(PhantomParameters(size=size), spacing_mm=None if wide else spacing)


def thin_sacrum(rng: np.random.Generator, wide: bool) -> Draw:
    size, shaved = rng.uniform(0.88, 0.95), rng.uniform(*THIN_MM)
    return Draw(PhantomParameters(size=size), shaved_mm=0.0 if wide else shaved)


def near_front(rng: np.random.Generator, wide: bool) -> Draw:
    size, distance = rng.uniform(0.92, 0.95), rng.uniform(*FRONT_MM)
    return Draw(PhantomParameters(size=size), front_mm=None if wide else distance)


KINDS: dict[str, tuple[Law, tuple[str, ...]]] = {
    "wide foramina": (wide_foramina, ("foramen",)),
    "low ala": (low_ala, ("anterior", "superior")),
    "joint near the foramina": (near_foramina, ("foramen",)),
    "short joint": (short_joint, ("crossing_spacing",)),
    "near front": (near_front, ("anterior",)),
    "thin sacrum": (thin_sacrum, ("anterior", "superior")),
}
"""How each kind is drawn, and the structures that are narrow by construction.

The ala slopes forward and down: where it is low, or shaved in front, both its front and its top lie deeper."""


def shaved(labels: LabelMap, depth_mm: float) -> LabelMap:
    """Labels with so much taken off the front of the sacrum, column by column."""
    (sacrum,) = (number for number, name in labels.names.items() if name == "sacrum")
    label = labels.label.copy()
    bone = label == sacrum
    rank = np.cumsum(bone, axis=1)
    label[bone & (rank <= round(depth_mm / labels.grid.spacing_mm[1]))] = 0
    return replace(labels, label=label)


def problem_of(draw: Draw) -> Problem:
    labels = build_labels(draw.phantom, spacing_mm=SPACING_MM)[0]
    anatomy = anatomy_from_labels(shaved(labels, draw.shaved_mm) if draw.shaved_mm else labels)
    limits: Limits = read_limits()
    if draw.spacing_mm is not None:
        limits = replace(limits, crossing_spacing_min_mm=draw.spacing_mm)
    if draw.front_mm is not None:
        limits = replace(limits, clearance_mm={**limits.clearance_mm, "anterior": draw.front_mm})
    return Problem(anatomy, "left", (read_implants()["tri-7"],) * 3, limits)


def structure_of(constraint: str) -> str:
    """The structure or rule that a reason is about; tips lateral of a foramen are about foramina.

    Examples
    --------
    >>> structure_of("clearance:foramen_S1_left"), structure_of("tip_lateral:S2"), structure_of("binding:anterior")
    ('foramen', 'foramen', 'anterior')
    """
    kind, _, what = constraint.partition(":")
    return "foramen" if kind in ("tip_lateral", "caudal_level") else limit_kind(what or kind)


def asked(problem: Problem, parameters: dict[str, float]) -> Outcome:
    planner = load("certified-v1", **parameters)
    return planner.plan(problem, rng=np.random.default_rng(SEED), budget=Budget())


def row(key: str, kind: str, number: int, parameters: dict[str, float]) -> dict[str, Any]:
    law, truth = KINDS[kind]
    seed = [SEED, list(KINDS).index(kind), number]
    draw = law(np.random.default_rng(seed), False)
    problem = problem_of(draw)
    started = time.perf_counter()
    outcome = asked(problem, parameters)
    seconds = round(time.perf_counter() - started, 1)
    wide = asked(problem_of(law(np.random.default_rng(seed), True)), {**parameters, "slack_cap_mm": ENOUGH_MM})
    names = [r.constraint for r in outcome.reasons]
    broken = [name for name in names if not name.startswith(("binding:", "proof"))]
    return {
        "run": key,
        "kind": kind,
        "narrow": list(truth),
        "status": outcome.status,
        "proved": "proof" in names,
        "wide": wide.status,
        "binding": [structure_of(n) for n in names if n.startswith("binding:")],
        "broken": list(dict.fromkeys(structure_of(n) for n in broken)),
        "binding_is_true": any(structure_of(n) in truth for n in names if n.startswith("binding:")),
        "first_is_true": bool(names) and structure_of(names[0]) in truth,
        "worst_broken_is_true": bool(broken) and structure_of(broken[0]) in truth,
        "first_text": outcome.reasons[0].text if outcome.reasons else "",
        "fallback": outcome.fallback is not None,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5, help="draws of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--quick", action="store_true", help="search less than the planner's defaults do")
    parser.add_argument("--out", type=Path, default=Path("docs/results/refusals.json"))
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    parameters: dict[str, float] = dict(QUICK) if arguments.quick else {}
    settings = {"implant": "tri-7", "spacing_mm": SPACING_MM, "side": SIDE, "planner": parameters}
    rows = {} if arguments.fresh else read_rows(arguments.out, "run", settings)
    for number in range(arguments.draws):
        for kind in arguments.kinds:
            key = f"{kind} {number}"
            if key not in rows:
                rows[key] = found = row(key, kind, number, parameters)
                write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)
                verdict = (
                    "names it first" if found["first_is_true"] else f"first {[*found['binding'], *found['broken']][:1]}"
                )
                print(key, found["status"], verdict, f"wide: {found['wide']}", f"{found['seconds']} s", flush=True)
    refused = [r for r in rows.values() if r["status"] == "infeasible"]
    first, among = (sum(r[name] for r in refused) for name in ("first_is_true", "binding_is_true"))
    print(f"{len(refused)} of {len(rows)} refused; {among} name what is narrow by construction, {first} name it first")
    sys.exit(0 if len(refused) == len(rows) else 1)


if __name__ == "__main__":
    main()
