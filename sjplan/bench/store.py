"""Results in one DuckDB file: made whole from an experiment's parts, read by column, exported as Parquet or CSV.

pandas, R and Excel open these files without sjplan. Old ones keep opening: a column that a file lacks is empty, and a
schema from the future is refused in one line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TextIO

from sjplan import NOT_FOR_CLINICAL_USE, __version__
from sjplan.bench.duck import connected, literal, quoted
from sjplan.bench.parts import EXPERIMENT, PARTS, distinct_rows, part_files
from sjplan.bench.results import EXPERIMENT_COLUMNS, ORDER, SCHEMA, Results, about, experiment_of, opened
from sjplan.bench.rows import COLUMNS, Kind, Row, result_hash
from sjplan.core.errors import InputError
from sjplan.io.atomic import replacing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RESULTS: Final = "results.duckdb"

_STORAGE: Final = "v1.0.0"
"""DuckDB's own format: the oldest that is stable, so that the packages of R and pandas need not be the newest."""

_SQL_TYPES: Final[Mapping[Kind, str]] = {
    "text": "VARCHAR", "whole": "BIGINT", "number": "DOUBLE", "flag": "BOOLEAN", "json": "JSON",
}  # fmt: skip


def compile_results(folder: str | Path) -> Path:
    """Make an experiment's results file from its parts; whole or not at all.

    A part whose checksum does not hold is left out and counted; a run that stands in two parts is taken once.

    Parameters
    ----------
    folder : path
        Of the experiment: it holds `parts`, and `experiment.json` if that was not lost.

    Returns
    -------
    Path
        The file `results.duckdb` in that folder.

    Raises
    ------
    InputError
        If the folder holds no parts, or parts of a later schema; if duckdb is missing, or nothing can be written.
    """
    place = Path(folder)
    if not (place / PARTS).is_dir():
        raise InputError(str(folder), found="no folder named parts", wanted="the folder of an experiment",
                         fix="name what was given as --out to sjplan bench run")  # fmt: skip
    damaged = list[Path]()
    fingerprint = _fingerprint(place)
    rows = distinct_rows(place, damaged)
    document = _experiment(place / EXPERIMENT)
    return write_results(place / RESULTS, document, rows, damaged=damaged, parts=fingerprint)


def write_results(
    path: str | Path, experiment: Mapping[str, Any], rows: Iterable[Row], *,
    damaged: list[Path] | None = None, parts: str = "",
) -> Path:  # fmt: skip
    """Write a results file.

    Parameters
    ----------
    path : path
        DuckDB file to write.
    experiment : mapping
        What stands in `experiment.json`.
    rows : iterable of Row
        Whole rows; each is written as it comes.
    damaged : list of Path, optional
        Parts that were left out, known once the rows have come.
    parts : str
        Fingerprint of the parts that it was made from.

    Raises
    ------
    InputError
        If duckdb is missing or nothing can be written.
    """
    target = Path(path)
    facts = {name: experiment.get(name) for name in EXPERIMENT_COLUMNS} | {"document": dict(experiment)}
    header = {"schema": SCHEMA, "sjplan": __version__, "parts": parts, "note": NOT_FOR_CLINICAL_USE}
    with replacing(target) as temporary, TemporaryDirectory(dir=target.parent, prefix=".sjplan-") as scratch:
        made, lines, facts_line = (Path(scratch) / name for name in ("made.duckdb", "rows.ndjson", "facts.ndjson"))
        with lines.open("w", encoding="utf-8") as file:
            facts["result_hash"] = result_hash(_written(rows, file))
        facts["damaged_parts"] = len(damaged or ())
        facts_line.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        with connected(None, target) as connection:
            connection.execute(f"ATTACH {literal(str(made))} AS made (STORAGE_VERSION '{_STORAGE}')")
            connection.execute("USE made")
            types = {c.name: (_SQL_TYPES[c.kind], c.text) for c in COLUMNS}
            _table(connection, "runs", types, lines, f" ORDER BY {ORDER}")
            _table(connection, "experiments", EXPERIMENT_COLUMNS, facts_line)
            connection.execute("UPDATE experiments SET done = (SELECT count(*) FROM runs)")
            connection.execute("CREATE TABLE about (key VARCHAR, value VARCHAR)")
            connection.executemany("INSERT INTO about VALUES (?, ?)", [list(pair) for pair in header.items()])
            connection.execute("USE memory")
            connection.execute("DETACH made")
        made.replace(temporary)
    return target


def open_results(path: str | Path) -> Results:
    """Open the results of an experiment.

    Parameters
    ----------
    path : path
        The experiment's folder (its file is made anew where parts have come since), or a DuckDB or Parquet file.

    Raises
    ------
    InputError
        If there is no such file, it is damaged or no results file, its schema is from the future, or duckdb is
        missing.
    """
    place = Path(path)
    if place.is_dir():
        return _open_folder(place)
    if not place.is_file():
        raise InputError(str(path), found="no such file or folder", wanted="results of sjplan bench run")
    return Results(place, experiment_of(place))


def read_results(path: str | Path) -> list[Row]:
    """Every row of a results file or an experiment's folder; raises as `open_results` does."""
    return open_results(path).rows()


def result_hash_of(path: str | Path) -> str:
    """The result hash of a results file or an experiment's folder, worked out from its rows."""
    return result_hash(read_results(path))


def _open_folder(folder: Path) -> Results:
    file = folder / RESULTS
    if (folder / PARTS).is_dir():
        made_from = ""
        if file.is_file():
            try:
                with opened(file) as connection:
                    made_from = about(connection, file).get("parts", "")
            except InputError as error:
                if error.found.startswith("schema"):
                    raise
        if made_from != _fingerprint(folder):
            compile_results(folder)
    elif not file.is_file():
        raise InputError(str(folder), found=f"neither parts nor {RESULTS}", wanted="the folder of an experiment",
                         fix="name what was given as --out to sjplan bench run")  # fmt: skip
    return Results(file, experiment_of(file))


def _table(
    connection: DuckDBPyConnection, name: str, columns: Mapping[str, tuple[str, str]], lines: Path, order: str = ""
) -> None:
    """A table with commented columns from a file of JSON lines; columns are typed here, never guessed."""
    typed = ", ".join(f"{quoted(column)}: '{kind}'" for column, (kind, _) in columns.items())
    connection.execute(
        f"CREATE TABLE {name} AS SELECT * FROM read_json({literal(str(lines))}, format = 'newline_delimited', "
        f"columns = {{{typed}}}){order}"
    )
    for column, (_, text) in columns.items():
        connection.execute(f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(text)}")


def _written(rows: Iterable[Row], file: TextIO) -> Iterator[Row]:
    """The same rows, each written as a line of JSON when it goes by."""
    for row in rows:
        whole = {column.name: row.get(column.name) for column in COLUMNS}
        file.write(json.dumps(whole) + "\n")
        yield whole


def _fingerprint(folder: Path) -> str:
    """Of which parts there are: one that was damaged and is made again has another time."""
    found = [(file.name, file.stat()) for file in part_files(folder)]
    listing = [(name, state.st_size, state.st_mtime_ns) for name, state in found]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _experiment(file: Path) -> dict[str, Any]:
    """What is known of the experiment; its rows are worth keeping where that is nothing."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(document) if isinstance(document, dict) else {}
