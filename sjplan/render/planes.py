"""Planes through a pelvis, and what a CT, a label map or a mesh shows in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array, unit
from sjplan.core.errors import GeometryError
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.labels import LabelMap
from sjplan.core.tolerances import AIR_HU
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume

DEFAULT_WIDTH_MM: Final = 130.0
"""Shows one side of a pelvis and the midline; half of the usual 260 mm between the crests."""


@dataclass(frozen=True, slots=True, eq=False)
class SlicePlane:
    """A rectangle in space, sampled in square pixels.

    Parameters
    ----------
    name : str
        As written over the picture.
    centre_lps_mm : (3,) float
        Middle of the rectangle.
    right, up : (3,) float
        Orthogonal unit vectors along the picture's rows and against its columns.
    width_mm, height_mm : float
        Size of the rectangle.
    pixel_mm : float
        Size of a pixel.

    Raises
    ------
    GeometryError
        For axes that are not orthogonal, or a size that gives no pixel.
    """

    name: str
    centre_lps_mm: Array
    right: Array
    up: Array
    width_mm: float = DEFAULT_WIDTH_MM
    height_mm: float = DEFAULT_WIDTH_MM
    pixel_mm: float = 0.4

    def __post_init__(self) -> None:
        right, up = unit(self.right), unit(self.up)
        if abs(float(right @ up)) > 1e-6:
            raise GeometryError("slice axes", found=f"cosine {right @ up:.3g}", wanted="orthogonal axes")
        if not 0 < self.pixel_mm <= min(self.width_mm, self.height_mm):
            raise GeometryError("slice pixel_mm", found=f"{self.pixel_mm}", wanted="positive, below the slice's size")
        object.__setattr__(self, "right", right)
        object.__setattr__(self, "up", up)

    @property
    def normal(self) -> Array:
        """Unit vector towards the viewer."""
        return np.asarray(np.cross(self.right, self.up))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return round(self.height_mm / self.pixel_mm), round(self.width_mm / self.pixel_mm)

    def pixels_lps_mm(self) -> Array:
        """(rows, columns, 3): centres of the pixels, the first row on top."""
        rows, columns = self.shape
        x = (np.arange(columns) - (columns - 1) / 2) * self.pixel_mm
        y = ((rows - 1) / 2 - np.arange(rows)) * self.pixel_mm
        return np.asarray(self.centre_lps_mm + x[None, :, None] * self.right + y[:, None, None] * self.up)

    def flat_mm(self, points_lps_mm: ArrayLike) -> Array:
        """(…, 3): mm to the right, up and towards the viewer of LPS points."""
        axes = np.stack([self.right, self.up, self.normal])
        return np.asarray((np.asarray(points_lps_mm, dtype=np.float64) - self.centre_lps_mm) @ axes.T)

    def letters(self, frame: AnatomicalFrame) -> dict[str, str]:
        """Which direction of the body the edges look to: left, right, top, bottom to one of R L A P H F."""
        ways = {"L": frame.left, "R": -frame.left, "P": frame.posterior, "A": -frame.posterior,
                "H": frame.cranial, "F": -frame.cranial}  # fmt: skip
        looks = {"left": -self.right, "right": self.right, "top": self.up, "bottom": -self.up}
        return {edge: max(ways, key=lambda way: float(ways[way] @ look)) for edge, look in looks.items()}


def orthogonal_planes(
    frame: AnatomicalFrame, centre_lps_mm: ArrayLike, width_mm: float = DEFAULT_WIDTH_MM
) -> tuple[SlicePlane, SlicePlane, SlicePlane]:
    """Axial, coronal and sagittal planes of the pelvic frame through a point, shown as radiologists do.

    The patient's right is on the picture's left; a sagittal picture has the front on its left.
    """
    centre = np.asarray(centre_lps_mm, dtype=np.float64)
    size = (width_mm, width_mm)
    return (
        SlicePlane("axial", centre, frame.left, -frame.posterior, *size),
        SlicePlane("coronal", centre, frame.left, frame.cranial, *size),
        SlicePlane("sagittal", centre, frame.posterior, frame.cranial, *size),
    )


def implant_planes(
    trajectory: Trajectory, frame: AnatomicalFrame, width_mm: float = DEFAULT_WIDTH_MM
) -> tuple[SlicePlane, SlicePlane]:
    """The two planes that hold an implant's axis: one towards the front, one towards the head.

    The axis lies along the picture's rows with the patient's right on the left, as in the axial and coronal planes
    that these two are tilted from. No sagittal plane can hold the axis of a lateral implant.
    """
    middle = (trajectory.entry_lps_mm + trajectory.tip_lps_mm) / 2
    along = trajectory.axis if trajectory.axis @ frame.left > 0 else -trajectory.axis
    planes = []
    for name, up in (
        ("along the axis, axial", -frame.posterior),
        ("along the axis, coronal", frame.cranial),
    ):
        across = unit(up - (up @ along) * along)
        planes.append(SlicePlane(name, middle, along, across, width_mm, width_mm))
    return planes[0], planes[1]


def across_plane(
    trajectory: Trajectory, centre_lps_mm: ArrayLike, frame: AnatomicalFrame, width_mm: float = DEFAULT_WIDTH_MM
) -> SlicePlane:
    """The plane square to an implant's axis through a point: the front on the left, the head on top, as in sagittal."""
    along = trajectory.axis
    right = unit(frame.posterior - (frame.posterior @ along) * along)
    head = np.cross(along, right)
    head = head if head @ frame.cranial > 0 else -head
    centre = np.asarray(centre_lps_mm, dtype=np.float64)
    return SlicePlane("across the axis", centre, right, head, width_mm, width_mm)


