"""Place implants off their plan in phantoms, make a later CT of them, audit it, and compare with what was injected.

    python scripts/validate_audit.py [--pelves 4] [--positions 5] [--spacing 1.0] [--out FILE] [--fresh]

Each pelvis is a member of the cohort of adults. Three implants a side are laid across the joint, and for every position
of the patient others are placed: moved, tilted and rolled at random, more than is published. The patient lies turned
and shifted in the later CT; parts of the body are cut off; implants show as metal, blurred, noisy, with streaks, and
cut at the end of a 12-bit scale. The audit sees the label map before the operation and that CT, nothing else.

Rows go to docs/results/audit.json, one a position; scripts/tabulate_audit.py renders the tables. Goes on where an
interrupted run stopped; exit code 1 if an implant was not found or lies off what was injected by more than 0.7 mm, 1
degree, or 15 degrees of roll.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.spatial.transform import Rotation

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.audit.compare import compare, found_in_ct
from sjplan.audit.deviations import deviation, roll_of_corner
from sjplan.audit.types import PlannedImplant
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.grid import Grid
from sjplan.core.plan import check_side
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.io.scoring import read_scoring
from sjplan.phantom.build import build_phantom
from sjplan.phantom.postoperative import Later, later_ct

SEED: Final = 0
COHORT: Final = "adults"
OUT: Final = Path(__file__).parents[1] / "docs" / "results" / "audit.json"
WANTED: Final = {"entry_mm": 0.7, "tip_mm": 0.7, "angle_deg": 1.0, "roll_deg": 15.0}
MODELS: Final = ("tri-7", "tri-7", "thread-10")
"""Models of the positions in turn: triangles twice as often."""


def planned_implants(anatomy: Anatomy, model: str) -> list[PlannedImplant]:
    """Three parallel implants a side across the articular part of the joint, 20 mm apart."""
    catalogue, planned = read_implants(), []
    for side in (check_side(s) for s in SIDES if s in anatomy.joints):
        joint = anatomy.joints[side]
        middle = joint.sacral_lps_mm[joint.articular].mean(axis=0)
        axis = anatomy.frame.axes.T @ (-SIDE_SIGN[side], -0.1, 0.2)
        axis /= np.linalg.norm(axis)
        for slot, (height, length) in enumerate(((18.0, 50.0), (0.0, 45.0), (-18.0, 40.0)), 1):
            at = middle + height * anatomy.frame.cranial
            path = Trajectory(at - 25.0 * axis, at + (length - 25.0) * axis, 15.0 * slot, catalogue[model])
            planned.append(PlannedImplant(side, slot, path))
    return planned


def misplaced(plan: Trajectory, rng: np.random.Generator) -> Trajectory:
    """The implant somewhere else: 3 mm and 3 degrees along each axis (KAMP23), and rolled anyhow."""
    turn = Rotation.from_rotvec(np.radians(rng.normal(0.0, 3.0, 3))).as_matrix()
    tip, axis = plan.tip_lps_mm + rng.normal(0.0, 3.0, 3), turn @ plan.axis
    corner = Rotation.from_rotvec(np.radians(rng.uniform(-60, 60)) * axis).as_matrix() @ turn @ plan.section_axes()[0]
    return Trajectory(tip - plan.length_mm * axis, tip, roll_of_corner(axis, corner), plan.model)


def later_of(ct: CtVolume, anatomy: Anatomy, real: list[Trajectory], spacing: float, rng: np.random.Generator) -> Any:
    """A later CT of the patient, and how the scanner was set."""
    rotation = Rotation.from_euler("xyz", rng.uniform(-15.0, 15.0, 3), degrees=True).as_matrix()
    shift, seed = rng.uniform(-80.0, 80.0, 3), int(rng.integers(2**31))
    settings = {
        "blur_mm": round(rng.uniform(0.4, 0.9), 2),
        "noise_hu": round(rng.uniform(8.0, 30.0), 1),
        "streaks": round(rng.uniform(0.1, 0.4), 2),
        "metal_hu": round(rng.uniform(5000.0, 12000.0)),
    }
    later = Later(rotation, shift, **settings)
    bone = np.concatenate([anatomy.sacrum.vertices_lps_mm, *(s.vertices_lps_mm for s in anatomy.ilium.values())])
    lying = bone @ rotation.T + shift
    # The field of view ends somewhere: up to a fifth of the pelvis below is cut off, and the margin beside it varies.
    low, high = lying.min(axis=0) - rng.uniform(3.0, 15.0, 3), lying.max(axis=0) + rng.uniform(3.0, 15.0, 3)
    low[2] += rng.uniform(0.0, 0.2) * (high[2] - low[2])
    steps = np.array((spacing, spacing, spacing))
    shape = np.ceil((high - low) / steps).astype(int)
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), steps, low, np.eye(3))
    turned = round(float(np.degrees(np.linalg.norm(Rotation.from_matrix(rotation).as_rotvec()))), 1)
    return later_ct(ct, real, grid, later, seed), later, settings | {"turned_deg": turned, "shape": grid.shape}


def one(anatomy: Anatomy, ct: CtVolume, key: str, position: int, spacing: float, index: int) -> dict[str, Any]:
    """The row of one position; what went wrong is a row as well."""
    rng = np.random.default_rng([SEED, index, position])
    planned = planned_implants(anatomy, MODELS[position % len(MODELS)])
    real = [misplaced(p.trajectory, rng) for p in planned]
    after, later, settings = later_of(ct, anatomy, real, spacing, rng)
    started, used = time.perf_counter(), time.process_time()
    try:
        found, registration, notes = found_in_ct(planned, anatomy, after)
        case = compare(planned, found, anatomy, read_limits(), read_scoring().grades, registration=registration)
    except Exception as error:
        return {"run": key, **settings, "failed": f"{type(error).__name__}: {error}"}
    seconds, used = time.perf_counter() - started, time.process_time() - used
    off = registration.plan_from_ct.rotation @ later.rotation
    middle = np.mean([p.trajectory.tip_lps_mm for p in planned], axis=0)
    apart = registration.plan_from_ct.points(later.rotation @ middle + later.shift_mm) - middle
    row = {
        "run": key,
        "model": planned[0].trajectory.model.id,
        **settings,
        "bone_residual_mm": round(registration.residual_mm, 3),
        "bone_matched": round(registration.matched_share, 3),
        "bone_off_mm": round(float(np.linalg.norm(apart)), 3),
        "bone_off_deg": round(float(np.degrees(np.linalg.norm(Rotation.from_matrix(off).as_rotvec()))), 3),
        "extra": len(found[1]),
        "notes": list(notes),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "implants": [],
    }
    for side in case.sides:
        for implant in side.implants:
            if implant.planned is not None and implant.deviation is not None:
                n = next(n for n, p in enumerate(planned) if p is implant.planned)
                row["implants"].append(_implant(implant, deviation(planned[n].trajectory, real[n]), real[n]))
    return row


def _implant(implant: Any, injected: Any, real: Trajectory) -> dict[str, Any]:
    """What was injected, and how far what the audit found lies from where the implant is."""
    left = deviation(real, implant.placed.trajectory)
    return {
        "place": f"{implant.side} {implant.planned.slot}",
        "injected": {"tip_mm": round(injected.tip_mm, 2), "angle_deg": round(injected.angle_deg, 2)},
        "error": {
            "entry_mm": round(left.entry_mm, 3),
            "tip_mm": round(left.tip_mm, 3),
            "angle_deg": round(left.angle_deg, 3),
            "roll_deg": None if left.roll_deg is None else round(abs(left.roll_deg), 2),
            "depth_mm": round(left.depth_mm, 3),
        },
        "fit_rms": round(implant.placed.fit_rms or 0.0, 4),
    }


def failures(row: dict[str, Any]) -> list[str]:
    """What is wrong with one position, one line each."""
    if "failed" in row:
        return [f"{row['run']}: {row['failed']}"]
    out = [f"{row['run']}: {len(row['implants'])} implants of 6 found"] if len(row["implants"]) != 6 else []
    out += [f"{row['run']}: {row['extra']} implants too many"] if row["extra"] else []
    for implant in row["implants"]:
        for name, most in WANTED.items():
            if implant["error"][name] is not None and implant["error"][name] > most:
                out.append(f"{row['run']} {implant['place']}: {name} off by {implant['error'][name]}, {most} wanted")
    return out


def main() -> int:
    """Run what is missing, and say what is off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pelves", type=int, default=4)
    parser.add_argument("--positions", type=int, default=5)
    parser.add_argument("--spacing", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {"cohort": COHORT, "spacing_mm": arguments.spacing}
    done = {} if arguments.fresh else read_rows(arguments.out, "run", settings)
    for index in range(arguments.pelves):
        keys = {f"{COHORT} {index}, position {n}": n for n in range(arguments.positions)}
        missing = {key: n for key, n in keys.items() if key not in done}
        if not missing:
            continue
        phantom = build_phantom(draw(read_cohort(COHORT), index, SEED), arguments.spacing)
        anatomy = anatomy_from_labels(phantom.labels)
        for key, n in missing.items():
            done[key] = one(anatomy, phantom.ct, key, n, arguments.spacing, index)
            write_rows(arguments.out, done.values(), seed=SEED, settings=settings)
            print(f"{key}: " + ("; ".join(failures(done[key])) or "as injected"), flush=True)
    wrong = [line for row in done.values() for line in failures(row)]
    print(f"{len(done)} positions, {len(wrong)} complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
