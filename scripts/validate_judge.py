"""Check the judge: `python scripts/validate_judge.py` writes docs/results/judge.json.

Two questions. Does the judge measure what a slow, independent measurement finds (random poses round the joint of a
phantom and of a real pelvis)? And do the distances of plans that were made on 1 mm labels hold on the original
surfaces that the labels were made from? Both are answered with the largest differences, nothing is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from slow_measure import SlowMesh, SlowPelvis

from sjplan import __version__
from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy, LabelledSurface
from sjplan.core.frames import SIDES
from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.core.limits import Limits
from sjplan.core.plan import Side, check_side
from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid
from sjplan.geometry.triangle_tree import lowest_solid_distance, point_distances, triangle_tree
from sjplan.io.atomic import write_text
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import read_preset
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import build_labels
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.raster import RasterPlanner
from sjplan.safety.judge import judge
from sjplan.safety.measures import axis_passage, clearances
from sjplan.safety.surfaces import measuring_surfaces

ROOT = Path(__file__).parents[1]
AGREEMENT_MM = 0.1
ABOVE_LOWER_BOUND_MM = 1.5
BONE_FILES = {"sacrum": "Sacrum", "left": "Hip_L", "right": "Hip_R"}
NAME_MM = 0.1
"""Places of an original surface carry every name that ours has within so much of its nearest place."""

BORDER_MM = 0.2
"""Triangles of an original surface that carry two names are split to this edge before each part is named."""


def random_pose(anatomy: Anatomy, side: Side, models: list[ImplantModel], rng: np.random.Generator) -> Trajectory:
    """An implant through the joint, near plausible: direction within some 8 degrees of the joint's normal."""
    joint = anatomy.joints[side]
    n = rng.integers(len(joint.sacral_lps_mm))
    crossing = 0.5 * (joint.sacral_lps_mm[n] + joint.iliac_lps_mm[n]) + rng.normal(scale=2.0, size=3)
    axis = joint.mean_normal + rng.normal(scale=np.tan(np.deg2rad(8.0)), size=3)
    axis /= np.linalg.norm(axis)
    model = models[rng.integers(len(models))]
    entry = crossing - rng.uniform(12, 30) * axis
    return Trajectory(entry, entry + rng.choice(model.lengths_mm) * axis, rng.uniform(-60, 60), model)


def compare_poses(
    anatomy: Anatomy, models: list[ImplantModel], limits: Limits, count: int, seed: int
) -> list[dict[str, Any]]:
    """Judge and slow measurement on random poses, one row per pose and structure."""
    rng = np.random.default_rng(seed)
    sides = [check_side(s) for s in SIDES if s in anatomy.joints]
    slow = {side: SlowPelvis(anatomy, side) for side in sides}
    fast = {side: measuring_surfaces(anatomy, side) for side in sides}
    rows = []
    for pose in range(count):
        if pose % 20 == 0:
            print(f"pose {pose} of {count}", flush=True)
        side = sides[pose % len(sides)]
        trajectory = random_pose(anatomy, side, models, rng)
        passes = axis_passage(fast[side], trajectory).crossing_mm is not None
        found = clearances(fast[side], trajectory, limits, passes=passes)
        truth = slow[side].distances(trajectory, passes=passes)
        for c in found:
            rows.append(
                {
                    "pose": pose,
                    "structure": c.structure,
                    "judge_mm": c.distance_mm,
                    "slow_mm": truth[c.structure],
                    "lower_bound_mm": c.lower_bound_mm,
                    "envelope_mm": c.envelope_mm,
                }
            )
    return rows


