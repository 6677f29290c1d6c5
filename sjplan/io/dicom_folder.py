"""Which files of a folder are DICOM pictures: its own, those one folder down, those that a DICOMDIR names.

Nothing outside the folder is opened: links that lead out of it, and names in a DICOMDIR that do, are not followed.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.filereader import read_file_meta_info

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.io.dicom_headers import DEFLATED, Slice, is_dicom_file, read_header

MAX_FILES: Final = 20_000
"""Most files of a folder that are looked at."""

MAX_DICOMDIR_BYTES: Final = 2**25
"""Largest DICOMDIR that is read: a record takes some 200 to 500 bytes."""

DICOMDIR: Final = "DICOMDIR"

_MOST_PARTS, _LONGEST_NAME = 32, 255  # DICOM PS3.10, 8.2 allows eight parts of eight characters; discs bend that


@dataclass(frozen=True, slots=True)
class Listing:
    """The series of a folder by SeriesInstanceUID, and what was noticed about its other files."""

    root: Path
    series: dict[str, list[Slice]]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Files:
    """Files to look at, and how many were not."""

    inside: dict[Path, None]
    links: int = 0
    gone: int = 0


def list_folder(given: Path) -> Listing:
    """Find every series in a folder, beside a DICOMDIR, or in one file.

    Parameters
    ----------
    given : Path
        A folder, a file named DICOMDIR, or one DICOM file. Of a folder its own files and those one folder down are
        looked at; where it holds a DICOMDIR, its own files and those that the DICOMDIR names.

    Raises
    ------
    InputError
        For a folder that cannot be listed or holds too many files, and for a DICOMDIR that cannot be read or names
        files outside of its folder.
    """
    root, files = _files(given)
    series: dict[str, list[Slice]] = defaultdict(list)
    foreign = damaged = 0
    for n, path in enumerate(sorted(files.inside), start=1):
        found = read_header(path, (n, len(files.inside)))
        if isinstance(found, list):
            for item in found:
                series[item.series].append(item)
        elif found == "damaged":
            damaged += 1
        else:
            foreign += 1
    return Listing(root, dict(series), tuple(_noticed(foreign, damaged, files)))


def _noticed(foreign: int, damaged: int, files: _Files) -> Iterator[Finding]:
    if foreign:
        yield Finding("dicom-files-skipped", "note", f"{foreign} file(s) of the folder are not DICOM images: left out.")
    if damaged:
        yield Finding(
            "dicom-files-damaged", "warning",
            f"{damaged} DICOM file(s) of the folder have no readable header (damaged, or deflated) and are left out: "
            "the scan may be shorter than it was.",
        )  # fmt: skip
    if files.links:
        yield Finding(
            "dicom-links-skipped", "warning",
            f"{files.links} link(s) of the folder lead outside of it and are not followed: the scan may be shorter "
            "than it was.",
        )  # fmt: skip
    if files.gone:
        yield Finding(
            "dicomdir-missing-files", "warning",
            f"The DICOMDIR names {files.gone} file(s) that are not there: the scan may be shorter than it was.",
        )  # fmt: skip


def _files(given: Path) -> tuple[Path, _Files]:
    if given.is_file():
        if given.name.upper() != DICOMDIR:
            return given.parent, _Files({given: None})
        return given.parent, _named_by(given)
    index = next((p for p in _listed(given) if p.name.upper() == DICOMDIR and _is_file(p)), None)
    if index is not None and _inside(given, index) and is_dicom_file(index):
        files = _named_by(index)
        _add(files, given, _listed(given))
    else:
        files = _Files({})
        for path in _listed(given):
            _add(files, given, _listed(path, given) if _is_own_folder(given, path) else [path])
    return given, files


def _add(files: _Files, root: Path, paths: list[Path]) -> None:
    for path in paths:
        if path.is_symlink() and not _inside(root, path):
            files.links += 1
            continue
        if path.name.upper() == DICOMDIR or not _is_file(path) or not _inside(root, path):
            continue
        files.inside[path] = None
        if len(files.inside) > MAX_FILES:
            raise InputError(str(root), found=f"more than {MAX_FILES} files", wanted=f"at most {MAX_FILES}")


def _is_file(path: Path) -> bool:
    """Whether there is a file; False, not an error, for a path that the system cannot even look up."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_own_folder(root: Path, path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and _inside(root, path)


def _inside(root: Path, path: Path) -> bool:
    """Whether a path, links followed, lies in the folder; one that cannot be followed does not."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _listed(folder: Path, given: Path | None = None) -> list[Path]:
    """What a folder holds; an error names the folder that was given, as others may bear the patient's name."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        found = "a folder that cannot be listed" if given is None else "a folder in it that cannot be listed"
        raise InputError(str(given or folder), found=found, wanted="a DICOM folder") from error


def _named_by(index: Path) -> _Files:
    """The images that a DICOMDIR names, all of them in its folder."""
    files, root = _Files({}), index.parent
    for parts in _records(index):
        wrong = any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts)
        if sum(len(part) for part in parts) > _LONGEST_NAME or len(parts) > _MOST_PARTS:
            raise InputError(
                str(index), found="the name of a file that is longer than any", wanted="names of at most 8 parts",
                fix="name the folder that holds the slices",
            )  # fmt: skip
        if wrong or not _inside(root, root.joinpath(*parts)):
            raise InputError(
                str(index), found="the name of a file outside of its folder", wanted="files beside the DICOMDIR",
                fix="name the folder that holds the slices; nothing outside of it is read",
            )  # fmt: skip
        path = _as_on_disk(root, parts)
        if path is None:
            files.gone += 1
        else:
            _add(files, root, [path])
    return files


def _as_on_disk(root: Path, parts: list[str]) -> Path | None:
    """The file of that name; DICOMDIRs name files in capitals, discs are often copied in small letters."""
    for names in (parts, [part.lower() for part in parts]):
        path = root.joinpath(*names)
        if _is_file(path):
            return path
    return None


def _records(index: Path) -> list[list[str]]:
    """Name of each image's file, part by part."""
    wanted = "a DICOMDIR that can be read"
    try:
        if index.stat().st_size > MAX_DICOMDIR_BYTES:
            raise InputError(str(index), found="a DICOMDIR of more than 32 MiB", wanted=wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if str(read_file_meta_info(index).get("TransferSyntaxUID", "")) == DEFLATED:
                raise InputError(str(index), found="a deflated DICOMDIR", wanted=wanted)
            records = pydicom.dcmread(index).get("DirectoryRecordSequence") or []
            named = [record.get("ReferencedFileID") for record in records]
    except InputError:
        raise
    except Exception as error:  # pydicom raises whatever a malformed file leads to
        raise InputError(
            str(index), found="a damaged DICOMDIR", wanted=wanted, fix="name the folder that holds the slices"
        ) from error
    if len(named) > 4 * MAX_FILES:
        raise InputError(str(index), found=f"{len(named)} records", wanted=f"at most {4 * MAX_FILES}")
    return [[name] if isinstance(name, str) else [str(part) for part in name] for name in named if name]
