"""From the words on the command line to a case, its anatomy and its views: what several commands begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sjplan.cli.progress import Report
from sjplan.core.errors import InputError, unknown_name

DEFAULT_IMPLANT: Final = "tri-7"
"""The triangular rod: what most published lateral fusions used."""

if TYPE_CHECKING:
    from sjplan.anatomy.types import Anatomy
    from sjplan.core.error_model import ErrorModel
    from sjplan.core.implant import ImplantModel
    from sjplan.core.labels import LabelMap
    from sjplan.io.cases import Case


@dataclass(frozen=True, slots=True)
class CaseArguments:
    """The options that say which files make up a case."""

    case: str
    labels: Path | None = None
    names: Path | None = None
    series: str | None = None
    untrusted: bool = False
    keep_identifiers: bool = False

    @property
    def name(self) -> str:
        """What a person calls the case: the last part of its path, or the preset's name.

        Examples
        --------
        >>> CaseArguments("scans/patient 7/").name
        'patient 7'
        """
        return Path(self.case).name or self.case


def read_case(arguments: CaseArguments, report: Report) -> Case:
    """Read CASE: files and folders as they are, a preset's name as a phantom built on the spot.

    Raises
    ------
    SjplanError
        If nothing of that name exists, or what exists cannot be used.
    """
    from sjplan.io import cases

    path = Path(arguments.case).expanduser()
    if path.exists():
        report(f"reading {path.name}", 0.0)
        return cases.read_case(
            path, arguments.labels, series=arguments.series, names=arguments.names, untrusted=arguments.untrusted,
            keep_identifiers=arguments.keep_identifiers,
        )  # fmt: skip
    return _preset_case(arguments, report)


def _preset_case(arguments: CaseArguments, report: Report) -> Case:
    from sjplan.io import cases, presets
    from sjplan.phantom.build import build_phantom

    names = presets.list_presets()
    if arguments.case not in names:
        if _looks_like_a_path(arguments.case):
            raise InputError(
                arguments.case,
                found="no such file or folder",
                wanted="a CT, a label map, a DICOM folder, a phantom folder, or a phantom preset's name",
                fix="check the path (sjplan phantom list names the presets)",
            )
        raise unknown_name("case (no such file, so a preset's name)", arguments.case, names)
    if arguments.keep_identifiers:
        raise InputError(
            "--keep-identifiers", found="a phantom", wanted="a DICOM case", fix="leave --keep-identifiers out"
        )
    phantom = build_phantom(presets.read_preset(arguments.case), progress=report)
    return cases.Case(ct=phantom.ct, labels=phantom.labels, findings=())


def _looks_like_a_path(text: str) -> bool:
    return any(sign in text for sign in ("/", "\\", "."))


def plannable_anatomy(labels: LabelMap, report: Report) -> Anatomy:
    """Check that a label map can be planned on, and find the anatomy in it."""
    from sjplan.anatomy.build import anatomy_from_labels
    from sjplan.anatomy.checks import check_labels, check_planning_resolution

    check_labels(labels)
    check_planning_resolution(labels.grid)
    return anatomy_from_labels(labels, progress=report)


def error_model_for(name: str, extra: Path | None) -> ErrorModel:
    """The error model of that name, shipped or from the user's file.

    Raises
    ------
    SjplanError
        For an unknown name or a file that cannot be used.
    """
    from sjplan.io.error_models import read_error_models

    models = read_error_models(extra)
    if name not in models:
        raise unknown_name("error model", name, models)
    return models[name]


def models_for(implant: str | None, count: int, catalogue: dict[str, ImplantModel]) -> tuple[ImplantModel, ...]:
    """One model a slot, cranial to caudal, from `ID` or `ID,ID[,ID]`.

    Raises
    ------
    SjplanError
        For a count that is neither 2 nor 3, an unknown id, or another number of ids than implants.
    """
    if count not in (2, 3):
        raise InputError("--count", found=str(count), wanted="2 or 3")
    names = [name.strip() for name in implant.split(",")] if implant else [DEFAULT_IMPLANT]
    for name in names:
        if name not in catalogue:
            raise unknown_name("implant", name, catalogue)
    if len(names) == 1:
        names = names * count
    if len(names) != count:
        raise InputError("--implant", found=f"{len(names)} ids", wanted=f"one id, or one for each of {count} implants")
    return tuple(catalogue[name] for name in names)
