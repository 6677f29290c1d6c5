"""Judge implants on labels of a cohort's phantoms, and compare with the analytic truth.

    python scripts/validate_phantom_truth.py [--cohort adults] [--count 200] [--spacing 1.0] [--poses 3] [--one-side]
                                             [--workers 1] [--out FILE] [--fresh]

Rows go to docs/results/phantom_truth.json, or without implants to docs/results/phantom_anatomy.json; with --anatomy-out
FILE what was found in the labels goes there too. scripts/tabulate_phantoms.py renders the tables.

Each member's labels go through the anatomy as a patient's would. What must be found (eight foramina, canal, both
joints, landmarks) is counted. Then random plausible implants on both sides are measured twice: by the judge on the
labels' surfaces, and on the analytic surface. No judged lower bound may lie above the true distance, and no judged
distance may be off by more than the anatomy's stated error.

The two surfaces are named by different rules, so their borders differ by strips. For each structure the places of the
analytic surface are therefore named as the labels' surface is: every name that it has within NAME_MM of its nearest
place. Those places are sampled about every SAMPLE_MM, which makes a distance too large by at most SAMPLED_MM. The
smallest distance over all structures is compared with that as well. Where an implant overlaps a structure the judge
gives a depth, which needs the names of all that is near; there the smallest distance is compared with the truth by its
own names, which is refined to DEPTH_MM and states its error. How far the smallest distances by both ways of naming lie
apart is printed.

Goes on where an interrupted run stopped; exit code 1 if anything is out of bounds or was not found.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

import numpy as np
from validate_judge import random_pose

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.frames import SIDES
from sjplan.core.limits import Limits
from sjplan.core.plan import Side, check_side
from sjplan.core.structures import LEVELS
from sjplan.core.tolerances import DEPTH_TOL_MM, JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, implant_solid, signed_distance
from sjplan.geometry.triangle_tree import point_distances
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.build import build_labels
from sjplan.phantom.truth.clearance import TrueSurfaces, implant_clearance_mm
from sjplan.phantom.truth.cubes import HALF_DIAGONAL, Cubes, NamedSurface, onto_surface, slope_bound, split
from sjplan.phantom.truth.facts import PhantomTruth
from sjplan.phantom.truth.passage import LENGTH_ERROR_MM, axis_lengths
from sjplan.phantom.truth.survey import survey
from sjplan.safety.measures import axis_passage, clearances
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces

SEED: Final = 0
MODELS: Final = ("tri-7", "thread-10")
NAME_MM: Final = 0.1
"""A place of the analytic surface carries every name that the labels' surface has so much beyond its nearest place."""

SAMPLE_MM: Final = 0.5
SAMPLED_MM: Final = 0.1
"""Edge of the cubes that hold one sampled place each, and how much too large that may make a distance (mm)."""

DEPTH_MM: Final = 0.3
"""Error to which the truth's depths of overlaps are refined (mm): to 0.05 mm takes a minute for some implants."""

Points = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def places_of(surface: NamedSurface, axes: Points, centres: Points, edge_mm: float) -> Points:
    """A place of the surface in every cube of an edge that it cuts, and where that was not found none."""
    value = surface.value_mm(centres)
    near = np.abs(value) <= edge_mm
    feet, found = onto_surface(surface.value_mm, centres[near], value[near])
    inside = np.abs((feet - centres[near]) @ axes.T).max(axis=1) <= 0.5 * edge_mm
    return np.asarray(feet[found & inside])


def names_within(points: Points, labels: MeasuringSurfaces, slack_mm: float) -> Mask:
    """Which names (n, dangers) the labels' surface has within a slack of its nearest place to each point."""
    offset = point_distances(labels.everything, np.ascontiguousarray(points)) + slack_mm
    out = np.zeros((len(points), len(labels.dangers)), dtype=bool)
    for n, tree in enumerate(labels.dangers.values()):
        low, high = tree.corners.min(axis=(0, 1)), tree.corners.max(axis=(0, 1))
        beside = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0.0), axis=1)
        rows = np.flatnonzero(beside <= offset)
        out[rows, n] = point_distances(tree, np.ascontiguousarray(points[rows])) <= offset[rows]
    return out


