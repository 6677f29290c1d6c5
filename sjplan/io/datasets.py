"""Open data by name: what it is, under which licence, where its files lie and which bytes they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sjplan.io.tables import read_shipped, read_toml, validated

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Hosts that may be asked without encryption: this machine itself."""

SLUG: Final = r"^[a-z0-9][a-z0-9-]{0,40}$"


def is_safe_url(url: str) -> bool:
    """Whether a URL may be asked: https, or http on this machine.

    Examples
    --------
    >>> [is_safe_url(u) for u in ("https://a.org/x", "http://127.0.0.1:80/x", "http://a.org/x", "file:///etc/x")]
    [True, True, False, False]
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))


def is_inside(name: str) -> bool:
    r"""Whether a relative name of a file stays in the folder that it is written to.

    Examples
    --------
    >>> [is_inside(n) for n in ("a.stl", "In/GE/1.dcm", "../a", "/etc/a", "a//../../b", "C:/a", "a\\b")]
    [True, True, False, False, False, False, False]
    """
    parts = PurePosixPath(name).parts
    clean = not name.startswith("/") and ".." not in parts and not any(c in name for c in "\\:\0")
    return clean and bool(parts) and all(part == part.strip() for part in parts)


class DataFile(BaseModel):
    """One file of a dataset.

    `path` follows the base URL; `name` is what it is called here. `sha256` is None where nobody knows it. Of an archive
    `members` is the part that is unpacked (a folder in it, whatever the archive's own top folder is called).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=500)]
    name: Annotated[str, Field(max_length=200)] = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_mb: Annotated[int, Field(ge=1, le=4000)] = 64
    members: Annotated[str, Field(max_length=200)] | None = None

    @field_validator("path", "name")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        if value and not is_inside(value):
            raise ValueError("a name that stays in its folder")
        return value

    @property
    def local(self) -> str:
        """What the file is called here."""
        return self.name or PurePosixPath(self.path).name


class Dataset(BaseModel):
    """One dataset; `commercial` says whether its licence allows commercial use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=200)]
    about: Annotated[str, Field(max_length=1000)]
    licence: Annotated[str, Field(min_length=1, max_length=100)]
    licence_url: str
    commercial: bool
    cite: Annotated[str, Field(max_length=500)]
    source: str
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    base_url: str
    files: Annotated[list[DataFile], Field(min_length=1, max_length=500)]

    @field_validator("source", "licence_url", "base_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if not is_safe_url(value):
            raise ValueError("an https address (http only on this machine)")
        return value

    @field_validator("files")
    @classmethod
    def _each_once(cls, files: list[DataFile]) -> list[DataFile]:
        names = [file.local for file in files]
        if len(set(names)) < len(names):
            raise ValueError("each file under a name of its own")
        return files

    def url(self, file: DataFile) -> str:
        """Where a file lies."""
        return self.base_url + quote(file.path)

    @property
    def unknown(self) -> int:
        """How many files have no known sha256."""
        return sum(file.sha256 is None for file in self.files)

    @property
    def terms(self) -> str:
        """The licence in one sentence."""
        use = "" if self.commercial else "; NON-COMMERCIAL use only"
        return f"{self.licence}{use} ({self.licence_url})"


class _Registry(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: Literal["sjplan.datasets/1"] = Field(alias="schema")
    datasets: dict[Annotated[str, Field(pattern=SLUG)], Dataset]


def read_datasets(path: str | Path | None = None) -> Mapping[str, Dataset]:
    """The shipped datasets by name, or those of a registry file of the same form.

    Raises
    ------
    InputError
        Naming file, entry and field.

    Examples
    --------
    >>> found = read_datasets()
    >>> found["jhu-corridors"].licence, found["vsd-v3"].commercial
    ('CC-BY-4.0', False)
    """
    what = "datasets.toml" if path is None else str(path)
    return validated(_Registry, read_shipped(what) if path is None else read_toml(what), what).datasets
