"""What may be varied of the phantom: a handful of numbers with units, ranges and the source of each default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from sjplan.core.arrays import Array, check_vector
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.frames import SIDES
from sjplan.core.structures import LEVELS

RANGES: Final = {
    "size": (0.8, 1.2),
    "sacral_slope_deg": (20.0, 60.0),
    "foramen_scale": (0.6, 1.5),
    "ala_height_mm": (8.0, 26.0),
    "joint_gap_mm": (1.0, 4.0),
    "asymmetry_mm": (-6.0, 6.0),
}
"""Smallest and largest value of each scalar parameter; the shapes were looked at over these ranges."""

TUNNELS: Final = tuple(f"{level}_{side}" for level in LEVELS for side in SIDES)
"""Names of the eight foramina as `closed_foramina` takes them, such as S1_left."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomParameters:
    """One phantom pelvis.

    Parameters
    ----------
    size : float
        Scale of everything (no unit, 0.8 to 1.2). 1 is a sacrum about 105 mm wide (SPACE12, DRY30).
    sacral_slope_deg : float
        Slope of the S1 endplate in the pelvis, 20 to 60 degrees. Default 40 (MACTH).
    foramen_scale : float
        Scale of the radii of all foramina about fixed centrelines (no unit, 0.6 to 1.5). 1 is a ventral S1 mouth
        of about 12.6 mm (SALUJA).
    ala_height_mm : float
        Bone between the top of the ala and the roof of the S1 foramen at `foramen_scale` 1, before scaling by
        `size`, 8 to 26 mm. Default 20 (pedicle height, EBR98).
    joint_gap_mm : float
        Distance of the two articular faces, in mm of the finished pelvis, 1 to 4. Default 1.7 (DEMIR).
    asymmetry_mm : float
        Half-width of the sacrum at the left joint less that at the right one, -6 to 6 mm before scaling. The
        foramina of the wider side lie a quarter of it lower.
    closed_foramina : tuple of str
        Foramina that are left solid bone, such as ("S1_left",).
    offset_lps_mm : (3,) float
        Where the centre of the S1 endplate lies in the scanner.
    rotation_deg : (3,) float
        Turns of the whole pelvis about the scanner's x, then y, then z axis, each within 30 degrees.

    Raises
    ------
    InputError
        If a value lies outside its range.
    UnknownNameError
        For a foramen that does not exist.

    Examples
    --------
    >>> PhantomParameters(foramen_scale=1.1).foramen_scale
    1.1
    """

    size: float = 1.0
    sacral_slope_deg: float = 40.0
    foramen_scale: float = 1.0
    ala_height_mm: float = 20.0
    joint_gap_mm: float = 1.7
    asymmetry_mm: float = 0.0
    closed_foramina: tuple[str, ...] = ()
    offset_lps_mm: Array = (0.0, 0.0, 0.0)  # type: ignore[assignment]
    rotation_deg: Array = (0.0, 0.0, 0.0)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = float(getattr(self, name))
            if not low <= value <= high:
                raise InputError(f"phantom {name}", found=f"{value:g}", wanted=f"{low:g} to {high:g}")
            object.__setattr__(self, name, value)
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

    def as_dict(self) -> dict[str, object]:
        """Plain values, as a TOML or JSON file holds them."""
        plain: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            plain[field.name] = value if isinstance(value, float) else [v for v in value]
        return plain


MAX_ROTATION_DEG: Final = 30.0
"""Largest turn of the pelvis about one axis of the scanner: patients lie oblique, not on their side."""
