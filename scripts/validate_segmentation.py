"""Segment CTs whose labels are known, and compare: overlap, joints, foramina, and the plans made on both.

    python scripts/validate_segmentation.py [--data FOLDER] [--only NAME ...]
                                            [--kinds phantom assumed blurred real masked] [--phantoms 30]
                                            [--spacing 1.0] [--no-plans] [--workers N] [--out FILE] [--fresh]

Rows go to docs/results/segmentation.json; scripts/tabulate_segmentation.py writes them into docs/segmentation.md.

- phantom: members of cohorts, drawn with a seed of their own, as noisy, blurred and full of metal as `HARD` says. What
  segments is fitted to the same family of shapes, so these flatter it.
- assumed: CTs made from label maps of real pelves, with assumed densities and noise. Their shapes are real, their grey
  values are not.
- blurred: the same CTs after a softer kernel and with more noise, as `BLURRED` says, so that hardly a voxel shows a
  joint's dark line.
- real: a real CT of 3 mm, against automatic labels.
- masked: a real CT of two hip bones and nothing else, which must be refused.

Goes on where an interrupted run stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import real_pelves
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import AnatomyError, SjplanError
from sjplan.core.frames import SIDES
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Plan, check_side
from sjplan.core.volume import CtVolume
from sjplan.geometry.triangle_tree import point_distances, triangle_tree
from sjplan.io.catalogue import read_implants
from sjplan.io.cohorts import draw, member_seed, read_cohort
from sjplan.io.limits import read_limits
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_ct, read_labels
from sjplan.phantom.build import build_phantom
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.safety.judge import judge
from sjplan.safety.types import MarginReport
from sjplan.segment.build import SURFACE_ERROR_MM, segment_ct
from sjplan.segment.types import Segmentation
from sjplan.xray.density import assumed_ct

SEED: Final = 8_800
"""Of the cohorts' members and of all noise; no other script draws members with it."""

PLANNER: Final = "raster-v1"
COHORTS: Final = ("adults", "adults", "adults", "osteoporotic", "dysmorphic")
"""Whose member each phantom is, in turn."""

HARD: Final = (
    {"noise_hu": 9.0, "kernel_fwhm_mm": 0.8},
    {"noise_hu": 25.0, "kernel_fwhm_mm": 0.8},
    {"noise_hu": 40.0, "kernel_fwhm_mm": 1.5},
    {"noise_hu": 15.0, "kernel_fwhm_mm": 2.0, "slice_thickness_mm": 2.0},
)
METAL: Final = ("none", "none", "left", "none", "both", "none", "right")
"""What the scanner does to each phantom, and the sides of its hip replacements, in turn."""

ASSUMED_NOISE_HU: Final = 20.0
BEYOND_MM: Final = 60.0
"""Noise of the assumed CTs, and how much body they have above and below the bones."""

BLURRED: Final = ((1.5, 40.0), (2.0, 30.0), (2.5, 20.0))
"""Full width at half maximum, mm, and noise, HU, that the blurred ones have besides, in turn."""

NEAR_MM: Final = 10.0
"""Farther dangers are no matter of a label's error."""

BONES: Final = ("sacrum", "hip_left", "hip_right", "vertebrae_L5", "femur_left", "femur_right")


def phantom_case(number: int, spacing_mm: float) -> tuple[CtVolume, LabelMap]:
    """CT and labels of one phantom."""
    cohort = read_cohort(COHORTS[number % len(COHORTS)])
    parameters = draw(cohort, number, SEED)
    scanner = replace(parameters.scanner, **HARD[number % len(HARD)])
    variants = replace(parameters.variants, hip_replacement=METAL[number % len(METAL)])
    parameters = replace(parameters, scanner=scanner, variants=variants)
    made = build_phantom(parameters, spacing_mm, seed=member_seed(number, SEED))
    return made.ct, made.labels


