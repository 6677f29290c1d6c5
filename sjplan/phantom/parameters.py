"""What may be varied of the phantom: numbers with units, ranges and the source of each default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from sjplan.core.arrays import Array, check_vector
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.frames import SIDES
from sjplan.core.structures import LEVELS
from sjplan.phantom.habitus import Habitus
from sjplan.phantom.ranges import Range, check_ranges
from sjplan.phantom.scanner import Scanner
from sjplan.phantom.variants import Variants

RANGES: Final = {
    "size": Range(0.8, 1.2, "SPACE12, DRY30 (sacral width)"),
    "sacral_slope_deg": Range(20.0, 62.0, "MACTH (40 +- 8)"),
    "pelvic_tilt_deg": Range(-8.0, 34.0, "MACTH (13 +- 7)"),
    "sacral_width_mm": Range(84.0, 142.0, "MAHATO (108.7 +- 11.0)"),
    "sacral_height_mm": Range(78.0, 136.0, "DRY30 (106.7 +- 10.2)"),
    "s1_body_width_mm": Range(32.0, 66.0, "recalled (46 to 52), MAHATO (40.3 +- 7.0)"),
    "s1_body_depth_mm": Range(20.0, 44.0, "recalled (31 to 34), SPACE12 (27.2 +- 3.7)"),
    "s1_to_s2_mm": Range(16.0, 37.0, "derived from PMCT (25 to 28)"),
    "canal_width_mm": Range(18.0, 42.0, "recalled (30)"),
    "canal_depth_mm": Range(8.0, 22.0, "recalled (14 to 16)"),
    "foramen_scale": Range(0.6, 1.5, "SALUJA (mouths of S1 and S2)"),
    "interforaminal_mm": Range(20.0, 52.0, "PMCT (36.1 at S1)"),
    "dorsal_distance_mm": Range(16.0, 32.0, "KJP (23.5 +- 2.8)"),
    "ala_height_mm": Range(8.0, 40.0, "ALA00 (27.8), EBR98 (pedicle 20)"),
    "ala_depth_mm": Range(16.0, 41.0, "ALA00 (28.1)"),
    "joint_gap_mm": Range(0.8, 4.0, "DEMIR (1.72 +- 0.57)"),
    "joint_area_cm2": Range(7.5, 23.0, "SUBCH (15.0 +- 2.4)"),
    "joint_angle_deg": Range(14.0, 39.0, "KULAK (26.6 +- 3.8 at the middle)"),
    "asis_width_mm": Range(180.0, 300.0, "APP (238 +- 20)"),
    "hip_distance_mm": Range(145.0, 205.0, "JHU (nine pelves: 170 +- 8)"),
    "app_height_mm": Range(62.0, 125.0, "APP (93 +- 10.5)"),
    "iliac_height_mm": Range(110.0, 195.0, "JHU (crest above the hip centre, nine pelves)"),
    "asymmetry_mm": Range(-6.0, 6.0, "default"),
    "wing_asymmetry_mm": Range(-16.0, 16.0, "JHU (nine pelves: sd 3.5)"),
}
"""Smallest and largest value of each scalar parameter of the shape; the shapes were looked at over these ranges."""

INCIDENCE_DEG: Final = Range(30.0, 78.0, "MACTH (53 +- 10.5)")
"""Pelvic incidence, sacral slope plus pelvic tilt: a fact of the shape, so it has a range of its own."""

TUNNELS: Final = tuple(f"{level}_{side}" for level in LEVELS for side in SIDES)
"""Names of the eight foramina as `closed_foramina` takes them, such as S1_left."""

GROUPS: Final[Mapping[str, type]] = {"variants": Variants, "habitus": Habitus, "scanner": Scanner}
"""Parameters that are not shape, by the name of their table in a preset."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomParameters:
    """One phantom pelvis.

    Lengths are those of the pelvis at `size` 1; the finished pelvis is that, scaled by `size`.

    Parameters
    ----------
    size : float
        Scale of everything (no unit, 0.8 to 1.2).
    sacral_slope_deg, pelvic_tilt_deg : float
        Slope of the S1 endplate against the scanner's axial plane, and angle between the scanner's coronal plane and
        the line from hips to endplate; their sum is the pelvic incidence (MACTH).
    sacral_width_mm, sacral_height_mm : float
        Greatest width over the ala (MAHATO); promontory to the tip of S5 in a straight line (DRY30).
    s1_body_width_mm, s1_body_depth_mm : float
        Body of S1 below its endplate.
    s1_to_s2_mm : float
        Between the ventral mouths of S1 and S2.
    canal_width_mm, canal_depth_mm : float
        Triangular canal behind S1.
    foramen_scale : float
        Scale of the radii of all foramina about fixed centrelines (no unit). 1 is a ventral S1 mouth of about
        12.6 mm (SALUJA).
    interforaminal_mm : float
        Between the inner edges of the ventral S1 mouths at `foramen_scale` 1; lower levels keep their share (PMCT).
    dorsal_distance_mm : float
        Dorsal S1 mouth from the midline (KJP); lower levels keep their share.
    ala_height_mm : float
        Bone between the top of the ala and the roof of the S1 tunnel at `foramen_scale` 1 (ALA00).
    ala_depth_mm : float
        Front to back of the ala at its narrowest, beside the body (ALA00).
    joint_gap_mm : float
        Mean gap of the articular faces, in mm of the finished pelvis (DEMIR).
    joint_area_cm2 : float
        Area of one articular face (SUBCH).
    joint_angle_deg : float
        Angle of the joint to the sagittal plane at its middle; it twists in proportion above and below (KULAK).
    asis_width_mm, hip_distance_mm, app_height_mm, iliac_height_mm : float
        Between the anterior superior iliac spines (APP); between the hip centres; from the top of the pubis to the line
        between the spines (APP); from the hip centres to the top of the crests, along the scanner's axis at a pelvic
        tilt of 13 degrees.
    asymmetry_mm : float
        Half-width of the sacrum at the left joint less that at the right one, before scaling. The foramina of the wider
        side lie a quarter of it lower.
    wing_asymmetry_mm : float
        How much farther the left ASIS lies from the mid-plane than the right one, before scaling; hip joints follow by
        half.
    closed_foramina : tuple of str
        Foramina that are left solid bone, such as ("S1_left",).
    offset_lps_mm : (3,) float
        Where the centre of the S1 endplate lies in the scanner.
    rotation_deg : (3,) float
        Turns of the whole pelvis about the scanner's x, then y, then z axis, each within 30 degrees.
    variants : Variants
        Dysmorphism, wear, metal.
    habitus : Habitus
        Age, build, density.
    scanner : Scanner
        What the scanner does to all that.

    Raises
    ------
    InputError
        If a value lies outside its range, or slope and tilt make no pelvic incidence that people have.
    UnknownNameError
        For a foramen that does not exist.

    Examples
    --------
    >>> PhantomParameters(foramen_scale=1.1).foramen_scale
    1.1
    """

    size: float = 1.0
    sacral_slope_deg: float = 40.0
    pelvic_tilt_deg: float = 13.0
    sacral_width_mm: float = 113.5
    sacral_height_mm: float = 107.5
    s1_body_width_mm: float = 49.0
    s1_body_depth_mm: float = 31.2
    s1_to_s2_mm: float = 26.8
    canal_width_mm: float = 30.0
    canal_depth_mm: float = 14.7
    foramen_scale: float = 1.0
    interforaminal_mm: float = 35.6
    dorsal_distance_mm: float = 23.5
    ala_height_mm: float = 26.0
    ala_depth_mm: float = 28.8
    joint_gap_mm: float = 1.7
    joint_area_cm2: float = 15.5
    joint_angle_deg: float = 26.6
    asis_width_mm: float = 229.0
    hip_distance_mm: float = 179.0
    app_height_mm: float = 88.5
    iliac_height_mm: float = 140.0
    asymmetry_mm: float = 0.0
    wing_asymmetry_mm: float = 0.0
    closed_foramina: tuple[str, ...] = ()
    offset_lps_mm: Array = (0.0, 0.0, 0.0)  # type: ignore[assignment]
    rotation_deg: Array = (0.0, 0.0, 0.0)  # type: ignore[assignment]
    variants: Variants = field(default_factory=Variants)
    habitus: Habitus = field(default_factory=Habitus)
    scanner: Scanner = field(default_factory=Scanner)

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        low, high, source = INCIDENCE_DEG
        if not low <= self.pelvic_incidence_deg <= high:
            raise InputError(
                "phantom sacral_slope_deg + pelvic_tilt_deg",
                found=f"{self.sacral_slope_deg:g} + {self.pelvic_tilt_deg:g}",
                wanted=f"a pelvic incidence of {low:g} to {high:g} ({source})",
            )
        object.__setattr__(self, "closed_foramina", tuple(self.closed_foramina))
        for tunnel in self.closed_foramina:
            if tunnel not in TUNNELS:
                raise unknown_name("phantom closed_foramina", tunnel, TUNNELS)
        object.__setattr__(self, "offset_lps_mm", check_vector("phantom offset_lps_mm", self.offset_lps_mm))
        rotation = check_vector("phantom rotation_deg", self.rotation_deg)
        if max(abs(float(a)) for a in rotation) > MAX_ROTATION_DEG:
            raise InputError(
                "phantom rotation_deg", found=f"{rotation.tolist()}", wanted=f"each within {MAX_ROTATION_DEG:g} degrees"
            )
        object.__setattr__(self, "rotation_deg", rotation)

    @property
    def pelvic_incidence_deg(self) -> float:
        """Sacral slope plus pelvic tilt."""
        return self.sacral_slope_deg + self.pelvic_tilt_deg

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a TOML or JSON file holds them; groups as tables of their own."""
        plain: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in GROUPS:
                plain[item.name] = asdict(value)
            else:
                plain[item.name] = value if isinstance(value, float) else [v for v in value]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> PhantomParameters:
        """The parameters that `as_dict` wrote.

        Examples
        --------
        >>> plain = PhantomParameters(size=0.9).as_dict()
        >>> PhantomParameters.from_dict(plain).size
        0.9
        """
        groups = {name: kind(**plain[name]) for name, kind in GROUPS.items() if name in plain}
        return cls(**{**plain, **groups})


MAX_ROTATION_DEG: Final = 30.0
"""Largest turn of the pelvis about one axis of the scanner: patients lie oblique, not on their side."""
