"""What the kernels hold of the limits: rules of one slot and of a pair, each a little stricter than the judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.planning.candidates import SlotRules
from sjplan.planning.finish import RESERVE
from sjplan.planning.triples import PairRules
from sjplan.safety.judge import TIP_LATERAL_OF


def slot_rules(anatomy: Anatomy, side: str, limits: Limits, slot: int, model: ImplantModel) -> SlotRules:
    """Rules of one slot (1 to 3) for the kernels."""
    lateral = 0.0
    for level in TIP_LATERAL_OF[slot]:
        foramen = anatomy.foramen(level, side)
        if foramen is not None:
            lateral = max(lateral, foramen.most_lateral_mm + RESERVE)
    lowest = -1e6
    levels = anatomy.levels(side)
    if levels and "S4" not in levels:
        last = anatomy.foramen(levels[-1], side)
        if last is not None:
            lowest = float(anatomy.frame.frame_from_lps(last.lumen_lps_mm)[:, 2].mean()) + RESERVE
    return SlotRules(
        radius_mm=model.circumscribed_radius_mm,
        lengths_mm=model.lengths_mm,
        sacral_min_mm=limits.sacral_min_mm + RESERVE,
        iliac_min_mm=limits.iliac_min_mm + RESERVE,
        protrusion_max_mm=limits.protrusion_max_mm - RESERVE,
        tip_lateral_mm=lateral,
        lowest_mm=lowest,
        joint_cosine=float(np.cos(np.deg2rad(limits.joint_normal_angle_max_deg - 0.5))),
        inscribed_radius_mm=model.inscribed_radius_mm,
        buried_mm=np.inf,
    )


def pair_rules(limits: Limits, models: Sequence[ImplantModel], extra_mm: float) -> PairRules:
    """Pair rules on axes: the gap between true solids at the best roll, face against corner, plus `extra_mm`."""
    radii = sorted((m.circumscribed_radius_mm for m in models), reverse=True)
    inner = max(m.inscribed_radius_mm for m in models)
    gap = radii[0] + inner + limits.solid_gap_min_mm + extra_mm
    cosine = float(np.cos(np.deg2rad(limits.mutual_angle_max_deg - 0.1)))
    return PairRules(limits.crossing_spacing_min_mm + RESERVE, gap, cosine)
