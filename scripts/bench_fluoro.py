"""How right and how fast radiographs are, beside other projectors: `python scripts/bench_fluoro.py [--repeats N]`.

The body is made of ellipsoids, so that every line integral is known. It is read from a CT of 384 x 384 x 300 voxels of
1 mm by this package and by those peers that are installed (`pip install itk-rtk nanodrr`). Errors are those of ten
poses; times are medians over four poses, one call of each after the other, so that whatever else the machine does hits
all alike. Ratios count, not milliseconds. Writes docs/results/fluoro.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numba
import numpy as np

from sjplan.core.grid import Grid
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.io.carms import read_carms
from sjplan.io.physics import read_physics
from sjplan.io.results import write_rows
from sjplan.xray.attenuation import MU_WATER_PER_MM, Attenuation, halved
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.chords import add_solids
from sjplan.xray.fluoroscope import Fluoroscope
from sjplan.xray.frame import FrameMaker
from sjplan.xray.projector import project
from sjplan.xray.shear_warp import SliceProjector
from sjplan.xray.solids import metal_solids
from sjplan.xray.types import CArm, Detector

SHAPE = (384, 384, 300)
GRID = Grid(SHAPE, np.ones(3), -0.5 * (np.array(SHAPE) - 1.0), np.eye(3))
SOURCE_MM, DETECTOR_MM = 600.0, 1000.0

TIMED = {"ap": (0, 0, 0), "lateral": (90, 0, 0), "oblique": (30, 25, -10), "other oblique": (-40, -20, 5)}
POSES = {
    **TIMED, "inlet": (0, -25, 0), "outlet": (0, 45, 0), "steep outlet": (0, 70, 0), "along z": (5, 88, 0),
    "from behind": (170, 10, 0), "wig-wag": (20, -35, 30),
}  # fmt: skip

# Ellipsoids: centre and half axes in mm, and what they add to the density, in HU; on air.
BODY: list[tuple[tuple[float, ...], tuple[float, ...], float]] = [((0, 0, 0), (172, 112, 140), 1050.0)]
for x, y, z, a, b, c, cortex, marrow in (
    (-82, 12, 25, 40, 27, 66, 950.0, 240.0), (82, 12, 25, 40, 27, 66, 950.0, 240.0),
    (0, 58, 35, 47, 25, 55, 820.0, 210.0), (0, 44, 112, 25, 21, 17, 780.0, 200.0),
    (-90, -8, -62, 29, 30, 30, 1000.0, 280.0), (90, -8, -62, 29, 30, 30, 1000.0, 280.0),
):  # fmt: skip
    BODY.append(((x, y, z), (a, b, c), cortex))
    BODY.append(((x, y, z), (a - 2.5, b - 2.5, c - 2.5), marrow - cortex))
BODY.append(((25, -55, 15), (30, 20, 28), -1000.0))


def voxels(samples: int = 4) -> np.ndarray:
    """HU of the body, each voxel the mean over so many points along each edge."""
    density = np.zeros(SHAPE, np.float32)
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    for centre, half, added in BODY:
        low = np.maximum(np.floor(GRID.ijk_from_lps(np.subtract(centre, half))).astype(int) - 1, 0)
        high = np.minimum(np.ceil(GRID.ijk_from_lps(np.add(centre, half))).astype(int) + 2, SHAPE)
        axes = [GRID.origin_lps_mm[n] + np.arange(low[n], high[n])[:, None] + steps[None] - centre[n] for n in range(3)]
        squared = [((axis / half[n]) ** 2).astype(np.float32) for n, axis in enumerate(axes)]
        box = density[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        for a, b, c in np.ndindex(samples, samples, samples):
            inside = squared[0][:, a, None, None] + squared[1][None, :, b, None] + squared[2][None, None, :, c] <= 1.0
            box += np.float32(added / samples**3) * inside
    return np.rint(density - 1000.0).astype(np.int16)


def exact(geometry: CArmGeometry) -> np.ndarray:
    """Line integrals of the body itself."""
    rays, total = geometry.ray_through(geometry.all_pixels()), np.zeros((geometry.rows, geometry.columns))
    for centre, half, added in BODY:
        d, s = rays / half, (geometry.source_lps_mm - centre) / np.array(half)
        a, b, c = (d * d).sum(-1), d @ s, s @ s - 1.0
        total += added * 2.0 * np.sqrt(np.maximum(b * b - a * c, 0.0)) / a
    return total * MU_WATER_PER_MM / 1000.0


def geometry_of(angles: tuple[float, ...], detector: Detector) -> CArmGeometry:
    return CArmGeometry.of(CArm(*angles, np.zeros(3), SOURCE_MM, DETECTOR_MM), detector)


Projector = Callable[[CArmGeometry], np.ndarray]


def rtk_joseph(mu: np.ndarray) -> Projector:
    """Joseph's projector of RTK."""
    import itk
    from itk import RTK as rtk

    threads = numba.get_num_threads()
    itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(threads)
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)
    kind = itk.Image[itk.F, 3]
    image = itk.image_from_array(np.ascontiguousarray(mu.transpose(2, 1, 0)))
    image.SetOrigin([float(x) for x in GRID.origin_lps_mm])

    def of(cls: object, values: np.ndarray) -> object:
        made = cls()
        for n in range(3):
            made[n] = float(values[n])
        return made

    def run(g: CArmGeometry) -> np.ndarray:
        point, vector = itk.Point[itk.D, 3], itk.Vector[itk.D, 3]
        size = [float(np.linalg.norm(v)) for v in (g.column_step_lps_mm, g.row_step_lps_mm)]
        middle = g.pixel_lps_mm([(g.columns - 1) / 2.0, (g.rows - 1) / 2.0])
        turn = rtk.ThreeDCircularProjectionGeometry.New()
        turn.AddProjection(
            of(point, g.source_lps_mm), of(point, middle),
            of(vector, g.column_step_lps_mm / size[0]), of(vector, g.row_step_lps_mm / size[1]),
        )  # fmt: skip
        blank = rtk.ConstantImageSource[kind].New()
        blank.SetOrigin([-(g.columns - 1) / 2.0 * size[0], -(g.rows - 1) / 2.0 * size[1], 0.0])
        blank.SetSpacing([*size, 1.0])
        blank.SetSize([g.columns, g.rows, 1])
        blank.SetConstant(0.0)
        forward = rtk.JosephForwardProjectionImageFilter[kind, kind].New()
        forward.SetInput(0, blank.GetOutput())
        forward.SetInput(1, image)
        forward.SetGeometry(turn)
        forward.Update()
        return np.array(itk.array_view_from_image(forward.GetOutput())[0])

    return run


