"""Who the phantom is: age, build, how dense the bone is, what fills bladder and bowel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sjplan.phantom.ranges import Range, check_ranges, one_of

SEXES: Final = ("female", "male")

HABITUS_RANGES: Final = {
    "age_years": Range(18.0, 95.0, "adults; default"),
    "bmi": Range(17.0, 50.0, "FRANK (fat by BMI); cut default"),
    "bone_density": Range(0.3, 1.6, "NAKAM (S1 body 280 +- 92 HU); cut default"),
    "bladder_ml": Range(0.0, 500.0, "default"),
    "bowel_gas": Range(0.0, 1.0, "default"),
}


@dataclass(frozen=True, slots=True)
class Habitus:
    """Soft tissue and density.

    Parameters
    ----------
    sex : str
        "female" or "male": depth of fat and the shape of the outline.
    age_years : float
        18 to 95; trabecular bone loses some 2 HU a year in L1 (CLINICAL 4.5, recalled), the ala most (RICH10, JOR14).
    bmi : float
        Body mass index, 17 to 50 kg/m2: fat grows by 3 to 4 mm a unit (FRANK).
    bone_density : float
        Trabecular density relative to the mean at this age, 0.3 (marked osteoporosis) to 1.6.
    bladder_ml : float
        What the bladder holds, 0 to 500 ml.
    bowel_gas : float
        How much gas the bowel holds, 0 (none) to 1 (much).

    Raises
    ------
    InputError
        If a value lies outside its range.

    Examples
    --------
    >>> Habitus(bmi=34.0).sex
    'female'
    """

    sex: str = "female"
    age_years: float = 45.0
    bmi: float = 25.0
    bone_density: float = 1.0
    bladder_ml: float = 150.0
    bowel_gas: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(self, HABITUS_RANGES, "phantom habitus")
        one_of(self, "sex", SEXES, "phantom habitus")