def summary_of_poses(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Largest and percentile differences, and every row that is out of bounds."""
    judged, slow = (np.array([r[key] for r in rows]) for key in ("judge_mm", "slow_mm"))
    difference = judged - slow
    bound = np.array([r["lower_bound_mm"] for r in rows]) - slow
    wrong = [r for r, d, b in zip(rows, difference, bound, strict=True) if abs(d) > AGREEMENT_MM or b > 0]
    return {
        "poses": len({r["pose"] for r in rows}),
        "measurements": len(rows),
        "overlapping": int((slow <= 0).sum()),
        "poses_overlapping": len({r["pose"] for r in rows if r["slow_mm"] <= 0}),
        "difference_mm": _spread(difference),
        "difference_clear_mm": _spread(difference[slow > 0]),
        "difference_overlapping_mm": _spread(difference[slow <= 0]),
        "largest_lower_bound_minus_slow_mm": round(float(bound.max()), 4),
        "largest_envelope_minus_distance_mm": round(max(r["envelope_mm"] - r["judge_mm"] for r in rows), 4),
        "out_of_bounds": [_rounded(r) for r in wrong],
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    keys = {"min": 0, "p1": 1, "p50": 50, "p99": 99, "max": 100}
    return {key: round(float(np.percentile(values, q)), 4) for key, q in keys.items()}


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def split_to(corners: np.ndarray, edge_mm: float) -> np.ndarray:
    """Triangles split into four until none has an edge longer than this."""
    done = []
    while len(corners):
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        long = np.max([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0) > edge_mm
        done.append(corners[~long])
        a, b, c = a[long], b[long], c[long]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        corners = np.concatenate([np.stack(part, axis=1) for part in parts])
    return np.concatenate(done)


class OriginalBone:
    """The surface that one bone's labels were made from, each place named as ours is.

    The two surfaces lie some 0.1 mm apart, so a place within that of a border between two names has both.
    """

    def __init__(self, surface: LabelledSurface, file: Path) -> None:
        self.own = SlowMesh(surface.corners_lps_mm())
        mesh = pv.read(file).triangulate()
        points = np.asarray(mesh.points, dtype=np.float64)
        faces = mesh.regular_faces
        name = surface.label[self.own.nearest_triangle(points)][faces]
        plain = (name == name[:, :1]).all(axis=1)
        parts = split_to(points[faces[~plain]], BORDER_MM)
        middle = parts.mean(axis=1)
        offset, label = self.own.unsigned(middle), surface.label
        self.named: dict[str, list[np.ndarray]] = {}
        for danger in DANGERS:
            if (label == SURFACE_ID[danger]).any():
                own = triangle_tree(surface.corners_lps_mm()[label == SURFACE_ID[danger]])
                near = point_distances(own, middle) <= offset + NAME_MM
                self.named[danger] = [points[faces[plain & (name[:, 0] == SURFACE_ID[danger])]], parts[near]]
        self.corners = [points[faces[plain]], parts]


class OriginalSurface:
    """Sacrum and hip bone of one side together."""

    def __init__(self, bones: tuple[OriginalBone, ...]) -> None:
        self.own = [bone.own for bone in bones]
        self.trees = {}
        for danger in DANGERS:
            parts = [part for bone in bones for part in bone.named.get(danger, [])]
            if sum(map(len, parts)):
                self.trees[danger] = triangle_tree(np.concatenate(parts))
        self.everything = SlowMesh(np.concatenate([part for bone in bones for part in bone.corners]))

    def nearest(self, trajectory: Trajectory, structure: str) -> tuple[float, np.ndarray]:
        """Distance from the true solid to the part that carries a name, and where on it."""
        return lowest_solid_distance(self.trees[structure], implant_solid(trajectory).packed, 1e-3)


def compare_with_original(pelvis: str, data: Path, models: list[ImplantModel], limits: Limits, seed: int) -> list[Any]:
    """Plans from 1 mm labels, both sides, measured on the original surfaces; one row per implant and structure."""
    anatomy = anatomy_from_labels(read_labels(data / "labelmaps_1mm" / f"{pelvis}_labels.nii.gz"))
    model, rows = models[0], []
    sacrum: OriginalBone | None = None
    for side in map(check_side, SIDES):
        problem = Problem(anatomy, side, (model, model, model), limits)
        outcome = RasterPlanner().plan(problem, rng=np.random.default_rng(seed), budget=Budget())
        plan = outcome.plan or outcome.nearest
        if plan is None:
            continue
        file = {bone: data / "surfaces" / f"{pelvis}_{BONE_FILES[bone]}.ply" for bone in ("sacrum", side)}
        sacrum = sacrum or OriginalBone(anatomy.sacrum, file["sacrum"])
        original = OriginalSurface((sacrum, OriginalBone(anatomy.ilium[side], file[side])))
        for implant in judge(plan, anatomy, limits).implants:
            for c in implant.clearances:
                rows.append(_original_row(pelvis, side, outcome.status, implant.slot, implant.trajectory, c, original))
    return rows


def _original_row(pelvis: str, side: str, status: str, slot: int, trajectory: Trajectory, c: Any, original: Any) -> Any:
    row: dict[str, Any] = {"pelvis": pelvis, "side": side, "status": status, "slot": slot, "structure": c.structure}
    row |= {"judge_mm": c.distance_mm, "lower_bound_mm": c.lower_bound_mm}
    if c.structure not in original.trees:
        return row | {"original_mm": None}
    distance, at = original.nearest(trajectory, c.structure)
    ours, theirs = np.asarray(c.at_lps_mm)[None], np.asarray(at)[None]
    return row | {
        "original_mm": distance,
        "original_witness_to_our_surface_mm": float(min(m.unsigned(theirs)[0] for m in original.own)),
        "our_witness_to_original_surface_mm": float(original.everything.unsigned(ours)[0]),
    }


def summary_of_originals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far above the lower bound the original surfaces lie, and every exceedance."""
    # On overlap the judge gives a depth, and a surface-to-solid distance is another quantity: counted, not compared.
    clear = [r for r in rows if r["judge_mm"] > 0 and r["original_mm"] is not None]
    above = np.array([r["original_mm"] - r["lower_bound_mm"] for r in clear])
    kinds: dict[str, list[float]] = {}
    for row, value in zip(clear, above, strict=True):
        kinds.setdefault(row["structure"].removesuffix("_left").removesuffix("_right"), []).append(float(value))
    return {
        "sides": {f"{r['pelvis']} {r['side']}": r["status"] for r in rows},
        "measurements": len(clear),
        "overlapping_left_out": [_rounded(r) for r in rows if r["judge_mm"] <= 0],
        "not_on_original": [_rounded(r) for r in rows if r["original_mm"] is None],
        "original_minus_lower_bound_mm": _spread(above),
        "by_structure_mm": {k: _spread(np.array(v)) for k, v in sorted(kinds.items())},
        "below_lower_bound": [_rounded(r) for r, a in zip(clear, above, strict=True) if a < 0],
        "above_lower_bound_by_too_much": [
            _rounded(r) for r, a in zip(clear, above, strict=True) if a > ABOVE_LOWER_BOUND_MM
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=200, help="random poses in the phantom")
    parser.add_argument("--pelvis-poses", type=int, default=50, help="random poses in z001")
    parser.add_argument("--pelves", nargs="*", default=["z001", "z013", "z019"])
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "judge.json")
    parser.add_argument("--afresh", action="store_true", help="measure again what the file already holds")
    chosen = parser.parse_args()
    data = Path(os.environ.get("SJPLAN_REAL_DATA", ROOT.parent / "shared" / "data")) / "vsd_pelvis"
    catalogue, limits = read_implants(), read_limits()
    models = [catalogue["tri-7"], catalogue["thread-10"]]
    seed = chosen.seed
    parts: dict[str, Callable[[], Any]] = {}
    if chosen.poses:
        parts["phantom"] = lambda: _poses(build_labels(read_preset("default"))[0], models, limits, chosen.poses, seed)
    if data.is_dir() and chosen.pelvis_poses:
        z001 = data / "labelmaps_1mm" / "z001_labels.nii.gz"
        parts["z001"] = lambda: _poses(read_labels(z001), models, limits, chosen.pelvis_poses, seed)
    if data.is_dir() and chosen.pelves:
        parts["originals"] = lambda: summary_of_originals(
            [row for name in chosen.pelves for row in compare_with_original(name, data, models, limits, seed)]
        )
    done = {} if chosen.afresh or not chosen.out.is_file() else json.loads(chosen.out.read_text()).get("parts", {})
    for name, measure in parts.items():
        if name in done:
            print(name, "is there already (--afresh measures again)")
            continue
        start = time.monotonic()
        done[name] = {"commit": _git("rev-parse", "--short", "HEAD"), "seed": seed} | measure()
        print(name, f"took {time.monotonic() - start:.0f} s", flush=True)
        write_text(chosen.out, json.dumps(_header() | {"parts": done}, indent=1) + "\n")


def _poses(labels: LabelMap, models: list[ImplantModel], limits: Limits, count: int, seed: int) -> dict[str, Any]:
    return summary_of_poses(compare_poses(anatomy_from_labels(labels), models, limits, count, seed))


def _header() -> dict[str, Any]:
    packages = {name: version(name) for name in ("numpy", "numba", "vtk", "pyvista")}
    return {
        "made_by": "scripts/validate_judge.py",
        "versions": {"sjplan": __version__, "python": platform.python_version()} | packages,
        "wanted": {"agreement_mm": AGREEMENT_MM, "original_above_lower_bound_mm": [0.0, ABOVE_LOWER_BOUND_MM]},
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout.strip()


if __name__ == "__main__":
    main()
