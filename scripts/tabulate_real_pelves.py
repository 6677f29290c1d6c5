"""Render the tables of docs/real_pelves.md from docs/results/{anatomy,real_pelves,judge,notches}.json.

python scripts/tabulate_real_pelves.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "real_pelves.md"
RESULTS = ROOT / "docs" / "results"
Tables = dict[str, Callable[[], str]]


def rows(name: str) -> list[dict[str, Any]]:
    """Rows of one results file."""
    return list(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"])


def table(head: list[str], body: list[list[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def slashed(values: list[object]) -> str:
    return " / ".join(str(v) for v in values)


def plans() -> str:
    head = ["pelvis, side", "status", "worst slack mm", "at", "lengths mm", "in sacrum mm", "articular", "spacing mm"]
    head += ["smallest gap mm", "largest angle", "planning s"]
    body = []
    for r in rows("real_pelves"):
        crossing = slashed(["yes" if a else "no" for a in r.get("articular", [])])
        cells = [r["case"], r["status"], r.get("slack_mm", ""), r.get("binding", ""), slashed(r.get("lengths_mm", []))]
        cells += [slashed(r.get("sacral_mm", [])), crossing, slashed(r.get("spacing_mm", []))]
        body.append([*cells, r.get("gap_mm", ""), r.get("angle_deg", ""), r["seconds"]])
    accepted = sum(r["status"] == "found" for r in rows("real_pelves"))
    times = sorted(r["seconds"] for r in rows("real_pelves"))
    refused = [r for r in rows("real_pelves") if r["status"] != "found"]
    words = f"Accepted: {accepted} of {len(body)} sides. Planning took {times[len(times) // 2]} s in the median"
    words += f" and {times[-1]} s at most.\n\n"
    for r in refused:
        words += f"- {r['case']}: {r['status']}, best slack {r.get('slack_mm', 'none')} mm; "
        words += "; ".join(r["reasons"][:3]) + f". The slow search said {r['slow_search']['status']}.\n"
    return words + "\n" * bool(refused) + table(head, body)


def anatomy() -> str:
    head = ["pelvis", "levels left", "levels right", "first pair below endplate mm", "next pairs mm"]
    head += ["articular cm2 left / right", "gap mm left / right", "promontory off mm", "findings"]
    body = []
    for r in rows("anatomy"):
        depth = r["pair_depth_mm"]
        steps = [round(b - a, 1) for a, b in itertools.pairwise(depth)]
        area = [round(j["articular_mm2"] / 100, 1) for j in r["joints"].values()]
        gap = [j["articular_gap_mm"] for j in r["joints"].values()]
        codes = ", ".join(sorted({f.split(":")[0] for f in r["findings"]}))
        cells = [r["pelvis"], " ".join(r["levels"]["left"]), " ".join(r["levels"]["right"]), depth[0] if depth else ""]
        body.append([*cells, slashed(steps), slashed(area), slashed(gap), r.get("promontory_error_mm", ""), codes])
    return table(head, body)


def corridors() -> str:
    head = ["corridor", "axis to nearest lumen mm", "below S1 endplate mm", "cranial of the foramina mm"]
    head += ["share of its volume in a lumen"]
    body = []
    for r in rows("anatomy"):
        for c in r.get("corridors", []):
            levels = c["cranial_of_foramen_mm"]
            cranial = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in levels.items() if v is not None)
            share = f"{100 * c['share_of_corridor_in_lumen']:.2f} %"
            body.append([f"{r['pelvis']} {c['level']}", c["axis_to_lumen_mm"], c["below_endplate_mm"], cranial, share])
    return table(head, body)


def surfaces() -> str:
    head = [
        "pelvis",
        "bone",
        "original to ours: median, 99 %, largest mm",
        "ours to original: median, 99 %, largest mm",
    ]
    body = []
    for r in rows("anatomy"):
        for bone, pair in r.get("surface_errors_mm", {}).items():
            ways = [", ".join(str(v) for v in pair[way].values()) for way in ("original_to_ours", "ours_to_original")]
            body.append([r["pelvis"], bone, *ways])
    return table(head, body)


def judge_parts() -> dict[str, Any]:
    """Parts of the judge's results by name."""
    return dict(json.loads((RESULTS / "judge.json").read_text(encoding="utf-8"))["parts"])


