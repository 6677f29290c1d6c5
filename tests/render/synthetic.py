"""A pelvis of ellipsoids, measured margins and a radiograph, all made by formula: enough to draw."""

from __future__ import annotations

import numpy as np
import pyvista as pv

from sjplan.anatomy.types import Anatomy, Canal, Foramen, Joint, Mouth
from sjplan.core.findings import Finding
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.grid import Grid
from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.core.structures import SURFACE_ID
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.geometry.surface import LabelledSurface
from sjplan.safety.types import Clearance, ImplantMargins
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Detector, Radiograph

TRIANGLE = ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (40.0, 45.0, 50.0))
ROD = ImplantModel("rod-10", "a rod", "cylinder", 5.0, 5.0, (40.0, 50.0))
CENTRE = np.array([12.0, -150.0, -700.0])
"""Away from the origin on purpose: nothing may depend on the scan's own zero."""


def at(x: float, y: float, z: float) -> np.ndarray:
    return CENTRE + np.array([x, y, z])


def trajectories(side: str = "left") -> dict[int, Trajectory]:
    sign = 1.0 if side == "left" else -1.0
    out = {}
    for slot, (z, tip) in enumerate(((10.0, 12.0), (-8.0, 30.0), (-26.0, 34.0)), start=1):
        entry = at(sign * 75.0, 4.0, z)
        out[slot] = Trajectory(entry, at(sign * tip, 2.0, z + 2.0), 0.0, TRIANGLE)
    return out


def _ellipsoid(centre, radii, label) -> LabelledSurface:
    sphere = pv.Sphere(radius=1.0, theta_resolution=40, phi_resolution=40)
    vertices = np.asarray(sphere.points, dtype=np.float64) * radii + CENTRE + np.asarray(centre)
    triangles = sphere.faces.reshape(-1, 4)[:, 1:]
    middles = vertices[triangles].mean(axis=1) - CENTRE
    return LabelledSurface(vertices, triangles, label(middles))


