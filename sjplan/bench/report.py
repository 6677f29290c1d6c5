"""The report of an experiment: one page for people, and every number of it as CSV beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sjplan.bench.curves import curve_rows
from sjplan.bench.findings import Findings, findings
from sjplan.bench.hard_pictures import Anatomies, hard_pictures, kept_anatomies
from sjplan.bench.page import page_of
from sjplan.bench.runner import BENCH_FILE
from sjplan.bench.tables import TableRow
from sjplan.bench.worker import ANATOMIES
from sjplan.core.implant import ImplantModel
from sjplan.io.atomic import output_folder
from sjplan.io.catalogue import read_implants
from sjplan.io.spreadsheets import csv_text
from sjplan.report.benchmark import bench_html

PAGE: Final = "index.html"
FOLDER: Final = "report"


def csv_tables(found: Findings) -> dict[str, str]:
    """The numbers of a report as CSV, by file name; "none" where a table has no row."""
    tables: Mapping[str, list[TableRow]] = {
        "summary.csv": found.summary,
        "differences.csv": found.pairs,
        "profiles.csv": curve_rows(found.runs, found.profiles),
        "margins.csv": found.margins,
        "anatomy.csv": found.anatomy,
        "anytime.csv": curve_rows(found.runs, found.anytime),
        "failures.csv": found.failures,
        "hardest.csv": found.hardest,
    }
    return {name: csv_text(rows) if rows else "none\n" for name, rows in tables.items()}


def write_report(
    path: str | Path,
    out: str | Path,
    *,
    anatomies: Anatomies | None = None,
    models: Mapping[str, ImplantModel] | None = None,
    export: str = "",
) -> Findings:
    """Write the page and its tables into a folder.

    Parameters
    ----------
    path : path
        The experiment's folder, or its results file.
    out : path
        Folder to write.
    anatomies : callable, optional
        Gives the anatomy of a case, for pictures of the hardest; those that the experiment's folder keeps if left out.
    models : mapping of id to ImplantModel, optional
        Implants of the plans; the catalogue that ships if left out.
    export : {"", "csv", "parquet"}
        Whether all runs are written as well, as runs.csv or runs.parquet.

    Returns
    -------
    Findings
        What the page says, as numbers.

    Raises
    ------
    InputError
        As `findings` does; and for a folder that cannot be written.
    """
    with output_folder(out) as folder:
        found = findings(path)
        kept = anatomies or kept_anatomies(Path(path) / BENCH_FILE, Path(path) / ANATOMIES)
        small = hard_pictures(found.results, found.hardest, kept, models or read_implants())
        tables = csv_tables(found)
        for name, text in tables.items():
            (folder / name).write_text(text, encoding="utf-8")
        if export:
            found.results.export(folder / f"runs.{export}")
        html = bench_html(page_of(found, small, [*tables, *([f"runs.{export}"] if export else [])]))
        (folder / PAGE).write_text(html, encoding="utf-8")
    return found


def plain(found: Findings) -> dict[str, Any]:
    """The tables as one JSON object, curves left out."""
    return {
        "experiment": dict(found.results.experiment),
        "summary": found.summary,
        "differences": found.pairs,
        "margins": found.margins,
        "anatomy": found.anatomy,
        "failures": found.failures,
        "hardest": found.hardest,
    }
