"""A pelvis prepared for measuring: one tree per danger structure, one per bone, one of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import AnatomyError
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.surface import LabelledSurface, joined
from sjplan.geometry.triangle_tree import TriangleTree, triangle_tree


@dataclass(frozen=True, slots=True, eq=False)
class MeasuringSurfaces:
    """Trees for one side of an anatomy; build once with `measuring_surfaces`, measure many times.

    `everything` holds all triangles of all bones and `label` their names; `bone_of` is 0 for the sacrum.
    """

    anatomy: Anatomy
    side: Side
    dangers: Mapping[str, TriangleTree]
    any_danger: TriangleTree
    any_danger_label: NDArray[np.uint8]
    everything: TriangleTree
    label: NDArray[np.uint8]
    sacrum: TriangleTree
    ilium: TriangleTree


def measuring_surfaces(anatomy: Anatomy, side: Side) -> MeasuringSurfaces:
    """Prepare one side for measuring.

    Raises
    ------
    AnatomyError
        If the anatomy has no hip bone or no joint on that side.
    """
    if side not in anatomy.ilium or side not in anatomy.joints:
        raise AnatomyError(
            f"{side} side",
            found="no sacroiliac joint",
            wanted="a hip bone that faces the sacrum",
            fix="check the label map on that side",
        )
    bones: list[LabelledSurface] = [anatomy.sacrum, *anatomy.ilium.values()]
    whole = joined(*bones)
    corners = whole.vertices_lps_mm[whole.triangles]
    danger = whole.label <= max(SURFACE_ID[name] for name in DANGERS)
    return MeasuringSurfaces(
        anatomy=anatomy,
        side=side,
        dangers={
            name: triangle_tree(corners[whole.label == SURFACE_ID[name]])
            for name in DANGERS
            if (whole.label == SURFACE_ID[name]).any()
        },
        any_danger=triangle_tree(corners[danger]),
        any_danger_label=whole.label[danger],
        everything=triangle_tree(corners),
        label=whole.label,
        sacrum=triangle_tree(anatomy.sacrum.corners_lps_mm()),
        ilium=triangle_tree(anatomy.ilium[side].corners_lps_mm()),
    )
