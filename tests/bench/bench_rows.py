"""Rows that a benchmark could have made: planners of known skill on cases of known difficulty, for tests of numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sjplan.bench.rows import Row, checked

CAP_MM = 3.0


def synthetic_rows(
    cases: int,
    skills: dict[str, float],
    *,
    seeds: int = 1,
    noise_mm: float = 0.3,
    rng_seed: int = 0,
    suite: str = "try",
) -> list[Row]:
    """`cases` x 2 sides x planners x `seeds` rows; a planner of skill s has s mm less slack than the bound, plus noise.

    A case's bound spreads from -1 to the cap; a plan is accepted where its slack is not negative.
    """
    rng = np.random.default_rng(rng_seed)
    rows = []
    for n in range(cases):
        traits = {
            "sex": "female" if n % 2 else "male",
            "dysmorphism": ("none", "some", "marked")[n % 3],
            "age": 40 + n % 40,
        }
        for side in ("left", "right"):
            bound = min(CAP_MM, float(rng.uniform(-1.0, 4.5)))
            for planner, skill in skills.items():
                for seed in range(seeds):
                    slack = bound - skill - abs(float(rng.normal(0.0, noise_mm)))
                    rows.append(_row(suite, f"case-{n:05d}", traits, side, planner, seed, bound, slack, rng))
    return rows


def _row(
    suite: str, case: str, traits: dict[str, Any], side: str, planner: str, seed: int, bound: float, slack: float,
    rng: np.random.Generator,
) -> Row:  # fmt: skip
    name = hashlib.sha256(json.dumps([case, side, planner, seed]).encode()).hexdigest()[:16]
    accepted, seconds = slack >= 0.0, float(rng.lognormal(0.0, 0.5))
    implants = [
        {"slot": k, "model": "tri-7", "length_mm": 45.0, "entry_lps_mm": [75.0, 20.0, -9.0 * k],
         "tip_lps_mm": [30.0, 20.0, -9.0 * k], "roll_deg": 0.0} for k in (1, 2, 3)
    ]  # fmt: skip
    return checked({
        "run": name, "experiment": "example", "suite": suite, "case_key": case, "case_kind": "cohort",
        "source": "adults",
        "traits": traits, "side": side, "planner": planner, "planner_id": f"{planner}-v1", "parameters": {"pool": 10},
        "models": ["tri-7"] * 3, "limits": "", "error_model": "robot", "seed": seed, "budget_evaluations": 1000,
        "cap_mm": CAP_MM, "status": "found" if accepted else "infeasible", "accepted": accepted, "false_accept": False,
        "slack_mm": slack, "margin_mm": slack + 1.0, "binding": "foramen_S1_left", "bound_mm": bound,
        "regret_mm": bound - min(slack, CAP_MM) if accepted else None, "iliac_mm": 12.0, "sacral_mm": 20.0,
        "breach_probability": 0.1 if accepted else None, "evaluations": 900, "plan": {"implants": implants},
        "seconds": seconds, "cpu_seconds": seconds, "memory_mb": 300.0,
        "first_safe_s": 0.5 * seconds if accepted else None,
        "anytime": [[0.5 * seconds, 400, slack - 0.2, slack - 0.2 >= 0], [0.9 * seconds, 900, slack, accepted]],
        "worker": "w1", "started": "2026-11-29T12:00:00Z",
    })  # fmt: skip


def write_experiment(folder: Path, rows: list[Row], chunk: int = 7) -> Path:
    """An experiment's folder as the runner leaves it."""
    (folder / "parts").mkdir(parents=True)
    for n in range(0, len(rows), chunk):
        write_part(folder / "parts" / f"{rows[n]['run']}.json", rows[n : n + chunk])
    document = {
        "schema": "sjplan.bench/1", "experiment": "e1", "name": "try", "wanted": len(rows), "engine": "processes",
        "created": "2026-11-29T12:00:00Z", "host": {"cpu": "a processor", "cores": 2}, "commit": "abc",
        "versions": {"sjplan": "0.1.0"},
    }  # fmt: skip
    (folder / "experiment.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def write_part(file: Path, rows: list[Row], schema: str = "sjplan.bench-part/1") -> None:
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"), allow_nan=False)
    part = {"schema": schema, "sha256": hashlib.sha256(text.encode()).hexdigest(), "rows": rows}
    file.write_text(json.dumps(part), encoding="utf-8")
