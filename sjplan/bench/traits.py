"""What a phantom is like, in plain values by which results may be broken down."""

from __future__ import annotations

from typing import Final

from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.variants import VARIANT_RANGES, Variants

SIGNS: Final = ("alar_slope_deg", "mammillary_mm", "residual_disc", "tongue_in_groove_mm", "foramen_oval")
"""Signs of a dysmorphic sacrum that the phantom can show (MILLER12)."""


def traits_of(parameters: PhantomParameters) -> dict[str, str | float]:
    """Sex, age, build, density, dysmorphism and shape of a phantom.

    `density` is relative to the mean at that age; `dysmorphism` is 0 for none of the signs beyond the usual and 1 for
    all at their strongest; `incidence_deg` is the pelvic incidence.

    Examples
    --------
    >>> traits = traits_of(PhantomParameters())
    >>> traits["sex"], traits["age_years"], traits["dysmorphism"]
    ('female', 45.0, 0.0)
    """
    habitus, variants = parameters.habitus, parameters.variants
    return {
        "sex": habitus.sex,
        "age_years": round(habitus.age_years, 1),
        "bmi": round(habitus.bmi, 1),
        "density": round(habitus.bone_density, 3),
        "dysmorphism": round(dysmorphism(variants), 3),
        "transitional": variants.transitional,
        "size": round(parameters.size, 3),
        "incidence_deg": round(parameters.pelvic_incidence_deg, 1),
        "foramen_scale": round(parameters.foramen_scale, 3),
        "asymmetry_mm": round(parameters.asymmetry_mm, 2),
    }


def dysmorphism(variants: Variants) -> float:
    """Mean over `SIGNS` of how far each goes from the usual form (0) to its end (1).

    Examples
    --------
    >>> dysmorphism(Variants(alar_slope_deg=25.0, residual_disc=1.0))
    0.4
    """
    usual = Variants()
    shares = []
    for name in SIGNS:
        start, end, value = float(getattr(usual, name)), VARIANT_RANGES[name].high, float(getattr(variants, name))
        shares.append(min(max((value - start) / (end - start), 0.0), 1.0))
    return sum(shares) / len(shares)
