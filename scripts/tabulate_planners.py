"""Render the tables of docs/planning.md and docs/planners.md from docs/results/{planners,bound,refusals}.json.

python scripts/tabulate_planners.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

import statistics
from typing import Any

from tabulate_real_pelves import ROOT, main, rows, table

COHORT = "adults-"
NEAR_CAP_MM = 2.9
"""The cap of 3 mm less what slacks are not told apart by."""

CERTIFIED_MM = 0.25
"""A gap of no more counts as certified."""

Row = dict[str, Any]


def case_of(row: Row) -> str:
    """The case and side of a row."""
    return str(row["run"]).split(f" {row['planner']} ")[0]


def real(cap: str, planner: str | None = None) -> list[Row]:
    """Rows of real pelves with one cap, of one planner or all."""
    return [
        r
        for r in rows("planners")
        if not r["run"].startswith(COHORT) and r["cap"] == cap and planner in (None, r["planner"])
    ]


def order(found: list[Row]) -> list[str]:
    """Planners by how many sides they solve, most first."""
    names = sorted({r["planner"] for r in found})
    return sorted(names, key=lambda name: -sum(r["accepted"] for r in found if r["planner"] == name))


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "none"


def summary(found: list[Row]) -> str:
    head = ["planner", "accepted", "worst slack of accepted mm: smallest, median, largest", "with 2.9 mm or more"]
    head += ["lies bare", "median s", "largest s", "median evaluations"]
    body: list[list[object]] = []
    for name in order(found):
        mine = [r for r in found if r["planner"] == name]
        accepted = [r for r in mine if r["accepted"]]
        slack = [r["slack_mm"] for r in accepted]
        spread = f"{min(slack):.2f}, {statistics.median(slack):.2f}, {max(slack):.2f}" if slack else "none"
        seconds = [r["seconds"] for r in mine]
        cells: list[object] = [name, f"{len(accepted)} of {len(mine)}", spread, sum(s >= NEAR_CAP_MM for s in slack)]
        cells += [
            sum(bool(r["lies_bare"]) for r in accepted),
            f"{statistics.median(seconds):.1f}",
            f"{max(seconds):.1f}",
        ]
        body.append([*cells, f"{statistics.median(r['evaluations'] for r in mine):.0f}"])
    return table(head, body)


def capped() -> str:
    found = real("3")
    return summary(found) + older(found)


def uncapped() -> str:
    found = real("none")
    return summary(found) + older(found)


def older(found: list[Row]) -> str:
    """How many of the rows were made with another commit than the rest of the file."""
    made: dict[str, int] = {}
    for r in found:
        if "commit" in r:
            made[r["commit"]] = made.get(r["commit"], 0) + 1
    words = ", ".join(f"{count} with commit {commit}" for commit, count in made.items())
    return f"\n\nOf these {len(found)} runs {words}, before the others: not measured anew." if words else ""


def phantoms() -> str:
    found = [r for r in rows("planners") if r["run"].startswith(COHORT) and r["cap"] == "3"]
    return summary(found) + older(found) if found else "Not run yet: `scripts/validate_planners.py --phantoms N`."


def certificates() -> str:
    """How near the proved bound comes to the plan, and whether anybody found more than it allows."""
    head = ["sides", "cap mm", "with a certificate", "gap 0.25 mm or less", "gap mm: median, 90th percentile, largest"]
    head += ["s: median, largest", "most slack of another planner beyond the bound, mm"]
    body: list[list[object]] = []
    for what, phantom in (("real", False), ("phantoms", True)):
        for cap in ("3", "none"):
            found = [r for r in rows("planners") if r["cap"] == cap and r["run"].startswith(COHORT) == phantom]
            proved = [r for r in found if r.get("certificate")]
            if not proved:
                continue
            gaps = sorted(r["certificate"]["upper_bound_mm"] - r["certificate"]["slack_mm"] for r in proved)
            bound = {case_of(r): r["certificate"]["upper_bound_mm"] for r in proved}
            limit = float(cap) if cap != "none" else float("inf")
            beyond = [
                min(r["slack_mm"], limit) - bound[case_of(r)]
                for r in found
                if r["accepted"] and "certificate" not in r and case_of(r) in bound
            ]
            spread = f"{statistics.median(gaps):.2f}, {gaps[int(0.9 * (len(gaps) - 1))]:.2f}, {gaps[-1]:.2f}"
            seconds = [r["seconds"] for r in proved]
            near = share(sum(gap <= CERTIFIED_MM for gap in gaps), len(gaps))
            body.append([
                what, cap, len(proved), near, spread, f"{statistics.median(seconds):.1f}, {max(seconds):.1f}",
                f"{max(beyond):.2f}" if beyond else "not asked",
            ])  # fmt: skip
    return table(head, body) + older(rows("planners")) if body else "Not run yet."


def textbook() -> str:
    """What is known of virtual implants placed by rule, beside every planner's."""
    head = ["planner", "sides with a plan, accepted or nearest", "distal implant < 10 mm in the sacrum"]
    head += ["middle implant crosses the articular part"]
    body: list[list[object]] = [["BMC19, virtual, 144 sides", 144, "38.7 %", "43.4 %"]]
    found = real("3")
    for name in order(found):
        mine = [r for r in found if r["planner"] == name and "sacral_mm" in r]
        short, middle = (sum(r[key] for r in mine) for key in ("distal_short", "middle_articular"))
        body.append([name, len(mine), share(short, len(mine)), share(middle, len(mine))])
    return table(head, body)


