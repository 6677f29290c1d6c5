"""What is published on planned against achieved, to be read beside an audit: context, never a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Published:
    """Mean and standard deviation of tip distance (mm) and axis angle (degrees) of a published series."""

    implants: int
    tip_mm: tuple[float, float]
    angle_deg: tuple[float, float]
    source: str


KAMPKUIPER_2023: Final = Published(
    30, (4.9, 1.26), (4.0, 1.44), "Kampkuiper et al., Biomechanics 2023;3(4):511-522, doi 10.3390/biomechanics3040041"
)
"""Planned against achieved tips and axes of ten patients, fluoroscopy with a virtual plan (KAMP23)."""
