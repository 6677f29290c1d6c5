"""The standard views of every real pelvis, and how true they are, as Markdown tables for docs/carm.md.

    python scripts/tabulate_views.py [--data FOLDER] [--only vsd-z001 ...]

Tilts in degrees against the scan's coronal plane; offsets in mm at the isocentre's scale.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

from validate_planning import cases

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.io.volumes import read_labels
from sjplan.views.landmarks import landmark_lines
from sjplan.views.patient import views_of_anatomy
from sjplan.views.quality import inlet_offset_mm, lateral_quality, outlet_offset_mm

TILTS = ("ap", "inlet", "inlet-canal", "outlet", "outlet-s1")
OFFSETS = ("notches, parallel", "densities, parallel", "notches seen", "densities seen", "inlet S1 to S2", "outlet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--only", nargs="*", default=None, help="names such as vsd-z001 jhu-41")
    arguments = parser.parse_args()
    tilts: dict[str, list[float]] = {name: [] for name in TILTS}
    offsets: list[list[float]] = []
    poses, names = [], []
    for name, file in cases(arguments.data).items():
        if arguments.only and name not in arguments.only:
            continue
        anatomy = anatomy_from_labels(read_labels(file))
        views, lines = views_of_anatomy(anatomy), landmark_lines(anatomy)
        carm = views["lateral"]
        poses.append(f"{carm.orbital_deg:.0f}, {carm.tilt_deg:.0f}, {carm.wig_wag_deg:.0f}")
        names.append(name.replace("vsd-", "VSD ").replace("jhu-", "JHU "))
        for view in TILTS:
            tilts[view].append(views[view].tilt_deg)
        parallel = lateral_quality(anatomy.frame, lines, carm, parallel=True)
        seen = lateral_quality(anatomy.frame, lines, carm)
        found = [
            *(parallel or (float("nan"),) * 2),
            *(seen or (float("nan"),) * 2),
            inlet_offset_mm(anatomy, views["inlet"]),
            outlet_offset_mm(anatomy, views["outlet"]),
        ]
        offsets.append([float("nan") if value is None else float(value) for value in found])
    header("pelvis", "lateral", *TILTS)
    for row, (name, pose) in enumerate(zip(names, poses, strict=True)):
        print_row(name, pose, *(f"{tilts[view][row]:.0f}" for view in TILTS))
    print_row(f"mean +/- SD (range) of {len(names)}", "", *(spread(values) for values in tilts.values()))
    print()
    header("pelvis", *OFFSETS)
    for name, values in zip(names, offsets, strict=True):
        print_row(name, *(f"{value:.1f}" for value in values))
    print_row("largest", *(f"{max(column):.1f}" for column in zip(*offsets, strict=True)))


def header(*columns: str) -> None:
    print_row(*columns)
    print("|---" * len(columns) + "|")


def print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.0f} +/- {statistics.stdev(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
