"""Render the tables of docs/phantom_validation.md from docs/results/phantom*.json.

python scripts/tabulate_phantoms.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

import re
import statistics
from typing import Final

import numpy as np
from tabulate_real_pelves import ROOT, main, rows, table

from sjplan.io.presets import read_targets

PAGE: Final = ROOT / "docs" / "phantom_validation.md"

MEAN_SHARE, SD_SHARE = 0.5, 1.0 / 3.0
"""A mean may miss its target by half a standard deviation, a standard deviation by a third of itself."""

WANTED_MM: Final = (3.5, 9.0)
"""Median and 95th percentile of the distances from real surface points to the nearest member, JHU."""


def verdict(holds: bool) -> str:
    """A word for a cell."""
    return "holds" if holds else "**misses**"


def targets() -> str:
    """Each measure beside its target."""
    members, body = rows("phantoms"), []
    for name, target in read_targets().items():
        found = [row[name] for row in members if name in row]
        mean, sd = statistics.mean(found), statistics.stdev(found)
        cells = [name, f"{target.mean:g} +/- {target.sd:.3g}", f"{mean:.1f} +/- {sd:.2g}"]
        cells += [
            verdict(abs(mean - target.mean) <= MEAN_SHARE * target.sd),
            verdict(abs(sd - target.sd) <= SD_SHARE * target.sd),
        ]
        body.append([*cells, target.source])
    return table(["measure", "target", "cohort", "mean", "spread", "source"], body)


def shape() -> str:
    """Each real pelvis with its nearest member."""
    body: list[list[object]] = []
    for row in sorted(rows("phantom_shape"), key=lambda r: r["pelvis"]):
        holds = row["median_mm"] <= WANTED_MM[0] and row["p95_mm"] <= WANTED_MM[1]
        said = "printed only" if row["pelvis"].startswith("vsd") else verdict(holds)
        body.append([row["pelvis"], row["member"], row["scale"], row["median_mm"], row["p95_mm"], said])
    return table(["pelvis", "nearest member", "scale", "median mm", "95 % mm", ""], body)


def anatomy() -> str:
    """What the anatomy code found in the cohort's labels."""
    found = rows("phantom_anatomy")
    good = [row for row in found if "failed" not in row]

    def share(holds: list[bool]) -> str:
        return f"{sum(holds)} of {len(found)}"

    body: list[list[object]] = [
        ["all eight foramina", share([not row["foramina_missing"] for row in good])],
        ["canal", share([row["canal"] for row in good])],
        ["both joints", share([len(row["joints"]) == 2 for row in good])],
        ["all landmarks", share([not row["landmarks_missing"] for row in good])],
    ]
    off: dict[str, list[float]] = {}
    for row in good:
        for name, mm in row["landmarks_off_mm"].items():
            off.setdefault(re.sub("_(left|right)$", "", name), []).append(mm)
    marks = [[name, *(f"{v:.1f}" for v in np.quantile(mm, (0.5, 0.95, 1.0)))] for name, mm in sorted(off.items())]
    head = ["landmark", "median mm", "95 % mm", "worst mm"]
    missed = [
        f"{row['run']}: {', '.join([*row.get('foramina_missing', []), row.get('failed', '')]).strip(', ')}"
        for row in found
        if "failed" in row or row["foramina_missing"]
    ]
    words = f"Missed: {'; '.join(missed)}.\n\n" if missed else ""
    return table(["found", "members"], body) + "\n\n" + words + table(head, marks)


def clearances() -> str:
    """What the judge measured on labels beside the truth."""
    members = [row for row in rows("phantom_truth") if "failed" not in row]
    implants = [implant for row in members for implant in row["implants"]]
    structures = [s for implant in implants for s in implant["structures"]]
    clear = [i for i in implants if i["smallest_mm"][2] > 0]
    errors = [row["geometry_error_mm"] for row in members]
    smallest = [i["smallest_mm"][0] - i["smallest_mm"][2] for i in implants]

    def between(values: list[float]) -> str:
        return f"{min(values):+.2f} to {max(values):+.2f}"

    body: list[list[object]] = [
        ["implants on members", f"{len(implants)} on {len(members)}"],
        ["of them clear of everything", len(clear)],
        ["error that the anatomy states, mm", f"{min(errors):.2f} to {max(errors):.2f}"],
        ["distances to single structures, clear", len(structures)],
        ["judged less true, mm", between([s[1] - s[3] for s in structures])],
        ["lower bound less true, at most, mm", f"{max(s[2] - s[3] for s in structures):+.2f}"],
        ["out of the stated error", sum(len(i["structures_out"]) for i in implants)],
        [
            "smallest distance: judged less true, mm",
            between(smallest),
        ],
        ["smallest distance: out of the stated error", sum(not i["smallest_holds"] for i in implants)],
        ["lengths off by at most, mm", f"{max(abs(v) for i in implants for v in i['lengths_off_mm']):.2f}"],
        ["joint crossed in one and not in the other", sum(not i["crosses_alike"] for i in implants)],
        ["seconds for the truth of one implant, median", f"{np.median([i['seconds'] for i in implants]):.1f}"],
    ]
    wrong = [
        f"{row['run']} {i['side']} {i['model']}: {i['smallest_mm'][0]:.2f} judged, {i['smallest_mm'][2]:.2f} true "
        f"({' and '.join(i['nearest'])})"
        for row in members
        for i in row["implants"]
        if not i["smallest_holds"]
    ]
    return table(["", ""], body) + (f"\n\nOut of the stated error: {'; '.join(wrong)}." if wrong else "")


def hips() -> str:
    """Hip centres and sockets of the real pelves."""
    found = rows("hips")
    body = [[r["pelvis"], r["apart_mm"], " / ".join(map(str, r["socket_radius_mm"]))] for r in found]
    apart = [r["apart_mm"] for r in found if r["pelvis"].startswith("jhu")]
    words = f"JHU: {statistics.mean(apart):.1f} +/- {statistics.stdev(apart):.1f} mm apart.\n\n"
    return words + table(["pelvis", "hip centres apart, mm", "socket's radius, mm (left / right)"], body)


TABLES = {"targets": targets, "shape": shape, "hips": hips, "anatomy": anatomy, "clearances": clearances}


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