def nanodrr(mu: np.ndarray) -> Projector:
    """The nanodrr of torch, with its usual 500 samples a ray."""
    import torch
    from nanodrr.data import Subject
    from nanodrr.drr import DRR

    torch.set_num_threads(numba.get_num_threads())
    torch.set_grad_enabled(False)
    image = torch.from_numpy(np.ascontiguousarray(mu.transpose(2, 1, 0)))[None, None]
    to_world = torch.eye(4)
    to_world[:3, 3] = torch.tensor(GRID.origin_lps_mm.copy(), dtype=torch.float32)
    subject = Subject(
        image, torch.zeros_like(image), to_world, torch.linalg.inv(to_world), Subject._make_voxel_to_grid(image.shape),
        torch.zeros(3), convert_to_mu=False,
    )  # fmt: skip

    def run(g: CArmGeometry) -> np.ndarray:
        size = [float(np.linalg.norm(v)) for v in (g.column_step_lps_mm, g.row_step_lps_mm)]
        middle = g.pixel_lps_mm([(g.columns - 1) / 2.0, (g.rows - 1) / 2.0])
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1] = g.column_step_lps_mm / size[0], g.row_step_lps_mm / size[1]
        pose[:3, 2] = (middle - g.source_lps_mm) / np.linalg.norm(middle - g.source_lps_mm)
        pose[:3, 3] = g.source_lps_mm
        camera = DRR.from_carm_intrinsics(DETECTOR_MM, *size, 0.0, 0.0, g.rows, g.columns)
        return np.asarray(camera(subject, torch.tensor(pose, dtype=torch.float32)[None], n_samples=500)[0, 0].numpy())

    return run


