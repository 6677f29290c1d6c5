"""What the anatomy finds on every real pelvis, beside what is known of them.

    python scripts/validate_anatomy.py [--data FOLDER] [--only z001 41 ...] [--out docs/results/anatomy.json]

Goes on where an interrupted run stopped; `--fresh` starts over.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.frames import SIDES
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real_anatomy"))
import anatomy_reference as reference

SETTINGS = {"surface_region_mm": 15.0}
REGION_LEVELS = ("S1", "S2")


def foramina(anatomy: Anatomy) -> dict[str, Any]:
    """Levels, doubts and sizes of the foramina."""
    return {
        f"{f.level}_{f.side}": {
            "doubtful": f.doubtful,
            "ventral_mm": [round(f.ventral.major_mm, 1), round(f.ventral.minor_mm, 1)] if f.ventral else None,
            "neck_radius_mm": round(f.ventral.neck_radius_mm, 1) if f.ventral else None,
            "most_lateral_mm": round(f.most_lateral_mm, 1),
        }
        for f in anatomy.foramina
    }


def pair_depth_mm(anatomy: Anatomy) -> list[float]:
    """Depth of each pair of ventral mouths below the S1 endplate's centre, along the upper canal."""
    depth = []
    for level in ("S1", "S2", "S3", "S4"):
        mouths = [f.ventral for side in SIDES if (f := anatomy.foramen(level, side)) and f.ventral]
        if mouths:
            height = [anatomy.frame.frame_from_lps(m.centre_lps_mm)[2] for m in mouths]
            depth.append(round(-float(np.mean(height)), 1))
    return depth


def joints(anatomy: Anatomy) -> dict[str, Any]:
    """Areas and gaps of both joints."""
    return {
        side: {
            "articular_mm2": round(j.articular_area_mm2),
            "ligamentous_mm2": round(j.ligamentous_area_mm2),
            "articular_gap_mm": round(float(np.median(j.gap_mm[j.articular])), 2),
        }
        for side, j in anatomy.joints.items()
    }


def corridor_rows(data: Path, name: str, anatomy: Anatomy) -> list[dict[str, Any]]:
    """Where the expert corridors of a pelvis pass."""
    rows = []
    for corridor in (c for c in reference.corridors(data) if c.pelvis == name):
        points = reference.medial_axis(anatomy, corridor)
        mesh = trimesh.load(data / "jhu_pelvis_atlas" / "corridor" / f"{name}_iliosacral_{corridor.level}.stl")
        lumen = np.concatenate([f.lumen_lps_mm for f in anatomy.foramina])
        cranial = {
            f"{level}_{side}": round(reference.cranial_of_foramen_mm(anatomy, points, level, side), 1)
            for level in ("S1", "S2")
            for side in SIDES
        }
        rows.append(
            {
                "level": corridor.level,
                "axis_to_lumen_mm": round(reference.nearest_lumen_mm(anatomy, points), 2),
                "below_endplate_mm": round(reference.below_endplate_mm(anatomy, points), 1),
                "cranial_of_foramen_mm": cranial,
                "share_of_corridor_in_lumen": round(float(mesh.contains(lumen).sum() / mesh.volume), 4),
            }
        )
    return rows


def surface_errors(data: Path, name: str, anatomy: Anatomy) -> dict[str, Any]:
    """Distances between original surfaces and ours round the joints and the S1 and S2 foramina."""
    region = [j.sacral_lps_mm for j in anatomy.joints.values()]
    region += [f.lumen_lps_mm for f in anatomy.foramina if f.level in REGION_LEVELS]
    tree = cKDTree(np.concatenate(region))
    out = {}
    for bone, ours in (("Sacrum", anatomy.sacrum), ("Hip_L", anatomy.ilium["left"]), ("Hip_R", anatomy.ilium["right"])):
        file = data / "vsd_pelvis" / "surfaces" / f"{name}_{bone}.ply"
        if not file.is_file():
            return {}
        original = trimesh.load(file, process=False)
        mesh = trimesh.Trimesh(ours.vertices_lps_mm, ours.triangles, process=False)
        pairs = {"original_to_ours": (mesh, original.triangles_center), "ours_to_original": (original, mesh.vertices)}
        out[bone] = {}
        for key, (target, points) in pairs.items():
            near = points[tree.query(points)[0] < SETTINGS["surface_region_mm"]]
            distance = trimesh.proximity.closest_point(target, near)[1]
            out[bone][key] = dict(
                zip(("p50", "p99", "max"), np.percentile(distance, [50, 99, 100]).round(2).tolist(), strict=True)
            )
    return out


def row(data: Path, name: str) -> dict[str, Any]:
    """Everything about one pelvis."""
    labels = read_labels(reference.label_path(data, name))
    started = time.perf_counter()
    anatomy = anatomy_from_labels(labels)
    result: dict[str, Any] = {
        "pelvis": name,
        "seconds": round(time.perf_counter() - started, 2),
        "levels": {side: list(anatomy.levels(side)) for side in SIDES},
        "foramina": foramina(anatomy),
        "pair_depth_mm": pair_depth_mm(anatomy),
        "joints": joints(anatomy),
        "findings": [f"{f.code}: {f.text}" for f in anatomy.findings],
    }
    if name in reference.VSD:
        off = anatomy.landmarks["promontory"] - reference.observed(data, name, "Promontory")
        result["promontory_error_mm"] = round(float(np.linalg.norm(off)), 1)
        result["surface_errors_mm"] = surface_errors(data, name, anatomy)
    else:
        result["corridors"] = corridor_rows(data, name, anatomy)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("docs/results/anatomy.json"))
    parser.add_argument("--only", nargs="*", default=None, help="names such as z001 41")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    names = [n for n in (*reference.VSD, *reference.JHU) if not arguments.only or n in arguments.only]
    names = [n for n in names if reference.label_path(arguments.data, n).is_file()]
    if not names:
        raise SystemExit(f"no label maps in {arguments.data}: name the folder with --data or SJPLAN_REAL_DATA")
    rows = {} if arguments.fresh else read_rows(arguments.out, "pelvis", SETTINGS)
    for name in names:
        if name in rows:
            continue
        rows[name] = row(arguments.data, name)
        write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=0, settings=SETTINGS)
        levels = rows[name]["levels"]
        print(name, f"{rows[name]['seconds']} s", *(f"{side} {' '.join(levels[side])}" for side in SIDES), flush=True)


if __name__ == "__main__":
    main()
