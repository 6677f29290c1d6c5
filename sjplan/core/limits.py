"""The limits a plan has to keep. Their default values lie in one data file, not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sjplan.core.errors import GeometryError, unknown_name
from sjplan.core.structures import LIMIT_KINDS, limit_kind


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits (a plan that breaks one is not accepted) and the wishes below which a finding is written.

    Parameters
    ----------
    clearance_mm : mapping of kind to float
        Least distance of the envelope, for every kind in `LIMIT_KINDS`.
    clearance_finding_mm : mapping of kind to float
        Envelope distance below which a finding is written; kinds may be missing.
    lower_bound_kinds : tuple of str
        Kinds for which `lower_bound_mm` of the true solid must be above zero.
    sacral_min_mm, sacral_finding_mm, iliac_min_mm : float
        Length along the axis inside the sacrum and the ilium.
    crossing_spacing_min_mm : float
        Least distance between the points where two implants cross the joint.
    solid_gap_min_mm : float
        Least distance between two true solids.
    mutual_angle_max_deg, joint_normal_angle_max_deg : float
        Largest angle between two implants, and between an implant and the joint's mean normal at its footprint.
    articular_min_count : int
        How many implants of three must cross the articular part (of two: one fewer).
    protrusion_min_mm, protrusion_max_mm, protrusion_target_mm : float
        Lateral end beyond the lateral iliac surface, along the axis.
    """

    clearance_mm: Mapping[str, float]
    clearance_finding_mm: Mapping[str, float]
    lower_bound_kinds: tuple[str, ...]
    sacral_min_mm: float
    sacral_finding_mm: float
    iliac_min_mm: float
    crossing_spacing_min_mm: float
    solid_gap_min_mm: float
    mutual_angle_max_deg: float
    joint_normal_angle_max_deg: float
    articular_min_count: int
    protrusion_min_mm: float
    protrusion_max_mm: float
    protrusion_target_mm: float

    def __post_init__(self) -> None:
        for kind in self.clearance_mm:
            if kind not in LIMIT_KINDS:
                raise unknown_name("limits.clearance_mm", kind, LIMIT_KINDS)
        for kind in self.lower_bound_kinds:
            if kind not in LIMIT_KINDS:
                raise unknown_name("limits.lower_bound_kinds", kind, LIMIT_KINDS)
        missing = [kind for kind in LIMIT_KINDS if kind not in self.clearance_mm]
        if missing:
            raise GeometryError("limits.clearance_mm", found=f"no {', '.join(missing)}", wanted="every kind")
        if not self.protrusion_min_mm <= self.protrusion_target_mm <= self.protrusion_max_mm:
            raise GeometryError(
                "limits.protrusion",
                found=f"{self.protrusion_min_mm}, {self.protrusion_target_mm}, {self.protrusion_max_mm}",
                wanted="min <= target <= max",
            )

    def check_lengths(self, model_id: str, lengths_mm: Sequence[float]) -> None:
        """Refuse limits on length that no length of a model can keep.

        Raises
        ------
        GeometryError
            If the ilium, the sacrum and the protrusion asked for are together longer than the longest one.
        """
        wanted = self.iliac_min_mm + self.sacral_min_mm + self.protrusion_min_mm
        if wanted > max(lengths_mm):
            raise GeometryError(
                f"limits on length for {model_id}",
                found=f"{wanted:g} mm in ilium, sacrum and protrusion together",
                wanted=f"at most the longest length, {max(lengths_mm):g} mm",
                fix="lower iliac_min_mm, sacral_min_mm or protrusion_min_mm, or choose another model",
            )

    def clearance_of(self, structure: str) -> float:
        """Least envelope distance to one danger structure."""
        return float(self.clearance_mm[limit_kind(structure)])

    def asking_mm(self, least_mm: float) -> Limits:
        """The same limits, with at least so much clearance wherever a lower bound has to be above zero.

        Examples
        --------
        >>> from sjplan.io.limits import read_limits
        >>> asked = read_limits().asking_mm(1.5)
        >>> asked.clearance_of("anterior"), asked.clearance_of("canal"), asked.clearance_of("posterior")
        (1.5, 2.0, 0.0)
        """
        asked = {kind: max(self.clearance_mm[kind], least_mm) for kind in self.lower_bound_kinds}
        return replace(self, clearance_mm={**self.clearance_mm, **asked})
