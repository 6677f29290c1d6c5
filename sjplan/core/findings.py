"""Findings: what was noticed that a person should know, each with its consequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["note", "warning", "refusal"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed: a stable code, how grave it is, a sentence for people, and the side it concerns."""

    code: str
    severity: Severity
    text: str
    side: str = ""

    @property
    def consequence(self) -> str:
        """What follows from it for a plan; empty for a code that is not listed.

        Examples
        --------
        >>> Finding("close-to-notch", "warning", "implant 3 passes notch at 6.0 mm").consequence
        'accepted, but nearer to that structure than is preferred: look at the place before you take it'
        """
        family = self.code.rpartition("-")[0] + "-*"
        return CONSEQUENCES.get(self.code) or CONSEQUENCES.get(family) or _close_to(self.code)


def _close_to(code: str) -> str:
    return CONSEQUENCES["close-to-*"] if code.startswith("close-to-") else ""


CONSEQUENCES: Final[Mapping[str, str]] = {
    # seen in the CT's voxels
    "ct-not-hounsfield": "planning on the labels goes on; bone density and simulated radiographs are not to be trusted",
    "ct-masked-background": "planning on the labels goes on; simulated radiographs show water round the bones",
    "ct-metal": "planning goes on; labels near the metal may be wrong, and metal that no label names is no obstacle",
    "ct-motion": "planning goes on; bones above and below the step lie otherwise than they are shown: scan again",
    # seen in the files of a DICOM series or segmentation
    "dicom-files-skipped": "none, unless one of them was a slice",
    "dicom-files-damaged": "none, unless one of them was a slice: the series would then be refused for the gap",
    "dicom-links-skipped": "none, unless a slice lies where the link leads: copy it into the folder",
    "dicomdir-missing-files": "none, unless one of them was a slice: copy the whole disc",
    "dicom-series-set-aside": "none: the one CT series is read",
    "dicom-localizers-set-aside": "none: a scout view is no slice",
    "dicom-gantry-tilt": "planning goes on; slices were moved back, and edges between them are softer than in the scan",
    "dicom-uneven-slices": "planning goes on if the coarsest part is fine enough; bone between far slices is a guess",
    "dicom-rescale-per-slice": "none: each slice was scaled with its own slope and intercept",
    "dicom-lossy": "planning goes on; thin cortex may have changed by what the compression left out",
    "dicom-patient-position": "none: positions are the patient's own, and nothing is turned",
    "seg-frames-omitted": "none, if the segmentation is whole: slices that are left out count as empty",
    "seg-segments-skipped": "those segments are neither bone nor obstacle",
    # seen in the label map
    "labels-unnamed": "structures without a name are neither bone nor obstacle",
    "labels-coarse": "planning goes on; lower bounds of all distances fall with the voxels' diagonal",
    "labels-own-error": "lower bounds of all distances are less by that, and what may be a danger is named one; "
    "look at every implant in the CT's slices",
    "loose-pieces": "small pieces apart from their bone are left out of it",
    "scan-cuts-sacrum": "the cut is an obstacle of its own (scan_edge); levels below it are missing",
    "scan-cuts-hip": "the cut is an obstacle of its own (scan_edge); nothing is known of the bone beyond it",
    "scan-cuts-joint": "implants near the cut cannot be judged, and plans keep clear of it: scan the whole joint",
    "hips-asymmetric": "planning goes on; margins to a bone that is not labelled whole are too large: check that side",
    "joints-asymmetric": "planning goes on; the smaller face leaves less room than there may be: check that side",
    # found, or not found, in the anatomy
    "joint-missing": "that side cannot be planned",
    "joint-not-articular": "no implant of that side counts as crossing the articular part: its plans are not accepted",
    "foramina-closed": "neither side can be planned: closed foramina would be planned through as if solid bone",
    "foramen-missing": "S1 or S2: that side cannot be planned; S3 or S4: implants stay cranial of the last level found",
    "foramina-count": "levels count from the first pair; by a transitional vertebra they may be off by one: check them",
    "transitional-vertebra": "planning goes on; levels may be off by one: count them from the last rib or disc",
    "level-doubtful": "levels may be off by one, and limits that name a level with them: check them",
    "foramen-doubtful": "planning goes on; margins to that foramen rest on an uncertain mouth",
    # said of the labels that sjplan segment makes
    "bone-not-found": "labels are written only with --keep: there is nothing to plan on",
    "bone-cut-by-scan": "that bone ends where the scan does: nothing is known beyond it",
    "joint-not-in-scan": "labels are written only with --keep: that side cannot be judged; scan the whole joint",
    "segmentation-doubtful": "labels are written only with --keep: repair them by hand, or take those of another tool",
    "segmentation-unchecked": "labels are written only with --keep: nobody has looked for foramina and joints in them",
    "labels-error-unknown": "look at every implant in the CT's slices; a margin of a voxel or two may not be there",
    "anatomy-not-found": "labels are written only with --keep: they cannot be planned on",
    "side-not-plannable": "labels are written only with --keep: that side cannot be planned",
    # said by the judge on a plan
    "sides-conflict": "each side is accepted alone; both together are not to be placed as they are",
    "direction-*": "accepted; the direction is unusual in that view",
    "close-to-*": "accepted, but nearer to that structure than is preferred: look at the place before you take it",
    "short-sacral-purchase": "accepted, with less hold in the sacrum than is preferred",
    "lies-bare": "accepted; one side of the implant slides along the cortex and holds less in the ilium",
    "not-articular": "counts against the implants that have to cross the articular part",
}
"""What follows from each finding; `*` stands for a view or a structure."""
