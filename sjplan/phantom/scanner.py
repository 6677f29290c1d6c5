"""The scanner that sees the phantom: slice thickness, kernel, noise, padding, table, streaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sjplan.core.errors import InputError
from sjplan.phantom.ranges import Range, check_ranges

SCANNER_RANGES: Final = {
    "slice_thickness_mm": Range(0.0, 5.0, "usual protocols; default"),
    "kernel_fwhm_mm": Range(0.0, 2.5, "usual soft and bone kernels; default"),
    "noise_hu": Range(0.0, 60.0, "default"),
    "metal_streaks": Range(0.0, 1.0, "default"),
}


@dataclass(frozen=True, slots=True)
class Scanner:
    """What a CT scanner does to the phantom, beside sampling it on the grid that is asked for.

    Parameters
    ----------
    slice_thickness_mm : float
        Width of the slice's profile along z, 0 (as thin as the voxel) to 5 mm.
    kernel_fwhm_mm : float
        Full width at half maximum of the blur within a slice, 0 to 2.5 mm.
    noise_hu : float
        Standard deviation of the noise in soft tissue, 0 to 60 HU.
    circular_padding : bool
        Whether voxels outside the circle that fits the slice hold `padding_hu`.
    padding_hu : int
        -1024, -2000 or -3024, as scanners write it.
    table : bool
        Whether the patient lies on a table.
    metal_streaks : float
        Strength of the streaks round metal, 0 (none) to 1.

    Raises
    ------
    InputError
        If a value lies outside its range.

    Examples
    --------
    >>> Scanner(circular_padding=True, padding_hu=-2000).noise_hu
    9.0
    """

    slice_thickness_mm: float = 0.0
    kernel_fwhm_mm: float = 0.8
    noise_hu: float = 9.0
    circular_padding: bool = False
    padding_hu: int = -1024
    table: bool = False
    metal_streaks: float = 0.5

    def __post_init__(self) -> None:
        check_ranges(self, SCANNER_RANGES, "phantom scanner")
        if self.padding_hu not in PADDING_HU:
            wanted = "one of " + ", ".join(map(str, PADDING_HU))
            raise InputError("phantom scanner padding_hu", found=f"{self.padding_hu}", wanted=wanted)


PADDING_HU: Final = (-1024, -2000, -3024)
"""Values that scanners write outside their field of view (docs/coordinates.md)."""