def assumed_case(file: Path, spacing_mm: float) -> tuple[CtVolume, LabelMap]:
    """A CT with assumed densities and noise of a real label map, and that map on the CT's grid."""
    labels = read_labels(file)
    step = max(1, round(spacing_mm / float(labels.grid.spacing_mm.max())))
    ct = assumed_ct(labels)
    at = np.argwhere(labels.label > 0)
    ends = labels.grid.lps_from_ijk(np.array([at.min(axis=0), at.max(axis=0)]))
    more = np.array((1e4, 1e4, BEYOND_MM))
    low, high = ends.min(axis=0) - more, ends.max(axis=0) + more
    corners = ct.grid.ijk_from_lps(np.array([low, high]))
    start = np.clip(np.floor(corners.min(axis=0)), 0, None).astype(int)
    stop = np.clip(np.ceil(corners.max(axis=0)) + 1, None, ct.grid.shape).astype(int)
    grid = ct.grid.cropped(start, stop)
    hu = ct.hu[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.float32)
    hu = hu + ASSUMED_NOISE_HU * np.random.default_rng(SEED).standard_normal(hu.shape, dtype=np.float32)
    label = np.zeros(grid.shape, dtype=np.uint8)
    offset = np.rint(grid.ijk_from_lps(labels.grid.origin_lps_mm)).astype(int)
    inside = at + offset
    kept = ((inside >= 0) & (inside < grid.shape)).all(axis=1)
    label[tuple(inside[kept].T)] = labels.label[tuple(at[kept].T)]
    if step == 1:
        return CtVolume(grid, np.rint(hu).astype(np.int16)), LabelMap(grid, label, labels.names)
    return coarser(grid, hu, label, labels.names, step)


def blurred_case(file: Path, spacing_mm: float, number: int) -> tuple[CtVolume, LabelMap]:
    """An assumed CT as a softer kernel and a lower dose show it, and its labels."""
    ct, labels = assumed_case(file, spacing_mm)
    width_mm, noise_hu = BLURRED[number % len(BLURRED)]
    sd = width_mm / np.sqrt(8.0 * np.log(2.0)) / ct.grid.spacing_mm
    hu = gaussian_filter(ct.hu.astype(np.float32), sd, mode="nearest")
    hu += noise_hu * np.random.default_rng(SEED + number).standard_normal(hu.shape, dtype=np.float32)
    return CtVolume(ct.grid, np.rint(hu).astype(np.int16)), labels


