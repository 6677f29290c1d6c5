"""Codes by which other programs know our structures: SNOMED CT as DICOM prints it (PS3.16), else our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

OWN_SCHEME: Final = "99SJPLAN"
"""Designator of codes of our own; 99 is what DICOM leaves to private schemes (PS3.16, 8.2)."""

OWN_BLOCK: Final = "SJPLAN"
OWN_GROUP: Final = 0x3011
SURFACE_ERROR_TAG: Final = 0x3011_1001
"""Private element of our segmentations (PS3.5, 7.8): how far the labels may be off, mm; see `LabelMap`."""

Laterality = Literal["", "left", "right"]


@dataclass(frozen=True, slots=True)
class StructureCode:
    """A structure's property type and side."""

    value: str
    meaning: str
    side: Laterality = ""


SCT: Final = "SCT"
ANATOMICAL_STRUCTURE: Final = ("91723000", SCT, "Anatomical Structure")
LEFT: Final = ("7771000", SCT, "Left")
RIGHT: Final = ("24028007", SCT, "Right")
SACROILIAC_JOINT: Final = ("39723000", SCT, "Sacroiliac joint")
MILLIMETRE: Final = ("mm", "UCUM", "mm")
DEGREE: Final = ("deg", "UCUM", "deg")
LENGTH: Final = ("410668003", SCT, "Length")

BONES: Final[Mapping[str, StructureCode]] = {
    "sacrum": StructureCode("54735007", "Bone structure of sacrum"),
    "vertebrae_S1": StructureCode("54735007", "Bone structure of sacrum"),
    "hip_left": StructureCode("118645006", "Bone structure of pelvis", "left"),
    "hip_right": StructureCode("118645006", "Bone structure of pelvis", "right"),
}
"""Structures that a segmentation of ours holds. The hip bone has no code in the lists of DICOM: it is one half of the
bony pelvis, with its side. A vertebra S1 that was cut out of the sacrum is told from it by its label."""

SACRUM_CODES: Final = frozenset({"54735007", "T-11AD0"})
"""Codes (SNOMED CT, and the older SNOMED RT) that a segment of another program may carry for the sacrum."""

HIP_CODES: Final = frozenset({"118645006", "22356005", "29836001", "24136001", "T-12340", "T-D2500", "T-15710"})
"""And for a hip bone, with a side: bony pelvis, ilium, hip, hip joint (what others take for want of a better one)."""

SIDE_CODES: Final[Mapping[str, Laterality]] = {
    "7771000": "left", "24028007": "right", "G-A101": "left", "G-A100": "right",
}  # fmt: skip