def distances(
    bones: Sequence[tuple[NamedSurface, Cubes]], labels: MeasuringSurfaces, solids: Sequence[Solid]
) -> list[dict[str, float]]:
    """Distance of each solid to the places of the analytic surface that carry each name of the labels' surface.

    Cubes that cannot hold a nearer place of any name are left out before they are split: what is found is what places
    in all cubes of `SAMPLE_MM` would give.
    """
    best = np.full((len(solids), len(labels.dangers)), np.inf)
    for surface, cubes in bones:
        for edge in sorted(set(cubes.edge_mm.tolist()), reverse=True):
            centres = cubes.centres_lps_mm[cubes.edge_mm == edge]
            while len(centres):
                points = places_of(surface, cubes.axes, centres, edge)
                named = names_within(points, labels, NAME_MM)
                for n, solid in enumerate(solids):
                    distance = np.where(named, signed_distance(solid, points)[:, None], np.inf)
                    best[n] = np.minimum(best[n], distance.min(axis=0, initial=np.inf))
                if edge <= SAMPLE_MM:
                    break
                centres, edge = _closer(surface, labels, solids, best, centres, edge, cubes.axes), edge / 2.0
    return [dict(zip(labels.dangers, row.tolist(), strict=True)) for row in best]


def _closer(
    surface: NamedSurface,
    labels: MeasuringSurfaces,
    solids: Sequence[Solid],
    best: Points,
    centres: Points,
    edge: float,
    axes: Points,
) -> Points:
    """Halves that the surface cuts of the cubes that may hold a place nearer than the best of one of its names."""
    reach = HALF_DIAGONAL * edge
    lower = np.stack([signed_distance(solid, centres) - reach for solid in solids])
    near = (lower < best.max(axis=1, keepdims=True)).any(axis=0)
    centres, lower = centres[near], lower[:, near]
    possible = names_within(centres, labels, NAME_MM + 2.0 * reach)
    open_ = ((lower[:, :, None] < best[:, None, :]) & possible).any(axis=(0, 2))
    halves = split(centres[open_], np.full(int(open_.sum()), edge), axes)
    reach /= 2.0
    return np.asarray(halves[np.abs(surface.value_mm(halves)) <= slope_bound(reach) * reach])


def compared(
    own: TrueSurfaces, labels: MeasuringSurfaces, sampled: dict[str, float], implant: Trajectory, limits: Limits
) -> dict[str, Any]:
    """One implant, measured on the labels and on the analytic surface."""
    side, allowed = labels.side, labels.anatomy.geometry_error_mm
    started = time.perf_counter()
    truth = implant_clearance_mm(own, side, implant, depth_error_mm=DEPTH_MM)
    seconds = time.perf_counter() - started
    lengths, passage = axis_lengths(own.pelvis, side, implant), axis_passage(labels, implant)
    judged = clearances(labels, implant, limits, passes=passage.crossing_mm is not None)
    nearest, lowest = min(judged, key=lambda c: c.distance_mm), min(truth, key=lambda c: c.distance_mm)
    structures: list[list[Any]] = []
    for c in judged:
        if c.distance_mm > 0 and np.isfinite(sampled.get(c.structure, np.inf)):
            structures.append([c.structure, *_rounded(c.distance_mm, c.lower_bound_mm, sampled[c.structure])])
    true_mm, tolerance = lowest.distance_mm, lowest.error_mm + DEPTH_TOL_MM
    if nearest.distance_mm > 0 and structures:
        true_mm, tolerance = min(row[3] for row in structures), SAMPLED_MM + JUDGE_TOL_MM
    bound_mm = min(c.lower_bound_mm for c in judged)
    return {
        "side": side,
        "model": implant.model.id,
        "nearest": [nearest.structure, lowest.structure],
        "smallest_mm": _rounded(nearest.distance_mm, bound_mm, true_mm),
        "smallest_by_own_names_mm": _rounded(lowest.distance_mm, lowest.error_mm),
        "smallest_holds": abs(nearest.distance_mm - true_mm) <= allowed + tolerance and bound_mm <= true_mm + tolerance,
        "structures": structures,
        "structures_out": [
            row for row in structures if row[2] > row[3] or abs(row[1] - row[3]) > allowed + JUDGE_TOL_MM + SAMPLED_MM
        ],
        "lengths_off_mm": _rounded(passage.iliac_mm - lengths.iliac_mm, passage.sacral_mm - lengths.sacral_mm),
        "crosses_alike": (passage.crossing_mm is None) == (lengths.crossing_lps_mm is None),
        "seconds": round(seconds, 2),
    }


