"""A CT series from DICOM files: checked slice by slice from its headers, chosen, laid on a grid, read exactly.

SimpleITK reads a tilted gantry, missing slices and duplicates without an error and gets the geometry wrong, so
that the geometry here comes from the headers. What is no plain stack of CT slices is repaired with a finding, or
refused.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.volume import Source
from sjplan.io.dicom_folder import Listing, list_folder
from sjplan.io.dicom_headers import Slice, cleaned
from sjplan.io.dicom_pixels import COMPRESSED, check_storage, read_pixels
from sjplan.io.dicom_repair import resampled
from sjplan.io.dicom_stack import Stack, refuse, stacked
from sjplan.io.payload import MAX_VOXELS

IDENTIFIERS: Final = ("PatientName", "PatientID", "StudyInstanceUID")
"""Tags that are kept where the user asks for it, and never otherwise."""

_LONGEST_IDENTIFIER = 64
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True, eq=False)
class SeriesCt:
    """A series as read: [k, j, i] Hounsfield units on a grid.

    `identifiers` is empty unless they were asked for.
    """

    hu: NDArray[np.int16]
    grid: Grid
    source: Source
    padding: int
    findings: tuple[Finding, ...]
    identifiers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """One series of a folder: its kind, what would be repaired, and why it would be refused ("" where it would not).

    Number, kernel and thickness are those of its first picture: None, or "", where it names none.
    """

    uid: str
    slices: int
    columns: int
    rows: int
    modality: str
    spacing_mm: tuple[float, float, float] | None
    refusal: str
    findings: tuple[Finding, ...]
    series_number: int | None = None
    convolution_kernel: str = ""
    slice_thickness_mm: float | None = None

    @property
    def details(self) -> str:
        """Number, kernel and thickness in words, each after a comma."""
        return _details(self.series_number, self.convolution_kernel, self.slice_thickness_mm)


def read_series(given: Path, series: str | None, *, keep_identifiers: bool = False) -> SeriesCt:
    """Read the one CT series of a folder, or the one named.

    Parameters
    ----------
    given : Path
        A folder, a DICOMDIR, or one DICOM file (see `dicom_folder.list_folder`).
    series : str or None
        SeriesInstanceUID, needed where there are several CT series.
    keep_identifiers : bool
        Whether the patient's name and number and the study's UID are taken along.

    Returns
    -------
    SeriesCt
        The source's sha256 is over the files' own sha256 in stack order; its facts hold no identifiers.

    Raises
    ------
    InputError
        For no series, several, or one that is no sound CT volume.
    """
    listing = list_folder(given)
    chosen, aside = _choose(given, listing, series)
    usable, scouts = without_localizers(chosen)
    stack = check_series(str(given), usable)
    pixels = read_pixels(str(given), stack.slices)
    hu = resampled(stack, pixels.hu) if stack.repaired else pixels.hu
    first = stack.slices[0]
    facts = {"format": "DICOM", "slices": str(len(usable)), "slice_thickness_mm": _plain(first.thickness),
             "kvp": _plain(first.kvp), "patient_position": first.patient_position,
             "space": first.space}  # fmt: skip
    source = Source(str(given), pixels.sha256, {key: value for key, value in facts.items() if value})
    findings = (*listing.findings, *aside, *scouts, *stack.findings, *_noticed(stack))
    kept = _identifiers(first.path) if keep_identifiers else {}
    return SeriesCt(hu, stack.grid, source, pixels.padding, findings, kept)


def series_slices(given: Path, series: str | None) -> list[Slice]:
    """The pictures that `read_series` would read of the same arguments, looked at no further than their headers.

    Raises
    ------
    InputError
        For no series, or several.
    """
    chosen, _ = _choose(given, list_folder(given), series)
    return without_localizers(chosen)[0]


def summarize(given: Path) -> tuple[tuple[SeriesSummary, ...], tuple[Finding, ...]]:
    """Every series of a folder with what is right or wrong with it, largest first, and findings about other files.

    Pixels are not read: a series that passes here may still turn out to be damaged.

    Raises
    ------
    InputError
        For a folder that cannot be listed, and a DICOMDIR that leads outside of it.
    """
    listing = list_folder(given)
    return tuple(_summary(uid, slices) for uid, slices in _by_size(listing.series)), listing.findings


def _summary(uid: str, slices: list[Slice]) -> SeriesSummary:
    store = slices[0].storage
    usable, scouts = without_localizers(slices)
    spacing: tuple[float, float, float] | None = None
    refusal, findings = "", scouts
    try:
        stack = check_series("series", usable)
        x, y, z = (float(v) for v in stack.grid.spacing_mm)
        spacing, findings = (x, y, z), (*scouts, *stack.findings, *_noticed(stack))
    except InputError as error:
        refusal = f"found {error.found}; wanted {error.wanted}"
    one = usable[0]
    return SeriesSummary(
        uid, len(slices), store.columns, store.rows, _kind(slices[0]), spacing, refusal, findings,
        one.series_number, one.kernel, _thickness(one),
    )  # fmt: skip


def _kind(s: Slice) -> str:
    return cleaned(s.modality, 16)


def _thickness(s: Slice) -> float | None:
    return s.thickness if 0 < s.thickness < 1000 else None


def _details(number: int | None, kernel: str, thickness_mm: float | None) -> str:
    """What tells two series of one size apart."""
    parts = (
        "" if number is None else f"series {number}", f"kernel {kernel}" if kernel else "",
        "" if thickness_mm is None else f"{thickness_mm:.3g} mm thick",
    )  # fmt: skip
    return "".join(f", {part}" for part in parts if part)


def _plain(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else ""


def _by_size(series: dict[str, list[Slice]]) -> list[tuple[str, list[Slice]]]:
    return sorted(series.items(), key=lambda item: (-len(item[1]), item[0]))


def _choose(given: Path, listing: Listing, series: str | None) -> tuple[list[Slice], tuple[Finding, ...]]:
    """The slices of the series to read, and what was set aside for it."""
    found = listing.series
    if not found:
        raise _nothing(given, listing)
    if series is not None:
        if series not in found:
            raise InputError(
                f"--series {series}", found=f"no such series in {given}", wanted=f"one of {_listed(found)}",
                fix="sjplan series FOLDER lists them",
            )  # fmt: skip
        return found[series], ()
    if len(found) == 1:
        return next(iter(found.values())), ()
    volumes = {uid: s for uid, s in found.items() if _may_be_volume(s)}
    if not volumes:
        volumes = {uid: s for uid, s in found.items() if not all(one.is_localizer or one.is_capture for one in s)}
    if len(volumes) != 1:
        raise InputError(
            str(given), found=f"{len(found)} series: {_listed(found)}", wanted="one series",
            fix="choose one with --series UID (sjplan series FOLDER says more of each)",
        )  # fmt: skip
    aside = sum(len(s) for s in found.values()) - sum(len(s) for s in volumes.values())
    text = f"{len(found) - 1} other series of the folder ({aside} pictures) hold no CT volume, but localizers, "
    text += "screen captures, single pictures or another modality: left out."
    return next(iter(volumes.values())), (Finding("dicom-series-set-aside", "note", text),)


def _may_be_volume(slices: Sequence[Slice]) -> bool:
    """Whether a series holds at least two grey CT pictures that are no localizers: all that a glance can tell."""
    return sum(s.modality == "CT" and s.grey and not s.is_localizer and not s.is_capture for s in slices) > 1


def folders_in(given: Path) -> int:
    """How many folders a folder holds: a reader who finds nothing in it may have to go into one of them."""
    return sum(1 for p in given.iterdir() if p.is_dir())


def _nothing(given: Path, listing: Listing) -> InputError:
    if given.is_file():
        return InputError(
            str(given), found="a DICOM file without a picture", wanted="CT slices, or a DICOM folder",
            fix="name the folder that holds the slices",
        )  # fmt: skip
    why = " ".join(finding.text for finding in listing.findings if finding.severity == "warning")
    found = f"a folder without DICOM slices ({folders_in(given)} folder(s) in it)"
    return InputError(
        str(given), found=found + (f"; {why}" if why else ""),
        wanted="a DICOM series, or a phantom folder (labels.nii.gz)", fix="name the folder that holds the slices",
    )  # fmt: skip


def _listed(found: dict[str, list[Slice]]) -> str:
    return "; ".join(f"{uid} ({_told(slices)})" for uid, slices in _by_size(found)[:_MOST_LISTED])


def _told(slices: list[Slice]) -> str:
    first, one = slices[0], without_localizers(slices)[0][0]
    size = f"{len(slices)} slices of {first.storage.columns}x{first.storage.rows}, {_kind(first)}"
    size += _details(one.series_number, one.kernel, _thickness(one))
    return size + (", localizer" if first.is_localizer else ", screen capture" if first.is_capture else "")


def without_localizers(slices: Sequence[Slice]) -> tuple[list[Slice], tuple[Finding, ...]]:
    """A series without its localizers and screen captures, where it has other pictures; a finding says so."""
    usable = [s for s in slices if not s.is_localizer and not s.is_capture]
    aside = len(slices) - len(usable)
    if not usable or not aside:
        return list(slices), ()
    text = f"{aside} localizer(s) or screen capture(s) in the series are no slices of it: left out."
    return usable, (Finding("dicom-localizers-set-aside", "note", text),)


def check_series(what: str, slices: Sequence[Slice]) -> Stack:
    """Slices in stack order and their grid, where they are CT pictures that form a volume.

    Raises
    ------
    InputError
        Naming what breaks that: modality, localizers, colours, no calibration, truncated files, codings that are not
        read, and whatever `dicom_stack.stacked` finds.
    """
    for s in slices:
        _check_picture(what, s)
    check_storage(what, slices)
    return stacked(what, slices)


def _check_picture(what: str, s: Slice) -> None:
    store = s.storage
    if store.voxels > MAX_VOXELS:
        size = f"{store.columns} x {store.rows} x {store.frames}"
        raise refuse(what, f"a header that claims {size} pixels", f"at most {MAX_VOXELS}", "choose the CT series")
    if s.modality != "CT":
        raise refuse(what, f"modality {s.modality[:16]!r}", "CT", "choose the CT series")
    if s.is_localizer:
        raise refuse(what, "a localizer (scout view)", "axial slices", "choose the CT series")
    if s.is_capture:
        raise refuse(what, "a screen capture", "CT slices", "choose the CT series")
    if not s.grey:
        raise refuse(what, f"colour or inverted pictures ({s.called})", "Hounsfield units", "choose the CT series")
    if store.frames > 1 and not s.is_enhanced:
        found = f"a multi-frame file ({store.frames} frames) without a position for each"
        raise refuse(what, found, "one file a slice, or enhanced CT", "export as classic CT")
    if s.truncated:
        raise refuse(what, f"a truncated file ({s.called})", f"all of its {store.rows} rows", "copy it again")
    slope, intercept = s.rescale
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0 or max(abs(slope), abs(intercept)) > 1e6:
        raise refuse(what, f"no rescale slope and intercept ({s.called})", "both, else its numbers are no HU")
    if s.rescale_type not in ("", "HU"):
        raise refuse(what, f"numbers of type {s.rescale_type[:16]!r}", "Hounsfield units (HU)", "choose the CT series")


def _noticed(stack: Stack) -> tuple[Finding, ...]:
    """What a person should know of a series that is read."""
    findings = []
    slices = stack.slices
    lossy = sum(s.lossy or COMPRESSED.get(s.storage.syntax, False) for s in slices)
    if lossy:
        findings.append(Finding(
            "dicom-lossy", "warning",
            f"{lossy} of {len(slices)} slices went through a compression that loses detail: thin cortex and density "
            "are less certain than in the original.",
        ))  # fmt: skip
    scales = len({s.rescale for s in slices})
    if scales > 1:
        text = f"The slices have {scales} different rescale slopes or intercepts: each was read by its own."
        findings.append(Finding("dicom-rescale-per-slice", "note", text))
    (position, _), *others = Counter(s.patient_position for s in slices).most_common()
    if others:
        text = "The slices disagree about how the patient lay. Positions are the patient's own all the same."
        findings.append(Finding("dicom-patient-position", "warning", text))
    elif position:
        text = f"The patient lay {position} in the scanner. DICOM positions are the patient's own: nothing is turned."
        findings.append(Finding("dicom-patient-position", "note", text))
    return tuple(findings)


def _identifiers(path: Path) -> dict[str, str]:
    """The identifiers of one file, under names for people, cut to a sane length."""
    names = ("patient_name", "patient_id", "study_instance_uid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is longer than DICOM allows
        dataset: Any = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(IDENTIFIERS))
        values = [str(dataset.get(tag, "") or "") for tag in IDENTIFIERS]
    return {name: cleaned(value, _LONGEST_IDENTIFIER) for name, value in zip(names, values, strict=True) if value}
