"""Measure how far apart the hip centres of real pelves lie, and how large their sockets are.

    python scripts/measure_hips.py [--data FOLDER] [--out docs/results/hips.json]

A sphere is fitted to what of each hip bone's surface faces its middle from 15 to 34 mm, beginning where the socket of
the nearest phantom lies (docs/results/phantom_shape.json). Millimetres are those of the real pelvis.
scripts/tabulate_phantoms.py renders the table.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvista as pv
from scipy.spatial import cKDTree
from validate_phantom_shape import BONES, SURFACES, closest, member, real_pelves, scale, similarity

from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.io.cohorts import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.pelvis import Pelvis

SEED: Final = 0
REACH_MM: Final = (15.0, 34.0)
FACING: Final = 0.85
ROUNDS: Final = 15


def socket(points: np.ndarray, normals: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of the sphere that the surface facing it from near by makes up."""
    centre, radius = start, 0.0
    for _ in range(ROUNDS):
        off = points - centre
        far = np.linalg.norm(off, axis=1)
        own = (far > REACH_MM[0]) & (far < REACH_MM[1]) & (-np.einsum("nd,nd->n", normals, off) > FACING * far)
        system = np.column_stack([2.0 * points[own], np.ones(int(own.sum()))])
        found = np.linalg.lstsq(system, (points[own] ** 2).sum(axis=1), rcond=None)[0]
        centre, radius = found[:3], float(np.sqrt(found[3] + found[:3] @ found[:3]))
    return centre, radius


def row(name: str, points: np.ndarray, index: int, data: Path) -> dict[str, Any]:
    """Both sockets of one pelvis."""
    cohort = read_cohort("adults")
    pelvis = Pelvis(draw(cohort, index, SEED))
    cloud = np.concatenate([np.asarray(m.points) for m in member(cohort, index).values()])
    _, moved = closest(points, cKDTree(cloud), cloud.mean(axis=0))
    larger, (source, stem) = scale(points, moved), name.split("-")
    centres, radii = [], []
    for side in SIDES:
        bone = next(word for word, own in BONES.items() if own == f"hip_{side}")
        mesh = pv.read(data / SURFACES[source] / f"{stem}_{bone}.ply").triangulate()
        mesh.points = similarity(points, moved, np.asarray(mesh.points))
        mesh = mesh.compute_normals(auto_orient_normals=True, split_vertices=False)
        start = np.array(pelvis.hip[side].form.centre_mm) * (SIDE_SIGN[side], 1.0, 1.0)
        found = socket(
            np.asarray(mesh.points), np.asarray(mesh.point_data["Normals"]), pelvis.lps_from_pelvic(start[None])[0]
        )
        centres.append(found[0])
        radii.append(found[1] / larger)
    apart = float(np.linalg.norm(centres[0] - centres[1])) / larger
    return {"pelvis": name, "apart_mm": round(apart, 1), "socket_radius_mm": [round(r, 1) for r in radii]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("docs/results/hips.json"))
    chosen = parser.parse_args()
    nearest = read_rows("docs/results/phantom_shape.json", "pelvis")
    rows = [row(name, points, nearest[name]["member"], chosen.data) for name, points in real_pelves(chosen.data)]
    write_rows(chosen.out, rows, seed=SEED, settings={"reach_mm": REACH_MM, "facing": FACING})
    for one in rows:
        print(one)


if __name__ == "__main__":
    main()
