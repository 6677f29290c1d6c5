"""A results file as it is opened: columns as arrays, whole rows, exports; old schemas, but none from the future."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.bench.duck import connected, literal, quoted
from sjplan.bench.rows import BY_NAME, COLUMNS, Kind, Row
from sjplan.core.errors import InputError, unknown_name
from sjplan.io.atomic import replacing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA: Final = "sjplan.bench-results/1"

EXPERIMENT_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "experiment": ("VARCHAR", "id of the experiment"),
    "name": ("VARCHAR", "name in the bench file"),
    "suite_sha256": ("VARCHAR", "of the bench file"),
    "created": ("VARCHAR", "when it was begun (UTC)"),
    "host": ("JSON", "kind of machine: processor, cores, memory, operating system"),
    "versions": ("JSON", "of sjplan and of what it stands on"),
    "commit": ("VARCHAR", "of sjplan's working tree, + where it was changed since"),
    "engine": ("VARCHAR", "what spread the runs: processes or Dask"),
    "wanted": ("BIGINT", "runs that the bench file asks for"),
    "done": ("BIGINT", "runs that have a row"),
    "damaged_parts": ("BIGINT", "parts that were left out because their checksum does not hold"),
    "result_hash": ("VARCHAR", "of what was found: the same for any order, workers, host and time"),
    "document": ("JSON", "experiment.json as it stood"),
}

ORDER: Final = "case_key, side, planner, seed, budget_s, budget_evaluations, run"
"""Order of rows in every file."""

PAIRING: Final = ("case_key", "side", "seed", "budget_s", "budget_evaluations", "models", "limits", "error_model",
                  "cap_mm", "problem")  # fmt: skip
"""What two runs have in common that are compared with each other: everything but the planner.

