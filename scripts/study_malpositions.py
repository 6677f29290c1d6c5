"""Kim's eight malpositions (KIM16) on both sides of every real pelvis: which view hides and which reveals each.

    python scripts/study_malpositions.py [--data FOLDER] [--only vsd-z001 ...] [--out docs/results/malpositions.json]

Writes a row a screw and prints the table of docs/carm.md. Goes on where an interrupted run stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from real_pelves import asked

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.cli.explain import ASKED, sight_document
from sjplan.core.plan import Side
from sjplan.io.limits import read_limits
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels
from sjplan.planning.corridors import find_corridors
from sjplan.testing.malpositions import RECIPES, SCREW, malpositions
from sjplan.views.hides import REVEALED_MM, STANDARD, Sight, Viewer, extra_view
from sjplan.views.patient import views_of_anatomy

SEED = 0
SETTINGS = {
    "screw_mm": 2 * SCREW.inscribed_radius_mm,
    "recipes": {name: recipe.distance_mm for name, recipe in RECIPES.items()},
    "views": list(ASKED),
    "standard": list(STANDARD),
    "revealed_mm": REVEALED_MM,
}

INLETS, OUTLETS = ("inlet", "inlet-canal"), ("outlet", "outlet-s1")
PAIRS = {"anterior": INLETS, "canal": INLETS, "superior": OUTLETS, "foramen_S1": OUTLETS}
"""The two views that are taken to judge each structure."""


def rows_of(name: str, file: Path) -> dict[str, dict[str, Any]]:
    """Every malposition of both sides of one pelvis, as seen."""
    anatomy = anatomy_from_labels(read_labels(file))
    views = {view: carm for view, carm in views_of_anatomy(anatomy).items() if view in ASKED}
    standard = {view: views[view] for view in STANDARD if view in views}
    viewer, found = Viewer(anatomy), {}
    for corridor in find_corridors(anatomy):
        if corridor.level != "S1" or corridor.kind != "midline" or not corridor.found:
            continue
        side: Side = "left" if corridor.side == "left" else "right"
        for kind, made in malpositions(anatomy, side, corridor, read_limits()).items():
            seen = {
                view: viewer.clearance_mm(made.trajectory, made.crossing_lps_mm, made.structure, carm)
                for view, carm in views.items()
            }
            extra = extra_view(viewer, made.trajectory, made.crossing_lps_mm, made.structure, standard)
            sight = Sight(1, made.structure, made.distance_mm, seen, extra)
            key = f"{name} {side} {kind}"
            found[key] = {"run": key, "kind": kind, "side": side} | sight_document(sight)
    return found


def table(rows: list[dict[str, Any]]) -> None:
    """Of each malposition, on how many sides each view shows it, out of those where it shows the edge at all."""
    heads = ("malposition", "sides", *ASKED, "hidden by the one, shown by the other")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for kind, recipe in RECIPES.items():
        own = [row for row in rows if row["kind"] == kind]
        cells = []
        for view in ASKED:
            known = [value for row in own if (value := row["seen_mm"].get(view)) is not None]
            cells.append(f"{sum(value < 0 for value in known)} of {len(known)}" if known else "no edge")
        pair = PAIRS[recipe.structure]
        told = sum(any(hides(row, one) and shows(row, other) for one, other in (pair, pair[::-1])) for row in own)
        cells.append(f"{told} ({' and '.join(pair)})")
        print(f"| {kind} | {len(own)} | " + " | ".join(cells) + " |")


def shows(row: dict[str, Any], view: str) -> bool:
    """Whether a view shows the shadow across the edge."""
    value = row["seen_mm"].get(view)
    return value is not None and value < 0


def hides(row: dict[str, Any], view: str) -> bool:
    """Whether a view shows the edge, and the shadow inside it."""
    value = row["seen_mm"].get(view)
    return value is not None and value >= 0


def main() -> None:
    arguments, wanted = asked(str(__doc__), "docs/results/malpositions.json")
    rows = {} if arguments.fresh else read_rows(arguments.out, "run", SETTINGS)
    for name, file in wanted.items():
        if any(key.startswith(name + " ") for key in rows):
            continue
        rows |= rows_of(name, file)
        write_rows(arguments.out, [rows[key] for key in sorted(rows)], seed=SEED, settings=SETTINGS)
        print(name, len(rows), flush=True)
    table(list(rows.values()))


if __name__ == "__main__":
    main()
