"""A C-arm, its detector, and the radiograph it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array, check_vector, frozen
from sjplan.core.errors import GeometryError


@dataclass(frozen=True, slots=True)
class Detector:
    """A flat detector: rows and columns of square pixels."""

    rows: int = 512
    columns: int = 512
    pixel_mm: float = 0.58

    def halved(self) -> Detector:
        """The same field in pixels twice as large; one more where a count is odd."""
        return Detector(-(-self.rows // 2), -(-self.columns // 2), 2.0 * self.pixel_mm)

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1 or max(self.rows, self.columns) > 8192:
            raise GeometryError("detector", found=f"{self.rows} x {self.columns}", wanted="1 to 8192 pixels a side")
        if not 0 < self.pixel_mm < 100:
            raise GeometryError("pixel_mm", found=f"{self.pixel_mm}", wanted="0 to 100 mm")


@dataclass(frozen=True, slots=True, eq=False)
class CArm:
    """Pose of a C-arm in its own numbers.

    All angles zero: patient prone, tube below, vertical beam, detector above; the ray runs along +y (LPS).
    ray = Ry(wig_wag) Rx(tilt) (sin orbital, cos orbital, 0). tilt > 0: detector to the head (outlet);
    tilt < 0: detector to the feet (inlet); orbital > 0: detector to the patient's left.

    Parameters
    ----------
    orbital_deg, tilt_deg, wig_wag_deg : float
        Angles.
    isocentre_lps_mm : (3,) float
        The point that the central ray passes.
    source_to_isocentre_mm, source_to_detector_mm : float
        Distances along the central ray (defaults: DEEPDRR in the list of sources, a flat-panel mobile C-arm).
    """

    orbital_deg: float
    tilt_deg: float
    wig_wag_deg: float
    isocentre_lps_mm: Array
    source_to_isocentre_mm: float = 530.0
    source_to_detector_mm: float = 1020.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "isocentre_lps_mm", check_vector("isocentre_lps_mm", self.isocentre_lps_mm))
        for name in ("orbital_deg", "tilt_deg", "wig_wag_deg"):
            value = float(getattr(self, name))
            if not -360 <= value <= 360:
                raise GeometryError(name, found=f"{value}", wanted="-360 to 360 degrees")
            object.__setattr__(self, name, value)
        if not 0 < self.source_to_isocentre_mm < self.source_to_detector_mm:
            raise GeometryError(
                "source_to_isocentre_mm",
                found=f"{self.source_to_isocentre_mm}",
                wanted=f"0 to {self.source_to_detector_mm} mm",
            )


class Blades(NamedTuple):
    """Where collimator blades leave the field open, in pixels: first row, row after the last, and columns alike."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int

    @property
    def open_part(self) -> tuple[slice, slice]:
        """Rows and columns that the beam reaches."""
        return slice(self.first_row, self.last_row), slice(self.first_column, self.last_column)


class Paths(NamedTuple):
    """Length in mm of each pixel's ray, (rows, columns) float32, in what it passes.

    Water is what soft tissue amounts to: fat counts for less than its length. Bone is cortical bone; what a CT shows
    denser than that counts as more of it than there is room for, and as less than no water.
    """

    water_mm: NDArray[np.float32]
    bone_mm: NDArray[np.float32]
    titanium_mm: NDArray[np.float32]
    steel_mm: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Exposure:
    """One frame's exposure and its dose.

    Parameters
    ----------
    kvp, mas : float
        Tube voltage, and charge of the pulse.
    detector_ngy : float
        Mean air kerma behind the grid in the middle of the field, primary radiation only.
    entrance_ugy : float
        Air kerma where the beam enters the skin, without backscatter.
    dose_area_ugy_m2 : float
        Air kerma times the field's area, the same at every distance.
    """

    kvp: float
    mas: float
    detector_ngy: float
    entrance_ugy: float
    dose_area_ugy_m2: float


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """An image and what it means.

    Parameters
    ----------
    line_integral : (rows, columns) float32
        Attenuation integrated along each ray (no unit); metal included.
    carm, detector : CArm, Detector
        How it was taken.
    assumed_density : bool
        Whether the densities were invented for a label map without a CT.
    signal : (rows, columns) float32, optional
        What a detector showed, above 0, as a share of the open beam's: over a whole spectrum, with scatter and noise.
    exposure : Exposure, optional
        How that frame was exposed.
    pincushion : float
        How far the signal's picture is drawn out at its edge; see `xray.pincushion`.
    blades : Blades, optional
        Collimation: outside there is only scatter.
    """

    line_integral: NDArray[np.float32]
    carm: CArm
    detector: Detector
    assumed_density: bool = False
    signal: NDArray[np.float32] | None = None
    exposure: Exposure | None = None
    pincushion: float = 0.0
    blades: Blades | None = None

    def __post_init__(self) -> None:
        image = frozen(self.line_integral, np.float32)
        if image.shape != (self.detector.rows, self.detector.columns) or not np.isfinite(image).all():
            raise GeometryError("radiograph", found=f"shape {image.shape}", wanted="the detector's, all finite")
        object.__setattr__(self, "line_integral", image)
        if self.signal is not None:
            signal = frozen(self.signal, np.float32)
            if signal.shape != image.shape or not (np.isfinite(signal).all() and (signal > 0.0).all()):
                found = f"shape {signal.shape}, least {signal.min():g}"
                raise GeometryError("signal", found=found, wanted=f"shape {image.shape}, finite and above 0")
            object.__setattr__(self, "signal", signal)

    @property
    def darkness(self) -> NDArray[np.float32]:
        """What a monitor's window is put on: the signal's logarithm, falling; line integrals where there is none."""
        return self.line_integral if self.signal is None else -np.log(self.signal)