def peers(mu: np.ndarray) -> dict[str, Projector]:
    found = {}
    for name, make in (("itk-rtk", rtk_joseph), ("nanodrr", nanodrr)):
        try:
            label = f"{name} {importlib.metadata.version(name)}"
            found[label] = make(mu)
        except ImportError as error:
            print(f"{name}: not measured ({error})")
    return found


def timed(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of each call in ms, all called in turn so many times."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1000.0 * float(np.median(values)) for name, values in seconds.items()}


def frame_calls(ct: CtVolume, angles: tuple[float, ...]) -> dict[str, Callable[[], object]]:
    """A device's full frame with three implants, each time of a pose not seen before."""
    device = read_carms()["flat-panel"]
    scope, maker, rng = Fluoroscope(ct), FrameMaker(read_physics(), device), np.random.default_rng(0)
    moved = iter(1e-3 * np.arange(1, 10_000))
    implants = implants_at()

    def frame() -> object:
        pose = device.pose(CArm(*angles, np.full(3, next(moved))))
        return scope.shoot(pose, maker, implants, rng=rng)

    return {"full frame, three implants": frame}


def implants_at() -> list[Trajectory]:
    model = ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (45.0,))
    return [Trajectory((80.0, 40.0, z), (35.0, 40.0, z), 0.0, model) for z in (40.0, 20.0, 0.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("docs/results/fluoro.json"))
    arguments = parser.parse_args()
    hu = voxels()
    ct = CtVolume(GRID, hu)
    attenuation = Attenuation.from_hu(hu, GRID)
    slices, coarse = SliceProjector(attenuation), SliceProjector(halved(attenuation))
    others = peers((hu.astype(np.float32) + 1000.0) * np.float32(MU_WATER_PER_MM / 1000.0))
    ours: dict[str, Projector] = {"shear and warp": slices.project, "ray by ray": lambda g: project(attenuation, g)}
    rows: list[dict[str, object]] = []

    whole = Detector(512, 512, 0.58)
    for name, run in {**ours, **others}.items():
        errors = {pose: run(geometry_of(a, whole)) - exact(geometry_of(a, whole)) for pose, a in POSES.items()}
        for pose, error in errors.items():
            row = {"what": "error", "projector": name, "pose": pose, "rmse": float(np.sqrt((error**2).mean()))}
            rows.append({**row, "largest": float(np.abs(error).max()), "bias": float(error.mean())})
        worst = max(float(np.sqrt((e**2).mean())) for e in errors.values())
        mean = float(np.mean([np.sqrt((e**2).mean()) for e in errors.values()]))
        print(f"{name:28s} RMSE mean {mean:.5f} worst {worst:.5f}", flush=True)

    milliseconds: dict[str, list[float]] = {}
    half, solids = whole.halved(), metal_solids(implants_at())
    for pose, angles in TIMED.items():
        fine, draft = geometry_of(angles, whole), geometry_of(angles, half)
        plain = slices.project(fine)
        calls: dict[str, Callable[[], object]] = {
            name: (lambda run=run, g=fine: run(g)) for name, run in {**ours, **others}.items()
        }
        calls["draft, 256 x 256"] = lambda g=draft: coarse.project(g)
        calls["three implants on top"] = lambda g=fine, p=plain: add_solids(p, attenuation, g, solids)
        calls.update(frame_calls(ct, angles))
        for name, value in timed(calls, arguments.repeats).items():
            milliseconds.setdefault(name, []).append(value)
            rows.append({"what": "time", "projector": name, "pose": pose, "ms": round(value, 2)})
    bare = float(np.median(milliseconds["shear and warp"]))
    for name, values in milliseconds.items():
        print(f"{name:28s} median {np.median(values):8.1f} ms, {np.median(values) / bare:7.2f} times shear and warp")
    for row in rows:
        row["id"] = f"{row['what']} {row['projector']} {row['pose']}"
    settings = {"threads": numba.get_num_threads(), "cores": os.cpu_count(), "repeats": arguments.repeats}
    write_rows(arguments.out, rows, seed=0, settings=settings)


if __name__ == "__main__":
    main()
