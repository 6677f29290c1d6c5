"""A case: a CT, a label map, or both, from whatever CASE names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid, require_same_space
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.io.dicom_seg import FORMAT, placed_on
from sjplan.io.payload import is_folder
from sjplan.io.volumes import load

PHANTOM_CT: Final = "ct.nii.gz"
PHANTOM_LABELS: Final = "labels.nii.gz"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One pelvis as it came in: CT, labels, or both in one space, and what the intake noticed.

    `identifiers` of the patient are empty unless they were asked for.

    Raises
    ------
    InputError
        If both are missing.
    FrameMismatchError
        If CT and labels do not hold the same voxels.
    """

    ct: CtVolume | None
    labels: LabelMap | None
    findings: tuple[Finding, ...] = ()
    identifiers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ct is None and self.labels is None:
            raise InputError("case", found="neither a CT nor a label map", wanted="at least one of them")
        if self.ct is not None and self.labels is not None:
            names = [v.source.path if v.source else n for n, v in (("CT", self.ct), ("labels", self.labels))]
            require_same_space(names[0], self.ct.grid, names[1], self.labels.grid)

    @property
    def grid(self) -> Grid:
        """The grid that CT and labels share."""
        volume = self.labels if self.labels is not None else self.ct
        assert volume is not None
        return volume.grid

    @property
    def paths(self) -> dict[str, str]:
        """Path of every file (or DICOM folder) read, by role."""
        return {role: volume.source.path for role, volume in self._volumes() if volume.source}

    @property
    def sha256(self) -> dict[str, str]:
        """sha256 of everything read, by role."""
        return {role: volume.source.sha256 for role, volume in self._volumes() if volume.source}

    def _volumes(self) -> list[tuple[str, CtVolume | LabelMap]]:
        both = (("ct", self.ct), ("labels", self.labels))
        return [(role, volume) for role, volume in both if volume is not None]


def read_case(
    path: str | Path,
    labels: str | Path | None = None,
    *,
    series: str | None = None,
    names: str | Path | None = None,
    untrusted: bool = False,
    keep_identifiers: bool = False,
) -> Case:
    """Read a case: a CT file, a label map, a DICOM folder, or a phantom folder.

    Parameters
    ----------
    path : path
        What to read. A folder with ct.nii.gz or labels.nii.gz is a phantom folder, any other a DICOM folder. A
        file is a label map where it holds integers >= 0, at most 256 of them, with a named id among them;
        anything else is a CT.
    labels : path, optional
        Label map that belongs to the CT; `path` is then read as a CT whatever it looks like.
    series, names, untrusted
        As for `volumes.read_ct` and `volumes.read_labels`.
    keep_identifiers : bool
        Keep the patient's name and number and the study's UID of a DICOM series, in `Case.identifiers`.

    Raises
    ------
    InputError
        For whatever is wrong with a file, in one line.
    FrameMismatchError
        For CT and labels of different space.
    """
    given = Path(path)
    if is_folder(given) and ((given / PHANTOM_CT).is_file() or (given / PHANTOM_LABELS).is_file()):
        if untrusted:
            _check_inside(given)
        own = given / PHANTOM_LABELS
        if labels is None and own.is_file():
            labels = own
        if not (given / PHANTOM_CT).is_file():
            assert labels is not None
            return _labels_only(labels, names, untrusted)
        path = given / PHANTOM_CT
    main = load(
        path, "any" if labels is None else "ct", series=series, names=names, untrusted=untrusted,
        keep_identifiers=keep_identifiers,
    )  # fmt: skip
    if isinstance(main.volume, LabelMap):
        return Case(None, main.volume, main.findings)
    if labels is None:
        return Case(main.volume, None, main.findings, main.identifiers)
    mapped = load(labels, "labels", names=names, untrusted=untrusted)
    assert isinstance(mapped.volume, LabelMap)
    placed = _on_its_ct(mapped.volume, main.volume)
    return Case(main.volume, placed, (*main.findings, *mapped.findings), main.identifiers)


def _on_its_ct(labels: LabelMap, ct: CtVolume) -> LabelMap:
    """A DICOM segmentation on the grid of its CT, even if it leaves out empty slices; any other label map as it is.

    Raises
    ------
    InputError
        For a segmentation of another examination than the series beside it.
    """
    own, beside = labels.source, ct.source
    if own is None or own.facts.get("format") != FORMAT:
        return labels
    space, other = own.facts.get("space"), beside.facts.get("space") if beside is not None else None
    if beside is not None and space and other and space != other:
        # Two examinations on one table may have the very same grid.
        raise InputError(
            own.path, found=f"a segmentation in another frame of reference than {beside.path}",
            wanted="one that was made on this series", fix="segment this series, or choose the one that goes with it",
        )  # fmt: skip
    return labels if labels.grid.same_space(ct.grid) else placed_on(labels, ct.grid)


def _check_inside(folder: Path) -> None:
    """Refuse a stranger's folder whose files are links to somewhere else."""
    for name in (PHANTOM_CT, PHANTOM_LABELS):
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise InputError(
                str(folder / name), found="a link that leads outside of its folder", wanted="a file of the folder",
                fix="copy the file there, or read the folder without --untrusted if you trust its source",
            )  # fmt: skip


def _labels_only(labels: str | Path, names: str | Path | None, untrusted: bool) -> Case:
    loaded = load(labels, "labels", names=names, untrusted=untrusted)
    assert isinstance(loaded.volume, LabelMap)
    return Case(None, loaded.volume, loaded.findings)


def require_labels(case: Case) -> LabelMap:
    """The case's label map; planning and everything anatomical needs one.

    Raises
    ------
    InputError
        For a case that is a CT alone.
    """
    if case.labels is not None:
        return case.labels
    what = case.ct.source.path if case.ct is not None and case.ct.source else "case"
    raise InputError(
        what, found="a CT without a label map (or a label map with none of the named ids)",
        wanted="labels of sacrum, hip_left and hip_right",
        fix="make them with sjplan segment, and give them with --labels FILE; other ids need a names file beside it",
    )  # fmt: skip
