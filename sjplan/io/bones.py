"""Surfaces of the bones for other programs: those on which margins are measured."""

from __future__ import annotations

from typing import Final

from sjplan.anatomy.bones import bones_of
from sjplan.core.labels import LabelMap
from sjplan.geometry.surface_nets import surface_net
from sjplan.io.meshes import Model

BONE_COLOUR: Final = (0.89, 0.85, 0.77)
BONE_OPACITY: Final = 0.5
"""Half seen through: the implants lie inside."""

BONE: Final = "bone_"
"""What the names of bones' surfaces begin with, and of nothing else that is exported."""


def bone_models(labels: LabelMap) -> list[Model]:
    """Sacrum (joined with S1) and both hips as the surfaces that the judge measures on, loose pieces left out.

    Raises
    ------
    InputError
        For labels that are no pelvis.
    """
    bones = bones_of(labels)
    masks = {f"{BONE}sacrum": bones.sacrum}
    masks |= {f"{BONE}hip_{bones.side_of(sign)}": mask for sign in (1, -1) if (mask := bones.hip(sign)) is not None}
    nets = {name: surface_net(mask, bones.grid) for name, mask in sorted(masks.items())}
    return [Model(n, net.vertices_lps_mm, net.triangles, BONE_COLOUR, BONE_OPACITY) for n, net in nets.items()]
