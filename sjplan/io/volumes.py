"""CT volumes and label maps in and out of image files; the one transpose from SimpleITK happens here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.volume import CtVolume, Source
from sjplan.io.atomic import replacing
from sjplan.io.ct_quality import quality_findings
from sjplan.io.dicom import read_series
from sjplan.io.dicom_headers import is_dicom_file
from sjplan.io.dicom_seg import is_segmentation, read_segmentation
from sjplan.io.headers import check_image, image_suffix, read_pixels
from sjplan.io.hounsfield import to_hu
from sjplan.io.itk import sitk
from sjplan.io.labels import Names, looks_like_labels, names_files, names_for, to_labels, write_names
from sjplan.io.payload import check_file_size, is_folder

Kind = Literal["ct", "labels", "any"]

_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A volume as read, and what was noticed on the way; `identifiers` of the patient only where asked for."""

    volume: CtVolume | LabelMap
    findings: tuple[Finding, ...] = ()
    identifiers: dict[str, str] = field(default_factory=dict)


def read_ct(path: str | Path, *, series: str | None = None, untrusted: bool = False) -> CtVolume:
    """Read a CT from an image file or a DICOM folder.

    Parameters
    ----------
    path : path
        A .nii, .nii.gz, .nrrd, .mha or .mhd file, or a folder with one DICOM series.
    series : str, optional
        SeriesInstanceUID, where the folder holds several.
    untrusted : bool
        Read in a child process with limits on memory and time.

    Returns
    -------
    CtVolume
        Hounsfield units clipped to int16, padding turned into air, indexed [i, j, k].

    Raises
    ------
    InputError
        For anything that is not a sound CT, in one line.
    """
    volume = load(path, "ct", series=series, untrusted=untrusted).volume
    assert isinstance(volume, CtVolume)
    return volume


def read_labels(path: str | Path, *, names: str | Path | None = None, untrusted: bool = False) -> LabelMap:
    """Read a label map from an image file.

    Parameters
    ----------
    path : path
        A .nii, .nii.gz, .nrrd, .mha or .mhd file with integers >= 0 and at most 256 different ones, or a DICOM
        segmentation.
    names : path, optional
        TOML or JSON file that maps structure names to ids. By default a file beside the map
        (`pelvis.nii.gz`: `pelvis.names.toml` or `pelvis.names.json`), else TotalSegmentator v2's ids.
    untrusted : bool
        Read in a child process with limits on memory and time.

    Raises
    ------
    InputError
        For anything that is not a sound label map, in one line.
    """
    volume = load(path, "labels", names=names, untrusted=untrusted).volume
    assert isinstance(volume, LabelMap)
    return volume


def load(
    path: str | Path,
    kind: Kind,
    *,
    series: str | None = None,
    names: str | Path | None = None,
    untrusted: bool = False,
    keep_identifiers: bool = False,
) -> Loaded:
    """Read a CT, a label map, or whichever of the two it is (`any`), with the findings of the intake.

    With `keep_identifiers`, name, number and study of a DICOM series come along; without it nothing of the kind does.

    Raises
    ------
    InputError
        For anything that cannot be read as what was asked for.
    """
    if untrusted:
        from sjplan.io.child import load_in_child  # the child module calls this one

        return load_in_child(path, kind, series=series, names=names, keep_identifiers=keep_identifiers)
    given = Path(path)
    if kind == "labels" and is_folder(given):
        raise InputError(str(path), found="a folder", wanted="a label map file", fix="name a file in it")
    if is_dicom_file(given) and (kind == "labels" or (kind == "any" and is_segmentation(given))):
        _refuse_for_files(given, series, keep_identifiers)
        return Loaded(*read_segmentation(given, names))
    if is_folder(given) or is_dicom_file(given):
        read = read_series(given, series, keep_identifiers=keep_identifiers)
        ct, noticed = _ct(read.hu, read.grid, read.source, read.padding)
        return Loaded(ct, (*read.findings, *noticed), read.identifiers)
    _refuse_for_files(given, series, keep_identifiers)
    header = check_image(given)
    image = read_pixels(header)
    stored = sitk.GetArrayViewFromImage(image)  # [k, j, i], shares memory with image
    source = Source(str(path), header.sha256, {"format": header.layout.format, "stored_as": header.pixel_type})
    known = names_for(path, names) if kind != "ct" else Names({})
    if kind == "labels" or (kind == "any" and looks_like_labels(stored, known.by_id)):
        labels = to_labels(str(path), stored, known.by_id)
        label = _from_sitk(labels.values)
        return Loaded(LabelMap(header.grid, label, labels.names, source, known.surface_error_mm), labels.findings)
    ct, noticed = _to_ct(stored, header.grid, source)
    return Loaded(ct, noticed)