Names alone do not do: the same member at another voxel size, or limits of the same file name, are another problem."""

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Results:
    """A results file that can be opened.

    Parameters
    ----------
    path : Path
        DuckDB or Parquet file.
    experiment : mapping
        What is known of the experiment: the columns of the table `experiments`; empty for Parquet.
    """

    path: Path
    experiment: Mapping[str, Any]

    def columns(self, *names: str, where: str = "") -> dict[str, Values]:
        """Columns of all runs, in the order of the file: `ORDER`, where sjplan wrote it.

        Parameters
        ----------
        *names : str
            Columns of rows, or "pairing": one text of all that two compared runs share.
        where : str
            SQL condition on the rows.

        Returns
        -------
        dict of name to (n,) array
            Numbers, whole numbers and flags as float64, nan where there is none; text and JSON (as text) as objects,
            "" where there is none.

        Raises
        ------
        UnknownNameError
            For a column that does not exist.
        InputError
            For a damaged file.
        """
        with opened(self.path) as connection:
            there = {str(row[0]) for row in connection.execute("DESCRIBE runs").fetchall()}
            selected = ", ".join(f"{_selected(name, there)} AS {quoted(name)}" for name in names)
            condition = f" WHERE {where}" if where else ""
            found: dict[str, Values] = connection.execute(f"SELECT {selected} FROM runs{condition}").fetchnumpy()
        return {name: _plain(found[name], name) for name in names}

    def rows(self) -> list[Row]:
        """Every row, as `sjplan.bench.rows.checked` gives it."""
        with opened(self.path) as connection:
            there = {str(row[0]) for row in connection.execute("DESCRIBE runs").fetchall()}
            names = ", ".join(quoted(c.name) if c.name in there else "NULL" for c in COLUMNS)
            found = connection.execute(f"SELECT {names} FROM runs ORDER BY {ORDER}").fetchall()
        return [_row(values) for values in found]

    def export(self, path: str | Path) -> Path:
        """Write all runs as Parquet (.parquet) or CSV (.csv); text that a spreadsheet would run is quoted by '.

        Raises
        ------
        InputError
            For another suffix, or a place that cannot be written.
        """
        target = Path(path)
        with replacing(target) as temporary, opened(self.path, writing=True) as connection:
            if target.suffix == ".parquet":
                metadata = f"{{schema: '{SCHEMA}', note: {literal(NOT_FOR_CLINICAL_USE)}}}"
                source, options = "*", f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {metadata}"
            elif target.suffix == ".csv":
                source, options = ", ".join(_csv_cell(c.name, c.kind) for c in COLUMNS), "FORMAT csv, HEADER"
            else:
                raise InputError(str(path), found=f"suffix {target.suffix!r}", wanted=".parquet or .csv")
            connection.execute(
                f"COPY (SELECT {source} FROM runs ORDER BY {ORDER}) TO {literal(str(temporary))} ({options})"
            )
        return target


def experiment_of(file: Path) -> dict[str, Any]:
    """What a results file says of its experiment, by `EXPERIMENT_COLUMNS`; nothing for Parquet."""
    with opened(file) as connection:
        if file.suffix == ".parquet":
            return {}
        there = {str(row[0]) for row in connection.execute("DESCRIBE experiments").fetchall()}
        names = [name for name in EXPERIMENT_COLUMNS if name in there]
        values = connection.execute(f"SELECT {', '.join(map(quoted, names))} FROM experiments").fetchone() or ()
    facts = dict(zip(names, values, strict=False))
    return {
        name: json.loads(value) if EXPERIMENT_COLUMNS[name][0] == "JSON" and value is not None else value
        for name, value in facts.items()
    }


@contextmanager
def opened(file: Path, *, writing: bool = False) -> Iterator[DuckDBPyConnection]:
    """A connection that has the runs of a file as `runs`; it writes other files only where that is asked for."""
    if file.suffix == ".parquet":
        with connected(None, file) as connection:
            name = literal(str(file))
            found = connection.execute(f"SELECT value FROM parquet_kv_metadata({name}) WHERE key = 'schema'").fetchone()
            require_schema(str(file), "" if found is None else bytes(found[0]).decode("utf-8", "replace"))
            connection.execute(f"CREATE VIEW runs AS SELECT * FROM read_parquet({name})")
            yield connection
        return
    with connected(file, file, writing=writing) as connection:
        require_schema(str(file), about(connection, file).get("schema", ""))
        yield connection


def about(connection: DuckDBPyConnection, file: Path) -> dict[str, str]:
    """What a database says of itself; raises where it is none of ours."""
    there = {str(row[0]) for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not {"about", "runs", "experiments"} <= there:
        raise InputError(str(file), found="a database of something else", wanted="results of sjplan bench run")
    return dict(connection.execute("SELECT key, value FROM about").fetchall())


def _selected(name: str, there: set[str]) -> str:
    if name == "pairing":
        parts = ", ".join(f"coalesce({_selected(part, there)}::VARCHAR, '-')" for part in PAIRING)
        return f"concat_ws(' | ', {parts})"
    if name not in BY_NAME:
        raise unknown_name("column of a row", name, BY_NAME)
    sql_type = "VARCHAR" if BY_NAME[name].kind in ("text", "json") else "DOUBLE"
    return f"{quoted(name)}::{sql_type}" if name in there else f"NULL::{sql_type}"


def _plain(values: Values, name: str) -> Values:
    textual = name == "pairing" or BY_NAME[name].kind in ("text", "json")
    if textual:
        return np.asarray(np.where(np.ma.getmaskarray(values), "", np.ma.getdata(values)), dtype=object)
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan))


def _row(values: Sequence[Any]) -> Row:
    return {
        column.name: json.loads(value) if column.kind == "json" and value is not None else value
        for column, value in zip(COLUMNS, values, strict=True)
    }


def _csv_cell(name: str, kind: Kind) -> str:
    cell = quoted(name)
    if kind not in ("text", "json"):
        return cell
    text = f"{cell}::VARCHAR"
    return f"CASE WHEN regexp_matches({text}, '^[-=+@\\t\\r]') THEN '''' || {text} ELSE {text} END AS {cell}"


def require_schema(what: str, schema: str) -> None:
    """Raise for a schema of something else, and for one from the future."""
    name, _, version = SCHEMA.rpartition("/")
    found_name, _, found = schema.rpartition("/")
    if found_name != name or not found.isdigit():
        raise InputError(what, found=f"schema {schema!r}", wanted=f"results of the benchmark ({SCHEMA})")
    if int(found) > int(version):
        raise InputError(what, found=f"schema {schema}", wanted=f"{SCHEMA} or older", fix="update sjplan")
