"""Every tolerance of the project, named once, with its unit and its reason."""

from __future__ import annotations

from typing import Final

DIRECTION_TOL: Final = 1e-4
"""Largest |D'D - 1| of a direction matrix (no unit). NIfTI stores float32 quaternions: 1e-6 is too tight."""

UNIT_VECTOR_TOL: Final = 1e-6
"""Largest deviation of a unit vector's length from one (no unit): float64 arithmetic, a few operations."""

LENGTH_TOL_MM: Final = 1e-3
"""Largest difference between |tip - entry| and the stated length (mm): plan files keep six decimals."""

SAME_SPACE_TOL_MM: Final = 0.01
"""Largest distance between the corners of two grids that count as one space (mm): float32 headers."""

MAX_PLANNING_SPACING_MM: Final = 2.0
"""Coarsest voxel edge on which a plan is made (mm): above it foramina (neck 6 to 13 mm) and joint vanish."""

JUDGE_TOL_MM: Final = 1e-3
"""Width at which a branch and bound distance stops (mm): far below any surface's own error."""

DEPTH_TOL_MM: Final = 0.05
"""Width at which the search for a solid's deepest point outside the bone stops (mm): far below a surface's error."""

AIR_HU: Final = -1000.0
"""What lies outside a CT's field of view (HU): air, never zero, which is water."""