def _rounded(*values: float) -> list[float]:
    return [round(float(v), 4) for v in values]


def found_in(anatomy: Anatomy, truth: PhantomTruth) -> dict[str, Any]:
    """What of the phantom the anatomy found, and how far its landmarks lie off."""
    wanted = [(level, side) for level in LEVELS for side in SIDES if truth.foramen(level, side) is not None]
    foramina = {f"{level}_{side}": anatomy.foramen(level, side) for level, side in wanted}
    marks = {
        name: round(float(np.linalg.norm(anatomy.landmarks[name] - at)), 2)
        for name, at in truth.landmarks.items()
        if name in anatomy.landmarks
    }
    return {
        "foramina_missing": [name for name, f in foramina.items() if f is None],
        "foramina_doubtful": [name for name, f in foramina.items() if f is not None and f.doubtful],
        "canal": len(anatomy.canal.axis_lps_mm) > 0,
        "joints": sorted(anatomy.joints),
        "landmarks_missing": sorted(set(truth.landmarks) - set(anatomy.landmarks)),
        "landmarks_off_mm": marks,
        "geometry_error_mm": round(anatomy.geometry_error_mm, 4),
    }


def member(cohort: str, index: int, spacing_mm: float, poses: int, both: bool = True) -> dict[str, Any]:
    """The row of one member of the cohort; what went wrong is a row as well."""
    key, started = f"{cohort} {index}", time.perf_counter()
    try:
        labels_alone, pelvis = build_labels(draw(read_cohort(cohort), index, SEED), spacing_mm=spacing_mm)
        anatomy = anatomy_from_labels(labels_alone)
        row = {"run": key} | found_in(anatomy, survey(pelvis))
        own, catalogue, limits = TrueSurfaces(pelvis), read_implants(), read_limits()
        models = [catalogue[name] for name in MODELS]
        implants = []
        asked = SIDES if both else (SIDES[index % 2],)
        for side in (check_side(s) for s in asked if s in anatomy.joints and poses):
            labels = measuring_surfaces(anatomy, side)
            placed = random_implants(anatomy, side, models, index, poses)
            sampled = distances(own.bones(side), labels, [implant_solid(implant) for implant in placed])
            for implant, by_name in zip(placed, sampled, strict=True):
                implants.append(compared(own, labels, by_name, implant, limits))
        return row | {"implants": implants, "seconds": round(time.perf_counter() - started, 1)}
    except Exception as error:
        # A member that cannot be measured is a result, not the end of the run.
        return {"run": key, "failed": f"{type(error).__name__}: {error}"}


def random_implants(anatomy: Anatomy, side: Side, models: list[Any], index: int, poses: int) -> list[Trajectory]:
    """Plausible poses of one side, the same for the same member whatever else is run."""
    rng = np.random.default_rng([SEED, index, SIDES.index(side)])
    return [random_pose(anatomy, side, models, rng) for _ in range(poses)]


def failures(row: dict[str, Any]) -> list[str]:
    """What is wrong with one member, one line each."""
    if "failed" in row:
        return [f"{row['run']}: {row['failed']}"]
    out = [f"{row['run']}: no {name}" for name in (*row["foramina_missing"], *row["landmarks_missing"])]
    out += [f"{row['run']}: no joint {side}" for side in SIDES if side not in row["joints"]]
    for implant in row["implants"]:
        where = f"{row['run']} {implant['side']} {implant['model']}"
        if not implant["smallest_holds"]:
            judged, bound, true = implant["smallest_mm"]
            names = " and ".join(implant["nearest"])
            out.append(f"{where}: smallest distance {judged} (bound {bound}) where {true} is true ({names})")
        for name, judged, bound, true in implant["structures_out"]:
            out.append(f"{where} {name}: {judged} (bound {bound}) where {true} is true")
    return out


