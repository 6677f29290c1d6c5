"""Nerves and vessels of a pelvis as named tubes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.courses.nerves import nerve_tubes
from sjplan.phantom.courses.vessels import vessel_tubes

if TYPE_CHECKING:
    from sjplan.phantom.pelvis import Pelvis


def tubes_of(pelvis: Pelvis) -> Mapping[str, Tube]:
    """Dural sac, nerve roots L5 to S2, iliac vessels and superior gluteal arteries of a pelvis.

    Parameters
    ----------
    pelvis : Pelvis
        Finished shape; nothing is cached.

    Returns
    -------
    Mapping of str to Tube
        In LPS mm, by name; `label_of` gives the structure's name in a label map.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> from sjplan.phantom.pelvis import Pelvis
    >>> tubes = tubes_of(Pelvis(PhantomParameters()))
    >>> "nerve_root_S1_left" in tubes, label_of("external_iliac_vein_right")
    (True, 'iliac_vena_right')
    """
    nerves = nerve_tubes(pelvis)
    return {**nerves, **vessel_tubes(pelvis, nerves)}


def label_of(tube: str) -> str:
    """Name in a label map of a tube: several vessels share one.

    Examples
    --------
    >>> label_of("superior_gluteal_artery_deep_left")
    'superior_gluteal_artery_left'
    """
    side = tube.rpartition("_")[2]
    if "iliac_artery" in tube:
        return f"iliac_artery_{side}"
    if "iliac_vein" in tube:
        return f"iliac_vena_{side}"
    return tube.replace("_deep", "")


def is_vessel(tube: str) -> bool:
    """Whether a tube holds blood.

    Examples
    --------
    >>> is_vessel("nerve_root_S1_left"), is_vessel("superior_gluteal_artery_left")
    (False, True)
    """
    return "artery" in tube or "vein" in tube
