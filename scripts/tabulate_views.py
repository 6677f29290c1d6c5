"""The standard views of every real pelvis, and how true they are, as Markdown tables for docs/carm.md.

    python scripts/tabulate_views.py [--data FOLDER] [--only vsd-z001 ...]

Tilts in degrees against the scan's coronal plane; offsets in mm at the isocentre's scale. Last: how far apart the lines
of the lateral lie, and where raters marked landmarks (VSD), AP and left-right axis against theirs.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
from pathlib import Path

import numpy as np
from real_pelves import cases

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.io.volumes import read_labels
from sjplan.views.landmarks import landmark_lines
from sjplan.views.patient import views_of_anatomy
from sjplan.views.quality import inlet_offset_mm, lateral_quality, outlet_offset_mm
from sjplan.views.true_lateral import DENSITY_MM, NOTCH_MM
from sjplan.xray.carm import ray_direction

TILTS = ("ap", "inlet", "inlet-canal", "outlet", "outlet-s1")
OFFSETS = ("notches, parallel", "densities, parallel", "notches seen", "densities seen", "inlet S1 to S2", "outlet")
LINES = ("sides apart, mm", "density above notch, mm", "tube for both, mm")
RATERS = ("ap to the raters' plane, deg", "left-right axis to the raters', deg")
PAIRS = ("ASIS", "AIIS", "PSIS", "PIIS", "Ischial Spine (IS)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--only", nargs="*", default=None, help="names such as vsd-z001 jhu-41")
    arguments = parser.parse_args()
    tilts: dict[str, list[float]] = {name: [] for name in TILTS}
    offsets: list[list[float]] = []
    lateral: list[tuple[float, float, float]] = []
    marked: dict[str, tuple[float, float]] = {}
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
        lateral.append(lateral_lines(anatomy, lines))
        marks = rater_landmarks(arguments.data, name)
        if marks:
            marked[names[-1]] = to_raters(marks, ray_direction(views["ap"]), anatomy.frame.left)
    header("pelvis", "lateral", *TILTS)
    for row, (name, pose) in enumerate(zip(names, poses, strict=True)):
        print_row(name, pose, *(f"{tilts[view][row]:.0f}" for view in TILTS))
    print_row(f"mean +/- SD (range) of {len(names)}", "", *(spread(values) for values in tilts.values()))
    print()
    header("pelvis", *OFFSETS)
    for name, values in zip(names, offsets, strict=True):
        print_row(name, *(f"{value:.1f}" for value in values))
    print_row("largest", *(f"{max(column):.1f}" for column in zip(*offsets, strict=True)))
    print()
    header("pelvis", *LINES)
    for name, values in zip(names, lateral, strict=True):
        print_row(name, *(f"{value:.0f}" for value in values))
    print_row("median", *(f"{statistics.median(column):.0f}" for column in zip(*lateral, strict=True)))
    print()
    header("pelvis", *RATERS)
    for name, angles in marked.items():
        print_row(name, *(f"{value:.1f}" for value in angles))


def lateral_lines(anatomy: Anatomy, lines: dict[str, Array]) -> tuple[float, float, float]:
    """How far apart the sides lie, how far densities lie above notches, and a tube that shows both within limits.

    A line of the near side is drawn larger than the far side's by (sides apart) / (tube to isocentre): what notch and
    density then stay apart together is that share of the height between them.
    """
    middle = {name: anatomy.frame.frame_from_lps(line).mean(axis=0) for name, line in lines.items()}
    apart, way = [], []
    for kind in ("notch", "iliac_density"):
        apart.append(middle[f"{kind}_left"][0] - middle[f"{kind}_right"][0])
    for side in ("left", "right"):
        way.append(middle[f"iliac_density_{side}"][2] - middle[f"notch_{side}"][2])
    sides, between = float(np.mean(apart)), float(np.mean(way))
    return sides, between, sides * between / (NOTCH_MM + DENSITY_MM)


def rater_landmarks(data: Path, name: str) -> dict[str, Array]:
    """Landmarks of a VSD pelvis as raters marked them, LPS mm; none of other pelves."""
    if not name.startswith("vsd-"):
        return {}
    with (data / "vsd_pelvis" / "landmarks_lps_mm.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["subject"] == name.removeprefix("vsd-")]
    return {row["landmark"]: np.array([float(row[axis]) for axis in "xyz"]) for row in rows}


def to_raters(marks: dict[str, Array], ray: Array, left: Array) -> tuple[float, float]:
    """Degrees between the AP ray and the normal of the raters' anterior pelvic plane, and between left-right axes."""
    asis = marks["Left ASIS"], marks["Right ASIS"]
    tubercles = [marks[f"{side} Pubic Tubercle (PT)"] for side in ("Left", "Right")]
    normal = np.cross(asis[0] - asis[1], np.mean(asis, axis=0) - np.mean(tubercles, axis=0))
    across = np.mean([marks[f"Left {name}"] - marks[f"Right {name}"] for name in PAIRS], axis=0)
    return angle_deg(ray, normal), angle_deg(left, across)


def angle_deg(a: Array, b: Array) -> float:
    cosine = abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.rad2deg(np.arccos(min(cosine, 1.0))))


def header(*columns: str) -> None:
    print_row(*columns)
    print("|---" * len(columns) + "|")


def print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.0f} +/- {statistics.stdev(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
