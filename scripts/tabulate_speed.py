"""Render the tables of docs/performance.md from docs/results/{trainer,phantom,intake}_speed.json.

python scripts/tabulate_speed.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

from typing import Final

from tabulate_real_pelves import ROOT, main, rows, table

PAGE: Final = ROOT / "docs" / "performance.md"

GOALS: Final = {
    "start to first page": ("at most 8 s", lambda r: r["median"] <= 8.0),
    "next session of the same patient": ("at most 3 s", lambda r: r["median"] <= 3.0),
    "memory of one more session": ("at most 120 MB", lambda r: r["worst"] <= 120.0),
    "shot": ("at most 300 ms", lambda r: r["p95"] <= 300.0),
    "drag, frames a second": ("at least 25", lambda r: r["median"] >= 25.0),
    "drag, input to visible": ("95 % at most 100 ms", lambda r: r["p95"] <= 100.0),
    "four at once, frames a second each": ("at least 8", lambda r: r["median"] >= 8.0),
}
"""What was asked for; medians where nothing else is said, the worst of all for memory."""


def trainer() -> str:
    """What was measured, beside what was asked for."""
    body: list[list[object]] = []
    for row in rows("trainer_speed"):
        goal, holds = GOALS.get(row["id"], ("-", None))
        verdict = "-" if holds is None else "yes" if holds(row) else "**no**"
        figures = [row["median"], row["p95"], f"{row['least']} to {row['worst']}"]
        body.append([row["id"], row["unit"], *figures, row["n"], goal, verdict])
    return table(["", "unit", "median", "95 %", "range", "n", "wanted", "holds"], body)


PHANTOM_GOALS: Final = {
    "1 mm, time": ("at most 12 s", 12.0),
    "1 mm, memory": ("at most 2 GB", 2048.0),
    "0.7 mm, time": ("at most 40 s", 40.0),
    "0.7 mm, memory": ("at most 4 GB", 4096.0),
}
"""What was asked for, of the worst round."""


def phantoms() -> str:
    """Time and memory of the command that builds one phantom."""
    body: list[list[object]] = []
    for row in rows("phantom_speed"):
        goal, most = PHANTOM_GOALS[row["id"]]
        spread = f"{row['least']} to {row['worst']}"
        body.append(
            [row["id"], row["unit"], row["median"], spread, row["n"], goal, "yes" if row["worst"] <= most else "**no**"]
        )
    return table(["", "unit", "median", "range", "n", "wanted", "holds"], body)


INTAKE_GOALS: Final = {"time": ("at most 15 s", 15.0), "memory": ("at most 1.5 GB", 1536.0)}
"""What was asked for of a series of 400 slices, of the worst round."""


def intake() -> str:
    """Time and memory of reading a CT."""
    body: list[list[object]] = []
    for row in rows("intake_speed"):
        what = row["id"].rsplit(": ", 1)[1]
        if what not in INTAKE_GOALS:
            continue
        goal, most = INTAKE_GOALS[what] if row["id"].startswith("400") else ("-", None)
        verdict = "-" if most is None else "yes" if row["worst"] <= most else "**no**"
        spread = f"{row['least']} to {row['worst']}"
        body.append([row["id"], row["unit"], row["median"], spread, row["n"], goal, verdict])
    return table(["", "unit", "median", "range", "n", "wanted", "holds"], body)


TABLES = {"trainer": trainer, "phantoms": phantoms, "intake": intake}


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