def sample_ct(ct: CtVolume, plane: SlicePlane) -> NDArray[np.float32]:
    """Hounsfield units in a plane, (rows, columns), between voxels by the trilinear rule; air outside the CT."""
    return _sample(ct.hu, ct.grid.ijk_from_lps(plane.pixels_lps_mm()), 1, AIR_HU)


def sample_labels(labels: LabelMap, plane: SlicePlane) -> NDArray[np.uint8]:
    """Labels in a plane, (rows, columns), of the nearest voxel; 0 outside the map."""
    ijk = labels.grid.ijk_from_lps(plane.pixels_lps_mm())
    return np.asarray(_sample(labels.label, ijk, 0, 0.0), dtype=np.uint8)


def _sample(
    values: NDArray[np.int16] | NDArray[np.uint8], ijk: Array, order: Literal[0, 1], outside: float
) -> NDArray[np.float32]:
    """Values at fractional indices (rows, columns, 3); the outermost voxels reach half a voxel beyond their centres."""
    top = np.asarray(values.shape) - 1
    inside = ((ijk >= -0.5) & (ijk <= top + 0.5)).all(axis=-1)
    at = np.moveaxis(np.clip(ijk, 0, top), -1, 0)
    sampled = map_coordinates(values, at, order=order, output=np.float32, mode="nearest", prefilter=False)
    return np.where(inside, sampled, np.float32(outside))


def mesh_lines_mm(mesh: pv.PolyData, origin_lps_mm: ArrayLike, plane: SlicePlane) -> list[Array]:
    """Segments in which a mesh (points relative to an origin) meets a plane, each (2, 2) mm to the right and up."""
    if mesh.n_cells == 0:
        return []
    cut = mesh.slice(normal=plane.normal, origin=plane.centre_lps_mm - np.asarray(origin_lps_mm))
    if cut.n_cells == 0:
        return []
    flat = plane.flat_mm(np.asarray(cut.points, dtype=np.float64) + np.asarray(origin_lps_mm))[:, :2]
    return [flat[ends] for ends in _segments(cut.lines)]


def _segments(lines: Sequence[int] | NDArray[np.int_]) -> NDArray[np.int_]:
    """Vertex pairs of VTK's line cells, which slicing a surface leaves as single segments."""
    cells = np.asarray(lines).reshape(-1, 3)
    return cells[:, 1:]
