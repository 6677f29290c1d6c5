"""One pelvis as a planner sees it: values only; how they are found stands in the other modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array, check_shape, check_unit, check_vector, frozen
from sjplan.core.errors import GeometryError
from sjplan.core.findings import Finding
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.plan import Side
from sjplan.core.structures import LEVELS, foramen_name
from sjplan.geometry.surface import LabelledSurface


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """Where a tunnel opens: the outermost closed ring across it.

    Parameters
    ----------
    centre_lps_mm : (3,) float
        Centre of the ring.
    normal : (3,) float
        Unit vector out of the tunnel.
    major_mm, minor_mm : float
        Diameters of the ring's equivalent ellipse.
    neck_radius_mm : float
        Inscribed radius of the tunnel's narrowest place on the way to this mouth.
    """

    centre_lps_mm: Array
    normal: Array
    major_mm: float
    minor_mm: float
    neck_radius_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_lps_mm", check_vector("centre_lps_mm", self.centre_lps_mm))
        object.__setattr__(self, "normal", check_unit("normal", self.normal))


@dataclass(frozen=True, slots=True, eq=False)
class Foramen:
    """One neural foramen: a tunnel from the canal to a ventral and a dorsal mouth.

    Parameters
    ----------
    level : str
        "S1" to "S4".
    side : {"left", "right"}
        Patient's side.
    centreline_lps_mm : (n, 3) float
        From the canal to the ventral mouth.
    lumen_lps_mm : (m, 3) float
        Centres of the voxels of the lumen.
    ventral, dorsal : Mouth or None
        Mouths; a foramen counts as open only with a ventral mouth.
    most_lateral_mm : float
        Distance from the mid-sagittal plane of the lumen's most lateral point (voxel half-width included).
    doubtful : bool
        Whether mouth or level are uncertain.
    """

    level: str
    side: Side
    centreline_lps_mm: Array
    lumen_lps_mm: Array
    ventral: Mouth | None
    dorsal: Mouth | None
    most_lateral_mm: float
    doubtful: bool = False

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise GeometryError("foramen level", found=repr(self.level), wanted="S1 to S4")
        line = check_shape("centreline_lps_mm", self.centreline_lps_mm, (None, 3))
        object.__setattr__(self, "centreline_lps_mm", line)
        object.__setattr__(self, "lumen_lps_mm", check_shape("lumen_lps_mm", self.lumen_lps_mm, (None, 3)))

    @property
    def name(self) -> str:
        """The danger structure's name, such as foramen_S1_left."""
        return foramen_name(self.level, self.side)


@dataclass(frozen=True, slots=True, eq=False)
class Canal:
    """The sacral canal: axis (cranial to caudal) and the centres of its voxels."""

    axis_lps_mm: Array
    lumen_lps_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis_lps_mm", check_shape("axis_lps_mm", self.axis_lps_mm, (None, 3)))
        object.__setattr__(self, "lumen_lps_mm", check_shape("lumen_lps_mm", self.lumen_lps_mm, (None, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """The SI joint of one side, sampled at its sacral face.

    Parameters
    ----------
    sacral_lps_mm, iliac_lps_mm : (n, 3) float
        Paired points of the facing surfaces.
    normal : (n, 3) float
        Local unit normal of the joint at each pair, from ilium to sacrum.
    gap_mm : (n,) float
        Distance between the two faces.
    articular : (n,) bool
        True on the articular (auricular) part, False on the ligamentous part.
    mean_normal : (3,) float
        Mean of the articular normals, a unit vector from ilium to sacrum.
    articular_area_mm2, ligamentous_area_mm2 : float
        Areas of the sacral face.
    """

    side: Side
    sacral_lps_mm: Array
    iliac_lps_mm: Array
    normal: Array
    gap_mm: Array
    articular: NDArray[np.bool_]
    mean_normal: Array
    articular_area_mm2: float
    ligamentous_area_mm2: float

    def __post_init__(self) -> None:
        points = check_shape("sacral_lps_mm", self.sacral_lps_mm, (None, 3))
        n = len(points)
        object.__setattr__(self, "sacral_lps_mm", points)
        object.__setattr__(self, "iliac_lps_mm", check_shape("iliac_lps_mm", self.iliac_lps_mm, (n, 3)))
        object.__setattr__(self, "normal", check_shape("normal", self.normal, (n, 3)))
        object.__setattr__(self, "gap_mm", check_shape("gap_mm", self.gap_mm, (n,)))
        object.__setattr__(self, "articular", frozen(self.articular, bool))
        object.__setattr__(self, "mean_normal", check_unit("mean_normal", self.mean_normal))


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One pelvis.

    Parameters
    ----------
    frame : AnatomicalFrame
        Origin at the centre of the S1 endplate, moved onto the sacrum's own mid-plane; left across the
        mid-sagittal plane of the pelvis, so x = 0 is that plane through the sacrum's middle; cranial along the
        sacrum's upper canal, as far as it is perpendicular to left.
    sacrum : LabelledSurface
        Closed surface of the sacrum (S1 joined), every triangle labelled.
    ilium : mapping of side to LabelledSurface
        Closed surface of each hip bone.
    joints : mapping of side to Joint
        Joints found; a side that is missing here cannot be planned.
    foramina : tuple of Foramen
        Open foramina found, cranial to caudal, at most one a level and side.
    canal : Canal
        The sacral canal.
    landmarks : mapping of name to (3,) float
        In LPS mm: promontory, s1_endplate_centre, s2_anterior (anterior cortex in the midline), symphysis, and
        psis, asis and notch (its apex), each with _left and _right.
    s1_endplate_normal : (3,) float
        Unit normal of the endplate, cranial.
    findings : tuple of Finding
        What was noticed: missing levels, doubts, asymmetries.
    spacing_mm : (3,) float
        Of the label map that all this was found in.
    geometry_error_mm : float
        Bound on how much nearer the true surface may lie than the triangles here.
    surface_error_mm : float
        The part of it that is the labels' own error, beyond their voxels.
    """

    frame: AnatomicalFrame
    sacrum: LabelledSurface
    ilium: Mapping[Side, LabelledSurface]
    joints: Mapping[Side, Joint]
    foramina: tuple[Foramen, ...]
    canal: Canal
    landmarks: Mapping[str, Array]
    s1_endplate_normal: Array
    findings: tuple[Finding, ...]
    spacing_mm: Array
    geometry_error_mm: float
    surface_error_mm: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "landmarks", {k: check_vector(k, v) for k, v in self.landmarks.items()})
        object.__setattr__(self, "s1_endplate_normal", check_unit("s1_endplate_normal", self.s1_endplate_normal))
        object.__setattr__(self, "spacing_mm", check_vector("spacing_mm", self.spacing_mm))
        if not 0 < self.geometry_error_mm < 5:
            raise GeometryError("geometry_error_mm", found=f"{self.geometry_error_mm}", wanted="0 to 5 mm")
        if not 0 <= self.surface_error_mm <= self.geometry_error_mm:
            wanted = f"0 to geometry_error_mm, {self.geometry_error_mm:g}"
            raise GeometryError("surface_error_mm", found=f"{self.surface_error_mm}", wanted=wanted)

    def foramen(self, level: str, side: str) -> Foramen | None:
        """The foramen of one level and side, or None where it was not found open."""
        return next((f for f in self.foramina if f.level == level and f.side == side), None)

    def levels(self, side: str) -> tuple[str, ...]:
        """Levels found open on one side, cranial to caudal."""
        return tuple(f.level for f in self.foramina if f.side == side)