def _refuse_for_files(file: Path, series: str | None, keep_identifiers: bool) -> None:
    """Options that are about the series of a DICOM folder."""
    for option, asked in (("--series", series is not None), ("--keep-identifiers", keep_identifiers)):
        if asked:
            check_file_size(file)
            raise InputError(option, found=f"{file}, a file", wanted="a DICOM folder", fix=f"leave {option} out")


def _from_sitk(stored: NDArray[Any]) -> NDArray[Any]:
    """[k, j, i] of SimpleITK to [i, j, k], x fastest in memory, read-only; shares memory."""
    turned = stored.transpose(2, 1, 0)
    turned.setflags(write=False)
    return turned


def _to_ct(stored: NDArray[Any], grid: Grid, source: Source) -> tuple[CtVolume, tuple[Finding, ...]]:
    """Hounsfield units as int16, slice by slice so that no second float volume is needed."""
    hu = np.zeros(stored.shape, dtype=np.int16)
    padding = 0
    for plane, out in zip(stored, hu, strict=True):
        padding += to_hu(plane, out)
    return _ct(hu, grid, source, padding)


def _ct(hu: NDArray[np.int16], grid: Grid, source: Source, padding: int) -> tuple[CtVolume, tuple[Finding, ...]]:
    """A volume of [k, j, i] Hounsfield units, and what makes them doubtful."""
    facts = {**source.facts, "padding_voxels": str(padding)}
    ct = CtVolume(grid, _from_sitk(hu), Source(source.path, source.sha256, facts))
    return ct, (*_ct_findings(hu), *quality_findings(hu, grid.spacing_mm))


def _ct_findings(hu: NDArray[np.int16]) -> tuple[Finding, ...]:
    """What makes the numbers doubtful as Hounsfield units.

    A pelvic CT holds air or fat (below -50 HU) and cortical bone (above 300 HU: CLINICAL.md 4.5, cortex 700 to
    1500 with partial volume). A fifth of exact zeros is a masked background: CT noise leaves few.
    """
    low, high = int(hu.min()), int(hu.max())
    findings: list[Finding] = []
    if low > -50 or high < 300:
        findings.append(Finding(
            "ct-not-hounsfield", "warning",
            f"The CT's values lie between {low} and {high}: these are hardly Hounsfield units, so bone density and "
            "simulated radiographs cannot be trusted.",
        ))  # fmt: skip
    if np.count_nonzero(hu) < 0.8 * hu.size:
        findings.append(Finding(
            "ct-masked-background", "warning",
            "More than a fifth of the CT is exactly 0 HU (water): its background seems to be masked, so simulated "
            "radiographs show water where there was air or tissue.",
        ))  # fmt: skip
    return tuple(findings)


def write_ct(ct: CtVolume, path: str | Path) -> Path:
    """Write a CT as .nii, .nii.gz, .nrrd or .mha, atomically; geometry comes back within 0.01 mm.

    Raises
    ------
    InputError
        For an unknown file ending or a place that cannot be written.
    """
    return _write(ct.hu, ct.grid, path)


def write_labels(labels: LabelMap, path: str | Path) -> Path:
    """Write a label map as .nii, .nii.gz, .nrrd or .mha, atomically.

    Where its names are not TotalSegmentator v2's, or it has an error of its own, that goes into a names file beside
    it, which `read_labels` finds by itself; one that lies there of an earlier label map is written anew.

    Raises
    ------
    InputError
        For an unknown file ending, a place that cannot be written, or one beside which a names file of another's lies
        (`.names.toml`), by which these labels would be read.
    """
    require_own_names(path)
    own = names_files(path)[1]
    written = _write(labels.label, labels.grid, path)
    if (
        own.exists()
        or labels.surface_error_mm
        or any(TOTALSEGMENTATOR_V2.get(i) != name for i, name in labels.names.items())
    ):
        write_names(written, labels)
    return written


def require_own_names(path: str | Path) -> None:
    """Refuse to write labels where a names file lies by which they would be read, and that we never write.

    Raises
    ------
    InputError
        Naming it.
    """
    others = names_files(path)[0]
    if others.exists():
        raise InputError(
            str(others), found="a names file of other labels", wanted=f"none: {Path(path).name} would be read by it",
            fix="move it away, or write the labels elsewhere",
        )  # fmt: skip


def _write(values: NDArray[Any], grid: Grid, path: str | Path) -> Path:
    suffix = image_suffix(path)
    if suffix not in _WRITABLE:
        raise InputError(
            str(path), found="a file name without a known image ending", wanted="one of " + ", ".join(_WRITABLE),
            fix="name the output .nii.gz",
        )  # fmt: skip
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    with replacing(path) as temporary:
        _write_image(image, temporary, path, compress=suffix != ".nii")
    return Path(path)


def _write_image(image: Any, temporary: Path, path: str | Path, *, compress: bool) -> None:
    try:
        sitk.WriteImage(image, str(temporary), compress)
    except RuntimeError as error:
        raise InputError(
            str(path), found="a place that cannot be written", wanted="room for the file", fix="check the disk"
        ) from error