def summary(rows: list[dict[str, Any]]) -> str:
    """What all rows say together."""
    good = [row for row in rows if "failed" not in row]
    implants = [implant for row in good for implant in row["implants"]]
    structures = [s for implant in implants for s in implant["structures"]]
    worst: dict[str, float] = {}
    for row in good:
        for name, off in row["landmarks_off_mm"].items():
            worst[name] = max(worst.get(name, 0.0), off)
    complete = sum(not row["foramina_missing"] for row in good)
    doubtful = sum(bool(row["foramina_doubtful"]) for row in good)
    clear = [i for i in implants if i["smallest_mm"][2] > 0]
    lines = [
        f"{len(good)} of {len(rows)} members measured; all foramina found in {complete}, some doubtful in {doubtful}; "
        f"canal in {sum(row['canal'] for row in good)}, both joints in {sum(len(row['joints']) == 2 for row in good)}",
        "worst landmarks (mm): " + ", ".join(f"{name} {off:g}" for name, off in sorted(worst.items())),
        f"{len(implants)} implants, {len(clear)} of them clear of everything; {len(structures)} clear distances",
    ]
    if structures:
        off = np.array([[s[1] - s[3], s[2] - s[3]] for s in structures])
        lines.append(f"structures: judged - true {off[:, 0].min():.3f} to {off[:, 0].max():.3f} mm, ")
        lines[-1] += f"largest lower bound - true {off[:, 1].max():.3f} mm"
    if implants:
        off = np.array([[a - c, b - c] for a, b, c in (i["smallest_mm"] for i in implants)])
        lines.append(f"smallest: judged - true {off[:, 0].min():.3f} to {off[:, 0].max():.3f} mm, ")
        lines[-1] += f"largest lower bound - true {off[:, 1].max():.3f} mm"
        apart = [abs(i["smallest_mm"][2] - i["smallest_by_own_names_mm"][0]) for i in implants]
        lines.append(f"by its own names the smallest true distance differs by up to {max(apart):.2f} mm, ")
        lines[-1] += f"by more than 0.1 mm in {sum(a > 0.1 for a in apart)} of {len(apart)}"
        length = np.abs([i["lengths_off_mm"] for i in implants]).max(axis=0)
        lines.append(f"lengths off by at most {length[0]:.2f} (iliac), {length[1]:.2f} mm (sacral); ")
        lines[-1] += f"truth takes {np.median([i['seconds'] for i in implants]):.1f} s an implant (median)"
    wrong = [line for row in rows for line in failures(row)]
    return "\n".join([*lines, f"{len(wrong)} out of bounds or missing", *wrong])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", default="adults")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--spacing", type=float, default=1.0, help="voxel edge in mm")
    parser.add_argument("--poses", type=int, default=3, help="implants a side; 0 asks the anatomy alone")
    parser.add_argument("--one-side", action="store_true", help="left and right in turn from member to member")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--anatomy-out", type=Path)
    parser.add_argument("--fresh", action="store_true")
    chosen = parser.parse_args()
    chosen.out = chosen.out or Path(f"docs/results/phantom_{'truth' if chosen.poses else 'anatomy'}.json")
    settings: dict[str, Any] = {
        "cohort": read_cohort(chosen.cohort).model_dump(mode="json", by_alias=True),
        "spacing_mm": chosen.spacing,
    }
    if chosen.poses:
        settings |= {
            "poses": chosen.poses,
            "sides": "in turn" if chosen.one_side else "both",
            "models": list(MODELS),
            "name_mm": NAME_MM,
            "sample_mm": SAMPLE_MM,
            "depth_mm": DEPTH_MM,
            "length_error_mm": LENGTH_ERROR_MM,
        }
    rows = {} if chosen.fresh else read_rows(chosen.out, "run", settings)
    wanted = [index for index in range(chosen.count) if f"{chosen.cohort} {index}" not in rows]
    os.environ |= dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with ProcessPoolExecutor(chosen.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = [
            pool.submit(member, chosen.cohort, index, chosen.spacing, chosen.poses, not chosen.one_side)
            for index in wanted
        ]
        for run in as_completed(runs):
            row = run.result()
            rows[row["run"]] = row
            ordered = sorted(rows.values(), key=lambda r: int(r["run"].split()[-1]))
            write_rows(chosen.out, ordered, seed=SEED, settings=settings)
            print(row["run"], row.get("failed", f"{row.get('seconds')} s"), flush=True)
    ordered = sorted(rows.values(), key=lambda r: int(r["run"].split()[-1]))[: chosen.count]
    if chosen.anatomy_out is not None:
        found = [row | {"implants": []} for row in ordered]
        write_rows(chosen.anatomy_out, found, seed=SEED, settings={k: settings[k] for k in ("cohort", "spacing_mm")})
    print(summary(ordered))
    sys.exit(1 if any(failures(row) for row in ordered) else 0)


if __name__ == "__main__":
    main()
