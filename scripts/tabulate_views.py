"""C-arm numbers of the standard views of real pelves as a Markdown table: `python scripts/tabulate_views.py LABELS...`.

The table in docs/carm.md was made with the label maps of the VSD and the JHU pelves; landmarks alone, no foramina.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from sjplan.anatomy.pelvis import pelvic_frame
from sjplan.io.volumes import read_labels
from sjplan.views.standard import standard_views

TILTS = ("ap", "inlet", "inlet-canal", "outlet", "outlet-s1")


def main(paths: list[str]) -> None:
    print("| pelvis | lateral: orbital, tilt, wig-wag | " + " | ".join(f"{name} tilt" for name in TILTS) + " |")
    print("|---" * (2 + len(TILTS)) + "|")
    tilts: dict[str, list[float]] = {name: [] for name in TILTS}
    for path in paths:
        found = pelvic_frame(read_labels(path))
        views = standard_views(found.frame, found.landmarks)
        for name in TILTS:
            tilts[name].append(views[name].tilt_deg)
        lateral = views["lateral"]
        pose = f"{lateral.orbital_deg:.0f}, {lateral.tilt_deg:.0f}, {lateral.wig_wag_deg:.0f}"
        row = [Path(path).name.split("_")[0], pose, *(f"{views[name].tilt_deg:.0f}" for name in TILTS)]
        print("| " + " | ".join(row) + " |")
    summary = [
        f"{statistics.mean(v):.1f} +/- {statistics.stdev(v):.1f} ({min(v):.0f} to {max(v):.0f})" for v in tilts.values()
    ]
    print("| mean +/- SD (range) |  | " + " | ".join(summary) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
