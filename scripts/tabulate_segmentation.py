"""Render the tables of docs/segmentation.md from docs/results/segmentation.json.

python scripts/tabulate_segmentation.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any, Final

from tabulate_real_pelves import ROOT, main, rows, table

from sjplan.segment.build import SURFACE_ERROR_MM

PAGE: Final = ROOT / "docs" / "segmentation.md"
CORE: Final = ("sacrum", "hip_left", "hip_right")
NEEDED: Final = tuple(f"foramen_{level}_{side}" for level in ("S1", "S2", "S3") for side in ("left", "right"))

WANTED_DICE: Final = {"sacrum": 0.93, "hip_left": 0.95, "hip_right": 0.95}
WANTED_JOINT_MM: Final = 1.0
WANTED_PLAN_MM: Final = 1.0
WANTED_OPEN: Final = 0.95
KINDS: Final = {
    "phantom": "phantoms",
    "assumed": "real shapes, assumed densities",
    "blurred": "the same, blurred and noisy",
    "real": "real CT of 3 mm",
}
WANTED_REAL_DICE: Final = 0.88
FORMER_ERROR_MM: Final = 1.0
"""What labels were said to be off by in rows that do not tell."""


def joints(row: dict[str, Any]) -> list[float]:
    """Median joint error of each side that has one."""
    return [side["median"] for side in (row.get("joint_mm") or {}).values() if side]


def plans(row: dict[str, Any], measure: str = "margin_mm") -> list[float]:
    """How much less margin (or slack) than the plan from the true labels, on each side where both were found, mm."""
    return [
        round(side["true"][measure] - side["own"][measure], 3)
        for side in (row.get("plans") or {}).values()
        if side["true"]["status"] == side["own"]["status"] == "found"
    ]


def open_share(found: list[dict[str, Any]]) -> tuple[int, int]:
    """How many of the S1 to S3 foramina that are open in the true labels are open in the segmentation too."""
    true = [(row, name) for row in found for name in NEEDED if name in row.get("true_foramina", ())]
    return sum(name in row["foramina"] for row, name in true), len(true)


def word(holds: bool) -> str:
    return "holds" if holds else "**misses**"


def sums() -> str:
    """What was wanted and what was reached, for each kind of case."""
    body: list[list[object]] = []
    for kind, name in KINDS.items():
        found = [row for row in rows("segmentation") if row["kind"] == kind]
        if not found:
            continue
        for bone, fine in WANTED_DICE.items():
            wanted = WANTED_REAL_DICE if kind == "real" else fine
            overlap = [row.get("dice", {}).get(bone, 0.0) for row in found]
            reached = sum(value >= wanted for value in overlap)
            cell = f"median {statistics.median(overlap):.3f}, least {min(overlap):.3f}; {reached} of {len(found)}"
            body.append([name, f"Dice of {bone} >= {wanted}", cell, word(reached == len(found))])
        error = [value for row in found for value in joints(row)]
        if error:
            cell = f"median {statistics.median(error):.2f}, worst {max(error):.2f}; {len(error)} of {2 * len(found)}"
            reached = len(error) == 2 * len(found) and max(error) <= WANTED_JOINT_MM
            body.append([name, f"joint faces off by <= {WANTED_JOINT_MM:g} mm (median of each)", cell, word(reached)])
        good, count = open_share(found)
        if count:
            words = f"S1 to S3 foramina open, of those open in the truth >= {WANTED_OPEN:.0%}"
            body.append([name, words, f"{good} of {count}", word(good >= WANTED_OPEN * count)])
        lost = [value for row in found for value in plans(row)]
        if lost:
            both = [side for row in found for side in (row.get("plans") or {}).values()]
            true = [side for side in both if side["true"]["status"] == "found"]
            reached = sum(side["own"]["status"] == "found" for side in true)
            body.append([name, "a plan found, of those found on true labels", f"{reached} of {len(true)} sides", ""])
            reached = sum(abs(value) <= WANTED_PLAN_MM for value in lost)
            words = f"margin of the plan within {WANTED_PLAN_MM:g} mm of the plan from true labels"
            cell = f"{reached} of {len(lost)} sides; median {statistics.median(lost):+.2f} lost, most {max(lost):+.2f}"
            body.append([name, words, cell, word(reached == len(lost))])
            kept = sum(value <= WANTED_PLAN_MM for value in lost)
            words = f"of these: margin not more than {WANTED_PLAN_MM:g} mm less"
            body.append([name, words, f"{kept} of {len(lost)} sides", ""])
            slack = [value for row in found for value in plans(row, "slack_mm")]
            reached = sum(abs(value) <= WANTED_PLAN_MM for value in slack)
            words = f"worst slack, which the planner makes large, within {WANTED_PLAN_MM:g} mm"
            median = statistics.median(slack)
            cell = f"{reached} of {len(slack)} sides; median {median:+.2f} lost, most {max(slack):+.2f}"
            body.append([name, words, cell, ""])
        body += promises(name, found)
    return table(["cases", "wanted", "reached", ""], body)


def promises(name: str, found: list[dict[str, Any]]) -> list[list[object]]:
    """Whether dangers lie nearer in truth than the plan on the segmentation promised, and what the truth says of it."""
    own = [side["own"] for row in found for side in (row.get("plans") or {}).values() if "promised_mm" in side["own"]]
    if not own:
        return []
    nearer = [side["promised_mm"] for side in own]
    more = [SURFACE_ERROR_MM - side.get("surface_error_mm", FORMER_ERROR_MM) for side in own]
    held = sum(side["below_bound_mm"] <= extra for side, extra in zip(own, more, strict=True))
    unsaid = sum(len(side.get("unsaid", ())) for side in own)
    counted = f"; {unsaid or 'none'} within 10 mm not named at all" if any("unsaid" in side for side in own) else ""
    accepted = sum(side["accepted"] for side in own)
    most = f"nearer than said by {statistics.median(nearer):.2f} mm (median), {max(nearer):.2f} mm (most)"
    cell = f"{held} of {len(own)} sides; {most}{counted}"
    surface = [side["surface_mm"] for side in own if "surface_mm" in side]
    told = [f"{statistics.median(s[q] for s in surface):.2f}" for q in ("p50", "p99", "p100")] if surface else []
    near = [
        [name, "true bone near implants off by: median, 99 %, most", f"{', '.join(told)} mm (medians of sides)", ""]
    ]
    return [
        *(near if surface else []),
        [
            name,
            f"no danger nearer than its lower bound, with {SURFACE_ERROR_MM:g} mm for the labels",
            cell,
            word(held == len(own) and not unsaid),
        ],
        [name, "plan accepted on the true labels as well", f"{accepted} of {len(own)} sides{broken(own)}", ""],
    ]


def broken(own: list[dict[str, Any]]) -> str:
    """The kinds of limits that plans break on the true labels, most often broken first."""
    kinds = Counter(kind for side in own for kind in {c.split(":")[0] for c in side.get("breaks", ())})
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda k: (-k[1], k[0])))
    return f"; the others break {told}" if told else ""


def cases() -> str:
    """One line a case."""
    head = ["case", "trusted", *(f"Dice {bone}" for bone in CORE), "joints mm", "S1 to S3 open", "margin lost mm"]
    head += ["confidence sacrum / left / right", "CPU s", "GB"]
    body: list[list[object]] = []
    for row in rows("segmentation"):
        overlap = [row.get("dice", {}).get(bone, "") for bone in CORE]
        good, count = open_share([row])
        sure = " / ".join(f"{row['confidence'].get(bone, 0):.2f}" for bone in CORE) if "confidence" in row else ""
        cells: list[object] = [row["case"], "yes" if row["trusted"] else "no", *overlap]
        cells += [" / ".join(f"{v:.2f}" for v in joints(row)), f"{good} of {count}" if count else ""]
        cells += [" / ".join(f"{v:+.2f}" for v in plans(row)), sure, row["cpu_seconds"], row["gigabytes"]]
        body.append(cells)
    return table(head, body)


def refusals() -> str:
    """Why cases were refused."""
    lines = []
    for row in rows("segmentation"):
        if not row["trusted"]:
            lines.append(f"- {row['case']}: " + (row.get("refused") or "; ".join(row.get("refusals", []))))
    return "\n".join(lines) if lines else "None was refused."


TABLES = {"sums": sums, "cases": cases, "refusals": refusals}


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
