"""What the real pelves come with, to compare the anatomy with: corridors and landmarks."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.frames import SIDES

VSD = ("z001", "z009", "z013", "z019", "z023", "z035", "z046")
JHU = ("03", "04", "08", "13", "22", "38", "41", "46", "51")


def label_path(data: Path, name: str) -> Path:
    """Label map of one pelvis."""
    folder = "vsd_pelvis" if name.startswith("z") else "jhu_pelvis_atlas"
    return data / folder / "labelmaps_1mm" / f"{name}_labels.nii.gz"


@dataclass(frozen=True, slots=True, eq=False)
class Corridor:
    """Axis of one expert corridor through both ilia, LPS mm."""

    pelvis: str
    level: str
    start: Array
    end: Array


def corridors(data: Path) -> list[Corridor]:
    """All corridors of the atlas."""
    with (data / "jhu_pelvis_atlas" / "corridors.csv").open() as file:
        return [
            Corridor(
                f"{int(row['atlas_id']):02d}",
                row["level"],
                np.array([float(row[k]) for k in ("x0", "y0", "z0")]),
                np.array([float(row[k]) for k in ("x1", "y1", "z1")]),
            )
            for row in csv.DictReader(file)
        ]


def observed(data: Path, name: str, landmark: str) -> Array:
    """Mean of the observers' landmark whose name holds some words, such as Promontory or Left ASIS."""
    with (data / "vsd_pelvis" / "landmarks_lps_mm.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["subject"] == name and landmark in r["landmark"])
    return np.array([float(row[k]) for k in "xyz"])


def medial_axis(anatomy: Anatomy, corridor: Corridor) -> Array:
    """Points every quarter millimetre on a corridor's axis, between the two SI joints."""
    length = float(np.linalg.norm(corridor.end - corridor.start))
    share = np.linspace(0.0, 1.0, int(4 * length) + 1)[:, None]
    points = corridor.start + share * (corridor.end - corridor.start)
    medial = np.ones(len(points), dtype=bool)
    for side in SIDES:
        joint = anatomy.joints[side]  # type: ignore[index]
        _, at = cKDTree(joint.sacral_lps_mm).query(points)
        medial &= np.einsum("ij,ij->i", points - joint.sacral_lps_mm[at], joint.normal[at]) > 0
    return points[medial]


def nearest_lumen_mm(anatomy: Anatomy, points: Array) -> float:
    """Smallest distance of the points to any foramen's lumen (to its voxels' centres)."""
    lumen = np.concatenate([f.lumen_lps_mm for f in anatomy.foramina])
    return float(cKDTree(lumen).query(points)[0].min())


def cranial_of_foramen_mm(anatomy: Anatomy, points: Array, level: str, side: str) -> float:
    """How far cranial (negative: caudal) of a foramen's lumen the points pass, where they come nearest to it."""
    foramen = anatomy.foramen(level, side)
    if foramen is None:
        raise KeyError(f"{level} {side}")
    distance, at = cKDTree(foramen.lumen_lps_mm).query(points)
    n = int(np.argmin(distance))
    return float((points[n] - foramen.lumen_lps_mm[at[n]]) @ anatomy.frame.cranial)


def below_endplate_mm(anatomy: Anatomy, points: Array) -> float:
    """How far below the plane of the S1 endplate the points pass in the midline."""
    x = np.abs(anatomy.frame.frame_from_lps(points)[:, 0])
    point = points[int(np.argmin(x))]
    return float((anatomy.landmarks["s1_endplate_centre"] - point) @ anatomy.s1_endplate_normal)
