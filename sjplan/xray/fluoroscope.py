"""Take radiographs: volume by shear and warp, metal by exact chords."""

from __future__ import annotations

import functools
import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import GeometryError, InputError
from sjplan.core.grid import Grid
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.xray.attenuation import (
    BONE_VALUE,
    MU_STEEL_PER_MM,
    MU_TITANIUM_PER_MM,
    MU_WATER_PER_MM,
    SOFT_VALUE,
    Attenuation,
    halved,
)
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.chords import add_solids, metal_along_rays
from sjplan.xray.device import Mode
from sjplan.xray.frame import FrameMaker
from sjplan.xray.shear_warp import DRAFT_STEP, SliceProjector
from sjplan.xray.solids import PinLike, Tool, metal_solids
from sjplan.xray.types import CArm, Detector, Paths, Radiograph

_KEPT_BACKGROUNDS: Final = 16
"""How many images without metal are kept: the four standard views, twice, all tissue and bone; 1 MB each."""

Backend = Literal["auto", "cpu", "cuda"]


class Projector(Protocol):
    """A volume made ready, and its line integrals seen from anywhere."""

    attenuation: Attenuation

    def project(self, geometry: CArmGeometry, above: float = 0.0) -> NDArray[np.float32]:
        """Attenuation integrated along the ray to every pixel; of values only what lies `above`."""
        ...


class Fluoroscope:
    """A CT made ready for radiographs.

    The volume is prepared once; a further view costs only its projection, and a further picture of a recent pose
    (a pin that advances) only the chords of the metal.

    Parameters
    ----------
    ct : CtVolume
        Where `ct.assumed` is set, the radiographs say so.
    backend : {"auto", "cpu", "cuda"}
        What projects the volume; metal is always done on the CPU. "auto" takes a CUDA device where there is one and the
        extra `cuda` is installed.

    Raises
    ------
    InputError
        For "cuda" where it cannot be had; says why.

    Examples
    --------
    >>> grid = Grid((30, 30, 30), (4, 4, 4), (-58, -58, -58), np.eye(3))
    >>> scope = Fluoroscope(CtVolume(grid, np.zeros(grid.shape, np.int16)))
    >>> carm = CArm(0, 0, 0, (0, 0, 0))
    >>> plain = scope.take(carm, Detector(33, 33, 8.0))
    >>> pinned = scope.take(carm, Detector(33, 33, 8.0), pins=[((-40, 0, 0), (0, 0, 0), 1.6)])
    >>> bool(pinned.line_integral[16, 12] > plain.line_integral[16, 12])
    True
    """

    def __init__(self, ct: CtVolume, *, backend: Backend = "auto") -> None:
        self.assumed_density = ct.assumed
        self._make = _maker(backend)
        self._projector: Projector = self._make(Attenuation.from_hu(ct.hu, ct.grid), 0.0)
        self._backgrounds: OrderedDict[tuple[float, ...], NDArray[np.float32]] = OrderedDict()

    def take(
        self,
        carm: CArm,
        detector: Detector | None = None,
        trajectories: Sequence[Trajectory] = (),
        pins: Sequence[PinLike] = (),
        tools: Sequence[Tool] = (),
        *,
        draft: bool = False,
    ) -> Radiograph:
        """Take one radiograph.

        Parameters
        ----------
        carm : CArm
            Pose.
        detector : Detector, optional
            512 x 512 by default.
        trajectories : sequence of Trajectory
            Implants in place, as titanium.
        pins : sequence of Pin, or of (entry_lps_mm, tip_lps_mm[, radius_mm])
            Guide pins, as steel.
        tools : sequence of Tool
            Drills and broaches, as steel.
        draft : bool
            While the arm moves: pixels and voxels twice as large, in a quarter of the time.
        """
        detector, projector = self._field(detector, draft=draft)
        geometry = CArmGeometry.of(carm, detector)
        image = self._background(projector, geometry)
        solids = metal_solids(trajectories, pins, tools)
        if solids:
            image = add_solids(image, projector.attenuation, geometry, solids)
        return Radiograph(image, carm, detector, self.assumed_density)

    def paths(
        self,
        carm: CArm,
        detector: Detector | None = None,
        trajectories: Sequence[Trajectory] = (),
        pins: Sequence[PinLike] = (),
        tools: Sequence[Tool] = (),
        *,
        draft: bool = False,
    ) -> Paths:
        """How far each ray goes through water, bone and metal; numbers as in `take`."""
        detector, projector = self._field(detector, draft=draft)
        geometry = CArmGeometry.of(carm, detector)
        total, dense = (self._background(projector, geometry, above) for above in (0.0, SOFT_VALUE))
        solids = metal_solids(trajectories, pins, tools)
        lengths = np.zeros((2, geometry.rows, geometry.columns), np.float32)
        if solids:
            found = metal_along_rays(projector.attenuation, geometry, solids, SOFT_VALUE)
            total, dense = total.copy(), dense.copy()
            total[found.part] -= found.tissue.astype(np.float32)
            dense[found.part] -= found.dense.astype(np.float32)
            lengths[:, *found.part] = found.lengths_mm
        bone = dense * np.float32(1000.0 / (MU_WATER_PER_MM * (BONE_VALUE - SOFT_VALUE)))
        water = total * np.float32(1.0 / MU_WATER_PER_MM) - bone * np.float32(BONE_VALUE / 1000.0)
        return Paths(water, bone, lengths[0], lengths[1])

    def shoot(
        self,
        carm: CArm,
        maker: FrameMaker,
        trajectories: Sequence[Trajectory] = (),
        pins: Sequence[PinLike] = (),
        tools: Sequence[Tool] = (),
        *,
        pixels: int = 512,
        rng: np.random.Generator | None = None,
        mode: Mode = "fluoroscopy",
        kvp: float | None = None,
        field_mm: tuple[float, float] | None = None,
        frames: int = 1,
        draft: bool = False,
    ) -> Radiograph:
        """Take one radiograph as a device would: exposed, scattered, noisy and blurred.

        Parameters
        ----------
        carm, trajectories, pins, tools, draft
            As in `take`; the pose's distances have to be the device's (see `Device.pose`).
        maker : FrameMaker
            Of the device.
        pixels : int
            Rows and columns that its whole field is taken in.
        rng, mode, kvp
            See `FrameMaker.make`.
        field_mm : (width, height), optional
            What the collimator leaves open, at the isocentre; the whole field by default.
        frames : int
            How many are averaged.

        Raises
        ------
        GeometryError
            For a pose with other distances, or a voltage or field that the device does not have.
        """
        given = carm.source_to_isocentre_mm, carm.source_to_detector_mm
        own = maker.device.source_to_isocentre_mm, maker.device.source_to_detector_mm
        if given != own:
            found, wanted = (f"{a:g} and {b:g} mm from tube to isocentre and detector" for a, b in (given, own))
            raise GeometryError("pose", found=found, wanted=wanted, fix=f"Device.pose of {maker.device.id}")
        detector = maker.device.detector(pixels)
        paths = self.paths(carm, detector, trajectories, pins, tools, draft=draft)
        detector = detector.halved() if draft else detector
        blades = None if field_mm is None else maker.device.blades(field_mm, detector.rows)
        exposed = maker.exposed(paths, detector.pixel_mm, mode, kvp, blades)
        signals = [maker.frame(exposed, rng) for _ in range(frames)]
        signal = signals[0] if frames == 1 else np.asarray(np.mean(np.stack(signals), axis=0), np.float32)
        mu = MU_WATER_PER_MM, BONE_VALUE / 1000.0 * MU_WATER_PER_MM, MU_TITANIUM_PER_MM, MU_STEEL_PER_MM
        total = np.zeros_like(signal)
        for per_mm, path in zip(mu, paths, strict=True):
            total += np.float32(per_mm) * path
        return Radiograph(
            total, carm, detector, self.assumed_density, signal, exposed.exposure, maker.device.pincushion, blades
        )

    def _field(self, detector: Detector | None, *, draft: bool) -> tuple[Detector, Projector]:
        """The detector that is read, and the projector that goes with its pixels."""
        whole = detector or Detector()
        return (whole.halved(), self._coarse) if draft else (whole, self._projector)

    @functools.cached_property
    def _coarse(self) -> Projector:
        return self._make(halved(self._projector.attenuation), DRAFT_STEP)

    def _background(self, projector: Projector, geometry: CArmGeometry, above: float = 0.0) -> NDArray[np.float32]:
        key = (
            above,
            *projector.attenuation.grid.spacing_mm.tolist(),
            *geometry.source_lps_mm.tolist(),
            *geometry.origin_lps_mm.tolist(),
            *geometry.column_step_lps_mm.tolist(),
            *geometry.row_step_lps_mm.tolist(),
            geometry.rows,
            geometry.columns,
        )
        if key in self._backgrounds:
            self._backgrounds.move_to_end(key)
            return self._backgrounds[key]
        if projector.attenuation.fills(geometry.source_lps_mm):
            found = ", ".join(f"{x:.0f}" for x in geometry.source_lps_mm)
            fix = "move the isocentre, or the tube farther from it"
            raise GeometryError("tube", found=f"({found}) mm, inside the patient", wanted="a tube outside", fix=fix)
        image = projector.project(geometry, above)
        self._backgrounds[key] = image
        if len(self._backgrounds) > _KEPT_BACKGROUNDS:
            self._backgrounds.popitem(last=False)
        return image


