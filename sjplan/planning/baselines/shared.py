"""What the planners to compare with share: parameters of the exact finish, and what they can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FINISHING: Final[Mapping[str, float | int]] = {"slack_cap_mm": 3.0, "midline_reserve_mm": 8.0}
"""Parameters that the exact finish of every planner takes; as those of raster-v1."""

CAPABILITIES: Final = frozenset({"deterministic", "two-implants", "nearest"})
