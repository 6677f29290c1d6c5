"""A pelvis prepared for measuring: one tree per danger structure and per bone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import AnatomyError
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.surface import LabelledSurface, joined
from sjplan.geometry.triangle_tree import TriangleTree, triangle_tree


@dataclass(frozen=True, eq=False)
class MeasuringSurfaces:
    """Trees for one side of an anatomy; build once, measure many times.

    Parameters
    ----------
    anatomy : Anatomy
        The pelvis.
    side : {"left", "right"}
        The side that is measured; the other hip bone is left out.

    Raises
    ------
    AnatomyError
        If the anatomy has no hip bone or no joint on that side.
    """

    anatomy: Anatomy
    side: Side

    def __post_init__(self) -> None:
        if self.side not in self.anatomy.ilium or self.side not in self.anatomy.joints:
            raise AnatomyError(
                f"{self.side} side",
                found="no sacroiliac joint",
                wanted="a hip bone that faces the sacrum",
                fix="check the label map on that side",
            )

    @cached_property
    def whole(self) -> LabelledSurface:
        """Sacrum and ilium of this side."""
        return joined(self.anatomy.sacrum, self.anatomy.ilium[self.side])

    @cached_property
    def sacrum(self) -> TriangleTree:
        """The sacrum; triangle indices are those of `anatomy.sacrum`."""
        return triangle_tree(self.anatomy.sacrum.corners_lps_mm())

    @cached_property
    def ilium(self) -> TriangleTree:
        """The hip bone of this side."""
        return triangle_tree(self.anatomy.ilium[self.side].corners_lps_mm())

    @cached_property
    def everything(self) -> TriangleTree:
        """All triangles of both bones; indices are those of `whole`."""
        return triangle_tree(self.whole.corners_lps_mm())

    @cached_property
    def dangers(self) -> Mapping[str, TriangleTree]:
        """One tree per danger structure that exists, of all that may be part of it."""
        corners = self.whole.corners_lps_mm()
        parts = {name: self.whole.may_be(name) for name in DANGERS}
        return {name: triangle_tree(corners[part]) for name, part in parts.items() if part.any()}

    @cached_property
    def any_danger(self) -> TriangleTree:
        """All triangles that may belong to a danger structure."""
        either = np.minimum(self.whole.label, np.asarray(self.whole.also))
        return triangle_tree(self.whole.corners_lps_mm()[either < len(DANGERS)])

    @cached_property
    def not_joint(self) -> TriangleTree:
        """All triangles but those of the joint's faces."""
        joint = [SURFACE_ID[name] for name in ("joint_articular", "joint_ligamentous")]
        return triangle_tree(self.whole.corners_lps_mm()[~np.isin(self.whole.label, joint)])


def measuring_surfaces(anatomy: Anatomy, side: Side) -> MeasuringSurfaces:
    """Prepare one side for measuring; see `MeasuringSurfaces`."""
    return MeasuringSurfaces(anatomy, side)