def _maker(backend: Backend) -> Callable[[Attenuation, float], Projector]:
    """What makes a projector of a volume and of the least step between its rays, in voxels; CUDA needs none.

    The module for CUDA is loaded only where it may be needed.
    """
    if backend == "cpu" or (backend == "auto" and importlib.util.find_spec("numba_cuda") is None):
        return SliceProjector
    from sjplan.xray.cuda_projector import CudaProjector, why_not

    reason = why_not()
    if reason and backend == "cuda":
        raise InputError("backend", found=f"cuda, but {reason}", wanted="a CUDA device", fix="take the backend cpu")
    return SliceProjector if reason else lambda attenuation, _step: CudaProjector(attenuation)


def take(
    ct: CtVolume,
    carm: CArm,
    detector: Detector | None = None,
    trajectories: Sequence[Trajectory] = (),
    pins: Sequence[PinLike] = (),
    tools: Sequence[Tool] = (),
) -> Radiograph:
    """Take one radiograph of a CT; for several of the same CT keep a `Fluoroscope`, see its `take`."""
    return Fluoroscope(ct).take(carm, detector, trajectories, pins, tools)


def compile_kernels() -> None:
    """Compile, or load from the cache, the kernels of `take`: some seconds once after installation."""
    grid = Grid((4, 4, 4), np.full(3, 10.0), np.full(3, -15.0), np.eye(3))
    water = CtVolume(grid, np.zeros(grid.shape, dtype=np.int16))
    scope, pins = Fluoroscope(water), [((-10, 0, 0), (10, 0, 0), 2.0)]
    for behind_mm in (0.0, 480.0, -600.0):
        carm = CArm(0, 0, 0, np.array([0.0, behind_mm, 0.0]))
        scope.take(carm, Detector(4, 4, 10.0), pins=pins)
        scope.take(carm, Detector(4, 4, 10.0), pins=pins, draft=True)
