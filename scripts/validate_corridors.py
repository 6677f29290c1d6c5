"""The widest corridors of every real pelvis, beside the corridors that experts drew (JHU).

    python scripts/validate_corridors.py [--data FOLDER] [--only vsd-z001 jhu-41 ...] [--out FILE.json]

Goes on where an interrupted run stopped; `--fresh` starts over. The tables in docs/corridors.md are rendered from the
file by scripts/tabulate_corridors.py.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.cli.corridors import corridor_numbers
from sjplan.geometry.triangle_tree import triangle_tree
from sjplan.geometry.tubes import PIXEL_MM, equivalent_diameter_mm, line_frame, tube_radius, tube_section
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels
from sjplan.planning.corridor_walls import ENTRY_DEPTH_MM, corridor_walls
from sjplan.planning.corridors import Corridor, find_corridors, measure_corridor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real_anatomy"))
import anatomy_reference as reference
from real_pelves import asked

CENTRAL = 0.6
"""Share of an expert's corridor that its own diameters are taken over, as in the atlas's table: the ends are ragged."""

SETTINGS = {"entry_depth_mm": ENTRY_DEPTH_MM, "pixel_mm": PIXEL_MM, "central_share": CENTRAL}


def file_diameter_mm(data: Path, name: str, level: str) -> float:
    """Smallest equivalent diameter that the atlas's table gives for a corridor."""
    with (data / "jhu_pelvis_atlas" / "corridors.csv").open(encoding="utf-8") as file:
        rows = {(f"{int(row['atlas_id']):02d}", row["level"]): row for row in csv.DictReader(file)}
    return float(rows[name, level]["min_equiv_diam_mm"])


def drawn(data: Path, expert: reference.Corridor, anatomy: Anatomy) -> dict[str, float]:
    """The same two diameters of an expert's mesh itself, about its own axis, over its central part."""
    mesh = trimesh.load(data / "jhu_pelvis_atlas" / "corridor" / f"{expert.pelvis}_iliosacral_{expert.level}.stl")
    tree = triangle_tree(np.asarray(mesh.triangles))
    middle, way = 0.5 * (expert.start + expert.end), expert.end - expert.start
    line = line_frame(middle, way, anatomy.frame.cranial)
    half = 0.5 * CENTRAL * float(np.linalg.norm(way))
    area = float(tube_section([(-half, half)], (tree,), line).sum()) * PIXEL_MM**2
    return {
        "inscribed_diameter_mm": round(2.0 * tube_radius(tree, line, -half, half, 0.0)[0], 2),
        "area_equivalent_diameter_mm": round(equivalent_diameter_mm(area), 2),
    }


def beside(anatomy: Anatomy, ours: Corridor, expert: reference.Corridor) -> dict[str, float]:
    """Angle between two axes, and their distance where they meet the mid-sagittal plane."""
    if ours.axis is None or ours.start_lps_mm is None or ours.end_lps_mm is None:
        return {}
    way = (expert.end - expert.start) / np.linalg.norm(expert.end - expert.start)
    at = []
    for ends in ((ours.start_lps_mm, ours.end_lps_mm), (expert.start, expert.end)):
        a, b = anatomy.frame.frame_from_lps(np.array(ends))
        at.append(a - a[0] / (b[0] - a[0]) * (b - a))
    return {
        "axis_difference_deg": round(float(np.degrees(np.arccos(min(1.0, abs(float(ours.axis @ way)))))), 2),
        "midline_offset_mm": round(float(np.linalg.norm(at[0] - at[1])), 2),
    }


def experts(data: Path, name: str, anatomy: Anatomy, found: tuple[Corridor, ...]) -> list[dict[str, Any]]:
    """Every expert corridor of a pelvis: measured by our definitions on our anatomy, as drawn, and beside ours."""
    rows = []
    walls = corridor_walls(anatomy)
    for expert in (c for c in reference.corridors(data) if c.pelvis == name):
        ours = next(c for c in found if c.kind == "transsacral" and c.level == expert.level)
        measured = measure_corridor(walls, expert.level, "both", expert.start, expert.end)
        rows.append(
            {
                "level": expert.level,
                "file_diameter_mm": file_diameter_mm(data, name, expert.level),
                "drawn": drawn(data, expert, anatomy),
                "measured": corridor_numbers(measured),
                **beside(anatomy, ours, expert),
            }
        )
    return rows


def row(data: Path, name: str, file: Path) -> dict[str, Any]:
    """Everything about one pelvis."""
    started = time.perf_counter()
    anatomy = anatomy_from_labels(read_labels(file))
    anatomy_seconds = time.perf_counter() - started
    started = time.perf_counter()
    found = find_corridors(anatomy)
    result: dict[str, Any] = {
        "case": name,
        "anatomy_seconds": round(anatomy_seconds, 2),
        "seconds": round(time.perf_counter() - started, 2),
        "corridors": [corridor_numbers(c) for c in found],
    }
    family, pelvis = name.split("-")
    if family == "jhu":
        result["experts"] = experts(data, pelvis, anatomy, found)
    return result


def main() -> None:
    arguments, wanted = asked(str(__doc__), "docs/results/corridors.json")
    rows = {} if arguments.fresh else read_rows(arguments.out, "case", SETTINGS)
    for name, file in wanted.items():
        if name in rows:
            continue
        rows[name] = row(arguments.data, name, file)
        write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=0, settings=SETTINGS)
        widths = [c["inscribed_diameter_mm"] for c in rows[name]["corridors"]]
        print(name, f"{rows[name]['seconds']} s", *widths, flush=True)


if __name__ == "__main__":
    main()
