"""How near a cohort of phantoms comes to real pelves: distances from real surface points to the nearest member.

    python scripts/validate_phantom_shape.py [--cohort adults] [--count 200] [--data FOLDER] [--fresh]

Every member is aligned to every pelvis by a similarity (rotation, shift, one scale), by closest points, both hips and
the sacrum at once; the member with the smallest mean distance (mm of the real pelvis) is the nearest, and its distances
are measured on its triangles. JHU sacra end at S3: the flat face of that cut is no bone surface and is left out. Goes
on where an interrupted run stopped. scripts/tabulate_phantoms.py renders the table.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvista as pv
from scipy.spatial import cKDTree

from sjplan.core.grid import Grid
from sjplan.io.cohorts import Cohort, draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.sampling import sample_band

BONES: Final = {"Sacrum": "sacrum", "Hip_L": "hip_left", "Hip_R": "hip_right"}
SURFACES: Final = {"jhu": "jhu_pelvis_atlas/surface", "vsd": "vsd_pelvis/surfaces"}
SEED: Final = 0
MESH_MM: Final = 1.5
POINTS: Final = 4000
"""Real surface points a bone set is measured on; closest points use every fourth."""

ROUNDS: Final = 200
SETTLED_MM: Final = 0.02
"""Closest points are looked for again until no point moves farther than this, at most so often."""

ROUGH_ROUNDS: Final = 25
FEW: Final = 15
"""Every member is aligned in so many rounds; so many of the nearest ones then are until they settle."""

CUT_MM: Final = 3.0
"""Points whose normal looks down along the sacrum and that lie so near to its lowest end are the cut's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", default="adults")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("docs/results/phantom_shape.json"))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    cohort = read_cohort(arguments.cohort)
    settings = {"cohort": cohort.model_dump(mode="json", by_alias=True), "points": POINTS, "mesh_mm": MESH_MM}
    rows: dict[str, dict[str, Any]] = {} if arguments.fresh else read_rows(arguments.out, "pelvis", settings)
    pelves = {name: real for name, real in real_pelves(arguments.data) if name not in rows}
    if pelves:
        every = {name: [*range(arguments.count)] for name in pelves}
        with ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            near = nearest(pool, arguments.cohort, pelves, every, rough=True)
            best = nearest(pool, arguments.cohort, pelves, {name: near[name][:FEW] for name in pelves}, rough=False)
        for name, points in pelves.items():
            rows[name] = measured(name, points, cohort, best[name][0])
            print(rows[name], flush=True)
        write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)


def nearest(
    pool: ProcessPoolExecutor,
    cohort: str,
    pelves: dict[str, np.ndarray],
    members: dict[str, list[int]],
    rough: bool,
) -> dict[str, list[int]]:
    """For each pelvis the members that are asked about, the nearest one first."""
    asked = sorted(set().union(*members.values()))
    runs = [pool.submit(means, cohort, {n: pelves[n] for n in pelves if k in members[n]}, k, rough) for k in asked]
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in pelves}
    for k, run in zip(asked, runs, strict=True):
        for name, mean in run.result().items():
            found[name].append((mean, k))
        print(f"member {k}", "roughly" if rough else "", flush=True)
    return {name: [k for _, k in sorted(pairs)] for name, pairs in found.items()}


def means(cohort: str, pelves: dict[str, np.ndarray], index: int, rough: bool) -> dict[str, float]:
    """Mean distance of each pelvis to one member of a cohort, in millimetres of the real pelvis."""
    surface = np.concatenate([np.asarray(m.points) for m in member(read_cohort(cohort), index).values()])
    tree, middle = cKDTree(surface), surface.mean(axis=0)
    found = {}
    for name, points in pelves.items():
        some = points[:: 8 if rough else 4]
        distance, moved = closest(some, tree, middle, ROUGH_ROUNDS if rough else ROUNDS)
        found[name] = float(distance.mean()) / scale(some, moved)
    return found


