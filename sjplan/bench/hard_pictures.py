"""The hardest cases in three dimensions: the bones, and the best plan that any planner had for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sjplan.anatomy.types import Anatomy
from sjplan.bench.cases import anatomy_name, kept_anatomy
from sjplan.bench.plan_runs import cases_of
from sjplan.bench.results import Results
from sjplan.bench.tables import TableRow
from sjplan.core.errors import SjplanError
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.io.benchfiles import read_bench
from sjplan.render.scene import scene_picture
from sjplan.render.style import words
from sjplan.report.data import Picture

Anatomies = Callable[[str], Anatomy | None]
"""Gives the anatomy of a case by its key; None where it is not there."""

MOST: Final = 4
"""Sides of cases that are drawn: about a second each without a graphics card."""

_SIZE_PX: Final = (760, 400)


def kept_anatomies(bench: Path, folder: Path) -> Anatomies:
    """Anatomies that an experiment has kept in a folder, by the key of their case in its bench file.

    None is built: a case that is not kept, or whose file is gone or another now, is not there.
    """
    try:
        cases = {case.key: case for case in cases_of(read_bench(bench))}
    except SjplanError:
        return lambda key: None
    return lambda key: kept_anatomy(folder / f"{anatomy_name(cases[key])}.pickle") if key in cases else None


def hard_pictures(
    results: Results, hard: Sequence[TableRow], anatomies: Anatomies, models: Mapping[str, ImplantModel],
) -> list[Picture]:  # fmt: skip
    """Pictures of the first few of the hardest sides, each with the plan of most slack, accepted or nearest.

    A case whose anatomy cannot be had is left out; a plan that cannot be read leaves the bones.
    """
    plans = _plans(results, [row["run"] for row in hard if row["run"]])
    found: list[Picture] = []
    for row in hard:
        anatomy = anatomies(row["case"]) if len(found) < MOST else None
        if anatomy is None:
            continue
        implants = _implants(plans.get(row["run"]), models)
        points = {f"implant {slot}": t.entry_lps_mm for slot, t in implants.items()}
        points |= {f.name: f.lumen_lps_mm.mean(axis=0) for f in anatomy.foramina
                   if f.side == row["side"] and f.level in ("S1", "S2") and len(f.lumen_lps_mm)}  # fmt: skip
        image = scene_picture(anatomy, implants, "posterior", size_px=_SIZE_PX, points=points, focus=("sacrum",),
                              title=f"{row['case']}, {row['side']}")  # fmt: skip
        found.append(Picture(_caption(row, drawn=bool(implants)), image))
    return found


def _caption(row: TableRow, *, drawn: bool) -> str:
    text = f"{row['case']}, {row['side']}: {row['accepted']} of {row['runs']} runs accepted."
    if row["best_slack_mm"] is None:
        return text + " No planner gave any plan."
    facts = [f"by {row['best_planner']}", "accepted" if row["best_accepted"] else "not accepted"]
    facts += [] if drawn else ["not drawn"]
    slack = f"{row['best_slack_mm']:.2f}".replace("-", "\u2212")
    return f"{text} Best plan ({', '.join(facts)}): worst slack {slack} mm, to {words(row['binding'])}."


def _plans(results: Results, runs: Sequence[str]) -> dict[str, Any]:
    wanted = ", ".join("'" + run.replace("'", "''") + "'" for run in runs)
    if not wanted:
        return {}
    found = results.columns("run", "plan", where=f"run IN ({wanted})")
    return {run: json.loads(plan) for run, plan in zip(found["run"], found["plan"], strict=True) if plan}


def _implants(plan: Any, models: Mapping[str, ImplantModel]) -> dict[int, Trajectory]:
    """Implants by slot, from a row's plan: a list of implants, or an object that holds one."""
    entries = plan.get("implants") if isinstance(plan, dict) else plan
    try:
        return {
            int(entry.get("slot", n)): Trajectory(
                entry["entry_lps_mm"], entry["tip_lps_mm"], float(entry["roll_deg"]), models[entry["model"]]
            )
            for n, entry in enumerate(entries or (), 1)
        }
    except (KeyError, TypeError, ValueError, AttributeError, SjplanError):
        return {}