def broken() -> str:
    """Which limits the refused plans break, per planner."""
    head = ["planner", "refused", "limits that its nearest plans break, and how often"]
    body: list[list[object]] = []
    found = real("3")
    for name in order(found):
        refused = [r for r in found if r["planner"] == name and not r["accepted"]]
        counts: dict[str, int] = {}
        for r in refused:
            for kind in {b.split(":")[0] for b in r.get("broken", ["no plan"])}:
                counts[kind] = counts.get(kind, 0) + 1
        words = ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        body.append([name, len(refused), words])
    return table(head, body)


def sides() -> str:
    found = real("3")
    names = order(found)
    by_run = {(case_of(r), r["planner"]): r for r in found}
    body: list[list[object]] = []
    for case in sorted({case_of(r) for r in found}):
        cells = [by_run.get((case, name)) for name in names]
        body.append(
            [case, *("" if r is None else f"{r['slack_mm']:.2f}" if r["accepted"] else "refused" for r in cells)]
        )
    return table(["pelvis, side", *names], body)


def oracle() -> str:
    """What a brute-force oracle found on phantoms, beside the certificates."""
    found = rows("bound")
    head = ["cap mm", "phantoms", "sets", "oracle's slack mm: smallest, median, largest"]
    head += ["plan less oracle mm: smallest, median", "bound less oracle mm: smallest, median", "wrong"]
    body: list[list[object]] = []
    for cap in ("3", "none"):
        most = float(cap) if cap != "none" else float("inf")
        some = [(r, r["certified"][cap]) for r in found]
        some = [(r, a) for r, a in some if r["oracle_mm"] is not None and "upper_mm" in a]
        best = [min(r["oracle_mm"], most) for r, _ in some]
        plan = [min(a["slack_mm"], most) - b for (_, a), b in zip(some, best, strict=True)]
        bound = [a["upper_mm"] - b for (_, a), b in zip(some, best, strict=True)]
        spread = f"{min(best):.2f}, {statistics.median(best):.2f}, {max(best):.2f}"
        cells: list[object] = [cap, len(some), sum(r["sets"] for r, _ in some), spread]
        cells += [f"{min(v):.2f}, {statistics.median(v):.2f}" for v in (plan, bound)]
        body.append([*cells, sum(bool(r["wrong"]) for r, _ in some)])
    return table(head, body)


def refusals() -> str:
    """Whether refusals of phantoms that are too narrow in a known way name that way first."""
    head = ["narrow by construction", "draws", "refused", "widened: a plan", "named as binding", "named first"]
    head += ["worst broken limit is of it"]
    body: list[list[object]] = []
    found = rows("refusals")
    for kind in dict.fromkeys(r["kind"] for r in found):
        mine = [r for r in found if r["kind"] == kind]
        cells = [sum(r["status"] == "infeasible" for r in mine), sum(r["wide"] == "found" for r in mine)]
        cells += [sum(r[name] for r in mine) for name in ("binding_is_true", "first_is_true", "worst_broken_is_true")]
        body.append([f"{kind} ({', '.join(mine[0]['narrow'])})", len(mine), *cells])
    return table(head, body)


PAGES = {
    ROOT / "docs" / "planning.md": {
        "capped": capped,
        "uncapped": uncapped,
        "certificates": certificates,
        "sides": sides,
        "phantoms": phantoms,
        "oracle": oracle,
    },
    ROOT / "docs" / "planners.md": {"textbook": textbook, "broken": broken, "refusals": refusals},
}


if __name__ == "__main__":
    main(PAGES, __doc__.splitlines()[0])
