"""What closing the notches in the joint's edge changes on real pelves: the joint's area, and distances of plans.

    python scripts/study_notches.py [--data FOLDER] [--only vsd-z001 jhu-41 ...] [--out FILE] [--fresh]

Both sides of every pelvis are looked at twice, with notches left open and with notches closed (docs/decisions/0011).
A plan made with open ones is judged by both. scripts/tabulate_real_pelves.py renders the table. Goes on where an
interrupted run stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from real_pelves import asked
from validate_planning import plan_side

from sjplan.anatomy import joint
from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.frames import SIDES
from sjplan.core.plan import Plan, check_side
from sjplan.io.limits import read_limits
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels
from sjplan.safety.judge import judge
from sjplan.safety.types import MarginReport

SEED = 0
CLOSED_MM = joint.NOTCH_MM


@contextmanager
def notches(half_width_mm: float) -> Iterator[None]:
    """Half the width of the notches that are closed meanwhile; 0 leaves all open."""
    joint.NOTCH_MM = half_width_mm
    try:
        yield
    finally:
        joint.NOTCH_MM = CLOSED_MM


def row(name: str, side: str, open_: Anatomy, closed: Anatomy) -> dict[str, Any]:
    """One side, notches open and closed."""
    own = check_side(side)
    areas = {
        how: round(anatomy.joints[own].articular_area_mm2 + anatomy.joints[own].ligamentous_area_mm2)
        for how, anatomy in (("open", open_), ("closed", closed))
    }
    found: dict[str, Any] = {"case": f"{name} {side}", "joint_mm2": areas}
    outcome, _ = plan_side(open_, own, {})
    plan = outcome.plan or outcome.nearest
    return found if plan is None else found | compared(plan, open_, closed)


def compared(plan: Plan, open_: Anatomy, closed: Anatomy) -> dict[str, Any]:
    """The plan by both: its worst slack, and how much farther a structure lies at most."""
    before, after = (judge(plan, anatomy, read_limits()) for anatomy in (open_, closed))
    farther = {key: distance - distances(before)[key] for key, distance in distances(after).items()}
    most = max(farther, key=farther.__getitem__)
    return {
        "slack_mm": {"open": round(before.slack_mm, 3), "closed": round(after.slack_mm, 3)},
        "farther_mm": round(farther[most], 2),
        "nearer_mm": round(-min(farther.values()), 2),
        "of": most[1],
    }


def distances(report: MarginReport) -> dict[tuple[int, str], float]:
    """Distance of every implant to every danger."""
    return {(i.slot, c.structure): c.distance_mm for i in report.implants for c in i.clearances}


def main() -> None:
    arguments, wanted = asked(str(__doc__), "docs/results/notches.json")
    settings = {"planner": "raster-v1", "implant": "tri-7", "notch_mm": CLOSED_MM}
    rows = {} if arguments.fresh else read_rows(arguments.out, "case", settings)
    for name, file in wanted.items():
        if all(f"{name} {side}" in rows for side in SIDES):
            continue
        labels = read_labels(file)
        with notches(0.0):
            open_ = anatomy_from_labels(labels)
        closed = anatomy_from_labels(labels)
        for side in SIDES:
            rows[f"{name} {side}"] = row(name, side, open_, closed)
            print(rows[f"{name} {side}"], flush=True)
        write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)


if __name__ == "__main__":
    main()
