"""DuckDB at arm's length: connections without network, errors in one line, names and texts quoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY: Final = "400MB"
"""What DuckDB may use; the rest of a report's gigabyte is for the report."""


@contextmanager
def connected(file: Path | None, named: Path, *, writing: bool = True) -> Iterator[DuckDBPyConnection]:
    """A connection without network, with little memory; DuckDB's errors become one line that names the file."""
    try:
        import duckdb
    except ImportError:
        raise InputError(str(named), found="no duckdb to read or write it with", wanted="the extra batch",
                         fix="pip install 'sjplan[batch]'") from None  # fmt: skip
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "memory_limit": _MEMORY, "threads": 2}
    if not writing:
        config["enable_external_access"] = False
    place = ":memory:" if file is None else str(file)
    try:
        with TemporaryDirectory(prefix="sjplan-") as spill:
            config["temp_directory"] = spill
            with closing(duckdb.connect(place, read_only=file is not None, config=config)) as connection:
                connection.execute("SET enable_progress_bar = false")  # it would write into a command's JSON
                yield connection
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(str(named), found=f"what DuckDB refuses ({reason})",
                         wanted="a whole results file, and room to write where one is written",
                         fix="delete it and let sjplan bench report make it anew from the parts, or write elsewhere",
                         ) from None  # fmt: skip


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
