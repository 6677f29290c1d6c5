"""A pelvis of blocks: every wall is flat and lies half-way between voxels, so distances are known in closed form.

Seen before any turning (LPS mm): ilium plate x 40.5 to 55.5; joint gap to the sacrum at x 37.5; canal a square bore
along z, 6.5 mm to each wall; S1 to S4 foramina square bores along y at x = 20, z = 12, -12, -36, -60, 4.5 mm to each
wall; anterior y = -25.5, posterior y = 25.5, superior z = 40.5, inferior z = -75.5. The walls of sacrum and plate that
an implant passes beside are floors of grooves, 6 mm below the block's edges: an edge is rounded by the surface net, a
floor is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sjplan.anatomy.types import Anatomy, Canal, Foramen, Joint
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.grid import Grid
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Plan
from sjplan.core.structures import LEVELS, SURFACE_ID
from sjplan.core.trajectory import Trajectory, section_axes
from sjplan.geometry.surface import LabelledSurface
from sjplan.geometry.surface_nets import surface_net

LEVEL_Z = {"S1": 12, "S2": -12, "S3": -36, "S4": -60}
FORAMEN_X = 20
HALF_WIDTH_MM = 4.5
SACRUM_X, SACRAL_GROOVE_X, GROOVE_MM = (-37.5, 37.5), (18.5, 34.5), 6.0
LATERAL_X, ENTRY_X = 55.5, 58.5
ROUND = ImplantModel("round", "cylinder of 5 mm radius", "cylinder", 5.0, 5.0, (40.0,))
TRIANGLE = ImplantModel("triangle", "rounded triangle, 3.5 to 6 mm", "triangle", 3.5, 1.0, (40.0,))


@dataclass(frozen=True)
class Blocks:
    """What the blocks look like, and how they lie in LPS: point = turn @ (x, y, z) + shift (turn may mirror)."""

    ilium_x: tuple[float, float] = (40.5, LATERAL_X)
    ilium_y: tuple[float, float] = (-30.5, 35.5)
    ilium_z: tuple[float, float] = (-60.5, 50.5)
    sacrum_bottom: float = -75.5
    foramen_radius: float | None = None
    """Radius of round foramina in place of the square ones."""
    back: str = "posterior"
    articular: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda y, z: y < 10
    levels: tuple[str, ...] = LEVELS
    turn: tuple[tuple[float, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    shift: tuple[float, float, float] = (0, 0, 0)

    @property
    def side(self):
        return "left" if np.linalg.det(self.matrix) > 0 else "right"

    @property
    def matrix(self):
        return np.array(self.turn, dtype=float)

    def lps(self, points):
        return np.asarray(points, dtype=float) @ self.matrix.T + np.array(self.shift, dtype=float)

    @cached_property
    def anatomy(self) -> Anatomy:
        return _anatomy(self)

    def implant(self, z, tip_x=26.0, *, y=0.0, entry_x=ENTRY_X, roll=0.0, model=TRIANGLE, tilt_deg=0.0, sold=True):
        """An implant from lateral to medial; tilted, it turns about the z axis through its crossing of the joint."""
        a = np.deg2rad(tilt_deg)
        ends = [np.array([39.0 + np.cos(a) * (x - 39.0), y + np.sin(a) * (x - 39.0), z]) for x in (entry_x, tip_x)]
        if sold:
            model = replace(model, lengths_mm=(float(np.linalg.norm(ends[0] - ends[1])),))
        u0, _ = section_axes(ends[1] - ends[0], roll)
        entry, tip = self.lps(ends)
        # The roll that turns the section with the blocks.
        now, across = section_axes(tip - entry, 0.0)
        u = self.matrix @ u0
        return Trajectory(entry, tip, np.degrees(np.arctan2(u @ across, u @ now)), model)

    def plan(self, *implants):
        return Plan(self.side, implants, "by hand")

    def good(self, **changes):
        """Three implants that keep every limit; slot numbers map to the one to take in its place."""
        slots = {"first": self.implant(27.0, 10.0), "second": self.implant(0.0), "third": self.implant(-24.0)}
        return self.plan(*(slots | changes).values())


def _box(points, x, y, z):
    inside = np.ones(points.shape[:-1], bool)
    for axis, (low, high) in enumerate((x, y, z)):
        inside &= (points[..., axis] > low) & (points[..., axis] < high)
    return inside


def _grooved(points, x, groove_x, y, z):
    """A box whose four sides lie at y and z inside the groove and 6 mm farther out beside it."""
    wide = _box(points, x, (y[0] - GROOVE_MM, y[1] + GROOVE_MM), (z[0] - GROOVE_MM, z[1] + GROOVE_MM))
    return wide & (_box(points, x, y, z) | ~_box(points, groove_x, (-200, 200), (-200, 200)))


def _bores(blocks, points):
    """Which lumen each point lies in: 0 none, else 1 + index of canal and levels."""
    lumen = np.where(_box(points, (-6.5, 6.5), (-6.5, 6.5), (-90, 90)), 1, 0)
    for n, z in enumerate(LEVEL_Z.values()):
        off = points - [FORAMEN_X, 0, z]
        if blocks.foramen_radius is None:
            mine = (np.abs(off[..., 0]) < HALF_WIDTH_MM) & (np.abs(off[..., 2]) < HALF_WIDTH_MM)
        else:
            mine = np.hypot(off[..., 0], off[..., 2]) < blocks.foramen_radius
        lumen[mine] = 2 + n
    return lumen


def _names(blocks, inner, outer, lumen, walls, box):
    """A name for each voxel face from the way it looks; a lumen's wall carries the lumen's name."""
    towards = np.argmax(np.abs(outer - inner), axis=1)
    upwards = (outer - inner)[np.arange(len(inner)), towards] > 0
    for axis in (1, 2):
        # The flanks of a groove carry the name of its floor.
        for beyond, up in ((inner[:, axis] < box[axis][0], False), (inner[:, axis] > box[axis][1], True)):
            flank = beyond & (outer[:, 0] > box[0][0]) & (outer[:, 0] < box[0][1])
            towards, upwards = np.where(flank, axis, towards), np.where(flank, up, upwards)
    name = np.array([SURFACE_ID[walls[t, bool(u)]] for t, u in zip(towards, upwards, strict=True)])
    joint = name == SURFACE_ID["joint_articular"]
    part = blocks.articular(inner[:, 1], inner[:, 2])
    name = np.where(joint & ~part, SURFACE_ID["joint_ligamentous"], name)
    lumens = ["canal", *(f"foramen_{level}_{blocks.side}" for level in LEVELS)]
    return np.where(lumen > 0, np.array([0, *(SURFACE_ID[n] for n in lumens)])[lumen], name)


def _anatomy(blocks):
    start, shape = np.array([-42, -42, -85]), (104, 88, 146)
    grid = Grid(shape, (1, 1, 1), blocks.lps(start), blocks.matrix)
    points = np.stack(np.meshgrid(*(s + np.arange(n) for s, n in zip(start, shape, strict=True)), indexing="ij"), -1)
    lumen = _bores(blocks, points)
    bone = _grooved(points, SACRUM_X, SACRAL_GROOVE_X, (-25.5, 25.5), (blocks.sacrum_bottom, 40.5)) & (lumen == 0)
    walls = {
        (0, True): "joint_articular",
        (0, False): "joint_articular",
        (1, False): "anterior",
        (1, True): blocks.back,
        (2, True): "superior",
        (2, False): "inferior",
    }
    box = (SACRUM_X, (-25.5, 25.5), (blocks.sacrum_bottom, 40.5))
    sacrum = _surface(blocks, bone, grid, start, walls, lumen, box)
    groove = (blocks.ilium_x[0] + 3, blocks.ilium_x[1] - 3)
    plate = _grooved(points, blocks.ilium_x, groove, blocks.ilium_y, blocks.ilium_z)
    walls = {(0, True): "lateral", (0, False): "joint_articular", (1, False): "iliac_inner", (1, True): "iliac_border",
             (2, True): "iliac_border", (2, False): "notch"}  # fmt: skip
    box = (blocks.ilium_x, blocks.ilium_y, blocks.ilium_z)
    ilium = _surface(blocks, plate, grid, start, walls, np.zeros_like(lumen), box)
    turn, sign = blocks.matrix, np.linalg.det(blocks.matrix)
    foramina = tuple(_foramen(blocks, level, points[lumen == 2 + LEVELS.index(level)]) for level in blocks.levels)
    return Anatomy(
        frame=AnatomicalFrame(blocks.lps((0, 0, 40.5)), np.stack([sign * turn[:, 0], turn[:, 1], turn[:, 2]])),
        sacrum=sacrum,
        ilium={blocks.side: ilium},
        joints={blocks.side: _joint(blocks)},
        foramina=foramina,
        canal=Canal(blocks.lps([[0, 0, 40], [0, 0, -70]]), blocks.lps(points[lumen == 1])),
        landmarks={"s1_endplate_centre": blocks.lps((0, 0, 40.5))},
        s1_endplate_normal=turn[:, 2],
        findings=(),
        spacing_mm=np.ones(3),
        geometry_error_mm=0.5 * np.sqrt(3.0),
    )


def _surface(blocks, mask, grid, start, walls, lumen, box):
    net = surface_net(mask, grid)
    padded = np.pad(lumen, 1)
    at = padded[tuple((net.outside_ijk + 1).T)]
    names = _names(blocks, net.inside_ijk + start, net.outside_ijk + start, at, walls, box)
    return LabelledSurface(net.vertices_lps_mm, net.triangles, names.astype(np.uint8))


def _foramen(blocks, level, lumen):
    z = LEVEL_Z[level]
    line = blocks.lps([[FORAMEN_X, 10, z], [FORAMEN_X, -25, z]])
    lateral = FORAMEN_X + (blocks.foramen_radius or HALF_WIDTH_MM)
    return Foramen(level, blocks.side, line, blocks.lps(lumen), None, None, lateral)


def _joint(blocks):
    y, z = (g.ravel() for g in np.meshgrid(np.arange(-31, 32, 2), np.arange(-59, 46, 2), indexing="ij"))
    face = np.stack([np.full(y.shape, 37.5), y, z], axis=1).astype(float)
    normal = -blocks.matrix[:, 0]
    return Joint(
        blocks.side,
        blocks.lps(face),
        blocks.lps(face + np.array([blocks.ilium_x[0] - 37.5, 0.0, 0.0])),
        np.tile(normal, (len(y), 1)),
        np.full(len(y), blocks.ilium_x[0] - 37.5),
        blocks.articular(y, z),
        normal,
        1000.0,
        400.0,
    )