def poses() -> str:
    head = ["random poses in", "poses", "that overlap", "distances", "clear: judge less slow, mm"]
    head += ["overlapping: judge less slow, mm", "lower bound less slow, at most mm", "out of bounds"]
    body = []
    for name, part in judge_parts().items():
        if "poses" not in part:
            continue
        spreads = [
            f"{part[key]['min']} to {part[key]['max']}" for key in ("difference_clear_mm", "difference_overlapping_mm")
        ]
        cells = [name, part["poses"], part["poses_overlapping"], part["measurements"], *spreads]
        body.append([*cells, part["largest_lower_bound_minus_slow_mm"], len(part["out_of_bounds"])])
    return table(head, body)


def originals() -> str:
    found = judge_parts()["originals"]
    words = f"{found['measurements']} distances of the plans for {', '.join(found['sides'])}: the original lies "
    spread = found["original_minus_lower_bound_mm"]
    words += f"{spread['min']} to {spread['max']} mm above the lower bound, and below it"
    words += f" {len(found['below_lower_bound'])} times.\n"
    for row in found["above_lower_bound_by_too_much"]:
        words += (
            f"\nMore than 1.5 mm above: {row['pelvis']} {row['side']}, implant {row['slot']}, {row['structure']}: bound"
            f" {row['lower_bound_mm']}, original {row['original_mm']} mm. Our witness lies"
            f" {row['our_witness_to_original_surface_mm']} mm from the original surface.\n"
        )
    head = ["structure", "original less lower bound: min, median, max mm"]
    body = [[kind, f"{v['min']}, {v['p50']}, {v['max']}"] for kind, v in found["by_structure_mm"].items()]
    return words + "\n" + table(head, list(body))


def notches() -> str:
    head = ["pelvis, side", "joint cm2, notches open", "closed", "more", "worst slack mm, open", "closed"]
    head += ["a danger farther by at most mm", "which", "nearer by at most mm"]
    body = []
    for r in rows("notches"):
        area, slack = r["joint_mm2"], r.get("slack_mm", {"open": "", "closed": ""})
        more = f"{100 * (area['closed'] / area['open'] - 1):.1f} %"
        cells = [r["case"], f"{area['open'] / 100:.1f}", f"{area['closed'] / 100:.1f}", more, slack["open"]]
        body.append([*cells, slack["closed"], r.get("farther_mm", ""), r.get("of", ""), r.get("nearer_mm", "")])
    more_all = sorted(100 * (r["joint_mm2"]["closed"] / r["joint_mm2"]["open"] - 1) for r in rows("notches"))
    changed = [abs(r["slack_mm"]["closed"] - r["slack_mm"]["open"]) for r in rows("notches") if "slack_mm" in r]
    words = (
        f"The joint grows by {more_all[0]:.1f} to {more_all[-1]:.1f} % (median {more_all[len(more_all) // 2]:.1f} %);"
    )
    return f"{words} the worst slack of these plans changes by at most {max(changed):.2f} mm.\n\n" + table(head, body)


TABLES: Tables = {
    "notches": notches,
    "plans": plans,
    "anatomy": anatomy,
    "corridors": corridors,
    "surfaces": surfaces,
    "poses": poses,
    "originals": originals,
}


def rendered(text: str, page: Path, tables: Tables) -> str:
    """A page's text with every marked table made anew."""
    for name, make in tables.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{page.name} has no place for the table {name!r}")
        made = make()
        text = pattern.sub(lambda found, made=made: found.group(1) + made + "\n" + found.group(2), text)
    return text


def main(pages: dict[Path, Tables], description: str) -> None:
    """Write the tables into their pages, or with `--check` only say whether they are there."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    for page, tables in pages.items():
        old = page.read_text(encoding="utf-8")
        new = rendered(old, page, tables)
        if arguments.check and old != new:
            sys.exit(f"{page} is out of date: run scripts/{Path(sys.argv[0]).name}")
        if not arguments.check:
            page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
