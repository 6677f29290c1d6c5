"""The same person with left and right exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from sjplan.phantom.parameters import PhantomParameters

OTHER: Final = {"left": "right", "right": "left"}


def mirrored(parameters: PhantomParameters) -> PhantomParameters:
    """Parameters of the mirror image: what was on the left lies on the right, x -> -x in the scanner.

    Shape, pose and what is found on one side only are exchanged. Noise, fat and bowels are drawn from the seed, so that
    a CT of the mirror image is that of the same person scanned another time; its labels are mirrored to the voxel.

    Examples
    --------
    >>> from sjplan.phantom.variants import Variants
    >>> other = mirrored(PhantomParameters(closed_foramina=("S1_left",), variants=Variants(sclerosis_left=0.5)))
    >>> other.closed_foramina, other.variants.sclerosis_right
    (('S1_right',), 0.5)
    """
    v = parameters.variants
    variants = replace(
        v,
        scoliosis_deg=-v.scoliosis_deg,
        gap_difference_mm=-v.gap_difference_mm,
        sclerosis_left=v.sclerosis_right,
        sclerosis_right=v.sclerosis_left,
        osteophyte_left_mm=v.osteophyte_right_mm,
        osteophyte_right_mm=v.osteophyte_left_mm,
        vacuum_gas=OTHER.get(v.vacuum_gas, v.vacuum_gas),
        hip_replacement=OTHER.get(v.hip_replacement, v.hip_replacement),
    )
    closed = tuple(f"{name[:2]}_{OTHER[name[3:]]}" for name in parameters.closed_foramina)
    return replace(
        parameters,
        asymmetry_mm=-parameters.asymmetry_mm,
        wing_asymmetry_mm=-parameters.wing_asymmetry_mm,
        closed_foramina=closed,
        offset_lps_mm=parameters.offset_lps_mm * np.array((-1.0, 1.0, 1.0)),
        rotation_deg=parameters.rotation_deg * np.array((1.0, -1.0, -1.0)),
        variants=variants,
    )
