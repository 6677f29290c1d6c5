"""The operating room: patient, C-arm and shelf of implants, with everything heavy made ready once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

import numpy as np

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.quality import quality_findings
from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.findings import Finding
from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.triangle_tree import nearest_point
from sjplan.io.carms import read_carms
from sjplan.io.cases import Case, require_labels
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.physics import read_physics
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.training.lie import Lie
from sjplan.training.tissue import Tissue
from sjplan.xray.density import assumed_ct
from sjplan.xray.device import Mode
from sjplan.xray.exposure import automatic_exposure
from sjplan.xray.fluoroscope import Fluoroscope
from sjplan.xray.frame import FrameMaker
from sjplan.xray.solids import PinLike
from sjplan.xray.types import CArm, Detector, Exposure, Radiograph

EXPOSURE_PIXELS: Final = 64
"""Exposure and dose are measured on so few rows, so that they are the same whether a picture is drawn or not."""

AVERAGED: Final = 4
"""Frames that make up a held picture: recursive filters of C-arms weigh a new frame by a quarter or so (default)."""

NORMAL_WITHIN_MM: Final = 5.0
"""A cortex's slope is that of the triangles within this of the tip."""

CORTEX_WITHIN_MM: Final = 3.0
"""A tip no farther than this from a bone's surface stands on its cortex."""


@dataclass(frozen=True)
class Theatre:
    """Everything that stays the same while an operation goes on.

    Parameters
    ----------
    name : str
        Of the case, as the log has it.
    sha256 : mapping
        Of the files it came from, by role.
    ct : CtVolume or None
        Without one, densities are assumed of the labels.
    labels, anatomy : LabelMap, Anatomy
        The patient.
    models : mapping of id to ImplantModel
        On the shelf.
    limits : Limits
        For the judge.
    maker : FrameMaker
        Of the C-arm.
    lie : Lie or None
        How the patient lies on the table; None is as in the scanner.
    findings : tuple of Finding
        What reading the files and naming the anatomy have noticed.
    """

    name: str
    sha256: Mapping[str, str]
    ct: CtVolume | None
    labels: LabelMap
    anatomy: Anatomy
    models: Mapping[str, ImplantModel]
    limits: Limits
    maker: FrameMaker
    lie: Lie | None = None
    findings: tuple[Finding, ...] = ()
    _surfaces: dict[Side, MeasuringSurfaces] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("implants", found="none", wanted="at least one model on the shelf")

    @cached_property
    def scanned(self) -> CtVolume:
        """Densities: of the CT, or assumed."""
        return self.ct if self.ct is not None else assumed_ct(self.labels)

    @cached_property
    def tissue(self) -> Tissue:
        """What instruments feel."""
        return Tissue(self.scanned, self.labels)

    @cached_property
    def scope(self) -> Fluoroscope:
        """What takes radiographs."""
        return Fluoroscope(self.scanned)

    @cached_property
    def start(self) -> CArm:
        """The C-arm where it is rolled in: at rest, over the middle of the bones."""
        return self.maker.device.pose(CArm(0.0, 0.0, 0.0, self.labels.grid.centre_lps_mm))

    def lying(self, lie: Lie | None) -> Theatre:
        """The same patient lying otherwise; what was made ready is shared."""
        if lie == self.lie:
            return self
        other, own = replace(self, lie=lie), {one.name for one in fields(self)}
        vars(other).update({name: value for name, value in vars(self).items() if name not in own})
        return other

    def surfaces(self, side: Side) -> MeasuringSurfaces:
        """Bones of one side, ready for measuring."""
        if side not in self._surfaces:
            self._surfaces[side] = measuring_surfaces(self.anatomy, side)
        return self._surfaces[side]

    def exposure(self, carm: CArm, implants: Sequence[Trajectory], pins: Sequence[PinLike], mode: Mode) -> Exposure:
        """How one frame would be exposed."""
        device = self.maker.device
        paths = self.scope.paths(carm, device.detector(EXPOSURE_PIXELS), implants, pins, draft=True)
        return automatic_exposure(self.maker.tables, device, paths, mode)

    def radiograph(
        self,
        carm: CArm,
        implants: Sequence[Trajectory],
        pins: Sequence[PinLike],
        mode: Mode,
        rng: np.random.Generator,
        pixels: int = 512,
        frames: int = 1,
    ) -> Radiograph:
        """What stays on the screen: the last frame, averaged with those just before it as C-arms do."""
        return self.scope.shoot(
            carm, self.maker, implants, pins, pixels=pixels, rng=rng, mode=mode, frames=min(frames, AVERAGED)
        )

    def detector(self, pixels: int = 512) -> Detector:
        """The C-arm's whole field in so many rows."""
        return self.maker.device.detector(pixels)

    def cortex_normal(self, side: Side, point_lps_mm: Array) -> Array | None:
        """Outward normal of the hip bone's surface where a tip stands on it; None where it does not."""
        surfaces = self.surfaces(side)
        distance, _, _, _ = nearest_point(surfaces.ilium, np.ascontiguousarray(point_lps_mm))
        if distance > CORTEX_WITHIN_MM:
            return None
        corners = self._ilium_corners[side]
        near = np.linalg.norm(corners.mean(axis=1) - point_lps_mm, axis=1) < NORMAL_WITHIN_MM
        if not near.any():
            return None
        across = np.cross(corners[near, 1] - corners[near, 0], corners[near, 2] - corners[near, 0]).sum(axis=0)
        return unit(across) if float(np.linalg.norm(across)) > 0 else None

    @cached_property
    def _ilium_corners(self) -> Mapping[Side, Array]:
        return {side: surface.corners_lps_mm() for side, surface in self.anatomy.ilium.items()}

    def nearest_danger(self, side: Side, point_lps_mm: Array) -> tuple[str, float]:
        """The danger structure nearest to a point, and how far it is."""
        point = np.ascontiguousarray(point_lps_mm)
        found = {name: float(nearest_point(tree, point)[0]) for name, tree in self.surfaces(side).dangers.items()}
        name = min(found, key=found.__getitem__)
        return name, found[name]


def open_theatre(
    name: str,
    case: Case,
    *,
    device: str = "flat-panel",
    anatomy: Anatomy | None = None,
    models: Mapping[str, ImplantModel] | None = None,
) -> Theatre:
    """The operating room for a case: the shipped implants, limits and C-arms.

    Parameters
    ----------
    name : str
        What a person calls the case.
    case : Case
        With labels; without a CT, densities are assumed.
    device : str
        Id of the C-arm.
    anatomy : Anatomy, optional
        Of the labels, where it is known already.
    models : mapping of id to ImplantModel, optional
        On the shelf, in place of the shipped ones.

    Raises
    ------
    InputError
        For a case without labels.
    AnatomyError
        For labels that are no pelvis.
    UnknownNameError
        For a C-arm that is not in the list.
    """
    labels, carms = require_labels(case), read_carms()
    if device not in carms:
        raise unknown_name("device", device, carms)
    anatomy = anatomy or anatomy_from_labels(labels)
    return Theatre(
        name=name,
        sha256=case.sha256,
        ct=case.ct,
        labels=labels,
        anatomy=anatomy,
        models=models or read_implants(),
        limits=read_limits(),
        maker=FrameMaker(read_physics(), carms[device]),
        findings=(*case.findings, *quality_findings(labels, anatomy), *anatomy.findings),
    )