def _ball(centre, radius: float) -> np.ndarray:
    n = int(radius) + 1
    around = np.stack(np.meshgrid(*[np.arange(-n, n + 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return CENTRE + np.asarray(centre) + around[np.linalg.norm(around, axis=1) <= radius]


def _foramen(level: str, side: str, x: float, z: float) -> Foramen:
    line = CENTRE + np.array([[x * 0.4, 5.0, z], [x, -5.0, z], [x, -20.0, z]])
    mouth = Mouth(line[-1], (0, -1, 0), 12.0, 10.0, 5.0)
    return Foramen(level, side, line, _ball((x, -5.0, z), 5.0), mouth, None, abs(x) + 5.0)


def anatomy() -> Anatomy:
    """Sacrum and hips as ellipsoids, foramina S1 and S2 as balls, a canal, joints and landmarks."""

    def sacral(p):
        ids = np.where(p[:, 1] > 0, SURFACE_ID["posterior"], SURFACE_ID["anterior"])
        ids[np.abs(p[:, 0]) > 35] = SURFACE_ID["joint_articular"]
        ids[p[:, 2] > 25] = SURFACE_ID["superior"]
        return ids

    def iliac(p):
        return np.where(np.abs(p[:, 0]) > 60, SURFACE_ID["lateral"], SURFACE_ID["iliac_inner"])

    joints = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        faces = CENTRE + np.array([[sign * 48.0, y, z] for y in (-5.0, 5.0) for z in (-20.0, 0.0, 20.0)])
        normal = np.array([-sign, 0.0, 0.0])
        joints[side] = Joint(side, faces, faces - 2 * normal, np.tile(normal, (6, 1)), np.full(6, 2.0),
                             np.array([True, True, True, True, False, False]), normal, 900.0, 400.0)  # fmt: skip
    foramina = tuple(
        _foramen(level, side, sign * x, z)
        for level, x, z in (("S1", 24.0, 0.0), ("S2", 22.0, -20.0))
        for side, sign in (("left", 1.0), ("right", -1.0))
    )
    axis = CENTRE + np.array([[0.0, 8.0, 25.0], [0.0, 10.0, -30.0]])
    canal = Canal(axis, np.concatenate([_ball((0.0, 9.0, z), 6.0) for z in range(-30, 26, 4)]))
    landmarks = {"promontory": at(0, -25, 35), "symphysis": at(0, -95, -60),
                 "psis_left": at(45, 40, 0), "psis_right": at(-45, 40, 0)}  # fmt: skip
    return Anatomy(
        frame=AnatomicalFrame(at(0, 0, 30), np.eye(3)),
        sacrum=_ellipsoid((0, 0, 0), (50, 28, 45), sacral),
        ilium={
            "left": _ellipsoid((63, 5, 0), (13, 45, 70), iliac),
            "right": _ellipsoid((-63, 5, 0), (13, 45, 70), iliac),
        },
        joints=joints,
        foramina=foramina,
        canal=canal,
        landmarks=landmarks,
        s1_endplate_normal=np.array([0.0, 0.0, 1.0]),
        findings=(Finding("s3-missing", "warning", "S3 foramen not found", "left"),),
        spacing_mm=np.ones(3),
        geometry_error_mm=0.5,
    )


def grid(spacing=(2.0, 2.0, 2.5)) -> Grid:
    shape = (100, 70, 64)
    size = (np.array(shape) - 1) * spacing
    return Grid(shape, spacing, CENTRE - size / 2, np.eye(3))


def labels() -> LabelMap:
    g = grid()
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in g.shape], indexing="ij"), axis=-1)
    p = g.lps_from_ijk(ijk) - CENTRE
    label = np.zeros(g.shape, dtype=np.uint8)
    label[((p / (50, 28, 45)) ** 2).sum(axis=-1) <= 1] = 25
    for side, sign in ((77, 1), (78, -1)):
        inside = (((p - (sign * 63, 5, 0)) / (13, 45, 70)) ** 2).sum(axis=-1) <= 1
        label[inside & (label == 0)] = side
    return LabelMap(g, label, {25: "sacrum", 77: "hip_left", 78: "hip_right"})


def ct() -> CtVolume:
    values = np.where(labels().label > 0, 400, 30).astype(np.int16)
    return CtVolume(grid(), values)


def radiograph(solids=(), carm: CArm | None = None, detector: Detector | None = None) -> Radiograph:
    """A smooth body with the exact shadow of convex solids: along each ray, how much of 400 samples lies inside."""
    carm = carm or CArm(0.0, 0.0, 0.0, CENTRE)
    detector = detector or Detector(128, 160, 1.9)
    geometry = CArmGeometry.of(carm, detector)
    pixels = geometry.all_pixels()
    body = 2.0 + np.cos(pixels[..., 0] / 60.0) + 0.5 * np.sin(pixels[..., 1] / 40.0)
    rays = geometry.ray_through(pixels)
    for solid in solids:
        reach = np.linspace(carm.source_to_isocentre_mm - 120, carm.source_to_isocentre_mm + 120, 400)
        inside = np.zeros(pixels.shape[:2])
        for t in reach:
            points = (geometry.source_lps_mm + t * rays).reshape(-1, 3)
            inside += (signed_distance(solid, points) <= 0).reshape(inside.shape)
        body = body + 0.2 * inside * (reach[1] - reach[0])
    return Radiograph(body.astype(np.float32), carm, detector)


def margins(slot: int = 1, side: str = "left") -> ImplantMargins:
    t = trajectories(side)[slot]
    witness = t.tip_lps_mm - 8.0 * np.array([0.0, 0.0, 1.0])
    clearances = (
        Clearance(f"foramen_S1_{side}", 5.2, 3.1, 2.0, 4.1, witness, t.tip_lps_mm),
        Clearance("anterior", 7.5, 6.0, 1.0, 6.4, witness, t.tip_lps_mm),
    )
    return ImplantMargins(slot, t, clearances, 3.0, 18.0, 2.0, 22.0, True, at(49, 3, 0), 12.0, 12.0, 9.0, "anterior")


def implant_solids(side: str = "left"):
    return [implant_solid(t) for t in trajectories(side).values()]
