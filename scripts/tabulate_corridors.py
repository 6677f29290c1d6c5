"""Render the tables of docs/corridors.md from docs/results/corridors.json.

python scripts/tabulate_corridors.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tabulate_real_pelves import ROOT, main, rows, table

PAGE = ROOT / "docs" / "corridors.md"

WAGNER17 = {"S1": "13.1 +/- 5", "S2": "13.8 +/- 2.4"}
"""Limiting craniocaudal diameter of trans-sacral corridors in 92 CTs (Wagner et al., Spine J 2017;17:1141), mm."""

KONIG = {"S1": "16.5 (men), 13.7 (women)", "S2": "13.6 (men), 12.0 (women)"}
"""Diameter of the circle with the published mean cross-section (Konig et al., Eur Spine J 2016;25:1800), mm."""

KONIG_SCREW_MM, TRAUMA_SCREW_MM = 8.0, 7.3
"""Screws that published shares are about: Konig et al.; BMC Musculoskelet Disord 2023;24:536 and 40 cadaver sacra."""


def diameters(c: dict[str, Any]) -> str:
    """Inscribed, area-equivalent and craniocaudal diameter, or that there is none."""
    keys = ("inscribed_diameter_mm", "area_equivalent_diameter_mm", "craniocaudal_diameter_mm")
    return " / ".join(f"{c[key]:.1f}" for key in keys) if c.get("found") else "none"


def transsacral(level: str) -> list[dict[str, Any]]:
    """Trans-sacral corridors of one level, one a pelvis, those that do not exist too."""
    return [c for r in rows("corridors") for c in r["corridors"] if c["kind"] == "transsacral" and c["level"] == level]


def pelves() -> str:
    head = ["pelvis", "S1 left", "S1 right", "S1 trans-sacral", "S2 left", "S2 right", "S2 trans-sacral"]
    head += ["S1 coronal left, right", "s"]
    body = []
    for r in rows("corridors"):
        of = {(c["level"], c["side"]): c for c in r["corridors"]}
        cells = [diameters(of[level, side]) for level in ("S1", "S2") for side in ("left", "right", "both")]
        rise = ", ".join(f"{of['S1', side]['coronal_deg'] or 0:.0f}" for side in ("left", "right"))
        body.append([r["case"], *cells, rise, r["seconds"]])
    times = sorted(r["seconds"] for r in rows("corridors"))
    words = f"Searching took {times[len(times) // 2]} s in the median and {times[-1]} s at most, reading and anatomy"
    return words + " not counted.\n\n" + table(head, body)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.1f} +/- {np.std(values, ddof=1):.1f}"


def published() -> str:
    head = ["", "S1", "S2"]
    each = {level: transsacral(level) for level in ("S1", "S2")}

    def of(key: str, *, all_pelves: bool) -> list[str]:
        return [spread([c[key] for c in cs if c["found"] or all_pelves]) for cs in each.values()]

    cc, area = "craniocaudal_diameter_mm", "area_equivalent_diameter_mm"
    count = [f"{sum(c['found'] for c in cs)} of {len(cs)}" for cs in each.values()]

    def room(screw_mm: float) -> list[str]:
        fits = [(sum(c["inscribed_diameter_mm"] >= screw_mm for c in cs), len(cs)) for cs in each.values()]
        return [f"{n} of {m} ({100 * n / m:.0f} %)" for n, m in fits]

    body: list[list[object]] = [
        ["pelves with a trans-sacral corridor of 2 mm or more", *count],
        ["craniocaudal, all pelves (none counts as 0), mm", *of(cc, all_pelves=True)],
        ["craniocaudal, where there is one, mm", *of(cc, all_pelves=False)],
        ["craniocaudal, WAGNER17, mm", *WAGNER17.values()],
        ["area-equivalent, where there is one, mm", *of(area, all_pelves=False)],
        ["area-equivalent of the mean section, KONIG, mm", *KONIG.values()],
        [f"inscribed {KONIG_SCREW_MM:g} mm or more", *room(KONIG_SCREW_MM)],
        [f"room for {KONIG_SCREW_MM:g} mm, KONIG", "two thirds", "all men, 87 % of women have a corridor"],
        [f"inscribed {TRAUMA_SCREW_MM:g} mm or more", *room(TRAUMA_SCREW_MM)],
        [f"room for {TRAUMA_SCREW_MM:g} mm, BMC23 (267 pelves)", "70 %", ""],
        [f"room for {TRAUMA_SCREW_MM:g} mm, ANGLES40 (40 sacra)", "40 %", "40 %"],
    ]
    return table(head, body)


def experts() -> str:
    head = ["corridor", "ours", "their axis, our walls", "as drawn: inscribed / area", "in their file: area"]
    head += ["axes differ by", "apart in the midline mm"]
    body, angles = [], []
    better = more = 0
    for r in rows("corridors"):
        for e in r.get("experts", []):
            ours = next(c for c in r["corridors"] if c["kind"] == "transsacral" and c["level"] == e["level"])
            theirs = e["measured"]
            better += ours["inscribed_diameter_mm"] >= theirs["inscribed_diameter_mm"]
            more += ours["area_equivalent_diameter_mm"] >= theirs["area_equivalent_diameter_mm"]
            drawn = " / ".join(f"{v:.1f}" for v in e["drawn"].values())
            angle = e.get("axis_difference_deg")
            angles += [angle] if angle is not None else []
            cells = [f"{r['case']} {e['level']}", diameters(ours), diameters(theirs) if theirs["found"] else "outside"]
            body.append([*cells, drawn, e["file_diameter_mm"], f"{angle} deg", e.get("midline_offset_mm", "")])
    words = (
        f"Axes differ by {np.median(angles):.1f} degrees in the median and {max(angles):.1f} at most. About our axis"
    )
    words += f" the inscribed cylinder is the wider one in {better} of {len(body)}, the common cross-section the larger"
    return words + f" one in {more}.\n\n" + table(head, body)


TABLES = {"pelves": pelves, "published": published, "experts": experts}


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
