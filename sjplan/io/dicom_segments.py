"""What the segments of a DICOM segmentation are: by a names file, by label, or by code and side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.labels import SJPLAN_OWN, TOTALSEGMENTATOR_V2
from sjplan.io.dicom_codes import HIP_CODES, SACRUM_CODES, SIDE_CODES
from sjplan.io.labels import PLANNED_NAMES, Names

_IDS: Final[Mapping[str, int]] = {name: i for i, name in (*TOTALSEGMENTATOR_V2.items(), *SJPLAN_OWN.items())}
_KNOWN: Final = {name.lower(): name for name in _IDS}
_SIDES: Final = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_HIP_WORDS: Final = frozenset({"hip", "ilium", "pelvis", "innominate", "coxa", "coxae", "hipbone"})
_MOST_LISTED: Final = 12


def named_segments(
    path: Path, segments: Mapping[int, Dataset], given: Names | None
) -> tuple[dict[int, str], tuple[Finding, ...]]:
    """Structure name of each segment number that is one of ours, and what was left out.

    Raises
    ------
    InputError
        Where no segment is ours, or label and code of one name different sides.
    """
    if given is not None:
        called = {number: given.by_id[number] for number in segments if number in given.by_id}
    else:
        found = {number: name_of(str(path), segment) for number, segment in segments.items()}
        called = {number: name for number, name in found.items() if name is not None}
    others = [_label(s) or f"number {n}" for n, s in sorted(segments.items()) if n not in called]
    if not called:
        raise InputError(
            str(path), found=f"segments {_listed(others)}", wanted=", ".join(PLANNED_NAMES),
            fix="name its segments so, or write a names file with a segment number for each name",
        )  # fmt: skip
    if not others:
        return called, ()
    text = f"{len(others)} segment(s) of the segmentation are none that a plan uses, and were left out: "
    return called, (Finding("seg-segments-skipped", "note", f"{text}{_listed(others)}."),)


def name_of(what: str, segment: Dataset) -> str | None:
    """Our name of what a segment shows, or None.

    Raises
    ------
    InputError
        Where its label says one side and its code the other.
    """
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", _label(segment)).lower())
    coded, coded_side = _coded(segment)
    said_side = next((_SIDES[word] for word in words if word in _SIDES), "")
    if coded_side and said_side and coded_side != said_side:
        raise InputError(
            what, found=f"segment {_label(segment)!r}, whose code says {coded_side}", wanted="one side",
            fix="correct the label or the code of the segment",
        )  # fmt: skip
    exact = _KNOWN.get("_".join(words))
    if exact is not None:
        return exact
    side = coded_side or said_side
    if coded in SACRUM_CODES or words == ["sacrum"]:
        return "sacrum"
    said_hip = bool(_HIP_WORDS & set(words)) and set(words) <= {*_HIP_WORDS, *_SIDES, "bone", "os"}
    return f"hip_{side}" if side and (coded in HIP_CODES or said_hip) else None


def _coded(segment: Dataset) -> tuple[str, str]:
    """Code of what a segment shows, and the side that goes with it."""
    item = _first(segment, "SegmentedPropertyTypeCodeSequence")
    modifier = _first(item, "SegmentedPropertyTypeModifierCodeSequence")
    return _text(item, "CodeValue"), SIDE_CODES.get(_text(modifier, "CodeValue"), "")


def _first(dataset: Dataset, name: str) -> Dataset:
    value: Any = dataset.get(name)
    return value[0] if value else Dataset()


def _text(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name, "") or "").strip()


def _label(segment: Dataset) -> str:
    return _text(segment, "SegmentLabel")


def _listed(labels: Iterable[str]) -> str:
    known = list(labels)
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    return (", ".join(label[:40] for label in known[:_MOST_LISTED]) or "none") + more


def ids_for(names: Iterable[str]) -> dict[str, int]:
    """Id under which each name is kept: TotalSegmentator's or ours where it has one, else a free one from 255 down.

    Examples
    --------
    >>> ids_for(["sacrum", "coccyx"])
    {'sacrum': 25, 'coccyx': 255}
    """
    free = (i for i in range(255, 0, -1) if i not in _IDS.values())
    return {name: _IDS[name] if name in _IDS else next(free) for name in dict.fromkeys(names)}