def coarser(grid: Any, hu: Any, label: Any, names: Any, step: int) -> tuple[CtVolume, LabelMap]:
    """Means of HU over blocks of voxels, and the label that most of a block has."""
    shape = [n // step * step for n in grid.shape]
    part = tuple(slice(0, n) for n in shape)

    def mean(values: Any) -> Any:
        blocks = values[part].reshape(shape[0] // step, step, shape[1] // step, step, shape[2] // step, step)
        return blocks.mean(axis=(1, 3, 5), dtype=np.float32)

    small = np.zeros([n // step for n in shape], dtype=np.uint8)
    most = np.full(small.shape, 0.499, dtype=np.float32)
    for i in np.unique(label)[1:]:
        share = mean(label == i)
        better = share > most
        small[better], most[better] = i, share[better]
    centre = grid.lps_from_ijk(np.full(3, (step - 1) / 2))
    new = type(grid)(small.shape, grid.spacing_mm * step, centre, grid.direction)
    return CtVolume(new, np.rint(mean(hu)).astype(np.int16)), LabelMap(new, small, names)


def _child(ct: CtVolume) -> tuple[Segmentation | str, float, float]:
    """Segment in a process of its own, so that its memory can be told: result or reason, seconds, GB."""
    used = time.process_time()
    try:
        found: Segmentation | str = segment_ct(ct)
    except AnatomyError as error:
        found = str(error)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return found, time.process_time() - used, gigabytes


def dice(a: Any, b: Any) -> float:
    """Overlap of two masks, 0 to 1."""
    return float(2.0 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1))


def row_of(name: str, kind: str, ct: CtVolume, truth: LabelMap | None, plans: bool) -> dict[str, Any]:
    """Everything that is measured of one case."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found, seconds, gigabytes = pool.submit(_child, ct).result()
    row: dict[str, Any] = {
        "case": name,
        "kind": kind,
        "voxels_mm": [round(float(s), 3) for s in ct.grid.spacing_mm],
        "shape": list(ct.grid.shape),
        "cpu_seconds": round(seconds, 1),
        "gigabytes": round(gigabytes, 2),
    }
    if isinstance(found, str):
        return row | {"trusted": False, "refused": found}
    row |= {
        "trusted": found.trusted,
        "findings": sorted({f"{f.code} {f.side}".strip() for f in found.findings if f.severity != "note"}),
        "refusals": [f.text for f in found.refusals],
        "confidence": {n: round(c.value, 3) for n, c in found.confidence.items()},
        "edge": {n: round(c.edge, 3) for n, c in found.confidence.items()},
        "agreement": {n: round(c.agreement, 3) for n, c in found.confidence.items()},
    }
    if truth is None:
        return row
    masks = {b: (truth.mask(b, "vertebrae_S1") if b == "sacrum" else truth.mask(b)) for b in BONES}
    row["dice"] = {b: round(dice(found.labels.mask(b), m), 4) for b, m in masks.items() if m.any()}
    if float(ct.grid.spacing_mm.max()) <= 2.0:
        row |= compared(found.labels, truth, plans)
    return row


def compared(labels: LabelMap, truth: LabelMap, plans: bool) -> dict[str, Any]:
    """Joints, foramina and plans of a segmentation beside those of the true labels."""
    true = anatomy_from_labels(truth)
    out: dict[str, Any] = {"true_foramina": [f.name for f in true.foramina]}
    try:
        own = anatomy_from_labels(labels)
    except SjplanError as error:
        return out | {"anatomy": str(error), "foramina": []}
    out["foramina"] = [f.name for f in own.foramina]
    out["joint_mm"] = {side: joint_error(own, true, side) for side in SIDES if side in true.joints}
    if plans:
        out["plans"] = {side: planned(own, true, side) for side in SIDES}
    return out


def joint_error(own: Anatomy, true: Anatomy, side: str) -> dict[str, float] | None:
    """Distances from the true articular faces to the segmented bones' faces of the same joint, mm."""
    name = check_side(side)
    if name not in own.joints:
        return None
    a, b = true.joints[name], own.joints[name]
    on = a.articular if a.articular.any() else np.ones(len(a.articular), dtype=bool)
    far = np.concatenate(
        [
            cKDTree(b.sacral_lps_mm).query(a.sacral_lps_mm[on])[0],
            cKDTree(b.iliac_lps_mm).query(a.iliac_lps_mm[on])[0],
        ]
    )
    return {"median": round(float(np.median(far)), 3), "p95": round(float(np.quantile(far, 0.95)), 3)}


def planned(own: Anatomy, true: Anatomy, side: str) -> dict[str, Any]:
    """The plan made on the segmentation and the one made on the truth, both judged on the truth."""
    answers: dict[str, Any] = {}
    for which, anatomy in (("own", own), ("true", true)):
        plan = plan_of(anatomy, side)
        if isinstance(plan, str):
            answers[which] = {"status": plan}
            continue
        report = judge(plan, true, read_limits())
        answers[which] = {
            "status": "found",
            "accepted": report.accepted,
            "margin_mm": round(report.margin_mm, 3),
            "slack_mm": round(report.slack_mm, 3),
            "breaks": sorted({v.constraint for v in report.violations}),
        }
        if which == "own":
            answers[which] |= promised(judge(plan, own, read_limits()), report)
            answers[which]["surface_error_mm"] = SURFACE_ERROR_MM
            answers[which]["surface_mm"] = surface_error(own, true, plan)
    return answers


def surface_error(own: Anatomy, true: Anatomy, plan: Plan) -> dict[str, float]:
    """How far true bone near the implants lies from the segmented, whatever both are called: median, 99 %, most."""

    def corners(anatomy: Anatomy) -> Any:
        return np.concatenate([anatomy.sacrum.corners_lps_mm(), anatomy.ilium[plan.side].corners_lps_mm()])

    points = np.unique(corners(true).reshape(-1, 3), axis=0)
    near = np.zeros(len(points), dtype=bool)
    for t in plan.trajectories:
        along = np.clip((points - t.entry_lps_mm) @ t.axis, 0.0, t.length_mm)
        axis = t.entry_lps_mm + along[:, None] * t.axis
        near |= np.linalg.norm(points - axis, axis=1) < NEAR_MM
    off = point_distances(triangle_tree(corners(own)), points[near])
    return {f"p{q:g}": round(float(np.percentile(off, q)), 3) for q in (50, 99, 100)}


def promised(said: MarginReport, true: MarginReport) -> dict[str, Any]:
    """How much nearer dangers lie in truth than was said of the plan on the segmentation, and whether its bounds hold.

    `promised_mm` is the most of all dangers that lie within `NEAR_MM`, as was said or in truth; `of` is the danger.
    `unsaid` are those that lie so near in truth and of which nothing was said.
    `below_bound_mm` is how far the worst of all lies below its lower bound; 0 where every bound holds.
    """
    worst, of, below, unsaid = -np.inf, "", 0.0, set[str]()
    for own, other in zip(said.implants, true.implants, strict=True):
        distances = {c.structure: c.distance_mm for c in other.clearances}
        unsaid |= {s for s, mm in distances.items() if mm <= NEAR_MM} - {c.structure for c in own.clearances}
        for c in own.clearances:
            if c.structure not in distances or min(c.distance_mm, distances[c.structure]) > NEAR_MM:
                continue
            nearer = c.distance_mm - distances[c.structure]
            below = max(below, c.lower_bound_mm - distances[c.structure])
            if nearer > worst:
                worst, of = nearer, c.structure
    return {"promised_mm": round(worst, 3), "of": of, "below_bound_mm": round(below, 3), "unsaid": sorted(unsaid)}


def plan_of(anatomy: Anatomy, side: str) -> Plan | str:
    """An accepted plan, or the status that stands in its place."""
    problem = Problem(anatomy, check_side(side), (read_implants()["tri-7"],) * 3, read_limits())
    try:
        outcome = load(PLANNER).plan(problem, rng=np.random.default_rng(SEED), budget=Budget())
    except SjplanError as error:
        return f"refused: {error}"
    return outcome.status if outcome.plan is None else outcome.plan


def cases(arguments: argparse.Namespace) -> dict[str, tuple[str, Any]]:
    """Kind and maker of every case, by name."""
    data, spacing = arguments.data, arguments.spacing
    found: dict[str, tuple[str, Any]] = {}
    for number, (name, file) in enumerate(real_pelves.cases(data).items()):
        found[name] = ("assumed", lambda file=file: assumed_case(file, spacing))
        found[f"{name}-blurred"] = ("blurred", lambda file=file, number=number: blurred_case(file, spacing, number))
    folder = data / "totalsegmentator_example"
    if folder.is_dir():
        found["ct-3mm"] = (
            "real",
            lambda: (read_ct(folder / "ct_3mm_int16.nii.gz"), read_labels(folder / "labels_totalseg_v2.nii.gz")),
        )
    masked = data / "hipbones_ct_1mm" / "pelvisSegmIntensityLPI.mha"
    if masked.is_file():
        found["hips-masked"] = ("masked", lambda: (read_ct(masked), None))
    for number in range(arguments.phantoms):
        name = f"{COHORTS[number % len(COHORTS)]}-{number:03d}"
        found[name] = ("phantom", lambda number=number: phantom_case(number, spacing))
    return {
        name: case
        for name, case in found.items()
        if case[0] in arguments.kinds and (not arguments.only or name in arguments.only)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("docs/results/segmentation.json"))
    parser.add_argument("--only", nargs="*", default=None, help="names such as vsd-z001 adults-000 ct-3mm")
    parser.add_argument("--kinds", nargs="*", default=["phantom", "assumed", "blurred", "real", "masked"])
    parser.add_argument("--phantoms", type=int, default=30)
    parser.add_argument("--spacing", type=float, default=1.0, help="voxels of phantoms and assumed CTs, mm")
    parser.add_argument("--no-plans", action="store_true", help="leave out the plans, which take longest")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, ended)
    settings = {"spacing_mm": arguments.spacing, "planner": None if arguments.no_plans else PLANNER}
    rows = {} if arguments.fresh else read_rows(arguments.out, "case", settings)
    wanted = cases(arguments)
    if not wanted:
        sys.exit(f"no such case; real data are looked for in {arguments.data}")
    with ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measured, name, arguments) for name in wanted if name not in rows]):
            row, seconds = done.result()
            rows[row["case"]] = row
            write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)
            print(row["case"], row.get("dice"), row.get("refusals"), f"{seconds:.0f} s", flush=True)


def ended(*_: Any) -> None:
    """End what was started too: a case takes minutes."""
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(143)


def measured(name: str, arguments: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """The row of one case, and how many seconds it took."""
    started = time.perf_counter()
    kind, make = cases(arguments)[name]
    ct, truth = make()
    return row_of(name, kind, ct, truth, not arguments.no_plans), time.perf_counter() - started


if __name__ == "__main__":
    main()