def real_pelves(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and surface points (n, 3) of every pelvis whose three surfaces are there."""
    for source, place in SURFACES.items():
        for path in sorted((data / place).glob("*_Sacrum.ply")):
            stem = path.name.removesuffix("_Sacrum.ply")
            files = [path.with_name(f"{stem}_{bone}.ply") for bone in BONES]
            if all(f.is_file() for f in files):
                bones = [surface_points(f, cut=source == "jhu" and "Sacrum" in f.name) for f in files]
                yield f"{source}-{stem}", np.concatenate(bones)


def surface_points(path: Path, cut: bool) -> np.ndarray:
    """Points drawn evenly over a surface, without the face of the cut."""
    mesh = pv.read(path).triangulate()
    triangles = np.asarray(mesh.points, dtype=np.float64)[mesh.faces.reshape(-1, 4)[:, 1:]]
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(across, axis=1)
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(area), POINTS, p=area / area.sum())
    u, v = np.sort(rng.random((2, POINTS)), axis=0)
    corners = triangles[chosen]
    weights = np.stack([u, v - u, 1.0 - v], axis=1)
    points = np.einsum("nk,nkd->nd", weights, corners)
    if not cut:
        return points
    normals = across[chosen] / area[chosen, None]
    outward = np.sign(np.einsum("nd,nd->", points - points.mean(axis=0), normals))
    # The cut's own normal: what most of the lowest face looks along.
    low = points[:, 2] < np.quantile(points[:, 2], 0.15)
    down = outward * normals[low & (outward * normals[:, 2] < -0.5)].mean(axis=0)
    down /= np.linalg.norm(down)
    along = points @ down
    return points[~((along > along.max() - CUT_MM - 4.0) & (outward * normals @ down > 0.8))]


def member(cohort: Cohort, index: int) -> dict[str, pv.PolyData]:
    """Surfaces of the three bones of one member."""
    pelvis = Pelvis(draw(cohort, index, SEED))
    return {bone: surface(pelvis, bone) for bone in BONES.values()}


def surface(pelvis: Pelvis, bone: str) -> pv.PolyData:
    """Triangles of one bone."""
    corners = np.array([[x, y, z] for x in (-170, 170) for y in (-125, 115) for z in (-215, 95)], dtype=np.float64)
    posed = pelvis.lps_from_pelvic(corners)
    low, high = posed.min(axis=0), posed.max(axis=0)
    grid = Grid(tuple(np.ceil((high - low) / MESH_MM).astype(int) + 1), (MESH_MM,) * 3, low, np.eye(3))
    band = sample_band(lambda p: pelvis.bone_mm(bone, p), grid, 2.0 * MESH_MM)
    image = pv.ImageData(
        dimensions=band.distance_mm.shape, spacing=(MESH_MM,) * 3, origin=grid.origin_lps_mm + band.start * MESH_MM
    )
    image["mm"] = band.distance_mm.ravel(order="F")
    return image.contour([0.0], scalars="mm")


def closest(
    points: np.ndarray, tree: cKDTree, middle: np.ndarray, rounds: int = ROUNDS
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n,) after the similarity that brings points nearest to a surface, and the points there (n, 3)."""
    moved = points - points.mean(axis=0) + middle
    for _ in range(rounds):
        distance, at = tree.query(moved)
        keep = distance <= np.quantile(distance, 0.95)
        last, moved = moved, similarity(points[keep], tree.data[at[keep]], points)
        if np.abs(moved - last).max() < SETTLED_MM:
            break
    return tree.query(moved)[0], moved


def similarity(source: np.ndarray, target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points moved by the least-squares similarity from source to target."""
    a, b = source.mean(axis=0), target.mean(axis=0)
    u, s, vt = np.linalg.svd((target - b).T @ (source - a))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = float((s * np.diag(flip)).sum() / ((source - a) ** 2).sum())
    return scale * (points - a) @ (u @ flip @ vt).T + b


def scale(points: np.ndarray, moved: np.ndarray) -> float:
    """How much larger points became when they were moved."""
    return float(np.linalg.norm(moved[0] - moved[-1]) / np.linalg.norm(points[0] - points[-1]))


def measured(name: str, points: np.ndarray, cohort: Cohort, index: int) -> dict[str, Any]:
    """The nearest member: scale, and distances to its triangles in millimetres of the real pelvis."""
    meshes = list(member(cohort, index).values())
    cloud = np.concatenate([np.asarray(m.points) for m in meshes])
    _, moved = closest(points, cKDTree(cloud), cloud.mean(axis=0))
    larger = scale(points, moved)
    inside = pv.PolyData(moved)
    distance = np.min([np.abs(inside.compute_implicit_distance(m)["implicit_distance"]) for m in meshes], axis=0)
    median, most = np.quantile(distance / larger, (0.5, 0.95))
    return {
        "pelvis": name,
        "member": index,
        "scale": round(larger, 4),
        "median_mm": round(float(median), 2),
        "p95_mm": round(float(most), 2),
    }


if __name__ == "__main__":
    main()
