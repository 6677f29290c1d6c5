"""Options that several commands share, each with its one explanation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def _expanded(hint: object, tokens: object) -> Path:
    """Turn a token into a path, with ~ expanded: shells do not do it after `=`."""
    token = tokens[0]  # type: ignore[index]
    return Path(str(token.value)).expanduser()


FilePath = Annotated[Path, Parameter(converter=_expanded)]
SideChoice = Literal["left", "right", "both"]

Case = Annotated[
    str,
    Parameter(
        help="A CT or label map (NIfTI, NRRD, MHA), a DICOM folder, a phantom folder, or a phantom preset's name."
    ),
]
Labels = Annotated[FilePath | None, Parameter(help="Label map that goes with a CT (same grid).")]
Names = Annotated[
    FilePath | None, Parameter(help="TOML or JSON file that maps structure names to the label map's ids.")
]
Series = Annotated[str | None, Parameter(help="SeriesInstanceUID, where a DICOM folder holds several series.")]
Untrusted = Annotated[
    bool, Parameter(negative="", help="Read the files in a child process with a memory limit: for files of strangers.")
]
CatalogueFile = Annotated[FilePath | None, Parameter(help="TOML file with more implant models.")]
ErrorModelName = Annotated[
    str, Parameter(help="Where implants end up: the error model of the breach probabilities (sjplan/data/errors.toml).")
]
ErrorsFile = Annotated[FilePath | None, Parameter(help="TOML file with more error models.")]
LimitsFile = Annotated[FilePath | None, Parameter(help="TOML file with limits in place of the default ones.")]
AsJson = Annotated[bool, Parameter(negative="", help="Print one JSON object on stdout and nothing else.")]
OutFolder = Annotated[FilePath, Parameter(help="Folder to write; it is replaced as a whole, or left as it was.")]
