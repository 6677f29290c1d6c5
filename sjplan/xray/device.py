"""A C-arm as a machine: its geometry, tube and detector, and what its exposure control aims at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from sjplan.core.errors import GeometryError
from sjplan.xray.carm import moved
from sjplan.xray.spectrum import KVP_RANGE
from sjplan.xray.types import Blades, CArm, Detector

Kind = Literal["flat-panel", "intensifier"]
Mode = Literal["fluoroscopy", "single-shot"]

TARGET_NGY: Final[Mapping[Mode, float]] = {"fluoroscopy": 10.0, "single-shot": 150.0}
"""Air kerma behind the grid that a frame is exposed to: 5 to 20 nanogray and 100 or more (CLINICAL.md 3.6)."""

GRID_PRIMARY: Final = 0.70
GRID_SCATTER: Final = 0.15
"""What an antiscatter grid lets through (CLINICAL.md 3.6)."""

ANGLES: Final = ("orbital_deg", "tilt_deg", "wig_wag_deg")
TRAVELS: Final = ("across_mm", "lift_mm", "along_mm")
"""What has limits."""

LEAST_TUBE_MM: Final = 300.0
"""A tube that stands nearer to the isocentre would stand in the patient."""

LEAST_FIELD_MM: Final = 20.0
"""Blades close no farther than this, at the isocentre; a default."""


@dataclass(frozen=True, slots=True)
class Device:
    """One model of C-arm.

    Parameters
    ----------
    id, summary : str
        Name, and what it is.
    kind : {"flat-panel", "intensifier"}
        Square field, or round with pincushion and veiling glare.
    source_to_isocentre_mm, source_to_detector_mm, field_mm : float
        Distances, and the side or diameter of the field.
    orbital_deg, tilt_deg, wig_wag_deg : (2,) float
        From where to where the arm goes.
    across_mm, lift_mm, along_mm : (2,) float
        From where to where table and column carry the middle of the picture: to the patient's left, up, to the head.
    focal_spot_mm : float
        Its width.
    kvp_min, kvp_max, ma_at_min, ma_at_max, frames_per_s : float
        Exposure control: the current that goes with a voltage, along a line, and pulses a second.
    filters_mm : mapping
        In the beam at all times.
    mtf50_per_mm : float
        Line pairs per mm of which the detector shows half the contrast.
    glare_share : float
        Share of an intensifier's light that is spread over the picture.
    pincushion : float
        How much larger the picture is at the field's edge than in its middle, as a share.
    heel_share : float
        How much less there is at the anode's edge of the field, and how much more at the other, as a share.
    """

    id: str
    summary: str
    kind: Kind
    source_to_isocentre_mm: float
    source_to_detector_mm: float
    field_mm: float
    orbital_deg: tuple[float, float]
    tilt_deg: tuple[float, float]
    wig_wag_deg: tuple[float, float]
    across_mm: tuple[float, float]
    lift_mm: tuple[float, float]
    along_mm: tuple[float, float]
    focal_spot_mm: float
    kvp_min: float
    kvp_max: float
    ma_at_min: float
    ma_at_max: float
    frames_per_s: float
    filters_mm: Mapping[str, float]
    mtf50_per_mm: float
    glare_share: float
    pincushion: float
    heel_share: float

    def __post_init__(self) -> None:
        low, high = KVP_RANGE
        if not low <= self.kvp_min < self.kvp_max <= high:
            found = f"{self.kvp_min:g} to {self.kvp_max:g}"
            raise GeometryError(f"{self.id} kvp", found=found, wanted=f"a range within {low:g} to {high:g} kV")
        for name in ("field_mm", "focal_spot_mm", "ma_at_min", "ma_at_max", "frames_per_s", "mtf50_per_mm"):
            if not 0.01 <= getattr(self, name) <= 1e4:
                raise GeometryError(f"{self.id} {name}", found=f"{getattr(self, name):g}", wanted="0.01 to 10000")
        if self.kind == "flat-panel" and (self.glare_share or self.pincushion):
            found = f"glare_share {self.glare_share:g}, pincushion {self.pincushion:g}"
            raise GeometryError(f"{self.id} flat panel", found=found, wanted="0 for both: an intensifier has them")
        for name in (*ANGLES, *TRAVELS):
            first, last = getattr(self, name)
            if not first < last:
                wanted = "a lower and a higher number"
                raise GeometryError(f"{self.id} {name}", found=f"{first:g} to {last:g}", wanted=wanted)
        if not LEAST_TUBE_MM <= self.source_to_isocentre_mm < self.source_to_detector_mm:
            raise GeometryError(
                f"{self.id} source_to_isocentre_mm",
                found=f"{self.source_to_isocentre_mm:g}",
                wanted=f"{LEAST_TUBE_MM:g} to {self.source_to_detector_mm:g} mm",
            )

    def detector(self, pixels: int = 512) -> Detector:
        """The whole field in so many rows and columns."""
        return Detector(pixels, pixels, self.field_mm / pixels)

    def blades(self, size_mm: tuple[float, float], pixels: int = 512) -> Blades:
        """Blades that leave a field of so much width and height open, measured at the isocentre, in the middle.

        Raises
        ------
        GeometryError
            For a field below 20 mm, or above the device's own.
        """
        whole = self.field_mm * self.source_to_isocentre_mm / self.source_to_detector_mm
        for name, value in zip(("width", "height"), size_mm, strict=True):
            if not LEAST_FIELD_MM <= value <= whole + 0.5:
                wanted = f"{LEAST_FIELD_MM:g} to {whole:.0f} mm at the isocentre, the field of {self.id}"
                raise GeometryError(f"collimated {name}", found=f"{value:g} mm", wanted=wanted)
        across, down = (min(round(pixels * value / whole), pixels) for value in size_mm)
        left, top = (pixels - across) // 2, (pixels - down) // 2
        return Blades(top, top + down, left, left + across)

    def pose(self, carm: CArm, travel_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> CArm:
        """The same pose with this device's distances, after table and lift have travelled (see `moved`).

        Raises
        ------
        GeometryError
            Where the arm, the table or the lift does not go there.
        """
        asked = [(name, getattr(carm, name), "degrees") for name in ANGLES]
        asked += [(name, value, "mm") for name, value in zip(TRAVELS, travel_mm, strict=True)]
        for name, value, unit in asked:
            low, high = getattr(self, name)
            if not low <= value <= high:
                wanted = f"{low:g} to {high:g} {unit}, as far as {self.id} goes"
                fix = "turn or shift the patient, or take the picture without a device"
                raise GeometryError(name, found=f"{value:.1f}", wanted=wanted, fix=fix)
        return replace(
            moved(carm, travel_mm),
            source_to_isocentre_mm=self.source_to_isocentre_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )

    def ma_at(self, kvp: float) -> float:
        """Tube current that exposure control pairs with a voltage, in mA."""
        return float(np.interp(kvp, [self.kvp_min, self.kvp_max], [self.ma_at_min, self.ma_at_max]))

    @property
    def detector_blur_mm(self) -> float:
        """Standard deviation of the detector's own blur."""
        return float(np.sqrt(np.log(2.0) / 2.0) / (np.pi * self.mtf50_per_mm))

    @property
    def spot_blur_mm(self) -> float:
        """Standard deviation, at the detector, of the focal spot's blur of what lies at the isocentre."""
        magnification = self.source_to_detector_mm / self.source_to_isocentre_mm
        return float(self.focal_spot_mm * (magnification - 1.0) / np.sqrt(12.0))
