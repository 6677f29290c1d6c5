"""Variants and wear of the bones: dysmorphism, transitional vertebrae, curved spines, worn joints, replaced hips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sjplan.phantom.ranges import SIDE_WORDS, Range, check_ranges, one_of

VARIANT_RANGES: Final = {
    "alar_slope_deg": Range(0.0, 25.0, "ALA00 (alar slope 25 to 65 degrees)"),
    "mammillary_mm": Range(0.0, 6.0, "MILLER12 names the sign; size default"),
    "residual_disc": Range(0.0, 1.0, "ACE19 (present in 70 %)"),
    "tongue_in_groove_mm": Range(0.0, 5.0, "MILLER12 names the sign; size default"),
    "foramen_oval": Range(0.0, 0.5, "MILLER12 (upper foramina not circular); share default"),
    "scoliosis_deg": Range(-25.0, 25.0, "default"),
    "sclerosis_left": Range(0.0, 1.0, "SCIREP21 (45.7 % of 818)"),
    "sclerosis_right": Range(0.0, 1.0, "SCIREP21 (45.7 % of 818)"),
    "osteophyte_left_mm": Range(0.0, 6.0, "SCIREP21 (46.8 % of 818); size default"),
    "osteophyte_right_mm": Range(0.0, 6.0, "SCIREP21 (46.8 % of 818); size default"),
    "gap_difference_mm": Range(-1.5, 1.5, "default"),
}
"""How far each variant goes; 0 is none of it."""

TRANSITIONAL: Final = ("none", "sacralised-l5", "lumbarised-s1")


@dataclass(frozen=True, slots=True)
class Variants:
    """What makes a pelvis differ from the usual form.

    Parameters
    ----------
    alar_slope_deg : float
        How much steeper the top of the ala falls from back to front than usual, 0 to 25 degrees: the acute alar slope
        of a dysmorphic sacrum; it narrows the way into S1.
    mammillary_mm : float
        Height of the mammillary bodies on the top of the ala behind, 0 to 6 mm.
    residual_disc : float
        Share of the bodies' section that a disc between S1 and S2 takes, 0 to 1.
    tongue_in_groove_mm : float
        Height of the iliac tongue in a sacral groove of the joint, beyond the usual ridge, 0 to 5 mm.
    foramen_oval : float
        How much higher than wide the ventral S1 foramen is, 0 to 0.5.
    transitional : str
        "none", "sacralised-l5" or "lumbarised-s1".
    scoliosis_deg : float
        Side bend between S1 and L4, positive to the patient's left, -25 to 25 degrees.
    sclerosis_left, sclerosis_right : float
        Dense bone beside the joint, 0 (none) to 1 (marked).
    osteophyte_left_mm, osteophyte_right_mm : float
        Size of the osteophyte in front of the joint's cranial limb, 0 to 6 mm.
    vacuum_gas : str
        Joints with gas in them: "none", "left", "right" or "both".
    hip_replacement : str
        Sides with a hip replacement (a titanium stem, a cobalt-chromium head, a titanium cup).
    gap_difference_mm : float
        Gap of the left joint less that of the right one, -1.5 to 1.5 mm.

    Raises
    ------
    InputError
        If a value lies outside its range.

    Examples
    --------
    >>> Variants(alar_slope_deg=12.0).transitional
    'none'
    """

    alar_slope_deg: float = 0.0
    mammillary_mm: float = 0.0
    residual_disc: float = 0.25
    tongue_in_groove_mm: float = 0.0
    foramen_oval: float = 0.0
    transitional: str = "none"
    scoliosis_deg: float = 0.0
    sclerosis_left: float = 0.0
    sclerosis_right: float = 0.0
    osteophyte_left_mm: float = 0.0
    osteophyte_right_mm: float = 0.0
    vacuum_gas: str = "none"
    hip_replacement: str = "none"
    gap_difference_mm: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, VARIANT_RANGES, "phantom variants")
        one_of(self, "transitional", TRANSITIONAL, "phantom variants")
        one_of(self, "vacuum_gas", SIDE_WORDS, "phantom variants")
        one_of(self, "hip_replacement", SIDE_WORDS, "phantom variants")
